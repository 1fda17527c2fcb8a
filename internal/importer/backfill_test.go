package importer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
)

// asking notes how many calls in flight are asked for, and of how many.
type asking struct {
	*ledgertest.Fake

	want, limit map[int]bool
}

func (a asking) LeaseSlots(ctx context.Context, dialer string, holder int64, want, inUse, limit int, ttl time.Duration) (importer.SlotGrant, error) {
	a.want[want], a.limit[limit] = true, true
	return a.Fake.LeaseSlots(ctx, dialer, holder, want, inUse, limit, ttl)
}

func TestABackfillFetchesWhatIsNotImportedAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		b.feed.AtMost = 1
		f := newFolder("a.csv", "b.csv", "broken.csv", "held.csv")
		f.leave = true
		f.rows["broken.csv"] = 0
		b.takes(t, f.files[3]) // by a run that was killed
		f.rows["held.csv"] = 3
		for range 2 {
			f.fetched = nil
			s, err := b.importer.Backfill(t.Context(), b.feed, f)
			require.ErrorContains(t, err, "garbage")
			if s.Calls > 0 {
				require.Equal(t, []string{"a.csv", "b.csv", "broken.csv"}, f.fetched, "the other is in the spool")
				continue
			}
			require.Equal(t, []string{"broken.csv"}, f.fetched, "it is looked at anew")
		}
		last, err := b.pull(t, f)
		require.NoError(t, err)
		require.Zero(t, last.Files, "a run takes nothing that a backfill took")
	})
}

func TestAnImporterMayAskForAShareOfTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		a := asking{b.ledger, map[int]bool{}, map[int]bool{}}
		b.importer.Ledger, b.importer.Limits.Share = a, 3
		_, err := b.importer.Backfill(t.Context(), b.feed, newFolder("a.csv"))
		require.NoError(t, err)
		require.Equal(t, map[int]bool{3: true, 0: true}, a.want, "and gives them back")
		require.Equal(t, map[int]bool{b.importer.Limits.Concurrency: true}, a.limit)
		runs := len(a.want)
		b.importer.Limits.Share = 0
		_, err = b.pull(t, newFolder("b.csv"))
		require.NoError(t, err)
		require.Greater(t, len(a.want), runs)
		require.True(t, a.want[b.importer.Limits.Concurrency])
	})
}
