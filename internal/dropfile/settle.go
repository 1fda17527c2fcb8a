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

// swallowed parts a record of several lines that has strangers among its cells
// where another one begins: a stray quote was closed by one of the next record.
// Returns nil for other records.
func (t *Table) swallowed(r *record) []record {
	if !t.text || strings.IndexByte(r.raw, '\n') < 0 || t.shape.model.strangers(r.cells) == 0 {
		return nil
	}
	var split splitter
	parse := func(raw string, line int) record {
		cells, flaw := split.split(t.dialect, raw)
		return record{line: line, raw: raw, cells: slices.Clone(cells), flaw: flaw, crlf: strings.Contains(r.raw, "\r\n")}
	}
	var recs []record
	lines := strings.Split(r.raw, "\n")
	from := 0
	for i := 1; i <= len(lines); i++ {
		if i < len(lines) {
			if next := parse(lines[i], 0); !t.startsRecord(&next) {
				continue
			}
		}
		recs = append(recs, parse(strings.TrimSuffix(strings.Join(lines[from:i], "\n"), "\r"), r.line+from))
		from = i
	}
	if len(recs) == 1 {
		return nil
	}
	return recs
}

// settle says which cells a record has, if that is certain.
func (t *Table) settle(r *record) ([]string, repairs, bool) {
	n := t.shape.fields
	if !t.text {
		return r.cells, 0, len(r.cells) == n
	}
	spaced := len(r.cells) == n && t.isSpaced(r)
	if spaced {
		var split splitter
		wider := t.dialect
		wider.delimiter += " "
		if cells, flaw := split.split(wider, r.raw); len(cells) == n && flaw <= literal {
			return slices.Clone(cells), didDelimiter, true
		}
	}
	if cells, ok := t.unwrapped(r); ok {
		return cells, didUnwrap, true
	}
	if cells, did, ok := t.inOtherDialect(r); ok {
		return cells, did, true
	}
	strangers := t.shape.model.strangers(r.cells)
	switch {
	case len(r.cells) > n && filled(r.cells) <= n && r.flaw <= literal && strangers == 0 && !t.shape.model.lacks(r.cells[:n]):
		return r.cells[:n], 0, true // empty columns at the end, as spreadsheets leave them
	case len(r.cells) != n, spaced:
	case r.flaw == sound && !t.isWrapped(r) && t.shape.model.misplaced(r.cells) < 2:
		return r.cells, 0, true
	case r.flaw == literal && strangers == 0 && !t.onesidedQuote(r):
		return r.cells, 0, true
	}
	return t.repaired(r, len(r.cells) < n || len(r.cells) == n && r.flaw > sound)
}

// repaired repairs a record within the file's budget; splits tells that a
// delimiter may be missing.
func (t *Table) repaired(r *record, splits bool) ([]string, repairs, bool) {
	allowed := min(maxSteps, firstSteps+stepsPerLine*t.count-t.steps)
	left := allowed
	cells, did, ok := t.shape.model.repairRecord(r.raw, t.dialect, splits, t.shape.strong, &left)
	t.steps += allowed - left
	return cells, did, ok
}

// inOtherDialect reads a record that has few cells as the file has them, but in
// one other dialect all of them, and each as its column wants it.
func (t *Table) inOtherDialect(r *record) (cells []string, did repairs, ok bool) {
	n := t.shape.fields
	if n < 4 || len(r.cells)*2 > n {
		return nil, 0, false
	}
	var split splitter
	for _, other := range t.shape.model.otherDialects(r.raw, t.dialect) {
		if other.did&didDelimiter == 0 {
			continue
		}
		got, flaw := split.split(other.dialect, r.raw)
		if len(got) != n || flaw != sound || t.shape.model.strangers(got) > 0 || t.shape.model.stranger(got, 1) || slices.Equal(got, cells) {
			continue
		}
		if cells != nil {
			return nil, 0, false
		}
		cells, did = slices.Clone(got), other.did
	}
	return cells, did, cells != nil
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

const maxAssembled = 60 // lines

// assemble puts a record together that its damage has left in several lines.
// did and settled tell whether its first line is a record by itself: then the
// lines behind must have quotes. Where they are one record but cannot be told
// apart into cells, they are refused as one.
func (t *Table) assemble(r *record, did repairs, settled bool) (Record, bool) {
	if len(r.cells) < 2 && r.flaw < behind && (t.dialect.delimiter == "" || strings.Count(r.raw, t.dialect.delimiter) < 3) &&
		len(t.shape.model.otherDialects(r.raw, t.dialect)) == 0 {
		return Record{}, false // a title or a note
	}
	whole, lines := t.leftover(r)
	if lines == 0 {
		return Record{}, false
	}
	hasQuotes := strings.ContainsAny(whole.raw[len(r.raw):], `"'`)
	const supplied = didGap | didSplit
	settled = settled && did&supplied == 0
	if settled && (did == 0 || !hasQuotes) || len(r.cells) > t.shape.fields && !hasQuotes {
		return Record{}, false
	}
	cells, doing, ok := t.repaired(&whole, true)
	if yes, no := t.shape.model.fits(cells, t.shape.strong); no > 0 || yes == 0 && len(t.shape.strong) > 0 {
		ok = false
	}
	if doing&supplied != 0 && (settled || !hasQuotes) {
		ok = false
	}
	closes := r.flaw >= behind && strings.Count(whole.raw[len(r.raw):], string(t.dialect.quote))%2 == 1
	if !ok && !closes && (settled || !hasQuotes) {
		return Record{}, false
	}
	for range lines {
		if _, err := t.shift(); err != nil {
			return Record{}, false
		}
	}
	stood := fmt.Sprintf("it stood on %d lines", lines+1)
	if !ok {
		out := t.refused(&whole)
		out.Changes[0].Why = stood + "; " + out.Changes[0].Why
		return out, true
	}
	t.gap = false
	change := lead.Change{Field: recordField, From: shortened(whole.raw, 2000), Why: stood}
	if doing != 0 {
		change.Why += "; " + doing.String()
	}
	return t.record(&whole, cells, []lead.Change{change}), true
}

// leftover joins a record with the lines behind it with which no record begins,
// and returns how many they are.
func (t *Table) leftover(r *record) (whole record, lines int) {
	whole = *r
	if !t.text {
		return whole, 0
	}
	raw, crlf := r.raw, r.crlf
	for i := 0; i < maxAssembled && len(raw) < 64<<10; i++ {
		for i >= len(t.queue) && t.ahead == nil {
			t.pull()
		}
		if i >= len(t.queue) || t.startsRecord(&t.queue[i]) {
			break
		}
		next := &t.queue[i]
		end := "\n"
		if crlf {
			end = "\r\n"
		}
		raw, crlf = raw+end+next.raw, next.crlf
		if !next.isBlank() { // blank lines behind the last are no part of it
			whole.raw, whole.crlf, lines = raw, crlf, i+1
		}
	}
	return whole, lines
}

// startsRecord tells a line with which a record begins, a sound one or not.
func (t *Table) startsRecord(r *record) bool {
	cells := r.cells
	if len(cells) >= t.shape.fields && r.flaw == sound && !r.isBlank() {
		return true
	}
	if len(cells) < 3 {
		return false
	}
	yes, no := t.shape.model.fits(cells[:len(cells)-1], t.shape.strong)
	return no == 0 && (yes > 1 || yes > 0 && t.shape.model.knows(cells[0]))
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
