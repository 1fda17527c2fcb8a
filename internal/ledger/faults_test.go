package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
)

func TestACallWhoseCommitsAnswerWasLostIsMadeAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		ready func(t *testing.T, w *work) // by way of an unbroken connection
		call  func(ctx context.Context, w *work) (any, error)
		want  any
		after string // a query that is true once the call was made
	}{
		{
			"record",
			func(*testing.T, *work) {},
			func(ctx context.Context, w *work) (any, error) { return w.record(ctx, 0, true, 1, 2, 1) },
			[]importer.Recorded{{Record: 1, State: importer.Pending}, {Record: 2, State: importer.Pending}, {Record: 3, State: importer.Duplicate, Reason: importer.ReasonAlreadyLoaded}},
			`SELECT (SELECT count(*) FROM rows) = 3 AND (SELECT count(*) FROM claims) = 2 AND (SELECT recorded FROM drops) = 3`,
		},
		{
			"arm",
			func(t *testing.T, w *work) { w.recorded(t, 1, 2, 3) },
			func(ctx context.Context, w *work) (any, error) { return w.arm(ctx, 1, 3) },
			[]int{1, 3},
			`SELECT array_agg(state || ' ' || attempt ORDER BY record) = '{armed 1,pending 0,armed 1}' FROM rows`,
		},
		{
			"settle",
			func(t *testing.T, w *work) { w.recorded(t, 1, 2, 1, 1).armed(t, 1, 2) },
			func(ctx context.Context, w *work) (any, error) { return w.settle(ctx, importer.Rejected, 1, 2) },
			[]int(nil),
			`SELECT (SELECT array_agg(state::text ORDER BY record) = '{rejected,rejected,pending,duplicate}' FROM rows)
				AND (SELECT calls FROM runs) = 2 AND (SELECT array_agg(record) = '{3}' FROM claims)`,
		},
		{
			"close",
			func(t *testing.T, w *work) {
				w.recorded(t, 1).armed(t, 1)
				_, err := w.settle(t.Context(), importer.Succeeded, 1)
				require.NoError(t, err)
			},
			func(ctx context.Context, w *work) (any, error) {
				return w.CloseDrop(ctx, w.d.ID, w.holder, importer.DropDone, "")
			},
			importer.DropDone,
			`SELECT state = 'done' AND holder IS NULL FROM drops`,
		},
		{
			"forget",
			func(t *testing.T, w *work) { w.recorded(t, 1, 2, 1) },
			func(ctx context.Context, w *work) (any, error) { return w.ForgetRows(ctx, w.d, w.holder, "v2") },
			true,
			`SELECT NOT EXISTS (SELECT FROM rows) AND NOT EXISTS (SELECT FROM claims) AND (SELECT settings FROM drops) = 'v2'`,
		},
	} {
		for where, made := range map[ledgertest.Cut]bool{ledgertest.BeforeCommit: false, ledgertest.AfterCommit: true} {
			t.Run(c.name+map[bool]string{true: " made", false: " not made"}[made], func(t *testing.T) {
				t.Parallel()
				dsn := ledgertest.Database(t)
				conn := connect(t, dsn)
				w := begin(t, ledgertest.OpenAt(t, dsn), "acme")
				c.ready(t, w)
				p, through := ledgertest.NewProxy(t, dsn)
				l, err := ledger.Open(t.Context(), through)
				require.NoError(t, err)
				defer l.Close()
				broken := *w
				broken.Ledger = l

				p.CutNext(where)
				_, err = c.call(t.Context(), &broken)
				require.ErrorIs(t, err, importer.ErrUnavailable)
				require.Equal(t, made, ask[bool](t, conn, c.after))
				for range 2 {
					got, err := c.call(t.Context(), &broken)
					require.NoError(t, err)
					require.Equal(t, c.want, got)
					require.True(t, ask[bool](t, conn, c.after))
				}
				requireSound(t, conn)
			})
		}
	}
}

