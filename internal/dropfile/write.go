package dropfile

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// WriteCSV writes a table as it is read, as RFC 4180 CSV: the header first, if
// it has one, then the records, their cells as they are.
func WriteCSV(w io.Writer, t *Table) error {
	out := csv.NewWriter(w)
	if t.Header() != nil {
		if err := writeCells(out, t.Header()); err != nil {
			return err
		}
	}
	err := t.each(func(r Record) error { return writeCells(out, r.Cells) })
	out.Flush()
	return errors.Join(err, out.Error())
}

func writeCells(out *csv.Writer, cells []string) error {
	if err := out.Write(cells); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// WriteJSON writes a table as it is read: an object with its header (null for
// none) and its records, each a list of cells.
func WriteJSON(w io.Writer, t *Table) error {
	out := bufio.NewWriter(w)
	head, err := json.Marshal(t.Header())
	if err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	fmt.Fprintf(out, `{"header":%s,"records":[`, head)
	between := "\n"
	err = t.each(func(r Record) error {
		cells, err := json.Marshal(r.Cells)
		if err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
		_, err = fmt.Fprintf(out, "%s%s", between, cells)
		between = ",\n"
		return err
	})
	fmt.Fprintf(out, "\n]}\n")
	return errors.Join(err, out.Flush())
}

// each calls a function with each record that is left.
func (t *Table) each(do func(Record) error) error {
	for {
		r, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(r); err != nil {
			return err
		}
	}
}
