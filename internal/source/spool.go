// Package source fetches drops.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"importer/internal/crashpoint"
)

// Spool keeps copies of drops in a folder, each under the name of its SHA-256,
// so that a drop is complete and unchanging while it is imported. Several
// processes may share the folder.
type Spool struct {
	Dir string // made when missing, for this user alone
}

// Spooled is a drop whose bytes are safe on this machine's disk.
type Spooled struct {
	Name   string // the file's name at its source, for people
	SHA256 [32]byte
	Bytes  int64
	Path   string // of the copy
}

// Copies in the making begin with unfinished. One that is older than abandoned
// was left by a process that died.
const (
	unfinished = ".unfinished-"
	abandoned  = 24 * time.Hour
)

// Put copies a drop into the spool. The copy is whole and on disk when Put
// returns without an error; the same content twice is one file. When ctx ends,
// Put ends with r's next bytes.
func (s Spool) Put(ctx context.Context, name string, r io.Reader) (Spooled, error) {
	return s.put(ctx, name, r, func(int64) error { return nil })
}

// put is Put with a last look at what was copied before it is kept.
func (s Spool) put(ctx context.Context, name string, r io.Reader, check func(copied int64) error) (Spooled, error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return Spooled{}, fmt.Errorf("making the spool folder: %w", err)
	}
	if err := s.removeAbandoned(); err != nil {
		return Spooled{}, err
	}
	tmp, err := os.CreateTemp(s.Dir, unfinished+"*") // mode 0600
	if err != nil {
		return Spooled{}, s.failed(name, err)
	}
	d, err := s.fill(ctx, tmp, name, r)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = check(d.Bytes)
	}
	if err == nil {
		crashpoint.Reach(crashpoint.SpoolWritten)
		// Another process may have put the same content: the one replaces the
		// other, and whoever has that open keeps reading it.
		err = os.Rename(tmp.Name(), d.Path)
	}
	if err != nil {
		return Spooled{}, errors.Join(err, os.Remove(tmp.Name()))
	}
	crashpoint.Reach(crashpoint.SpoolNamed)
	return d, s.sync()
}

// fill copies r to tmp and sees it onto the disk.
func (s Spool) fill(ctx context.Context, tmp *os.File, name string, r io.Reader) (Spooled, error) {
	w := &hashingFile{ctx: ctx, file: tmp, hash: sha256.New()}
	n, err := io.Copy(w, r) // not around r: its own WriteTo makes SFTP fast
	if err == nil {
		err = tmp.Sync()
	}
	if err != nil {
		return Spooled{}, s.failed(name, err)
	}
	sha := [32]byte(w.hash.Sum(nil))
	return Spooled{Name: name, SHA256: sha, Bytes: n, Path: s.path(sha)}, nil
}

// PutFile copies a file of this machine into the spool. Returns an error when
// it is no regular file, or changes while it is copied.
func (s Spool) PutFile(ctx context.Context, path string) (Spooled, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Spooled{}, fmt.Errorf("there is no such file, check the name and the folder: %w", err)
	}
	if err != nil {
		return Spooled{}, fmt.Errorf("looking at the file: %w", err)
	}
	if kind := kindOf(info.Mode()); kind != "" {
		return Spooled{}, fmt.Errorf("%s is %s, not a file with contacts", path, kind)
	}
	// Without O_NONBLOCK a FIFO that took its place would be waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Spooled{}, fmt.Errorf("opening the file: %w", err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return Spooled{}, fmt.Errorf("looking at the file: %w", err)
	}
	return s.put(ctx, filepath.Base(path), f, func(copied int64) error {
		after, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("looking at the file again: %w", err)
		}
		if !os.SameFile(before, after) || copied != before.Size() ||
			after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
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

// removeAbandoned removes what dead processes left behind.
func (s Spool) removeAbandoned() error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return fmt.Errorf("looking through the spool folder: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), unfinished) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // finished meanwhile
		}
		if err != nil {
			return fmt.Errorf("looking through the spool folder: %w", err)
		}
		if time.Since(info.ModTime()) < abandoned {
			continue
		}
		if err := os.Remove(filepath.Join(s.Dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clearing the spool folder: %w", err)
		}
	}
	return nil
}

// failed says why a drop could not be spooled.
func (s Spool) failed(name string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("no space left in %s for a copy of %s: make room and start again: %w", s.Dir, name, err)
	}
	return fmt.Errorf("copying %s into the spool: %w", name, err)
}

// hashingFile writes and hashes until ctx ends.
type hashingFile struct {
	ctx  context.Context //nolint:containedctx // io.Copy has no other way to stop
	file *os.File
	hash hash.Hash
}

func (w *hashingFile) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.file.Write(p)
	w.hash.Write(p[:n]) // never fails
	return n, err
}
