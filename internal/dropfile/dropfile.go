// Package dropfile reads a drop's bytes as rows.
package dropfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"importer/internal/importer"
	"importer/internal/lead"
)

// Options say how a file is read. The zero value finds everything out from the
// file; what is set goes before what is found.
type Options struct {
	// Columns maps a lead's field to the vendor's header for it, and goes
	// before the usual names.
	Columns map[string]string
	// Made says how fields come about that no column holds as they are: a
	// lead's field, or custom_fields.LABEL. None of them is in Columns.
	Made map[string]Made
	// Extras says where a lead's extras come from.
	Extras Extras
	// Region is the country by whose rules numbers and codes are recognised.
	Region string
	// DateOrder is how the feed writes dates; empty: as the file's dates show.
	DateOrder lead.DateOrder

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

// Reader yields a drop's rows. Beyond the first 600 records, by which the table
// is judged, it reads ahead by at most 128 rows or one record beyond 256 KiB,
// whichever comes first.
type Reader struct {
	table  *Table
	mapper *mapper

	rows []importer.Row // read, not yet handed out
	next int
	err  error // comes behind rows
}

// Open finds a file's table and which columns hold what. A file that is an
// io.ReadSeeker and has dates is read twice, see Dates. Returns ErrEmpty,
// *FormatError, *HoldError or *RecordError for a file that cannot be read so;
// then no row of it may be imported.
func Open(r io.Reader, o Options) (*Reader, error) {
	file, whole := r.(io.ReadSeeker)
	var begin int64
	if whole {
		var err error
		if begin, err = file.Seek(0, io.SeekCurrent); err != nil {
			return nil, fmt.Errorf("finding the file's beginning: %w", err)
		}
	}
	beginning := bufio.NewReaderSize(r, ownBytes)
	head, _ := beginning.Peek(ownBytes) // an error comes again when the file is read
	o = o.ifOurs(head)
	t, err := OpenTable(beginning, o)
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
	if t.unmapped != nil {
		return nil, t.unmapped
	}
	d := &Reader{table: t, mapper: t.mapper}
	if whole {
		err = d.seeAllDates(file, begin, o)
	}
	return d, err
}

// Header returns the names of the file's columns as they stand there, without
// blanks around them; nil for a table without a header.
func (d *Reader) Header() []string { return d.table.shape.names() }

// Fields returns what each column is read as, empty for one that is not used.
func (d *Reader) Fields() []string {
	fields := make([]string, len(d.mapper.mapped))
	for i, m := range d.mapper.mapped {
		fields[i] = m.Field
	}
	return fields
}

// Mapping says how each of the file's columns is read.
func (d *Reader) Mapping() []Mapped { return d.mapper.mapped }

// Dates returns the orders that the file's dates show, by field: all of them
// where Open could read the file twice, else the first ones.
func (d *Reader) Dates() map[string]lead.DateOrder { return d.mapper.dates }

// Explain tells how the file is read, as far as it was read.
func (d *Reader) Explain() Explanation { return d.table.Explain() }

// Outside tells which lines of the file were no rows so far.
func (d *Reader) Outside() importer.Outside { return d.table.Outside() }

// Next returns the next row; io.EOF when there is none. A record that is no
// row comes with a Refusal; any other error ends the file. Cells are valid
// UTF-8 without NUL.
func (d *Reader) Next() (importer.Row, error) {
	if d.next == len(d.rows) {
		if d.err != nil {
			return importer.Row{}, d.err
		}
		d.readBatch()
		if err := d.mapper.lead(d.rows); err != nil {
			d.rows, d.err = nil, err
		}
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
	}
}
