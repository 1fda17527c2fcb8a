package source

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Every process that uses the folder holds a shared lock on this file in it. The
// kernel gives a lock up with the process, however that ends.
const lockName = ".lock"

// unpacking begins the names of files that package container is about to take
// the names from.
const unpacking = ".unpacking-"

// Enter makes the folder, and lets this process use it until leave is called.
// When no other process uses it, what dead ones left is removed first: copies
// in the making, and the copies of drops for which needed, unless it is nil,
// says no. Enter waits while another process clears the folder so; needed's
// error ends it.
func (s Spool) Enter(needed func(sha [32]byte) (bool, error)) (leave func() error, err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the spool folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(s.Dir, lockName), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the spool folder: %w", err)
	}
	switch err = flock(lock, syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil:
		err = s.clear(needed)
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = nil // somebody is at work, or clearing
	}
	// Between giving the one lock up and having the other, another process may
	// come to clear the folder. It harms nobody: whoever is at work has a shared
	// lock, and this process has put nothing yet and waits until it is done.
	if err == nil {
		err = flock(lock, syscall.LOCK_SH)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	// Closing alone would leave it to a process that is being started right now.
	return func() error { return errors.Join(flock(lock, syscall.LOCK_UN), lock.Close()) }, nil
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("%s cannot be locked: %w", f.Name(), err)
		}
	}
}

// clear removes what only processes could need that have died.
func (s Spool) clear(needed func(sha [32]byte) (bool, error)) error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return fmt.Errorf("looking through the spool folder: %w", err)
	}
	for _, e := range entries {
		keep, err := isKept(e.Name(), needed)
		if err != nil {
			return err
		}
		if keep {
			continue
		}
		if err := os.Remove(filepath.Join(s.Dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clearing the spool folder: %w", err)
		}
	}
	return nil
}

// isKept tells of a name in the folder whether it stays. What is not ours does.
func isKept(name string, needed func(sha [32]byte) (bool, error)) (bool, error) {
	if strings.HasPrefix(name, unfinished) || strings.HasPrefix(name, unpacking) {
		return false, nil
	}
	sha, err := hex.DecodeString(name)
	if err != nil || len(sha) != 32 || needed == nil {
		return true, nil //nolint:nilerr // no name of a copy
	}
	return needed([32]byte(sha))
}
