package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
	"importer/migrations"
)

// status is how feeds stand, of which no drop is expected.
func status(t testing.TB, l *ledger.Ledger, feeds ...string) ledger.Status {
	t.Helper()
	asked := make([]ledger.Expected, len(feeds))
	for i, f := range feeds {
		asked[i].Feed = f
	}
	s, err := l.Status(t.Context(), asked, time.Now().AddDate(0, 0, -7), time.Hour)
	require.NoError(t, err)
	return s
}

// slotted records slots of a feed as they were judged.
func slotted(t testing.TB, l *ledger.Ledger, feed string, slots ...ledger.JudgedSlot) {
	t.Helper()
	_, err := l.Schedules(t.Context(), []string{feed}, time.Now())
	require.NoError(t, err)
	judge := func(ledger.SlotState) ([]ledger.JudgedSlot, time.Time) { return slots, slots[len(slots)-1].At }
	require.NoError(t, l.JudgeSlots(t.Context(), feed, judge, func(context.Context, pgx.Tx, []ledger.JudgedSlot) error { return nil }))
}

func TestANewLedgerHasNothingToTell(t *testing.T) {
	t.Parallel()
	s := status(t, ledgertest.Open(t), "acme")
	require.True(t, s.Served.IsZero())
	s.Served = time.Time{}
	st := s.Feeds["acme"]
	require.True(t, st.Succeeded.IsZero() && st.Came.IsZero() && st.Since.IsZero() && st.Last.IsZero())
	require.False(t, st.Known)
	s.Feeds = nil
	require.Equal(t, ledger.Status{Replicas: []ledger.Replica{}, Going: []ledger.Going{}, Open: []ledger.OpenSlot{}, Review: []ledger.Waiting{}}, s)
}

func TestWhoServesIsKnownForAsLongAsItTellsSo(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l := ledgertest.OpenAt(t, dsn)
	hosts := func() (hosts []string) {
		for _, r := range status(t, l).Replicas {
			require.WithinDuration(t, time.Now(), r.Started, time.Minute)
			hosts = append(hosts, r.Host)
		}
		return hosts
	}
	alpha, err := l.Live(t.Context(), 0, "alpha", time.Hour)
	require.NoError(t, err)
	bravo, err := l.Live(t.Context(), 0, "bravo", 0)
	require.NoError(t, err)
	require.NotEqual(t, alpha, bravo)
	require.Equal(t, []string{"alpha"}, hosts())
	same, err := l.Live(t.Context(), bravo, "bravo", time.Hour)
	require.NoError(t, err)
	require.Equal(t, bravo, same)
	require.Equal(t, []string{"alpha", "bravo"}, hosts())
	for _, id := range []int64{alpha, bravo} {
		_, err = l.Live(t.Context(), id, "", 0)
		require.NoError(t, err)
	}
	require.Empty(t, hosts())
	require.WithinDuration(t, time.Now(), status(t, l).Served, time.Minute)

	// One that was frozen until all had forgotten it is known again.
	conn := connect(t, dsn)
	do(t, conn, `UPDATE replicas SET until = until - interval '8 days'`)
	charlie, err := l.Live(t.Context(), 0, "charlie", time.Hour)
	require.NoError(t, err)
	require.Equal(t, 1, ask[int](t, conn, `SELECT count(*)::int FROM replicas`))
	again, err := l.Live(t.Context(), alpha, "alpha", time.Hour)
	require.NoError(t, err)
	require.Greater(t, again, charlie)
	require.Equal(t, []string{"charlie", "alpha"}, hosts())
}

