package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"

	"importer/internal/importer"
)

// Rejects writes rejected rows as CSV: the vendor's own columns in the
// vendor's own order, then line, outcome, reason and note. Drops with another
// header follow after a header of their own.
type Rejects struct {
	out    *csv.Writer
	header []string
	begun  bool
}

// NewRejects starts a file of rejects.
func NewRejects(w io.Writer) *Rejects { return &Rejects{out: csv.NewWriter(w)} }

// Add writes one row.
func (r *Rejects) Add(row importer.Reject) error {
	if !r.begun || !slices.Equal(r.header, row.Drop.Header) {
		r.begun, r.header = true, row.Drop.Header
		if err := r.write(r.header, "import_line", "import_outcome", "import_reason", "import_note"); err != nil {
			return err
		}
	}
	return r.write(row.Cells, strconv.Itoa(row.Line), string(row.Outcome), string(row.Reason), row.Note)
}

func (r *Rejects) write(vendor []string, more ...string) error {
	cells := make([]string, 0, len(vendor)+len(more))
	for _, c := range vendor {
		cells = append(cells, Harmless(c))
	}
	// A record with too few cells keeps its explanation in the right columns.
	for len(cells) < len(r.header) {
		cells = append(cells, "")
	}
	if err := r.out.Write(append(cells, more...)); err != nil {
		return fmt.Errorf("writing rejects: %w", err)
	}
	return nil
}

// Close writes what is still buffered.
func (r *Rejects) Close() error {
	r.out.Flush()
	if err := r.out.Error(); err != nil {
		return fmt.Errorf("writing rejects: %w", err)
	}
	return nil
}
