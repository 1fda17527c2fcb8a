// Package dropfile reads a drop's bytes as rows.
package dropfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/gocarina/gocsv"

	"importer/internal/importer"
	"importer/internal/lead"
)

// Options say how a file is read. The zero value reads by the usual names.
type Options struct {
	// Columns maps a lead's field to the vendor's header for it, and goes
	// before the usual names.
	Columns map[string]string
	// Extras says where a lead's extras come from.
	Extras Extras
	// MaxRecord is how many bytes a record may have; 0: 1 MiB.
	MaxRecord int
}

const (
	defaultMaxRecord = 1 << 20
	sniffed          = 4 << 10 // bytes in which a binary file shows
	batchRows        = 128     // rows that gocsv fills at once
	batchBytes       = 256 << 10
)

// Reader yields a drop's rows. It reads ahead by at most 128 rows or one
// record beyond 256 KiB, whichever comes first.
type Reader struct {
	records records
	header  []string
	mapping []Mapped
	count   int // records, the header not counted

	fill   canonical
	extras extras
	leads  []lead.Lead
	rows   []importer.Row // read, not yet handed out
	next   int
	err    error // comes behind rows
}

// Open reads the header of a CSV file: UTF-8 with or without a byte-order
// mark, or Windows-1252. Returns ErrEmpty, *FormatError, *HoldError or
// *RecordError for a file that cannot be read so; then no row of it may be
// imported.
func Open(r io.Reader, o Options) (*Reader, error) {
	for field := range o.Columns {
		if !slices.Contains(lead.Fields(), field) {
			return nil, fmt.Errorf("columns: %q is no field of a lead", field)
		}
	}
	d := &Reader{records: records{w: window{r: r, max: o.MaxRecord}, line: 1}}
	if d.records.w.max <= 0 {
		d.records.w.max = defaultMaxRecord
	}
	if err := d.readHeader(); err != nil {
		return nil, err
	}
	configured := o.Extras.columns()
	maps.Copy(configured, o.Columns)
	mapping, err := mapColumns(d.header, configured)
	if err != nil {
		return nil, err
	}
	d.mapping = mapping
	d.fill = newCanonical(mapping)
	d.extras = newExtras(o.Extras, mapping)
	return d, nil
}

func (d *Reader) readHeader() error {
	r := &d.records
	block, err := r.w.peek(sniffed)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(block, utf8BOM) {
		r.w.start += len(utf8BOM)
		block = block[len(utf8BOM):]
	}
	if bad := recognise(block); bad != nil {
		return bad
	}
	n, err := r.firstLine()
	if errors.Is(err, io.EOF) {
		return ErrEmpty
	}
	if err != nil {
		return err
	}
	line := bytes.TrimRight(r.w.buf[r.w.start:r.w.start+n], "\r\n")
	if bytes.IndexByte(line, '\r') >= 0 {
		return &FormatError{Looks: "text of an old Macintosh, with other line breaks", Cure: "save it as CSV (UTF-8)"}
	}
	r.comma = delimiterOf(line)
	head, err := r.next(0)
	if err != nil {
		return err
	}
	if head.refusal != nil {
		return &FormatError{Looks: fmt.Sprintf("CSV with a broken header on line %d", head.line), Cure: head.refusal.Detail}
	}
	r.blank = 0
	for _, h := range head.cells {
		d.header = append(d.header, strings.TrimSpace(h))
	}
	return nil
}

// Header returns the vendor's own column names, without blanks around them.
func (d *Reader) Header() []string { return d.header }

// Mapping says how each of the file's columns is read.
func (d *Reader) Mapping() []Mapped { return d.mapping }

// Blank returns how many lines behind the header held no record so far.
func (d *Reader) Blank() int { return d.records.blank }

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
		rec, err := d.records.next(len(d.header))
		if err != nil {
			d.err = err
			break
		}
		size += rec.size
		d.count++
		d.rows = append(d.rows, importer.Row{Record: d.count, Line: rec.line, Cells: rec.cells, Refusal: rec.refusal})
		if rec.refusal == nil {
			d.fill.add(rec.cells)
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
