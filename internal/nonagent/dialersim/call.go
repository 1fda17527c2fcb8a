package dialersim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// call is one execution of the API's script.
type call struct {
	d          *Dialer
	set        *Settings
	form       *form
	now        time.Time
	remoteAddr string
	resp       *Response

	function string
	userName string // as sent
	user     User
	group    Group

	// logBroken: the statement that logs an answer line fails, either always
	// or since it holds an unescaped value of this request.
	logBroken bool
	worked    bool // the latency was waited out
}

// function is one function of the API.
type function struct {
	run     func(*call)
	allowed func(User) bool
	refusal string // what the user has no permission to do
}

func writesLeads(u User) bool { return u.Level >= 8 && u.ModifyLeads >= 1 && u.ModifyLeads <= 4 }
func readsLeads(u User) bool  { return u.Level >= 7 && u.ModifyLeads >= 1 && u.ModifyLeads <= 4 }
func writesLists(u User) bool { return u.Level >= 8 && u.ModifyLists }
func seesReports(u User) bool { return u.Level >= 8 && u.ViewReports }

// functions: who may call them is measured. Of the refusals only add_lead's is
// recorded, the others follow its shape with the documented words.
var functions = map[string]function{
	"add_lead":          {addLead, writesLeads, "ADD LEADS TO THE SYSTEM"},
	"update_lead":       {updateLead, writesLeads, "UPDATE LEADS IN THE SYSTEM"},
	"batch_update_lead": {batchUpdateLead, writesLeads, "UPDATE LEADS IN THE SYSTEM"},
	"lead_search": {leadSearch, func(u User) bool {
		return u.Level >= 8 && u.ModifyLeads >= 1 && u.ModifyLeads <= 5
	}, "SEARCH FOR LEADS"},
	"lead_field_info": {leadFieldInfo, readsLeads, "GET LEAD INFO"},
	"lead_all_info": {leadAllInfo, func(u User) bool {
		return u.Level >= 7 && u.ModifyLeads >= 1 && u.ModifyLeads <= 5 && u.ViewReports
	}, "GET LEAD INFO"},
	"lead_status_search": {leadStatusSearch, readsLeads, "GET LEAD INFO"},
	"check_phone_number": {checkPhoneNumber, func(u User) bool { return u.Level >= 8 }, "CHECK PHONE NUMBERS"},
	"list_info":          {listInfo, writesLists, "GET LIST INFO"},
	"list_custom_fields": {listCustomFields, writesLists, "GET LIST INFO"},
	"add_list":           {addList, writesLists, "ADD LISTS"},
	"campaigns_list":     {campaignsList, seesReports, "GET CAMPAIGN INFO"},
	"hopper_list":        {hopperList, seesReports, "GET CAMPAIGN INFO"},
	"sounds_list":        {soundsList, func(u User) bool { return u.Level >= 7 }, "VIEW SOUNDS LIST"},
	"add_dnc_phone":      {addDNCPhone, writesLists, "ADD DNC PHONE NUMBERS"},
	"delete_dnc_phone":   {deleteDNCPhone, writesLists, "DELETE DNC PHONE NUMBERS"},
}

// execute runs the script for a request and returns its answer. change, where
// not nil, is of the settings and for this request alone.
func (d *Dialer) execute(r *http.Request, req *Request, change func(*Settings)) *Response {
	set := d.settings.Load()
	if change != nil {
		own := *set
		change(&own)
		set = &own
	}
	c := &call{
		d: d, set: set, form: req.form, function: req.Function,
		now: d.now(), remoteAddr: r.RemoteAddr,
		resp: &Response{Status: http.StatusOK, Header: make(http.Header, 6), Body: make([]byte, 0, 128)},
	}
	c.run()
	c.work()
	return c.resp
}

func (c *call) run() {
	if !c.d.thawed() {
		c.resp.Drop = true
		return
	}
	header := c.resp.Header
	if c.set.ConnectError != "" {
		header["Content-Type"] = earlyType
		if c.set.PHP == PHP81 {
			c.die()
			return
		}
		c.print("MySQL connect ERROR:  ", c.set.ConnectError)
		return
	}
	header["Content-Type"], header["Cache-Control"], header["Pragma"] = plainType, noCache, pragma
	switch {
	case c.function == "coffee":
		c.resp.Status = http.StatusTeapot
	case c.form.size > maxPacket && c.form.size <= maxPost && c.set.PHP == PHP81:
		c.die()
	case c.function == "version":
		c.version()
	case c.login() && c.source():
		c.dispatch()
	}
	if c.resp.Status == http.StatusOK {
		header["Vary"] = varies
	}
}

