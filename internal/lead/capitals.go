package lead

import (
	"strings"
	"unicode"
)

const whyCalmed = "capitals calmed down"

// calmed are the fields in which CalmCapitals takes effect.
var calmed = map[string]bool{
	"first_name": true, "last_name": true, "address1": true, "address2": true, "address3": true, "city": true, "province": true,
}

// keepCapitals are words of names and addresses that are written so.
var keepCapitals = wordSet(`ii iii iv vi nw ne sw se po us usa llc md phd`)

// calm writes a field's capitals as the feed wants them.
func (r Rules) calm(field, s string) string {
	if !r.CalmCapitals || !calmed[field] {
		return s
	}
	return calm(s)
}

// calm writes a text that is all in capitals as people write names and streets:
// O'BRIEN-MCDONALD as O'Brien-McDonald, 42ND ST NW as 42nd St NW. A text with a
// small letter in it was written by somebody, and stays.
func calm(s string) string {
	letters := 0
	for _, c := range s {
		if unicode.IsLower(c) {
			return s
		}
		if unicode.IsUpper(c) {
			letters++
		}
	}
	if letters < 2 {
		return s
	}
	var b strings.Builder
	word := 0 // where the open word begins
	for i, c := range s {
		if !isWordSign(c) {
			b.WriteString(calmWord(s[word:i]))
			b.WriteRune(c)
			word = i + len(string(c))
		}
	}
	b.WriteString(calmWord(s[word:]))
	return genitive.Replace(b.String() + " ")[:b.Len()]
}

// genitive makes JOHN'S John's.
var genitive = strings.NewReplacer("'S ", "'s ", "’S ", "’s ", "'S,", "'s,", "'S-", "'s-")

func isWordSign(c rune) bool { return unicode.IsLetter(c) || unicode.IsMark(c) || unicode.IsDigit(c) }

func calmWord(word string) string {
	low := strings.ToLower(word)
	runes := []rune(low)
	if len(runes) == 0 || keepCapitals[low] {
		return word
	}
	first := 0
	for first < len(runes) && unicode.IsDigit(runes[first]) {
		first++
	}
	switch {
	case first > 0 && len(runes)-first > 1: // 42nd
		return low
	case first == len(runes):
		return word
	}
	runes[first] = unicode.ToUpper(runes[first])
	if strings.HasPrefix(low, "mc") && len(runes) > 4 {
		runes[2] = unicode.ToUpper(runes[2])
	}
	return string(runes)
}
