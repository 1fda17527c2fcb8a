package dialersim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// maxRecords is how many leads a lookup reads unless `records` says otherwise.
const maxRecords = 1000

// searchLists is the lists that search_location allows, nil for all. False:
// the script ended.
func (c *call) searchLists() (map[uint64]bool, bool) {
	list := c.param("list_id", digits)
	if len(list) < 3 {
		return nil, true
	}
	switch c.param("search_location", upper) {
	case "LIST":
		return map[uint64]bool{number(list): true}, true
	case "CAMPAIGN":
		l, ok := c.d.list(number(list))
		if !ok {
			return map[uint64]bool{}, c.failedQuery() // not recorded
		}
		return c.d.listsOf(l.Campaign), true
	}
	return nil, true
}

// unreadable tells whether leads cannot be read, among others in the archive: a
// table that a fresh installation does not have.
func (c *call) unreadable() bool { return c.set.LookupsFail || c.yes("archived_lead") }

func newestFirst(leads []Lead) {
	slices.SortFunc(leads, func(a, b Lead) int { return cmp.Compare(b.ID, a.ID) })
}

// leadSearch finds leads by numbers or vendor codes. It lies where the real one
// does: what is beyond `records` counts as 0, and leads are credited to every
// number asked that equals theirs as an integer.
func leadSearch(c *call) {
	method := c.param("search_method", dashedWord)
	if method == "" {
		method = "PHONE_NUMBER"
	}
	byVendor, byLead := strings.Contains(method, "VENDOR_LEAD_CODE"), strings.Contains(method, "LEAD_ID")
	var leadID, vendorCode, phone, asked string
	switch {
	case byVendor:
		vendorCode = c.param("vendor_lead_code", freeText)
		asked = vendorCode
	case strings.Contains(method, "PHONE_NUMBER"):
		phone = c.param("phone_number", digitList)
		asked = phone
	case byLead:
		leadID = c.param("lead_id", digitList)
		asked = leadID
	}
	if asked == "" {
		c.say("ERROR: lead_search NO VALID SEARCH METHOD - ", c.userName, "|", method, "|(0)|(0)|(0)")
		return
	}
	keys := strings.Split(asked, ",")
	lists, ok := c.searchLists()
	if !ok {
		return
	}
	var found []Lead
	switch {
	case c.unreadable(), phone != "" && slices.ContainsFunc(keys, tooShort):
		if !c.failedQuery() {
			return
		}
	case byVendor:
		found = c.byVendorCode(keys, lists)
	case phone != "":
		found = c.byPhones(keys, lists)
	default:
		for _, key := range keys {
			if l, ok := c.d.table.lead(int64(number(key))); ok && (lists == nil || lists[l.ListID]) {
				found = append(found, l)
			}
		}
	}
	newestFirst(found)
	found = found[:min(len(found), c.records(maxRecords))]
	if c.set.MaxRecords > 0 {
		found = found[:min(len(found), c.set.MaxRecords)]
	}
	if len(found) == 0 {
		c.say("ERROR: lead_search NO MATCHES FOUND IN THE SYSTEM: |", c.userName, "|", leadID, "|", vendorCode, "|", phone)
		return
	}
	if leadID != "" {
		return // the real one prints nothing here
	}
	c.sayFound(keys, found, byVendor)
}

// tooShort: the documented lengths of a number are 6 to 19; what a shorter one
// does is known of a stored number with a comma, whose parts break the search.
func tooShort(key string) bool { return len(key) < 6 }

func (c *call) byPhones(phones []string, lists map[uint64]bool) []Lead {
	var found []Lead
	asked := map[string]bool{}
	for _, phone := range phones {
		if asked[phone] {
			continue
		}
		asked[phone] = true
		for _, l := range c.d.table.byPhone(phone) {
			if lists == nil || lists[l.ListID] {
				found = append(found, l)
			}
		}
	}
	return found
}

func (c *call) byVendorCode(codes []string, lists map[uint64]bool) []Lead {
	wanted := map[string]bool{}
	for _, code := range codes {
		wanted[strings.ToLower(stored(code, c.set.UseNonLatin))] = true
	}
	return c.d.table.scan(func(list uint64, packed string) bool {
		return (lists == nil || lists[list]) && wanted[strings.ToLower(at(packed, colVendorLeadCode))]
	})
}

