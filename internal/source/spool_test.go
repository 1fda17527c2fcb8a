package source_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/source"
)

// newSpool is a spool that this process uses for the length of a test.
func newSpool(t *testing.T) source.Spool {
	t.Helper()
	s := source.Spool{Dir: filepath.Join(t.TempDir(), "state", "spool")}
	enter(t, s, nil)
	return s
}

// whole takes a file for one drop.
func whole(file io.ReaderAt, size int64, name string, put func(string, io.Reader) error) ([]int, error) {
	return nil, put(name, io.NewSectionReader(file, 0, size))
}

// put puts a file that is one drop.
func put(ctx context.Context, s source.Spool, name string, r io.Reader) (source.Spooled, error) {
	return only(s.Put(ctx, name, r, whole))
}

func putFile(ctx context.Context, s source.Spool, path string) (source.Spooled, error) {
	return only(s.PutFile(ctx, path, whole))
}

func only(drops []source.Spooled, err error) (source.Spooled, error) {
	if err != nil {
		return source.Spooled{}, err
	}
	if len(drops) != 1 {
		return source.Spooled{}, fmt.Errorf("%d drops", len(drops))
	}
	return drops[0], nil
}

// names lists what is in the spool's folder beside its lock.
func names(t *testing.T, s source.Spool) []string {
	t.Helper()
	entries, err := os.ReadDir(s.Dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		if e.Name() != ".lock" {
			all = append(all, e.Name())
		}
	}
	return all
}

