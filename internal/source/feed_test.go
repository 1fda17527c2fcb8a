package source_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// newFeed takes all of a place's files as they are.
func newFeed(t testing.TB, at source.Place) *source.Feed {
	t.Helper()
	s := source.Spool{Dir: filepath.Join(t.TempDir(), "spool")}
	leave, err := s.Enter(nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, leave()) })
	return &source.Feed{
		At: at, Name: "the place", Choice: source.Choice{Pattern: "*"}, Spool: s, Unpack: whole, After: source.Leave,
		Incoming: func(d source.Spooled) importer.Incoming {
			return importer.Incoming{Drop: importer.Drop{Name: d.Name, SHA256: d.SHA256, Bytes: d.Bytes}}
		},
		Now: time.Now,
	}
}

// onEveryKeeper runs a test of feeds on each kind of place with files.
func onEveryKeeper(t *testing.T, test func(t *testing.T, dir string, open func(view) source.Keeper)) {
	t.Helper()
	for kind, start := range keepers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			open := start(t)
			test(t, sourcetest.Dir(t), func(v view) source.Keeper {
				k, err := open(v)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, k.Close()) })
				return k
			})
		})
	}
}

func nothingTaken([]importer.File) (map[importer.File]time.Time, error) { return nil, nil }

// fresh looks at a feed's place of which nothing was taken before.
func fresh(t testing.TB, f *source.Feed) []importer.File {
	t.Helper()
	files, err := f.Look(t.Context(), nothingTaken)
	require.NoError(t, err)
	return files
}

// theOnly is the only new file.
func theOnly(t testing.TB, f *source.Feed) importer.File {
	t.Helper()
	files := fresh(t, f)
	require.Len(t, files, 1)
	return files[0]
}

// requireTaken takes a file, which must be one drop of this content.
func requireTaken(t testing.TB, f *source.Feed, file importer.File, content []byte) importer.Incoming {
	t.Helper()
	drops, err := f.Take(t.Context(), file)
	require.NoError(t, err)
	require.Len(t, drops, 1)
	sum := sha256.Sum256(content)
	require.Equal(t, importer.Drop{Name: file.Path, SHA256: sum, Bytes: int64(len(content))}, drops[0].Drop)
	kept, err := os.ReadFile(filepath.Join(f.Spool.Dir, hex.EncodeToString(sum[:])))
	require.NoError(t, err)
	require.Equal(t, sum, sha256.Sum256(kept))
	return drops[0]
}

func TestFilesAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		contents := map[string][]byte{}
		for name, size := range map[string]int{"a.csv": 100_000, "in/b.csv": 17, "empty.csv": 0} {
			contents[name] = lay(t, dir, name, random(size))
		}
		lay(t, dir, "c.tmp", "1")
		f := newFeed(t, open(view{folder: dir, recursive: true}))
		files := fresh(t, f)
		require.Len(t, files, 3)
		for _, file := range files {
			requireTaken(t, f, file, contents[file.Path])
		}
		require.Len(t, names(t, f.Spool), 3, "nothing but the drops is left in the spool")
	})
}

func TestAPassTakesOneListing(t *testing.T) {
	t.Parallel()
	s := new(sourcetest.Server).Start(t)
	dir := sourcetest.Dir(t)
	for _, name := range []string{"a.csv", "b.csv", "c.csv"} {
		lay(t, dir, name, name)
	}
	f := newFeed(t, sftpAt(t, s.Login, dir))
	f.After, f.Archive = source.Archive, "done"
	for i, file := range fresh(t, f) {
		requireTaken(t, f, file, []byte(file.Path))
		require.True(t, putAway(t, f, importer.TakenFile{ID: int64(i), File: file}))
	}
	require.Equal(t, []string{"done/a.csv", "done/b.csv", "done/c.csv"}, tree(t, dir))
	require.Equal(t, 1, s.Calls("List"))
	require.Equal(t, 1, s.Calls("Login"))
}

