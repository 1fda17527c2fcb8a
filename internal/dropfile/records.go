package dropfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"importer/internal/lead"
)

// records parts a file into records.
type records struct {
	w     window
	comma rune
	line  int // of the file, at the window's start, from 1
	blank int // lines that hold no record

	feed bytes.Reader
	csv  *csv.Reader // reads feed, one record at a time
	read int64       // offset in all that was fed
}

// record is one record of the file.
type record struct {
	line    int // on which it begins
	size    int // bytes
	cells   []string
	refusal *lead.Refusal
}

// next returns the file's next record; io.EOF when there is none. Of several
// lines that quotation marks hold together but that are not one good record of
// the given number of fields (0: any), only the first is taken: one vendor's
// slip must not swallow the records behind it.
func (r *records) next(fields int) (record, error) {
	first, err := r.firstLine()
	if err != nil {
		return record{}, err
	}
	all, err := r.closingLine(first)
	if err != nil {
		return record{}, err
	}
	rec := r.parse(all, fields)
	if rec.refusal != nil && all > first {
		rec, all = r.parse(first, fields), first
	}
	r.use(all)
	return rec, nil
}

// firstLine skips lines without content and returns the next one's length.
func (r *records) firstLine() (int, error) {
	for {
		n, err := r.w.lineEnd(0)
		if errors.Is(err, errTooLong) {
			return 0, &RecordError{Line: r.line, Max: r.w.max}
		}
		if err != nil {
			return 0, err
		}
		if !r.hasNothing(r.w.buf[r.w.start : r.w.start+n]) {
			return n, nil
		}
		r.use(n)
		r.blank++
	}
}

// hasNothing tells a line without content: empty, blank, or delimiters only,
// as spreadsheets leave them behind the last contact.
func (r *records) hasNothing(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\r' && c != '\n' && c != '\t' && rune(c) != r.comma {
			return false
		}
	}
	return true
}

// closingLine returns the length of the record that begins with a line of the
// given length: as many lines as it takes to have an even number of quotation
// marks, or that one line when there are not so many.
func (r *records) closingLine(first int) (int, error) {
	n := first
	marks := bytes.Count(r.w.buf[r.w.start:r.w.start+n], []byte{'"'})
	for marks%2 == 1 {
		end, err := r.w.lineEnd(n)
		if errors.Is(err, io.EOF) || errors.Is(err, errTooLong) {
			return first, nil
		}
		if err != nil {
			return 0, err
		}
		marks += bytes.Count(r.w.buf[r.w.start+n:r.w.start+end], []byte{'"'})
		n = end
	}
	return n, nil
}

// use moves on behind n bytes.
func (r *records) use(n int) {
	r.line += bytes.Count(r.w.buf[r.w.start:r.w.start+n], []byte{'\n'})
	r.w.start += n
}

// parse reads n bytes as one record.
func (r *records) parse(n, fields int) record {
	raw := text(r.w.buf[r.w.start : r.w.start+n])
	rec := record{line: r.line, size: n}
	if r.csv == nil {
		r.csv = csv.NewReader(&r.feed)
		r.csv.Comma, r.csv.FieldsPerRecord = r.comma, -1
		r.read = 0
	}
	r.feed.Reset(raw)
	cells, err := r.csv.Read()
	whole := r.csv.InputOffset()-r.read == int64(len(raw))
	r.read = r.csv.InputOffset()
	if err != nil || !whole {
		r.csv = nil // may hold what is left of this record
		rec.cells = bestEffort(raw, r.comma)
		rec.refusal = quotesRefusal()
		return rec
	}
	rec.cells = cells
	if got := withoutEmptyTail(cells, fields); fields > 0 && got != fields {
		rec.refusal = &lead.Refusal{
			Reason: RowFields,
			Detail: fmt.Sprintf("the record has %d fields, the header has %d", got, fields),
		}
	}
	return rec
}

func quotesRefusal() *lead.Refusal {
	return &lead.Refusal{Reason: RowQuotes, Detail: "a quotation mark stands within a field or is never closed"}
}

// withoutEmptyTail counts a record's cells without the empty ones beyond the
// header's, as spreadsheets add them.
func withoutEmptyTail(cells []string, fields int) int {
	n := len(cells)
	for n > fields && cells[n-1] == "" {
		n--
	}
	return n
}

// bestEffort takes apart for people what is no good record.
func bestEffort(raw []byte, comma rune) []string {
	lazy := csv.NewReader(bytes.NewReader(raw))
	lazy.Comma, lazy.LazyQuotes = comma, true
	cells, err := lazy.Read()
	if err != nil {
		return []string{string(bytes.TrimRight(raw, "\r\n"))}
	}
	return cells
}

// text returns a record's bytes as valid UTF-8 without NUL, which PostgreSQL
// cannot store. Bytes that are not UTF-8 are read as Windows-1252.
func text(raw []byte) []byte {
	if !utf8.Valid(raw) {
		decoded := make([]byte, 0, len(raw)+len(raw)/4)
		for _, b := range raw {
			decoded = utf8.AppendRune(decoded, charmap.Windows1252.DecodeByte(b))
		}
		raw = decoded
	}
	if bytes.IndexByte(raw, 0) >= 0 {
		raw = bytes.ReplaceAll(raw, []byte{0}, []byte("\uFFFD"))
	}
	return raw
}
