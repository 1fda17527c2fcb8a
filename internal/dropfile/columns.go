package dropfile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"importer/internal/lead"
)

// Basis is why a column is read as what it is read as.
type Basis string

// The bases, in the order in which they count.
const (
	ByFeed    Basis = "feed"    // the feed's configuration says so
	ByName    Basis = "name"    // its header is one of the usual names
	ByContent Basis = "content" // the first records look like it
)

// Mapped says how one column of the file is read.
type Mapped struct {
	Column     int    // from 1
	Header     string // the vendor's name; without a header "column 3"
	Field      string // the lead's field, full_name, or one of its extras such as alt_phones[0]; empty when the column is not used
	By         Basis
	Confidence int    // percent
	Sample     string // the first cell that is not empty, masked
}

// columns finds out which column holds which field.
type columns struct {
	headers  []string // nil: the file has none
	plain    []string
	sample   [][]string // the first records
	rules    lead.Rules
	of       map[string]int // field to column, from 0
	why      map[string]Mapped
	taken    []bool
	headless bool
	mute     bool            // the names say nothing
	made     map[string]Made // fields that need no column
}

// newColumns looks at a table. names are the headers as they stand in the
// file, headers the same made distinct; both are nil for a table without.
func newColumns(headers, names []string, sample [][]string, region string) *columns {
	c := &columns{sample: sample, rules: lead.Rules{Region: region}, of: map[string]int{}, why: map[string]Mapped{}, headless: headers == nil}
	if c.headless {
		width := 0
		for _, cells := range sample {
			width = max(width, len(cells))
		}
		for at := range width {
			headers = append(headers, "column "+strconv.Itoa(at+1))
		}
		names = make([]string, width)
	}
	c.headless = c.headless || areNumbered(names)
	c.mute = c.headless || areCounted(names)
	c.headers, c.taken = slices.Clone(headers), make([]bool, len(headers))
	for at, h := range headers {
		if h == "" { // it needs a name to be spoken of
			c.headers[at] = "column " + strconv.Itoa(at+1)
		}
	}
	for _, name := range names {
		c.plain = append(c.plain, plain(name))
	}
	return c
}

// takeConfigured maps what the feed's configuration says (field or extra to
// header). Returns *HoldError when a column is not there.
func (c *columns) takeConfigured(configured map[string]string) error {
	for _, field := range slices.Sorted(maps.Keys(configured)) {
		at, err := c.need(field, configured[field])
		if err != nil {
			return err
		}
		if c.taken[at] {
			return fmt.Errorf("columns: two fields name the header %q, one of them is %s", configured[field], field)
		}
		c.take(field, at, ByFeed, 100)
	}
	return nil
}

// takeRest maps the other columns by their usual names, then by their content.
// What is made needs no column. Returns *HoldError when a person must decide
// on the phone number's.
func (c *columns) takeRest(made map[string]Made) error {
	c.made = made
	if c.headless {
		c.takeNumbered()
	}
	for entry, names := range usual {
		if slices.Contains(lead.Fields(), entry) {
			c.takeUsual(entry, names)
		}
	}
	c.takeNames()
	if err := c.takePhone(); err != nil {
		return err
	}
	c.takeAltPhone()
	c.takeByContent()
	return nil
}

// need returns the column with a configured header.
func (c *columns) need(field, header string) (int, error) {
	at := c.find(header)
	if at < 0 {
		return 0, &HoldError{Field: field, Wanted: header, Headers: c.shown()}
	}
	return at, nil
}

// find returns the column with a configured header: as it is written there,
// otherwise without regard to case, accents, blanks and punctuation. Columns
// of a table without a header are found by their number.
func (c *columns) find(header string) int {
	header = strings.TrimSpace(header)
	if at := slices.Index(c.headers, header); at >= 0 {
		return at
	}
	name := plain(header)
	if c.headless {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "column")); err == nil && n > 0 && n <= len(c.headers) {
			return n - 1
		}
		return -1
	}
	if name == "" {
		return -1
	}
	return slices.Index(c.plain, name)
}

