package source_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"importer/internal/ledger/ledgertest"
	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// TestMain makes the test binary two programs: the tests, and another process
// at work in a spool.
func TestMain(m *testing.M) {
	if dir := os.Getenv(otherProcess); dir != "" {
		os.Exit(putUntilKilled(dir))
	}
	// These tests wait for servers more than they compute.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(withLedgers{m})
}

// withLedgers runs tests that may open ledgers.
type withLedgers struct{ tests *testing.M }

func (w withLedgers) Run() int { return ledgertest.Main(w.tests) }

// how a place below a folder of this machine is reached.
type view struct {
	folder    string
	recursive bool
	except    []string
	also      string
}

// keepers are the kinds of places to which the promises below are made. Each
// shows this machine's files.
var keepers = map[string]func(t *testing.T) func(view) (source.Keeper, error){
	"directory": func(*testing.T) func(view) (source.Keeper, error) {
		return func(v view) (source.Keeper, error) {
			return source.OpenDirectory(source.DirectoryOptions{Path: v.folder, Recursive: v.recursive, Except: v.except, Also: v.also})
		}
	},
	"OpenSSH": func(t *testing.T) func(view) (source.Keeper, error) {
		return overSFTP(sourcetest.SSHD(t))
	},
	"an SFTP server that renames over files": func(t *testing.T) func(view) (source.Keeper, error) {
		return overSFTP(new(sourcetest.Server).Start(t).Login)
	},
}

func overSFTP(l sourcetest.Login) func(view) (source.Keeper, error) {
	return func(v view) (source.Keeper, error) {
		o := sftpOptions(l)
		o.Folder, o.Recursive, o.Except, o.Also = v.folder, v.recursive, v.except, v.also
		return source.NewSFTP(o)
	}
}

// promise is what every such place promises, in a folder of its own.
type promise struct {
	name string
	test func(t *testing.T, dir string, open func(view) source.Keeper)
}

