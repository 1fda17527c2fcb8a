package nonagent

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"importer/internal/importer"
	"importer/internal/lead"
)

// form is the body of one request. Its fields are sent in the order in which
// they are added, so that no field can shadow an earlier one unnoticed and the
// last one is always ours.
type form struct{ b []byte }

// newForm begins a request with what every function wants.
func (c *Client) newForm(function string) *form {
	f := &form{b: make([]byte, 0, 768)}
	f.add("function", function)
	f.add("source", c.source)
	f.add("user", c.user)
	f.add("pass", c.password())
	return f
}

// add appends a field, unless its value is empty. Every name is a constant of
// this package, or was checked by isLeadField or IsCustomField: nothing that
// came out of a file can become a parameter's name.
func (f *form) add(name, value string) {
	if value == "" {
		return
	}
	if len(f.b) > 0 {
		f.b = append(f.b, '&')
	}
	f.b = append(f.b, name...)
	f.b = append(f.b, '=')
	f.b = append(f.b, url.QueryEscape(value)...)
}

// bytes ends the form with a harmless constant. The dialer writes the value of
// a POST's last parameter into its log statement unescaped, where an
// apostrophe breaks the statement and more than that injects SQL.
func (f *form) bytes() []byte {
	return append(f.b, "&end=1"...)
}

func (c *Client) addLeadForm(call *importer.Call) *form {
	f := c.newForm("add_lead")
	for _, field := range leadFields(&call.Lead) {
		if field.name == call.TokenField {
			field.value = call.Token
		}
		f.add(field.name, field.value)
	}
	f.addExtras(call)
	f.addChecks(call)
	f.add("list_exists_check", "Y")
	return f
}

// addExtras adds what the dialer shall do with the lead once it is in. Custom
// fields are not among it: see UpdateCustomFields.
func (f *form) addExtras(call *importer.Call) {
	f.add("campaign_id", call.Campaign)
	if h := call.Hopper; h != nil {
		f.add("add_to_hopper", "Y")
		f.add("hopper_priority", strconv.Itoa(h.Priority))
		if h.LocalCallTime {
			f.add("hopper_local_call_time_check", "Y")
		}
	}
	x := call.Lead.Extras
	if x == nil {
		return
	}
	var numbers []string
	for _, alt := range x.AltPhones {
		numbers = append(numbers, alt.Number+"_"+alt.Code+"_"+alt.Note)
	}
	f.add("multi_alt_phones", strings.Join(numbers, "!"))
	if b := x.Callback; b != nil {
		f.add("callback", "Y")
		f.add("callback_datetime", b.At)
		f.add("callback_status", b.Status)
		if b.User != "" {
			f.add("callback_type", "USERONLY")
			f.add("callback_user", b.User)
		}
		f.add("callback_comments", b.Comments)
	}
}

// addChecks adds what the dialer shall refuse.
func (f *form) addChecks(call *importer.Call) {
	if call.DuplicateDays > 0 {
		f.add("duplicate_check", call.Duplicate+strconv.Itoa(call.DuplicateDays)+"DAY")
	} else {
		f.add("duplicate_check", call.Duplicate)
	}
	if call.DNC {
		how := "Y"
		if call.DNCAreaCode {
			how = "AREACODE"
		}
		f.add("dnc_check", how)
		if call.Campaign != "" {
			f.add("campaign_dnc_check", how)
		}
	}
	for _, check := range call.PhoneChecks {
		f.add(phoneChecks[check], "Y")
	}
}

// phoneChecks are the parameters that switch checks of North American numbers on.
var phoneChecks = map[string]string{
	"prefix": "usacan_prefix_check", "area_code": "usacan_areacode_check", "nanpa": "nanpa_ac_prefix_check",
}

type field struct{ name, value string }

// leadFields are all fields of a lead that are ever sent, in lead.Lead's order.
func leadFields(l *lead.Lead) [26]field {
	return [...]field{
		{"phone_code", l.PhoneCode},
		{"phone_number", l.PhoneNumber},
		{"list_id", l.ListID},
		{"vendor_lead_code", l.VendorLeadCode},
		{"source_id", l.SourceID},
		{"title", l.Title},
		{"first_name", l.FirstName},
		{"middle_initial", l.MiddleInitial},
		{"last_name", l.LastName},
		{"address1", l.Address1},
		{"address2", l.Address2},
		{"address3", l.Address3},
		{"city", l.City},
		{"state", l.State},
		{"province", l.Province},
		{"postal_code", l.PostalCode},
		{"country_code", l.CountryCode},
		{"gender", l.Gender},
		{"date_of_birth", l.DateOfBirth},
		{"alt_phone", l.AltPhone},
		{"email", l.Email},
		{"security_phrase", l.SecurityPhrase},
		{"comments", l.Comments},
		{"rank", l.Rank},
		{"owner", l.Owner},
		{"entry_list_id", l.EntryListID},
	}
}

