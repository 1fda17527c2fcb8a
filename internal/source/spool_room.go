package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"
)

// ErrNoRoom is wrapped by the error for a drop of which no copy can be kept: the
// spool's limits, or its disk, do not allow it. It is kept when there is room.
var ErrNoRoom = errors.New("no room in the spool")

// measureEvery is how many bytes are written before it is measured again what
// other processes have left of the room.
const measureEvery = 64 << 20

// Room tells how many bytes may still come into the folder. A file that is
// fetched is there twice until all of its drops are kept.
func (s Spool) Room() (int64, error) {
	room, _, err := s.room()
	return room, err
}

// room is Room, with what sets the limit and can be done about it.
func (s Spool) room() (left int64, limit string, err error) {
	left, err = s.free()
	if err != nil {
		return 0, "", err
	}
	limit = "its disk is full: make room and start again"
	if s.KeepFree > 0 {
		left -= s.KeepFree
		limit = fmt.Sprintf("%d bytes of its disk are to stay free: make room, or lower spool.keep_free", s.KeepFree)
	}
	if s.Quota > 0 {
		used, err := s.used()
		if err != nil {
			return 0, "", err
		}
		if s.Quota-used < left {
			left = s.Quota - used
			limit = fmt.Sprintf("it may hold %d bytes: make room, or raise spool.quota", s.Quota)
		}
	}
	return max(left, 0), limit, nil
}

// free is how many bytes of the disk are for users to take.
func (s Spool) free() (int64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(s.Dir, &disk); err != nil {
		return 0, fmt.Errorf("measuring the disk of the spool %s: %w", s.Dir, err)
	}
	if disk.Blocks == 0 {
		return math.MaxInt64, nil // a drive that does not tell
	}
	return int64(disk.Bavail * uint64(disk.Bsize)), nil
}

// used is how many bytes the folder holds.
func (s Spool) used() (sum int64, err error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return 0, fmt.Errorf("looking through the spool folder: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // finished or removed meanwhile
		}
		if err != nil {
			return 0, fmt.Errorf("looking through the spool folder: %w", err)
		}
		sum += info.Size()
	}
	return sum, nil
}

// admit refuses so many bytes if there is no room for them.
func (s Spool) admit(name string, size int64) (room int64, err error) {
	room, limit, err := s.room()
	if err == nil && size > room {
		err = fmt.Errorf("%w %s for a copy of %s: %s", ErrNoRoom, s.Dir, name, limit)
	}
	return room, err
}

// limited writes a copy into the spool while there is room. What others write
// between two measurements is beyond the limits.
type limited struct {
	spool Spool
	name  string
	to    io.Writer
	left  int64 // bytes until the next measurement
}

func (s Spool) limited(name string, to io.Writer) *limited {
	return &limited{spool: s, name: name, to: to}
}

func (l *limited) Write(p []byte) (int, error) {
	size := int64(len(p))
	if size > l.left {
		room, err := l.spool.admit(l.name, size)
		if err != nil {
			return 0, err
		}
		l.left = min(room, measureEvery)
	}
	n, err := l.to.Write(p)
	l.left -= int64(n)
	return n, err
}

// failed says why a drop could not be spooled.
func (s Spool) failed(name string, err error) error {
	switch {
	case errors.Is(err, ErrNoRoom):
		return err
	case isFull(err):
		return fmt.Errorf("%w %s for a copy of %s: its disk is full: make room and start again: %w", ErrNoRoom, s.Dir, name, err)
	}
	return fmt.Errorf("copying %s into the spool: %w", name, err)
}

// isFull tells that a disk, or this user's share of it, is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
