package dialersim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AltPhone is an alternate number of a lead.
type AltPhone struct {
	LeadID            int64
	Phone, Code, Note string
}

// Callback is a scheduled callback.
type Callback struct {
	LeadID                                       int64
	ListID                                       uint64
	Campaign, When, Type, User, Status, Comments string
}

type hopperEntry struct {
	id, priority int
	lead         int64
	campaign     string
}

// Hopper is the leads in the hopper, the next to be called first.
func (d *Dialer) Hopper() []int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	leads := make([]int64, len(d.hopper))
	for i, entry := range d.hopper {
		leads[i] = entry.lead
	}
	return leads
}

// loadAltPhones reads multi_alt_phones. The real one prints every number
// without a line break, glued to the NOTICE that follows.
func (c *call) loadAltPhones(id int64) bool {
	list := c.param("multi_alt_phones", altList)
	if len(list) <= 5 {
		return true
	}
	count := 0
	for entry := range strings.SplitSeq(list, "!") {
		phone, rest, _ := strings.Cut(entry, "_")
		code, note, _ := strings.Cut(rest, "_")
		if code == "" {
			code = "1"
		}
		count++
		c.print(phone, "|", code, "|", note)
		c.d.mu.Lock()
		c.d.altPhones = append(c.d.altPhones, AltPhone{id, phone, code, note})
		c.d.mu.Unlock()
	}
	return c.say("NOTICE: add_lead MULTI-ALT-PHONE NUMBERS LOADED - ",
		strconv.Itoa(count), "|", strconv.FormatInt(id, 10), "|", c.userName)
}

