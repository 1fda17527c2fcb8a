package dropfile

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is what a cell looks like.
type kind uint8

const (
	empty kind = iota
	integer
	number // with a decimal sign, a currency, a percent sign
	phone
	email
	address // of a web page
	date
	clock
	code  // letters and digits without a blank
	word  // letters
	words // several words
	odd
	kinds // how many there are
)

var kindNames = [kinds]string{"empty", "whole number", "number", "phone number", "email", "web address", "date", "time", "code", "word", "text", "other"}

func (k kind) String() string { return kindNames[k] }

// strong tells a kind that hardly anything else looks like.
func (k kind) strong() bool { return k >= integer && k <= clock }

// class is what kindOf counts signs as.
type class uint8

const (
	otherSign class = iota
	digit
	letter
	blank
	atSign
	slash
	dash
	dot
	colon
	comma
	apostrophe
	classes // how many there are
)

// classOf knows the class of each sign of one byte.
var classOf = func() (of [utf8.RuneSelf]class) {
	for c := range of {
		switch {
		case c >= '0' && c <= '9':
			of[c] = digit
		case (c|0x20) >= 'a' && (c|0x20) <= 'z':
			of[c] = letter
		}
	}
	for c, is := range map[byte]class{' ': blank, '@': atSign, '/': slash, '-': dash, '.': dot, ':': colon, ',': comma, '\'': apostrophe} {
		of[c] = is
	}
	return of
}()

// kindOf looks at a cell.
func kindOf(s string) kind {
	s = strings.TrimSpace(s)
	if s == "" {
		return empty
	}
	if len(s) > 300 {
		return words
	}
	var counts [classes]int
	for i := 0; i < len(s); {
		b := s[i]
		if b < utf8.RuneSelf {
			counts[classOf[b]]++
			i++
			continue
		}
		c, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case unicode.IsLetter(c):
			counts[letter]++
		case c != '’':
			counts[otherSign]++
		}
	}
	digits, letters, blanks, at, slashes, dashes, dots, colons, commas, others := counts[digit], counts[letter], counts[blank], counts[atSign],
		counts[slash], counts[dash], counts[dot], counts[colon], counts[comma], counts[otherSign]
	if letters == 0 {
		return kindOfDigits(s, digits, slashes, dashes, dots, colons, commas)
	}
	switch {
	case at == 1 && blanks == 0 && commas == 0 && others-strings.Count(s, "+")-strings.Count(s, "_") == 0 && dots > 0 && colons == 0 && slashes == 0:
		return email
	case blanks == 0 && (hasPrefixFold(s, "http://") || hasPrefixFold(s, "https://") || hasPrefixFold(s, "www.")):
		return address
	case digits > 0 && isWrittenDate(s, digits, letters):
		return date
	case digits >= 7 && isPhoneWithLetters(s, letters):
		return phone
	case blanks > 0 && digits > 0 || blanks > 0:
		return words
	case digits > 0:
		return code
	case others == 0 && commas == 0 && colons == 0 && at == 0:
		return word
	}
	return words
}

func kindOfDigits(s string, digits, slashes, dashes, dots, colons, commas int) kind {
	bare := digits == len(s)
	switch {
	case digits == 0:
		return odd
	case bare && (digits == 10 || digits == 11):
		return phone
	case bare:
		return integer
	case colons > 0:
		return kindOfColons(s)
	case isDate(s):
		return date
	case (slashes == 0 && dashes+dots+commas <= 2 || commas > 0) && isNumber(s):
		return number
	case isPhone(s, digits):
		return phone
	case isNumber(s):
		return number
	}
	return odd
}

// kindOfColons tells times, and dates with times.
func kindOfColons(s string) kind {
	day, rest, both := strings.Cut(s, " ")
	if !both {
		day, rest = "", s
	}
	for _, c := range rest {
		if c != ':' && c != '.' && c != ' ' && (c < '0' || c > '9') {
			return odd
		}
	}
	if n := strings.IndexByte(rest, ':'); n < 1 || n > 2 {
		return odd
	}
	switch {
	case !both:
		return clock
	case isDate(day):
		return date
	}
	return odd
}

