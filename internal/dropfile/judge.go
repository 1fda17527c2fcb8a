package dropfile

import (
	"slices"
	"strings"

	"importer/internal/lead"
)

// isSound tells nearly all records of a good file, quickly: the right number
// of cells, nothing strange about quotes and blanks, and a strong column that is
// as it should be. A strange cell or two are the row's own affair; strangers in
// all strong columns are a header or another table.
func (t *Table) isSound(r *record) bool {
	if len(r.cells) != t.shape.fields || r.flaw != sound || t.gap || t.other || r.mended != "" {
		return false
	}
	if c := r.cells[0]; c != "" && (c[0] == '#' || c[0] == '/' || c[0] == '-') && t.text && t.isComment(r) {
		return false
	}
	full, apostrophes, blanks := 0, 0, 0
	for _, c := range r.cells {
		if c == "" {
			continue
		}
		full++
		switch c[0] {
		case '\'':
			apostrophes++
		case ' ':
			blanks++
		}
	}
	if full*2 <= t.shape.fields+1 && (r.isBlank() || t.shape.isTotal(r.cells) || t.isNote(r)) ||
		t.text && (apostrophes > 0 && t.isWrapped(r) || blanks > 0 && t.isSpaced(r) || strings.IndexByte(r.raw, '\r') >= 0) {
		return false
	}
	if t.text && strings.IndexByte(r.raw, '\n') >= 0 && t.swallowed(r) != nil {
		return false
	}
	if len(t.shape.strong) == 0 {
		if c := r.cells[0]; c != "" && (!t.shape.model.columns[0].hasPattern(c) || len(t.shape.rows) > 0 && slices.Contains(t.shape.rows[0], c)) {
			return false
		}
		return full > 0
	}
	for _, j := range t.shape.quick { // that one of each family fails may be a shift
		if c := r.cells[j]; c != "" && !t.isOwn(c, j) {
			return false
		}
	}
	for _, j := range t.shape.strong {
		if c := r.cells[j]; c != "" && t.isOwn(c, j) {
			return true
		}
	}
	return false
}

// isOwn tells a cell that a strong column takes as its own.
func (t *Table) isOwn(cell string, column int) bool {
	k := kindOf(cell)
	return t.shape.own[column].has(k) && (k != code || t.shape.model.columns[column].hasPattern(cell))
}

// isWrapped tells a record with apostrophes in place of quotation marks.
func (t *Table) isWrapped(r *record) bool {
	if t.dialect.quote != '"' {
		return false
	}
	wrapped, full := 0, 0
	for _, c := range r.cells {
		if c == "" {
			continue
		}
		full++
		if len(c) > 1 && c[0] == '\'' && c[len(c)-1] == '\'' {
			if wrapped++; strings.Contains(c[1:len(c)-1], "''") {
				return true
			}
		}
	}
	return wrapped > 1 || wrapped == 1 && full == 1
}

// isSpaced tells a record whose delimiters have a blank behind them, in a file
// whose delimiters have none.
func (t *Table) isSpaced(r *record) bool {
	if len(r.cells) < 3 || len(t.dialect.delimiter) != 1 {
		return false
	}
	for j, c := range r.cells[1:] {
		if c == "" || c[0] != ' ' || t.shape.model.columns[j+1].spaced*2 > t.shape.model.rows {
			return false
		}
	}
	return true
}

// judge finds out about a record that is not sound. Returns false when it is
// none of the table's.
func (t *Table) judge(r *record) (Record, bool, error) {
	switch {
	case r.isBlank():
		return t.outside(r, Blank)
	case t.isHeader(r):
		t.other = false
		return t.outside(r, RepeatedHeader)
	case t.other:
		return t.outside(r, SecondTable)
	case t.shape.isTotal(r.cells):
		return t.outside(r, Total)
	case t.text && t.isComment(r):
		return t.outside(r, Comment)
	case (len(r.cells) == t.shape.fields || r.isWrappedText()) && t.isNote(r):
		return t.outside(r, Note)
	}
	recs := t.partsAtCR(r)
	if recs == nil {
		recs = t.swallowed(r)
	}
	if recs != nil {
		t.queue = append(recs, t.queue...)
		return Record{}, false, nil
	}
	if len(r.cells) != t.shape.fields && t.beginsWider(r) {
		t.other = true
		return t.outside(r, SecondTable)
	}
	cells, did, ok := t.settle(r)
	if out, ok := t.assemble(r, did, ok); ok {
		return out, true, nil
	}
	if ok {
		if did == 0 && t.beginsAnother(r) {
			t.other = true
			return t.outside(r, SecondTable)
		}
		t.gap = false
		return t.record(r, cells, did.changes(r)), true, nil
	}
	switch {
	case t.beginsAnother(r):
		t.other = true
		return t.outside(r, SecondTable)
	case t.isNote(r):
		return t.outside(r, Note)
	}
	return t.refused(r), true, nil
}

// refused is a record of which it cannot be told which cells it has.
func (t *Table) refused(r *record) Record {
	t.gap = false
	out := t.record(r, nil, nil)
	out.Refusal = t.refusal(r)
	out.Changes = []lead.Change{{Field: recordField, From: r.raw, Why: out.Refusal.Detail}}
	t.odd.refused(r, out.Refusal)
	return out
}

func (t *Table) outside(r *record, why string) (Record, bool, error) {
	t.gap = true
	t.leaveOut(r, why)
	return Record{}, false, nil
}

