package dropfile

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"importer/internal/dropfile/container"
)

// sheetSource yields the rows of a workbook's sheet, in the text in which
// package container writes it. Nothing about it is guessed or repaired: which
// cell stands in which column is certain.
type sheetSource struct {
	w     window
	split splitter
	row   int // the next one, from 1
	ahead []record
	err   error // comes behind ahead
	width int   // of the widest row among the first
}

var sheetDialect = dialect{delimiter: ",", quote: '"', escape: '"'}

// openSheet opens a sheet from behind its mark.
func openSheet(w window) *sheetSource {
	w.ends = LF
	w.start += len(container.SheetMark)
	s := &sheetSource{w: w, row: 1, width: 1}
	for size := 0; len(s.ahead) < peeked && size < peekedBytes && s.err == nil; {
		var rec record
		if rec, s.err = s.read(); s.err == nil {
			s.ahead = append(s.ahead, rec)
			size += rec.size()
			s.width = max(s.width, len(rec.cells))
		}
	}
	return s
}

func isSheet(begin []byte) bool { return bytes.HasPrefix(begin, []byte(container.SheetMark)) }

func (s *sheetSource) next() (record, error) {
	var rec record
	switch {
	case len(s.ahead) > 0:
		rec, s.ahead = s.ahead[0], s.ahead[1:]
	case s.err != nil:
		return rec, s.err
	default:
		var err error
		if rec, err = s.read(); err != nil {
			return rec, err
		}
	}
	if len(rec.cells) > s.width {
		rec.raw = strings.Join(rec.cells[s.width:], " ")
		rec.mended = "what stands right of the table's columns was left out"
	}
	cells := make([]string, s.width)
	copy(cells, rec.cells)
	rec.cells = cells
	return rec, nil
}

// read reads a row as far as it is filled.
func (s *sheetSource) read() (record, error) {
	n, quotes := 0, 0
	for n == 0 || quotes%2 == 1 {
		end, err := s.w.lineEnd(n)
		switch {
		case errors.Is(err, errTooLong):
			return record{}, &RecordError{Line: s.row, Max: s.w.max}
		case errors.Is(err, io.EOF) && n > 0:
			return record{}, io.ErrUnexpectedEOF
		case err != nil:
			return record{}, err
		}
		quotes += bytes.Count(s.w.bytes(n, end), []byte{'"'})
		n = end
	}
	rec := record{line: s.row}
	text, why := fixed(bytes.TrimSuffix(s.w.bytes(0, n), []byte{'\n'}))
	rec.mended = why
	if text != "" {
		cells, _ := s.split.split(sheetDialect, text)
		rec.cells = append(rec.cells, cells...)
	}
	s.row++
	s.w.start += n
	return rec, nil
}
