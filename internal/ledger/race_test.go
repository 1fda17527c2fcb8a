package ledger_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
)

func TestOverlappingBatchesClaimEachLeadOnce(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	conn := connect(t, dsn)
	l := ledgertest.OpenAt(t, dsn)
	const batch, batches, writers = 1000, 6, 4
	drops := make([]*work, writers)
	for i := range drops {
		drops[i] = begin(t, l, "acme")
	}
	for n := range batches {
		var g errgroup.Group
		for _, w := range drops {
			order := upTo(n*batch+1, (n+1)*batch)
			rand.Shuffle(batch, func(i, j int) { order[i], order[j] = order[j], order[i] })
			g.Go(func() error {
				_, err := w.record(t.Context(), n*batch, n == batches-1, order...)
				return err
			})
		}
		require.NoError(t, g.Wait())
	}
	const leads = batch * batches
	requireSound(t, conn)
	require.Equal(t, leads, ask[int](t, conn, `SELECT count(*)::int FROM claims`))
	require.Equal(t, leads, ask[int](t, conn, `SELECT count(*)::int FROM rows WHERE state = 'pending'`))
	require.Equal(t, (writers-1)*leads, ask[int](t, conn, `
		SELECT count(*)::int FROM rows r JOIN claims c ON c.key = r.claim AND c.drop_id = r.dup_drop AND c.record = r.dup_record
		WHERE r.state = 'duplicate'`), "every duplicate points at the holder")
	reported(t, l, conn)
	require.Zero(t, ask[int](t, conn, `SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()`))
}

// TestNoInterleavingStrandsALead rejects a row while other calls meet its
// claim, a few hundred times for each.
func TestNoInterleavingStrandsALead(t *testing.T) {
	t.Parallel()
	record := func(w *work, lead int) func() error {
		return func() error {
			_, err := w.record(t.Context(), 0, true, lead)
			return err
		}
	}
	for _, c := range []struct {
		name string
		// meet gets two new drops of the round and a lead that a row is
		// about to release, and returns what shall happen meanwhile.
		meet func(t *testing.T, a, b *work, lead int) []func() error
	}{
		{"recorded meanwhile", func(_ *testing.T, a, b *work, lead int) []func() error {
			return []func() error{record(a, lead), record(b, lead)}
		}},
		{"closed meanwhile", func(t *testing.T, a, _ *work, lead int) []func() error {
			a.recorded(t, lead)
			return []func() error{func() error {
				_, err := a.CloseDrop(t.Context(), a.d.ID, a.holder, importer.DropDone, "")
				return err
			}}
		}},
		{"forgotten meanwhile", func(t *testing.T, a, b *work, lead int) []func() error {
			a.recorded(t, lead)
			b.recorded(t, lead)
			return []func() error{func() error {
				_, err := a.ForgetRows(t.Context(), a.d, a.holder, "v2")
				return err
			}}
		}},
		{"forgotten while another rests on it", func(t *testing.T, a, b *work, lead int) []func() error {
			a.recorded(t, lead)
			return []func() error{record(b, lead), func() error {
				_, err := a.ForgetRows(t.Context(), a.d, a.holder, "v2")
				return err
			}}
		}},
		{"retried while others record and refuse it", func(t *testing.T, a, b *work, lead int) []func() error {
			retry := func(w *work) func() error {
				return func() error {
					_, err := w.Retry(t.Context(), w.d, w.holder, importer.Retried{States: []importer.State{importer.Rejected}}, 0, 10, 0)
					return err
				}
			}
			a.recorded(t, -lead, lead).armed(t, 1)
			_, err := a.settle(t.Context(), importer.Rejected, 1)
			require.NoError(t, err)
			b.recorded(t, -lead).armed(t, 1)
			refuse := func() error {
				_, err := b.settle(t.Context(), importer.Rejected, 1)
				return err
			}
			c := begin(t, a.Ledger, "delta")
			return []func() error{retry(a), retry(a), refuse, record(c, -lead)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const rounds = 150
			dsn := ledgertest.Database(t)
			conn := connect(t, dsn)
			l := ledgertest.OpenAt(t, dsn)
			w := begin(t, l, "acme").recorded(t, upTo(1, rounds)...).armed(t, upTo(1, rounds)...)
			for lead := 1; lead <= rounds; lead++ {
				calls := c.meet(t, begin(t, l, "bravo"), begin(t, l, "charlie"), lead)
				calls = append(calls, func() error {
					_, err := w.settle(t.Context(), importer.Rejected, lead)
					return err
				})
				var g errgroup.Group
				for _, i := range rand.Perm(len(calls)) {
					g.Go(calls[i])
				}
				require.NoError(t, g.Wait())
			}
			requireSound(t, conn)
		})
	}
}
