package lead

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// part is what may be one phone number of a cell.
type part struct {
	digits  string // perhaps with a + in front
	letters bool   // letters stand within it
}

// scanned is a cell taken apart, before any of it is read as a number.
type scanned struct {
	parts   []part // those with digits
	words   bool   // words stand between or beside them
	damaged bool   // a spreadsheet has overwritten the number
	whys    reasons
}

// joined returns the parts as one number, for a slash within a number as in
// 305/5550123. Words never stand within one.
func (s scanned) joined() (part, bool) {
	if len(s.parts) < 2 || s.words {
		return part{}, false
	}
	var all part
	for i, p := range s.parts {
		if i > 0 && strings.HasPrefix(p.digits, "+") {
			return part{}, false
		}
		all.digits += p.digits
		all.letters = all.letters || p.letters
	}
	return all, true
}

var (
	scientific = regexp.MustCompile(`^[-+]?\d+([.,]\d+)?[eE][-+]?\d+$`)
	decimals   = regexp.MustCompile(`^(\+?\d{7,15})[.,]0+$`)
	// fraction and day are digits enough to be dialled, in other countries at least.
	fraction  = regexp.MustCompile(`^\+?\d{7,15}\.\d{1,2}$`)
	day       = regexp.MustCompile(`^(\d{1,2}[/.-]\d{1,2}[/.-](19|20)\d\d|(19|20)\d\d[/.-]\d\d[/.-]\d\d)$`)
	cellError = regexp.MustCompile(`^#[A-Z#/0!?]+[!?]?$`)
)

// fewestDigits is how many digits at least a number of its own has.
const fewestDigits = 7

// scan takes a cell apart. Slashes, commas and the like, line breaks and words
// part numbers from each other; so do blanks between numbers that are long
// enough each.
func scan(cell string) scanned {
	cell = strings.TrimSpace(cell)
	for i := range len(cell) {
		if cell[i] >= 0x80 {
			cell = norm.NFKC.String(strings.ToValidUTF8(cell, " "))
			break
		}
	}
	var s scanned
	if scientific.MatchString(cell) || cellError.MatchString(cell) {
		s.damaged = true
		return s
	}
	if m := decimals.FindStringSubmatch(cell); m != nil {
		cell = m[1]
		s.whys.add(whyDecimals)
	}
	if fraction.MatchString(cell) || day.MatchString(cell) {
		s.damaged = true
		return s
	}
	sc := scanner{text: []rune(cell), out: &s}
	sc.run()
	return s
}

// scanner walks over a cell's characters and collects its parts.
type scanner struct {
	text []rune
	at   int
	out  *scanned
	open part
	// groups are the open part's digits, parted where blanks stand.
	groups []string
	apart  bool // a blank stands behind the last digit
}

func (s *scanner) run() {
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c >= '0' && c <= '9':
			s.digit(string(c))
		case c == '+':
			if s.open.digits != "" {
				s.close()
			}
			s.digit("+")
		case unicode.IsLetter(c):
			s.word()
			continue
		case c == '#' && s.extension(1):
			continue
		case strings.ContainsRune("/\\;,|&\n\r", c):
			s.close()
		case unicode.IsSpace(c):
			s.apart = s.open.digits != ""
		}
		s.at++
	}
	s.close()
}

func (s *scanner) digit(c string) {
	s.open.digits += c
	if len(s.groups) == 0 || s.apart {
		s.groups = append(s.groups, "")
		s.apart = false
	}
	s.groups[len(s.groups)-1] += c
}

// word takes a run of letters: an extension's mark, letters within a number,
// or a word beside it.
func (s *scanner) word() {
	end := s.at
	for end < len(s.text) && unicode.IsLetter(s.text[end]) {
		end++
	}
	switch strings.ToLower(string(s.text[s.at:end])) {
	case "x", "ext", "extn", "extension", "xt", "poste":
		if s.extension(end - s.at) {
			return
		}
	}
	before := s.at - 1
	if before > 0 && s.text[before] == '-' && len(s.open.digits) < fewestDigits {
		before-- // 1-800-FLOWERS
	}
	glued := before >= 0 && isDigit(s.text[before]) || end < len(s.text) && isDigit(s.text[end])
	if glued {
		s.open.letters = true
	} else {
		s.close()
		s.out.words = true
		s.out.whys.add("text beside the number dropped")
	}
	s.at = end
}

// extension skips a mark of the given length and the digits behind it, when
// they follow a number.
func (s *scanner) extension(mark int) bool {
	i := s.at + mark
	for i < len(s.text) && strings.ContainsRune(".: #", s.text[i]) {
		i++
	}
	start := i
	for i < len(s.text) && isDigit(s.text[i]) {
		i++
	}
	if i == start || i-start > fewestDigits || len(s.open.digits) < minPhone {
		return false
	}
	s.out.whys.add("extension dropped")
	s.at = i
	s.close()
	return true
}

// close ends the open part.
func (s *scanner) close() {
	several := len(s.groups) > 1 && !s.open.letters
	for _, g := range s.groups {
		several = several && len(g) >= fewestDigits
	}
	if several {
		for _, g := range s.groups {
			s.out.parts = append(s.out.parts, part{digits: g})
		}
	} else if strings.Trim(s.open.digits, "+") != "" {
		s.out.parts = append(s.out.parts, s.open)
	}
	s.open, s.groups, s.apart = part{}, nil, false
}

func isDigit(c rune) bool { return c >= '0' && c <= '9' }