func TestATerminatedSessionIsAnAwayLedgerAndTheNextCallWorks(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	conn := connect(t, dsn)
	w := begin(t, ledgertest.OpenAt(t, dsn), "acme")

	do(t, conn, `BEGIN`)
	do(t, conn, `SELECT FROM drops FOR UPDATE`)
	done := make(chan error, 1)
	go func() {
		_, err := w.record(t.Context(), 0, true, 1)
		done <- err
	}()
	require.Eventually(t, func() bool {
		return ask[bool](t, conn, `
			SELECT coalesce(bool_or(pg_terminate_backend(pid)), false) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	}, 30*time.Second, time.Millisecond)
	require.ErrorIs(t, <-done, importer.ErrUnavailable)
	do(t, conn, `ROLLBACK`)

	_, err := w.record(t.Context(), 0, true, 1)
	require.NoError(t, err)
	requireSound(t, conn)
}

func TestAProcessThatIsFrozenInATransactionKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	w := begin(t, ledgertest.OpenAt(t, dsn), "acme")
	p, through := ledgertest.NewProxy(t, dsn)
	l, err := ledger.Open(t.Context(), through)
	require.NoError(t, err)
	defer l.Close()
	frozen, thaw := make(chan struct{}), make(chan struct{})
	p.CutCommits(func() ledgertest.Cut {
		close(frozen)
		<-thaw
		p.CutCommits(func() ledgertest.Cut { return ledgertest.Nowhere })
		return ledgertest.Nowhere
	})
	done := make(chan error, 1)
	go func() { done <- l.RenewDrop(t.Context(), w.d.ID, w.holder, time.Hour) }()
	<-frozen // it holds the drop
	require.NoError(t, w.RenewDrop(t.Context(), w.d.ID, w.holder, time.Hour))
	close(thaw)
	require.ErrorIs(t, <-done, importer.ErrUnavailable)
	require.NoError(t, l.RenewDrop(t.Context(), w.d.ID, w.holder, time.Hour))
}

func TestALedgerThatIsNotThereIsAway(t *testing.T) {
	t.Parallel()
	_, err := ledger.Open(t.Context(), "postgres://nobody:secret-canary@127.0.0.1:1/ledger?sslmode=disable")
	require.ErrorIs(t, err, importer.ErrUnavailable)
	require.NotContains(t, err.Error(), "secret-canary")
	_, err = ledger.Open(t.Context(), "postgres://nobody:secret-canary@:::/?")
	require.ErrorContains(t, err, "ledger.dsn")
	require.NotContains(t, err.Error(), "secret-canary")
}

func TestACallThatIsCancelledSaysSo(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	conn := connect(t, dsn)
	w := begin(t, ledgertest.OpenAt(t, dsn), "acme")
	do(t, conn, `BEGIN`)
	do(t, conn, `SELECT FROM drops FOR UPDATE`)
	stop := errors.New("stopped by a person")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := w.record(ctx, 0, true, 1)
		done <- err
	}()
	require.Eventually(t, func() bool {
		return ask[bool](t, conn, `SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	}, 30*time.Second, time.Millisecond)
	cancel(stop)
	err := <-done
	require.ErrorIs(t, err, stop)
	require.NotErrorIs(t, err, importer.ErrUnavailable)
	do(t, conn, `ROLLBACK`)
}

// TestErrorsQuoteNobody provokes errors whose DETAIL or message holds a number.
func TestErrorsQuoteNobody(t *testing.T) {
	t.Parallel()
	const canary = "3055550199"
	for name, trap := range map[string]string{
		"unique violation": `DO $$ BEGIN
			EXECUTE 'CREATE UNIQUE INDEX ON ' || (SELECT min(inhrelid)::regclass FROM pg_inherits WHERE inhparent = 'row_data'::regclass) || ' ((lead ->> ''phone_number''))';
			EXECUTE 'CREATE UNIQUE INDEX ON ' || (SELECT max(inhrelid)::regclass FROM pg_inherits WHERE inhparent = 'row_data'::regclass) || ' ((lead ->> ''phone_number''))';
		END $$`,
		"check violation": `ALTER TABLE row_data ADD CHECK (lead ->> 'phone_number' = '')`,
		"invalid value":   `ALTER TABLE row_data ADD CHECK (array_to_string(cells, ',')::int > 0)`,
		"raised": `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no %'', NEW.lead; END';
			CREATE TRIGGER fail BEFORE INSERT ON row_data FOR EACH ROW EXECUTE FUNCTION fail()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := ledgertest.Database(t)
			conn := connect(t, dsn)
			do(t, conn, trap)
			w := begin(t, ledgertest.OpenAt(t, dsn), "acme")
			rows := []importer.NewRow{newRow(1, 1), newRow(2, 2)}
			for i := range rows {
				rows[i].Lead.PhoneNumber = canary
				rows[i].Cells[2] = canary
			}
			_, err := w.Record(t.Context(), w.d, w.run, w.holder, 0, rows, true, 0)
			require.ErrorContains(t, err, "SQLSTATE")
			require.NotContains(t, err.Error(), canary)
			require.NotErrorIs(t, err, importer.ErrUnavailable)
			for cause := err; cause != nil; cause = errors.Unwrap(cause) {
				require.NotContains(t, cause.Error(), canary)
			}
			requireSound(t, conn)
			require.Zero(t, ask[int](t, conn, `SELECT count(*)::int FROM claims`), "nothing of it was kept")
		})
	}
}
