package ledgertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

const place = "sftp://vendor.example.com/out"

func newFile(path string) importer.File {
	return importer.File{Path: path, Size: 7, Modified: time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC), Version: "v1"}
}

var filePromises = []promise{
	{"a file is known by its place, path, size, time and version", func(t *testing.T, l importer.Ledger) {
		d := begin(t, l, "acme", "a").d
		f := newFile("a.csv")
		timeless, bare := importer.File{Path: "timeless.csv", Size: -1, Version: "v1"}, importer.File{Path: "bare.csv", Size: 7}
		for _, taken := range []importer.File{f, f, timeless, bare} {
			require.NoError(t, l.TakeFile(t.Context(), "acme", place, taken, []int64{d.ID}))
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
		require.NoError(t, l.TakeFile(t.Context(), "acme", place, f, []int64{a.d.ID, b.d.ID}))
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
			require.NoError(t, l.EndFile(t.Context(), got[0].ID, false))
		}
		require.Empty(t, ended())
	}},
	{"a file that stays is taken once, one that is gone is new when it is there again", func(t *testing.T, l importer.Ledger) {
		d := begin(t, l, "acme", "a")
		d.batch(0, nil, true, 0)
		d.close(importer.DropDone)
		f := newFile("a.csv")
		for _, gone := range []bool{false, true} {
			require.NoError(t, l.TakeFile(t.Context(), "acme", place, f, []int64{d.d.ID}))
			ended, err := l.Ended(t.Context(), "acme", place)
			require.NoError(t, err)
			require.Len(t, ended, 1)
			require.False(t, ended[0].Failed)
			require.NoError(t, l.EndFile(t.Context(), ended[0].ID, gone))
			taken, err := l.Taken(t.Context(), "acme", place, []importer.File{f})
			require.NoError(t, err)
			require.Equal(t, !gone, len(taken) == 1)
		}
	}},
	{"a file is taken once more when nobody works on a drop of it that is not recorded to its end", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		f := newFile("a.csv")
		require.NoError(t, l.TakeFile(t.Context(), "acme", place, f, []int64{w.d.ID}))
		isTaken := func() bool {
			taken, err := l.Taken(t.Context(), "acme", place, []importer.File{f})
			require.NoError(t, err)
			return len(taken) == 1
		}
		require.True(t, isTaken(), "somebody works on it")
		w.close(importer.DropHeld)
		require.True(t, isTaken(), "a person is to look at it")
		w.lease(hour)
		w.close(importer.DropImporting)
		require.False(t, isTaken())
		w.lease(hour)
		w.batch(0, newRows(1, "ann"), true, 0)
		require.Equal(t, importer.DropImporting, w.close(importer.DropImporting))
		require.True(t, isTaken(), "its rows are all in the ledger")
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
		require.NoError(t, l.TakeFile(t.Context(), "acme", place, newFile("a.csv"), []int64{d.ID}))
		require.Equal(t, 1, unfinished())
	}},
}
