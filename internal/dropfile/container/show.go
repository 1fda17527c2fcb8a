package container

import (
	"bytes"
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
		whole = rounded(v, s.decimal)
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

// rounded writes a number that is not negative with so many places behind the
// point, as Excel does: of the 15 digits that it knows, a 5 is rounded up.
func rounded(v float64, places int) string {
	const known = 15
	text := strconv.FormatFloat(v, 'e', known-1, 64) // d.dddde±dd
	number, power, _ := strings.Cut(text, "e")
	exponent, err := strconv.Atoi(power)
	keep := exponent + 1 + places // digits
	if err != nil || keep >= known {
		return strconv.FormatFloat(v, 'f', places, 64)
	}
	all := []byte("0" + strings.Replace(number, ".", "", 1)) // the 0 is room to carry
	if keep < 0 {
		all, keep = []byte("00"), 0
	}
	up := all[keep+1] >= '5'
	all = all[:keep+1]
	for i := keep; up && i >= 0; i-- {
		if up = all[i] == '9'; up {
			all[i] = '0'
		} else {
			all[i]++
		}
	}
	if missing := places + 1 - len(all); missing > 0 {
		all = append(bytes.Repeat([]byte{'0'}, missing), all...)
	}
	point := len(all) - places
	return string(all[:point]) + "." + string(all[point:])
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
	clock := time.Time{}.Add(time.Duration(seconds%86400) * time.Second).Format(time.TimeOnly)
	if !s.date {
		return clock, true
	}
	if !s.clock {
		days = int64(v) // a day is not over before it is, however late the time that is not shown
	}
	day := first.AddDate(0, 0, int(days)).Format(time.DateOnly)
	switch {
	case date04:
	case days == 0: // mostly an empty cell that a formula has copied
		day = "1900-01-00"
	case days == 60:
		day = "1900-02-29"
	}
	if s.clock {
		day += " " + clock
	}
	return day, true
}

// isoLayouts are how a workbook writes a date or a time of day that it does not
// store as a number.
var isoLayouts = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly, time.DateTime, "15:04:05", "15:04"}

// showISO shows a date that is stored as ISO 8601 has it. Of a date in a cell
// without a format, a time of day is only shown when there is one.
func (f *numberFormat) showISO(raw string) string {
	for _, layout := range isoLayouts {
		t, err := time.Parse(layout, strings.TrimSuffix(raw, "Z"))
		if err != nil {
			continue
		}
		date, clock := strings.Contains(layout, "2006"), strings.Contains(layout, "15") && (t.Hour()+t.Minute()+t.Second() > 0)
		if f != nil && f.sections[0].style == moment {
			date, clock = f.sections[0].date, f.sections[0].clock
		}
		switch {
		case date && clock:
			return t.Format(time.DateTime)
		case date:
			return t.Format(time.DateOnly)
		}
		return t.Format(time.TimeOnly)
	}
	return raw
}