func TestARunGoesForAsLongAsItsCarrierLives(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	going := func() (runs []int64) {
		for _, g := range status(t, l).Going {
			runs = append(runs, g.Run)
		}
		return runs
	}
	// A command's run has calls in flight leased from its beginning.
	w := begin(t, l, "acme")
	require.Empty(t, going())
	_, err := l.LeaseSlots(t.Context(), "dialer", w.holder, importer.SlotWant{Calls: 4, Limit: 8}, time.Hour)
	require.NoError(t, err)
	require.Equal(t, []int64{w.run}, going())
	require.NoError(t, l.JoinDrop(t.Context(), w.run, w.d, false))
	w.recorded(t, 1, 2, 3, 1).armed(t, 1, 2, 3)
	_, err = w.settle(t.Context(), importer.Succeeded, 1)
	require.NoError(t, err)
	s := status(t, l, "acme")
	s.Going[0].Started = time.Time{}
	require.Equal(t, []ledger.Going{{Run: w.run, Feed: "acme", Kind: "import", Rows: 4, Settled: 2, Calls: 1}}, s.Going, "one was a duplicate")
	require.Equal(t, w.run, s.Feeds["acme"].LastRun.Run)
	require.True(t, s.Feeds["acme"].LastRun.Finished.IsZero())
	_, err = l.LeaseSlots(t.Context(), "dialer", w.holder, importer.SlotWant{}, time.Hour)
	require.NoError(t, err)
	require.Empty(t, going(), "it was killed")

	// A slot's run has a lease, and whoever died with that has calls in flight for longer.
	at := time.Now().Truncate(time.Second)
	slotted(t, l, "bravo", ledger.JudgedSlot{At: at, Verdict: "run", Runs: true})
	require.Equal(t, "bravo", status(t, l).Open[0].Feed)
	require.Zero(t, status(t, l).Open[0].Run)
	begun, standing, err := l.BeginSlot(t.Context(), "bravo", at, time.Hour)
	require.NoError(t, err)
	require.Equal(t, ledger.SlotBegun, standing)
	require.Equal(t, []int64{begun.Run}, going())
	require.Equal(t, begun.Run, status(t, l).Open[0].Run)
	require.NoError(t, l.CancelRun(t.Context(), begun.Run))
	require.True(t, status(t, l).Going[0].Cancelled)
	_, err = l.LeaseSlots(t.Context(), "dialer", begun.Holder, importer.SlotWant{Calls: 4, Limit: 8}, time.Hour)
	require.NoError(t, err)
	require.ErrorIs(t, l.RenewRun(t.Context(), begun, 0), importer.ErrCancelled)
	require.Empty(t, going())
	require.Contains(t, status(t, l).Feeds, "bravo", "it has an open slot")
	require.NoError(t, l.FinishRun(t.Context(), begun.Run, begun.Holder, importer.Summary{}, nil))
	require.NoError(t, l.EndSlot(t.Context(), "bravo", at, begun, ends))
	require.Empty(t, status(t, l).Feeds)
}

