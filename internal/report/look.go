package report

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Look is what was seen at a feed's source.
type Look struct {
	Feed  string   `json:"feed"`
	Place string   `json:"place"`
	Files []Judged `json:"files"` // those that would be taken first, in that order
}

// Judged is a file at a source, and what would become of it.
type Judged struct {
	Path     string    `json:"path"`
	Bytes    int64     `json:"bytes"` // -1: the source does not tell
	Modified time.Time `json:"modified,omitzero"`
	Day      string    `json:"day,omitempty"` // that it is of, for a backfill that wants that day
	Take     bool      `json:"take"`
	Why      string    `json:"why,omitempty"` // it would not be taken
}

// Source writes what was seen at a feed's source.
func Source(w io.Writer, f Format, l Look) error {
	if f == JSON {
		return writeJSON(w, l)
	}
	t := newTable("file", "bytes", "modified", "")
	dated := slices.ContainsFunc(l.Files, func(j Judged) bool { return j.Day != "" })
	if dated {
		t = newTable("file", "bytes", "modified", "day", "")
	}
	take := 0
	for _, j := range l.Files {
		row := table.Row{printable(j.Path), "", "", j.Why}
		if j.Bytes >= 0 {
			row[1] = j.Bytes
		}
		if !j.Modified.IsZero() {
			row[2] = When(j.Modified)
		}
		if j.Take {
			take++
			row[3] = "is taken"
		}
		if dated {
			row = slices.Insert(row, 3, any(j.Day))
		}
		t.AppendRow(row)
	}
	if len(l.Files) > 0 {
		if _, err := fmt.Fprintln(w, t.Render()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s: %s, %d to be taken now\n", l.Place, Some(len(l.Files), "file"), take)
	return err
}
