package dropfile

import (
	"io"
	"slices"

	"github.com/gocarina/gocsv"

	"importer/internal/lead"
)

// canonical yields records under the lead's own field names, with the columns
// that are mapped only. gocsv fills leads from it.
type canonical struct {
	columns []int // the file's, from 0
	rows    [][]string
	next    int
}

var _ gocsv.CSVReader = (*canonical)(nil)

func newCanonical(mapping []Mapped) canonical {
	c := canonical{rows: make([][]string, 1, batchRows+1)}
	for _, m := range mapping {
		if slices.Contains(lead.Fields(), m.Field) {
			c.columns = append(c.columns, m.Column-1)
			c.rows[0] = append(c.rows[0], m.Field)
		}
	}
	return c
}

// reset forgets the records, not the header.
func (c *canonical) reset() {
	c.rows, c.next = c.rows[:1], 0
}

func (c *canonical) add(cells []string) {
	row := make([]string, len(c.columns))
	for i, at := range c.columns {
		row[i] = cells[at]
	}
	c.rows = append(c.rows, row)
}

// Read returns the header first.
func (c *canonical) Read() ([]string, error) {
	if c.next == len(c.rows) {
		return nil, io.EOF
	}
	c.next++
	return c.rows[c.next-1], nil
}

// ReadAll returns the header and all records that are left.
func (c *canonical) ReadAll() ([][]string, error) {
	left := c.rows[c.next:]
	c.next = len(c.rows)
	return left, nil
}
