package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/pkg/sftp"
)

// overlap is how much of what had arrived is read again and compared before a
// broken download goes on.
const overlap = 4 << 10

// maxFailures is how often in a row a download may break without a new byte.
const maxFailures = 4

// Fetch implements Place. A download that breaks is resumed as long as each
// connection brings something.
//
// That it is the same file is told by its size and time before and after each
// part and by the overlap. The bytes themselves are safe in transit: SSH
// authenticates every packet. To hash the whole again at the far end would take
// as long as to fetch it again.
func (s *SFTP) Fetch(ctx context.Context, f File, to *os.File) error {
	if err := checkPath(s.address, f.Path); err != nil {
		return err
	}
	defer func() {
		if s.small {
			s.small = false
			s.disconnect()
		}
	}()
	part := &arriving{file: to, limit: f.Size}
	for failures := 0; ; {
		had := part.size
		err := s.do(ctx, func(l *link) error { return s.fetch(l, f, part) })
		switch {
		case errors.Is(err, errHoles):
			s.careful = true
			s.disconnect()
			if err := part.restart(f.Path); err != nil {
				return err
			}
		case !isLost(err):
			return err
		case part.size > had:
			failures = 0
		default:
			if failures++; failures == maxFailures {
				return err
			}
			s.small = true
			if err := pause(ctx, time.Duration(failures)*s.o.Timeout/10); err != nil {
				return err
			}
		}
	}
}

// errHoles: the pieces that came do not join.
var errHoles = errors.New("pieces of the file are missing")

// fetch takes what is still missing of a file.
func (s *SFTP) fetch(l *link, f File, part *arriving) error {
	info, err := l.sftp.Lstat(s.full(f.Path))
	if err != nil {
		return s.failed("reading", f.Path, err)
	}
	if kind := odd(info.Mode()); kind != "" {
		return refuseOdd(s.address, f.Path, kind) // nor opened: a FIFO might hang the server
	}
	if !f.same(info.Size(), modified(info)) {
		return changed(s.address, f.Path)
	}
	if part.limit < 0 {
		part.limit = info.Size()
	}
	src, err := l.sftp.Open(s.full(f.Path))
	if err != nil {
		return s.failed("reading", f.Path, err)
	}
	defer src.Close()
	if err := s.unchanged(src, f, info); err != nil {
		return err
	}
	if joins, err := overlaps(src, part); err != nil {
		return s.failed("reading", f.Path, err)
	} else if !joins {
		return s.holes(f)
	}
	if _, err := src.Seek(part.size, io.SeekStart); err != nil {
		return s.failed("reading", f.Path, err)
	}
	// The file's own WriteTo has many requests under way at once; anything
	// that hides it makes this thirty times slower.
	if _, err := src.WriteTo(part); err != nil {
		if part.err != nil {
			return s.failedHere(f, part.err)
		}
		return s.failed("reading", f.Path, err)
	}
	if err := s.unchanged(src, f, info); err != nil {
		return err
	}
	now, err := l.sftp.Lstat(s.full(f.Path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.failed("reading", f.Path, err)
	}
	if err != nil || now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime()) {
		return changed(s.address, f.Path)
	}
	if part.size != info.Size() {
		return s.holes(f)
	}
	return nil
}

// unchanged compares what is open with what was looked at.
func (s *SFTP) unchanged(src *sftp.File, f File, info fs.FileInfo) error {
	now, err := src.Stat()
	if err != nil {
		return s.failed("reading", f.Path, err)
	}
	if now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime()) {
		return changed(s.address, f.Path)
	}
	return nil
}

// holes: either the file was replaced by one of the same size and time, or the
// server sends less than it is asked for, which only careful reading survives.
func (s *SFTP) holes(f File) error {
	if s.careful {
		return changed(s.address, f.Path)
	}
	return errHoles
}

// failedHere is an error of the copy, not of the server.
func (s *SFTP) failedHere(f File, err error) error {
	if errors.Is(err, ErrChanged) {
		return changed(s.address, f.Path)
	}
	return fmt.Errorf("writing the copy of %s: %w", f.Path, err)
}

// overlaps tells whether the file goes on where what had arrived ends.
func overlaps(src io.ReaderAt, part *arriving) (bool, error) {
	n := min(part.size, overlap)
	if n == 0 {
		return true, nil
	}
	ours, theirs := make([]byte, n), make([]byte, n)
	if _, err := part.file.ReadAt(ours, part.size-n); err != nil {
		return false, fmt.Errorf("reading the copy: %w", err)
	}
	got, err := src.ReadAt(theirs, part.size-n)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.Equal(ours, theirs[:got]), nil
}

// arriving is a file of which size bytes have come.
type arriving struct {
	file  *os.File
	size  int64
	limit int64 // more than this is another file than was listed
	err   error // why Write failed
}

func (a *arriving) Write(p []byte) (int, error) {
	if a.limit >= 0 && a.size+int64(len(p)) > a.limit {
		a.err = ErrChanged
		return 0, a.err
	}
	n, err := a.file.WriteAt(p, a.size)
	a.size += int64(n)
	a.err = err
	return n, err
}

// restart makes room for the file from its beginning.
func (a *arriving) restart(name string) error {
	if a.size == 0 {
		return nil
	}
	a.size = 0
	if err := a.file.Truncate(0); err != nil {
		return fmt.Errorf("beginning the copy of %s again: %w", name, err)
	}
	return nil
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