func (c *call) source() bool {
	source := filter(c.form.get("source"), word, false)
	if len(source) >= 2 {
		return true
	}
	c.print("ERROR: Invalid Source - ", source, "\nERROR: Invalid Source: |", source, "|\n")
	return false
}

func (c *call) dispatch() {
	if len(c.user.Functions) > 0 && !slices.Contains(c.user.Functions, c.function) {
		c.print("ERROR: auth USER DOES NOT HAVE PERMISSION TO USE THIS FUNCTION: |", c.userName, "|", c.function, "|\n")
		return
	}
	f, ok := functions[c.function]
	if !ok {
		c.print("ERROR: NO FUNCTION SPECIFIED\n")
		return
	}
	// The value of the last POST parameter goes into the log statement
	// unescaped, and so does the raw query string.
	if last := len(c.form.body) - 1; last >= 0 {
		value := c.form.body[last].value
		c.logBroken = strings.Contains(value, "'") || strings.HasSuffix(value, `\`)
	}
	c.logBroken = c.logBroken || c.set.LogFails || strings.Contains(c.form.rawQuery, "'")
	if !c.user.APIAccess || !f.allowed(c.user) {
		c.say("ERROR: ", c.function, " USER DOES NOT HAVE PERMISSION TO ", f.refusal, ": |", c.userName, "|0|")
		return
	}
	f.run(c)
}

// version answers without a login. Its time zone is the one of a fresh
// installation's server record, which has nothing to do with the clock's.
func (c *call) version() {
	dst, zone := "0", "-5.00"
	if c.now.IsDST() {
		dst, zone = "1", "-4.00"
	}
	c.print("VERSION: 2.14-194|BUILD: 241004-1518|DATE: ", c.now.Format(dateTime),
		"|EPOCH: ", strconv.FormatInt(c.now.Unix(), 10), "|DST: ", dst, "|TZ: -5.00|TZNOW: ", zone, "|\n")
}

// print writes to the answer.
func (c *call) print(parts ...string) {
	for _, part := range parts {
		c.resp.Body = append(c.resp.Body, part...)
	}
}

// say answers one line and logs it. False: the script ended with it.
func (c *call) say(parts ...string) bool {
	c.print(parts...)
	c.resp.Body = append(c.resp.Body, '\n')
	if c.logBroken && c.set.PHP == PHP81 {
		c.die()
		return false
	}
	return true
}

// die ends the script as an exception does: a 500 with what was said so far.
func (c *call) die() {
	c.resp.Status = http.StatusInternalServerError
	c.resp.Header["Connection"] = closes
}

// failedQuery is a SELECT that the database refuses. True: this PHP goes on as
// if there were no rows.
func (c *call) failedQuery() bool {
	if c.set.PHP == PHP7 {
		return true
	}
	c.die()
	return false
}

// work waits out the latency, once in a call. False: the dialer was stopped.
func (c *call) work() bool {
	if c.worked {
		return true
	}
	c.worked = true
	return c.d.desk.sleep(c.d.latency, nil)
}

// write changes the lead table, when its turn comes. False: the dialer was
// stopped while the call waited, and nothing was changed.
func (c *call) write(change func()) bool {
	if !c.work() || !c.d.table.enter(c.d.desk.stopped) {
		c.resp.Drop = true
		return false
	}
	defer c.d.table.leave()
	if !c.d.thawed() {
		c.resp.Drop = true
		return false
	}
	change()
	return true
}

// param is a parameter after its filter.
func (c *call) param(name string, kept *class) string {
	return filter(c.form.get(name), kept, c.set.UseNonLatin)
}

// yes tells whether a switch is Y; a lower case y is filtered away.
func (c *call) yes(name string) bool { return c.param(name, upper) == "Y" }

// column is a value as its VARCHAR(n) column keeps it.
func (c *call) column(s string, n int) string { return cut(stored(s, c.set.UseNonLatin), n) }

// shown is a column as this connection reads it.
func (c *call) shown(s string) string { return shown(s, c.set.UseNonLatin) }
