package nonagent

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"importer/internal/importer"
)

// searchCap is how many leads one search may find. The dialer credits numbers
// beyond it with nothing, so an answer that reaches it is not believed.
const searchCap = 50_000

// Search finds the leads of one list by phone number, with one lead_search.
// The map has an entry for every number asked; an empty one means that the
// dialer said "none", which a dialer whose query failed says too: ask for a
// number known to be there along with the others. Two numbers that are equal
// as integers cannot be asked together, since the dialer confuses them. Every
// error is an *Error.
func (c *Client) Search(ctx context.Context, listID string, phones []string) (map[string][]int64, error) {
	found := make(map[string][]int64, len(phones))
	integers := make(map[string]bool, len(phones))
	asked := make([]string, 0, len(phones))
	for _, phone := range phones {
		if _, again := found[phone]; again {
			continue
		}
		integer := strings.TrimLeft(phone, "0")
		if integer == "" || !only(phone, isDigit) || integers[integer] {
			return nil, c.badCall("a search takes phone numbers made of digits, no two of them equal as integers")
		}
		found[phone], integers[integer] = nil, true
		asked = append(asked, phone)
	}
	if len(asked) == 0 {
		return found, nil
	}
	if !isList(listID) {
		return nil, c.badCall("a search wants a list id of three digits or more")
	}
	f := c.newForm("lead_search")
	f.add("phone_number", strings.Join(asked, ","))
	f.add("search_location", "LIST")
	f.add("list_id", listID)
	f.add("records", strconv.Itoa(searchCap))
	rows, none, err := c.ask(ctx, "lead_search", f,
		"NO MATCHES FOUND IN THE SYSTEM", "NO MATCHES FOUND IN THE LIST", "NO MATCHES FOUND IN THE CAMPAIGN")
	if err != nil {
		return nil, err
	}
	if none != "" {
		return found, nil
	}
	if err := readSearch(rows, found); err != "" {
		return nil, c.inconclusive(err)
	}
	return found, nil
}

// readSearch fills in what was found from lines of the form
// phone|count|lead_id-lead_id, one for every number asked. It returns why the
// answer decides nothing, or an empty string.
func readSearch(rows []string, found map[string][]int64) string {
	answered := make(map[string]bool, len(found))
	credited := make(map[int64]bool)
	for _, row := range rows {
		cells := strings.Split(row, "|")
		if len(cells) != 3 {
			return "a line of its search is not phone|count|leads"
		}
		phone := cells[0]
		if _, asked := found[phone]; !asked || answered[phone] {
			return "its search answered for a number that was not asked, or twice for one"
		}
		answered[phone] = true
		var ids []int64
		if cells[2] != "" {
			for text := range strings.SplitSeq(cells[2], "-") {
				id, ok := leadID(text)
				if !ok {
					return "its search found something that is no lead id"
				}
				if credited[id] {
					return "its search credited two numbers with one lead"
				}
				credited[id] = true
				ids = append(ids, id)
			}
		}
		if cells[1] != strconv.Itoa(len(ids)) {
			return "its search counted other than it listed"
		}
		found[phone] = ids
	}
	switch {
	case len(answered) != len(found):
		return "its search left a number out"
	case len(credited) >= searchCap:
		return "its search found as many leads as it may: ask for fewer numbers at once"
	}
	return ""
}