// customValues is the request's values for a list's custom fields. False: the
// list can take none, and why was said.
func (c *call) customValues(id int64, list, phone string) (found map[string]string, ok, goOn bool) {
	leadID := strconv.FormatInt(id, 10)
	refuse := func(parts ...string) (map[string]string, bool, bool) {
		return nil, false, c.say(append([]string{"NOTICE: ", c.function, " CUSTOM FIELDS NOT ADDED, "}, parts...)...)
	}
	if !c.set.CustomFields {
		return refuse("CUSTOM FIELDS DISABLED - ", phone, "|", leadID, "|Y|0")
	}
	l, _ := c.d.list(number(list))
	if l.CustomFields == nil {
		return refuse("NO CUSTOM FIELDS DEFINED FOR THIS LIST - ", phone, "|", leadID, "|", list)
	}
	if len(l.CustomFields) == 0 {
		return refuse("NO FIELDS DEFINED - ", phone, "|", leadID, "|", list)
	}
	found = map[string]string{}
	for _, label := range l.CustomFields {
		if value := c.param(label, customValue); value != "" {
			found[label] = c.column(strings.TrimSuffix(value, `\`), 255)
		}
	}
	return found, true, true
}

// addCustomFields is broken in this revision: its INSERT has a trailing comma.
func (c *call) addCustomFields(id int64, list, phone string) bool {
	if !c.yes("custom_fields") {
		return true
	}
	_, ok, goOn := c.customValues(id, list, phone)
	if !ok {
		return goOn
	}
	if c.set.PHP == PHP81 {
		c.die()
		return false
	}
	return c.say("NOTICE: add_lead CUSTOM FIELDS NOT ADDED, NO FIELDS TO UPDATE DEFINED - ",
		phone, "|", strconv.FormatInt(id, 10), "|", list)
}

// setCustomFields is update_lead's way, which works; the lead then names the
// list whose fields it has.
func (c *call) setCustomFields(id int64, list, phone, done string) bool {
	if !c.yes("custom_fields") {
		return true
	}
	found, ok, goOn := c.customValues(id, list, phone)
	if !ok {
		return goOn
	}
	d := c.d
	d.mu.Lock()
	have := d.custom[id]
	if have == nil {
		have = map[string]string{}
		d.custom[id] = have
	}
	maps.Copy(have, found)
	d.mu.Unlock()
	if !c.write(func() {
		if l, there := d.table.lead(id); there {
			v := unpack(l.packed)
			v[colEntryList] = strconv.FormatUint(l.ListID, 10)
			d.table.update(id, l.ListID, &v)
		}
	}) {
		return false
	}
	return c.say("NOTICE: update_lead CUSTOM FIELDS VALUES ", done, " - ", phone, "|", strconv.FormatInt(id, 10), "|", list, "|1")
}

// callTimes is the call time ids of a fresh installation, in hours of the lead's day.
var callTimes = map[string][2]float64{
	"24hours": {0, 24}, "9am-9pm": {9, 21}, "9am-5pm": {9, 17}, "12pm-5pm": {12, 17}, "12pm-9pm": {12, 21}, "5pm-9pm": {17, 21},
}

// dialable tells whether it is within a call time where the lead is.
func dialable(now time.Time, hours [2]float64, gmt string) bool {
	offset, err := strconv.ParseFloat(gmt, 64)
	if err != nil {
		offset = 0
	}
	local := now.UTC().Add(time.Duration(offset * float64(time.Hour)))
	hour := float64(local.Hour()) + float64(local.Minute())/60
	return hour >= hours[0] && hour < hours[1]
}

func (c *call) addToHopper(id int64, list uint64, v *values) bool {
	if !c.yes("add_to_hopper") {
		return true
	}
	l, _ := c.d.list(list) // an undefined list's campaign is ''
	campaign, _ := c.d.campaign(l.Campaign)
	hours, ok := callTimes[campaign.CallTime]
	if !ok {
		hours = callTimes["9am-9pm"]
	}
	leadID := strconv.FormatInt(id, 10)
	if c.yes("hopper_local_call_time_check") && !dialable(c.now, hours, v[colGMT]) {
		return c.say("NOTICE: add_lead NOT ADDED TO HOPPER, OUTSIDE OF LOCAL TIME - ",
			v[colPhone], "|", leadID, "|", v[colGMT], "|0|", c.userName)
	}
	priority, err := strconv.Atoi(c.param("hopper_priority", dateDigits))
	if err != nil || priority < -99 || priority > 99 {
		priority = 0
	}
	d := c.d
	d.mu.Lock()
	d.hopperID++
	entry := hopperEntry{d.hopperID, priority, id, l.Campaign}
	d.hopper = append(d.hopper, entry)
	slices.SortStableFunc(d.hopper, func(a, b hopperEntry) int { return b.priority - a.priority })
	d.mu.Unlock()
	return c.say("NOTICE: add_lead ADDED TO HOPPER - ", v[colPhone], "|", leadID, "|", strconv.Itoa(entry.id), "|", c.userName)
}

// addCallback schedules a callback. Where it refuses, the lead stays CBHOLD and
// is never dialled.
func (c *call) addCallback(id int64, list uint64) bool {
	if !c.yes("callback") {
		return true
	}
	b := Callback{
		LeadID: id, ListID: list,
		Campaign: c.param("campaign_id", dashedWord),
		When:     c.param("callback_datetime", moment),
		Type:     c.param("callback_type", upper),
		User:     c.param("callback_user", dashedWord),
		Status:   cut(c.param("callback_status", dashedWord), 6),
		Comments: c.column(c.param("callback_comments", freeText), 255),
	}
	if b.Type != "USERONLY" {
		b.Type = "ANYONE"
	}
	if b.Status == "" {
		b.Status = "CALLBK"
	}
	if days, ok := strings.CutSuffix(b.When, "DAYS"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			b.When = c.now.AddDate(0, 0, n).Format(dateTime)
		}
	} else if b.When == "NOW" {
		b.When = c.now.Format(dateTime)
	}
	leadID := strconv.FormatInt(id, 10)
	if _, ok := c.d.campaign(b.Campaign); !ok {
		return c.say("NOTICE: add_lead SCHEDULED CALLBACK NOT ADDED, CAMPAIGN NOT VALID - ", leadID, "|", b.Campaign)
	}
	d := c.d
	d.mu.Lock()
	known := b.Type != "USERONLY" || d.accounts[strings.ToLower(b.User)] != nil
	if known {
		d.callbacks = append(d.callbacks, b)
	}
	d.mu.Unlock()
	if !known {
		return c.say("NOTICE: add_lead SCHEDULED CALLBACK NOT ADDED, USER NOT VALID - ",
			leadID, "|", b.Campaign, "|", b.User, "|", b.Type)
	}
	return c.say("NOTICE: add_lead SCHEDULED CALLBACK ADDED - ",
		leadID, "|", b.Campaign, "|", b.When, "|", b.Type, "|", b.User, "|", b.Status)
}