func (c *call) sayFound(keys []string, found []Lead, byVendor bool) {
	credit := func(key string) string { return strings.TrimLeft(key, "0") } // as PHP's == compares numbers
	column := colPhone
	if byVendor {
		credit = func(key string) string { return key }
		column = colVendorLeadCode
	}
	ids := map[string][]string{}
	for _, l := range found {
		key := credit(c.shown(at(l.packed, column)))
		ids[key] = append(ids[key], strconv.FormatInt(l.ID, 10))
	}
	if c.header() {
		c.print("search_keyrecords_foundlead_ids\n") // so it is: without separators
	}
	for i, key := range keys {
		own := ids[credit(key)]
		c.print(key, "|", strconv.Itoa(len(own)), "|", strings.Join(own, "-"))
		if i < len(keys)-1 {
			c.print("\n")
		}
	}
	c.say()
}

// readable tells whether the user may read a lead: its list must be defined and
// of the group's campaigns, which a search does not ask.
func (c *call) readable(l Lead) bool { return c.allowedList(l.ListID) }

func leadFieldInfo(c *call) {
	id, field := c.param("lead_id", digits), c.param("field_name", dashedWord)
	if id == "" || field == "" {
		c.say("ERROR: lead_field_info INVALID SEARCH PARAMETERS: ", c.userName, "|", id, "|", field)
		return
	}
	if c.unreadable() && !c.failedQuery() {
		return
	}
	l, ok := c.d.table.lead(int64(number(id)))
	_, known := columnIndex[field]
	switch {
	case !ok || c.unreadable():
		c.say("ERROR: lead_field_info LEAD NOT FOUND: ", c.userName, "|", id)
	case !c.readable(l):
		c.say("ERROR: lead_field_info LIST NOT FOUND: ", c.userName, "|", id)
	case !known && l.Get(field) == "":
		c.say("ERROR: lead_field_info LEAD FIELD NOT FOUND: ", c.userName, "|", id, "|", field)
	case l.Get(field) == "":
		// An empty field is an empty 200.
	default:
		c.say(c.shown(l.Get(field)))
	}
}

// allInfoColumns is lead_all_info's order.
var allInfoColumns = func() []string {
	all := slices.Insert(slices.Clone(columnNames[:]), colGMT, "list_id")
	all = slices.Insert(all, slices.Index(all, "rank"), "last_local_call_time")
	return append(all, "lead_id")
}()

func leadAllInfo(c *call) {
	id, phone := c.param("lead_id", digits), c.param("phone_number", digits)
	if c.unreadable() && !c.failedQuery() {
		return
	}
	var found []Lead
	if l, ok := c.d.table.lead(int64(number(id))); ok {
		found = append(found, l)
	} else if id == "" && phone != "" {
		found = c.d.table.byPhone(phone)
		found = found[:min(len(found), maxRecords)]
	}
	if len(found) == 0 || c.unreadable() {
		c.say("ERROR: lead_all_info LEAD NOT FOUND: ", c.userName, "|", id, "|", phone)
		return
	}
	if slices.ContainsFunc(found, func(l Lead) bool { return !c.readable(l) }) {
		c.say("ERROR: lead_all_info LIST NOT FOUND: ", c.userName, "|", id, "|", phone)
		return
	}
	// The rows go unescaped into the log statement before they are printed.
	if c.set.PHP == PHP81 && slices.ContainsFunc(found, func(l Lead) bool { return strings.Contains(l.packed, "'") }) {
		c.die()
		return
	}
	separator := c.separator()
	if c.header() {
		c.print(strings.Join(allInfoColumns, separator), "\n")
	}
	for i, l := range found {
		row := make([]string, len(allInfoColumns))
		for j, column := range allInfoColumns {
			row[j] = c.shown(l.Get(column))
		}
		if i > 0 {
			c.print("\n")
		}
		c.print(strings.Join(row, separator))
	}
	c.say()
}

// separator is between the values of a table, as `stage` says.
func (c *call) separator() string {
	switch strings.ToLower(c.param("stage", word)) {
	case "csv":
		return ","
	case "tab":
		return "\t"
	case "newline":
		return "\n"
	}
	return "|"
}

func (c *call) header() bool { return c.param("header", upper) == "YES" }

// leadStatusSearch looks through the call log, which is empty here: nothing is dialled.
func leadStatusSearch(c *call) {
	c.say("ERROR: lead_status_search NO RESULTS FOUND: ", c.userName, "|", c.param("lead_id", digits), "|",
		c.param("status", dashedWord), "|")
}