// Field reads one field of a lead with lead_field_info; an empty field is an
// empty string. Every error is an *Error, of KindNotFound when the dialer says
// that it has no such lead, or that its list is none of this user's.
//
// The answer is the bare value, so a lead's own text can look like anything.
// Nothing that looks like an error is ever returned as a value; and since a
// vendor may have written it, it stops a run only if it names our user.
func (c *Client) Field(ctx context.Context, leadID int64, field string) (string, error) {
	if leadID <= 0 || !isLeadField(field) {
		return "", c.badCall("a lead has no such field, or no such id")
	}
	f := c.newForm("lead_field_info")
	f.add("lead_id", strconv.FormatInt(leadID, 10))
	f.add("field_name", field)
	r, unanswered := c.post(ctx, f, maxLookupAnswer)
	if unanswered != nil {
		return "", unanswered.asError(c.host)
	}
	first, _ := cut(r.body)
	if stop, ok := stopLine(first, "lead_field_info", c.user); ok {
		return "", stop.asError(c.host)
	}
	if r.status != http.StatusOK || !r.complete || isPage(r.body) || strings.HasPrefix(first.text, "MySQL connect ERROR:") {
		return "", wordless(r, first).asError(c.host)
	}
	value := string(bytes.TrimSuffix(r.body, []byte("\n")))
	const longestColumn = 4 * 255 // bytes of vicidial_list's widest column
	switch s, isError := strings.CutPrefix(value, "ERROR: "); {
	case isError && (isPhrase(s, "lead_field_info LEAD NOT FOUND") || isPhrase(s, "lead_field_info LIST NOT FOUND")):
		return "", c.notFound(ReasonNotFound, "it has no such lead, or the lead's list is none of the API user's")
	case isError:
		return "", c.inconclusive("it answered with an error instead of a field's value, or with a value that looks like one")
	case len(value) > longestColumn, strings.ContainsAny(value, "\r\n"):
		return "", c.inconclusive("it answered with something longer than a field's value")
	}
	return value, nil
}

// Touch writes a value to one field of a lead with update_lead. Every error is
// an *Error, of KindNotFound when the dialer has no such lead.
func (c *Client) Touch(ctx context.Context, leadID int64, field, value string) error {
	if leadID <= 0 || !isLeadField(field) || value == "" || !isSafe(value) {
		return c.badCall("an update wants a lead's id, one of its fields, and a value without control characters")
	}
	f := c.newForm("update_lead")
	f.add("lead_id", strconv.FormatInt(leadID, 10))
	f.add(field, value)
	_, err := c.update(ctx, f, leadID)
	return err
}

// UpdateCustomFields writes a lead's custom fields, which add_lead itself
// loses on many dialers. The keys of values are the labels of the list's
// custom fields. Returns an *Error when the dialer does not confirm them for
// this lead in this list.
func (c *Client) UpdateCustomFields(ctx context.Context, leadID int64, listID string, values map[string]string) error {
	f := c.newForm("update_lead")
	f.add("lead_id", strconv.FormatInt(leadID, 10))
	f.add("custom_fields", "Y")
	if leadID <= 0 || len(values) == 0 {
		return c.badCall("an update of custom fields wants a lead's id and at least one field")
	}
	for _, label := range slices.Sorted(maps.Keys(values)) {
		if !isCustomField(label) || !isSafe(values[label]) {
			return c.badCall("a custom field wants a label of lower-case letters, digits and _ that is no parameter of the API, and a value without control characters")
		}
		f.add(label, values[label])
	}
	rest, err := c.update(ctx, f, leadID)
	if err != nil {
		return err
	}
	for len(rest) > 0 {
		var l line
		l, rest = cut(rest)
		s, _ := strings.CutPrefix(l.text, "NOTICE: update_lead CUSTOM FIELDS VALUES ")
		_, data, _ := strings.Cut(s, " - ")
		cells := strings.Split(data, "|")
		if len(cells) >= 3 && cells[1] == strconv.FormatInt(leadID, 10) && cells[2] == listID {
			return nil
		}
	}
	return c.inconclusive("it did not confirm the custom fields: are custom fields switched on, and has the list these ones?")
}

// update makes an update_lead call for one lead and returns what the dialer
// said after its SUCCESS line. As with add_lead, that line counts whatever the
// HTTP status, since the dialer logs after it has written.
func (c *Client) update(ctx context.Context, f *form, leadID int64) ([]byte, error) {
	r, unanswered := c.post(ctx, f, maxLookupAnswer)
	if unanswered != nil {
		return nil, unanswered.asError(c.host)
	}
	first, _, rest := decisive(r.body, "update_lead")
	if data, ok := strings.CutPrefix(first.text, "SUCCESS: update_lead LEAD HAS BEEN UPDATED - "); ok && first.ended {
		cells := strings.Split(data, "|") // user|lead_id|affected|||
		if len(cells) < 2 || cells[1] != strconv.FormatInt(leadID, 10) {
			return nil, found(importer.VerdictUnknown, ReasonAnswerMismatch, "it says that it updated another lead than the one it was told").asError(c.host)
		}
		return rest, nil
	}
	if stop, ok := stopLine(first, "update_lead", ""); ok {
		return nil, stop.asError(c.host)
	}
	if s, ok := strings.CutPrefix(first.text, "ERROR: update_lead "); ok && r.complete {
		if isPhrase(s, "NO MATCHES FOUND IN THE SYSTEM") {
			return nil, c.notFound(ReasonNotFound, "it has no such lead")
		}
		return nil, c.inconclusive("it refused an update with an ERROR that this version does not know: look at its API log report")
	}
	return nil, wordless(r, first).asError(c.host)
}

