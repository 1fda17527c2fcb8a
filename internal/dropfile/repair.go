package dropfile

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
)

// Repairing a record means finding the reading that its columns make likely. A
// reading is a way through the record's text, column by column; each step that
// a sound record would not have costs something, and so does each cell that
// does not look like its column's. The cheapest reading counts if no other
// reading comes near.

// What steps cost, as negative logarithms: 2.3 is ten times less likely.
const (
	costStray     = 2.5 // a delimiter too many beside an empty cell
	costMerge     = 3.0 // a delimiter that belongs to a cell
	costMergeSoft = 1.0 // the same, with a blank behind it or a quote around it
	costSplit     = 6.0 // a delimiter is missing
	costGap       = 2.5 // cells are missing
	costGapMore   = 0.3 // each
	costLikely    = 1.0 // a quote that is text, or the other of a pair that is missing: whichever the column has
	costUnlikely  = 5.0 // the other way round
	costInner     = 1.5 // a quote within quotes that is not escaped
	costDelimiter = 2.0 // another delimiter than the file's
	costQuote     = 1.5 // other quotes
	costEscape    = 0.5 // another escape

	costStranger = 6.0 // by which another table's record surprises more than any of this one's

	margin     = 1.5 // to the next reading
	maxReached = 3   // readings kept per place
	maxMerged  = 24  // delimiters within one cell

	// Steps that are taken for one record, and for a whole file on average: one
	// whose records are all damaged is not worth hours.
	maxSteps     = 60_000
	firstSteps   = 2_000_000
	stepsPerLine = 1_000
)

// repairs are what was done to a record, as bits.
type repairs uint16

const (
	didStray repairs = 1 << iota
	didMerge
	didSplit
	didGap
	didQuoteText
	didQuoteAdded
	didInner
	didDelimiter
	didQuote
	didEscape
	didUnwrap
)

var repairNames = []string{
	"a delimiter too many was dropped",
	"a delimiter within a cell was taken as text",
	"a missing delimiter was supplied",
	"missing cells were left empty",
	"a stray quotation mark was taken as text",
	"a missing quotation mark was supplied",
	"a quotation mark within quotation marks was taken as text",
	"it has another delimiter",
	"it has other quotation marks",
	"it has another escape",
	"it stood within quotation marks as a whole",
}

func (r repairs) String() string {
	var names []string
	for i, name := range repairNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "; ")
}

// repairRecord finds what a damaged text most likely says. Returns false when
// two readings are too close, or when the best does not fit its columns. steps
// are those that may be taken, and are counted down.
func (m *model) repairRecord(text string, d dialect, splits bool, strong []int, steps *int) (fixed []string, did repairs, ok bool) {
	if len(m.columns) < 2 || m.rows < 2 || len(text) > 64<<10 {
		return nil, 0, false
	}
	seed, left := maphash.MakeSeed(), m.least()
	var found []*reading
	try := func(d dialect, base repairs, splits bool) {
		r := repairer{d: d, text: text, model: m, left: left, splits: splits, steps: steps, seed: seed}
		found = append(found, r.find(base)...)
	}
	try(d, 0, splits)
	for _, other := range m.otherDialects(text, d) {
		try(other.dialect, other.did, false)
	}
	found = slices.DeleteFunc(found, func(r *reading) bool { return !m.believes(r.cells(len(m.columns)), r.did, strong) })
	slices.SortStableFunc(found, func(a, b *reading) int { return cmp.Compare(a.cost, b.cost) })
	for _, next := range found[min(1, len(found)):] {
		if next.hash != found[0].hash && next.cost-found[0].cost < margin {
			return nil, 0, false
		}
	}
	if len(found) == 0 {
		return nil, 0, false
	}
	return found[0].cells(len(m.columns)), found[0].did, true
}

// believes tells whether repaired cells are where their columns want them.
func (m *model) believes(cells []string, did repairs, strong []int) bool {
	full, without := 0, make([]string, len(cells))
	for j, c := range cells {
		without[j] = strings.Trim(c, `"' `)
		if without[j] != "" {
			full++
		}
	}
	yes, no := m.fits(without, strong)
	const quotesOnly = didQuoteText | didQuoteAdded | didInner | didEscape
	switch {
	case did&^quotesOnly == 0:
		return true // as many cells as there should be
	case no > 0, m.strangers(without) > 0, len(strong) > 0 && yes == 0, len(strong) == 0 && m.rows < 20:
		return false
	}
	return full*2 >= len(cells)-m.usuallyEmpty()
}

func (m *model) usuallyEmpty() int {
	n := 0
	for j := range m.columns {
		if m.columns[j].empty*2 > m.rows {
			n++
		}
	}
	return n
}

type otherDialect struct {
	dialect
	did repairs
}

// otherDialects lists dialects that a text may be in beside the file's.
func (m *model) otherDialects(text string, d dialect) []otherDialect {
	var all []otherDialect
	add := func(o dialect, did repairs) { all = append(all, otherDialect{o, did}) }
	delimiters := []string{d.delimiter}
	for _, other := range []string{",", ";", "\t", "|", ", ", "||", "\t\t", "^", "~", ":", " "} {
		if other != d.delimiter && strings.Count(text, other)*2 >= len(m.columns)-1 {
			delimiters = append(delimiters, other)
		}
	}
	for _, delimiter := range delimiters {
		did := repairs(0)
		if delimiter != d.delimiter {
			did = didDelimiter
		}
		o := d
		o.delimiter = delimiter
		if did != 0 {
			add(o, did)
		}
		for _, quote := range []byte{'"', '\''} {
			if o := o; quote != d.quote && strings.IndexByte(text, quote) >= 0 && wraps([]string{text}, delimiter, quote).closed > 0 {
				if o.escape == o.quote {
					o.escape = quote
				}
				o.quote = quote
				add(o, did|didQuote)
			}
		}
		if o := o; strings.IndexByte(text, '\\') >= 0 && d.escape != '\\' {
			o.escape = '\\'
			add(o, did|didEscape)
		} else if d.escape == '\\' && d.quote != 0 && strings.Contains(text, string([]byte{d.quote, d.quote})) {
			o.escape = o.quote
			add(o, did|didEscape)
		}
	}
	return all
}
