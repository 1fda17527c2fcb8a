package dropfile

import "strings"

// flaw is what is wrong with a record's quotes.
type flaw uint8

const (
	sound    flaw = iota // nothing
	literal              // a quote stands within or behind a cell that has none in front: it is taken as text
	behind               // text stands behind a closing quote
	unclosed             // a quote is never closed
)

// splitter takes records apart. Its slices are used again by the next call.
type splitter struct {
	cells  []string
	quoted []bool
}

// split takes one record apart, as the dialect has it and without guessing.
func (s *splitter) split(d dialect, text string) ([]string, flaw) {
	s.cells, s.quoted = s.cells[:0], s.quoted[:0]
	if d.quote == 0 && d.escape == 0 || d.escape != '\\' && strings.IndexByte(text, d.quote) < 0 {
		s.cells = splitPlain(s.cells, text, d.delimiter)
		for range s.cells {
			s.quoted = append(s.quoted, false)
		}
		return s.cells, sound
	}
	worst := sound
	for {
		cell, quoted, n, f := nextCell(d, text)
		s.cells, s.quoted = append(s.cells, cell), append(s.quoted, quoted)
		worst = max(worst, f)
		if n >= len(text) {
			return s.cells, worst
		}
		if n += len(d.delimiter); n >= len(text) {
			s.cells, s.quoted = append(s.cells, ""), append(s.quoted, false)
			return s.cells, worst
		}
		text = text[n:]
	}
}

// splitPlain takes a record apart that has no quotes.
func splitPlain(cells []string, text, delimiter string) []string {
	switch len(delimiter) {
	case 0:
		return append(cells, text)
	case 1:
		d := delimiter[0]
		for {
			i := strings.IndexByte(text, d)
			if i < 0 {
				return append(cells, text)
			}
			cells = append(cells, text[:i])
			text = text[i+1:]
		}
	}
	for {
		i := strings.Index(text, delimiter)
		if i < 0 {
			// A record that ends with ", " has often lost the blank.
			if short := strings.TrimRight(delimiter, " "); short != delimiter && short != "" && strings.HasSuffix(text, short) {
				return append(cells, strings.TrimSuffix(text, short), "")
			}
			return append(cells, text)
		}
		cells = append(cells, text[:i])
		text = text[i+len(delimiter):]
	}
}

// nextCell reads the cell at the beginning of a text and returns where its
// delimiter stands, or the text's length.
func nextCell(d dialect, text string) (cell string, quoted bool, n int, f flaw) {
	if d.quote == 0 || text == "" || text[0] != d.quote {
		return nextBare(d, text)
	}
	for i := 1; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && d.escape == '\\':
			i++
		case c != d.quote:
			if j := indexAny2(text[i:], d.quote, d.escape); j > 0 {
				i += j - 1
			} else if j < 0 {
				i = len(text)
			}
		case d.escape == d.quote && i+1 < len(text) && text[i+1] == d.quote:
			i++
		case endsCell(text[i+1:], d.delimiter):
			return unescape(d, text[1:i]), true, i + 1, f
		default:
			// Text behind a closing quote: up to the delimiter, as it is.
			rest, _, m, _ := nextBare(d, text[i+1:])
			return unescape(d, text[1:i]) + rest, true, i + 1 + m, behind
		}
	}
	return text, false, len(text), unclosed
}

func indexAny2(s string, a, b byte) int {
	i := strings.IndexByte(s, a)
	if b == 0 || b == a {
		return i
	}
	if i >= 0 {
		s = s[:i]
	}
	if j := strings.IndexByte(s, b); j >= 0 {
		return j
	}
	return i
}

// nextBare reads a cell without quotes.
func nextBare(d dialect, text string) (cell string, quoted bool, n int, f flaw) {
	n = indexDelimiter(d, text)
	cell = text[:n]
	if d.quote != 0 && strings.IndexByte(cell, d.quote) >= 0 {
		f = literal
	}
	if d.escape == '\\' {
		cell = unescape(d, cell)
	}
	return cell, false, n, f
}

// indexDelimiter finds the delimiter that no escape stands before.
func indexDelimiter(d dialect, text string) int {
	switch {
	case d.delimiter == "":
		return len(text)
	case len(d.delimiter) == 1 && d.escape != '\\':
		if i := strings.IndexByte(text, d.delimiter[0]); i >= 0 {
			return i
		}
		return len(text)
	}
	for from := 0; ; {
		i := strings.Index(text[from:], d.delimiter)
		if i < 0 {
			if short := strings.TrimRight(d.delimiter, " "); short != d.delimiter && short != "" && strings.HasSuffix(text, short) {
				return len(text) - len(short)
			}
			return len(text)
		}
		i += from
		if d.escape != '\\' || i == 0 || text[i-1] != '\\' || i > 1 && text[i-2] == '\\' {
			return i
		}
		from = i + 1
	}
}

// unescape takes the escapes out of a cell: doubled quotes, or backslashes
// before a quote, a delimiter and themselves. Any other backslash stays.
func unescape(d dialect, cell string) string {
	switch {
	case d.escape == 0:
		return cell
	case d.escape == d.quote:
		if strings.IndexByte(cell, d.quote) < 0 {
			return cell
		}
		q := string(d.quote)
		return strings.ReplaceAll(cell, q+q, q)
	case strings.IndexByte(cell, '\\') < 0:
		return cell
	}
	var out strings.Builder
	for i := 0; i < len(cell); i++ {
		if cell[i] == '\\' && i+1 < len(cell) {
			next := cell[i+1:]
			if next[0] == '\\' || next[0] == d.quote && d.quote != 0 || d.delimiter != "" && strings.HasPrefix(next, d.delimiter) {
				i++
			}
		}
		out.WriteByte(cell[i])
	}
	return out.String()
}
