package source_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// takenBefore asks a ledger, as runs do.
func takenBefore(t testing.TB, l *ledger.Ledger, f *source.Feed) func([]importer.File) (map[importer.File]time.Time, error) {
	t.Helper()
	return func(files []importer.File) (map[importer.File]time.Time, error) {
		return l.Taken(t.Context(), "acme", f.Place(), files)
	}
}

// imported has a ledger know that a file was taken, and its drop imported.
func imported(t testing.TB, l *ledger.Ledger, f *source.Feed, file importer.File, in importer.Incoming) {
	t.Helper()
	run, holder, err := l.StartRun(t.Context(), "acme", "run")
	require.NoError(t, err)
	d := in.Drop
	d.Feed, d.Dialer, d.Settings = "acme", "main", "v1"
	_, err = l.TakeFile(t.Context(), "acme", f.Place(), file, []importer.Drop{d})
	require.NoError(t, err)
	d, err = l.OpenDrop(t.Context(), d)
	require.NoError(t, err)
	if d.State == importer.DropDone {
		return
	}
	d, err = l.LeaseDrop(t.Context(), d.ID, holder, time.Hour)
	require.NoError(t, err)
	_, err = l.Record(t.Context(), d, run, holder, 0, nil, true, 0)
	require.NoError(t, err)
	_, err = l.CloseDrop(t.Context(), d.ID, holder, importer.DropDone, "")
	require.NoError(t, err)
}

// layTenThousand makes files of which a ledger knows all but three.
func layTenThousand(t testing.TB, dir, dsn, place string) (fresh []string) {
	t.Helper()
	first := filepath.Join(dir, "00000.csv")
	require.NoError(t, os.WriteFile(first, []byte("1"), 0o644))
	when := time.Unix(1_700_000_000, 123_456_789)
	require.NoError(t, os.Chtimes(first, when, when))
	for i := 1; i < 10_000; i++ { // names of one file: quicker made
		require.NoError(t, os.Link(first, filepath.Join(dir, fmt.Sprintf("%05d.csv", i))))
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	// With the times of places that know the second alone, too.
	for _, modified := range []time.Time{when.Round(time.Microsecond), when.Truncate(time.Second)} {
		_, err = conn.Exec(t.Context(), `
			INSERT INTO files (feed, place, path, size, modified, version, ended)
			SELECT 'acme', $1, lpad(n::text, 5, '0') || '.csv', 1, $2, '', now() FROM generate_series(0, 9999) n WHERE n % 4000 <> 77`,
			place, modified)
		require.NoError(t, err)
	}
	_, err = conn.Exec(t.Context(), `ANALYZE files`) // as autovacuum does in a minute
	require.NoError(t, err)
	return []string{"00077.csv", "04077.csv", "08077.csv"}
}

func TestOfTenThousandFilesThreeNewOnesTakeOneListing(t *testing.T) {
	t.Parallel()
	dir, dsn := sourcetest.Dir(t), ledgertest.Database(t)
	want := layTenThousand(t, dir, dsn, "the place")
	l := ledgertest.OpenAt(t, dsn)
	s := new(sourcetest.Server).Start(t)
	for _, open := range []func(view) (source.Keeper, error){keepers["directory"](t), keepers["OpenSSH"](t), overSFTP(s.Login)} {
		p, err := open(view{folder: dir})
		require.NoError(t, err)
		f := newFeed(t, p)
		files, err := f.Look(t.Context(), takenBefore(t, l, f))
		require.NoError(t, err)
		got := []string{}
		for _, file := range files {
			got = append(got, file.Path)
			requireTaken(t, f, file, []byte("1"))
		}
		require.Equal(t, want, got)
		require.NoError(t, p.Close())
	}
	require.Equal(t, 1, s.Calls("List"))
	require.Equal(t, 3, s.Calls("Get"))
}

// BenchmarkLookAtTenThousandFiles finds three new files among 10,000, with the
// ledger's help. The target is below 5 s.
func BenchmarkLookAtTenThousandFiles(b *testing.B) {
	dir, dsn := sourcetest.Dir(b), ledgertest.Database(b)
	want := layTenThousand(b, dir, dsn, "the place")
	l := ledgertest.OpenAt(b, dsn)
	directory, err := source.OpenDirectory(source.DirectoryOptions{Path: dir})
	require.NoError(b, err)
	o := sftpOptions(sourcetest.SSHD(b))
	o.Folder = dir
	remote, err := source.NewSFTP(o)
	require.NoError(b, err)
	for kind, at := range map[string]source.Place{"directory": directory, "OpenSSH": remote} {
		b.Run(kind, func(b *testing.B) {
			f := newFeed(b, at)
			for b.Loop() {
				files, err := f.Look(b.Context(), takenBefore(b, l, f))
				require.NoError(b, err)
				require.Len(b, files, len(want))
			}
		})
		require.NoError(b, at.Close())
	}
}

// Fault 39.
func TestAContentIsOneDropByWhateverNameItComes(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		content := lay(t, dir, "a.csv", random(1000))
		f := newFeed(t, open(view{folder: dir}))
		f.Name = dir
		pass := func() (names []string) {
			files, err := f.Look(t.Context(), takenBefore(t, l, f))
			require.NoError(t, err)
			for _, file := range files {
				now, err := os.ReadFile(filepath.Join(dir, file.Path))
				require.NoError(t, err)
				imported(t, l, f, file, requireTaken(t, f, file, now))
				names = append(names, file.Path)
			}
			return names
		}
		require.Equal(t, []string{"a.csv"}, pass())
		require.Empty(t, pass(), "it is still there")
		lay(t, dir, "b.csv", string(content))
		require.Equal(t, []string{"b.csv"}, pass())
		require.NoError(t, os.Rename(filepath.Join(dir, "a.csv"), filepath.Join(dir, "c.csv")))
		require.Equal(t, []string{"c.csv"}, pass())
		require.Len(t, names(t, f.Spool), 1, "three names, one drop")
		lay(t, dir, "b.csv", random(1001))
		require.Equal(t, []string{"b.csv"}, pass())
		require.Len(t, names(t, f.Spool), 2)
	})
}

