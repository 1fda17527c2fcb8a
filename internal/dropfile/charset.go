package dropfile

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wlynxg/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	xunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// charset says how a file's bytes are read as text.
type charset struct {
	name string // as IANA writes it, in lower case
	mark int    // bytes of byte-order mark in front of the text
	// decoder is nil for UTF-8, whose few bad bytes are mended record by record.
	decoder encoding.Encoding
}

const utf8Name = "utf-8"

var (
	utf8BOM    = []byte("\xef\xbb\xbf")
	utf16LEBOM = []byte("\xff\xfe")
	utf16BEBOM = []byte("\xfe\xff")
)

func utf16(name string, order xunicode.Endianness, mark int) charset {
	return charset{name: name, mark: mark, decoder: xunicode.UTF16(order, xunicode.IgnoreBOM)}
}

// findCharset tells a file's character set from its beginning; said is the
// configured one. whole tells that the sample is the whole file.
func findCharset(sample []byte, said string, whole bool) (charset, error) {
	switch {
	case bytes.HasPrefix(sample, utf8BOM) && (said == "" || isUTF8(said)):
		mark := len(utf8BOM)
		for bytes.HasPrefix(sample[mark:], utf8BOM) { // each program that had the file has put its own
			mark += len(utf8BOM)
		}
		return charset{name: utf8Name, mark: mark}, nil
	case bytes.HasPrefix(sample, utf16LEBOM) && (said == "" || isUTF16(said)):
		return utf16("utf-16le", xunicode.LittleEndian, len(utf16LEBOM)), nil
	case bytes.HasPrefix(sample, utf16BEBOM) && (said == "" || isUTF16(said)):
		return utf16("utf-16be", xunicode.BigEndian, len(utf16BEBOM)), nil
	case said != "":
		return namedCharset(said)
	}
	if cs, ok := utf16WithoutMark(sample); ok {
		return cs, nil
	}
	good, bad := utf8Sequences(sample, whole)
	if bad == 0 || good*4 >= bad {
		return charset{name: utf8Name}, nil
	}
	return foundCharset(sample), nil
}

func isUTF8(name string) bool { return strings.EqualFold(strings.ReplaceAll(name, "-", ""), "utf8") }

func isUTF16(name string) bool {
	return strings.HasPrefix(strings.ToLower(strings.ReplaceAll(name, "-", "")), "utf16")
}

// namedCharset finds a character set by one of its usual names.
func namedCharset(name string) (charset, error) {
	lower := strings.ToLower(strings.TrimSpace(name))
	switch {
	case isUTF8(lower):
		return charset{name: utf8Name}, nil
	case isUTF16(lower) && strings.HasSuffix(lower, "be"):
		return utf16("utf-16be", xunicode.BigEndian, 0), nil
	case isUTF16(lower):
		return utf16("utf-16le", xunicode.LittleEndian, 0), nil
	case lower == "macroman", lower == "mac-roman", lower == "mac":
		lower = "macintosh"
	}
	enc, err := htmlindex.Get(lower)
	if err != nil {
		enc, err = ianaindex.IANA.Encoding(lower)
	}
	if err != nil || enc == nil {
		return charset{}, fmt.Errorf("encoding: %q is no character set that is known here; usual ones are utf-8, utf-16le, windows-1252, iso-8859-2, macintosh", name)
	}
	if enc == xunicode.UTF8 {
		return charset{name: utf8Name}, nil
	}
	return charset{name: lower, decoder: enc}, nil
}

// utf16WithoutMark knows UTF-16 by the zeros that Latin letters, digits and
// delimiters have as their other half.
func utf16WithoutMark(sample []byte) (charset, bool) {
	var zeros [2]int
	for i, b := range sample {
		if b == 0 {
			zeros[i%2]++
		}
	}
	half := len(sample) / 2
	switch {
	case half < 2:
		return charset{}, false
	case zeros[1] > half*6/10 && zeros[0] < half/10:
		return utf16("utf-16le", xunicode.LittleEndian, 0), true
	case zeros[0] > half*6/10 && zeros[1] < half/10:
		return utf16("utf-16be", xunicode.BigEndian, 0), true
	}
	return charset{}, false
}

