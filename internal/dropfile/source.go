package dropfile

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// record is one record of a text, or one row of a sheet, before it is known
// whether it belongs to the table.
type record struct {
	line   int    // on which it begins, from 1
	raw    string // as it stands in the text, without its line break; empty for sheets
	cells  []string
	quoted []bool // which cells stand within quotes; nil once the table is known
	flaw   flaw
	crlf   bool   // its line break is a carriage return and a line feed
	mended string // why bytes of it were replaced
}

// source yields a file's records, blank ones included, in their order. Returns
// io.EOF behind the last one.
type source interface {
	next() (record, error)
}

// textSource parts a text into records.
type textSource struct {
	w       window
	dialect dialect
	fields  int // cells that most records have
	line    int // at the window's start, from 1
	split   splitter
	slab    []string
	marks   bool // quoted is wanted
	wrapped bool // each line stands within quotation marks
	afterCR bool // the record before was ended by a carriage return
}

const (
	// An unclosed quote is followed over so much text, and no further.
	maxQuotedLines = 500
	maxQuotedBytes = 256 << 10
)

func (s *textSource) next() (record, error) {
	n, err := s.w.lineEnd(0)
	if errors.Is(err, errTooLong) {
		return record{}, &RecordError{Line: s.line, Max: s.w.max}
	}
	if err != nil {
		return record{}, err
	}
	lines := 1
	after := s.afterCR
	if cr := s.endsAtCR(s.w.bytes(0, n)); cr > 0 {
		n, lines = cr, 0
	}
	rec := record{line: s.line, crlf: bytes.HasSuffix(s.w.bytes(0, n), []byte("\r\n"))}
	rec.raw, rec.mended = fixed(withoutBreak(s.w.bytes(0, n)))
	if s.wrapped {
		if inner, ok := unwrapLine(rec.raw); ok {
			rec.raw = inner
		}
	}
	cells, flaw := s.split.split(s.dialect, rec.raw)
	if flaw == unclosed {
		end, more, err := s.closed(n)
		if err != nil {
			return record{}, err
		}
		if end > 0 {
			n, lines = end, lines+more
			rec.raw, rec.mended = fixed(withoutBreak(s.w.bytes(0, n)))
		}
		cells, flaw = s.split.split(s.dialect, rec.raw)
	}
	if after && rec.mended == "" {
		rec.mended = "a carriage return ended the record before"
	}
	rec.flaw = flaw
	rec.cells = s.keep(cells)
	s.afterCR = s.w.ends == LF && bytes.HasSuffix(s.w.bytes(0, n), []byte{'\r'})
	if s.marks {
		rec.quoted = append([]bool(nil), s.split.quoted...)
	}
	s.line += lines
	s.w.start += n
	return rec, nil
}

// endsAtCR tells where a record ends within a line: at a carriage return behind
// which another one begins. Returns 0 when it does not.
func (s *textSource) endsAtCR(line []byte) int {
	cr := bytes.IndexByte(line, '\r')
	if cr <= 0 || cr+2 >= len(line) || s.fields < 2 {
		return 0
	}
	before, _ := fixed(line[:cr])
	if cells, flaw := s.split.split(s.dialect, before); len(cells) != s.fields || flaw > literal {
		return 0
	}
	behind, _ := fixed(withoutBreak(line[cr+1:]))
	if cells, _ := s.split.split(s.dialect, behind); len(cells) < 2 || len(cells) > s.fields {
		return 0
	}
	return cr + 1
}

// keep copies cells from the splitter into a slab of many records' cells.
func (s *textSource) keep(cells []string) []string {
	if cap(s.slab)-len(s.slab) < len(cells) {
		s.slab = make([]string, 0, max(len(cells), min(64*s.fields, 4096)))
	}
	from := len(s.slab)
	s.slab = append(s.slab, cells...)
	return s.slab[from:len(s.slab):len(s.slab)]
}

// closed looks for the line that closes the quote which the line of n bytes
// leaves open. The lines between must not be records themselves: then the quote
// was never closed, and is this one line's damage. Returns where the record ends
// and how many more lines it has; 0 when it has none.
func (s *textSource) closed(n int) (end, more int, err error) {
	end = n
	full := false // a line behind the first that looks like a record's beginning
	for more = 1; more <= maxQuotedLines && end < maxQuotedBytes; more++ {
		from := end
		end, err = s.w.lineEnd(from)
		if errors.Is(err, io.EOF) || errors.Is(err, errTooLong) {
			return 0, 0, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if s.fields > 2 {
			line, _ := fixed(withoutBreak(s.w.bytes(from, end)))
			if cells, flaw := s.split.split(s.dialect, line); len(cells) == s.fields && flaw == sound {
				return 0, 0, nil
			}
		}
		inside, _, quoted := bytes.Cut(s.w.bytes(from, end), []byte{s.dialect.quote})
		full = full || s.dialect.delimiter != "" && bytes.Count(inside, []byte(s.dialect.delimiter)) > 2
		if !quoted {
			continue
		}
		if cr := bytes.IndexByte(s.w.bytes(from, end), '\r'); cr > 0 && s.fields > 2 && from+cr+2 < end {
			raw, _ := fixed(s.w.bytes(0, from+cr))
			if cells, flaw := s.split.split(s.dialect, raw); len(cells) == s.fields && flaw <= literal {
				return from + cr + 1, more - 1, nil
			}
		}
		raw, _ := fixed(withoutBreak(s.w.bytes(0, end)))
		switch cells, flaw := s.split.split(s.dialect, raw); {
		case flaw == unclosed:
		case (flaw == sound || flaw == literal && !full) && (len(cells) == s.fields || s.fields < 2):
			return end, more, nil
		default:
			return 0, 0, nil
		}
	}
	return 0, 0, nil
}

// isBlank tells a record without content: nothing, blanks, or delimiters only.
func (r *record) isBlank() bool {
	for _, c := range r.cells {
		if strings.Trim(c, " \t\uFFFD\u00a0") != "" {
			return false
		}
	}
	return true
}

// filled counts the cells up to the last that is not empty.
func filled(cells []string) int {
	n := len(cells)
	for n > 0 && strings.TrimSpace(cells[n-1]) == "" {
		n--
	}
	return n
}