func isLeadField(name string) bool {
	for _, f := range leadFields(&lead.Lead{}) {
		if f.name == name {
			return true
		}
	}
	return false
}

// refuse is the last line of defence before the wire: cleaning has done all of
// this already. It returns nil when the call may be made.
func refuse(call *importer.Call) *finding {
	bad := func(v importer.Verdict, r importer.Reason, text string) *finding {
		f := found(v, r, "%s; nothing was sent", text)
		return &f
	}
	l := &call.Lead
	switch {
	case !isList(l.ListID):
		return bad(importer.VerdictRejected, ReasonUnsafeList, "the list id is not three digits or more, and the dialer would use list 999 instead")
	case l.PhoneNumber == "" || !only(l.PhoneNumber, isDigit):
		return bad(importer.VerdictRejected, ReasonUnsafePhone, "the phone number is not made of digits alone")
	case !isToken(call.TokenField) || (call.TokenField == "") != (call.Token == "") || !isSafe(call.Token):
		return bad(importer.VerdictStop, ReasonBadCall, "the token goes into source_id, vendor_lead_code or security_phrase, and into nothing else")
	case !isDuplicateCheck(call.Duplicate, call.DuplicateDays):
		return bad(importer.VerdictStop, ReasonBadCall, "the dialer's duplicate check is DUPLIST, DUPCAMP, DUPSYS or nothing, and knows some numbers of days only")
	case slices.ContainsFunc(call.PhoneChecks, func(check string) bool { return phoneChecks[check] == "" }):
		return bad(importer.VerdictStop, ReasonBadCall, "the dialer's checks of numbers are prefix, area_code and nanpa")
	case !only(call.Campaign, isName):
		return bad(importer.VerdictStop, ReasonBadCall, "a campaign id is made of letters, digits, - and _")
	}
	for _, f := range leadFields(l) {
		if !isSafe(f.value) {
			return bad(importer.VerdictRejected, ReasonUnsafeText, "field "+f.name+` holds one of \ " ; # or a control character`)
		}
	}
	return refuseExtras(call)
}

func refuseExtras(call *importer.Call) *finding {
	x := call.Lead.Extras
	if x == nil {
		return nil
	}
	bad := func(v importer.Verdict, r importer.Reason, text string) *finding {
		f := found(v, r, "%s; nothing was sent", text)
		return &f
	}
	for _, alt := range x.AltPhones {
		if alt.Number == "" || !only(alt.Number, isDigit) || !only(alt.Code, isDigit) {
			return bad(importer.VerdictRejected, ReasonUnsafePhone, "an alternate number is not made of digits alone")
		}
		if !isSafe(alt.Note) || strings.ContainsAny(alt.Note, "!_") {
			return bad(importer.VerdictRejected, ReasonUnsafeText, "an alternate number's note holds a character that parts numbers")
		}
	}
	if b := x.Callback; b != nil {
		if call.Campaign == "" {
			return bad(importer.VerdictStop, ReasonBadCall, "a row brings a callback, and its feed has no campaign_id: set it")
		}
		if !isSafe(b.At) || !only(b.User, isName) || !only(b.Status, isName) || !isSafe(b.Comments) {
			return bad(importer.VerdictRejected, ReasonUnsafeText, `the callback holds one of \ " ; # or a control character`)
		}
	}
	return refuseCustom(x.Custom)
}

func isToken(field string) bool {
	switch field {
	case "", "source_id", "vendor_lead_code", "security_phrase":
		return true
	}
	return false
}

func isDuplicateCheck(word string, days int) bool {
	switch word {
	case "":
		return days == 0
	case "DUPLIST", "DUPCAMP", "DUPSYS":
	default:
		return false
	}
	switch days { // the dialer ignores any other number, and then looks at every age
	case 0, 1, 2, 3, 7, 14, 15, 21, 28, 30, 60, 90, 180, 360:
		return true
	}
	return false
}

// isSafe tells whether the dialer can hold a text without harm: it pastes text
// into SQL, and an answer that echoes it must not be able to begin a line.
func isSafe(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || strings.ContainsRune(`\";#`, r)
	})
}

// isList tells whether the dialer takes a list id as it stands: below three
// digits it uses list 999.
func isList(id string) bool { return len(id) >= 3 && only(id, isDigit) }

// only tells whether every byte of s passes; it is true of an empty s.
func only(s string, pass func(byte) bool) bool {
	for i := range len(s) {
		if !pass(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isAlphanumeric(b byte) bool {
	return isDigit(b) || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func isName(b byte) bool { return isAlphanumeric(b) || b == '_' || b == '-' }

// leadID reads a lead id as the dialer writes it: a positive number.
func leadID(s string) (int64, bool) {
	id, err := strconv.ParseInt(s, 10, 64)
	return id, err == nil && id > 0 && only(s, isDigit)
}
