package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
)

// reading is what it took to read a file.
type reading struct {
	Rows    int
	Leads   int // that were found good
	Bytes   int64
	Seconds float64 // of the processor: one is all that it has
	Memory  int     // at most, in bytes
}

func (r reading) rate() float64  { return float64(r.Rows) / r.Seconds }
func (r reading) speed() float64 { return float64(r.Bytes) / megabyte / r.Seconds }

// reader is this program as the process that reads standard input, and tells on
// standard output what that took.
func reader(what string, in *os.File, out io.Writer) error {
	var r reading
	from := &counted{r: in}
	before := spentHere()
	if err := r.read(what, in, from); err != nil {
		return err
	}
	r.Seconds, r.Bytes, r.Memory = (spentHere() - before).Seconds(), from.n, memory(os.Getpid(), "VmHWM:")
	return json.NewEncoder(out).Encode(r)
}

func (r *reading) read(what string, file *os.File, from io.Reader) error {
	switch what {
	case "csv":
		return r.standard(from)
	case "table":
		return r.table(from)
	case "leads":
		return r.leads(from)
	case "book":
		return r.book(file)
	default:
		return fmt.Errorf("%q is no way to read", what)
	}
}

// standard reads with Go's own library, told what the file is.
func (r *reading) standard(from io.Reader) error {
	c := csv.NewReader(bufio.NewReaderSize(from, 64<<10))
	r.Rows = -1 // the header
	return untilEnd(func() error {
		_, err := c.Read()
		if err == nil {
			r.Rows++
		}
		return err
	})
}

// table finds the table in a file and parts its records.
func (r *reading) table(from io.Reader) error {
	t, err := dropfile.OpenTable(from, dropfile.Options{})
	if err != nil {
		return err
	}
	return untilEnd(func() error {
		_, err := t.Next()
		if err == nil {
			r.Rows++
		}
		return err
	})
}

// leads does all that is done with a row before it is recorded.
func (r *reading) leads(from io.Reader) error {
	d, err := dropfile.Open(from, dropfile.Options{Region: rules.Region})
	if err != nil {
		return err
	}
	cleaning := rules
	cleaning.Dates = d.Dates()
	return untilEnd(func() error {
		row, err := d.Next()
		if err != nil {
			return err
		}
		r.Rows++
		if row.Refusal != nil {
			return nil
		}
		if _, _, refusal := cleaning.Clean(row.Lead); refusal == nil {
			r.Leads++
		}
		return nil
	})
}

// book does the same with what is in a workbook.
func (r *reading) book(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return container.Unpack(file, info.Size(), "book.xlsx", container.Options{}, func(_ string, from io.Reader) error {
		return r.leads(from)
	})
}

func untilEnd(next func() error) error {
	for {
		err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
