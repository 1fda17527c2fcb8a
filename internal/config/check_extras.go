package config

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	// momentText is a callback's time that suits every row.
	momentText = regexp.MustCompile(`^(NOW|[0-9]{1,3}DAYS)$`)
	// agentText is what the API keeps of callback_user, up to its column's width.
	agentText = regexp.MustCompile(`^[-_0-9A-Za-z]{1,20}$`)
	// statusText is what the API keeps of callback_status, up to its column's width.
	statusText = regexp.MustCompile(`^[-_0-9A-Za-z]{1,6}$`)
)

// dayWindows are those that the API knows; it ignores any other and then
// compares with leads of every age.
var dayWindows = []int{1, 2, 3, 7, 14, 15, 21, 28, 30, 60, 90, 180, 360}

// extras checks what goes to the dialer beside the columns of its lead table.
func (c *checker) extras(path string, f *Feed) {
	for _, label := range slices.Sorted(maps.Keys(f.CustomFields)) {
		at := path + ".custom_fields." + label
		switch {
		case slices.Contains(c.known.Fields, label):
			c.bad(at, "%s.custom_fields names %q, which is a field of every lead: map it in columns", path, label)
		case !c.known.CustomField(label):
			c.bad(at, "%s.custom_fields names %q, which can be no custom field: use the label that the dialer has for it, made of letters, digits and _, and none of the API's own parameters", path, label)
		default:
			c.column(at, f.CustomFields[label])
		}
	}
	for i, header := range f.AltPhones {
		if header == "" {
			c.bad(path+".alt_phones"+index(i), "%s.alt_phones has an empty header: write the column's header in the file", path)
		}
	}
	if f.Hopper.Priority < -99 || f.Hopper.Priority > 99 {
		c.bad(path+".hopper.priority", "%s.hopper.priority must be from -99 to 99", path)
	}
	if f.Callback != nil {
		c.callback(path+".callback", f)
	}
	c.headersOnce(path, f)
}

func (c *checker) callback(path string, f *Feed) {
	b := f.Callback
	if f.CampaignID == "" {
		c.bad(path, "%s needs the feed's campaign_id: without it the dialer puts the lead on hold and schedules no callback", path)
	}
	switch {
	case b.Datetime == Value{}:
		c.bad(path+".datetime", "%s.datetime is missing: write {column: HEADER}, NOW or a number of days such as 3DAYS", path)
	case b.Datetime.Column == "" && !momentText.MatchString(b.Datetime.Text):
		c.bad(path+".datetime", "%s.datetime must be {column: HEADER}, NOW or a number of days such as 3DAYS", path)
	}
	if b.User.Column == "" && b.User.Text != "" && !agentText.MatchString(b.User.Text) {
		c.bad(path+".user", "%s.user must be {column: HEADER} or an agent's user name of 1 to 20 letters, digits, - and _", path)
	}
	if !statusText.MatchString(b.Status) {
		c.bad(path+".status", "%s.status must be 1 to 6 letters, digits, - or _", path)
	}
}

// headersOnce refuses a column that is read twice: the second meaning is a
// slip more often than a wish.
func (c *checker) headersOnce(path string, f *Feed) {
	seen := map[string]string{}
	once := func(at, header string) {
		header = strings.TrimSpace(header)
		if first, twice := seen[header]; twice && header != "" {
			c.bad(at, "%s and %s name the same header %q: remove one", first, at, header)
			return
		}
		seen[header] = at
	}
	onceOf := func(at string, col Column) {
		once(at, col.Header)
		for i, header := range col.FirstOf {
			once(at+".first_of"+index(i), header)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(f.Columns)) {
		onceOf(path+".columns."+field, f.Columns[field])
	}
	once(path+".list_id.column", f.ListID.Column)
	for _, label := range slices.Sorted(maps.Keys(f.CustomFields)) {
		onceOf(path+".custom_fields."+label, f.CustomFields[label])
	}
	for i, header := range f.AltPhones {
		once(path+".alt_phones"+index(i), header)
	}
	if b := f.Callback; b != nil {
		once(path+".callback.datetime.column", b.Datetime.Column)
		once(path+".callback.user.column", b.User.Column)
		once(path+".callback.comments.column", b.Comments.Column)
	}
}

func (c *checker) dialerChecks(path string, d DialerChecks) {
	if d.DNCAreaCode && !d.DNC {
		c.bad(path+".dnc_area_code", "%s.dnc_area_code widens dnc, which is off: set dnc: true, or remove it", path)
	}
	c.oneOf(path+".duplicate", d.Duplicate, "off", "list", "campaign", "system")
	switch {
	case d.DuplicateDays == 0:
	case !slices.Contains(dayWindows, d.DuplicateDays):
		c.bad(path+".duplicate_days", "%s.duplicate_days must be one of 0, %s: the API ignores any other number", path, joinInts(dayWindows))
	case d.Duplicate == "off":
		c.bad(path+".duplicate_days", "%s.duplicate_days narrows duplicate, which is off: set duplicate, or remove it", path)
	}
	for i, check := range d.Phone {
		c.oneOf(path+".phone"+index(i), check, "prefix", "area_code", "nanpa")
	}
}

func joinInts(numbers []int) string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ", ")
}
