package dialersim

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// class is what a parameter's filter keeps.
type class struct {
	keep    [256]bool
	letters bool // with use_non_latin=1, any Unicode letter is kept too
	blank   bool // a plus sign becomes a blank first
}

const alnum = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func keeping(chars string) *class {
	c := &class{}
	for i := range len(chars) {
		c.keep[chars[i]] = true
	}
	return c
}

func text(marks string) *class {
	c := keeping(alnum + marks)
	c.letters, c.blank = true, true
	return c
}

func without(chars string) *class {
	c := &class{blank: true}
	for i := range c.keep {
		c.keep[i] = strings.IndexByte(chars, byte(i)) < 0
	}
	return c
}

var (
	digits       = keeping("0123456789")
	digitList    = keeping("0123456789,")
	dateDigits   = keeping("0123456789-")
	upper        = keeping("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	word         = keeping(alnum)
	dashedWord   = keeping(alnum + "-_")
	spacedWord   = keeping(alnum + "-_ ")
	moment       = keeping(alnum + "-: ")
	nameText     = text(" -'_.")
	initial      = text("-_")
	addressText  = text(" -'.:/@_")
	stateText    = text(" -")
	provinceText = text(" -'._")
	postalText   = text(" -'")
	emailText    = text(" -'.:/@%_")
	altList      = text(" -!:_")
	freeText     = without(`;#"`)
	customValue  = without(`;"`)
)

// filter drops what the class does not keep. Every class keeps or drops all
// of the bytes above ASCII alike, so that bytes of UTF-8 stay together.
func filter(s string, c *class, nonLatin bool) string {
	plain := true
	for i := range len(s) {
		if !c.keep[s[i]] || (c.blank && s[i] == '+') {
			plain = false
		}
	}
	if plain {
		return s
	}
	if nonLatin && c.letters && !isASCII(s) {
		return filterRunes(s, c)
	}
	kept := make([]byte, 0, len(s))
	for i := range len(s) {
		b := s[i]
		if b == '+' && c.blank {
			b = ' '
		}
		if c.keep[b] {
			kept = append(kept, b)
		}
	}
	return string(kept)
}

// filterRunes is the filter as a Unicode pattern: on text that is not UTF-8
// it fails and leaves nothing.
func filterRunes(s string, c *class) string {
	if !utf8.ValidString(s) {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '+' && c.keep[' ']:
			return ' '
		case r < utf8.RuneSelf && c.keep[r], r >= utf8.RuneSelf && unicode.IsLetter(r):
			return r
		}
		return -1
	}, s)
}

// unescape reads backslashes as MariaDB does within a quoted text. False: the
// last one escapes the closing quote, so that the statement is broken.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, true
	}
	read := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			read = append(read, s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", false
		}
		switch s[i] {
		case 'n':
			read = append(read, '\n')
		case 't':
			read = append(read, '\t')
		case 'r':
			read = append(read, '\r')
		case 'b':
			read = append(read, '\b')
		case '0':
			read = append(read, 0)
		case 'Z':
			read = append(read, 26)
		case '%', '_':
			read = append(read, '\\', s[i])
		default:
			read = append(read, s[i])
		}
	}
	return string(read), true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// cp1252 is what MariaDB's latin1 makes of the bytes 0x80 to 0x9f.
var cp1252 = [32]rune{
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8d, 'Ž', 0x8f,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9d, 'ž', 'Ÿ',
}

// stored is the text as it arrives in a utf8 (three bytes at most) column,
// through a latin1 connection unless nonLatin.
func stored(s string, nonLatin bool) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	if !nonLatin {
		for i := range len(s) {
			if c := s[i]; c >= 0x80 && c < 0xa0 {
				b.WriteRune(cp1252[c-0x80])
			} else {
				b.WriteRune(rune(c))
			}
		}
		return b.String()
	}
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteByte('?')
		case size == 4:
			b.WriteString("????")
		default:
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// shown is the way back: what the same connection reads of stored text.
func shown(s string, nonLatin bool) string {
	if nonLatin || isASCII(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(latin1(r))
	}
	return b.String()
}

func latin1(r rune) byte {
	if r < 0x80 || (r >= 0xa0 && r <= 0xff) {
		return byte(r)
	}
	for i, have := range cp1252 {
		if have == r {
			return byte(0x80 + i)
		}
	}
	return '?'
}

// cut is the first n characters: what a VARCHAR(n) silently keeps.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
