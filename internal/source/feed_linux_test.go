package source_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// Other systems have no names but in UTF-8.
func TestNamesThatAreNoUTF8AreKept(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		// The last two differ in nothing else.
		contents := map[string][]byte{
			"M%FCller.csv": lay(t, dir, "M\xfcller.csv", random(10)),
			"%FF.csv":      lay(t, dir, "\xff.csv", random(20)),
			"%FE.csv":      lay(t, dir, "\xfe.csv", random(20)),
		}
		when := time.Unix(1_700_000_000, 0)
		for _, name := range []string{"\xff.csv", "\xfe.csv"} {
			require.NoError(t, os.Chtimes(filepath.Join(dir, name), when, when))
		}
		f := newFeed(t, open(view{folder: dir}))
		f.Name = dir
		f.After, f.Archive = source.Archive, "done"
		for _, file := range fresh(t, f) {
			imported(t, l, f, file, requireTaken(t, f, file, contents[file.Path]))
			delete(contents, file.Path)
		}
		require.Empty(t, contents)
		left, err := f.Look(t.Context(), takenBefore(t, l, f))
		require.NoError(t, err)
		require.Empty(t, left)
		ended, err := l.Ended(t.Context(), "acme", f.Place())
		require.NoError(t, err)
		require.Len(t, ended, 3)
		for _, file := range ended {
			require.True(t, putAway(t, f, file))
		}
		require.ElementsMatch(t, []string{"done/M\xfcller.csv", "done/\xfe.csv", "done/\xff.csv"}, tree(t, dir))
	})
}

func TestAFileOfADirectoryWithoutTheRightToReadItKeepsNoOtherBack(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	lay(t, dir, "in/a.csv", "1")
	content := lay(t, dir, "in/z.csv", "2")
	require.NoError(t, os.Chmod(filepath.Join(dir, "in", "a.csv"), 0))
	f := &source.Feed{
		Choice: source.Choice{Pattern: "*"}, Spool: source.Spool{Dir: filepath.Join(dir, "spool")}, Unpack: whole, Now: time.Now,
		Incoming: func(d source.Spooled) importer.Incoming {
			return importer.Incoming{Drop: importer.Drop{SHA256: d.SHA256}}
		},
	}
	var refused, lost error
	var drops []importer.Incoming
	asSomebody(func() { // whose the spool is
		leave, err := f.Spool.Enter(nil)
		if err != nil {
			lost = err
			return
		}
		at, err := source.OpenDirectory(source.DirectoryOptions{Path: filepath.Join(dir, "in")})
		if err != nil {
			lost = errors.Join(err, leave())
			return
		}
		f.At = at
		files, err := f.Look(t.Context(), nothingTaken)
		if err == nil && len(files) == 2 {
			_, refused = f.Take(t.Context(), files[0])
			drops, err = f.Take(t.Context(), files[1])
		}
		lost = errors.Join(err, at.Close(), leave())
	})
	require.NoError(t, lost)
	require.ErrorIs(t, refused, importer.ErrRefused)
	require.ErrorContains(t, refused, "this user has not the right for reading a.csv: check who owns it, and its folder's rights")
	require.Len(t, drops, 1)
	require.Equal(t, sha256.Sum256(content), drops[0].Drop.SHA256)
	require.Len(t, names(t, f.Spool), 1)
}
