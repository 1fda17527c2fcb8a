package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	regionText = regexp.MustCompile(`^[A-Z]{2}$`)
	// campaignText is what the API keeps of campaign_id, up to its column's width.
	campaignText = regexp.MustCompile(`^[-_0-9A-Za-z]{1,8}$`)
	listText     = regexp.MustCompile(`^[0-9]{1,19}$`)
)

func (c *checker) feed(path, name string, f *Feed) {
	c.name(path, "feed", name)
	dialer, defined := c.cfg.Dialers[f.Dialer]
	switch {
	case f.Dialer == "":
		c.bad(path+".dialer", "%s.dialer is missing: name one of the dialers", path)
	case !defined:
		c.bad(path+".dialer", "%s.dialer names a dialer that is not under dialers: use one of those (%s) or add it", path,
			strings.Join(slices.Sorted(maps.Keys(c.cfg.Dialers)), ", "))
	}
	c.listID(path+".list_id", f.ListID)
	if f.CampaignID != "" && !campaignText.MatchString(f.CampaignID) {
		c.bad(path+".campaign_id", "%s.campaign_id must be 1 to 8 letters, digits, - or _", path)
	}
	switch {
	case f.Region == "UK":
		c.bad(path+".region", "%s.region is UK: write GB, the country's code", path)
	case !regionText.MatchString(f.Region):
		c.bad(path+".region", "%s.region must be a country in two capital letters, such as US", path)
	case !c.known.Region(f.Region):
		c.bad(path+".region", "%s.region is %s, which is no country's code: write two capital letters of ISO 3166, such as US", path, f.Region)
	}
	c.source(path+".source", &f.Source)
	c.expect(path+".expect", f.Expect)
	c.pgp(path, f)
	c.schedule(path, f)
	c.hears(path+".notify", f)
	c.columns(path, f, dialer.TokenField)
	c.reading(path+".file", f.File)
	c.dedupe(path+".dedupe", f, dialer.TokenField)
	c.extras(path, f)
	c.dialerChecks(path+".dialer_checks", f.DialerChecks)
}

func (c *checker) listID(path string, l ListID) {
	given := 0
	for _, form := range []string{l.Number, l.Column, l.FileName} {
		if form != "" {
			given++
		}
	}
	switch {
	case given == 0:
		c.bad(path, "%s is missing: write the dialer's list number, {column: HEADER} or {file_name: REGEXP}", path)
	case given > 1:
		c.bad(path, "%s has both column and file_name: keep one of them", path)
	case l.FileName != "":
		expression, err := regexp.Compile(l.FileName)
		switch {
		case err != nil:
			c.bad(path+".file_name", "%s.file_name is no regular expression: correct it, for example '_(\\d+)\\.csv$' in single quotes", path)
		case expression.NumSubexp() != 1:
			c.bad(path+".file_name", "%s.file_name must have exactly one group in parentheses, around the list number, such as '_(\\d+)\\.csv$'", path)
		}
	case l.Column != "":
	case !listText.MatchString(l.Number):
		c.bad(path, "%s must be a list number of 3 to 19 digits, {column: HEADER} or {file_name: REGEXP}", path)
	case strings.HasPrefix(l.Number, "0"):
		c.bad(path, "%s begins with 0, which the dialer drops when it stores the lead: write it without leading zeros", path)
	case len(l.Number) < 3:
		c.bad(path, "%s has fewer than 3 digits, and the dialer would put the leads into list 999 without a word: give the list a number of at least 3 digits", path)
	}
}

func (c *checker) columns(path string, f *Feed, tokenField string) {
	for _, field := range slices.Sorted(maps.Keys(f.Columns)) {
		at := path + ".columns." + field
		switch {
		case field == "list_id":
			c.bad(at, "%s belongs elsewhere: write list_id: {column: HEADER} in %s", at, path)
		case !slices.Contains(c.known.Fields, field):
			c.bad(at, "%s.columns names %q, which is no lead field: write FIELD: HEADER with one of %s", path, field, strings.Join(c.known.Fields, ", "))
		case field == tokenField:
			c.bad(at, "%s is the field that carries the importer's token: map another field, or set another token_field in dialers.%s", at, f.Dialer)
		default:
			c.column(at, f.Columns[field])
		}
	}
	c.oneOf(path+".on_header_change", f.OnHeader, "stop", "warn")
	if f.DateOrder != "" {
		c.oneOf(path+".date_order", f.DateOrder, "mdy", "dmy", "ymd")
	}
	for _, field := range slices.Sorted(maps.Keys(f.OnBad)) {
		at := path + ".on_bad." + field
		switch {
		case !slices.Contains(c.known.Fields, field):
			c.bad(at, "%s.on_bad names %q, which is no lead field: use one of %s", path, field, strings.Join(c.known.Fields, ", "))
		case field == "phone_number" && f.OnBad[field] == "drop":
			c.bad(at, "%s cannot be drop: no lead is without its phone number", at)
		default:
			c.oneOf(at, f.OnBad[field], "drop", "invalid")
		}
	}
}

