package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/pkg/sftp"
)

// Move implements Keeper.
func (s *SFTP) Move(ctx context.Context, f File, to string) error {
	if err := errors.Join(checkPath(s.address, f.Path), checkPath(s.address, to)); err != nil {
		return err
	}
	return s.do(ctx, func(l *link) error {
		if err := s.still(l, f, f.Path); err != nil {
			return err
		}
		if err := s.free(l, to); err != nil {
			return err
		}
		if err := s.makeFolder(l, to); err != nil {
			return err
		}
		if err := s.rename(l, f.Path, to); err != nil {
			return err
		}
		return s.moved(l, f, to)
	})
}

// moved looks again at what was renamed, as Directory's move does: a look and a
// rename are a round trip apart.
func (s *SFTP) moved(l *link, f File, to string) error {
	changed := s.still(l, f, to)
	if !errors.Is(changed, ErrChanged) {
		return nil // also when it cannot be looked at there
	}
	if s.free(l, f.Path) != nil || s.rename(l, to, f.Path) != nil {
		return f.astray(s.address, to)
	}
	return changed
}

// still looks whether a file, perhaps by another name, is the one that was
// taken.
func (s *SFTP) still(l *link, f File, name string) error {
	info, err := l.sftp.Lstat(s.full(name))
	if err != nil {
		return s.failed("looking at", name, err)
	}
	return f.still(s.address, info.Mode(), info.Size(), modified(info))
}

// Size implements Keeper.
func (s *SFTP) Size(ctx context.Context, name string) (size int64, err error) {
	if err := checkPath(s.address, name); err != nil {
		return 0, err
	}
	err = s.do(ctx, func(l *link) error {
		info, err := l.sftp.Lstat(s.full(name))
		if err != nil {
			return s.failed("looking at", name, err)
		}
		size = info.Size()
		return nil
	})
	return size, err
}

// free returns fs.ErrExist for a name that something has.
func (s *SFTP) free(l *link, name string) error {
	_, err := l.sftp.Lstat(s.full(name))
	switch {
	case err == nil:
		return taken(s.address, name)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return s.failed("looking at", name, err)
}

func (s *SFTP) makeFolder(l *link, name string) error {
	if path.Dir(name) == "." {
		return nil
	}
	err := l.sftp.MkdirAll(s.full(path.Dir(name)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.nowhere("making the folder of", name)
	case err != nil:
		return s.failed("making the folder of", name, err)
	}
	return nil
}

// nowhere is the error for a target, not a file, that a server does not know.
func (s *SFTP) nowhere(doing, name string) error {
	return &Error{Where: s.address, Final: true, cause: fs.ErrInvalid, text: fmt.Sprintf("%s %s: the server knows no such folder: make it, or ask the vendor for it", doing, name)}
}

// rename gives a file a name that was just seen to be free. It is the plain
// rename of SFTP, which on most servers, OpenSSH's among them, overwrites
// nothing, and never OpenSSH's posix-rename, which does.
func (s *SFTP) rename(l *link, from, to string) error {
	err := l.sftp.Rename(s.full(from), s.full(to))
	var status *sftp.StatusError
	if errors.As(err, &status) || errors.Is(err, fs.ErrNotExist) {
		// Servers say "failure" for most things: look what it was.
		if taken := s.free(l, to); errors.Is(taken, fs.ErrExist) {
			return taken
		}
		_, gone := l.sftp.Lstat(s.full(from))
		switch {
		case errors.Is(gone, fs.ErrNotExist):
			err = gone
		case errors.Is(err, fs.ErrNotExist):
			return s.nowhere("renaming to", to)
		}
	}
	if err != nil {
		return s.failed("renaming", from, err)
	}
	return nil
}

// Remove implements Keeper. A file that a vendor puts in its place at this moment
// has to survive, so what is removed has got another name, and was looked at under
// that. Servers that allow no renaming get by without.
func (s *SFTP) Remove(ctx context.Context, f File) error {
	if err := checkPath(s.address, f.Path); err != nil {
		return err
	}
	tmp := unfinishedName(f.Path)
	err := s.Move(ctx, f, tmp)
	var e *Error
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrChanged), !errors.As(err, &e) || !e.ofOneFile():
		return err
	default:
		tmp = f.Path
	}
	return s.do(ctx, func(l *link) error {
		if err := l.sftp.Remove(s.full(tmp)); err != nil {
			return s.failed("removing", f.Path, err)
		}
		return nil
	})
}

