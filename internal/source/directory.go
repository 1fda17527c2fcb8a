package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// DirectoryOptions says which folder of this machine, or of a network drive, a
// vendor leaves files in.
type DirectoryOptions struct {
	Path      string
	Recursive bool     // folders in it are looked into as well
	Except    []string // folders below Path that are not, such as the archive
	Also      string   // a folder below Path that is in any case, if it is there; empty: none
}

// Directory is a folder of this machine. Nothing outside of it is touched,
// whatever links lead out of it.
type Directory struct {
	where  string
	root   *os.Root
	within bool
	except []string
	also   string
}

var _ Keeper = (*Directory)(nil)

// OpenDirectory opens the folder, which must be there.
func OpenDirectory(o DirectoryOptions) (*Directory, error) {
	root, err := os.OpenRoot(o.Path)
	if err != nil {
		return nil, explainFolder(o.Path, err)
	}
	return &Directory{where: o.Path, root: root, within: o.Recursive, except: o.Except, also: o.Also}, nil
}

// explainFolder says why a folder cannot be opened or looked through.
func explainFolder(where string, err error) error {
	e := &Error{Where: where, Final: true}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.cause, e.text = fs.ErrNotExist, "there is no such folder: check the feed's path, and that the drive is mounted"
	case errors.Is(err, fs.ErrPermission):
		e.cause, e.text = fs.ErrPermission, "this user may not look into the folder: give it the right to read and enter it"
	default:
		if info, err := os.Stat(where); err == nil && !info.IsDir() {
			e.text = "this is no folder: name the folder that the file is in"
			break
		}
		e.Final, e.cause, e.text = false, err, fmt.Sprintf("looking into the folder: %v", err)
	}
	return e
}

// Close releases the folder.
func (d *Directory) Close() error { return d.root.Close() }

// List implements Place.
func (d *Directory) List(ctx context.Context) ([]File, error) {
	var files []File
	if err := d.walk(ctx, d.root, "", &files); err != nil {
		return nil, err
	}
	if d.also != "" {
		if err := d.walkInto(ctx, d.also, &files); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// walkInto lists a folder below.
func (d *Directory) walkInto(ctx context.Context, folder string, files *[]File) error {
	root, err := d.root.OpenRoot(folder)
	if err != nil {
		return explainFolder(path.Join(d.where, folder), err)
	}
	defer root.Close()
	return d.walk(ctx, root, folder, files)
}

// walk lists the folder root, whose path is below.
func (d *Directory) walk(ctx context.Context, root *os.Root, below string, files *[]File) error {
	dir, err := root.Open(".")
	if err != nil {
		return explainFolder(path.Join(d.where, below), err)
	}
	defer dir.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := dir.ReadDir(1000)
		for _, e := range entries {
			if err := d.look(ctx, root, below, e.Name(), files); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return explainFolder(path.Join(d.where, below), err)
		}
	}
}

// look lists what has a name in the folder root, with what is in it if it is a
// folder that is looked into.
func (d *Directory) look(ctx context.Context, root *os.Root, below, name string, files *[]File) error {
	if kind := oddName(name); kind != "" {
		*files = append(*files, File{Path: path.Join(below, printable(name)), Size: -1, Odd: kind})
		return nil
	}
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone meanwhile
	}
	f := File{Path: path.Join(below, name), Size: -1}
	switch {
	case err != nil:
		f.Odd = "something that this user may not look at"
	case info.IsDir() && d.within:
		if slices.Contains(d.except, f.Path) {
			return nil
		}
		var inner *os.Root
		if inner, err = root.OpenRoot(name); err == nil {
			err = d.walk(ctx, inner, f.Path, files)
			inner.Close()
		}
		if !errors.Is(err, fs.ErrPermission) {
			return err
		}
		f.Odd = "a folder that this user may not look into" // the others are not held up by it
	default:
		f.Size, f.Modified, f.Odd = info.Size(), info.ModTime(), odd(info.Mode())
	}
	*files = append(*files, f)
	return nil
}

// Fetch implements Place.
func (d *Directory) Fetch(ctx context.Context, f File, to *os.File) error {
	listed, err := d.regular(f.Path)
	if err != nil {
		return err
	}
	// Without O_NONBLOCK a FIFO that took its place would be waited for.
	src, err := d.root.OpenFile(f.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return d.failed("reading", f.Path, err)
	}
	defer src.Close()
	before, err := src.Stat()
	if err != nil {
		return d.failed("reading", f.Path, err)
	}
	if !os.SameFile(listed, before) || !before.Mode().IsRegular() || !f.same(before.Size(), before.ModTime()) {
		return changed(d.where, f.Path)
	}
	// Piece by piece, so that ctx is heeded, and to the size that was listed,
	// so that a writer who does not stop is not followed.
	for left := before.Size(); left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(to, src, min(left, 8<<20))
		left -= n
		if errors.Is(err, io.EOF) {
			return changed(d.where, f.Path)
		}
		if err != nil {
			return d.failed("copying", f.Path, err)
		}
	}
	after, err := src.Stat()
	if err != nil {
		return d.failed("reading", f.Path, err)
	}
	now, err := d.root.Lstat(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.failed("reading", f.Path, err)
	}
	if err != nil || !os.SameFile(before, now) || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return changed(d.where, f.Path)
	}
	return nil
}

