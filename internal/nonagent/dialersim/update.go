package dialersim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// updateLead finds leads and then tells of, deletes, changes or adds them.
func updateLead(c *call) {
	method := c.param("search_method", dashedWord)
	if method == "" {
		method = "LEAD_ID"
	}
	id, vendorCode, phone := c.param("lead_id", digits), c.param("vendor_lead_code", freeText), c.param("phone_number", digitList)
	sought := strings.Join([]string{c.userName, id, vendorCode, phone}, "|")
	asked := strings.Contains(method, "LEAD_ID") && id != "" ||
		strings.Contains(method, "VENDOR_LEAD_CODE") && vendorCode != "" ||
		strings.Contains(method, "PHONE_NUMBER") && phone != ""
	if !asked {
		c.say("ERROR: update_lead NO VALID SEARCH METHOD - ", c.userName, "|", method, "|", id, "|", vendorCode, "|", phone)
		return
	}
	if c.unreadable() && !c.failedQuery() {
		return
	}
	found, ok := c.findForUpdate(method, id, vendorCode, phone)
	if !ok {
		return
	}
	probe, insert := c.yes("no_update"), c.yes("insert_if_not_found")
	if len(found) == 0 {
		result := "ERROR"
		if probe || insert {
			result = "NOTICE"
		}
		if c.say(result, ": update_lead NO MATCHES FOUND IN THE SYSTEM: |", sought) && insert && !probe {
			c.insertUnfound()
		}
		return
	}
	for _, l := range found {
		leadID := strconv.FormatInt(l.ID, 10)
		var goOn bool
		switch {
		case c.user.ListRestrict && !c.allowedList(l.ListID):
			goOn = c.say("ERROR: update_lead NOT AN ALLOWED LIST ID, RESULTS - ", phone, "|", strconv.FormatUint(l.ListID, 10))
		case probe:
			goOn = c.say("NOTICE: update_lead LEADS FOUND IN THE SYSTEM: |", c.userName, "|", leadID, "|", vendorCode, "|", phone,
				"|", strconv.FormatUint(l.ListID, 10), "|", l.Get("entry_list_id"))
		case c.yes("delete_lead"):
			goOn = c.deleteLead(l)
		default:
			goOn = c.changeLead(l)
		}
		if !goOn {
			return
		}
	}
}

// findForUpdate tries lead id, vendor code and number in this order. Of several
// leads the newest count; within a second, the database's choice.
func (c *call) findForUpdate(method, id, vendorCode, phone string) ([]Lead, bool) {
	lists, ok := c.searchLists()
	if !ok {
		return nil, false
	}
	var found []Lead
	if l, have := c.d.table.lead(int64(number(id))); have && strings.Contains(method, "LEAD_ID") && (lists == nil || lists[l.ListID]) {
		found = append(found, l)
	}
	if len(found) == 0 && vendorCode != "" && strings.Contains(method, "VENDOR_LEAD_CODE") {
		found = c.byVendorCode([]string{vendorCode}, lists)
	}
	if len(found) == 0 && phone != "" && strings.Contains(method, "PHONE_NUMBER") {
		found = c.byPhones([]string{phone}, lists)
	}
	slices.SortFunc(found, func(a, b Lead) int {
		return cmp.Or(cmp.Compare(b.Entered.Unix(), a.Entered.Unix()), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(len(found), c.records(1))], true
}

// records is the most leads to take.
func (c *call) records(standard int) int {
	if n, err := strconv.Atoi(c.param("records", digits)); err == nil && n > 0 {
		return n
	}
	return standard
}

func (c *call) insertUnfound() {
	v := c.readColumns()
	code, list := c.param("phone_code", digits), c.param("list_id", digits)
	if len(v[colPhone]) < 6 || len(v[colPhone]) > 18 || code == "" || len(list) < 3 {
		c.say("ERROR: update_lead INVALID DATA FOR LEAD INSERTION - ", c.userName, "|", v[colPhone], "|", code, "|", list, "|Y")
		return
	}
	if c.user.ListRestrict && !c.allowedList(number(list)) {
		c.say("ERROR: update_lead NOT AN ALLOWED LIST ID, INSERT - ", v[colPhone], "|", list)
		return
	}
	v[colStatus] = cmp.Or(cut(c.param("status", dashedWord), 6), "NEW")
	v[colEntryList] = cmp.Or(v[colEntryList], "0")
	if id, ok := c.insert(list, &v); ok {
		c.setCustomFields(id, list, v[colPhone], "ADDED")
	}
}

func (c *call) deleteLead(l Lead) bool {
	removed := "0"
	if !c.write(func() {
		if c.d.table.remove(l.ID) {
			removed = "1"
		}
	}) {
		return false
	}
	return c.say("SUCCESS: update_lead LEAD HAS BEEN DELETED 0|0 - ",
		c.userName, "|", strconv.FormatInt(l.ID, 10), "|", removed, "|0|0|")
}

func (c *call) changeLead(l Lead) bool {
	changed, ok := c.change(l)
	if !ok {
		return false
	}
	affected := "0"
	if changed {
		affected = "1"
	}
	return c.say("SUCCESS: update_lead LEAD HAS BEEN UPDATED - ", c.userName, "|", strconv.FormatInt(l.ID, 10), "|", affected, "|||") &&
		c.setCustomFields(l.ID, strconv.FormatUint(l.ListID, 10), l.Get("phone_number"), "UPDATED")
}

// change writes the columns that the request gives, --BLANK-- for an empty one.
// phone_number is what a lead is found by and stays.
func (c *call) change(l Lead) (changed, ok bool) {
	sent := c.readColumns()
	sent[colPhoneCode] = c.param("phone_code", digits)
	sent[colPhone] = ""
	sent[colUser] = c.param("user_field", dashedWord)
	sent[colStatus] = cut(c.param("status", dashedWord), 6)
	sent[colCalledCount] = c.param("called_count", digits)
	row, valid := c.stored(&sent)
	if !valid {
		c.die()
		return false, false
	}
	list := l.ListID
	if field := c.param("list_id_field", digits); len(field) >= 3 {
		list = number(field)
	}
	ok = c.write(func() {
		fresh, there := c.d.table.lead(l.ID)
		if !there {
			return
		}
		v := unpack(fresh.packed)
		for i := range v {
			switch {
			case sent[i] == "--BLANK--":
				v[i] = ""
			case sent[i] != "":
				v[i] = row[i]
			}
		}
		changed = c.d.table.update(l.ID, list, &v)
	})
	return changed, ok
}

// batchUpdateLead changes several leads alike. Its default for `records` is the
// measured one; the documentation says 100.
func batchUpdateLead(c *call) {
	ids := c.param("lead_ids", digitList)
	var found []Lead
	for id := range strings.SplitSeq(ids, ",") {
		if l, ok := c.d.table.lead(int64(number(id))); ok {
			found = append(found, l)
		}
	}
	newestFirst(found)
	found = found[:min(len(found), c.records(maxRecords))]
	if len(found) == 0 {
		c.say("ERROR: batch_update_lead NO MATCHES FOUND IN THE SYSTEM: |", c.userName, "|", ids)
		return
	}
	updated := 0
	for _, l := range found {
		changed, ok := c.change(l)
		if !ok {
			return
		}
		if changed {
			updated++
		}
	}
	c.say("SUCCESS: batch_update_lead LEADS HAVE BEEN UPDATED - ",
		c.userName, "|", strconv.Itoa(updated), "|", strconv.Itoa(len(found)), "|", ids)
}
