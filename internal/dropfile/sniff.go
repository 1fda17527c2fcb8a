package dropfile

import (
	"bytes"
	"strings"
)

// formats are told by the bytes at their beginning.
var formats = []struct{ magic, looks, cure string }{
	{"\x1f\x8b", "a gzip file", "unpack it first"},
	{"BZh", "a bzip2 file", "unpack it first"},
	{"\xfd7zXZ", "an xz file", "unpack it first"},
	{"\x28\xb5\x2f\xfd", "a zstd file", "unpack it first"},
	{"%PDF", "a PDF document", "ask the vendor for CSV"},
	{"\xd0\xcf\x11\xe0", "an old Excel workbook", "save it as CSV (UTF-8)"},
	{"-----BEGIN PGP", "a PGP message", "decrypt it first"},
}

// recognise says what a file is that is no text, from its first block.
func recognise(block []byte, cs charset) *FormatError {
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
	case bytes.HasPrefix(start, []byte("<?xml")):
		return &FormatError{Looks: "an XML file", Cure: "ask the vendor for CSV or a workbook (.xlsx)"}
	case !strings.HasPrefix(cs.name, "utf-16") && isBinary(block):
		return &FormatError{Looks: "a binary file", Cure: "ask the vendor for CSV"}
	}
	return nil
}

// isBinary tells a file that is no text in any character set: more than one
// byte in a hundred, and more than two, are signs that no text has.
func isBinary(block []byte) bool {
	strange := 0
	for _, b := range block {
		if b < 0x20 && b != '\t' && b != '\r' && b != '\n' && b != '\f' && b != '\v' && b != 0x01 && b != 0x02 && (b < 0x1c || b > 0x1f) && b != 0x1a {
			strange++
		}
	}
	return strange > 2 && strange*100 > len(block)
}
