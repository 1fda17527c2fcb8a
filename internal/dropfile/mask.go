package dropfile

import "unicode"

// maxMasked bounds, in characters, what is shown of a cell.
const maxMasked = 30

// Mask shows what a cell is like without telling whose it is: the first letter
// of each word and the first two digits.
func Mask(cell string) string {
	var out []rune
	digits, inWord := 0, false
	for _, c := range cell {
		if len(out) == maxMasked {
			return string(out) + "…"
		}
		letter := unicode.IsLetter(c) || unicode.IsMark(c)
		switch {
		case unicode.IsDigit(c):
			if digits++; digits > 2 {
				c = '#'
			}
		case letter && inWord:
			c = 'x'
		case !unicode.IsPrint(c):
			c = ' '
		}
		inWord = letter
		out = append(out, c)
	}
	return string(out)
}
