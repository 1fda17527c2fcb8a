package dropfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gocarina/gocsv"

	"importer/internal/importer"
	"importer/internal/lead"
)

// mapper makes leads of records.
type mapper struct {
	mapped  []Mapped
	options Options
	dated   []dateColumn
	dates   map[string]lead.DateOrder // that the dates show which were seen, by field
	rules   lead.Rules

	fill     canonical
	leads    []lead.Lead
	extras   extras
	fullName int // column of both names, from 0; -1: none
	made     []making
	yields   bool // alt_phone's number is called where phone_number is empty
	mujer    bool // in the gender's column M stands for mujer

	// Of our own rejects:
	ours   bool
	own    []bool // which columns are not the vendor's
	reason int    // the column of the reason, from 0
}

// newMapper finds out which column holds what. names are the headers as they
// stand in the file, headers the same made distinct, both nil for a table
// without a header; sample are its first records. Returns *HoldError when a
// person must decide.
func newMapper(headers, names []string, sample [][]string, o Options) (*mapper, error) {
	for field := range o.Columns {
		if !slices.Contains(lead.Fields(), field) {
			return nil, fmt.Errorf("columns: %q is no field of a lead", field)
		}
	}
	if slices.Contains(headers, ownColumn) {
		sample = allUnguarded(sample)
	}
	c := newColumns(headers, names, sample, o.Region)
	configured := o.Extras.columns()
	maps.Copy(configured, o.Columns)
	if err := c.takeConfigured(configured); err != nil {
		return nil, err
	}
	made, err := c.findMade(o.Made)
	if err != nil {
		return nil, err
	}
	if err := c.takeRest(o.Made); err != nil {
		return nil, err
	}
	if err := c.findTemplates(o.Made, made); err != nil {
		return nil, err
	}
	m := &mapper{mapped: c.mapped(), rules: c.rules, made: made, fullName: -1}
	m.reason = slices.Index(c.headers, ownColumn)
	m.ours = m.reason >= 0
	for _, h := range c.headers {
		m.own = append(m.own, slices.Contains(ownColumns, h))
	}
	m.options = o
	for _, mk := range made {
		for _, at := range mk.first {
			m.mapped[at].Field, m.mapped[at].By, m.mapped[at].Confidence = mk.target, ByFeed, 100
		}
		for _, p := range mk.pieces {
			if p.text == "" && p.field == "" && m.mapped[p.at].Field == "" {
				m.mapped[p.at].Field, m.mapped[p.at].By, m.mapped[p.at].Confidence = mk.target, ByFeed, 100
			}
		}
	}
	if at, ok := c.of[fullName]; ok {
		m.fullName = at
	}
	m.fill = newCanonical(c.of)
	m.extras = newExtras(o.Extras, c.of)
	m.yields = c.isGuessed("phone_number") && c.isGuessed("alt_phone")
	m.dated, m.dates, m.mujer = m.dateColumns(c.of), map[string]lead.DateOrder{}, c.saysMujer()
	for _, cells := range sample {
		m.seeDates(cells)
	}
	return m, nil
}

// isGuessed tells a column that the feed's configuration does not name.
func (c *columns) isGuessed(field string) bool {
	_, mapped := c.of[field]
	return mapped && c.why[field].By != ByFeed
}

// saysMujer tells a column of genders where H and M stand for hombre and mujer.
func (c *columns) saysMujer() bool {
	at, ok := c.of["gender"]
	if !ok {
		return false
	}
	is := func(letters string) func(string) bool {
		return func(cell string) bool { return strings.EqualFold(cell, letters) }
	}
	return c.count(at, is("H")) > 0 && c.count(at, is("F")) == 0
}

// lead fills the leads of a batch of rows, those that were refused left out.
func (m *mapper) lead(rows []importer.Row) error {
	m.fill.reset()
	for i := range rows {
		if m.ours && rows[i].Refusal == nil {
			m.restore(&rows[i])
		}
		if rows[i].Refusal == nil {
			m.fill.add(rows[i].Cells)
		}
	}
	if len(m.fill.rows) == 1 {
		return nil // the header alone
	}
	if len(m.leads) < len(rows) {
		m.leads = make([]lead.Lead, len(rows))
	}
	if err := gocsv.UnmarshalCSV(&m.fill, &m.leads); err != nil {
		return fmt.Errorf("filling leads: %w", err)
	}
	filled := 0
	for i := range rows {
		if rows[i].Refusal == nil {
			rows[i].Lead = m.leads[filled]
			m.complete(&rows[i])
			filled++
		}
	}
	return nil
}

// complete gives a lead what no column holds as it is.
func (m *mapper) complete(row *importer.Row) {
	l := &row.Lead
	l.Extras = m.extras.of(row.Cells)
	if m.yields && strings.TrimSpace(l.PhoneNumber) == "" && strings.TrimSpace(l.AltPhone) != "" {
		l.PhoneNumber, l.AltPhone = l.AltPhone, ""
		row.Changes = append(row.Changes, lead.Change{Field: "phone_number", To: l.PhoneNumber, Why: "the number of alt_phone: there is no other"})
	}
	if from := strings.TrimSpace(l.Gender); m.mujer && strings.EqualFold(from, "M") {
		l.Gender = "F"
		row.Changes = append(row.Changes, lead.Change{Field: "gender", From: from, To: "F", Why: "M stands for mujer, as H does for hombre"})
	}
	if m.fullName >= 0 {
		if split, done := m.rules.SplitName(row.Cells[m.fullName], l); done {
			row.Changes = append(row.Changes, split)
		}
	}
	for _, templates := range []bool{false, true} { // which may name the others
		for i := range m.made {
			if mk := &m.made[i]; (mk.pieces != nil) == templates {
				m.make(mk, l, row.Cells)
			}
		}
	}
}

func (m *mapper) make(mk *making, l *lead.Lead, cells []string) {
	text := mk.text(l, cells)
	label, custom := strings.CutPrefix(mk.target, customField)
	switch {
	case !custom:
		l.Set(mk.target, text)
		if mk.target == "phone_number" && l.AltPhone == "" {
			l.AltPhone = mk.second(cells)
		}
	case text != "":
		if l.Extras == nil {
			l.Extras = &lead.Extras{}
		}
		if l.Extras.Custom == nil {
			l.Extras.Custom = map[string]string{}
		}
		l.Extras.Custom[label] = text
	}
}
