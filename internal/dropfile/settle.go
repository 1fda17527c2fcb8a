package dropfile

import (
	"fmt"
	"slices"
	"strings"

	"importer/internal/lead"
)

// partsAtCR parts a line in which a carriage return ends a record, in a file
// whose records end otherwise. Returns nil for other lines.
func (t *Table) partsAtCR(r *record) []record {
	if !t.text || strings.IndexByte(r.raw, '\r') < 0 {
		return nil
	}
	parts := strings.Split(strings.ReplaceAll(r.raw, "\r\n", "\n"), "\r")
	if len(parts) < 2 {
		return nil
	}
	var recs []record
	var split splitter
	for i, part := range parts {
		cells, flaw := split.split(t.dialect, part)
		if len(cells) != t.shape.fields || flaw > literal {
			return nil
		}
		rec := record{line: r.line, raw: part, cells: slices.Clone(cells), flaw: flaw}
		if i > 0 {
			rec.mended = "a carriage return ended the record before"
		}
		recs = append(recs, rec)
	}
	return recs
}

// settle says which cells a record has, if that is certain.
func (t *Table) settle(r *record) ([]string, repairs, bool) {
	n := t.shape.fields
	if !t.text {
		return r.cells, 0, len(r.cells) == n
	}
	if len(r.cells) == n && t.isSpaced(r) {
		var split splitter
		spaced := t.dialect
		spaced.delimiter += " "
		if cells, flaw := split.split(spaced, r.raw); len(cells) == n && flaw <= literal {
			return slices.Clone(cells), didDelimiter, true
		}
	}
	if cells, ok := t.unwrapped(r); ok {
		return cells, didUnwrap, true
	}
	_, strangers := t.shape.model.fits(r.cells, t.shape.strong)
	switch {
	case len(r.cells) > n && filled(r.cells) <= n && r.flaw <= literal && strangers == 0 && !t.shape.model.lacks(r.cells[:n]):
		return r.cells[:n], 0, true // empty columns at the end, as spreadsheets leave them
	case len(r.cells) != n:
	case r.flaw == sound && !t.isWrapped(r):
		return r.cells, 0, true
	case r.flaw == literal && strangers == 0 && !t.onesidedQuote(r):
		return r.cells, 0, true
	}
	splits := len(r.cells) < n || len(r.cells) == n && r.flaw > sound
	allowed := min(maxSteps, firstSteps+stepsPerLine*t.count-t.steps)
	left := allowed
	cells, did, ok := t.shape.model.repairRecord(r.raw, t.dialect, splits, t.shape.strong, &left)
	t.steps += allowed - left
	return cells, did, ok
}

// unwrapped reads a line that stands within quotation marks as a whole, as if
// it was one cell.
func (t *Table) unwrapped(r *record) ([]string, bool) {
	if len(r.cells) != 1 || t.shape.fields < 2 || r.flaw != sound || r.raw == "" || r.raw[0] != t.dialect.quote {
		return nil, false
	}
	var split splitter
	cells, flaw := split.split(t.dialect, r.cells[0])
	return slices.Clone(cells), len(cells) == t.shape.fields && flaw <= literal
}

// onesidedQuote tells a cell that has lost one of its quotes: its column has
// them, or those within it are doubled. So does a pair of quotes of which each
// stands in another cell.
func (t *Table) onesidedQuote(r *record) bool {
	q, odd := t.dialect.quote, 0
	for j, c := range r.cells {
		if c == "" {
			continue
		}
		if c[0] == q || c[len(c)-1] == q {
			inner := strings.Trim(c, string(q))
			if t.shape.model.mostlyQuoted(j) || strings.Contains(inner, string([]byte{q, q})) {
				return true
			}
		}
		odd += strings.Count(c, string(q)) % 2
	}
	return odd > 1
}

// resplit reads a line in the dialect in which it has so many cells, if there
// is one.
func (t *Table) resplit(r record, fields int) ([]string, bool) {
	if !t.text {
		return nil, false
	}
	var split splitter
	if len(r.cells) == fields && !t.isWrapped(&r) {
		return nil, false
	}
	for _, o := range newModel(fields).otherDialects(r.raw, t.dialect) {
		if cells, flaw := split.split(o.dialect, r.raw); len(cells) == fields && flaw <= literal {
			return slices.Clone(cells), true
		}
	}
	if r.flaw <= literal || t.dialect.quote == 0 {
		return nil, false
	}
	// A stray quote: the delimiters alone count.
	cells := splitPlain(nil, r.raw, t.dialect.delimiter)
	for i, c := range cells {
		if one, quoted, n, f := nextCell(t.dialect, c); quoted && n == len(c) && f == sound {
			cells[i] = one
		}
	}
	return cells, len(cells) == fields
}

// join puts a record together that a line break has cut in two.
func (t *Table) join(r *record) (Record, bool) {
	if !t.text || r.flaw > literal || len(r.cells) >= t.shape.fields || len(r.cells) < 2 || len(t.queue) == 0 && t.ahead != nil {
		return Record{}, false
	}
	if len(t.queue) == 0 {
		t.pull()
	}
	if len(t.queue) == 0 {
		return Record{}, false
	}
	next := &t.queue[0]
	last := len(r.cells) - 1
	if next.isBlank() || next.flaw > literal || last+len(next.cells) != t.shape.fields {
		return Record{}, false
	}
	cells := slices.Concat(r.cells[:last], []string{r.cells[last] + "\n" + next.cells[0]}, next.cells[1:])
	yes, no := t.shape.model.fits(cells, t.shape.strong)
	if no > 0 || yes < 2 {
		return Record{}, false
	}
	both := *r
	both.raw += "\n" + next.raw
	if _, err := t.shift(); err != nil {
		return Record{}, false
	}
	t.gap = false
	return t.record(&both, cells, []lead.Change{{Field: recordField, From: shortened(both.raw, 2000), Why: "a line break cut it in two"}}), true
}

func (t *Table) refusal(r *record) *lead.Refusal {
	if r.flaw > literal {
		return &lead.Refusal{Reason: lead.RowQuotes, Detail: "a quotation mark stands within a field or is never closed"}
	}
	return &lead.Refusal{
		Reason: lead.RowFields,
		Detail: fmt.Sprintf("the record has %d fields, the table has %d, and it cannot be told which is which", filled(r.cells), t.shape.fields),
	}
}