func TestAFeedStandsAsItsRunsSlotsAndDropsSay(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l, conn := ledgertest.OpenAt(t, dsn), connect(t, dsn)
	ended := func(kind string, cause error, alarms ...string) int64 {
		run, holder, err := l.StartRun(t.Context(), "acme", kind)
		require.NoError(t, err)
		require.NoError(t, l.FinishRun(t.Context(), run, holder, importer.Summary{Alarms: alarms}, cause))
		return run
	}
	ended("run", nil, "long ago")
	good := ended("import", nil)
	ended("backfill", nil)
	w := begin(t, l, "acme").recorded(t, 1, 2).armed(t, 1, 2)
	_, err := w.settle(t.Context(), importer.Rejected, 1, 2)
	require.NoError(t, err)
	counts, err := l.Tally(t.Context(), w.d)
	require.NoError(t, err)
	require.NoError(t, l.JoinDrop(t.Context(), w.run, w.d, false))
	sum := importer.Summary{Drops: []importer.DropSummary{{Drop: w.d, Counts: counts}}}
	require.NoError(t, l.FinishRun(t.Context(), w.run, w.holder, sum, errors.New("the dialer is away")))
	alarmed := ended("audit", nil, "a lead is there twice")
	ended("retry", nil)

	now := time.Now().Truncate(time.Second)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	slotted(t, l, "acme",
		ledger.JudgedSlot{At: day(-20), Until: day(-9), Verdict: "missed"},
		ledger.JudgedSlot{At: day(-8), Until: day(-6), Verdict: "missed"},
		ledger.JudgedSlot{At: day(-5), Verdict: "overlap"},
		ledger.JudgedSlot{At: day(-4), Verdict: "missed"},
	)
	require.NoError(t, l.PauseFeed(t.Context(), "acme", true))

	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	asked := []ledger.Expected{{Feed: "acme", Day: today, From: now.Add(-time.Hour)}, {Feed: "bravo"}}
	s, err := l.Status(t.Context(), asked, day(-7), time.Hour)
	require.NoError(t, err)
	require.Len(t, s.Feeds, 2)
	require.Nil(t, s.Feeds["bravo"].LastRun)
	acme := s.Feeds["acme"]
	require.True(t, acme.Known && !acme.Paused.IsZero())
	require.True(t, acme.Last.Equal(day(-4)))
	require.Equal(t, w.run, acme.LastRun.Run, "the last one that pulled or imported")
	require.Equal(t, "the dialer is away", acme.LastRun.Error)
	require.Equal(t, counts, acme.LastRun.Counts)
	require.Equal(t, alarmed, acme.Alarmed)
	require.Equal(t, 2, acme.Missed)
	require.True(t, acme.Stretch)
	require.True(t, acme.Succeeded.Equal(ask[time.Time](t, conn, `SELECT finished FROM runs WHERE id = $1`, good)))
	require.True(t, acme.Came.Equal(ask[time.Time](t, conn, `SELECT first_seen FROM drops`)))
	require.False(t, acme.Late)

	// Whatever of a file or its drops came first counts, and a day that was judged.
	do(t, conn, `INSERT INTO files (feed, place, path, size, version, taken) VALUES ('acme', 'p', 'f', 1, '', $1)`, now.Add(-30*time.Minute))
	judged, late, err := l.JudgeDay(t.Context(), "acme", today, now.Add(time.Hour), now, 0, nothing)
	require.NoError(t, err)
	require.True(t, judged && late)
	s, err = l.Status(t.Context(), asked, day(-7), time.Hour)
	require.NoError(t, err)
	require.True(t, s.Feeds["acme"].Came.Equal(now.Add(-30*time.Minute)))
	require.True(t, s.Feeds["acme"].Late)
	asked[0].From = now.Add(time.Hour)
	s, err = l.Status(t.Context(), asked, day(-3), time.Hour)
	require.NoError(t, err)
	require.True(t, s.Feeds["acme"].Came.IsZero())
	require.Zero(t, s.Feeds["acme"].Missed)
}

func TestWhatWaitsForAPersonIsCounted(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l, conn := ledgertest.OpenAt(t, dsn), connect(t, dsn)
	leave := func(w *work, to importer.DropState) {
		_, err := w.CloseDrop(t.Context(), w.d.ID, w.holder, to, "")
		require.NoError(t, err)
	}
	leave(begin(t, l, "acme"), importer.DropHeld)
	leave(begin(t, l, "acme"), importer.DropHeld)
	w := begin(t, l, "acme").recorded(t, 1, 2, 3).armed(t, 1, 2, 3)
	for record, to := range map[int]importer.State{1: importer.Succeeded, 2: importer.Unknown, 3: importer.Unknown} {
		_, err := w.settle(t.Context(), to, record)
		require.NoError(t, err)
	}
	_, err := l.Settle(t.Context(), w.d, w.run, w.holder, 0, []importer.Settlement{
		{Record: 2, Attempt: 1, From: importer.Unknown, To: importer.Review, Reason: importer.ReasonUnproven},
		{Record: 3, Attempt: 1, From: importer.Unknown, To: importer.Review, Reason: importer.ReasonUnproven},
	})
	require.NoError(t, err)
	s := status(t, l)
	require.Equal(t, []int{0, 2}, []int{s.Unfinished, s.Held})
	require.Empty(t, s.Review, "somebody works on it")
	leave(w, importer.DropDone)
	two := []ledger.Waiting{{Feed: "acme", Rows: 2, Drops: 1}}
	require.Equal(t, two, status(t, l).Review)

	// A ledger of an earlier version has them too.
	db := stdlib.OpenDB(*conn.Config())
	defer db.Close()
	steps, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	const uncounted = 6
	_, err = steps.DownTo(t.Context(), uncounted)
	require.NoError(t, err)
	_, err = steps.Up(t.Context())
	require.NoError(t, err)
	l = ledgertest.OpenAt(t, dsn)
	require.Equal(t, two, status(t, l).Review)

	// Asked about again, one of them is found and the other is not.
	w.Ledger = l
	w.d, err = l.LeaseDrop(t.Context(), w.d.ID, w.holder, time.Hour)
	require.NoError(t, err)
	last, err := l.Retry(t.Context(), w.d, w.holder, importer.RowsThatEnded([]importer.Outcome{importer.OutcomeReview}, ""), 0, 10, 0)
	require.NoError(t, err)
	require.Equal(t, 3, last)
	leave(w, importer.DropDone)
	s = status(t, l)
	require.Empty(t, s.Review)
	require.Equal(t, 1, s.Unfinished, "nobody works on it")
}