// visit looks at a web address as a run does, and takes what is new there.
func visit(t *testing.T, l *ledger.Ledger, o source.HTTPSOptions) (drops []importer.Incoming) {
	t.Helper()
	last, err := l.LastTaken(t.Context(), "acme", o.URL)
	require.NoError(t, err)
	o.Taken = source.File{Path: last.Path, Size: last.Size, Modified: last.Modified, Version: last.Version}
	f := newFeed(t, newHTTPS(t, o))
	f.Name = o.URL
	files, err := f.Look(t.Context(), takenBefore(t, l, f))
	require.NoError(t, err)
	for _, file := range files {
		got, err := f.Take(t.Context(), file)
		require.NoError(t, err)
		require.Len(t, got, 1)
		imported(t, l, f, file, got[0])
		drops = append(drops, got...)
	}
	ended, err := l.Ended(t.Context(), "acme", f.Place())
	require.NoError(t, err)
	require.Len(t, ended, len(drops))
	for _, file := range ended {
		require.False(t, putAway(t, f, file), "at a web address nothing is put away")
		require.NoError(t, l.EndFile(t.Context(), file.ID, importer.Away{}))
	}
	return drops
}

func TestAWebFileIsTakenOnceUntilItIsAnother(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	when := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for what, k := range map[string]struct {
		header func(h http.Header, version int)
		asks   bool // the server knows an unchanged file
	}{
		"an ETag":                         {func(h http.Header, v int) { h.Set("ETag", fmt.Sprintf(`"v%d"`, v)) }, true},
		"a weak ETag":                     {func(h http.Header, v int) { h.Set("ETag", fmt.Sprintf(`W/"v%d"`, v)) }, true},
		"a time":                          {func(h http.Header, v int) { h.Set("Last-Modified", when.AddDate(0, 0, v).Format(http.TimeFormat)) }, true},
		"an ETag, but sends it each time": {func(h http.Header, v int) { h.Set("ETag", fmt.Sprintf(`"v%d"`, v)) }, false},
	} {
		var version, whole atomic.Int64
		s := web(t, func(w http.ResponseWriter, r *http.Request) {
			k.header(w.Header(), int(version.Load()))
			if k.asks && (r.Header.Get("If-None-Match") != "" && r.Header.Get("If-None-Match") == w.Header().Get("ETag") ||
				r.Header.Get("If-Modified-Since") != "" && r.Header.Get("If-Modified-Since") == w.Header().Get("Last-Modified")) {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			whole.Add(1)
			fmt.Fprintf(w, "%s,%d\n", what, version.Load())
		})
		o := httpsOptions(s, "/leads.csv")
		first := visit(t, l, o)
		require.Len(t, first, 1, what)
		for range 2 {
			require.Empty(t, visit(t, l, o), what)
		}
		if k.asks {
			require.EqualValues(t, 1, whole.Load(), what)
		}
		version.Store(1)
		second := visit(t, l, o)
		require.Len(t, second, 1, what)
		require.NotEqual(t, first[0].Drop.SHA256, second[0].Drop.SHA256, what)
		require.Empty(t, visit(t, l, o), what)
	}
}

func TestAWebFileOfWhichNothingIsToldIsKnownByItsContent(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	var fetched atomic.Int64
	s := web(t, func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		w.Write([]byte("phone\n3055550123\n"))
	})
	o := httpsOptions(s, "/leads.csv")
	first := visit(t, l, o)
	for range 2 {
		again := visit(t, l, o)
		require.Len(t, again, 1)
		require.Equal(t, first[0].Drop, again[0].Drop)
	}
	require.EqualValues(t, 3, fetched.Load())
}

// Fault 44.
func TestAWebFileWaitsUntilThereIsRoomInTheSpool(t *testing.T) {
	t.Parallel()
	content := random(501)
	for _, told := range []bool{true, false} {
		s := web(t, func(w http.ResponseWriter, _ *http.Request) {
			if told {
				w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			}
			w.Write([]byte(content[:100]))
			w.(http.Flusher).Flush()
			w.Write([]byte(content[100:]))
		})
		for quota, most := range map[int64]int64{1001: 1001, 500: 500, 1: 1} {
			o := httpsOptions(s, "/leads.csv")
			o.MaxBytes = most // as much as there was room
			f := newFeed(t, newHTTPS(t, o))
			f.Spool.Quota = quota
			requireNoRoom(t, f, theOnly(t, f))
			require.Empty(t, names(t, f.Spool))
		}
		at := &failing{Place: newHTTPS(t, httpsOptions(s, "/leads.csv")), name: "leads.csv"}
		full := newFeed(t, at)
		full.Spool.Quota = 10
		kept := filepath.Join(full.Spool.Dir, strings.Repeat("0", 64))
		require.NoError(t, os.WriteFile(kept, make([]byte, 10), 0o600))
		requireNoRoom(t, full, theOnly(t, full))
		require.Zero(t, at.asked, "there was no room for a single byte")
		require.NoError(t, os.Remove(kept))
		full.Spool.Quota = 1002
		requireTaken(t, full, theOnly(t, full), []byte(content))
	}
}
