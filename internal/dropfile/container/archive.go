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

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
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
	z, err := zip.NewReader(whole, whole.Size())
	// Names with ../ are refused by the library on request; here a name is a
	// label.
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		if errors.Is(err, zip.ErrFormat) {
			return &Error{name, "the ZIP archive has no directory at its end, a part is missing: have it sent again"}
		}
		return damaged(name, err)
	}
	if len(z.File) > u.MaxMembers {
		return &Error{name, fmt.Sprintf("the archive has more than %d files: unpack it and import those that hold contacts", u.MaxMembers)}
	}
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	z.RegisterDecompressor(12, func(r io.Reader) io.ReadCloser { return io.NopCloser(bzip2.NewReader(r)) })
	z.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor())
	if b := newBook(u, name, z); b != nil {
		u.within[depth] = "xlsx"
		return b.unpack()
	}
	if err := refuseOffice(name, z); err != nil {
		return err
	}
	members := 0
	for _, f := range z.File {
		if passOver(f) {
			continue
		}
		members++
		if err := u.member(name+"/"+label(f.Name), f, depth); err != nil {
			return err
		}
	}
	if members == 0 {
		return &Error{name, "the archive holds no file: ask the vendor for one that does"}
	}
	return nil
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
		return nil, &Error{name, "the archive is encrypted with a password: have it sent without one, or unpack it and import what is in it"}
	}
	r, err := f.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return nil, &Error{name, fmt.Sprintf("the archive is compressed in a rare way (method %d): have it packed as an ordinary ZIP, or unpack it and import what is in it", f.Method)}
	}
	if err != nil {
		return nil, damaged(name, err)
	}
	return r, nil
}

// passOver tells what nobody put into an archive on purpose: folders, hidden
// files, and what a Macintosh and Windows add.
func passOver(f *zip.File) bool {
	name := strings.ReplaceAll(f.Name, `\`, "/")
	if strings.HasSuffix(name, "/") || !f.Mode().IsRegular() {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "__MACOSX" || strings.HasPrefix(part, ".") && part != "." && part != ".." {
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
		case f.Name == "mimetype" && startsWith(f, "application/vnd.oasis.opendocument"):
			return &Error{name, "this is a document of LibreOffice or OpenOffice: save it as an Excel workbook (.xlsx) or as CSV"}
		case f.Name == "xl/workbook.bin":
			return &Error{name, "this is a binary Excel workbook (.xlsb): save it as an ordinary one (.xlsx) or as CSV"}
		case f.Name == "word/document.xml", f.Name == "ppt/presentation.xml":
			return &Error{name, "this is a document of Word or PowerPoint: ask the vendor for a workbook (.xlsx) or CSV"}
		case strings.HasPrefix(f.Name, "Index/") && strings.HasSuffix(f.Name, ".iwa"):
			return &Error{name, "this is a document of Apple Numbers: export it as an Excel workbook (.xlsx) or as CSV"}
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
