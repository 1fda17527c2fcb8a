package dropfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
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
	Field      string            // the lead's field or extra that has no column
	Wanted     string            // the header that the feed's configuration names for it, empty for none
	Candidates []string          // headers that are equally good for it
	Headers    []string          // the headers present; empty when the first line is none
	Samples    map[string]string // of each header a cell, masked; none where its column is empty
}

func (e *HoldError) Error() string {
	switch {
	case len(e.Headers) == 0:
		return "the first line looks like a contact, not like a header: add a header line to the file"
	case e.Wanted != "":
		return fmt.Sprintf("no column has the header %q that the feed's configuration names for %s; the header has %s",
			e.Wanted, e.Field, allQuoted(e.Headers))
	case len(e.Candidates) > 0:
		which := "columns could be"
		if len(e.Candidates) == 1 {
			which = "column may or may not be"
		}
		return fmt.Sprintf("%d %s the %s: %s; say which in the feed's configuration, for example columns: {%s: %q}",
			len(e.Candidates), which, e.Field, e.withSamples(e.Candidates), e.Field, e.Candidates[0])
	default:
		return fmt.Sprintf("no column is known to be the %s; say which in the feed's configuration: columns: {%s: HEADER}; the header has %s",
			e.Field, e.Field, e.withSamples(e.Headers))
	}
}

// withSamples lists headers, each with what is in its column.
func (e *HoldError) withSamples(headers []string) string {
	parts := make([]string, len(headers))
	for i, header := range headers {
		parts[i] = quoted(header)
		if sample := e.Samples[header]; sample != "" {
			parts[i] += " (such as " + sample + ")"
		}
	}
	return someOf(parts)
}

// mostShown bounds how many headers are shown, and how many characters of each.
const mostShown = 40

// quoted shows a header to people.
func quoted(header string) string {
	if utf8.RuneCountInString(header) > mostShown {
		header = string([]rune(header)[:mostShown]) + "…"
	}
	return fmt.Sprintf("%q", header)
}

func allQuoted(headers []string) string {
	parts := make([]string, len(headers))
	for i, h := range headers {
		parts[i] = quoted(h)
	}
	return someOf(parts)
}

func someOf(parts []string) string {
	if more := len(parts) - mostShown; more > 0 {
		parts = append(parts[:mostShown:mostShown], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}
