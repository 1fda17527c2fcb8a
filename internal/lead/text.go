package lead

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// signs tells which ASCII characters a column keeps. Those that keep any sign
// also keep Unicode's where the dialer stores Unicode.
type signs struct {
	ascii [utf8.RuneSelf]bool
	any   bool
}

// What the dialer's filters keep beside letters and digits. It turns + into a
// blank everywhere, and reads \ as an SQL escape where it keeps it.
var (
	nameSigns    = signsOf(" -'_.")
	addressSigns = signsOf(" -'.:/@_")
	postalSigns  = signsOf(" -'")
	codeSigns    = signsOf("-_")
	emailSigns   = signsOf("-'.:/@%_")
	anySigns     = func() signs {
		s := signsOf(" !$%&'()*,-./:<=>?@[]^_`{|}~")
		s.any = true
		return s
	}()
)

func signsOf(kept string) signs {
	var s signs
	for c := range rune(utf8.RuneSelf) {
		s.ascii[c] = unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune(kept, c)
	}
	return s
}

// Why a text was changed.
const (
	whyBytes   = "bytes that are no text were removed"
	whyASCII   = "written in ASCII: the dialer would delete the rest"
	whyJoined  = "accents joined to their letters"
	whyLetters = "letters that the dialer cannot store were removed"
	whySigns   = "signs that the dialer would remove were removed"
	whyControl = "line breaks and control characters were removed"
	whyBlanks  = "repeated blanks were joined"
)

// reasons is what changed one text, each reason once.
type reasons []string

func (w *reasons) add(why string) {
	for _, known := range *w {
		if known == why {
			return
		}
	}
	*w = append(*w, why)
}

// fit returns s with only the characters that a column keeps, cut to limit
// characters, and why it differs. s is trimmed.
func (r Rules) fit(s string, keep *signs, limit int) (fitted, why string) {
	if keep.fits(s) && len(s) <= limit {
		return s, ""
	}
	var whys reasons
	fitted = r.rewrite(s, keep, &whys)
	if utf8.RuneCountInString(fitted) > limit {
		fitted = strings.TrimSpace(string([]rune(fitted)[:limit]))
		whys.add(fmt.Sprintf("cut to the %d characters that the dialer stores", limit))
	}
	return fitted, strings.Join(whys, "; ")
}

// fits is the short way out for most values: ASCII that is kept as it is.
func (k *signs) fits(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || !k.ascii[c] || c == ' ' && i > 0 && s[i-1] == ' ' {
			return false
		}
	}
	return true
}

func (r Rules) rewrite(s string, keep *signs, whys *reasons) string {
	before := s
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "")
		whys.add(whyBytes)
	}
	if r.NonLatin && !norm.NFC.IsNormalString(s) {
		s = norm.NFC.String(s)
		whys.add(whyJoined)
	}
	var b strings.Builder
	for _, c := range s {
		if c >= utf8.RuneSelf && r.stores(c, keep) {
			b.WriteRune(c)
			continue
		}
		if ascii := umlauts[c]; ascii != "" && germanSpeaking[r.Region] {
			b.WriteString(ascii)
			whys.add(whyASCII)
			continue
		}
		write(&b, c, keep, whys)
	}
	out := b.String()
	if r.NonLatin {
		out = norm.NFC.String(out) // what was removed may have kept others apart
	}
	out = joinBlanks(out)
	if out != before && len(*whys) == 0 {
		whys.add(whyBlanks)
	}
	return out
}

// stores tells whether a dialer with use_non_latin=1 stores c: its filters
// keep letters, and its utf8 columns hold three bytes a character.
func (r Rules) stores(c rune, keep *signs) bool {
	if !r.NonLatin || c > 0xFFFF || c == utf8.RuneError {
		return false
	}
	return unicode.IsLetter(c) || keep.any && unicode.IsGraphic(c) && !unicode.IsSpace(c)
}

// write writes c as the ASCII that the column keeps. A sign that is not kept
// leaves a blank, so that what it parted does not run together; a quotation
// mark leaves nothing.
func write(b *strings.Builder, c rune, keep *signs, whys *reasons) {
	switch {
	case c < utf8.RuneSelf && keep.ascii[c]:
		b.WriteRune(c)
	case c == '\n' || c == '\r' || c == '\t':
		b.WriteByte(' ')
		whys.add(whyControl)
	case unicode.In(c, unicode.Cc, unicode.Cf):
		whys.add(whyControl)
	case c == '"':
		whys.add(whySigns)
	case c < utf8.RuneSelf:
		if keep.ascii[' '] {
			b.WriteByte(' ')
		}
		whys.add(whySigns)
	case c == utf8.RuneError:
		whys.add(whyBytes)
	default:
		writeFolded(b, c, keep, whys)
	}
}

// writeFolded writes a character beyond ASCII without its accents, or as the
// letters or signs that stand for it.
func writeFolded(b *strings.Builder, c rune, keep *signs, whys *reasons) {
	lost := true
	for _, part := range norm.NFKD.String(string(c)) {
		ascii, known := asciiFor[part]
		switch {
		case part < utf8.RuneSelf:
			ascii = string(part)
		case unicode.IsSpace(part):
			ascii = " "
		case unicode.Is(unicode.Mn, part):
			lost = false // an accent by itself; its letter is already written
			continue
		case !known:
			continue
		}
		lost = false
		for _, a := range ascii {
			write(b, a, keep, whys)
		}
	}
	switch {
	case !lost:
		whys.add(whyASCII)
	case unicode.IsLetter(c) || unicode.IsMark(c):
		whys.add(whyLetters)
	default:
		whys.add(whySigns)
	}
}

// asciiFor holds what Unicode does not decompose.
var asciiFor = map[rune]string{
	'ß': "ss", 'ẞ': "SS", 'Æ': "AE", 'æ': "ae", 'Œ': "OE", 'œ': "oe", 'Ø': "O", 'ø': "o",
	'Ł': "L", 'ł': "l", 'Đ': "D", 'đ': "d", 'Ð': "D", 'ð': "d", 'Þ': "Th", 'þ': "th",
	'Ħ': "H", 'ħ': "h", 'Ŧ': "T", 'ŧ': "t", 'Ŋ': "N", 'ŋ': "n", 'ı': "i", 'ĸ': "k", 'ə': "e", 'Ə': "E",
	'‘': "'", '’': "'", '‚': "'", '‛': "'", 'ʼ': "'", 'ʻ': "'", '′': "'",
	'“': "", '”': "", '„': "", '«': "", '»': "",
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '−': "-",
	'•': " ", '·': " ", '⁄': "/",
}

// umlauts are written so where German is spoken.
var (
	umlauts        = map[rune]string{'ä': "ae", 'ö': "oe", 'ü': "ue", 'Ä': "Ae", 'Ö': "Oe", 'Ü': "Ue"}
	germanSpeaking = map[string]bool{"DE": true, "AT": true, "CH": true, "LI": true}
)

func joinBlanks(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] != ' ' || b.Len() > 0 && s[i-1] != ' ' {
			b.WriteByte(s[i])
		}
	}
	return strings.TrimSpace(b.String())
}
