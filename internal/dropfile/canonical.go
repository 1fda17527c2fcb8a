package dropfile

import (
	"io"

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

// newCanonical takes the columns by field, those of extras among them.
func newCanonical(of map[string]int) canonical {
	c := canonical{rows: make([][]string, 1, batchRows+1)}
	for _, field := range lead.Fields() {
		if at, mapped := of[field]; mapped {
			c.columns = append(c.columns, at)
			c.rows[0] = append(c.rows[0], field)
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