// column checks where one field comes from.
func (c *checker) column(at string, col Column) {
	given := 0
	for _, form := range []bool{col.Header != "", col.Template != "", col.Value != "", len(col.FirstOf) > 0} {
		if form {
			given++
		}
	}
	switch {
	case given == 0:
		c.bad(at, "%s is empty: write the column's header in the file, or remove the line", at)
	case given > 1:
		c.bad(at, "%s has several of first_of, template and value: keep one of them", at)
	case slices.Contains(col.FirstOf, ""):
		c.bad(at+".first_of", "%s.first_of has an empty header: write the column's header in the file", at)
	case col.Template != "":
		if err := c.known.Template(col.Template); err != nil {
			c.bad(at+".template", "%s.template must be %v", at, err)
		}
	}
}

func (c *checker) reading(path string, f File) {
	for _, k := range []struct {
		key, value string
		allowed    []string
	}{
		{"quote", f.Quote, []string{"double", "single", "none"}},
		{"escape", f.Escape, []string{"doubled", "backslash", "none"}},
		{"record_end", f.RecordEnd, []string{"lf", "crlf", "cr", "mixed"}},
	} {
		if k.value != "" {
			c.oneOf(path+"."+k.key, k.value, k.allowed...)
		}
	}
	for _, k := range []struct {
		key, value string
		wrong      func(string) error
	}{{"encoding", f.Encoding, c.known.Encoding}, {"delimiter", f.Delimiter, c.known.Delimiter}} {
		if err := k.wrong(k.value); err != nil {
			c.bad(path+"."+k.key, "%s.%v", path, err)
		}
	}
	if f.HeaderLine < -1 {
		c.bad(path+".header_line", "%s.header_line is no line: count from 1, or write 0 to have it found, or -1 for a file without a header", path)
	}
}

// dedupe also puts by into one order, since the order decides the identity.
func (c *checker) dedupe(path string, f *Feed, tokenField string) {
	if len(f.Dedupe.By) == 0 {
		c.bad(path+".by", "%s.by is empty: name at least one lead field, such as phone_number", path)
	}
	for i, field := range f.Dedupe.By {
		at := path + ".by" + index(i)
		switch {
		case !slices.Contains(c.known.Fields, field):
			c.bad(at, "%s.by names something that is no lead field: use one of %s", path, strings.Join(c.known.Fields, ", "))
		case field == tokenField:
			c.bad(at, "%s.by names %s, which carries the importer's token and so differs for every row: use another field", path, field)
		case slices.Contains(f.Dedupe.By[:i], field):
			c.bad(at, "%s.by names %s twice: remove one", path, field)
		}
	}
	slices.Sort(f.Dedupe.By)
	c.oneOf(path+".scope", f.Dedupe.Scope, "list", "campaign", "dialer")
	if f.Dedupe.Scope == "campaign" && f.CampaignID == "" {
		c.bad(path+".scope", "%s.scope is campaign, but the feed has no campaign_id: add it, or use scope list or dialer", path)
	}
}

// sharedScopes demands the same by of feeds that share a scope: claims made by
// different fields would never meet, and a person would be loaded twice.
func (c *checker) sharedScopes() {
	names := slices.Sorted(maps.Keys(c.cfg.Feeds))
	for i, name := range names {
		for _, other := range names[:i] {
			a, b := c.cfg.Feeds[name], c.cfg.Feeds[other]
			if sharesScope(a, b) && !slices.Equal(a.Dedupe.By, b.Dedupe.By) {
				c.bad("feeds."+name+".dedupe.by", "feeds.%s and feeds.%s share the dedupe scope %s but differ in dedupe.by, so neither would see the other's leads: give both the same fields",
					name, other, a.Dedupe.Scope)
				break
			}
		}
	}
}

func sharesScope(a, b Feed) bool {
	if a.Dialer != b.Dialer || a.Dedupe.Scope != b.Dedupe.Scope {
		return false
	}
	switch a.Dedupe.Scope {
	case "campaign":
		return a.CampaignID == b.CampaignID
	case "list":
		// A list read from the row or the file's name may be any list.
		return a.ListID.Number == b.ListID.Number || a.ListID.Number == "" || b.ListID.Number == ""
	default:
		return true
	}
}
