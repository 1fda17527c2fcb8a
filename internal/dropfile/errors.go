package dropfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"importer/internal/lead"
)

// The reasons for which a record is no row.
const (
	// RowFields: the record has more or fewer fields than the header.
	RowFields lead.Reason = "row_fields"
	// RowQuotes: a quotation mark stands within a field, or is never closed.
	RowQuotes lead.Reason = "row_quotes"
)

// ErrEmpty is returned by Open for a file without a header.
var ErrEmpty = errors.New("the file is empty: it has not even a header")

// FormatError is returned by Open for what is no CSV text.
type FormatError struct {
	Looks string // what it looks like, e.g. "a ZIP archive"
	Cure  string // what to do
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("the file looks like %s: %s", e.Looks, e.Cure)
}

// RecordError is returned for a line that is too long to be a record. Nothing
// can be read behind it.
type RecordError struct {
	Line int // where it begins, from 1
	Max  int // bytes
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("the record that begins on line %d is longer than %d bytes: the file is damaged or is no CSV", e.Line, e.Max)
}

// HoldError is returned by Open when a person must say how the columns are to
// be read. Nothing is imported from the drop before.
type HoldError struct {
	Field      string   // the lead's field or extra that has no column
	Wanted     string   // the header that the feed's configuration names for it, empty for none
	Candidates []string // headers that are equally good for it
	Samples    []string // of each candidate a cell, masked; empty where there is none
	Headers    []string // the headers present; empty when the first line is none
}

func (e *HoldError) Error() string {
	switch {
	case len(e.Headers) == 0:
		return "the first line looks like a contact, not like a header: add a header line to the file"
	case e.Wanted != "":
		return fmt.Sprintf("no column has the header %q that the feed's configuration names for %s; the header has %s",
			e.Wanted, e.Field, quoted(e.Headers))
	case len(e.Candidates) > 0:
		which := "columns could be"
		if len(e.Candidates) == 1 {
			which = "column may or may not be"
		}
		return fmt.Sprintf("%d %s the %s: %s; say which in the feed's configuration, for example columns: {%s: %q}",
			len(e.Candidates), which, e.Field, e.candidates(), e.Field, e.Candidates[0])
	default:
		return fmt.Sprintf("no column is known to be the %s; say which in the feed's configuration: columns: {%s: HEADER}; the header has %s",
			e.Field, e.Field, quoted(e.Headers))
	}
}

// candidates lists the candidates, each with its sample.
func (e *HoldError) candidates() string {
	parts := make([]string, len(e.Candidates))
	for i, header := range e.Candidates {
		parts[i] = quoted([]string{header})
		if i < len(e.Samples) && e.Samples[i] != "" {
			parts[i] += " (such as " + e.Samples[i] + ")"
		}
	}
	return strings.Join(parts, ", ")
}

// quoted lists headers for people: at most 40, none longer than 40 characters.
func quoted(headers []string) string {
	const most = 40
	var parts []string
	for i, h := range headers {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(headers)-most))
			break
		}
		if utf8.RuneCountInString(h) > most {
			h = string([]rune(h)[:most]) + "…"
		}
		parts = append(parts, fmt.Sprintf("%q", h))
	}
	return strings.Join(parts, ", ")
}