// Fault 37.
func TestAFileThatIsNotTheListedOneIsLeftForTheNextRun(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		f := newFeed(t, open(view{folder: dir}))
		for name, change := range map[string]func(file string) error{
			"grown":     func(file string) error { return os.WriteFile(file, []byte("123456"), 0o644) },
			"truncated": func(file string) error { return os.Truncate(file, 2) },
			"rewritten": func(file string) error { return os.Chtimes(file, time.Time{}, time.Now().Add(2*time.Second)) },
			"replaced":  func(file string) error { return errors.Join(os.Remove(file), os.WriteFile(file, []byte("1"), 0o644)) },
			"gone":      os.Remove,
			"renamed":   func(file string) error { return os.Rename(file, file+".tmp") },
		} {
			file := filepath.Join(dir, name)
			lay(t, dir, name, "12345")
			known := theOnly(t, f)
			require.NoError(t, change(file))
			_, err := f.Take(t.Context(), known)
			require.ErrorIs(t, err, importer.ErrNotYet, name)
			require.NotErrorIs(t, err, importer.ErrRefused, name)
			require.Empty(t, names(t, f.Spool), name)
			if content, err := os.ReadFile(file); err == nil { // as it is now
				requireTaken(t, f, theOnly(t, f), content)
			}
			for _, left := range tree(t, dir) {
				require.NoError(t, os.Remove(filepath.Join(dir, left)))
			}
			require.NoError(t, os.RemoveAll(f.Spool.Dir))
			require.NoError(t, os.Mkdir(f.Spool.Dir, 0o700))
		}
	})
}

// Fault 37.
func TestAFileThatIsWrittenWhileItIsFetchedIsLeftForTheNextRun(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	var file string
	var once atomic.Bool
	s := (&sourcetest.Server{Before: func(method, _ string) error {
		if method != "Read" || once.Swap(true) {
			return nil
		}
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("more")
		return errors.Join(err, f.Close())
	}}).Start(t)
	file = filepath.Join(dir, "a.csv")
	content := lay(t, dir, "a.csv", random(300_000))
	f := newFeed(t, sftpAt(t, s.Login, dir))
	_, err := f.Take(t.Context(), theOnly(t, f))
	require.ErrorIs(t, err, importer.ErrNotYet)
	require.ErrorContains(t, err, "a.csv changed since it was listed: it is taken when it is written")
	require.Empty(t, names(t, f.Spool))
	requireTaken(t, f, theOnly(t, f), append(content, "more"...))
}

// A pause in the upload is waited for: what has grown when it is over is not
// the file that was listed. Fault 37.
func TestTheSecondLookComesAfterSomeTime(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	lay(t, dir, "a.csv", "12345")
	f := newFeed(t, openDirectory(t, dir))
	f.Settle = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	_, err := f.Look(ctx, func(files []importer.File) (map[importer.File]time.Time, error) {
		cancel()
		return map[importer.File]time.Time{files[0]: sixAM}, nil
	})
	require.NoError(t, err, "for nothing nobody waits")
	_, err = f.Look(t.Context(), func([]importer.File) (map[importer.File]time.Time, error) {
		return nil, errors.New("the ledger is away")
	})
	require.EqualError(t, err, "the ledger is away")
	ctx, cancel = context.WithCancel(t.Context())
	_, err = f.Look(ctx, func([]importer.File) (map[importer.File]time.Time, error) {
		cancel()
		return nil, nil
	})
	require.ErrorIs(t, err, context.Canceled)
}

// Fault 42.
func TestAFileThatCannotBeTakenKeepsNoOtherBack(t *testing.T) {
	t.Parallel()
	become := map[string]func(t *testing.T, file string){
		"a symbolic link":       func(t *testing.T, file string) { require.NoError(t, os.Symlink("/etc/passwd", file)) },
		"a symbolic link ":      func(t *testing.T, file string) { require.NoError(t, os.Symlink("z.csv", file)) },
		"a FIFO (a named pipe)": func(t *testing.T, file string) { require.NoError(t, syscall.Mkfifo(file, 0o644)) },
		"a folder":              func(t *testing.T, file string) { require.NoError(t, os.Mkdir(file, 0o755)) },
		"a socket": func(t *testing.T, file string) {
			l, err := net.Listen("unix", file)
			require.NoError(t, err)
			t.Cleanup(func() { l.Close() })
		},
	}
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		for kind, put := range become {
			f := newFeed(t, open(view{folder: dir}))
			lay(t, dir, "a.csv", "1")
			lay(t, dir, "z.csv", kind)
			files := fresh(t, f)
			require.Len(t, files, 2)
			require.NoError(t, os.Remove(filepath.Join(dir, "a.csv")))
			put(t, filepath.Join(dir, "a.csv"))
			_, err := f.Take(t.Context(), files[0])
			require.ErrorIs(t, err, importer.ErrRefused, kind)
			require.ErrorContains(t, err, "a.csv is "+strings.TrimSpace(kind)+", not a file with contacts, and is left alone")
			require.Empty(t, names(t, f.Spool), kind)
			requireTaken(t, f, files[1], []byte(kind))
			require.Len(t, names(t, f.Spool), 1, kind)

			requireVerdict(t, f, "a.csv", "it is "+strings.TrimSpace(kind))
			require.NoError(t, os.Remove(filepath.Join(dir, "a.csv")))
		}
		requireVerdict(t, newFeed(t, open(view{folder: "/dev"})), "null", "it is a device")
	})
}

