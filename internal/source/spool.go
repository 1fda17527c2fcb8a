// Package source fetches drops.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"importer/internal/crashpoint"
)

// Spool keeps copies of drops in a folder, each under the name of its SHA-256,
// so that a drop is complete and unchanging while it is imported. Several
// processes may share the folder; each one enters it before it puts anything.
type Spool struct {
	Dir      string // made when missing, for this user alone
	Quota    int64  // most bytes that the folder may hold; 0: as many as the disk
	KeepFree int64  // bytes of its disk that are left free
}

// Spooled is a drop whose bytes are safe on this machine's disk.
type Spooled struct {
	Name   string // the file's name at its source, for people
	SHA256 [32]byte
	Bytes  int64
	Path   string // of the copy
}

// Copies in the making begin with unfinished.
const unfinished = ".unfinished-"

// Unpack calls put with the content of each text in a file, and tells which of
// them, counted from 0, are no drops.
type Unpack func(file io.ReaderAt, size int64, name string, put func(name string, r io.Reader) error) (none []int, err error)

// Put copies the drops in r into the spool. When Put returns without an error
// the copies are whole and on disk; otherwise none of them is kept. Returns
// ErrNoRoom when they do not fit. The same content twice is one file. When ctx
// ends, Put ends with r's next bytes.
func (s Spool) Put(ctx context.Context, name string, r io.Reader, unpack Unpack) ([]Spooled, error) {
	// What it is can be told, and its end looked at, when it has been read.
	whole, size, err := s.copy(ctx, name, r)
	if err != nil {
		return nil, err
	}
	drops, err := s.put(ctx, whole, size, name, unpack, func() error { return nil })
	return drops, errors.Join(err, whole.Close(), os.Remove(whole.Name()))
}

// copy copies r as it is. The caller closes and removes the copy.
func (s Spool) copy(ctx context.Context, name string, r io.Reader) (*os.File, int64, error) {
	tmp, err := s.create(name)
	if err != nil {
		return nil, 0, err
	}
	n, err := io.Copy(stoppable{ctx, s.limited(name, tmp)}, r) // not around r: its own WriteTo makes SFTP fast
	if err != nil {
		return nil, 0, errors.Join(s.failed(name, err), tmp.Close(), os.Remove(tmp.Name()))
	}
	return tmp, n, nil
}

// put spools the drops in a file, with a last look at the file before they are
// kept.
func (s Spool) put(ctx context.Context, file io.ReaderAt, size int64, name string, unpack Unpack, check func() error) (drops []Spooled, err error) {
	if _, err := s.admit(name, size); err != nil {
		return nil, err
	}
	var unnamed []string // copies that have not yet got their names
	defer func() {
		for _, tmp := range unnamed {
			err = errors.Join(err, os.Remove(tmp))
		}
	}()
	none, err := unpack(file, size, name, func(name string, r io.Reader) error {
		tmp, err := s.create(name)
		if err != nil {
			return err
		}
		unnamed = append(unnamed, tmp.Name())
		d, err := s.fill(ctx, tmp, name, r)
		drops = append(drops, d)
		return errors.Join(err, tmp.Close())
	})
	// A file that is still written cannot be unpacked either.
	if changed := check(); changed != nil && ctx.Err() == nil {
		err = changed
	}
	if isFull(err) {
		err = s.failed(name, err) // what is unpacked on the way takes its space too
	}
	if err != nil {
		return nil, err
	}
	for _, i := range slices.Backward(none) {
		if err := os.Remove(unnamed[i]); err != nil {
			return nil, fmt.Errorf("clearing the spool folder: %w", err)
		}
		unnamed, drops = slices.Delete(unnamed, i, i+1), slices.Delete(drops, i, i+1)
	}
	crashpoint.Reach(crashpoint.SpoolWritten)
	for _, d := range drops {
		// Another process may have put the same content: the one replaces the
		// other, and whoever has that open keeps reading it.
		if err := os.Rename(unnamed[0], d.Path); err != nil {
			return nil, fmt.Errorf("keeping a drop in the spool: %w", err)
		}
		unnamed = unnamed[1:]
	}
	crashpoint.Reach(crashpoint.SpoolNamed)
	return drops, s.sync()
}

// create makes a copy in the making.
func (s Spool) create(name string) (*os.File, error) {
	tmp, err := os.CreateTemp(s.Dir, unfinished+"*") // mode 0600
	if err != nil {
		return nil, s.failed(name, err)
	}
	return tmp, nil
}

// fill copies r to tmp and sees it onto the disk.
func (s Spool) fill(ctx context.Context, tmp *os.File, name string, r io.Reader) (Spooled, error) {
	hash := sha256.New()
	n, err := io.Copy(stoppable{ctx, io.MultiWriter(s.limited(name, tmp), hash)}, r)
	if err == nil {
		err = tmp.Sync()
	}
	if err != nil {
		return Spooled{}, s.failed(name, err)
	}
	sha := [32]byte(hash.Sum(nil))
	return Spooled{Name: name, SHA256: sha, Bytes: n, Path: s.path(sha)}, nil
}

// PutFile is Put for a file of this machine. Returns an error when it is no
// regular file, or changes while it is copied.
func (s Spool) PutFile(ctx context.Context, path string, unpack Unpack) ([]Spooled, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s: check the name and the folder", path)
	}
	if err != nil {
		return nil, fmt.Errorf("looking at the file: %w", err)
	}
	if kind := kindOf(info.Mode()); kind != "" {
		return nil, fmt.Errorf("%s is %s, not a file with contacts", path, kind)
	}
	// Without O_NONBLOCK a FIFO that took its place would be waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the file: %w", err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at the file: %w", err)
	}
	return s.put(ctx, f, before.Size(), filepath.Base(path), unpack, func() error {
		after, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("looking at the file again: %w", err)
		}
		if !os.SameFile(before, after) || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
			return fmt.Errorf("%s changed while it was copied: try again when it is written", path)
		}
		return nil
	})
}

// kindOf names what is no regular file; empty for one that is.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return ""
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO (a named pipe)"
	case mode&fs.ModeDevice != 0:
		return "a device"
	default:
		return "no regular file"
	}
}

// Open opens a spooled drop. Returns fs.ErrNotExist when it is not, or no
// longer, in the spool.
func (s Spool) Open(sha [32]byte) (*os.File, error) {
	f, err := os.Open(s.path(sha))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("its copy is not in the spool %s any more, import its file again: %w", s.Dir, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the spooled drop: %w", err)
	}
	return f, nil
}

// Remove removes a drop's copy; one that is not there is no error. A process
// that has it open reads on to its end; one that was about to open it gets
// fs.ErrNotExist and must put the drop again, so only a drop that is done is
// to be removed.
func (s Spool) Remove(sha [32]byte) error {
	if err := os.Remove(s.path(sha)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the spooled drop: %w", err)
	}
	crashpoint.Reach(crashpoint.Unspooled)
	return nil
}

func (s Spool) path(sha [32]byte) string {
	return filepath.Join(s.Dir, hex.EncodeToString(sha[:]))
}

// sync makes a rename in the folder last.
func (s Spool) sync() error {
	dir, err := os.Open(s.Dir)
	if err != nil {
		return fmt.Errorf("syncing the spool folder: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// stoppable writes until ctx ends.
type stoppable struct {
	ctx context.Context //nolint:containedctx // io.Copy has no other way to stop
	w   io.Writer
}

func (s stoppable) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}
