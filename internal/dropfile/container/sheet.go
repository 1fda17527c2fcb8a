package container

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Excel's limits of a sheet.
const (
	maxRows    = 1 << 20
	maxColumns = 1 << 14
)

// SheetMark is the first line of a sheet's text, so that whoever reads it, be
// it later from a copy, knows that nothing about it is to be guessed. Behind
// the mark a sheet is CSV (RFC 4180, UTF-8, LF) with a record for each row, the
// empty ones above a row included, so that a record's number is the row's.
// Records are as wide as what the row holds. Every cell that holds something is
// in quotes: a line break outside of them ends a row.
const SheetMark = "\x16importer sheet\n"

// sheet is a sheet as text.
type sheet struct {
	*book
	name    string
	formats []*numberFormat
	shared  *shared
	xml     *tokens

	row    int      // the last one seen
	column int      // behind the last cell seen in it
	lines  int      // written
	width  int      // of the widest row so far
	cells  []string // of the row at hand
	size   int      // of them, in bytes
	out    []byte   // written, not yet read
	start  int
	some   bool // something was in a cell
	done   bool

	unknown       int      // formulas without a result
	hiddenRows    int      // that hold something
	hiddenColumns [][2]int // from, to
}

// begin reads up to the first row that holds something.
func (s *sheet) begin() (bool, error) {
	for !s.some && !s.done {
		if err := s.step(); err != nil {
			return false, err
		}
	}
	return s.some, nil
}

func (s *sheet) Read(p []byte) (int, error) {
	for s.start == len(s.out) {
		if s.done {
			return 0, io.EOF
		}
		s.out, s.start = s.out[:0], 0
		if err := s.step(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.out[s.start:])
	s.start += n
	return n, nil
}

// step reads on to the end of the next row, or of the sheet.
func (s *sheet) step() error {
	e, err := s.xml.next()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF // before the sheet's data ended
	}
	if err != nil {
		return err
	}
	switch {
	case e.start && e.name == "row":
		return s.readRow(e)
	case e.start && e.name == "col":
		s.noteColumns(e)
	case !e.start && e.name == "sheetData":
		s.done = true
		// To the end, where the archive says whether all was well.
		_, err := io.Copy(io.Discard, s.xml.r.r)
		return err
	}
	return nil
}

func (s *sheet) readRow(e element) error {
	row := s.row + 1
	if n, err := strconv.Atoi(e.attr("r")); err == nil && n > s.row {
		row = n
	}
	if row > maxRows {
		return fmt.Errorf("it has a row %d", row)
	}
	s.row, s.column, s.size = row, 0, 0
	s.cells = s.cells[:0]
	for {
		c, err := s.xml.next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		switch {
		case c.start && c.name == "c":
			if err := s.readCell(c); err != nil {
				return err
			}
		case !c.start && c.name == "row":
			s.write(isTrue(e.attr("hidden")))
			return nil
		}
	}
}

// write writes the cells as the row's record, behind empty ones for the empty
// rows above it.
func (s *sheet) write(hidden bool) {
	for len(s.cells) > 0 && s.cells[len(s.cells)-1] == "" {
		s.cells = s.cells[:len(s.cells)-1]
	}
	if len(s.cells) == 0 {
		return
	}
	if hidden {
		s.hiddenRows++
	}
	if !s.some {
		s.some = true
		s.out = append(s.out, SheetMark...)
	}
	s.width = max(s.width, len(s.cells))
	for ; s.lines < s.row-1; s.lines++ {
		s.out = append(s.out, '\n')
	}
	for i, cell := range s.cells {
		if i > 0 {
			s.out = append(s.out, ',')
		}
		if cell != "" {
			s.out = append(s.out, '"')
			s.out = append(s.out, strings.ReplaceAll(cell, `"`, `""`)...)
			s.out = append(s.out, '"')
		}
	}
	s.out = append(s.out, '\n')
	s.lines++
}

// noteColumns remembers which columns are hidden.
func (s *sheet) noteColumns(col element) {
	const most = 1000
	from, err := strconv.Atoi(col.attr("min"))
	to, err2 := strconv.Atoi(col.attr("max"))
	if err == nil && err2 == nil && isTrue(col.attr("hidden")) && len(s.hiddenColumns) < most {
		s.hiddenColumns = append(s.hiddenColumns, [2]int{from, to})
	}
}

