package container

import (
	"bytes"
	"errors"
	"io"
)

// refuse says what to do about a file that is known but not read.
func (u *unpacker) refuse(name string, k kind, r io.Reader) error {
	switch k {
	case compoundFile:
		return refuseCompound(name, r)
	case webTable:
		return &Error{Name: name, Why: "this is a web page: see whether the download asks for a login, or, if it holds the contacts, open it in Excel and save it as a workbook (.xlsx) or as CSV"}
	case xmlBook:
		return &Error{Name: name, Why: "this is a workbook written as XML (Excel 2003 or OpenDocument): open it in Excel or LibreOffice and save it as a workbook (.xlsx) or as CSV"}
	case letter:
		return &Error{Name: name, Why: "this is a text with formats (RTF): ask the vendor for a workbook (.xlsx) or CSV", document: true}
	case program:
		return &Error{Name: name, Why: "this is a program for Windows, perhaps an archive that unpacks itself: have the files in it packed as an ordinary ZIP", document: true}
	default:
		return &Error{Name: name, Why: "this is an archive of a kind that is not read (7z, RAR, tar, xz, cab or compress): have it packed as ZIP or gzip"}
	}
}

// refuseCompound tells what is in a compound file by the names of its streams.
func refuseCompound(name string, r io.Reader) error {
	names := []string{"EncryptedPackage", "Workbook", "Book", "WordDocument", "PowerPoint Document", "__nameid_version1.0"}
	found := make([]bool, len(names))
	buf := make([]byte, 0, 64<<10)
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		for i, name := range names {
			found[i] = found[i] || bytes.Contains(buf, wide(name+"\x00"))
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return err
			}
			break
		}
		const overlap = 64 // no name is longer
		buf = buf[:copy(buf, buf[len(buf)-overlap:])]
	}
	switch {
	case found[0]:
		return &Error{Name: name, Why: "the workbook is protected with a password: save it without one, or as CSV"}
	case found[1] || found[2]:
		return &Error{Name: name, Why: "this is an old Excel workbook (.xls): save it as a workbook of today (.xlsx) or as CSV"}
	case found[3] || found[4] || found[5]:
		return &Error{Name: name, Why: "this is an old document of Word, PowerPoint or Outlook: ask the vendor for a workbook (.xlsx) or CSV", document: true}
	default:
		return &Error{Name: name, Why: "this is an old document of Office, perhaps an Excel workbook (.xls): save it as a workbook of today (.xlsx) or as CSV"}
	}
}

// wide is a name in UTF-16LE, as the directory of a compound file has it.
func wide(name string) []byte {
	out := make([]byte, 0, 2*len(name))
	for i := range len(name) {
		out = append(out, name[i], 0)
	}
	return out
}
