package container

import (
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/charmap"
)

// archive unpacks a ZIP archive: a workbook, or the files in it.
func (u *unpacker) archive(name string, r io.Reader, whole *io.SectionReader, depth int) error {
	if whole == nil { // its directory is at its end
		f, size, err := u.spill(r)
		if err != nil {
			return err
		}
		defer f.Close()
		whole = io.NewSectionReader(f, 0, size)
	}
	tooMany := &Error{Name: name, Why: fmt.Sprintf("the archive has more than %d files: unpack it and import those that hold contacts", u.MaxMembers)}
	limited := &directory{ReaderAt: whole, left: directoryBytes}
	z, err := zip.NewReader(limited, whole.Size())
	if limited.left < 0 {
		return tooMany
	}
	limited.read = true
	// Names with ../ are refused by the library on request; here a name is a
	// label.
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		if errors.Is(err, zip.ErrFormat) {
			return &Error{Name: name, Why: "the ZIP archive has no directory at its end, a part is missing: have it sent again"}
		}
		return damaged(name, err)
	}
	if len(z.File) > u.MaxMembers {
		return tooMany
	}
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	z.RegisterDecompressor(12, func(r io.Reader) io.ReadCloser { return io.NopCloser(bzip2.NewReader(r)) })
	z.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor())
	b, err := newBook(u, name, z)
	if err != nil {
		return err
	}
	if b != nil {
		u.within[depth] = "xlsx"
		return b.unpack()
	}
	if err := refuseOffice(name, z); err != nil {
		return err
	}
	return u.members(name, z.File, depth)
}

// directoryBytes are many times what the directory of an ordinary archive
// with the most members takes.
const directoryBytes = 8 << 20

// directory ends the reading of an archive's directory that would fill the
// memory.
type directory struct {
	io.ReaderAt
	left int64
	read bool // all that comes now is content
}

func (d *directory) ReadAt(p []byte, at int64) (int, error) {
	if !d.read {
		if d.left -= int64(len(p)); d.left < 0 {
			return 0, zip.ErrFormat
		}
	}
	return d.ReaderAt.ReadAt(p, at)
}

// members unpacks the files in an archive. Beside others a document that is no
// table is left out.
func (u *unpacker) members(name string, files []*zip.File, depth int) error {
	var alone error
	some := false
	names := map[string]int{}
	for _, f := range files {
		if passOver(f) {
			continue
		}
		full := name + "/" + memberName(f)
		if names[full]++; names[full] > 1 {
			full = fmt.Sprintf("%s (%d)", full, names[full])
		}
		err := u.member(full, f, depth)
		var document *Error
		switch {
		case err == nil:
			some = true
		case errors.As(err, &document) && document.document:
			u.Say(document.Name + " is a document without a table and was left out")
			alone = err
		default:
			return err
		}
	}
	switch {
	case some:
		return nil
	case alone != nil:
		return alone
	default:
		return &Error{Name: name, Why: "the archive holds no file: ask the vendor for one that does"}
	}
}

// memberName is a member's name as a label. Names that are not in UTF-8 are
// written as MS-DOS did.
func memberName(f *zip.File) string {
	name := f.Name
	if !utf8.ValidString(name) {
		if dos, err := charmap.CodePage437.NewDecoder().String(name); err == nil {
			name = dos
		}
	}
	return label(name)
}

func (u *unpacker) member(name string, f *zip.File, depth int) error {
	r, err := open(name, f)
	if err != nil {
		return err
	}
	defer r.Close()
	return u.stream(name, r, depth)
}

// open opens a member of an archive.
func open(name string, f *zip.File) (io.ReadCloser, error) {
	const encryptedFlag = 1
	if f.Flags&encryptedFlag != 0 {
		return nil, &Error{Name: name, Why: "the archive is encrypted with a password: have it sent without one, or unpack it and import what is in it"}
	}
	r, err := f.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return nil, &Error{Name: name, Why: fmt.Sprintf("the archive is compressed in a rare way (method %d): have it packed as an ordinary ZIP, or unpack it and import what is in it", f.Method)}
	}
	if err != nil {
		return nil, damaged(name, err)
	}
	return r, nil
}

// passOver tells what nobody put into an archive on purpose: folders, hidden
// files, and what a Macintosh, Windows and Office add.
func passOver(f *zip.File) bool {
	name := strings.ReplaceAll(f.Name, `\`, "/")
	if strings.HasSuffix(name, "/") || !f.Mode().IsRegular() {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "__MACOSX" || strings.HasPrefix(part, "~$") || strings.HasPrefix(part, ".") && part != "." && part != ".." {
			return true
		}
	}
	return strings.EqualFold(path.Base(name), "thumbs.db") || strings.EqualFold(path.Base(name), "desktop.ini")
}

// label makes a member's name one that can be shown.
func label(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r == '\\':
			return '/'
		case r < ' ' || r == 0x7f:
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "�"))
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	const most = 200
	if runes := []rune(name); len(runes) > most {
		name = "…" + string(runes[len(runes)-most:])
	}
	return name
}

// refuseOffice refuses the documents of office programs that are no workbooks
// of Excel: inside, they are ZIP archives too.
func refuseOffice(name string, z *zip.Reader) error {
	for _, f := range z.File {
		switch {
		case f.Name == "mimetype" && startsWith(f, "application/vnd.oasis.opendocument.spreadsheet"):
			return &Error{Name: name, Why: "this is a workbook of LibreOffice or OpenOffice (.ods): save it as an Excel workbook (.xlsx) or as CSV"}
		case f.Name == "xl/workbook.bin":
			return &Error{Name: name, Why: "this is a binary Excel workbook (.xlsb): save it as an ordinary one (.xlsx) or as CSV"}
		case f.Name == "word/document.xml", f.Name == "ppt/presentation.xml":
			return &Error{Name: name, Why: "this is a document of Word or PowerPoint: ask the vendor for a workbook (.xlsx) or CSV", document: true}
		case f.Name == "mimetype" && startsWith(f, "application/vnd.oasis.opendocument"):
			return &Error{Name: name, Why: "this is a document of LibreOffice or OpenOffice: ask the vendor for a workbook (.xlsx) or CSV", document: true}
		case strings.HasPrefix(f.Name, "Index/") && strings.HasSuffix(f.Name, ".iwa"):
			return &Error{Name: name, Why: "this is a document of Apple Numbers: export it as an Excel workbook (.xlsx) or as CSV"}
		}
	}
	return nil
}

func startsWith(f *zip.File, text string) bool {
	r, err := f.Open()
	if err != nil {
		return false
	}
	defer r.Close()
	head := make([]byte, len(text))
	n, _ := io.ReadFull(r, head)
	return bytes.Equal(head[:n], []byte(text))
}
