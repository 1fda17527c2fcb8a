package source_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// putAway puts a file away and tells whether it is gone.
func putAway(t testing.TB, f *source.Feed, taken importer.TakenFile) bool {
	t.Helper()
	away, err := f.PutAway(t.Context(), taken)
	require.NoError(t, err)
	return away.Gone
}

// Fault 41.
func TestAFileIsPutAwayOnce(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		for name, k := range map[string]struct {
			after  source.After
			failed string
			taken  importer.TakenFile
			want   []string
		}{
			"left":                                  {source.Leave, "", importer.TakenFile{}, []string{"in/a.csv"}},
			"archived":                              {source.Archive, "failed", importer.TakenFile{}, []string{"done/in/a.csv"}},
			"renamed":                               {source.Rename, "failed", importer.TakenFile{}, []string{"in/a.csv.imported"}},
			"deleted":                               {source.Delete, "failed", importer.TakenFile{}, nil},
			"failed":                                {source.Delete, "failed", importer.TakenFile{Failed: true}, []string{"failed/in/a.csv"}},
			"failed, but there is no folder for it": {source.Delete, "", importer.TakenFile{Failed: true}, []string{"in/a.csv"}},
		} {
			dir := filepath.Join(dir, name)
			require.NoError(t, os.Mkdir(dir, 0o777))
			require.NoError(t, os.Chmod(dir, 0o777))
			lay(t, dir, "in/a.csv", "12345")
			f := newFeed(t, open(view{folder: dir, recursive: true, except: []string{"done", "failed"}}))
			f.After, f.Archive, f.Failed = k.after, "done", k.failed
			k.taken.ID, k.taken.File = 7, theOnly(t, f)
			stays := len(k.want) == 1 && k.want[0] == "in/a.csv"
			for range 2 {
				require.Equal(t, !stays, putAway(t, f, k.taken), name)
				require.Equal(t, k.want, tree(t, dir), name)
			}
			// Killed before the ledger had the word, another process does it again.
			files := fresh(t, f)
			require.Equal(t, !stays, putAway(t, f, k.taken), name)
			require.Equal(t, k.want, tree(t, dir), name)
			require.Len(t, files, map[bool]int{true: 1, false: 0}[stays], name)
		}
	})
}

// Fault 41.
func TestNothingIsOverwrittenByWhatIsPutAway(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		lay(t, dir, "done/a.csv", "of last month")
		lay(t, dir, "b.csv.imported", "of last month")
		f := newFeed(t, open(view{folder: dir}))
		f.Archive = "done"
		// The same file is the same to the ledger: it has one number.
		when := time.Unix(1_700_000_000, 0)
		for range 3 {
			lay(t, dir, "a.csv", "12345")
			lay(t, dir, "b.csv", "12345")
			for _, name := range []string{"a.csv", "b.csv"} {
				require.NoError(t, os.Chtimes(filepath.Join(dir, name), when, when))
			}
			files := fresh(t, f)
			f.After = source.Archive
			require.True(t, putAway(t, f, importer.TakenFile{ID: 7, File: files[0]}))
			f.After = source.Rename
			require.True(t, putAway(t, f, importer.TakenFile{ID: 8, File: files[1]}))
		}
		require.Equal(t, []string{
			"b.csv-8-2.imported", "b.csv-8-3.imported", "b.csv-8.imported", "b.csv.imported",
			"done/a-7-2.csv", "done/a-7-3.csv", "done/a-7.csv", "done/a.csv",
		}, tree(t, dir))
		for _, name := range []string{"b.csv.imported", "done/a.csv"} {
			kept, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.Equal(t, "of last month", string(kept))
		}
		requireVerdict(t, f, "b.csv-8-2.imported", "it was put away here")
	})
}

// Fault 39.
func TestANewFileOfTheSameNameIsNotPutAway(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		for _, after := range []source.After{source.Archive, source.Rename, source.Delete} {
			for _, seen := range []bool{false, true} {
				lay(t, dir, "a.csv", "12345")
				f := newFeed(t, open(view{folder: dir}))
				f.After, f.Archive = after, "done"
				taken := importer.TakenFile{ID: 7, File: theOnly(t, f)}
				content := lay(t, dir, "a.csv", "the next one")
				if seen { // it came before this run looked
					fresh(t, f)
				}
				require.True(t, putAway(t, f, taken), "the one that was taken is gone")
				require.Equal(t, []string{"a.csv"}, tree(t, dir))
				requireTaken(t, f, theOnly(t, f), content)
			}
		}
	})
}