var promises = []promise{
	{"also lists one folder in which it does not look otherwise, if it is there", func(t *testing.T, dir string, open func(view) source.Keeper) {
		for _, name := range []string{"a.csv", "old/b.csv", "old/in/c.csv", "in/d.csv"} {
			lay(t, dir, name, "1")
		}
		for _, v := range []struct {
			view

			want []string
		}{
			{view{also: "old"}, []string{"a.csv", "in", "old", "old/b.csv", "old/in"}},
			{view{also: "old/in"}, []string{"a.csv", "in", "old", "old/in/c.csv"}},
			{view{also: "missing"}, []string{"a.csv", "in", "old"}},
			{view{also: "old", except: []string{"old"}, recursive: true}, []string{"a.csv", "in/d.csv", "old/b.csv", "old/in/c.csv"}},
		} {
			v.folder = dir
			files, err := open(v.view).List(t.Context())
			require.NoError(t, err)
			require.Equal(t, v.want, paths(files))
		}
	}},
	{"lists what there is, with what can be no drop", func(t *testing.T, dir string, open func(view) source.Keeper) {
		lay(t, dir, "b.csv", "12345")
		lay(t, dir, "a b ä.csv", "")
		lay(t, dir, "deep/c.csv", "1")
		lay(t, dir, "bell\a.csv", "1")
		require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
		require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
		when := time.Unix(1_700_000_000, 0)
		require.NoError(t, os.Chtimes(filepath.Join(dir, "b.csv"), when, when))

		files, err := open(view{folder: dir}).List(t.Context())
		require.NoError(t, err)
		seen := []string{}
		for _, f := range files {
			seen = append(seen, f.Path+" "+f.Odd)
		}
		require.Equal(t, []string{
			"a b ä.csv ", "b.csv ", "bell\uFFFD.csv a name with control characters", "deep a folder", "fifo a FIFO (a named pipe)", "link a symbolic link",
		}, seen)
		require.EqualValues(t, 5, files[1].Size)
		require.True(t, when.Equal(files[1].Modified))
		require.Empty(t, files[1].Version)
	}},
	{"lists folders in folders if asked, but for some", func(t *testing.T, dir string, open func(view) source.Keeper) {
		for _, name := range []string{"z.csv", "in/y.csv", "in/deep/x.csv", "done/old.csv", "in/done/w.csv"} {
			lay(t, dir, name, "1")
		}
		require.NoError(t, os.Symlink(dir, filepath.Join(dir, "in", "circle")))
		files, err := open(view{folder: dir, recursive: true, except: []string{"done"}}).List(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"in/circle", "in/deep/x.csv", "in/done/w.csv", "in/y.csv", "z.csv"}, paths(files))
		require.Equal(t, "a symbolic link", files[0].Odd)
	}},
	{"fetches whole files", func(t *testing.T, dir string, open func(view) source.Keeper) {
		p := open(view{folder: dir})
		for name, size := range map[string]int{"empty.csv": 0, "one.csv": 1, "piece.csv": 32 << 10, "deep/large.csv": 3<<20 + 17} {
			content := lay(t, dir, name, random(size))
			got, err := fetch(t, p, listed(t, dir, name))
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got), name)
		}
		none, err := open(view{folder: filepath.Join(dir, "deep")}).List(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"large.csv"}, paths(none))
	}},
	{"tells that a file is not the one that was listed", func(t *testing.T, dir string, open func(view) source.Keeper) {
		p := open(view{folder: dir})
		for name, change := range map[string]func(file string) error{
			"grown":     func(file string) error { return os.WriteFile(file, []byte("123456"), 0o644) },
			"truncated": func(file string) error { return os.Truncate(file, 2) },
			"rewritten": func(file string) error { return os.Chtimes(file, time.Time{}, time.Now().Add(2*time.Second)) },
		} {
			lay(t, dir, name, "12345")
			f := listed(t, dir, name)
			require.NoError(t, change(filepath.Join(dir, name)))
			_, err := fetch(t, p, f)
			require.ErrorIs(t, err, source.ErrChanged, name)
			require.ErrorContains(t, err, name+" changed since it was listed")
		}
		lay(t, dir, "gone", "12345")
		f := listed(t, dir, "gone")
		require.NoError(t, os.Remove(filepath.Join(dir, "gone")))
		_, err := fetch(t, p, f)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}},
	{"reads, moves and removes no links, FIFOs, folders or devices", func(t *testing.T, dir string, open func(view) source.Keeper) {
		require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
		require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o777))
		p := open(view{folder: dir})
		for name, kind := range map[string]string{"fifo": "a FIFO (a named pipe)", "link": "a symbolic link", "folder": "a folder"} {
			_, err := fetch(t, p, named(name))
			require.ErrorContains(t, err, name+" is "+kind+", not a file with contacts")
			for _, err := range []error{p.Move(t.Context(), named(name), "moved"), p.Remove(t.Context(), named(name))} {
				require.ErrorIs(t, err, source.ErrChanged)
				require.ErrorContains(t, err, name+" is "+kind+", not the file that was taken, and is left alone")
			}
		}
		require.Equal(t, []string{"fifo", "link"}, tree(t, dir))
		dev := open(view{folder: "/dev"})
		_, err := fetch(t, dev, named("null"))
		require.ErrorContains(t, err, "null is a device")
		files, err := dev.List(t.Context())
		require.NoError(t, err)
		i := slices.IndexFunc(files, func(f source.File) bool { return f.Path == "null" })
		require.Equal(t, "a device", files[i].Odd)
	}},
	{"has no names that lead out of the folder", func(t *testing.T, dir string, open func(view) source.Keeper) {
		lay(t, dir, "secret", "1")
		lay(t, dir, "in/a.csv", "1")
		p := open(view{folder: filepath.Join(dir, "in")})
		for _, name := range []string{"../secret", "/etc/passwd", "..", ".", "", "x/../../secret", "./a.csv", "a\x00.csv", "a\n.csv", "x//y"} {
			_, err := fetch(t, p, named(name))
			for _, err := range []error{err, p.Move(t.Context(), named(name), "b.csv"), p.Move(t.Context(), named("a.csv"), name), p.Remove(t.Context(), named(name)), p.Write(t.Context(), name, strings.NewReader("x"))} {
				require.ErrorContains(t, err, fmt.Sprintf("%q is no name of a file in this folder", name))
			}
		}
		require.Equal(t, []string{"in/a.csv", "secret"}, tree(t, dir))
	}},
	{"moves files and overwrites nothing", func(t *testing.T, dir string, open func(view) source.Keeper) {
		p := open(view{folder: dir})
		content := lay(t, dir, "a.csv", random(1000))
		require.NoError(t, p.Move(t.Context(), named("a.csv"), "done/2026/a.csv"))
		require.ErrorIs(t, p.Move(t.Context(), named("a.csv"), "done/2026/a.csv"), fs.ErrNotExist)
		lay(t, dir, "a.csv", "another")
		err := p.Move(t.Context(), named("a.csv"), "done/2026/a.csv")
		require.ErrorIs(t, err, fs.ErrExist)
		require.ErrorContains(t, err, "there is a done/2026/a.csv already, and nothing is overwritten")
		require.ErrorIs(t, p.Move(t.Context(), named("a.csv"), "done"), fs.ErrExist)
		require.ErrorIs(t, p.Move(t.Context(), named("a.csv"), "a.csv"), fs.ErrExist)
		require.NoError(t, p.Move(t.Context(), named("a.csv"), "b.csv"))
		require.Equal(t, []string{"b.csv", "done/2026/a.csv"}, tree(t, dir))
		kept, err := os.ReadFile(filepath.Join(dir, "done/2026/a.csv"))
		require.NoError(t, err)
		require.Equal(t, content, kept)
		require.Error(t, p.Move(t.Context(), named("b.csv"), "done/2026/a.csv/c.csv"), "a file is no folder")
		require.Equal(t, []string{"b.csv", "done/2026/a.csv"}, tree(t, dir))
	}},
	{"removes a file once", func(t *testing.T, dir string, open func(view) source.Keeper) {
		p := open(view{folder: dir})
		lay(t, dir, "a.csv", "1")
		require.NoError(t, p.Remove(t.Context(), named("a.csv")))
		require.ErrorIs(t, p.Remove(t.Context(), named("a.csv")), fs.ErrNotExist)
		require.Empty(t, tree(t, dir))
	}},
	{"moves and removes no other file than the one that was taken", func(t *testing.T, dir string, open func(view) source.Keeper) {
		p := open(view{folder: dir})
		for name, change := range map[string]func(file string) error{
			"grown":     func(file string) error { return os.WriteFile(file, []byte("123456"), 0o644) },
			"truncated": func(file string) error { return os.Truncate(file, 2) },
			"rewritten": func(file string) error { return os.Chtimes(file, time.Time{}, time.Now().Add(2*time.Second)) },
			"replaced": func(file string) error {
				return errors.Join(os.Remove(file), os.WriteFile(file, []byte("54321"), 0o644))
			},
		} {
			lay(t, dir, name, "12345")
			past := time.Unix(1_700_000_000, 0)
			require.NoError(t, os.Chtimes(filepath.Join(dir, name), past, past))
			f := listed(t, dir, name)
			require.NoError(t, change(filepath.Join(dir, name)))
			there := tree(t, dir)
			content, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			for _, err := range []error{p.Move(t.Context(), f, "done/"+name), p.Move(t.Context(), f, name), p.Remove(t.Context(), f)} {
				require.ErrorIs(t, err, source.ErrChanged, name)
				require.ErrorContains(t, err, name+" is not the file that was taken any more, and is left alone")
			}
			require.Equal(t, there, tree(t, dir))
			still, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.Equal(t, content, still)
			require.NoError(t, p.Move(t.Context(), listed(t, dir, name), "done/"+name), "as it is now")
		}
	}},
	{"knows a file by a time that was kept to the microsecond", func(t *testing.T, dir string, open func(view) source.Keeper) {
		p := open(view{folder: dir})
		for i, nanoseconds := range []int64{123_456_499, 123_456_500, 999_999_999} {
			when := time.Unix(1_700_000_000, nanoseconds)
			lay(t, dir, "a.csv", "1")
			require.NoError(t, os.Chtimes(filepath.Join(dir, "a.csv"), when, when))
			files, err := p.List(t.Context())
			require.NoError(t, err)
			f := files[0]
			f.Modified = f.Modified.Round(time.Microsecond)
			_, err = fetch(t, p, f)
			require.NoError(t, err)
			require.NoError(t, p.Move(t.Context(), f, fmt.Sprintf("done/%d", i)))
			f.Path = fmt.Sprintf("done/%d", i)
			require.NoError(t, p.Remove(t.Context(), f))
		}
	}},
	{"writes files whole or not at all, and overwrites nothing", func(t *testing.T, dir string, open func(view) source.Keeper) {
		p := open(view{folder: dir})
		content := random(300_000)
		require.NoError(t, p.Write(t.Context(), "failed/a.rejects.csv", strings.NewReader(content)))
		got, err := os.ReadFile(filepath.Join(dir, "failed/a.rejects.csv"))
		require.NoError(t, err)
		require.Equal(t, content, string(got))
		require.ErrorIs(t, p.Write(t.Context(), "failed/a.rejects.csv", strings.NewReader("x")), fs.ErrExist)

		broken := io.MultiReader(strings.NewReader(content), iotest.ErrReader(errors.New("no more")))
		require.Error(t, p.Write(t.Context(), "b.csv", broken))
		require.NoError(t, p.Write(t.Context(), "empty.csv", strings.NewReader("")))
		require.Equal(t, []string{"empty.csv", "failed/a.rejects.csv"}, tree(t, dir))
	}},
	{"says what is wrong with the folder", func(t *testing.T, dir string, open func(view) source.Keeper) {
		lay(t, dir, "file", "1")
		for folder, says := range map[string]string{"missing": "there is no", "file": "no folder: name the folder that the file is in"} {
			err := look(t, open, filepath.Join(dir, folder))
			require.ErrorContains(t, err, says)
			require.True(t, isFinal(err))
		}
		require.ErrorIs(t, look(t, open, filepath.Join(dir, "missing")), fs.ErrNotExist)
	}},
	{"stops when it is no longer wanted", func(t *testing.T, dir string, open func(view) source.Keeper) {
		lay(t, dir, "a.csv", "1")
		p := open(view{folder: dir})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := p.List(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, p.Move(ctx, named("a.csv"), "b.csv"), context.Canceled)
		require.ErrorIs(t, p.Fetch(ctx, source.File{Path: "a.csv", Size: 1}, temporary(t)), context.Canceled)
		files, err := p.List(t.Context())
		require.NoError(t, err, "and goes on when it is again")
		require.Equal(t, []string{"a.csv"}, paths(files))
	}},
}

