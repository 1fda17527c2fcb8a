package container

import (
	"strconv"
	"strings"
)

// numberFormat is how a style shows numbers: Excel's format code, taken apart.
type numberFormat struct {
	sections []section
}

// section is one of a format code's parts, which are for positive numbers,
// negative ones and zero, unless they have conditions of their own.
type section struct {
	style   style
	pieces  []piece
	op      string // of its condition, such as <=; empty for none
	limit   float64
	date    bool // shows a day
	clock   bool // shows a time of day
	elapsed bool // shows hours beyond 24
	grouped bool // thousands are set apart
	percent int  // how often % stands in it
	scale   int  // how often it is divided by 1000
	decimal int  // digits behind the point
}

// style is what a section makes of a number.
type style int

const (
	general style = iota // all digits, as they are
	digits               // digits by pattern
	moment               // a date, a time of day or both
	words                // words alone
)

// piece is a character of a pattern, or words in it.
type piece struct {
	digit byte // 0, # or ?; . for the point; 0 for words
	words string
}

// builtin are the codes that workbooks refer to by number alone.
var builtin = map[string]string{
	"1": "0", "2": "0.00", "3": "#,##0", "4": "#,##0.00", "5": "$#,##0", "6": "$#,##0", "7": "$#,##0.00", "8": "$#,##0.00",
	"9": "0%", "10": "0.00%", "11": "0.00E+00", "12": "# ?/?", "13": "# ??/??",
	"14": "m/d/yyyy", "15": "d-mmm-yy", "16": "d-mmm", "17": "mmm-yy", "18": "h:mm AM/PM", "19": "h:mm:ss AM/PM",
	"20": "h:mm", "21": "h:mm:ss", "22": "m/d/yyyy h:mm",
	"27": "yyyy-m-d", "28": "yyyy-m-d", "29": "yyyy-m-d", "30": "yyyy-m-d", "31": "yyyy-m-d", "32": "h:mm", "33": "h:mm:ss",
	"34": "yyyy-m-d", "35": "yyyy-m-d", "36": "yyyy-m-d", "50": "yyyy-m-d", "51": "yyyy-m-d", "52": "yyyy-m-d", "53": "yyyy-m-d", "54": "yyyy-m-d",
	"55": "yyyy-m-d", "56": "yyyy-m-d", "57": "yyyy-m-d", "58": "yyyy-m-d",
	"37": "#,##0;(#,##0)", "38": "#,##0;(#,##0)", "39": "#,##0.00;(#,##0.00)", "40": "#,##0.00;(#,##0.00)",
	"41": "#,##0;(#,##0)", "42": "$#,##0;($#,##0)", "43": "#,##0.00;(#,##0.00)", "44": "$#,##0.00;($#,##0.00)",
	"45": "mm:ss", "46": "[h]:mm:ss", "47": "mm:ss", "48": "##0.0E+0", "49": "@",
}

const longestCode = 1000 // Excel's own limit is 255 characters

// parseFormat takes a format code apart. What it does not understand shows
// all digits.
func parseFormat(code string) *numberFormat {
	if len(code) > longestCode {
		code = ""
	}
	f := &numberFormat{}
	for rest, more := code, true; more; {
		var s section
		s, rest, more = parseSection(rest)
		f.sections = append(f.sections, s)
	}
	return f
}

// parser takes one section apart.
type parser struct {
	section
	places  int // for digits
	commas  int // since the last place for a digit
	point   bool
	letters string // y, m, d, h and s as they come
	other   bool   // something that is only shown as all digits
}

// parseSection returns the first section of a code, and what follows it.
func parseSection(code string) (s section, rest string, more bool) {
	var p parser
	for code != "" {
		if code[0] == ';' {
			return p.finish(), code[1:], true
		}
		code = code[p.take(code):]
	}
	return p.finish(), "", false
}

// take takes the next piece of a code and returns its length.
func (p *parser) take(code string) int {
	upper := strings.ToUpper(code[:min(len(code), len("GENERAL"))])
	switch c := code[0]; {
	case c == '"':
		text, _, _ := strings.Cut(code[1:], `"`)
		p.word(text)
		return min(len(code), len(text)+2)
	case c == '\\':
		size := runeLength(code[1:])
		p.word(code[1 : 1+size])
		return 1 + size
	case c == '_', c == '*': // a gap
		return 1 + runeLength(code[1:])
	case c == '[':
		text, _, _ := strings.Cut(code[1:], "]")
		p.bracket(text)
		return min(len(code), len(text)+2)
	case upper == "GENERAL":
		p.other = true
		return len(upper)
	case strings.HasPrefix(upper, "AM/PM"):
		p.letters += "h"
		return len("AM/PM")
	case strings.HasPrefix(upper, "A/P"):
		p.letters += "h"
		return len("A/P")
	case strings.HasPrefix(upper, "E+"), strings.HasPrefix(upper, "E-"), c == '/' && p.letters == "", c == '@':
		p.other = true
		return 1
	case strings.IndexByte("YMDHSEGB", upper[0]) >= 0:
		p.letters += strings.ToLower(upper[:1])
		return 1
	case c == '0', c == '#', c == '?':
		p.place(c)
		return 1
	case c == ',':
		p.commas++
		return 1
	case c == '.':
		p.scale += p.commas
		p.commas = 0
		p.point = true
		p.pieces = append(p.pieces, piece{digit: '.'})
		return 1
	case c == '%':
		p.percent++
		p.word("%")
		return 1
	}
	size := runeLength(code)
	p.word(code[:size])
	return size
}

func (p *parser) word(text string) {
	p.pieces = append(p.pieces, piece{words: text})
}

func (p *parser) place(c byte) {
	if p.commas > 0 && p.places > 0 {
		p.grouped = true
	}
	p.commas = 0
	p.places++
	if p.point {
		p.decimal++
	}
	p.pieces = append(p.pieces, piece{digit: c})
}

// bracket takes what stands in [ ]: a condition, a currency, elapsed time or a
// colour.
func (p *parser) bracket(text string) {
	lower := strings.ToLower(text)
	switch {
	case text == "":
	case text[0] == '$': // [$€-407]
		symbol, _, _ := strings.Cut(text[1:], "-")
		p.word(symbol)
	case strings.Trim(lower, "h") == "", strings.Trim(lower, "m") == "", strings.Trim(lower, "s") == "":
		p.elapsed = true
		p.letters += "h"
	case strings.IndexByte("<>=", text[0]) >= 0:
		number := strings.TrimLeft(text, "<>=")
		if limit, err := strconv.ParseFloat(strings.TrimSpace(number), 64); err == nil {
			p.op, p.limit = text[:len(text)-len(number)], limit
		}
	}
}

func (p *parser) finish() section {
	s := p.section
	s.scale += p.commas
	s.clock = strings.ContainsAny(p.letters, "hs")
	s.date = strings.ContainsAny(p.letters, "ydegb") || p.letters != "" && !s.clock
	switch {
	case p.letters != "" && p.places == p.decimal: // of seconds at most
		s.style = moment
	case p.letters != "": // words without quotation marks, as in 0 days
		s.style = general
	case p.other:
		s.style = general
	case p.places > 0:
		s.style = digits
	case len(s.pieces) > 0:
		s.style = words
	}
	return s
}

func runeLength(text string) int {
	for i := range text {
		if i > 0 {
			return i
		}
	}
	return len(text)
}
