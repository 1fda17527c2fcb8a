package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"importer/internal/importer"
)

// added are the columns that follow the vendor's.
var added = []string{"import_line", "import_outcome", "import_reason", "import_note"}

// Rejects writes rejected rows as one table in CSV that can be corrected and
// imported again as it is: the vendor's own columns in the vendor's own order,
// then line, outcome, reason and note. Drops with other columns have theirs
// behind those of the drops before them.
type Rejects struct {
	out    *csv.Writer
	header []string
	of     map[string]int // column by name and its occurrence
	begun  bool
}

// NewRejects starts a file of the rejects of drops with the given headers.
func NewRejects(w io.Writer, headers [][]string) *Rejects {
	r := &Rejects{out: csv.NewWriter(w), of: map[string]int{}}
	for _, header := range headers {
		r.places(header)
	}
	return r
}

// places returns which of the table's columns a header's columns are; -1 for
// those of an earlier file of rejects, which are told anew.
func (r *Rejects) places(header []string) []int {
	at := make([]int, len(header))
	times := map[string]int{}
	for i, name := range header {
		if isAdded(name) {
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

func isAdded(name string) bool {
	for _, a := range added {
		if name == a {
			return true
		}
	}
	return false
}

// Add writes one row.
func (r *Rejects) Add(row importer.Reject) error {
	header := row.Drop.Header
	if len(header) == 0 { // the columns of a file without a header have numbers
		for i := range row.Cells {
			header = append(header, "column "+strconv.Itoa(i+1))
		}
	}
	places := r.places(header)
	if !r.begun {
		r.begun = true
		if err := r.write(append(guarded(r.header), added...)); err != nil {
			return err
		}
	}
	cells := make([]string, len(r.header), len(r.header)+len(added)+len(row.Cells))
	var more []string // of a record with too many: it stays one until it is corrected
	for i, cell := range row.Cells {
		switch {
		case i >= len(places):
			more = append(more, cell)
		case places[i] >= 0:
			cells[places[i]] = cell
		}
	}
	cells = append(guarded(cells), strconv.Itoa(row.Line), string(row.Outcome), string(row.Reason), row.Note)
	return r.write(append(cells, guarded(more)...))
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
// with an apostrophe before it. One that looks so already gets another, so that
// taking one away gives the cell back.
func Harmless(cell string) string {
	bare := strings.TrimLeft(cell, "'")
	if bare != "" && strings.ContainsRune("=+-@\t\r", rune(bare[0])) {
		return "'" + cell
	}
	return cell
}

// Close writes what is still buffered.
func (r *Rejects) Close() error {
	r.out.Flush()
	if err := r.out.Error(); err != nil {
		return fmt.Errorf("writing rejects: %w", err)
	}
	return nil
}
