package dialersim

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// columns: how add_lead and update_lead read each column that a request may
// give, and what its VARCHAR keeps.
var columns = [columnCount]struct {
	kept *class
	max  int
}{
	colVendorLeadCode: {freeText, 20},
	colSourceID:       {freeText, 50},
	colPhoneCode:      {digits, 10},
	colPhone:          {digitList, 18},
	colTitle:          {nameText, 4},
	colFirstName:      {nameText, 30},
	colMiddleInitial:  {initial, 1},
	colLastName:       {nameText, 30},
	colAddress1:       {addressText, 100},
	colAddress2:       {addressText, 100},
	colAddress3:       {addressText, 100},
	colCity:           {addressText, 50},
	colState:          {stateText, 2},
	colProvince:       {provinceText, 50},
	colPostalCode:     {postalText, 10},
	colCountryCode:    {initial, 3},
	colGender:         {upper, 1},
	colBirth:          {dateDigits, 10},
	colAltPhone:       {nameText, 12},
	colEmail:          {emailText, 70},
	colSecurityPhrase: {addressText, 100},
	colComments:       {freeText, 255},
	colRank:           {digits, 5},
	colOwner:          {addressText, 20},
	colEntryList:      {digits, 14},
}

// readColumns is the filtered columns of the request, not yet cut.
func (c *call) readColumns() values {
	var v values
	for i := range columns {
		if columns[i].kept != nil {
			v[i] = c.param(columnNames[i], columns[i].kept)
		}
	}
	v[colUser], v[colCalledCount] = c.userName, "0"
	if v[colPhoneCode] == "" {
		v[colPhoneCode] = "1"
	}
	return v
}

// addLead checks in the measured order, inserts, and then does what the other
// parameters ask for.
func addLead(c *call) {
	v := c.readColumns()
	list := c.param("list_id", digits)
	if c.user.ListRestrict && !c.allowedList(number(list)) {
		c.say("ERROR: add_lead NOT AN ALLOWED LIST ID - ", v[colPhone], "|", list)
		return
	}
	if len(list) < 3 {
		list = "999"
	}
	if strings.ContainsAny(c.param("list_exists_check", word), "yY") {
		if _, ok := c.d.list(number(list)); !ok {
			c.say("ERROR: add_lead NOT A DEFINED LIST ID, LIST EXISTS CHECK ENABLED - ", v[colPhone], "|", list)
			return
		}
	}
	if !c.acceptPhone(v[colPhone]) || !c.acceptUnique(list, &v) {
		return
	}
	v[colStatus] = "NEW"
	if c.yes("callback") {
		v[colStatus] = "CBHOLD"
	}
	if v[colGender] == "" {
		v[colGender] = "U"
	}
	if v[colRank] == "" {
		v[colRank] = "0"
	}
	if v[colState] == "" && c.yes("lookup_state") {
		if z := areaOf(v[colPhoneCode], v[colPhone], ""); z != nil {
			v[colState] = z.state
		}
	}
	if v[colEntryList] == "" || c.yes("custom_fields") {
		v[colEntryList] = "0"
	}
	id, ok := c.insert(list, &v)
	if !ok {
		return
	}
	_ = c.loadAltPhones(id) &&
		c.addCustomFields(id, list, v[colPhone]) &&
		c.addToHopper(id, number(list), &v) &&
		c.addCallback(id, number(list))
}

// insert adds the lead and says so. False: the script ended, with or without a lead.
func (c *call) insert(list string, v *values) (id int64, ok bool) {
	v[colGMT] = gmtOffset(c.now, c.param("tz_method", dashedWord), v)
	row, ok := c.stored(v)
	if !ok || c.set.InsertFails {
		if c.set.PHP == PHP81 {
			c.work()
			c.die()
			return 0, false
		}
		c.say("ERROR: ", c.function, " LEAD HAS NOT BEEN ADDED - ", v[colPhone], "|", list, "|", c.statement(list, v), "|", c.userName)
		return 0, false
	}
	if !c.write(func() { id = c.d.table.insert(number(list), c.now, &row, true) }) {
		return 0, false
	}
	return id, c.say("SUCCESS: ", c.function, " LEAD HAS BEEN ADDED - ", v[colPhone], "|", list, "|",
		strconv.FormatInt(id, 10), "|", v[colGMT], "|", c.userName)
}

// stored is what the columns hold afterwards. False: the statement is broken.
func (c *call) stored(v *values) (values, bool) {
	row := *v
	for i := range columns {
		if columns[i].kept == freeText {
			read, ok := unescape(row[i])
			if !ok {
				return row, false
			}
			row[i] = read
		}
		if columns[i].kept != nil && columns[i].max > 0 {
			row[i] = c.column(row[i], columns[i].max)
		}
	}
	row[colGMT] = decimal(v[colGMT])
	row[colGender] = enum(v[colGender])
	row[colBirth] = date(v[colBirth])
	row[colRank] = strconv.FormatUint(min(number(v[colRank]), math.MaxInt16), 10)
	row[colEntryList] = strconv.FormatUint(number(v[colEntryList]), 10)
	return row, true
}

// statement is the INSERT as older PHP echoes it when it fails.
func (c *call) statement(list string, v *values) string {
	var b strings.Builder
	set := func(comma, column, value string) {
		b.WriteString(comma + column + `="` + value + `"`)
	}
	b.WriteString("INSERT INTO vicidial_list SET ")
	set("", "phone_code", v[colPhoneCode])
	set(",", "phone_number", v[colPhone])
	set(",", "list_id", list)
	for _, i := range []int{
		colStatus, colUser, colVendorLeadCode, colSourceID, colGMT, colTitle, colFirstName, colMiddleInitial,
		colLastName, colAddress1, colAddress2, colAddress3, colCity, colState, colProvince, colPostalCode,
		colCountryCode, colGender, colBirth, colAltPhone, colEmail, colSecurityPhrase, colComments,
	} {
		set(",", columnNames[i], v[i])
	}
	set(",", "called_since_last_reset", "N")
	set(",", "entry_date", c.now.Format("20060102150405"))
	set(",", "last_local_call_time", c.now.Format(dateTime))
	set(",", "rank", v[colRank])
	set(",", "owner", v[colOwner])
	b.WriteString(" ,entry_list_id='" + v[colEntryList] + "';")
	return b.String()
}

// decimal is a text in a DECIMAL(4,2).
func decimal(s string) string {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return "0.00"
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// enum is a text in the column gender.
func enum(s string) string {
	switch s {
	case "M", "F", "U":
		return s
	}
	return ""
}

// date is a text in a DATE: what is none becomes zero.
func date(s string) string {
	for _, layout := range []string{"2006-1-2", "20060102", "06-1-2", "060102"} {
		if day, err := time.Parse(layout, s); err == nil {
			return day.Format(time.DateOnly)
		}
	}
	return "0000-00-00"
}
