package source

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// ErrChanged is wrapped by an error of a place when a file is not, or was not
// from first byte to last, the one that was listed: somebody is still writing
// it, or has put another one in its place.
var ErrChanged = errors.New("the file changed")

// File is a file as its place lists it.
type File struct {
	// Path is below the place's folder, with slashes. Its bytes are as the
	// place has them, which need not be UTF-8. An odd file's is for people.
	Path     string
	Size     int64     // -1: the place does not tell
	Modified time.Time // zero: the place does not tell
	Version  string    // what else tells contents apart, such as an ETag
	Odd      string    // why it can be no drop, such as "a folder"; empty for a regular file
}

// Place is where a vendor leaves files. It is for one goroutine at a time.
type Place interface {
	// List looks at the place once. The files are in the order of their paths.
	List(ctx context.Context) ([]File, error)
	// Fetch copies a file's bytes to the empty file to. When it returns an
	// error, what to holds is of no use. ErrChanged means that another look at
	// the place is needed, fs.ErrNotExist that the file is gone.
	Fetch(ctx context.Context, f File, to *os.File) error
	Close() error
}

// Keeper is a place in which files can be put away. Nothing in it is ever
// overwritten.
type Keeper interface {
	Place
	// Move renames a file, and makes the folder of its new name. Returns
	// ErrChanged when what lies there is not f any more, and leaves it there;
	// fs.ErrExist when there is something of the new name; fs.ErrNotExist when f
	// is gone: then a Move whose answer was lost may have been made.
	Move(ctx context.Context, f File, to string) error
	// Size tells how many bytes a file has. Returns fs.ErrNotExist for none.
	Size(ctx context.Context, name string) (int64, error)
	// Remove removes a file. Returns ErrChanged when what lies there is not f any
	// more, and leaves it there; fs.ErrNotExist when f is gone.
	Remove(ctx context.Context, f File) error
	// Write makes a new file, which gets its name when it is whole. Returns
	// fs.ErrExist when there is something of that name.
	Write(ctx context.Context, name string, r io.Reader) error
}

// Error is why a place could not be used as it should; a server that is not
// trusted is a HostKeyError. Its text is one sentence
// without secrets.
type Error struct {
	Where string // host:port, or the folder
	// Final: it will be the same again until a person has changed something,
	// here or at the vendor's. A refused login is, so that no account is
	// locked by trying on.
	Final bool
	// RetryAfter is how long the place asks to be left alone; 0: it does not say.
	RetryAfter time.Duration

	text  string
	lost  bool  // the connection is of no use any more
	cause error // what callers ask for with errors.Is, or nil
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Where + ": " + e.text }

// Unwrap returns ErrChanged, fs.ErrNotExist, fs.ErrExist, fs.ErrPermission or
// the caller's own context error when that is what happened.
func (e *Error) Unwrap() error { return e.cause }

// mayPass tells whether the same step may succeed in a moment.
func (e *Error) mayPass() bool {
	lasting := []error{ErrChanged, fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrInvalid, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EXDEV}
	return !e.Final && !slices.ContainsFunc(lasting, func(l error) bool { return errors.Is(e, l) })
}

// ofOneFile tells whether the place may well give its other files: the
// connection stands, and nobody has refused a login.
func (e *Error) ofOneFile() bool {
	return errors.Is(e, fs.ErrPermission) || errors.Is(e, fs.ErrInvalid) || !e.Final && !e.lost
}

// unfinishedPrefix begins the names of files that are still written to a place.
const (
	unfinishedPrefix = ".importer-"
	unfinishedSuffix = ".part"
)

// unfinishedName is where name's content is written until it is whole: beside
// it, so that a rename is all that is left to do.
func unfinishedName(name string) string {
	return path.Join(path.Dir(name), unfinishedPrefix+rand.Text()+unfinishedSuffix)
}

// oddName tells what is wrong with a single name; empty for a good one.
func oddName(name string) string {
	switch {
	case name == "" || name == "." || name == "..":
		return "no name of a file"
	case strings.Contains(name, "/"):
		return "a name with a slash"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "a name with control characters"
	}
	return ""
}

// printable makes an odd name fit for people's eyes.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name)
}

// checkPath refuses what is no path of a file below a place's folder.
func checkPath(where, name string) error {
	// fs.ValidPath wants UTF-8, which names need not be.
	if !fs.ValidPath(strings.ToValidUTF8(name, "?")) || name == "." || strings.ContainsFunc(name, unicode.IsControl) {
		return &Error{Where: where, Final: true, cause: fs.ErrInvalid, text: fmt.Sprintf("%q is no name of a file in this folder, and is left alone", name)}
	}
	return nil
}

// odd tells what kind of thing is no regular file; empty for one that is.
func odd(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return kindOf(mode)
}

// refuseOdd is the error for what is no regular file.
func refuseOdd(where, name, kind string) error {
	return &Error{Where: where, Final: true, cause: fs.ErrInvalid, text: fmt.Sprintf("%s is %s, not a file with contacts, and is left alone", name, kind)}
}

// same tells whether a file still has the size and the time it was listed with.
// The ledger keeps times to the microsecond.
func (f File) same(size int64, modified time.Time) bool {
	return (f.Size < 0 || f.Size == size) &&
		(f.Modified.IsZero() || f.Modified.Equal(modified) || f.Modified.Equal(modified.Round(time.Microsecond)))
}

// still returns ErrChanged for what has a file's name, but is not that file.
func (f File) still(where string, mode fs.FileMode, size int64, modified time.Time) error {
	if kind := odd(mode); kind != "" {
		return &Error{Where: where, cause: ErrChanged, text: fmt.Sprintf("%s is %s, not the file that was taken, and is left alone", f.Path, kind)}
	}
	if !f.same(size, modified) {
		return &Error{Where: where, cause: ErrChanged, text: fmt.Sprintf("%s is not the file that was taken any more, and is left alone: it is taken when it is written", f.Path)}
	}
	return nil
}

// errAstray: what nobody took has a file's new name.
var errAstray = fmt.Errorf("%w and is astray", ErrChanged)

// astray is the error for what changed while it was moved, and whose old name
// has been given to something else since.
func (f File) astray(where, to string) error {
	return &Error{Where: where, cause: errAstray, text: fmt.Sprintf("%s changed while it was moved to %s, and could not be moved back: rename it, so that it is taken", f.Path, to)}
}

func changed(where, name string) error {
	return &Error{Where: where, cause: ErrChanged, text: fmt.Sprintf("%s changed since it was listed: it is taken when it is written", name)}
}

func gone(where, name string) error {
	return &Error{Where: where, cause: fs.ErrNotExist, text: fmt.Sprintf("%s is not there any more: somebody else took or renamed it", name)}
}

func taken(where, name string) error {
	return &Error{Where: where, cause: fs.ErrExist, text: fmt.Sprintf("there is a %s already, and nothing is overwritten", name)}
}