// ask makes a call that answers with lines and returns those that are not
// empty. none is the one of the given errors of this function, each meaning
// "there is nothing", that the dialer answered with instead.
func (c *Client) ask(ctx context.Context, function string, f *form, nothing ...string) (rows []string, none string, err error) {
	r, unanswered := c.post(ctx, f, maxLookupAnswer)
	if unanswered != nil {
		return nil, "", unanswered.asError(c.host)
	}
	first, _ := cut(r.body)
	if stop, ok := stopLine(first, function, ""); ok {
		return nil, "", stop.asError(c.host)
	}
	if r.status != http.StatusOK || !r.complete || isPage(r.body) || strings.HasPrefix(first.text, "MySQL connect ERROR:") {
		return nil, "", wordless(r, first).asError(c.host)
	}
	if s, ok := strings.CutPrefix(first.text, "ERROR: "); ok {
		s, _ = strings.CutPrefix(s, function+" ")
		for _, phrase := range nothing {
			if isPhrase(s, phrase) && first.ended {
				return nil, phrase, nil
			}
		}
		return nil, "", c.inconclusive("it answered " + function + " with an ERROR that this version does not know: look at its API log report")
	}
	for rest := r.body; len(rest) > 0; {
		var l line
		l, rest = cut(rest)
		if !l.ended {
			return nil, "", c.inconclusive("its answer to " + function + " broke off in the middle of a line")
		}
		if l.text != "" {
			rows = append(rows, l.text)
		}
	}
	return rows, "", nil
}

func (c *Client) inconclusive(text string) *Error {
	return &Error{Kind: KindInconclusive, Reason: ReasonInconclusive, Host: c.host, text: text}
}

func (c *Client) notFound(r importer.Reason, text string) *Error {
	return &Error{Kind: KindNotFound, Reason: r, Host: c.host, text: text}
}

func (c *Client) badCall(text string) *Error {
	return &Error{Kind: KindInconclusive, Reason: ReasonBadCall, text: text + ": nothing was sent"}
}

// parametersOfUpdate are names that would make update_lead do something else
// than write a custom field.
var parametersOfUpdate = map[string]bool{
	"source": true, "user": true, "pass": true, "function": true, "end": true,
	"lead_id": true, "list_id": true, "phone_number": true, "phone_code": true, "vendor_lead_code": true,
	"search_method": true, "search_location": true, "insert_if_not_found": true, "records": true,
	"no_update": true, "delete_lead": true, "delete_cf_data": true, "reset_lead": true, "update_phone_number": true,
	"archived_lead": true, "list_exists_check": true, "custom_fields": true, "custom_fields_delete": true,
	"callback": true, "callback_status": true, "callback_datetime": true, "callback_type": true,
	"callback_user": true, "callback_comments": true, "campaign_id": true,
	"add_to_hopper": true, "remove_from_hopper": true, "hopper_priority": true, "hopper_local_call_time_check": true,
	"user_field": true, "list_id_field": true, "status": true, "called_count": true, "gmt_offset_now": true,
	"entry_list_id": true, "force_entry_list_id": true, "entry_date": true, "local_call_time": true,
	"duplicate_check": true, "dnc_check": true, "campaign_dnc_check": true, "usacan_prefix_check": true,
	"usacan_areacode_check": true, "nanpa_ac_prefix_check": true, "tz_method": true, "lookup_state": true,
	"multi_alt_phones": true, "stage": true, "header": true, "format": true, "db": true,
}

// isCustomField tells whether a label may be sent as a parameter's name.
func isCustomField(label string) bool {
	return label != "" && !parametersOfUpdate[label] && !isLeadField(label) &&
		only(label, func(b byte) bool { return isDigit(b) || b == '_' || 'a' <= b && b <= 'z' })
}
