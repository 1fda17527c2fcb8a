package dropfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Mapped says how one column of the file is read.
type Mapped struct {
	Column     int    // from 1
	Header     string // the vendor's name
	Field      string // the lead's field, or one of its extras such as alt_phones[0]; empty when the column is not used
	Configured bool   // the feed's configuration says so, not the header's name
}

// usual lists, for each of a lead's fields beside the phone numbers, the names
// that vendors give it, the best first, in lower case without anything but
// letters and digits. Where two columns have names for one field the better
// name counts, then the column further left.
var usual = map[string][]string{
	"phone_code":       {"phonecode", "dialcode", "dialingcode", "callingcode", "countrycallingcode", "phonecountrycode"},
	"list_id":          {"listid"},
	"vendor_lead_code": {"vendorleadcode", "leadid", "externalid", "customerid", "contactid", "clientid", "recordid", "accountid", "id"},
	"source_id":        {"sourceid"},
	"title":            {"title", "salutation", "nameprefix", "prefix"},
	"first_name":       {"firstname", "fname", "givenname", "forename", "contactfirst", "contactfirstname", "first"},
	"middle_initial":   {"middleinitial", "mi", "middlename", "middle"},
	"last_name":        {"lastname", "lname", "surname", "familyname", "contactlast", "contactlastname", "last"},
	"address1":         {"address1", "address", "addressline1", "streetaddress", "street", "street1", "addr1", "addr", "mailingaddress"},
	"address2":         {"address2", "addressline2", "street2", "addr2", "suite", "apartment", "apt", "unit"},
	"address3":         {"address3", "addressline3", "street3", "addr3"},
	"city":             {"city", "town", "locality"},
	"state":            {"state", "statecode", "stateprovince"},
	"province":         {"province"},
	"postal_code":      {"postalcode", "zip", "zipcode", "postcode", "zippostalcode", "zip5", "postal"},
	"country_code":     {"countrycode", "country"},
	"gender":           {"gender", "sex"},
	"date_of_birth":    {"dateofbirth", "dob", "birthdate", "birthday", "birth"},
	"email":            {"email", "emailaddress", "email1", "mail"},
	"security_phrase":  {"securityphrase"},
	"comments":         {"comments", "comment", "notes", "note", "remarks"},
	"rank":             {"rank"},
	"owner":            {"owner", "leadowner"},
}

// plain returns a header as the dictionary has it.
func plain(header string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, header)
}

// columns finds out which column holds which field.
type columns struct {
	headers []string
	plain   []string
	of      map[string]int // field to column, from 0
	taken   []bool
}

// mapColumns maps the file's columns: first those that are configured (field
// mapColumns maps the file's columns: first those that are configured (field
// or extra to header), then by their usual names. names are the headers as they
// stand in the file, not made distinct. Returns *HoldError when a person must
// decide.
func mapColumns(headers, names []string, configured map[string]string) ([]Mapped, error) {
	c := columns{headers: headers, of: map[string]int{}, taken: make([]bool, len(headers))}
	for _, h := range names {
		c.plain = append(c.plain, plain(h))
	}
	for _, field := range slices.Sorted(maps.Keys(configured)) {
		header := configured[field]
		at := c.find(header)
		if at < 0 {
			return nil, &HoldError{Field: field, Wanted: header, Headers: c.shown()}
		}
		if c.taken[at] {
			return nil, fmt.Errorf("columns: two fields name the header %q, one of them is %s", header, field)
		}
		c.take(field, at)
	}
	for field, names := range usual {
		if _, done := c.of[field]; !done {
			c.takeUsual(field, names)
		}
	}
	if err := c.takePhones(); err != nil {
		return nil, err
	}
	return c.mapped(configured), nil
}

// find returns the column with a configured header: as it is written there,
// otherwise without regard to case, blanks and punctuation.
func (c *columns) find(header string) int {
	if at := slices.Index(c.headers, strings.TrimSpace(header)); at >= 0 {
		return at
	}
	if name := plain(header); name != "" {
		return slices.Index(c.plain, name)
	}
	return -1
}

func (c *columns) take(field string, at int) {
	c.of[field] = at
	c.taken[at] = true
}

func (c *columns) takeUsual(field string, names []string) {
	for _, name := range names {
		for at, h := range c.plain {
			if h == name && !c.taken[at] {
				c.take(field, at)
				return
			}
		}
	}
}

// shown returns the headers for an error, none when they look like a contact:
// people's data has no place there.
func (c *columns) shown() []string {
	for _, h := range c.headers {
		digits := 0
		for _, r := range h {
			if unicode.IsDigit(r) {
				digits++
			}
		}
		if digits >= 7 || strings.Contains(h, "@") {
			return nil
		}
	}
	return c.headers
}

func (c *columns) mapped(configured map[string]string) []Mapped {
	all := make([]Mapped, len(c.headers))
	for at, h := range c.headers {
		all[at] = Mapped{Column: at + 1, Header: h}
	}
	for field, at := range c.of {
		_, said := configured[field]
		all[at].Field, all[at].Configured = field, said
	}
	return all
}
