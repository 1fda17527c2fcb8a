package dialersim

import (
	"strconv"
	"strings"
	"time"
)

// dncEntry is a number on a campaign's DNC list, "" being the internal one.
type dncEntry struct{ campaign, phone string }

// internalDNC is how add_dnc_phone calls the internal list.
const internalDNC = "SYSTEM_INTERNAL"

func dncKey(campaign, phone string) dncEntry {
	if campaign == internalDNC {
		campaign = ""
	}
	return dncEntry{strings.ToUpper(campaign), phone}
}

// AddDNC puts a number, or an area code such as 305XXXXXXX, on the DNC list of
// a campaign, or with "" on the internal one.
func (d *Dialer) AddDNC(campaign, phone string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dnc[dncKey(campaign, phone)] = true
}

func addDNCPhone(c *call) {
	phone, campaign, ok := c.dncTarget()
	if !ok {
		return
	}
	if c.onDNC(campaign, "Y", phone) {
		c.say("ERROR: add_dnc_phone DNC NUMBER ALREADY EXISTS: |", c.userName, "|", phone, "|", campaign)
		return
	}
	c.d.AddDNC(campaign, phone)
	c.say("SUCCESS: add_dnc_phone DNC NUMBER HAS BEEN ADDED - ", c.userName, "|", phone, "|", campaign)
}

func deleteDNCPhone(c *call) {
	phone, campaign, ok := c.dncTarget()
	if !ok {
		return
	}
	if !c.onDNC(campaign, "Y", phone) {
		c.say("ERROR: delete_dnc_phone DNC NUMBER DOES NOT EXIST: |", c.userName, "|", phone, "|", campaign) // not recorded
		return
	}
	c.d.mu.Lock()
	delete(c.d.dnc, dncKey(campaign, phone))
	c.d.mu.Unlock()
	c.say("SUCCESS: delete_dnc_phone DNC NUMBER HAS BEEN DELETED - ", c.userName, "|", phone, "|", campaign)
}

// dncTarget reads the two parameters that both DNC functions need; their
// refusals are not recorded.
func (c *call) dncTarget() (phone, campaign string, ok bool) {
	phone, campaign = c.param("phone_number", keeping(alnum)), c.param("campaign_id", dashedWord)
	if len(phone) < 6 || len(campaign) < 2 {
		c.say("ERROR: ", c.function, " YOU MUST USE ALL REQUIRED FIELDS: |", c.userName, "|", phone, "|", campaign)
		return "", "", false
	}
	if _, known := c.d.campaign(campaign); !known && campaign != internalDNC {
		c.say("ERROR: ", c.function, " CAMPAIGN DOES NOT EXIST: |", c.userName, "|", phone, "|", campaign)
		return "", "", false
	}
	return phone, campaign, true
}

// checkPhoneNumber never looks at leads.
func checkPhoneNumber(c *call) {
	v := c.readColumns()
	callTime := c.param("local_call_time", dashedWord)
	hours, ok := callTimes[callTime]
	if !ok {
		c.say("ERROR: check_phone_number THIS IS NOT A VALID CALL TIME: |", c.userName, "|", callTime, "|")
		return
	}
	if !c.acceptPhone(v[colPhone]) {
		return
	}
	gmt := gmtOffset(c.now, c.param("tz_method", dashedWord), &v)
	now := "0"
	if dialable(c.now, hours, gmt) {
		now = "1"
	}
	c.say("AREACODE: ", now, "|", gmt, "#PHONE: ", v[colPhone], "|", v[colPhoneCode], "|", v[colPostalCode], "|", v[colState], "|", v[colOwner], "|")
}

func yesNo(inactive bool) string {
	if inactive {
		return "N"
	}
	return "Y"
}

func listInfo(c *call) {
	id := c.param("list_id", digits)
	l, ok := c.d.list(number(id))
	if !ok {
		c.say("ERROR: list_info LIST DOES NOT EXIST: |", c.userName, "|", id)
		return
	}
	counts := c.yes("leads_counts")
	columns := []string{
		"list_id", "list_name", "campaign_id", "active", "list_changedate", "list_lastcalldate", "expiration_date", "resets_today",
	}
	row := []string{strconv.FormatUint(l.ID, 10), l.Name, l.Campaign, yesNo(l.Inactive), "", "", "2099-12-31", "0"}
	if counts {
		all, fresh := c.d.table.count(l.ID)
		columns = append(columns, "all_leads_count", "new_leads_count")
		row = append(row, strconv.Itoa(all), strconv.Itoa(fresh))
	}
	separator := c.separator()
	if c.header() {
		c.print(strings.Join(columns, separator), "\n")
	}
	c.say(strings.Join(row, separator), separator)
}