// TestStatusReadsNoHistory has months of runs, slots and drops behind it.
func TestStatusReadsNoHistory(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	past, err := pgx.Connect(t.Context(), dsn+"&application_name=importer") // whose statistics are waited for
	require.NoError(t, err)
	l := ledgertest.OpenAt(t, dsn)
	const feeds, days = 100, 100
	w := begin(t, l, "feed1").recorded(t, upTo(1, 2000)...)
	_, err = w.CloseDrop(t.Context(), w.d.ID, w.holder, importer.DropImporting, "")
	require.NoError(t, err)
	do(t, past, `INSERT INTO schedules (feed, since, last) SELECT 'feed' || f, now(), now() FROM generate_series(1, $1::int) f`, feeds)
	do(t, past, `
		INSERT INTO runs (feed, kind, started, finished, error)
		SELECT 'feed' || f, 'run', now() - d * interval '1 day', now() - d * interval '1 day', CASE WHEN d % 2 = 0 THEN '' ELSE 'away' END
		FROM generate_series(0, $2::int) d, generate_series(1, $1::int) f ORDER BY d DESC, f`, feeds, days)
	do(t, past, `
		INSERT INTO schedule_slots (feed, slot, verdict, ended)
		SELECT 'feed' || f, now() - d * interval '1 day', CASE WHEN d % 10 = 0 THEN 'missed' ELSE 'run' END, now()
		FROM generate_series(0, $2::int) d, generate_series(1, $1::int) f`, feeds, days)
	do(t, past, `
		INSERT INTO drops (month, feed, dialer, name, sha256, bytes, state, settings, first_seen)
		SELECT now(), 'feed' || f, 'main', 'f', sha256(('drop' || f || d)::bytea), 1, 'done', '', now() - d * interval '1 day'
		FROM generate_series(0, $2::int) d, generate_series(1, $1::int) f`, feeds, days)
	do(t, past, `INSERT INTO run_drops SELECT r.id, d.id, false, '{}' FROM (SELECT id FROM runs) r JOIN (SELECT id FROM drops) d ON d.id = r.id`)
	require.NoError(t, past.Close(t.Context()))
	conn := connect(t, dsn)
	reported(t, l, conn)
	read := func() int {
		return ask[int](t, conn, `
			SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int FROM pg_stat_user_tables
			WHERE relname ~ '^rows_' OR relname IN ('runs', 'drops', 'files', 'run_drops', 'file_drops', 'schedules', 'schedule_slots', 'expected_drops')`)
	}
	asked := make([]ledger.Expected, feeds)
	for i := range asked {
		asked[i] = ledger.Expected{Feed: fmt.Sprintf("feed%d", i+1), Day: time.Now(), From: time.Now().Add(-time.Hour)}
	}
	asked[0].Feed = "one that has nothing"
	for _, analyse := range []string{``, `ANALYZE`} { // a young ledger's tables have not been
		do(t, conn, analyse)
		before := read()
		l = ledgertest.OpenAt(t, dsn)
		s, err := l.Status(t.Context(), asked, time.Now().AddDate(0, 0, -7), time.Hour)
		require.NoError(t, err)
		require.NotNil(t, s.Feeds["feed2"].LastRun)
		require.Equal(t, 1, s.Unfinished)
		reported(t, l, conn)
		require.LessOrEqual(t, read()-before, 12*feeds, analyse)
	}
}