// record makes a record; cells are those that a repair has found.
func (t *Table) record(r *record, cells []string, changes []lead.Change) Record {
	t.count++
	out := Record{Number: t.count, Line: r.line, Cells: r.cells, Changes: changes}
	if cells != nil {
		out.Cells = cells
	}
	if r.mended != "" {
		change := lead.Change{Field: recordField, Why: r.mended}
		if !t.text {
			change.From = shortened(r.raw, 2000) // what was left out of a sheet's row
		}
		out.Changes = append(out.Changes, change)
	}
	if len(out.Changes) > 0 {
		t.odd.repaired(r, out.Changes)
	}
	return out
}

// recordField stands in place of a field's name where the whole record was
// changed.
const recordField = "record"

func (r repairs) changes(rec *record) []lead.Change {
	if r == 0 {
		return nil
	}
	return []lead.Change{{Field: recordField, From: shortened(rec.raw, 2000), Why: r.String()}}
}

// isHeader tells the table's own header, or a row of it, in mid-file.
func (t *Table) isHeader(r *record) bool {
	for _, row := range t.shape.rows {
		full := filled(row)
		if full == 0 || filled(r.cells) != full {
			continue
		}
		same := true
		for j := range full {
			same = same && strings.TrimSpace(r.cells[j]) == row[j]
		}
		if same && (full > 1 || t.shape.fields == 1) {
			return true
		}
	}
	return false
}

// beginsAnother tells the header of another table: names where this table has
// numbers and dates, and records below it that are not this table's.
func (t *Table) beginsAnother(r *record) bool {
	full := filled(r.cells)
	if full < 2 || hasContact(strings.Join(r.cells, "\x00")) {
		return t.gap && full > 1 && t.areStrangers(r)
	}
	for _, c := range r.cells {
		if k := kindOf(c); k == date || k == email || k == phone {
			return t.gap && t.areStrangers(r)
		}
	}
	yes, no := t.shape.model.fits(r.cells, t.shape.strong)
	names := knownNames(r.cells)
	if len(r.cells) == t.shape.fields {
		no += t.shape.model.misses(r.cells, t.shape.strong)
		switch {
		case yes > 0:
			return false
		case no == 0:
			return areDistinct(r.cells) && t.shape.model.stranger(r.cells, 1) && (t.gap && t.areStrangeBelow(2, 1) || t.areStrangeBelow(4, 2))
		}
		below := 2 // strangers at least: a few records of people who gave nothing are none
		if t.gap {
			below = 1
		}
		return (no > 1 || t.gap && no*2 > len(t.shape.strong)) &&
			(names > 1 && names*2 >= full || t.namesColumn(r) || areDistinct(r.cells) && t.areStrangeBelow(below, 1))
	}
	below, ok := t.peek(0)
	if !ok {
		return t.gap && names > 1
	}
	if next, ok := t.peek(1); ok && len(next.cells) != len(r.cells) && names*2 < full {
		return false
	}
	if len(below.cells) == t.shape.fields && below.flaw == sound {
		return false
	}
	return len(below.cells) == len(r.cells) && (t.gap || names > 0 && names*2 >= full || len(r.cells) > 2)
}

// namesColumn tells a record with the name of one of the strong columns in it.
func (t *Table) namesColumn(r *record) bool {
	names := t.shape.names()
	for _, j := range t.shape.strong {
		if j < len(names) && names[j] != "" && plain(names[j]) == plain(r.cells[j]) {
			return true
		}
	}
	return false
}

// areStrangeBelow tells that the next records, so many at least, do not look
// like this table's.
func (t *Table) areStrangeBelow(atLeast int, times float64) bool {
	for i := range 5 {
		below, ok := t.peek(i)
		if !ok {
			return i >= atLeast
		}
		if len(below.cells) == t.shape.fields && !t.shape.model.stranger(below.cells, times) {
			return false
		}
	}
	return true
}

// areDistinct tells cells of which none is empty, and none is there twice.
func areDistinct(cells []string) bool {
	seen := map[string]bool{"": true}
	for _, c := range cells[:filled(cells)] {
		if seen[c] {
			return false
		}
		seen[c] = true
	}
	return true
}

// beginsWider tells the header of another table that has more or fewer
// columns: names, and records below that have as many cells.
func (t *Table) beginsWider(r *record) bool {
	if r.flaw > literal || len(r.cells) < 2 || !areDistinct(r.cells) && knownNames(r.cells)*2 < len(r.cells) || filled(r.cells) < len(r.cells) || hasContact(strings.Join(r.cells, "\x00")) {
		return false
	}
	for _, c := range r.cells {
		if kindOf(c).strong() {
			return false
		}
	}
	if yes, _ := t.shape.model.fits(r.cells, t.shape.strong); yes > 0 {
		return false
	}
	for i := range 2 {
		if next, ok := t.peek(i); !ok || len(next.cells) != len(r.cells) || next.flaw > literal {
			return false
		}
	}
	return true
}

// areStrangers tells records behind a gap that have another number of cells,
// all the same.
func (t *Table) areStrangers(r *record) bool {
	if len(r.cells) == t.shape.fields {
		return false
	}
	for i := range 2 {
		if next, ok := t.peek(i); !ok || len(next.cells) != len(r.cells) {
			return false
		}
	}
	return true
}

// isWrappedText tells a line that is one cell within quotation marks: it says
// itself that nothing in it is a delimiter.
func (r *record) isWrappedText() bool {
	return len(r.cells) == 1 && r.flaw == sound && strings.HasPrefix(r.raw, `"`)
}

// isNote tells a line of text without a contact in it.
func (t *Table) isNote(r *record) bool {
	return t.shape.fields > 2 && r.flaw <= literal && filled(r.cells) == 1 &&
		r.cells[0] != "" && !hasContact(r.cells[0]) && !t.shape.model.knows(r.cells[0])
}