// Fault 42.
func TestNamesThatLeadElsewhereAreNeverTaken(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	content := lay(t, dir, "in/a.csv", "1")
	lay(t, dir, "secret", "1")
	s := (&sourcetest.Server{Names: []string{"../secret", "..", "/etc/passwd", "nul\x00.csv", "line\n.csv"}}).Start(t)
	f := newFeed(t, sftpAt(t, s.Login, filepath.Join(dir, "in")))
	for _, file := range fresh(t, f) {
		if file.Path == "a.csv" {
			requireTaken(t, f, file, content)
			continue
		}
		// Of a path its last name is left, which is looked for in the folder.
		_, err := f.Take(t.Context(), file)
		require.ErrorIs(t, err, importer.ErrNotYet)
		require.ErrorContains(t, err, file.Path+" is not there any more")
	}
	require.Len(t, names(t, f.Spool), 1)
	requireVerdict(t, f, "nul\uFFFD.csv", "it is a name with control characters")
	requireVerdict(t, f, "line\uFFFD.csv", "it is a name with control characters")
	require.NotContains(t, s.Asked(), filepath.Join(dir, "secret"))
	require.NotContains(t, s.Asked(), "/etc/passwd")
}

func requireVerdict(t *testing.T, f *source.Feed, name, why string) {
	t.Helper()
	verdicts, err := f.Judge(t.Context(), nothingTaken)
	require.NoError(t, err)
	for _, v := range verdicts {
		if v.File.Path == name {
			require.Equal(t, why, v.Why)
			return
		}
	}
	require.Fail(t, "there is no verdict on "+name)
}

func TestAFileWithoutTheRightToReadItKeepsNoOtherBack(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	lay(t, dir, "a.csv", "1")
	content := lay(t, dir, "z.csv", "2")
	require.NoError(t, os.Chmod(filepath.Join(dir, "a.csv"), 0))
	f := newFeed(t, sftpAt(t, sourcetest.SSHD(t), dir))
	files := fresh(t, f)
	_, err := f.Take(t.Context(), files[0])
	require.ErrorIs(t, err, importer.ErrRefused)
	require.ErrorContains(t, err, "has not the right for reading a.csv: ask the vendor for it")
	require.Empty(t, names(t, f.Spool))
	requireTaken(t, f, files[1], content)
}

// A damaged file is known by its hash, so that it is not tried again and again.
func TestAFileThatCannotBeUnpackedIsOneDropThatCannotBeRead(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		f := newFeed(t, open(view{folder: dir}))
		content := lay(t, dir, "a.zip", "one\ntwo\nbroken\n"+random(100_000))
		f.Unpack = func(file io.ReaderAt, size int64, name string, put func(string, io.Reader) error) ([]int, error) {
			none, err := lines(file, size, name, put)
			return none, &importer.UnreadableError{Err: err}
		}
		drops, err := f.Take(t.Context(), theOnly(t, f))
		require.NoError(t, err)
		require.Len(t, drops, 1)
		require.Equal(t, importer.Drop{Name: "a.zip", SHA256: sha256.Sum256(content), Bytes: int64(len(content))}, drops[0].Drop)
		for range 2 {
			_, err = drops[0].Open()
			var unreadable *importer.UnreadableError
			require.ErrorAs(t, err, &unreadable)
			require.EqualError(t, err, "a broken line")
		}
		require.Empty(t, names(t, f.Spool))
	})
}

