// Package dropfile reads a drop's bytes as rows.
package dropfile

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/gocarina/gocsv"

	"importer/internal/importer"
	"importer/internal/lead"
)

// Options say how a file is read. The zero value finds everything out from the
// file; what is set goes before what is found.
type Options struct {
	// Columns maps a lead's field to the vendor's header for it, and goes
	// before the usual names.
	Columns map[string]string
	// Extras says where a lead's extras come from.
	Extras Extras

	Encoding  string // the character set's name, e.g. windows-1252
	Delimiter string // itself, or comma, semicolon, tab, pipe, space, caret, colon
	Quote     string // double, single, none
	Escape    string // doubled, backslash, none
	RecordEnd string // lf, crlf, cr, mixed
	// HeaderLine is the header's first line, from 1; 0: to be found; -1: the
	// table has no header.
	HeaderLine int

	MaxRecord  int // bytes that a record may have; 0: 1 MiB
	MaxColumns int // 0: 20,000
}

const (
	batchRows  = 128 // rows that gocsv fills at once
	batchBytes = 256 << 10
)

// Reader yields a drop's rows. It reads ahead by at most 128 rows or one
// record beyond 256 KiB, whichever comes first.
type Reader struct {
	table   *Table
	mapping []Mapped

	fill   canonical
	extras extras
	leads  []lead.Lead
	rows   []importer.Row // read, not yet handed out
	next   int
	err    error // comes behind rows
}

// Open finds a file's table and which columns hold what. Returns ErrEmpty,
// *FormatError, *HoldError or *RecordError for a file that cannot be read so;
// then no row of it may be imported.
func Open(r io.Reader, o Options) (*Reader, error) {
	for field := range o.Columns {
		if !slices.Contains(lead.Fields(), field) {
			return nil, fmt.Errorf("columns: %q is no field of a lead", field)
		}
	}
	t, err := OpenTable(r, o)
	if err != nil {
		return nil, err
	}
	if t.Header() == nil && t.isEmpty() {
		if t.ahead != nil && !errors.Is(t.ahead, io.EOF) {
			return nil, t.ahead
		}
		return nil, ErrEmpty
	}
	if t.shape.broken {
		return nil, &FormatError{
			Looks: fmt.Sprintf("CSV with a broken header on line %d", t.shape.lines[0]),
			Cure:  fmt.Sprintf("it has %d names for %d columns; correct that line", len(t.Header()), t.Fields()),
		}
	}
	configured := o.Extras.columns()
	maps.Copy(configured, o.Columns)
	mapping, err := mapColumns(t.Header(), t.shape.names(), configured)
	if err != nil {
		return nil, err
	}
	return &Reader{table: t, mapping: mapping, fill: newCanonical(mapping), extras: newExtras(o.Extras, mapping)}, nil
}

// Header returns the names of the file's columns, without blanks around them
// and each made distinct.
func (d *Reader) Header() []string { return d.table.Header() }

// Mapping says how each of the file's columns is read.
func (d *Reader) Mapping() []Mapped { return d.mapping }

// Outside tells which lines of the file were no rows so far.
func (d *Reader) Outside() Outside { return d.table.Outside() }

// Next returns the next row; io.EOF when there is none. A record that is no
// row comes with a Refusal; any other error ends the file. Cells are valid
// UTF-8 without NUL.
func (d *Reader) Next() (importer.Row, error) {
	if d.next == len(d.rows) {
		if d.err != nil {
			return importer.Row{}, d.err
		}
		d.readBatch()
		if len(d.rows) == 0 {
			return importer.Row{}, d.err
		}
	}
	d.next++
	return d.rows[d.next-1], nil
}

// readBatch reads rows until there are enough, or until an error.
func (d *Reader) readBatch() {
	d.rows, d.next = d.rows[:0], 0
	d.fill.reset()
	for size := 0; len(d.rows) < batchRows && size < batchBytes; {
		rec, err := d.table.Next()
		if err != nil {
			d.err = err
			break
		}
		for _, c := range rec.Cells {
			size += len(c)
		}
		d.rows = append(d.rows, importer.Row{
			Record: rec.Number, Line: rec.Line, Cells: rec.Cells, Changes: rec.Changes, Refusal: rec.Refusal,
		})
		if rec.Refusal == nil {
			d.fill.add(rec.Cells)
		}
	}
	if len(d.fill.rows) == 1 {
		return // the header alone
	}
	if d.leads == nil {
		d.leads = make([]lead.Lead, batchRows)
	}
	if err := gocsv.UnmarshalCSV(&d.fill, &d.leads); err != nil {
		d.rows, d.err = nil, fmt.Errorf("filling leads: %w", err)
		return
	}
	filled := 0
	for i := range d.rows {
		if d.rows[i].Refusal == nil {
			d.rows[i].Lead = d.leads[filled]
			d.rows[i].Lead.Extras = d.extras.of(d.rows[i].Cells)
			filled++
		}
	}
}