func (c *columns) take(field string, at int, by Basis, confidence int) {
	c.of[field] = at
	c.why[field] = Mapped{By: by, Confidence: confidence}
	c.taken[at] = true
}

// has tells whether a field has its column, or needs none.
func (c *columns) has(field string) bool {
	_, mapped := c.of[field]
	_, made := c.made[field]
	return mapped || made || field == "alt_phone" && len(c.made["phone_number"].FirstOf) > 1
}

func (c *columns) takeUsual(field string, names []string) {
	if c.has(field) {
		return
	}
	for _, name := range names {
		for at, h := range c.plain {
			if h == name && !c.taken[at] {
				c.take(field, at, ByName, 99)
				return
			}
		}
	}
}

// takeNames reads a full name where neither name has a column. A column that is
// called Name (Nom, Nombre, Nome) is the full name, or whichever of the two
// names has no other column: Vorname, Name.
func (c *columns) takeNames() {
	first, last := c.has("first_name"), c.has("last_name")
	either := fullName
	switch {
	case first && last:
		return
	case first:
		either = "last_name"
	case last:
		either = "first_name"
	default:
		c.takeUsual(fullName, usual[fullName])
	}
	c.takeUsual(either, usual[eitherOne])
	if at, ok := c.of[fullName]; ok && mayBeNoName[c.plain[at]] && c.filled(at) > 0 && c.count(at, lead.LooksWord) == 0 && c.count(at, lead.LooksName) == 0 {
		delete(c.of, fullName) // called Contact or Client, but no name is in it
		c.taken[at] = false
	}
}

// mayBeNoName are names of full names that other columns have, too.
var mayBeNoName = map[string]bool{
	"contact": true, "person": true, "customer": true, "client": true, "cliente": true, "kunde": true, "ansprechpartner": true, "contato": true,
}

// shown returns the headers for an error, none when they look like a contact:
// people's data has no place there.
func (c *columns) shown() []string {
	if isContact(c.headers) {
		return nil
	}
	names := make([]string, len(c.headers))
	for at := range names {
		names[at] = c.nameOf(at)
	}
	return names
}

// nameOf is a column's header for a sentence. Where no header is a usual name the
// first line may be a person, and is masked.
func (c *columns) nameOf(at int) string {
	known := func(name string) bool {
		for _, names := range usual {
			if slices.Contains(names, name) {
				return true
			}
		}
		return false
	}
	if c.headless || slices.ContainsFunc(c.plain, known) {
		return c.headers[at]
	}
	return Mask(c.headers[at])
}

func isContact(headers []string) bool {
	return slices.ContainsFunc(headers, func(h string) bool { return digitsIn(h) >= 7 || strings.Contains(h, "@") })
}

func (c *columns) mapped() []Mapped {
	all := make([]Mapped, len(c.headers))
	for at, h := range c.headers {
		all[at] = Mapped{Column: at + 1, Header: h, Sample: c.example(at)}
	}
	for field, at := range c.of {
		all[at].Field, all[at].By, all[at].Confidence = field, c.why[field].By, c.why[field].Confidence
	}
	return all
}

// cells yields a column's cells that are not empty.
func (c *columns) cells(at int, yield func(cell string)) {
	for _, record := range c.sample {
		if at < len(record) {
			if cell := strings.TrimSpace(record[at]); cell != "" {
				yield(cell)
			}
		}
	}
}

func (c *columns) count(at int, is func(string) bool) int {
	n := 0
	c.cells(at, func(cell string) {
		if is(cell) {
			n++
		}
	})
	return n
}

func (c *columns) filled(at int) int {
	return c.count(at, func(string) bool { return true })
}

// share is how much, in percent, of a column's cells look like a field.
func (c *columns) share(at int, field string) int {
	n := c.filled(at)
	if n == 0 {
		return 0
	}
	return 100 * c.count(at, func(cell string) bool { return c.rules.Looks(field, cell) }) / n
}

// example is a column's first cell, masked.
func (c *columns) example(at int) string {
	first := ""
	c.cells(at, func(cell string) {
		if first == "" {
			first = Mask(cell)
		}
	})
	return first
}
