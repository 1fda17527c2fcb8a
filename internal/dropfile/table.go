package dropfile

import (
	"importer/internal/importer"
	"importer/internal/lead"
)

// Record is one record of a table.
type Record struct {
	Number  int           // from 1, the header not counted
	Line    int           // on which it begins, from 1
	Cells   []string      // in the columns of the header; as far as they can be told when it is refused
	Changes []lead.Change // what was repaired, and why
	Refusal *lead.Refusal // set when it cannot be told which cells it has
}

// Table yields the records of a file's first real table.
type Table struct {
	src      source
	shape    shape
	head     []string // the header, made distinct; nil for none
	queue    []record // read, not yet handed out
	ahead    error    // comes behind queue
	dialect  dialect  // of the text; sheets have none
	text     bool
	count    int
	steps    int // taken for repairs
	mapper   *mapper
	unmapped error // why there is no mapper
	gap      bool  // a line outside of the table was just seen
	other    bool  // in a second table
	out      importer.Outside
	odd      oddities
	found    Explanation
}

// Header returns the names of the columns, nil when the table has none.
func (t *Table) Header() []string { return t.head }

// Fields returns how many columns the table has.
func (t *Table) Fields() int { return t.shape.fields }

// isEmpty tells a file in which nothing stands.
func (t *Table) isEmpty() bool {
	_, more := t.peek(0)
	return !more && len(t.shape.rows) == 0
}

// Outside tells what of the file was no record so far.
func (t *Table) Outside() importer.Outside { return t.out }

// pull reads one more record ahead.
func (t *Table) pull() {
	rec, err := t.src.next()
	if err != nil {
		t.ahead = err
		return
	}
	t.queue = append(t.queue, rec)
}

// peek returns the record that comes i behind the next one, blank ones left
// out; false when the file ends before.
func (t *Table) peek(i int) (*record, bool) {
	for at, size := 0, 0; size < peekedBytes; at++ {
		for at >= len(t.queue) {
			if t.ahead != nil || len(t.queue) > peeked {
				return nil, false
			}
			t.pull()
		}
		size += t.queue[at].size()
		if t.queue[at].isBlank() {
			continue
		}
		if i == 0 {
			return &t.queue[at], true
		}
		i--
	}
	return nil, false
}

// size is what a record takes in memory, roughly: a line of delimiters alone
// has a cell for each byte.
func (r *record) size() int {
	const ofCell = 16
	size := max(len(r.raw), ofCell*len(r.cells))
	for _, c := range r.cells {
		size += len(c)
	}
	return size
}

// shift takes the next record.
func (t *Table) shift() (rec record, err error) {
	switch {
	case len(t.queue) > 0:
		rec = t.queue[0]
		t.queue[0] = record{}
		if t.queue = t.queue[1:]; len(t.queue) == 0 {
			t.queue = nil
		}
	case t.ahead != nil:
		return record{}, t.ahead
	default:
		if rec, err = t.src.next(); err != nil {
			return record{}, err
		}
	}
	rec.cells = t.cut(rec.cells)
	return rec, nil
}

// cut takes off the empty cells that all records have behind the columns.
func (t *Table) cut(cells []string) []string {
	if n := t.shape.fields; t.shape.tail > 0 && len(cells) == n+t.shape.tail && filled(cells) <= n {
		return cells[:n]
	}
	return cells
}

// sample returns the cells of the sound records among those that were read
// ahead.
func (t *Table) sample() [][]string {
	var all [][]string
	size := 0
	for i := range t.queue {
		r := &t.queue[i]
		if size += len(r.raw); size > sampled {
			break
		}
		if cells := t.cut(r.cells); len(cells) == t.shape.fields && r.flaw == sound && !r.isBlank() {
			all = append(all, cells)
		}
	}
	return all
}

// Next returns the table's next record; io.EOF when there is none. Any other
// error ends the file.
func (t *Table) Next() (Record, error) {
	for {
		rec, err := t.shift()
		if err != nil {
			return Record{}, err
		}
		if t.isSound(&rec) {
			t.gap = false
			return t.record(&rec, nil, nil), nil
		}
		if out, ok, err := t.judge(&rec); err != nil || ok {
			return out, err
		}
	}
}
