package container

import (
	"bytes"
	"slices"
)

// kind is what a file is.
type kind int

const (
	plain kind = iota // text, or nothing that can be unpacked
	gzipped
	zipped // an archive or a workbook
	bzip2ed
	zstded
	pgp
	// What is known, and refused with what to do.
	compoundFile // an old document of Office, or a protected one
	webTable
	xmlBook
	rareArchive
	program
	letter
)

var kindNames = map[kind]string{gzipped: "gzip", zipped: "zip", bzip2ed: "bzip2", zstded: "zstd", pgp: "pgp"}

// headBytes are enough to tell what a file is.
const headBytes = 16 << 10

// kindOf tells what a file is by how it begins. Text must never be taken for a
// container: as much is looked at as its format prescribes.
func kindOf(head []byte) kind {
	starts := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case starts("\x1f\x8b\x08"):
		return gzipped
	case starts("PK\x03\x04"), starts("PK\x05\x06"), starts("PK\x07\x08PK\x03\x04"): // the last: written in pieces
		return zipped
	case starts("BZh") && len(head) >= 10 && (string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90"):
		return bzip2ed
	case starts("\x28\xb5\x2f\xfd"), len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18":
		return zstded
	case bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))), []byte(armour)), encrypted(head):
		return pgp
	case starts("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
		return compoundFile
	case starts("\xfd7zXZ\x00"), starts("7z\xbc\xaf\x27\x1c"), starts("Rar!\x1a\x07"), starts("MSCF\x00\x00"), starts("\x1f\x9d"),
		len(head) > 262 && string(head[257:262]) == "ustar":
		return rareArchive
	case starts(`{\rtf1`):
		return letter
	case starts("MZ") && bytes.IndexByte(head, 0) >= 0 && bytes.Contains(head, []byte("PE\x00\x00")):
		return program
	}
	return markup(head)
}

// markup tells a page or an XML file in which programs keep a table, mostly
// under the name of a workbook.
func markup(head []byte) kind {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		head = bytes.ReplaceAll(head[2:], []byte{0}, nil) // signs of UTF-16
	}
	text := bytes.ToLower(bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))))
	has := func(s string) bool { return bytes.Contains(text, []byte(s)) }
	switch {
	case bytes.HasPrefix(text, []byte("mime-version:")) && has("multipart/related"):
		return webTable
	case !bytes.HasPrefix(text, []byte("<")):
	case has("urn:schemas-microsoft-com:office:spreadsheet"), has(`progid="excel.sheet"`), has("urn:oasis:names:tc:opendocument"):
		return xmlBook
	case has("<table") || has("urn:schemas-microsoft-com:office:excel"):
		return webTable
	}
	return plain
}

const armour = "-----BEGIN PGP MESSAGE-----"

// encrypted tells whether a file begins with the packet that a binary PGP
// message begins with: a session key, for somebody's key (tag 1) or under a
// passphrase (tag 3).
func encrypted(head []byte) bool {
	if len(head) < 16 {
		return false
	}
	var tag byte
	body := 2
	switch first := head[0]; {
	case first&0xc0 == 0xc0: // the new form of a packet
		tag = first & 0x3f
		if head[1] >= 192 && head[1] < 224 {
			body = 3
		}
	case first&0x80 == 0x80: // the old one
		tag = first >> 2 & 0x0f
		if first&3 == 1 {
			body = 3
		}
	}
	switch version := head[body]; tag {
	case 1:
		algorithms := []byte{1, 2, 16, 18, 25, 26} // RSA, Elgamal, elliptic curves
		return version == 3 && slices.Contains(algorithms, head[body+9]) || version == 6
	case 3:
		cipher := head[body+1]
		return (version == 4 || version == 5) && cipher >= 1 && cipher <= 13 || version == 6
	}
	return false
}