// Fault 41.
func TestAFileThatMayNotBePutAwayStays(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	lay(t, dir, "a.csv", "12345")
	f := newFeed(t, sftpAt(t, sourcetest.SSHD(t, "ForceCommand internal-sftp -R"), dir))
	f.Archive = "done"
	taken := importer.TakenFile{ID: 7, File: theOnly(t, f)}
	for after, says := range map[source.After]string{
		source.Archive: "has not the right for making the folder of done/a.csv: ask the vendor for it",
		source.Rename:  "has not the right for renaming a.csv: ask the vendor for it",
		source.Delete:  "has not the right for removing a.csv: ask the vendor for it",
	} {
		f.After = after
		away, err := f.PutAway(t.Context(), taken)
		require.False(t, away.Gone, after)
		require.ErrorContains(t, err, says)
	}
	require.Equal(t, []string{"a.csv"}, tree(t, dir))
}

// Fault 37.
func TestAFileThatGoesOnAfterItWasPutAwayComesBack(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		for after, as := range map[source.After]string{source.Archive: "done/a.csv", source.Rename: "a.csv.imported"} {
			lay(t, dir, "a.csv", "12345")
			f := newFeed(t, open(view{folder: dir, except: []string{"done"}}))
			f.After, f.Archive = after, "done"
			taken := importer.TakenFile{ID: 7, File: theOnly(t, f)}
			writer, err := os.OpenFile(filepath.Join(dir, "a.csv"), os.O_WRONLY|os.O_APPEND, 0)
			require.NoError(t, err)
			taken.Away, err = f.PutAway(t.Context(), taken)
			require.NoError(t, err)
			require.Equal(t, importer.Away{Gone: true, As: as}, taken.Away)
			comesBack := func() bool {
				back, err := f.Return(t.Context(), taken)
				require.NoError(t, err)
				return back
			}
			require.False(t, comesBack())
			_, err = writer.WriteString("678")
			require.NoError(t, err)
			require.NoError(t, writer.Close())

			lay(t, dir, "a.csv", "a new one")
			back, err := f.Return(t.Context(), taken)
			require.ErrorIs(t, err, importer.ErrRefused, "nothing is overwritten")
			require.False(t, back)
			require.NoError(t, os.Remove(filepath.Join(dir, "a.csv")))
			require.True(t, comesBack())
			there, err := os.ReadFile(filepath.Join(dir, "a.csv"))
			require.NoError(t, err)
			require.Equal(t, "12345678", string(there))
			require.False(t, comesBack(), "it is not there any more")
			require.Equal(t, []string{"a.csv"}, tree(t, dir))
			require.NoError(t, os.Remove(filepath.Join(dir, "a.csv")))
		}
	})
}

// A file of which another was moved in the same moment is told of.
func TestAFileThatGoesAstrayIsToldOf(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	renamed := false
	write := func(content string) error { return os.WriteFile(filepath.Join(dir, "a.csv"), []byte(content), 0o644) }
	s := (&sourcetest.Server{Before: func(method, path string) error {
		switch {
		case method == "Rename" && !renamed:
			renamed = true
			return write("new one")
		case method == "Lstat" && renamed && path == filepath.Join(dir, "done", "a.csv"):
			return write("newer one")
		}
		return nil
	}}).Start(t)
	lay(t, dir, "a.csv", "12345")
	f := newFeed(t, sftpAt(t, s.Login, dir))
	f.After, f.Archive = source.Archive, "done"
	away, err := f.PutAway(t.Context(), importer.TakenFile{ID: 7, File: theOnly(t, f)})
	require.ErrorContains(t, err, "a.csv changed while it was moved to done/a.csv, and could not be moved back: rename it, so that it is taken")
	require.False(t, away.Gone)
	require.Equal(t, []string{"a.csv", "done/a.csv"}, tree(t, dir))
}

