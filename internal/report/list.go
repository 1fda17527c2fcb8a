package report

import (
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
)

// List writes objects for programs, or a table of their cells for people.
func List[T any](w io.Writer, f Format, objects []T, header []any, cells func(T) []any) error {
	if f == JSON {
		if objects == nil {
			objects = []T{}
		}
		return writeJSON(w, objects)
	}
	if len(objects) == 0 {
		_, err := fmt.Fprintln(w, "none")
		return err
	}
	t := newTable(header...)
	for _, o := range objects {
		t.AppendRow(table.Row(cells(o)))
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}
