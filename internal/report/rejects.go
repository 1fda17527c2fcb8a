package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"importer/internal/importer"
	"importer/internal/lead"
)

// added are the columns that follow the vendor's.
var added = []string{"import_line", "import_outcome", "import_reason", "import_note"}

// Rejects writes rejected rows as one table in CSV that can be corrected and
// imported again as it is: the vendor's own columns in the vendor's own order,
// then line, outcome, reason and note. Drops with other columns have theirs
// behind those of the drops before them; what such a table means nobody but a
// person can say.
type Rejects struct {
	out    *csv.Writer
	header []string
	of     map[string]int // column by name and its occurrence
	begun  bool
}

// NewRejects starts a file of the rejects of some drops.
func NewRejects(w io.Writer, drops []importer.Drop) *Rejects {
	r := &Rejects{out: csv.NewWriter(w), of: map[string]int{}}
	for _, d := range drops {
		r.places(vendorColumns(d))
	}
	return r
}

// vendorColumns are a drop's columns. Those of a file without a header have
// numbers, and what they were read as, since nothing else would tell it when a
// few of its rows come again.
func vendorColumns(d importer.Drop) []string {
	if len(d.Header) > 0 {
		return d.Header
	}
	names := make([]string, len(d.Fields))
	for i, field := range d.Fields {
		names[i] = "column " + strconv.Itoa(i+1)
		if field != "" {
			names[i] += " (" + field + ")"
		}
	}
	return names
}

// HaveOneTable tells whether all drops have the same columns.
func HaveOneTable(drops []importer.Drop) bool {
	for _, d := range drops {
		if !slices.Equal(vendorColumns(d), vendorColumns(drops[0])) {
			return false
		}
	}
	return true
}

// places returns which of the table's columns a header's columns are; -1 for
// those of an earlier file of rejects, which are told anew.
func (r *Rejects) places(header []string) []int {
	at := make([]int, len(header))
	times := map[string]int{}
	for i, name := range header {
		if slices.Contains(added, name) {
			at[i] = -1
			continue
		}
		times[name]++
		key := name + "\x00" + strconv.Itoa(times[name])
		column, known := r.of[key]
		if !known {
			column = len(r.header)
			r.of[key] = column
			r.header = append(r.header, name)
		}
		at[i] = column
	}
	return at
}

// Add writes a row of one of the drops. A record of which nobody can tell which
// cells it has stands as it was in the first of the vendor's columns, so that it
// never passes for a row until it is put in order.
func (r *Rejects) Add(row importer.Reject) error {
	places := r.places(vendorColumns(row.Drop))
	if !r.begun {
		r.begun = true
		if err := r.write(append(guarded(r.header), added...)); err != nil {
			return err
		}
	}
	cells, note := row.Cells, row.Note
	if row.Text != "" && (row.Reason == lead.RowFields || row.Reason == lead.RowQuotes) {
		cells = []string{row.Text}
		note += "; its text stands in its first column: put it into its columns, or empty import_reason if it is right as it is"
	}
	out := make([]string, len(r.header), len(r.header)+len(added))
	for i, cell := range cells {
		if i < len(places) && places[i] >= 0 {
			out[places[i]] = cell
		}
	}
	return r.write(guarded(append(out, strconv.Itoa(row.Line), string(row.Outcome), string(row.Reason), note)))
}

func guarded(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = Harmless(c)
	}
	return out
}

func (r *Rejects) write(cells []string) error {
	if err := r.out.Write(cells); err != nil {
		return fmt.Errorf("writing rejects: %w", err)
	}
	return nil
}

// Harmless makes a cell that a spreadsheet would take for a formula plain text
// with an apostrophe before it. The same goes for what stands behind a
// semicolon, a tab or a line break, where another cell begins for a spreadsheet
// that expects other delimiters. What looks so already gets another apostrophe,
// so that taking one away gives the cell back.
func Harmless(cell string) string {
	if !strings.ContainsAny(cell, "=+-@\t\r") {
		return cell
	}
	var out strings.Builder
	begins := true
	for i := range len(cell) {
		if begins && cell[i] != '"' {
			if bare := strings.TrimLeft(cell[i:], "'"); bare != "" && (strings.IndexByte("=+-@", bare[0]) >= 0 || i == 0 && strings.IndexByte("\t\r", bare[0]) >= 0) {
				out.WriteByte('\'')
			}
		}
		begins = strings.IndexByte(";\t\r\n", cell[i]) >= 0 || begins && cell[i] == '"'
		out.WriteByte(cell[i])
	}
	return out.String()
}

// Close writes what is still buffered.
func (r *Rejects) Close() error {
	r.out.Flush()
	if err := r.out.Error(); err != nil {
		return fmt.Errorf("writing rejects: %w", err)
	}
	return nil
}