// isDate knows three numbers with the same sign between them: 3/4/1980,
// 1980-03-04, 31.12.80.
func isDate(s string) bool {
	var sign byte
	parts, run := 1, 0
	long := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			run++
		case c == '/' || c == '-' || c == '.':
			if run == 0 || sign != 0 && sign != c {
				return false
			}
			if run > 2 {
				long++
			}
			if run == 3 || run > 4 {
				return false
			}
			sign, run = c, 0
			parts++
		default:
			return false
		}
	}
	if run > 2 {
		long++
	}
	return parts == 3 && (run == 1 || run == 2 || run == 4) && long <= 1
}

// isNumber knows 1,234.50 and -3 and $5 and 7 %.
func isNumber(s string) bool {
	s = strings.TrimLeft(s, "+-$€£ (")
	s = strings.TrimRight(s, "%$€£ )")
	if s == "" {
		return false
	}
	signs := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			signs = 0
		case c == '.' || c == ',' || c == '\'':
			if signs++; signs > 1 || i == len(s)-1 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// isPhone knows a phone number as people write it, without letters.
func isPhone(s string, digits int) bool {
	if digits < 7 || digits > 15 || len(s) > 2*digits {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && !strings.ContainsRune(" ()+-./", c) {
			return false
		}
	}
	return true
}

// isPhoneWithLetters knows an extension behind a phone number, and the p: in
// front of it.
func isPhoneWithLetters(s string, letters int) bool {
	s = strings.TrimPrefix(s, "p:")
	if letters > 9 {
		return false
	}
	lower := strings.ToLower(s)
	for _, ext := range []string{"extension", "ext.", "ext", "x"} {
		if number, inner, ok := strings.Cut(lower, ext); ok {
			return isPhone(strings.TrimSpace(number), digitsIn(number)) && digitsIn(inner) == len(strings.TrimSpace(inner))
		}
	}
	return isPhone(s, digitsIn(s))
}

func digitsIn(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

var months = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// isWrittenDate knows 12 Mar 1980, March 12, 1980 and 2026-11-24T06:00:00Z.
func isWrittenDate(s string, digits, letters int) bool {
	if len(s) > 30 || digits < 3 || digits > 14 {
		return false
	}
	if t := strings.IndexByte(s, 'T'); t == 10 && letters <= 2 && isDate(s[:t]) {
		return true
	}
	if letters == 2 && (strings.HasSuffix(s, "AM") || strings.HasSuffix(s, "PM") || strings.HasSuffix(s, "am") || strings.HasSuffix(s, "pm")) {
		k := kindOfColons(strings.TrimSpace(s[:len(s)-2]))
		return k == date
	}
	if digits > 6 || letters < 3 || letters > 9 {
		return false
	}
	lower := strings.ToLower(s)
	for _, m := range months {
		if i := strings.Index(lower, m); i >= 0 && (i == 0 || !unicode.IsLetter(rune(lower[i-1]))) {
			return true
		}
	}
	return false
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// pattern is a cell's outline: each digit 9, each run of small letters a, up to
// three capitals A each, the rest as it is; at most 24 signs.
func pattern(s string) string {
	var out [24]byte
	n, run, last := 0, 0, byte(0) // run: the last sign so often
	for _, c := range s {
		sign := byte('?')
		switch {
		case c >= '0' && c <= '9':
			sign = '9'
		case c >= 'a' && c <= 'z':
			sign = 'a'
		case c >= 'A' && c <= 'Z':
			sign = 'A'
		case c < utf8.RuneSelf:
			sign = byte(c)
		case unicode.IsUpper(c):
			sign = 'A'
		case unicode.IsLetter(c):
			sign = 'a'
		}
		if sign == last {
			run++
		} else {
			run, last = 1, sign
		}
		if sign == 'a' && run > 1 || sign == 'A' && run > 3 {
			continue
		}
		if n == len(out) {
			break
		}
		out[n] = sign
		n++
	}
	return string(out[:n])
}
