package container

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// shared are the texts that a workbook's cells refer to by number. They are
// kept on disk: there may be as many as cells.
type shared struct {
	text  pages // one behind the other
	index pages // where each ends in text, 8 bytes each
	count int
	buf   []byte
}

var errShared = errors.New("a cell's text is missing")

// readShared reads the workbook's texts. The caller closes them.
func (b *book) readShared() (*shared, error) {
	s := &shared{}
	if b.strings == "" {
		return s, nil
	}
	var err error
	if s.text.file, err = b.temp(); err != nil {
		return nil, err
	}
	if s.index.file, err = b.temp(); err != nil {
		s.close()
		return nil, err
	}
	text, index := bufio.NewWriterSize(s.text.file, 64<<10), bufio.NewWriterSize(s.index.file, 64<<10)
	end := uint64(0)
	err = b.each(b.strings, func(t *tokens, e element) error {
		if !e.start || e.name != "si" {
			return nil
		}
		item, err := richText(t, "si")
		if err != nil {
			return err
		}
		end += uint64(len(item))
		s.count++
		_, err = text.WriteString(item)
		_, indexErr := index.Write(binary.LittleEndian.AppendUint64(index.AvailableBuffer(), end))
		return errors.Join(err, indexErr)
	})
	if err = errors.Join(err, text.Flush(), index.Flush()); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *shared) close() {
	if s.text.file != nil {
		s.text.file.Close()
	}
	if s.index.file != nil {
		s.index.file.Close()
	}
}

// get returns a text by its number, from 0.
func (s *shared) get(i int) (string, error) {
	if i < 0 || i >= s.count {
		return "", errShared
	}
	var ends [16]byte // of the one before and of this one
	at := ends[:]
	if i == 0 {
		at = ends[8:]
	}
	if err := s.index.read(at, int64(max(i-1, 0))*8); err != nil {
		return "", err
	}
	from, to := binary.LittleEndian.Uint64(ends[:8]), binary.LittleEndian.Uint64(ends[8:])
	if n := int(to - from); cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	s.buf = s.buf[:to-from]
	if err := s.text.read(s.buf, int64(from)); err != nil {
		return "", err
	}
	return string(s.buf), nil
}

// pages reads a file through a few of its pages. Most texts stand near the one
// before, or are the same few again and again.
type pages struct {
	file *os.File
	held [64]struct {
		number int64 // from 1; 0: none is held
		bytes  []byte
	}
}

const pageBytes = 4 << 10

// read fills to with what stands at a place of the file.
func (p *pages) read(to []byte, at int64) error {
	for len(to) > 0 {
		number := at/pageBytes + 1
		page := &p.held[number%int64(len(p.held))]
		if page.number != number {
			if page.bytes == nil {
				page.bytes = make([]byte, pageBytes)
			}
			n, err := p.file.ReadAt(page.bytes[:pageBytes], (number-1)*pageBytes)
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			page.number, page.bytes = number, page.bytes[:n]
		}
		from := int(at % pageBytes)
		if from >= len(page.bytes) {
			return io.ErrUnexpectedEOF
		}
		n := copy(to, page.bytes[from:])
		to, at = to[n:], at+int64(n)
	}
	return nil
}

// richText reads the text of an element in which pieces may be formatted on
// their own, up to its end. Readings of Japanese words are left out.
func richText(t *tokens, name string) (string, error) {
	var text strings.Builder
	reading := false
	for {
		e, err := t.next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		switch {
		case err != nil:
			return "", err
		case e.name == "rPh":
			reading = e.start
		case e.start && e.name == "t":
			piece, err := t.text("t")
			if err != nil {
				return "", err
			}
			if text.Len()+len(piece) > maxToken {
				return "", errLong
			}
			if !reading {
				text.WriteString(piece)
			}
		case !e.start && e.name == name:
			return unescape(text.String()), nil
		}
	}
}

var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// unescape undoes Excel's spelling of characters that XML cannot hold.
func unescape(text string) string {
	if !strings.Contains(text, "_x") {
		return text
	}
	return escaped.ReplaceAllStringFunc(text, func(e string) string {
		code, err := strconv.ParseUint(e[2:6], 16, 16)
		if err != nil {
			return e
		}
		return string(rune(code))
	})
}
