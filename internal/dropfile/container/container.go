// Package container takes the flat texts out of whatever a vendor packed them
// into.
package container

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Options say how a file is unpacked.
type Options struct {
	// Keys open PGP messages; nil: there are none.
	Keys *Keys
	// TempDir takes what must be seen whole before it can be unpacked, such as
	// a workbook within an archive; empty: the system's. Nothing is left there.
	TempDir string
	// Say is told what was left out or changed, in whole sentences; nil: nobody.
	Say func(string)
	// Within is told, before each text, what it is taken out of, from the
	// outermost container inwards; nil: nobody.
	Within func(containers []string)
	// MaxBytes is how many bytes may come out of a file; 0: 20 GiB.
	MaxBytes int64
	// MaxMembers is how many files an archive may have; 0: 10,000.
	MaxMembers int
}

const (
	defaultMaxBytes   = 20 << 30
	defaultMaxMembers = 10_000
	// A file may always grow to freeBytes; beyond that to maxRatio times its
	// size, which no contacts do: deflate itself ends at 1032.
	freeBytes = 64 << 20
	maxRatio  = 1000
	// maxDepth allows a workbook in an archive in a PGP message.
	maxDepth = 3
)

// Error says why a file cannot be unpacked. Nothing of it may be imported.
type Error struct {
	Name string // of the file, or of the member in it
	Why  string

	document bool // it never was a table of contacts
}

func (e *Error) Error() string { return e.Name + ": " + e.Why }

// Unpack calls put with each flat text in a file, in the file's order: the
// file itself when it is no container, the one text in a compressed or
// encrypted file, each member of an archive, each sheet of a workbook as CSV.
// What the file is, is told by its content. A name is a label for people, such
// as "leads.zip/east.csv", and never a path.
//
// Only when Unpack returns no error is anything of it to be used: a file that
// is cut off is found out at its end. Returns *Error for a file that cannot be
// unpacked.
func Unpack(file io.ReaderAt, size int64, name string, o Options, put func(name string, r io.Reader) error) error {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxMembers == 0 {
		o.MaxMembers = defaultMaxMembers
	}
	if o.Within == nil {
		o.Within = func([]string) {}
	}
	u := &unpacker{Options: o, put: put, allowed: allowance{left: o.MaxBytes, why: fmt.Sprintf("more than %d bytes come out of it", o.MaxBytes)}}
	if most := max(freeBytes, size*maxRatio); most < o.MaxBytes {
		u.allowed = allowance{left: most, why: fmt.Sprintf("what comes out of it is more than %d times its size", maxRatio)}
	}
	whole := io.NewSectionReader(file, 0, size)
	return u.unpack(name, whole, whole, 0)
}

// unpacker unpacks one file.
type unpacker struct {
	Options
	put     func(name string, r io.Reader) error
	allowed allowance
	within  []string // the containers that are open
}

// unpack unpacks what r yields. whole is the same where it can be read from
// anywhere, else nil.
func (u *unpacker) unpack(name string, r io.Reader, whole *io.SectionReader, depth int) error {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	k := kindOf(head)
	u.within = u.within[:depth]
	if k == plain {
		u.Within(u.within)
		return u.put(name, b)
	}
	if depth == maxDepth {
		return &Error{Name: name, Why: fmt.Sprintf("more than %d containers are packed into one another: unpack it and import what is in it", maxDepth)}
	}
	u.within = append(u.within, kindNames[k])
	switch k {
	case zipped:
		return u.archive(name, b, whole, depth)
	case pgp:
		return u.decrypt(name, b, depth)
	case bzip2ed:
		return u.stream(trim(name, ".bz2"), bzip2.NewReader(b), depth)
	case zstded:
		// One goroutine less, and a window that a vendor's file can need.
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return damaged(name, err)
		}
		defer z.Close()
		return u.stream(trim(name, ".zst"), z, depth)
	case gzipped:
		return u.stream(trim(name, ".gz"), &gzipMembers{b: b}, depth)
	default:
		return u.refuse(name, k, b)
	}
}

// gzipMembers reads a gzip file: one member behind the other. What a tape, or a
// transfer, puts behind the last one is passed over; anything else is damage.
type gzipMembers struct {
	b *bufio.Reader
	z *gzip.Reader // nil before the first
}

func (m *gzipMembers) Read(p []byte) (int, error) {
	for {
		if m.z == nil {
			z, err := gzip.NewReader(m.b)
			if err != nil {
				return 0, unexpected(err)
			}
			m.z = z
			m.z.Multistream(false)
		}
		n, err := m.z.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, unlessEOF(err)
		}
		for {
			c, err := m.b.ReadByte()
			if err != nil {
				return 0, err
			}
			if strings.IndexByte("\x00\r\n\x1a", c) < 0 {
				break
			}
		}
		if err := m.b.UnreadByte(); err != nil {
			return 0, err
		}
		if head, _ := m.b.Peek(2); string(head) != "\x1f\x8b" {
			return 0, errors.New("something else stands behind its end")
		}
		if err := m.z.Reset(m.b); err != nil {
			return 0, unexpected(err)
		}
		m.z.Multistream(false)
	}
}

// unexpected makes the file's end an error where something must follow.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// unlessEOF leaves the end of a member to the next call.
func unlessEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// stream unpacks what comes out of a container, to its very end, where it is
// found out whether it is whole.
func (u *unpacker) stream(name string, r io.Reader, depth int) error {
	s := &output{name: name, r: r, allowed: &u.allowed}
	err := u.unpack(name, s, nil, depth+1)
	if err == nil {
		_, err = io.Copy(io.Discard, s)
	}
	if s.err != nil {
		return s.err // not as whoever read it put it
	}
	return err
}

// spill copies a stream to a file without a name.
func (u *unpacker) spill(r io.Reader) (*os.File, int64, error) {
	f, err := u.temp()
	if err != nil {
		return nil, 0, err
	}
	n, err := io.Copy(f, r)
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, n, nil
}

// temp makes a file that goes when it is closed, or when this process ends.
func (u *unpacker) temp() (*os.File, error) {
	f, err := os.CreateTemp(u.TempDir, ".unpacking-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("making room to unpack: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("making room to unpack: %w", err)
	}
	return f, nil
}

// allowance is how many bytes may still come out of a file, at all depths
// together.
type allowance struct {
	left int64
	why  string
}

// output is what comes out of a container: counted, and with its errors in
// words.
type output struct {
	name    string
	r       io.Reader
	allowed *allowance
	err     error // once it has failed
}

func (o *output) Read(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.r.Read(p)
	o.allowed.left -= int64(n)
	switch {
	case o.allowed.left < 0:
		o.err = &Error{Name: o.name, Why: o.allowed.why + ": if that is right, unpack it and import what is in it"}
		return 0, o.err
	case err != nil && !errors.Is(err, io.EOF):
		o.err = damaged(o.name, err)
		return n, o.err
	}
	return n, err
}

// damaged puts a library's complaint about what it read into words. An error
// of this machine stays what it is.
func damaged(name string, err error) error {
	var ours *Error
	var machine *fs.PathError
	if errors.As(err, &ours) || errors.As(err, &machine) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &Error{Name: name, Why: "the file ends too early, a part is missing: have it sent again"}
	}
	return &Error{Name: name, Why: fmt.Sprintf("the file is damaged (%v): have it sent again", err)}
}

// trim takes a container's suffix off a name, if it is there.
func trim(name, suffix string) string {
	if n := len(name) - len(suffix); n > 0 && strings.EqualFold(name[n:], suffix) {
		return name[:n]
	}
	return name
}
