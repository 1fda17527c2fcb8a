package dropfile

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"importer/internal/importer"
)

// Why lines of a file are no records of its table.
const (
	Preamble       = "preamble"        // above the header
	Blank          = "blank"           // nothing, or delimiters only
	RepeatedHeader = "repeated header" // in mid-file
	Comment        = "comment"
	Total          = "total"
	Note           = "note" // a line of text between records or below them
	SecondTable    = "second table"
)

const listed = 100 // lines, refused records, repaired records

// leaveOut notes a line that is no record, and why.
func (t *Table) leaveOut(r *record, why string) {
	o := &t.out
	o.Count++
	if o.ByKind == nil {
		o.ByKind = map[string]int{}
	}
	o.ByKind[why]++
	if len(o.First) < listed {
		text := r.raw
		if text == "" {
			text = strings.Join(r.cells, " ")
		}
		if why == Blank {
			text = ""
		}
		o.First = append(o.First, importer.OutsideLine{Line: r.line, Kind: why, Text: shortened(text, 80)})
	}
}

// shortened cuts a text to a number of characters.
func shortened(s string, most int) string {
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}

// totals begin a line that sums up the records above it.
var totals = []string{
	"total", "grand total", "subtotal", "sub-total", "sum", "count", "records", "record count", "rows", "row count",
	"number of records", "end of file", "end of report", "eof", "trailer", "trl", "gesamt", "summe", "anzahl", "suma", "somme", "soma",
}

// isTotal tells a totals line: its first cell says so, and its strong columns
// have next to nothing that is theirs.
func (s *shape) isTotal(cells []string) bool {
	first := ""
	full := 0
	for _, c := range cells {
		if c = strings.TrimSpace(c); c != "" {
			if first == "" {
				first = c
			}
			full++
		}
	}
	if !saysTotal(first) {
		return false
	}
	if full == 1 {
		return !hasContact(first)
	}
	inStrong := 0
	for _, j := range s.strong {
		if j >= len(cells) {
			continue
		}
		k := kindOf(cells[j])
		if s.model.columns[j].kinds[k]*10 <= s.model.columns[j].cells {
			continue
		}
		if k == phone || k == email {
			return false // no sum has one: it is somebody with a name such as Total
		}
		inStrong++
	}
	return inStrong*2 <= len(s.strong) && full*2 <= max(s.fields, len(cells))+1
}

func saysTotal(cell string) bool {
	if len(cell) > 60 {
		return false
	}
	cell = strings.ToLower(strings.TrimLeft(cell, "*-=# \""))
	for _, t := range totals {
		if behind, ok := strings.CutPrefix(cell, t); ok {
			behind = strings.TrimLeft(behind, " s:=.,;|-#\t\"")
			if behind == "" || behind[0] >= '0' && behind[0] <= '9' || strings.HasPrefix(behind, "rec") || strings.HasPrefix(behind, "row") || strings.HasPrefix(behind, "lead") || strings.HasPrefix(behind, "of ") || strings.HasPrefix(behind, "count") {
				return true
			}
		}
	}
	return false
}

// hasContact tells a text that may hold somebody's phone number or email: then
// it is a record, however broken.
func hasContact(text string) bool {
	if at := strings.IndexByte(text, '@'); at > 0 && strings.IndexByte(text[at:], '.') > 0 {
		return true
	}
	run := 0
	for part := range strings.FieldsSeq(text) {
		if k := kindOf(strings.Trim(part, ",;.")); k == date || k == clock || areYears(part) {
			run = 0
			continue
		}
		for _, c := range part {
			switch {
			case c >= '0' && c <= '9':
				if run++; run >= 7 {
					return true
				}
			case strings.ContainsRune("-.()/+", c):
			default:
				run = 0
			}
		}
	}
	return false
}

// areYears tells a span such as 2000-2026.
func areYears(part string) bool {
	from, to, ok := strings.Cut(part, "-")
	isYear := func(s string) bool {
		return len(s) == 4 && (strings.HasPrefix(s, "19") || strings.HasPrefix(s, "20")) && kindOf(s) == integer
	}
	return ok && isYear(from) && isYear(to)
}

// isComment tells a line that somebody has taken out of the file. Where hardly
// any record is known, one that has all its cells is none.
func (t *Table) isComment(r *record) bool {
	return t.shape.model.isComment(r.raw) && (t.shape.model.rows > 2 || len(r.cells) != t.shape.fields)
}

// isComment tells a line that begins with a sign of comments with which no
// record begins.
func (m *model) isComment(raw string) bool {
	if !strings.HasPrefix(raw, "#") && !strings.HasPrefix(raw, "//") && !strings.HasPrefix(raw, "--") || isInPlaceOfText(raw) {
		return false
	}
	for p := range m.columns[0].patterns {
		if p[0] == raw[0] && m.columns[0].patterns[p] > 1 {
			return false
		}
	}
	return true
}

// isInPlaceOfText tells a first cell that only looks like a comment's beginning:
// dashes for nothing, as in --,Smith, or a place in a ranking, as in #1 Movers.
func isInPlaceOfText(raw string) bool {
	if behind := strings.TrimLeft(raw, "-"); behind != raw && behind != "" {
		c, _ := utf8.DecodeRuneInString(behind)
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != ' '
	}
	number, behind, _ := strings.Cut(strings.TrimPrefix(raw, "#"), " ")
	return digitsIn(number) == len(number) && number != "" && len(number) < 4 && behind != ""
}
