package container

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Excel's limits of a sheet.
const (
	maxRows    = 1 << 20
	maxColumns = 1 << 14
)

// sheet is a sheet as CSV (RFC 4180, UTF-8, LF): a line for each row, so that
// a line's number is the row's. Every cell that holds something is in quotes,
// so that nothing in it can be taken for a delimiter.
type sheet struct {
	*book
	name    string
	formats []*numberFormat
	shared  *shared
	xml     *tokens

	row   int      // the last one seen
	lines int      // written
	width int      // the widest row so far: the header's, mostly
	cells []string // of the row at hand, up to the last that holds something
	next  int      // the column of a cell that does not say where it stands
	out   []byte   // written, not yet read
	start int
	some  bool // something was in a cell
	done  bool

	breaks  int // cells with line breaks
	unknown int // formulas without a result
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
	s.row = row
	s.cells, s.next = s.cells[:0], 0
	for {
		e, err := s.xml.next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		switch {
		case e.start && e.name == "c":
			if err := s.readCell(e); err != nil {
				return err
			}
		case !e.start && e.name == "row":
			s.write()
			return nil
		}
	}
}

// write writes the cells as the row's line, behind empty lines for the empty
// rows above it. Lines are as wide as the widest before, however few cells the
// row has: what is missing at its end is empty.
func (s *sheet) write() {
	for len(s.cells) > 0 && s.cells[len(s.cells)-1] == "" {
		s.cells = s.cells[:len(s.cells)-1]
	}
	if len(s.cells) == 0 {
		return
	}
	s.some = true
	s.width = max(s.width, len(s.cells))
	for ; s.lines < s.row-1; s.lines++ {
		s.out = append(s.out, '\n')
	}
	for i := range s.width {
		if i > 0 {
			s.out = append(s.out, ',')
		}
		if i < len(s.cells) && s.cells[i] != "" {
			s.out = append(s.out, '"')
			s.out = append(s.out, strings.ReplaceAll(s.cells[i], `"`, `""`)...)
			s.out = append(s.out, '"')
		}
	}
	s.out = append(s.out, '\n')
	s.lines++
}

func (s *sheet) readCell(e element) error {
	column := s.next
	if r := e.attr("r"); r != "" {
		if column = columnOf(r); column < 0 {
			return fmt.Errorf("it has a cell %q", label(r))
		}
	}
	if column >= maxColumns {
		return fmt.Errorf("it has more than %d columns", maxColumns)
	}
	s.next = column + 1
	value, err := s.readValue(e)
	if err != nil {
		return err
	}
	if value == "" {
		return nil
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
	switch c.attr("t") {
	case "s":
		if raw == "" {
			return "", nil // the type of an empty cell
		}
		i, err := strconv.Atoi(strings.TrimSpace(raw))
		if err != nil {
			return "", fmt.Errorf("a cell's text is not where it should be")
		}
		text, err := s.shared.get(i)
		return s.tidy(text), err
	case "inlineStr":
		return s.tidy(inline), nil
	case "str":
		return s.tidy(unescape(raw)), nil
	case "b":
		if raw == "1" || raw == "true" {
			return "TRUE", nil
		}
		return "FALSE", nil
	case "e":
		return s.tidy(raw), nil
	case "d": // a date as ISO 8601
		return strings.TrimSuffix(strings.Replace(raw, "T", " ", 1), " 00:00:00"), nil
	}
	var format *numberFormat
	if i, err := strconv.Atoi(c.attr("s")); err == nil && i >= 0 && i < len(s.formats) {
		format = s.formats[i]
	}
	return s.tidy(format.show(strings.TrimSpace(raw), s.date04)), nil
}

var lineBreaks = regexp.MustCompile(`[\r\n\v\f\x{85}\x{2028}\x{2029}]+`)

func breaksLine(c rune) bool {
	switch c {
	case '\r', '\n', '\v', '\f', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}

// tidy keeps a cell within one line.
func (s *sheet) tidy(text string) string {
	if strings.IndexFunc(text, breaksLine) < 0 { // the regular expression is slow
		return text
	}
	s.breaks++
	return lineBreaks.ReplaceAllString(text, " ")
}

// sayNotes says what a person who opens the workbook would see differently.
func (s *sheet) sayNotes() {
	if s.breaks > 0 {
		s.Say(fmt.Sprintf("%s: line breaks within cells became blanks (cells: %d)", s.name, s.breaks))
	}
	if s.unknown > 0 {
		s.Say(fmt.Sprintf("%s: formulas without a stored result were read as empty (cells: %d): open the workbook in Excel, save it, and import it again", s.name, s.unknown))
	}
}