// utf8Sequences counts characters of several bytes, and bytes that belong to
// none.
func utf8Sequences(sample []byte, whole bool) (good, bad int) {
	for len(sample) > 0 {
		r, n := utf8.DecodeRune(sample)
		switch {
		case r == utf8.RuneError && n == 1:
			if !whole && !utf8.FullRune(sample) {
				return good, bad // cut by the sample's end
			}
			bad++
		case n > 1:
			good++
		}
		sample = sample[n:]
	}
	return good, bad
}

// singles are character sets of one byte, told apart by where their letters
// come to stand. What libraries call ISO-8859-1 is Windows-1252 in files;
// MacRoman and small Central European files they do not know.
var singles = []struct {
	name    string
	decoder *charmap.Charmap
}{
	{"windows-1252", charmap.Windows1252},
	{"macintosh", charmap.Macintosh},
	{"iso-8859-2", charmap.ISO8859_2},
	{"windows-1250", charmap.Windows1250},
}

// foundCharset tells which character set of one byte a sample is in.
func foundCharset(sample []byte) charset {
	least := -1
	var best charset
	for _, c := range singles {
		if n := strange(sample, c.decoder); least < 0 || n < least {
			least, best = n, charset{name: c.name, decoder: c.decoder}
		}
	}
	if least == 0 {
		return best
	}
	found := chardet.Detect(sample)
	switch strings.ToLower(found.Encoding) {
	case "", "ascii", utf8Name, "iso-8859-1", "windows-1252", "macroman", "macintosh":
		return best
	}
	cs, err := namedCharset(found.Encoding)
	if err != nil || found.Confidence < 0.5 || cs.decoder == nil {
		return best
	}
	return cs
}

// strange counts what no word has if a sample's bytes are read in a charset: a
// sign between letters, a capital behind a small letter, a small letter among
// capitals, and what is no sign at all.
func strange(sample []byte, c *charmap.Charmap) int {
	n := 0
	decode := func(i int) rune {
		if i < 0 || i >= len(sample) {
			return ' '
		}
		return c.DecodeByte(sample[i])
	}
	for i, b := range sample {
		if b < utf8.RuneSelf {
			continue
		}
		before, r, after := decode(i-1), decode(i), decode(i+1)
		switch {
		case r == utf8.RuneError || unicode.IsControl(r):
			n++
		case unicode.IsUpper(r):
			if unicode.IsLower(before) {
				n++
			}
		case unicode.IsLetter(r):
			if unicode.IsUpper(before) && unicode.IsUpper(after) {
				n++
			}
		case r == '’' || r == '–' || r == '\u00a0':
		case unicode.IsLetter(after) && (unicode.IsLetter(before) || !unicode.IsPunct(r)):
			n++
		}
	}
	return n
}

// reader decodes a file from behind its byte-order mark.
func (c charset) reader(r io.Reader) io.Reader {
	if c.decoder == nil {
		return r
	}
	return transform.NewReader(r, c.decoder.NewDecoder())
}

// fixed returns a record's text as valid UTF-8 without NUL, which PostgreSQL
// cannot store, and why it had to be changed. Bytes that are not UTF-8 are read
// as Windows-1252, each by itself: its neighbours may be good.
func fixed(raw []byte) (text, why string) {
	if !utf8.Valid(raw) {
		why = "bytes that are no UTF-8 were read as Windows-1252"
		decoded := make([]byte, 0, len(raw)+len(raw)/4)
		for len(raw) > 0 {
			r, n := utf8.DecodeRune(raw)
			if r == utf8.RuneError && n == 1 {
				r = charmap.Windows1252.DecodeByte(raw[0])
			}
			decoded = utf8.AppendRune(decoded, r)
			raw = raw[n:]
		}
		raw = decoded
	}
	if bytes.IndexByte(raw, 0) >= 0 {
		if why != "" {
			why += "; "
		}
		why += "NUL bytes were replaced by \uFFFD"
		raw = bytes.ReplaceAll(raw, []byte{0}, []byte("\uFFFD"))
	}
	return string(raw), why
}
