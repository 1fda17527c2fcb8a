package report

import (
	"fmt"
	"io"
	"time"

	"importer/internal/importer"
)

// dropLine is one drop in a list of drops.
type dropLine struct {
	Drop      int64               `json:"drop"`
	Feed      string              `json:"feed"`
	Name      string              `json:"name"`
	TakenFrom []importer.FileInfo `json:"taken_from"`
	FirstSeen time.Time           `json:"first_seen"`
	Bytes     int64               `json:"bytes"`
	SHA256    string              `json:"sha256"`
	State     importer.DropState  `json:"state"`
	Rows      int                 `json:"rows"`
	Success   int                 `json:"success"`
	Error     int                 `json:"error"`
	Duplicate int                 `json:"duplicate"`
	Invalid   int                 `json:"invalid"`
	Review    int                 `json:"review"`
	Pending   int                 `json:"pending"`
	Why       string              `json:"why,omitempty"`
}

func lineOf(d importer.DropInfo) dropLine {
	c := d.Counts
	l := dropLine{
		Drop: d.Drop.ID, Feed: d.Drop.Feed, Name: d.Drop.Name, TakenFrom: []importer.FileInfo{}, FirstSeen: d.Drop.FirstSeen.UTC(),
		Bytes: d.Drop.Bytes, SHA256: d.Drop.Hash(), State: d.Drop.State,
		Rows: c.Rows(), Success: c.Outcome(importer.OutcomeSuccess), Error: c.Outcome(importer.OutcomeError),
		Duplicate: c.Outcome(importer.OutcomeDuplicate), Invalid: c.Outcome(importer.OutcomeInvalid),
		Review: c.Outcome(importer.OutcomeReview), Pending: c.Outcome(importer.OutcomePending), Why: d.Drop.Why,
	}
	for _, f := range d.Files {
		f.Taken, f.Ended = f.Taken.UTC(), f.Ended.UTC()
		l.TakenFrom = append(l.TakenFrom, f)
	}
	return l
}

// Drops writes a list of drops, and below the table why some were not imported.
func Drops(w io.Writer, f Format, drops []importer.DropInfo) error {
	lines := make([]dropLine, len(drops))
	for i, d := range drops {
		lines[i] = lineOf(d)
	}
	header := []any{
		"drop", "feed", "name", "first seen", "bytes", "sha256", "state", "rows", "success", "error", "duplicate", "invalid", "review", "pending",
		"taken from",
	}
	const hashDigits = 12 // enough to tell a feed's drops apart
	err := List(w, f, lines, header, func(l dropLine) []any {
		return []any{
			l.Drop, l.Feed, printable(l.Name), When(l.FirstSeen), l.Bytes, l.SHA256[:hashDigits], l.State, l.Rows, l.Success, l.Error,
			l.Duplicate, l.Invalid, l.Review, l.Pending, whence(l.TakenFrom),
		}
	})
	if err != nil || f == JSON {
		return err
	}
	for _, l := range lines {
		if l.Why == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "Drop %d is %s: %s\n", l.Drop, l.State, printable(l.Why)); err != nil {
			return err
		}
	}
	return nil
}

// whence tells in a few words where a drop was taken from first.
func whence(files []importer.FileInfo) string {
	if len(files) == 0 {
		return ""
	}
	from := printable(files[0].Place + " " + files[0].Path)
	if more := len(files) - 1; more > 0 {
		from += fmt.Sprintf(" and %d more", more)
	}
	return from
}