func TestEachDropInAFileIsTaken(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	lay(t, dir, "a.zip", "one\nnone\ntwo\n")
	f := newFeed(t, openDirectory(t, dir))
	f.Unpack = lines
	drops, err := f.Take(t.Context(), theOnly(t, f))
	require.NoError(t, err)
	require.Len(t, drops, 2)
	require.Equal(t, "a.zip/1", drops[0].Drop.Name)
	require.Equal(t, sha256.Sum256([]byte("two")), drops[1].Drop.SHA256)
	require.Len(t, names(t, f.Spool), 2)
}

// Fault 44.
func TestAFileWaitsUntilThereIsRoomInTheSpool(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		f := newFeed(t, open(view{folder: dir}))
		f.Spool.Quota = 1000
		content := lay(t, dir, "a.csv", random(501)) // there twice until it is kept
		file := theOnly(t, f)
		requireNoRoom(t, f, file)
		_, err := f.Take(t.Context(), file)
		require.ErrorIs(t, err, importer.ErrRefused, "a smaller one may find room")
		require.Empty(t, names(t, f.Spool))
		f.Spool.Quota = 1002
		requireTaken(t, f, file, content)
	})
}

// Fault 44.
func TestAFileForWhichTheRoomIsGoneMeanwhileWaits(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		f := newFeed(t, open(view{folder: dir}))
		f.Spool.Quota = 2000
		lay(t, dir, "a.csv", "one\ntwo\n"+random(500))
		file := theOnly(t, f)
		others := filepath.Join(f.Spool.Dir, strings.Repeat("0", 64))
		f.Unpack = func(_ io.ReaderAt, _ int64, _ string, put func(string, io.Reader) error) ([]int, error) {
			require.NoError(t, put("a.csv/1", strings.NewReader("one")))
			require.NoError(t, os.WriteFile(others, make([]byte, 1500), 0o600))
			return nil, put("a.csv/2", strings.NewReader("two"))
		}
		requireNoRoom(t, f, file)
		require.Equal(t, []string{filepath.Base(others)}, names(t, f.Spool))
		require.NoError(t, os.Remove(others))
		f.Unpack = lines
		drops, err := f.Take(t.Context(), file)
		require.NoError(t, err)
		require.NotEmpty(t, drops)
	})
}

func requireNoRoom(t *testing.T, f *source.Feed, file importer.File) {
	t.Helper()
	_, err := f.Take(t.Context(), file)
	require.ErrorIs(t, err, source.ErrNoRoom)
	require.NotErrorIs(t, err, importer.ErrNotYet)
	require.ErrorContains(t, err, file.Path)
	require.ErrorContains(t, err, "spool.quota")
}

// Fault 44.
func TestADiskThatFillsWhileAFileIsFetchedKeepsNothingOfIt(t *testing.T) {
	t.Parallel()
	disk, small := smallDisk(t)
	ballast := filepath.Join(disk, "ballast")
	var full atomic.Bool
	s := (&sourcetest.Server{Before: func(method, _ string) error {
		if method != "Get" || !small || full.Swap(true) {
			return nil
		}
		b, err := os.Create(ballast)
		if err != nil {
			return err
		}
		defer b.Close()
		if _, err := io.Copy(b, zeros{}); !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		return nil
	}}).Start(t)
	dir := sourcetest.Dir(t)
	content := lay(t, dir, "a.csv", random(300_000))
	var at source.Place = sftpAt(t, s.Login, dir)
	if !small {
		at = &failing{Place: at, name: "a.csv", err: syscall.ENOSPC, times: 1}
	}
	f := newFeed(t, at)
	f.Spool.Dir = filepath.Join(disk, "spool")
	enter(t, f.Spool, nil)
	file := theOnly(t, f)
	_, err := f.Take(t.Context(), file)
	require.ErrorIs(t, err, source.ErrNoRoom)
	require.ErrorContains(t, err, "for a copy of a.csv: its disk is full: make room and start again")
	require.Empty(t, names(t, f.Spool))
	require.NoError(t, os.RemoveAll(ballast))
	requireTaken(t, f, file, content)
}

// failing is a place that fails some times to give a file.
type failing struct {
	source.Place

	name  string
	err   error // such as real places return
	times int
	asked int
}

func (f *failing) Fetch(ctx context.Context, file source.File, to *os.File) error {
	if file.Path != f.name {
		return f.Place.Fetch(ctx, file, to)
	}
	if f.asked++; f.asked <= f.times {
		return f.err
	}
	return f.Place.Fetch(ctx, file, to)
}
