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

// asking notes what is asked for of the calls in flight.
type asking struct {
	*ledgertest.Fake

	wants map[importer.SlotWant]bool
}

func (a asking) LeaseSlots(ctx context.Context, dialer string, holder int64, want importer.SlotWant, ttl time.Duration) (importer.SlotGrant, error) {
	g, err := a.Fake.LeaseSlots(ctx, dialer, holder, want, ttl)
	want.InUse = 0
	a.wants[want] = true
	return g, err
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

func TestAnImporterMayAskForAShareOfTheCallsAndYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		a := asking{b.ledger, map[importer.SlotWant]bool{}}
		limit := b.importer.Limits.Concurrency
		b.importer.Ledger, b.importer.Limits.Share, b.importer.Limits.Yields = a, 3, true
		_, err := b.importer.Backfill(t.Context(), b.feed, newFolder("a.csv"))
		require.NoError(t, err)
		back := importer.SlotWant{Limit: limit, Yields: true}
		require.Equal(t, map[importer.SlotWant]bool{{Calls: 3, Limit: limit, Yields: true}: true, back: true}, a.wants)
		clear(a.wants)
		b.importer.Limits.Share, b.importer.Limits.Yields = 0, false
		_, err = b.pull(t, newFolder("b.csv"))
		require.NoError(t, err)
		require.Equal(t, map[importer.SlotWant]bool{{Calls: limit, Limit: limit}: true, back: true}, a.wants)
	})
}