func listCustomFields(c *call) {
	id := c.param("list_id", digits)
	l, ok := c.d.list(number(id))
	if !ok {
		c.say("ERROR: list_custom_fields LIST DOES NOT EXIST: |", c.userName, "|", id) // not recorded
		return
	}
	c.say(strings.Join([]string{
		strconv.FormatUint(l.ID, 10), l.Name, l.Campaign, yesNo(l.Inactive), "", "", strings.Join(l.CustomFields, " "),
	}, c.separator()))
}

// addList follows the documented refusals; its success is recorded.
func addList(c *call) {
	id, name, campaign := c.param("list_id", digits), c.param("list_name", spacedWord), c.param("campaign_id", dashedWord)
	if len(id) < 2 || len(name) < 2 || len(campaign) < 2 {
		c.say("ERROR: add_list YOU MUST USE ALL REQUIRED FIELDS: |", c.userName, "|", id, "|", name, "|", campaign)
		return
	}
	if _, ok := c.d.campaign(campaign); !ok {
		c.say("ERROR: add_list CAMPAIGN DOES NOT EXIST: |", c.userName, "|", campaign)
		return
	}
	if _, ok := c.d.list(number(id)); ok {
		c.say("ERROR: add_list LIST ALREADY EXISTS: |", c.userName, "|", id)
		return
	}
	c.d.SetList(List{ID: number(id), Name: name, Campaign: campaign, Inactive: !c.yes("active")})
	c.say("SUCCESS: add_list LIST HAS BEEN ADDED - ", c.userName, "|", id, "|", name, "|", campaign)
}

// campaignsList shows every campaign with the dialling settings of a new one.
func campaignsList(c *call) {
	only, separator := c.param("campaign_id", dashedWord), c.separator()
	if c.header() {
		c.print(strings.Join([]string{
			"campaign_id", "campaign_name", "active", "user_group", "dial_method", "dial_level", "lead_order", "dial_statuses",
			"dial_timeout", "dial_prefix", "manual_dial_prefix", "three_way_dial_prefix",
		}, separator), "\n")
	}
	var rows []string
	for _, campaign := range c.d.campaigns {
		if c.mayUse(campaign.ID) && (only == "" || strings.EqualFold(only, campaign.ID)) {
			rows = append(rows, strings.Join([]string{
				campaign.ID, campaign.Name, "Y", "---ALL---", "MANUAL", "0", "", "NEW - ", "60", "9", "", "",
			}, separator))
		}
	}
	if len(rows) == 0 {
		c.say("ERROR: campaigns_list THIS USER HAS NO VIEWABLE CAMPAIGNS: ", c.userName)
		return
	}
	c.say(strings.Join(rows, "\n"))
}

// hopperList's rows are the documented ones, not recorded.
func hopperList(c *call) {
	campaign := c.param("campaign_id", dashedWord)
	if _, ok := c.d.campaign(campaign); !ok {
		c.say("ERROR: hopper_list THIS CAMPAIGN DOES NOT EXIST: ", c.userName, "|", campaign)
		return
	}
	c.d.mu.RLock()
	var waiting []hopperEntry
	for _, entry := range c.d.hopper {
		if strings.EqualFold(entry.campaign, campaign) {
			waiting = append(waiting, entry)
		}
	}
	c.d.mu.RUnlock()
	separator := c.separator()
	var rows []string
	for _, entry := range waiting {
		l, ok := c.d.table.lead(entry.lead)
		if !ok {
			continue
		}
		age := int(c.now.Sub(l.Entered) / (24 * time.Hour))
		rows = append(rows, strings.Join([]string{
			strconv.Itoa(len(rows)), strconv.Itoa(entry.priority), l.Get("lead_id"), l.Get("list_id"), l.Get("phone_number"),
			l.Get("phone_code"), l.Get("state"), l.Get("status"), l.Get("called_count"), l.Get("gmt_offset_now"), l.Get("rank"),
			"", "P", l.Get("vendor_lead_code"), l.Get("source_id"), strconv.Itoa(age), "",
		}, separator))
	}
	if len(rows) == 0 {
		c.say("ERROR: hopper_list THERE ARE NO LEADS IN THE HOPPER FOR THIS CAMPAIGN: ", c.userName, "|", campaign)
		return
	}
	if c.header() {
		c.print(strings.Join([]string{
			"hopper_order", "priority", "lead_id", "list_id", "phone_number", "phone_code", "state", "status", "count",
			"gmt_offset", "rank", "alt", "hopper_source", "vendor_lead_code", "source_id", "age_days", "last_call_time",
		}, separator), "\n")
	}
	c.say(strings.Join(rows, "\n"))
}

// soundsList is a plausible audio store; its answer is not recorded.
func soundsList(c *call) {
	c.say("1\tbeep.wav\t2014-09-18 15:57:13\t4444\n2\tding.wav\t2014-09-18 15:57:13\t8044")
}