// Write implements Keeper.
func (s *SFTP) Write(ctx context.Context, name string, r io.Reader) error {
	if err := checkPath(s.address, name); err != nil {
		return err
	}
	// A connection that died is found out here, before anything of r is read.
	if err := s.do(ctx, func(l *link) error {
		if err := s.free(l, name); err != nil {
			return err
		}
		return s.makeFolder(l, name)
	}); err != nil {
		return err
	}
	return s.once(ctx, func(l *link) error {
		tmp := unfinishedName(name)
		err := s.write(l, tmp, r)
		if err == nil {
			err = s.rename(l, tmp, name)
		}
		if err != nil {
			l.sftp.Remove(s.full(tmp)) //nolint:errcheck // the other error is the one to tell
		}
		return err
	})
}

// write fills a new file.
func (s *SFTP) write(l *link, name string, r io.Reader) error {
	f, err := l.sftp.OpenFile(s.full(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return s.failed("writing", name, err)
	}
	n, err := f.ReadFromWithConcurrency(r, 64)
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && info.Size() != n {
			err = io.ErrShortWrite
		}
	}
	if _, can := l.sftp.HasExtension("fsync@openssh.com"); can && err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return s.failed("writing", name, err)
	}
	return nil
}

// explainFolder says why a folder cannot be looked through.
func (s *SFTP) explainFolder(l *link, below string, err error) error {
	folder := s.full(below)
	e := &Error{Where: s.address, Final: true}
	var status *sftp.StatusError
	answered := errors.As(err, &status) && !connectionStatus(status)
	if answered || errors.Is(err, fs.ErrNotExist) {
		if info, err := l.sftp.Stat(folder); err == nil && !info.IsDir() {
			e.text = fmt.Sprintf("%s is no folder: name the folder that the file is in", folder)
			return e
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.cause, e.text = fs.ErrNotExist, fmt.Sprintf("there is no folder %s for the login %s: check the feed's folder", folder, s.o.User)
	case errors.Is(err, fs.ErrPermission):
		e.cause, e.text = fs.ErrPermission, fmt.Sprintf("the login %s may not look into the folder %s: ask the vendor for the right to read it", s.o.User, folder)
	case answered:
		e.Final, e.text = false, fmt.Sprintf("the server could not list the folder %s (status %d)", folder, status.Code)
	default:
		return s.failed("listing", folder, err)
	}
	return e
}

// failed says what could not be done with a file. The server's own words are
// not repeated.
func (s *SFTP) failed(doing, name string, err error) error {
	e := &Error{Where: s.address}
	var status *sftp.StatusError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone(s.address, name)
	case errors.Is(err, fs.ErrPermission):
		e.Final, e.cause, e.text = true, fs.ErrPermission, fmt.Sprintf("the login %s has not the right for %s %s: ask the vendor for it", s.o.User, doing, name)
	case errors.As(err, &status) && !connectionStatus(status):
		e.text = fmt.Sprintf("%s %s: the server refused without a reason (status %d): is there space, and is the name allowed?", doing, name, status.Code)
	default:
		e.lost, e.text = true, fmt.Sprintf("%s %s: the connection was lost", doing, name)
	}
	return e
}

// connectionStatus tells a status of the connection from one of a request.
func connectionStatus(s *sftp.StatusError) bool {
	return s.FxCode() == sftp.ErrSSHFxNoConnection || s.FxCode() == sftp.ErrSSHFxConnectionLost
}