func TestADropIsKeptUnderItsHash(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	content := make([]byte, 300_000)
	_, err := rand.Read(content)
	require.NoError(t, err)

	d, err := put(t.Context(), s, "acme.csv", bytes.NewReader(content))
	require.NoError(t, err)
	require.Equal(t, "acme.csv", d.Name)
	require.Equal(t, sha256.Sum256(content), d.SHA256)
	require.Equal(t, int64(len(content)), d.Bytes)
	kept, err := os.ReadFile(d.Path)
	require.NoError(t, err)
	require.Equal(t, content, kept)

	info, err := os.Stat(d.Path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(s.Dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())

	f, err := s.Open(d.SHA256)
	require.NoError(t, err)
	again, err := put(t.Context(), s, "same.csv", bytes.NewReader(content))
	require.NoError(t, err)
	require.Equal(t, d.Path, again.Path)
	require.Len(t, names(t, s), 1)

	require.NoError(t, s.Remove(d.SHA256))
	require.NoError(t, s.Remove(d.SHA256), "removing twice is no error")
	read, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, content, read, "who has it open reads on")
	require.NoError(t, f.Close())
	_, err = s.Open(d.SHA256)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestManyMayPutTheSameContentAtOnce(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	content := bytes.Repeat([]byte("3055550123\n"), 10_000)
	errs := make([]error, 16)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			d, err := put(t.Context(), s, "a.csv", iotest.HalfReader(bytes.NewReader(content)))
			if err == nil {
				var kept []byte
				kept, err = os.ReadFile(d.Path)
				if err == nil && !bytes.Equal(kept, content) {
					err = errors.New("not what was put")
				}
			}
			errs[i] = err
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Len(t, names(t, s), 1)
}

func TestWhatIsNotWholeIsNotKept(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	broken := errors.New("connection lost")
	_, err := put(t.Context(), s, "a.csv", io.MultiReader(strings.NewReader("first,phone\n"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "a.csv")

	ctx, cancel := context.WithCancel(t.Context())
	endless := readerFunc(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	})
	_, err = put(ctx, s, "b.csv", endless)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, names(t, s))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// lines takes each line of a file for a drop, until one that says "broken". One
// that says "none" is none.
func lines(file io.ReaderAt, size int64, name string, put func(string, io.Reader) error) (none []int, err error) {
	scanner := bufio.NewScanner(io.NewSectionReader(file, 0, size))
	for i := 1; scanner.Scan(); i++ {
		switch scanner.Text() {
		case "broken":
			return nil, errors.New("a broken line")
		case "none":
			none = append(none, i-1)
		}
		if err := put(fmt.Sprintf("%s/%d", name, i), strings.NewReader(scanner.Text())); err != nil {
			return nil, err
		}
	}
	return none, scanner.Err()
}

func TestWhatIsNoDropIsNotKept(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	drops, err := s.Put(t.Context(), "a.zip", strings.NewReader("none\none\nnone\ntwo\nnone\n"), lines)
	require.NoError(t, err)
	require.Len(t, drops, 2)
	require.Equal(t, "a.zip/2", drops[0].Name)
	require.Equal(t, "a.zip/4", drops[1].Name)
	require.ElementsMatch(t, []string{filepath.Base(drops[0].Path), filepath.Base(drops[1].Path)}, names(t, s))
}

func TestEachDropInAFileIsKept(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	drops, err := s.Put(t.Context(), "a.zip", strings.NewReader("one\ntwo\none\n"), lines)
	require.NoError(t, err)
	var kept []string
	for _, d := range drops {
		kept = append(kept, d.Name)
		f, err := s.Open(d.SHA256)
		require.NoError(t, err)
		content, err := io.ReadAll(f)
		require.NoError(t, errors.Join(err, f.Close()))
		require.Equal(t, sha256.Sum256(content), d.SHA256)
	}
	require.Equal(t, []string{"a.zip/1", "a.zip/2", "a.zip/3"}, kept)
	require.Equal(t, drops[0].SHA256, drops[2].SHA256)
	require.Len(t, names(t, s), 2, "the same content twice is one file, and the file itself is not kept")
}

func TestNothingIsKeptOfAFileThatIsBrokenAtItsEnd(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	_, err := s.Put(t.Context(), "a.zip", strings.NewReader("one\ntwo\nbroken\n"), lines)
	require.EqualError(t, err, "a broken line")
	require.Empty(t, names(t, s))

	path := filepath.Join(t.TempDir(), "a.zip")
	require.NoError(t, os.WriteFile(path, []byte("one\nbroken\n"), 0o600))
	_, err = s.PutFile(t.Context(), path, lines)
	require.EqualError(t, err, "a broken line")
	require.Empty(t, names(t, s))
}

func TestAFileIsPutByItsPath(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	path := filepath.Join(t.TempDir(), "acme.csv")
	require.NoError(t, os.WriteFile(path, []byte("phone\n"), 0o600))
	d, err := putFile(t.Context(), s, path)
	require.NoError(t, err)
	require.Equal(t, "acme.csv", d.Name)
	require.Equal(t, sha256.Sum256([]byte("phone\n")), d.SHA256)

	link := filepath.Join(t.TempDir(), "latest.csv")
	require.NoError(t, os.Symlink(path, link))
	same, err := putFile(t.Context(), s, link)
	require.NoError(t, err)
	require.Equal(t, d.Path, same.Path)

	_, err = putFile(t.Context(), s, path+".missing")
	require.ErrorContains(t, err, "there is no file "+path+".missing: check the name and the folder")
}

func TestWhatIsNoFileIsRefusedWithoutWaiting(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	socketDir, err := os.MkdirTemp("", "spool") //nolint:usetesting // a socket's path must be short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(socketDir)) })
	socket := filepath.Join(socketDir, "s")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer listener.Close()
	for path, want := range map[string]string{dir: "a folder", fifo: "FIFO", os.DevNull: "a device", socket: "no regular file"} {
		_, err := putFile(t.Context(), s, path)
		require.ErrorContains(t, err, want, path)
	}
}

func TestAFileThatIsStillWrittenIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(path string) error{
		"grown": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("more\n")
			return errors.Join(err, f.Close())
		},
		"cut":      func(path string) error { return os.Truncate(path, 3) },
		"touched":  func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
		"replaced": replace,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpool(t)
			path := filepath.Join(t.TempDir(), "acme.csv")
			require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("3055550123\n"), 1000), 0o600))
			ctx := &changing{Context: t.Context(), change: func() error { return change(path) }}
			_, err := putFile(ctx, s, path)
			require.NoError(t, ctx.err)
			require.ErrorContains(t, err, "try again")
			require.Empty(t, names(t, s))
		})
	}
}

func replace(path string) error {
	same, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	other := path + ".new"
	if err := os.WriteFile(other, same, 0o600); err != nil {
		return err
	}
	if err := os.Chtimes(other, time.Time{}, info.ModTime()); err != nil {
		return err
	}
	return os.Rename(other, path)
}

// changing changes the file while it is copied: Put asks its context about
// every piece that it writes.
type changing struct {
	context.Context
	once   sync.Once
	change func() error
	err    error
}

func (c *changing) Err() error {
	c.once.Do(func() { c.err = c.change() })
	return c.Context.Err()
}