// Nor is a file gone because the place could not be listed.
func TestOfAPlaceThatCouldNotBeLookedAtNothingIsGone(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	lay(t, dir, "in/a.csv", "12345")
	f := newFeed(t, sftpAt(t, new(sourcetest.Server).Start(t).Login, filepath.Join(dir, "in")))
	f.After = source.Delete
	taken := importer.TakenFile{ID: 7, File: theOnly(t, f)}
	require.NoError(t, os.Rename(filepath.Join(dir, "in"), filepath.Join(dir, "away")))
	_, err := f.Look(t.Context(), nothingTaken)
	require.ErrorContains(t, err, "there is no folder")
	away, err := f.PutAway(t.Context(), taken)
	require.False(t, away.Gone)
	require.EqualError(t, err, "the place could not be looked at: what is in it is not known")
}

// rejects writes what a ledger has as rejects of drops, and counts.
type rejects struct {
	text  string
	err   error
	asked [][]int64
}

func (r *rejects) write(_ context.Context, drops []int64, to io.Writer) (bool, error) {
	r.asked = append(r.asked, drops)
	_, err := io.WriteString(to, r.text)
	return r.text != "", errors.Join(err, r.err)
}

func TestRejectsAreWrittenOnceAndNotTaken(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		lay(t, dir, "a.csv", "12345")
		lay(t, dir, "in/b.tar.gz", "1")
		// except is what keeps a feed from looking there; without it the names do.
		for i, except := range [][]string{{"rejects"}, nil} {
			f := newFeed(t, open(view{folder: dir, recursive: true, except: except}))
			r := &rejects{text: "phone,reason\n"}
			f.Rejects, f.WriteRejects = "rejects", r.write
			files := fresh(t, f)
			require.Len(t, files, 2)
			for range 2 {
				for n, file := range files {
					require.False(t, putAway(t, f, importer.TakenFile{ID: int64(7 + n), File: file, Drops: []int64{int64(n), 5}}))
				}
			}
			require.Equal(t, [][]int64{{0, 5}, {1, 5}, {0, 5}, {1, 5}}, r.asked)
			require.Equal(t, []string{"a.csv", "in/b.tar.gz", "rejects/a.rejects-7.csv", "rejects/in/b.tar.rejects-8.csv"}, tree(t, dir), i)
			written, err := os.ReadFile(filepath.Join(dir, "rejects/a.rejects-7.csv"))
			require.NoError(t, err)
			require.Equal(t, r.text, string(written))
			require.Len(t, fresh(t, f), 2)
			require.Empty(t, names(t, f.Spool))
		}
	})
}

func TestAFileWithoutRejectsLeavesNone(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		lay(t, dir, "a.csv", "12345")
		f := newFeed(t, open(view{folder: dir}))
		r := &rejects{}
		f.After, f.Archive, f.Rejects, f.WriteRejects = source.Archive, "done", "rejects", r.write
		taken := importer.TakenFile{ID: 7, File: theOnly(t, f)}
		r.err = errors.New("the ledger is away")
		away, err := f.PutAway(t.Context(), taken)
		require.ErrorIs(t, err, r.err)
		require.False(t, away.Gone, "the file waits for its rejects")
		require.Equal(t, []string{"a.csv"}, tree(t, dir))
		r.err = nil
		require.True(t, putAway(t, f, taken))
		require.Equal(t, []string{"done/a.csv"}, tree(t, dir))
		require.NoDirExists(t, filepath.Join(dir, "rejects"))
		require.Empty(t, names(t, f.Spool))
	})
}

// Rejects of two files of one name, of different days, stand side by side.
func TestRejectsOfFilesOfOneNameAreKeptApart(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	f := newFeed(t, openDirectory(t, dir))
	f.After, f.Rejects = source.Delete, "rejects"
	for id, content := range map[int64]string{7: "1", 8: "12"} {
		lay(t, dir, "a.csv", content)
		f.WriteRejects = (&rejects{text: content}).write
		require.True(t, putAway(t, f, importer.TakenFile{ID: id, File: theOnly(t, f)}))
	}
	require.Equal(t, []string{"rejects/a.rejects-7.csv", "rejects/a.rejects-8.csv"}, tree(t, dir))
}
