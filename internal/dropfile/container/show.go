package container

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var integer = regexp.MustCompile(`^-?[0-9]+$`)

// show shows a number as a person sees it in the workbook, with two
// exceptions: a date is written as ISO 8601 has it, and a number that the
// workbook shows as 2.17623E+09 has all of its digits.
func (f *numberFormat) show(raw string, date04 bool) string {
	v, err := strconv.ParseFloat(raw, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return raw
	}
	if f == nil {
		return allDigits(raw, v)
	}
	s, negative := f.choose(v)
	switch s.style {
	case moment:
		if text, ok := s.moment(v, date04); ok {
			return text
		}
	case digits:
		if math.Abs(v) >= 1e21 {
			break
		}
		sign := ""
		if v < 0 && !negative {
			sign = "-"
		}
		return strings.TrimSpace(sign + s.digits(strings.TrimPrefix(raw, "-"), math.Abs(v)))
	case words:
		var text strings.Builder
		for _, p := range s.pieces {
			text.WriteString(p.words)
		}
		return strings.TrimSpace(text.String())
	default:
		if v == 0 && len(f.sections) > 2 && len(s.pieces) == 0 && s == &f.sections[2] {
			return "" // 0;-0;;@ hides zeros
		}
	}
	return allDigits(raw, v)
}

// choose returns the section for v, and whether it is for negative numbers
// alone, which brings its own sign.
func (f *numberFormat) choose(v float64) (*section, bool) {
	conditions := false
	for i := range f.sections {
		s := &f.sections[i]
		conditions = conditions || s.op != ""
		if s.op != "" && s.holds(v) {
			return s, v < 0 && s.op[0] == '<' && s.limit <= 0
		}
	}
	n := len(f.sections)
	switch {
	case conditions:
		for i := range f.sections {
			if f.sections[i].op == "" {
				return &f.sections[i], false
			}
		}
		return &section{}, false
	case v < 0 && n > 1:
		return &f.sections[1], true
	case v == 0 && n > 2:
		return &f.sections[2], false
	}
	return &f.sections[0], false
}

func (s *section) holds(v float64) bool {
	switch s.op {
	case "<":
		return v < s.limit
	case "<=":
		return v <= s.limit
	case ">":
		return v > s.limit
	case ">=":
		return v >= s.limit
	case "<>":
		return v != s.limit
	default:
		return v == s.limit
	}
}

// allDigits writes a number without an exponent, to the 15 digits that Excel
// knows. A whole number that is stored with more keeps them.
func allDigits(raw string, v float64) string {
	if integer.MatchString(raw) || math.Abs(v) >= 1e21 || v != 0 && math.Abs(v) < 1e-15 {
		return raw
	}
	if rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 14, 64), 64); err == nil {
		v = rounded
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// digits fills the pattern's places with a number that is not negative.
func (s *section) digits(raw string, v float64) string {
	whole := raw
	if !integer.MatchString(raw) || s.percent > 0 || s.scale > 0 {
		v *= math.Pow(100, float64(s.percent)) / math.Pow(1000, float64(s.scale))
		whole = strconv.FormatFloat(v, 'f', s.decimal, 64)
	}
	whole, fraction, _ := strings.Cut(whole, ".")
	fraction += strings.Repeat("0", max(0, s.decimal-len(fraction)))
	whole = strings.TrimLeft(whole, "0")
	point := len(s.pieces)
	for i, p := range s.pieces {
		if p.digit == '.' {
			point = i
			break
		}
	}
	return s.beforePoint(s.pieces[:point], whole) + s.behindPoint(s.pieces[point:], fraction)
}

// beforePoint fills places from the right; the first takes all that is left.
func (s *section) beforePoint(pieces []piece, whole string) string {
	first := len(pieces)
	for i, p := range pieces {
		if p.digit != 0 {
			first = i
			break
		}
	}
	var parts []string // from the right
	count := 0
	digit := func(d byte) {
		if s.grouped && count > 0 && count%3 == 0 {
			parts = append(parts, ",")
		}
		parts = append(parts, string(d))
		count++
	}
	for i := len(pieces) - 1; i >= 0; i-- {
		p := pieces[i]
		switch {
		case p.digit == 0:
			parts = append(parts, p.words)
		case whole != "":
			digit(whole[len(whole)-1])
			whole = whole[:len(whole)-1]
		case p.digit == '0':
			digit('0')
		}
		for i == first && whole != "" {
			digit(whole[len(whole)-1])
			whole = whole[:len(whole)-1]
		}
	}
	var text strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		text.WriteString(parts[i])
	}
	return text.String()
}

// behindPoint fills places from the left; those marked # stay empty rather
// than show zeros at the end.
func (s *section) behindPoint(pieces []piece, fraction string) string {
	keep := 0
	place := 0
	for _, p := range pieces {
		if p.digit == 0 || p.digit == '.' {
			continue
		}
		if place < len(fraction) && (p.digit == '0' || fraction[place] != '0') {
			keep = place + 1
		}
		place++
	}
	var text strings.Builder
	place = 0
	for _, p := range pieces {
		switch p.digit {
		case 0:
			text.WriteString(p.words)
		case '.':
			if keep > 0 {
				text.WriteByte('.')
			}
		default:
			if place < keep {
				text.WriteByte(fraction[place])
			}
			place++
		}
	}
	return text.String()
}

// moment writes a day number as a date, a time of day or both; not ok when it
// is none, which the workbook shows as #####.
func (s *section) moment(v float64, date04 bool) (string, bool) {
	const last = 2_958_466 // the day behind 9999-12-31
	if v < 0 || v >= last {
		return "", false
	}
	seconds := int64(math.Round(v * 86400))
	if s.elapsed {
		return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60), true
	}
	days := seconds / 86400
	first := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case date04:
		first = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case days < 60: // Excel has a 29 February 1900
		first = first.AddDate(0, 0, 1)
	}
	t := first.AddDate(0, 0, int(days)).Add(time.Duration(seconds%86400) * time.Second)
	switch {
	case s.date && s.clock:
		return t.Format(time.DateTime), true
	case s.date:
		// A day is not over before it is, however late the time that is not shown.
		return first.AddDate(0, 0, int(math.Floor(v))).Format(time.DateOnly), true
	}
	return t.Format(time.TimeOnly), true
}