// isTrue reads an attribute that says yes or no.
func isTrue(value string) bool { return value == "1" || value == "true" || value == "on" }

func (s *sheet) readCell(e element) error {
	column := s.column
	if r := e.attr("r"); r != "" {
		if column = columnOf(r); column < 0 {
			return fmt.Errorf("it has a cell %q", label(r))
		}
	}
	if column >= maxColumns {
		return fmt.Errorf("it has more than %d columns", maxColumns)
	}
	s.column = column + 1
	value, err := s.readValue(e)
	if err != nil {
		return err
	}
	if value == "" {
		return nil
	}
	if s.size += len(value); s.size > maxToken {
		return fmt.Errorf("its row %d is longer than %d bytes", s.row, maxToken)
	}
	for len(s.cells) <= column {
		s.cells = append(s.cells, "")
	}
	s.cells[column] = value
	return nil
}

// columnOf returns the column of a cell such as BC7, from 0; -1 if it is none.
func columnOf(r string) int {
	column := 0
	for i := range len(r) {
		c := r[i] &^ 0x20
		if c < 'A' || c > 'Z' {
			break
		}
		if column = column*26 + int(c-'A') + 1; column > maxColumns {
			return -1
		}
	}
	return column - 1
}

// readValue reads a cell up to its end and returns it as a person sees it.
func (s *sheet) readValue(c element) (string, error) {
	var raw, inline string
	formula := false
	for {
		e, err := s.xml.next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		switch {
		case err != nil:
			return "", err
		case e.start && e.name == "v":
			raw, err = s.xml.text("v")
		case e.start && e.name == "f":
			formula = true
			_, err = s.xml.text("f")
		case e.start && e.name == "is":
			inline, err = richText(s.xml, "is")
		case !e.start && e.name == "c":
			if formula && raw == "" && inline == "" && c.attr("t") != "str" {
				s.unknown++
			}
			return s.shown(c, raw, inline)
		}
		if err != nil {
			return "", err
		}
	}
}

func (s *sheet) shown(c element, raw, inline string) (string, error) {
	kind := c.attr("t")
	if raw == "" && kind != "inlineStr" {
		return "", nil // only formatted, whatever kind it is said to be
	}
	switch kind {
	case "s":
		i, err := strconv.Atoi(strings.TrimSpace(raw))
		if err != nil {
			return "", errors.New("a cell's text is not where it should be")
		}
		text, err := s.shared.get(i)
		return tidy(text), err
	case "inlineStr":
		if inline == "" { // some programs put it where other values stand
			inline = unescape(raw)
		}
		return tidy(inline), nil
	case "str":
		return tidy(unescape(raw)), nil
	case "b":
		if isTrue(strings.TrimSpace(raw)) {
			return "TRUE", nil
		}
		return "FALSE", nil
	case "e":
		return tidy(raw), nil
	}
	var format *numberFormat
	if i, err := strconv.Atoi(c.attr("s")); err == nil && i >= 0 && i < len(s.formats) {
		format = s.formats[i]
	}
	if kind == "d" {
		return tidy(format.showISO(strings.TrimSpace(raw))), nil
	}
	return tidy(format.show(strings.TrimSpace(raw), s.date04)), nil
}

var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// tidy writes a line break in one way.
func tidy(text string) string {
	if strings.IndexByte(text, '\r') < 0 {
		return text
	}
	return lineBreaks.Replace(text)
}

// sayNotes says what a person who opens the workbook would see differently.
func (s *sheet) sayNotes() {
	columns := 0
	for i := 1; i <= s.width; i++ {
		if slices.ContainsFunc(s.hiddenColumns, func(c [2]int) bool { return c[0] <= i && i <= c[1] }) {
			columns++
		}
	}
	if s.hiddenRows+columns > 0 {
		s.Say(fmt.Sprintf("%s: what is hidden in the sheet was read too (rows: %d, columns: %d)", s.name, s.hiddenRows, columns))
	}
	if s.unknown > 0 {
		s.Say(fmt.Sprintf("%s: formulas without a stored result were read as empty (cells: %d): open the workbook in Excel, save it, and import it again", s.name, s.unknown))
	}
}
