package ledgertest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

const place = "sftp://vendor.example.com/out"

func newFile(path string) importer.File {
	return importer.File{Path: path, Size: 7, Modified: time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC), Version: "v1"}
}

// takeFile records that a file was taken from place, with some drops.
func takeFile(t *testing.T, l importer.Ledger, f importer.File, drops ...importer.Drop) int64 {
	t.Helper()
	id, err := l.TakeFile(t.Context(), "acme", place, f, drops)
	require.NoError(t, err)
	return id
}

var filePromises = []promise{
	{"a file is known by its place, path, size, time and version", func(t *testing.T, l importer.Ledger) {
		d := begin(t, l, "acme", "a").d
		f := newFile("a.csv")
		timeless, bare := importer.File{Path: "timeless.csv", Size: -1, Version: "v1"}, importer.File{Path: "bare.csv", Size: 7}
		for _, taken := range []importer.File{f, f, timeless, bare} {
			takeFile(t, l, taken, d)
		}
		others := []importer.File{f, f, f, f}
		others[0].Path, others[1].Size, others[2].Version = "b.csv", 8, "v2"
		others[3].Modified = f.Modified.Add(time.Second)
		taken, err := l.Taken(t.Context(), "acme", place, append(others, f, timeless, bare))
		require.NoError(t, err)
		require.Len(t, taken, 2)
		require.WithinDuration(t, time.Now(), taken[f], hour)
		require.Contains(t, taken, timeless)
		for _, elsewhere := range [][2]string{{"bravo", place}, {"acme", "sftp://other.example.com/out"}} {
			taken, err = l.Taken(t.Context(), elsewhere[0], elsewhere[1], []importer.File{f})
			require.NoError(t, err)
			require.Empty(t, taken)
		}
	}},
	{"a file has ended when all of its drops are done or failed", func(t *testing.T, l importer.Ledger) {
		a, b := begin(t, l, "acme", "a"), begin(t, l, "acme", "b")
		f := newFile("a.zip")
		takeFile(t, l, f, a.d, b.d)
		ended := func() []importer.TakenFile {
			all, err := l.Ended(t.Context(), "acme", place)
			require.NoError(t, err)
			return all
		}
		a.batch(0, nil, true, 0)
		require.Equal(t, importer.DropDone, a.close(importer.DropDone))
		require.Empty(t, ended())
		b.close(importer.DropHeld)
		require.Empty(t, ended())
		b.lease(hour)
		b.close(importer.DropFailed)
		got := ended()
		require.Len(t, got, 1)
		require.True(t, f.Modified.Equal(got[0].File.Modified))
		require.Equal(t, []int64{a.d.ID, b.d.ID}, got[0].Drops)
		require.True(t, got[0].Failed)
		for range 2 {
			require.NoError(t, l.EndFile(t.Context(), got[0].ID, importer.Away{}))
		}
		require.Empty(t, ended())
	}},
	{"a file that stays is taken once, one that is gone is new when it is there again", func(t *testing.T, l importer.Ledger) {
		d := begin(t, l, "acme", "a")
		d.batch(0, nil, true, 0)
		d.close(importer.DropDone)
		f := newFile("a.csv")
		for _, gone := range []bool{false, true} {
			takeFile(t, l, f, d.d)
			ended, err := l.Ended(t.Context(), "acme", place)
			require.NoError(t, err)
			require.Len(t, ended, 1)
			require.False(t, ended[0].Failed)
			require.NoError(t, l.EndFile(t.Context(), ended[0].ID, importer.Away{Gone: gone}))
			taken, err := l.Taken(t.Context(), "acme", place, []importer.File{f})
			require.NoError(t, err)
			require.Equal(t, !gone, len(taken) == 1)
		}
	}},
	{"a file whose drop has lost its copy is new where it lies", func(t *testing.T, l importer.Ledger) {
		a, b := begin(t, l, "acme", "a").d, begin(t, l, "acme", "b").d
		f := newFile("a.csv")
		takeFile(t, l, f, a)
		isTaken := func() bool {
			taken, err := l.Taken(t.Context(), "acme", place, []importer.File{f})
			require.NoError(t, err)
			return len(taken) == 1
		}
		require.NoError(t, l.LoseFiles(t.Context(), "acme", place, []int64{b.ID}))
		require.NoError(t, l.LoseFiles(t.Context(), "acme", "elsewhere", []int64{a.ID}))
		require.True(t, isTaken())
		require.NoError(t, l.LoseFiles(t.Context(), "acme", place, []int64{a.ID, b.ID}))
		require.False(t, isTaken())
	}},
	{"a file's drops are opened with it, and are those of the last time it was taken", func(t *testing.T, l importer.Ledger) {
		damaged := begin(t, l, "acme", "damaged")
		f := newFile("a.csv")
		id := takeFile(t, l, f, damaged.d)
		require.Equal(t, importer.DropFailed, damaged.close(importer.DropFailed))
		require.Equal(t, id, takeFile(t, l, f, newDrop("acme", "mended")))
		mended := begin(t, l, "acme", "mended")
		mended.batch(0, nil, true, 0)
		mended.close(importer.DropDone)
		ended, err := l.Ended(t.Context(), "acme", place)
		require.NoError(t, err)
		require.Len(t, ended, 1)
		require.Equal(t, []int64{mended.d.ID}, ended[0].Drops)
		require.False(t, ended[0].Failed)
	}},
	{"the files that were put away under another name are listed, the last ones first", func(t *testing.T, l importer.Ledger) {
		d := begin(t, l, "acme", "a").d
		for i, as := range []string{"imported/a.csv", "imported/a.csv", "", "imported/c.csv", "imported/d.csv"} {
			f := newFile("of " + as)
			if i == 0 {
				f.Path = "of an earlier one"
			}
			id := takeFile(t, l, f, d)
			require.NoError(t, l.EndFile(t.Context(), id, importer.Away{Gone: true, As: as}))
		}
		away := func(within time.Duration, limit int) (names []string) {
			files, err := l.PutAway(t.Context(), "acme", place, within, limit)
			require.NoError(t, err)
			for _, f := range files {
				require.True(t, f.Away.Gone)
				require.Equal(t, "of "+f.Away.As, f.File.Path)
				names = append(names, f.Away.As)
			}
			return names
		}
		require.Equal(t, []string{"imported/d.csv", "imported/c.csv", "imported/a.csv"}, away(hour, 9))
		require.Equal(t, []string{"imported/d.csv", "imported/c.csv"}, away(hour, 2))
		require.Empty(t, away(0, 9))
		takeFile(t, l, newFile("of imported/d.csv"), d)
		require.Equal(t, []string{"imported/c.csv"}, away(hour, 1), "it lies there again")
	}},
	{"a file is imported when all of its drops are done under the same settings, whatever its name is now", func(t *testing.T, l importer.Ledger) {
		a, b := begin(t, l, "acme", "a"), begin(t, l, "acme", "b")
		f, put := newFile("a.zip"), newFile("imported/a.zip")
		bare := importer.File{Path: "bare.csv", Size: 7}
		id := takeFile(t, l, f, a.d, b.d)
		takeFile(t, l, bare, a.d)
		imported := func(feed, place, settings string) []importer.File {
			found, err := l.Imported(t.Context(), feed, place, settings, []importer.File{newFile("b.zip"), f, put, bare})
			require.NoError(t, err)
			for _, at := range found {
				require.WithinDuration(t, time.Now(), at, hour)
			}
			return slices.Collect(maps.Keys(found))
		}
		a.batch(0, nil, true, 0)
		a.close(importer.DropDone)
		for _, unfinished := range []importer.DropState{importer.DropFailed, importer.DropHeld} {
			b.lease(hour)
			b.close(unfinished)
			require.Empty(t, imported("acme", place, a.d.Settings))
		}
		b.lease(hour)
		b.batch(0, nil, true, 0)
		b.close(importer.DropDone)
		require.Equal(t, []importer.File{f}, imported("acme", place, a.d.Settings))
		require.Empty(t, imported("acme", place, "others"))
		require.Empty(t, imported("bravo", place, a.d.Settings))
		require.Empty(t, imported("acme", "elsewhere", a.d.Settings))
		require.NoError(t, l.EndFile(t.Context(), id, importer.Away{Gone: true, As: put.Path}))
		require.Equal(t, []importer.File{put}, imported("acme", place, a.d.Settings))
	}},
	{"a drop that was taken and not begun is unfinished", func(t *testing.T, l importer.Ledger) {
		d, err := l.OpenDrop(t.Context(), newDrop("acme", "a"))
		require.NoError(t, err)
		unfinished := func() int {
			drops, err := l.Unfinished(t.Context(), "acme")
			require.NoError(t, err)
			return len(drops)
		}
		require.Zero(t, unfinished())
		takeFile(t, l, newFile("a.csv"), d)
		require.Equal(t, 1, unfinished())
	}},
}