func TestEveryKeeperKeepsItsPromises(t *testing.T) {
	t.Parallel()
	for kind, start := range keepers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			open := start(t)
			for _, p := range promises {
				t.Run(p.name, func(t *testing.T) {
					p.test(t, sourcetest.Dir(t), func(v view) source.Keeper {
						k, err := open(v)
						if err != nil {
							return broken{err: err}
						}
						t.Cleanup(func() { require.NoError(t, k.Close()) })
						return k
					})
				})
			}
		})
	}
}

// broken is a place that could not even be opened.
type broken struct {
	source.Keeper

	err error
}

func (b broken) List(context.Context) ([]source.File, error) { return nil, b.err }

func look(t *testing.T, open func(view) source.Keeper, folder string) error {
	t.Helper()
	_, err := open(view{folder: folder}).List(t.Context())
	return err
}

// lay makes a file that everybody may read and write.
func lay(t *testing.T, dir, name, content string) []byte {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
	for d := filepath.Dir(file); d != dir; d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o777))
	}
	require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
	return []byte(content)
}

// listed is a file as a place lists it that knows times to the second.
func listed(t *testing.T, dir, name string) source.File {
	t.Helper()
	file := filepath.Join(dir, name)
	info, err := os.Stat(file)
	require.NoError(t, err)
	when := info.ModTime().Truncate(time.Second)
	require.NoError(t, os.Chtimes(file, when, when))
	return source.File{Path: name, Size: info.Size(), Modified: when}
}

// named is a file of which only the name is known.
func named(name string) source.File { return source.File{Path: name, Size: -1} }

func temporary(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// fetch returns what was fetched.
func fetch(t *testing.T, p source.Place, f source.File) ([]byte, error) {
	t.Helper()
	to := temporary(t)
	if err := p.Fetch(t.Context(), f, to); err != nil {
		return nil, err
	}
	got, err := os.ReadFile(to.Name())
	require.NoError(t, err)
	return got, nil
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return string(b)
}

func paths(files []source.File) []string {
	all := []string{}
	for _, f := range files {
		all = append(all, f.Path)
	}
	return all
}

// tree lists the files below a folder.
func tree(t *testing.T, dir string) (all []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all = append(all, name)
		}
		return err
	}))
	return all
}

// isFinal tells an error that will be the same again until a person has changed
// something.
func isFinal(err error) bool {
	var e *source.Error
	var hostKey *source.HostKeyError
	return errors.As(err, &hostKey) || errors.As(err, &e) && e.Final
}