// regular looks at a file and refuses what is none.
func (d *Directory) regular(name string) (fs.FileInfo, error) {
	if err := checkPath(d.where, name); err != nil {
		return nil, err
	}
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, d.failed("reading", name, err)
	}
	if kind := odd(info.Mode()); kind != "" {
		return nil, refuseOdd(d.where, name, kind)
	}
	return info, nil
}

// Move implements Keeper.
func (d *Directory) Move(ctx context.Context, f File, to string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.still(f, f.Path); err != nil {
		return err
	}
	if err := d.makeFolder(to); err != nil {
		return err
	}
	return d.move(f, to)
}

// move moves a file that was just looked at. No system call renames a file only
// if it is a certain one: what was renamed is looked at again, and has its old
// name back if somebody wrote to it, or replaced it, between the look and the
// act. What then has the old name already is not overwritten.
func (d *Directory) move(f File, to string) error {
	if err := d.rename(f, to); err != nil {
		return err
	}
	changed := d.still(f, to)
	if !errors.Is(changed, ErrChanged) {
		return nil // also when it has gone on from there
	}
	if err := d.rename(File{Path: to, Size: -1}, f.Path); err != nil {
		return f.astray(d.where, to)
	}
	return changed
}

// still looks whether a file, perhaps by another name, is the one that was
// taken.
func (d *Directory) still(f File, name string) error {
	if err := checkPath(d.where, name); err != nil {
		return err
	}
	info, err := d.root.Lstat(name)
	if err != nil {
		return d.failed("looking at", name, err)
	}
	return f.still(d.where, info.Mode(), info.Size(), info.ModTime())
}

// Size implements Keeper.
func (d *Directory) Size(ctx context.Context, name string) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	info, err := d.regular(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// makeFolder makes the folder of a name.
func (d *Directory) makeFolder(name string) error {
	if err := checkPath(d.where, name); err != nil {
		return err
	}
	if err := d.root.MkdirAll(path.Dir(name), 0o750); err != nil {
		return d.failed("making the folder of", name, err)
	}
	return nil
}

// rename gives a file another name that nothing has. Rename alone would
// overwrite; a link does not. What is not f any more keeps the old name.
func (d *Directory) rename(f File, to string) error {
	from := f.Path
	err := d.root.Link(from, to)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrExist):
		if from == to || !d.twice(from, to) {
			return taken(d.where, to)
		}
	case errors.Is(err, fs.ErrNotExist):
		return d.failed("renaming", from, err)
	default:
		// No links on this drive, or none to files of another user.
		return d.renameReserved(from, to)
	}
	if now, err := d.root.Lstat(from); err == nil && !f.same(now.Size(), now.ModTime()) {
		return nil
	}
	if err := d.root.Remove(from); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.failed("renaming", from, err)
	}
	return nil
}

// twice tells that one file has both names: a Move was killed half-way.
func (d *Directory) twice(from, to string) bool {
	a, errA := d.root.Lstat(from)
	b, errB := d.root.Lstat(to)
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		return false
	}
	// Where capitals do not count, two spellings are one name.
	links, ok := a.Sys().(*syscall.Stat_t)
	return ok && links.Nlink > 1
}

// renameReserved makes sure of the name with an empty file. Killed in between,
// it leaves that file, and the next Move needs another name.
func (d *Directory) renameReserved(from, to string) error {
	f, err := d.root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return taken(d.where, to)
	}
	if err != nil {
		return d.failed("renaming", from, err)
	}
	f.Close()
	if err := d.root.Rename(from, to); err != nil {
		return errors.Join(d.failed("renaming", from, err), d.root.Remove(to))
	}
	return nil
}

// Remove implements Keeper. A file that a vendor puts in its place at this moment
// has to survive, so what is removed has got another name, and was looked at under
// that.
func (d *Directory) Remove(ctx context.Context, f File) error {
	tmp := unfinishedName(f.Path)
	if err := d.Move(ctx, f, tmp); err != nil {
		return err
	}
	if err := d.root.Remove(tmp); err != nil {
		return d.failed("removing", f.Path, err)
	}
	return nil
}

// Write implements Keeper.
func (d *Directory) Write(ctx context.Context, name string, r io.Reader) error {
	if err := d.makeFolder(name); err != nil {
		return err
	}
	if _, err := d.root.Lstat(name); err == nil {
		return taken(d.where, name)
	}
	tmp := unfinishedName(name)
	f, err := d.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640) // the folder's group is to read it
	if err != nil {
		return d.failed("writing", name, err)
	}
	if _, err = io.Copy(stoppable{ctx, f}, r); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(d.failed("writing", name, err), d.root.Remove(tmp))
	}
	if err := d.rename(File{Path: tmp, Size: -1}, name); err != nil {
		return errors.Join(err, d.root.Remove(tmp))
	}
	return nil
}

// failed says what could not be done with a file.
func (d *Directory) failed(doing, name string, err error) error {
	e := &Error{Where: d.where, cause: err}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return gone(d.where, name)
	case errors.Is(err, fs.ErrPermission):
		e.Final, e.text = true, fmt.Sprintf("this user has not the right for %s %s: check who owns it, and its folder's rights", doing, name)
	case errors.Is(err, syscall.EXDEV):
		e.Final, e.text = true, fmt.Sprintf("%s %s: its new place is on another drive: use a folder on the same one", doing, name)
	case errors.Is(err, syscall.EROFS):
		e.Final, e.text = true, fmt.Sprintf("%s %s: the drive is mounted read-only", doing, name)
	default:
		e.text = fmt.Sprintf("%s %s: %v", doing, name, err)
	}
	return e
}
