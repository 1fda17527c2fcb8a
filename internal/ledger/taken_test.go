package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
)

func TestDropsAreListedAsTheirRowsStandNow(t *testing.T) {
	t.Parallel()
	l, done, going := reviewed(t)
	drops, err := l.ListDrops(t.Context(), ledger.DropFilter{})
	require.NoError(t, err)
	require.Len(t, drops, 2)
	require.Equal(t, going.d.ID, drops[0].Drop.ID, "the newest first")
	require.Equal(t, done.d.SHA256, drops[1].Drop.SHA256)
	require.Equal(t, "leads.csv", drops[1].Drop.Name)
	require.Equal(t, 4, drops[1].Counts.Rows())
	require.Equal(t, 1, drops[1].Counts.Outcome(importer.OutcomePending))
	require.Empty(t, drops[1].Files, "it was imported")

	_, err = done.Settle(t.Context(), done.d, going.run, going.holder, 0,
		[]importer.Settlement{{Record: 3, Attempt: 1, From: importer.Unknown, To: importer.Review, Reason: importer.ReasonUnproven}})
	require.NoError(t, err)
	drops, err = l.ListDrops(t.Context(), ledger.DropFilter{ID: done.d.ID})
	require.NoError(t, err)
	require.Len(t, drops, 1)
	require.Equal(t, 1, drops[0].Counts.Outcome(importer.OutcomeReview))
}

func TestDropsAreChosen(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	importing, spooled, held := begin(t, l, "acme").recorded(t, 1), begin(t, l, "acme"), begin(t, l, "bravo")
	_, err := l.CloseDrop(t.Context(), held.d.ID, held.holder, importer.DropHeld, "the phone column is gone")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		filter ledger.DropFilter
		want   []*work
	}{
		"all":          {ledger.DropFilter{}, []*work{held, spooled, importing}},
		"newest":       {ledger.DropFilter{Limit: 2}, []*work{held, spooled}},
		"by number":    {ledger.DropFilter{ID: spooled.d.ID}, []*work{spooled}},
		"by feed":      {ledger.DropFilter{Feed: "acme"}, []*work{spooled, importing}},
		"by state":     {ledger.DropFilter{State: importer.DropHeld}, []*work{held}},
		"by both":      {ledger.DropFilter{Feed: "acme", State: importer.DropHeld}, nil},
		"since before": {ledger.DropFilter{Since: time.Now().Add(-time.Hour)}, []*work{held, spooled, importing}},
		"since later":  {ledger.DropFilter{Since: time.Now().Add(time.Hour)}, nil},
	} {
		drops, err := l.ListDrops(t.Context(), c.filter)
		require.NoError(t, err, name)
		var got, want []int64
		for _, d := range drops {
			got = append(got, d.Drop.ID)
		}
		for _, w := range c.want {
			want = append(want, w.d.ID)
		}
		require.Equal(t, want, got, name)
	}
	drops, err := l.ListDrops(t.Context(), ledger.DropFilter{ID: held.d.ID})
	require.NoError(t, err)
	require.Equal(t, "the phone column is gone", drops[0].Drop.Why)
	_, err = l.ListDrops(t.Context(), ledger.DropFilter{ID: 999})
	require.ErrorIs(t, err, ledger.ErrNoDrop)
}

func TestDropsTellTheFilesThatTheyCameFrom(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	const place = "sftp://vendor.example.com/out"
	a, b, c := begin(t, l, "acme"), begin(t, l, "acme"), begin(t, l, "acme")
	monday := importer.File{Path: "monday.zip", Size: 7, Modified: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)}
	again := importer.File{Path: "old/monday.zip", Size: -1}
	_, err := l.TakeFile(t.Context(), "acme", place, monday, []importer.Drop{a.d, b.d})
	require.NoError(t, err)
	_, err = l.TakeFile(t.Context(), "acme", place, again, []importer.Drop{b.d})
	require.NoError(t, err)
	for _, w := range []*work{a, b} {
		_, err := l.CloseDrop(t.Context(), w.d.ID, w.holder, importer.DropFailed, "it cannot be read")
		require.NoError(t, err)
	}
	ended, err := l.Ended(t.Context(), "acme", place)
	require.NoError(t, err)
	require.Len(t, ended, 2)
	require.NoError(t, l.EndFile(t.Context(), ended[0].ID, importer.Away{Gone: true}))

	drops, err := l.ListDrops(t.Context(), ledger.DropFilter{})
	require.NoError(t, err)
	require.Len(t, drops, 3)
	require.Equal(t, c.d.ID, drops[0].Drop.ID)
	require.Empty(t, drops[0].Files)
	require.Len(t, drops[1].Files, 2)
	require.Equal(t, drops[1].Files[:1], drops[2].Files, "one file brought both")

	first, second := drops[1].Files[0], drops[1].Files[1]
	require.Equal(t, place, first.Place)
	require.Equal(t, monday.Path, first.Path)
	require.WithinDuration(t, time.Now(), first.Taken, time.Hour)
	require.WithinDuration(t, time.Now(), first.Ended, time.Hour)
	require.True(t, first.Gone)
	require.Equal(t, again.Path, second.Path)
	require.True(t, second.Ended.IsZero())
	require.False(t, second.Gone)
}

func TestAFileWasFirstTakenUnderEitherOfItsNames(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	const place = "sftp://vendor.example.com/out"
	w := begin(t, l, "acme")
	take := func(f importer.File) (at time.Time) {
		id, err := l.TakeFile(t.Context(), "acme", place, f, []importer.Drop{w.d})
		require.NoError(t, err)
		require.NoError(t, l.EndFile(t.Context(), id, importer.Away{Gone: true, As: "imported/a.csv"}))
		taken, err := l.LastTaken(t.Context(), "acme", place)
		require.NoError(t, err)
		require.Equal(t, f.Size, taken.Size)
		drops, err := l.ListDrops(t.Context(), ledger.DropFilter{ID: w.d.ID})
		require.NoError(t, err)
		files := drops[0].Files
		return files[len(files)-1].Taken
	}
	earlier, later := take(importer.File{Path: "a.csv", Size: 7}), take(importer.File{Path: "a.csv", Size: 8})
	require.True(t, earlier.Before(later))
	first, err := l.FirstTaken(t.Context(), "acme", place, []string{"a.csv", "imported/a.csv", "b.csv", "M%FC.csv"})
	require.NoError(t, err)
	require.Len(t, first, 2)
	require.True(t, earlier.Equal(first["a.csv"]))
	require.True(t, earlier.Equal(first["imported/a.csv"]))
	first, err = l.FirstTaken(t.Context(), "bravo", place, []string{"a.csv"})
	require.NoError(t, err)
	require.Empty(t, first)
}
