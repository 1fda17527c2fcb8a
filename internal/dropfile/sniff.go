package dropfile

import (
	"bytes"
)

var utf8BOM = []byte("\xef\xbb\xbf")

// formats are told by the bytes at their beginning.
var formats = []struct{ magic, looks, cure string }{
	{"\x1f\x8b", "a gzip file", "unpack it first"},
	{"BZh", "a bzip2 file", "unpack it first"},
	{"\xfd7zXZ", "an xz file", "unpack it first"},
	{"\x28\xb5\x2f\xfd", "a zstd file", "unpack it first"},
	{"%PDF", "a PDF document", "ask the vendor for CSV"},
	{"\xd0\xcf\x11\xe0", "an old Excel workbook", "save it as CSV (UTF-8)"},
	{"-----BEGIN PGP", "a PGP message", "decrypt it first"},
	{"\xff\xfe", "UTF-16 text", "save it as CSV (UTF-8)"},
	{"\xfe\xff", "UTF-16 text", "save it as CSV (UTF-8)"},
}

// recognise says what a file is that is no CSV text, from its first block.
func recognise(block []byte) *FormatError {
	for _, f := range formats {
		if bytes.HasPrefix(block, []byte(f.magic)) {
			return &FormatError{Looks: f.looks, Cure: f.cure}
		}
	}
	start := bytes.ToLower(bytes.TrimSpace(block[:min(len(block), 64)]))
	switch {
	case bytes.HasPrefix(block, []byte("PK\x03\x04")):
		if bytes.Contains(block, []byte("xl/")) || bytes.Contains(block, []byte("[Content_Types].xml")) {
			return &FormatError{Looks: "an Excel workbook", Cure: "save it as CSV (UTF-8)"}
		}
		return &FormatError{Looks: "a ZIP archive", Cure: "unpack it first"}
	case bytes.HasPrefix(start, []byte("<!doctype html")), bytes.HasPrefix(start, []byte("<html")):
		return &FormatError{Looks: "a web page", Cure: "see whether the download asks for a login"}
	case bytes.IndexByte(block, 0) >= 0:
		return &FormatError{Looks: "a binary file", Cure: "ask the vendor for CSV"}
	}
	return nil
}

// delimiters in the order of preference.
var delimiters = []byte{',', ';', '\t', '|'}

// delimiterOf guesses the delimiter from the header's line: the one that it
// has most of outside of quotes.
func delimiterOf(line []byte) rune {
	var count [256]int
	quoted := false
	for _, c := range line {
		if c == '"' {
			quoted = !quoted
		} else if !quoted {
			count[c]++
		}
	}
	best := delimiters[0]
	for _, d := range delimiters {
		if count[d] > count[best] {
			best = d
		}
	}
	return rune(best)
}
