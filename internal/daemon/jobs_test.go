package daemon_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/daemon"
	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
	"importer/internal/report"
)

// soon makes a job that is scheduled for later, or is to be tried again, due now.
func (b *bench) soon(t *testing.T, kind string) {
	t.Helper()
	_, err := b.conn.Exec(t.Context(), `UPDATE river_job SET state = 'available', scheduled_at = now() WHERE kind = $1 AND state IN ('scheduled', 'retryable')`, kind)
	require.NoError(t, err)
	waitFor(t, func() bool { // the job engine is woken until it has heard
		_, err := b.conn.Exec(t.Context(), `SELECT pg_notify(current_schema() || '.river_insert', '{"queue": "' || queue || '"}') FROM river_job WHERE kind = $1`, kind)
		require.NoError(t, err)
		return ask[bool](t, b, `SELECT count(*) = 0 FROM river_job WHERE kind = $1 AND state = 'available'`, kind)
	})
}

// attempt waits until a kind's only job was tried so often.
func (b *bench) attempt(t *testing.T, kind string, n int) {
	t.Helper()
	b.until(t, `SELECT count(*) = 1 FROM river_job WHERE kind = $1 AND attempt = $2 AND state <> 'running'`, kind, n)
}

// A replica that has not read the configuration yet in which a target stands
// swallows no message to it.
func TestAMessageToATargetThatIsUnknownHereIsNotLost(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	r := b.serve(t, usual, scheduled(t, "0 6 * * *"))
	known := r.feeds[0]
	tell := known.Tell
	known.Tell = func(context.Context, string, string, string, daemon.Event) (bool, error) {
		return true, errors.New("busy")
	}
	r.Use([]daemon.Feed{known})
	b.asksFor(t, "acme")
	b.attempt(t, "tell", 1)
	known.Notify = nil
	r.Use([]daemon.Feed{known})
	b.soon(t, "tell")
	b.attempt(t, "tell", 2)
	r.Use(nil)
	b.soon(t, "tell")
	b.attempt(t, "tell", 3)
	known.Notify, known.Tell = map[string]string{"monitor": daemon.TellAlways}, tell
	r.Use([]daemon.Feed{known})
	b.soon(t, "tell")
	waitFor(t, func() bool { return len(r.heard(daemon.EventRun)) == 1 })

	// It is not tried for ever.
	known.Notify = nil
	r.Use([]daemon.Feed{known})
	_, err := b.conn.Exec(t.Context(), `UPDATE river_job SET state = 'retryable', attempt = 6, finalized_at = NULL WHERE kind = 'tell'`)
	require.NoError(t, err)
	b.soon(t, "tell")
	b.until(t, `SELECT attempt = 7 AND state = 'completed' FROM river_job WHERE kind = 'tell'`)
}

// An audit that cannot be brought to its end is tried again, and what it has found
// is not told each time.
func TestAnAuditThatIsTriedAgainIsNotToldEachTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	feed := scheduled(t, "0 6 * * *")
	refusal := errors.New("login refused")
	outcomes := make(chan error, 4)
	l := ledgertest.OpenAt(t, b.dsn)
	feed.Run = func(ctx context.Context, begun importer.Begun) (importer.Summary, error) {
		s, err := finish(ctx, l, begun)
		s.Doubtful = true
		return s, err
	}
	feed.Audit = func(context.Context, int64) (importer.Summary, error) {
		return importer.Summary{Run: 1000, Alarms: []string{"a double"}}, <-outcomes
	}
	r := b.serve(t, usual, feed)
	b.asksFor(t, "acme")
	b.until(t, `SELECT count(*) = 2 FROM river_job WHERE kind = 'audit'`)
	_, err := b.conn.Exec(t.Context(), `DELETE FROM river_job WHERE kind = 'audit' AND scheduled_at > now() + interval '2h'`)
	require.NoError(t, err)
	told := func() (n int) {
		for _, e := range r.heard(daemon.EventRun) {
			if e.Run == 1000 {
				n++
			}
		}
		return n
	}
	for n := 1; n <= 3; n++ {
		outcomes <- refusal
		b.soon(t, "audit")
		b.attempt(t, "audit", n)
	}
	waitFor(t, func() bool { return told() == 1 })
	outcomes <- nil
	b.soon(t, "audit")
	waitFor(t, func() bool { return told() == 2 })
}

// What is left of a feed that is gone for good does not go round for ever.
func TestAnAuditOfAFeedThatIsGoneIsGivenUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	feed := scheduled(t, "0 6 * * *")
	l := ledgertest.OpenAt(t, b.dsn)
	feed.Run = func(ctx context.Context, begun importer.Begun) (importer.Summary, error) {
		s, err := finish(ctx, l, begun)
		s.Doubtful = true
		return s, err
	}
	r := b.serve(t, usual, feed)
	b.asksFor(t, "acme")
	b.until(t, `SELECT count(*) = 2 FROM river_job WHERE kind = 'audit'`)
	r.Use(nil)
	b.soon(t, "audit")
	b.until(t, `SELECT count(*) = 2 FROM river_job WHERE kind = 'audit' AND state = 'scheduled' AND metadata ? 'snoozes'`)
	_, err := b.conn.Exec(t.Context(), `UPDATE river_job SET created_at = now() - interval '8 days' WHERE kind = 'audit'`)
	require.NoError(t, err)
	b.soon(t, "audit")
	b.until(t, `SELECT count(*) = 2 FROM river_job WHERE kind = 'audit' AND state = 'completed'`)
}

// Who went before may have lost answers that nobody has heard of since.
func TestARunThatAnotherHasBegunIsAudited(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	b.serve(t, usual, h.feed)
	l := b.asksFor(t, "acme")
	h.ends <- func(_ context.Context, begun importer.Begun) (importer.Summary, error) {
		return importer.Summary{Run: begun.Run}, importer.ErrUnavailable // as if it had died
	}
	h.well(l)
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots WHERE ended IS NOT NULL`)
	require.Equal(t, 2, ask[int](t, b, `SELECT count(*) FROM river_job WHERE kind = 'audit'`))
}

func TestWhoIsToldOfLateDropsHearsOfNoRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	r := b.serve(t, usual, scheduled(t, "0 6 * * *"))
	known := r.feeds[0]
	known.Notify = map[string]string{"monitor": daemon.TellAlways, "manager": daemon.TellLate}
	r.Use([]daemon.Feed{known})
	b.asksFor(t, "acme")
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots WHERE ended IS NOT NULL`)
	require.Equal(t, "monitor", ask[string](t, b, `SELECT string_agg(args ->> 'target', ' ') FROM river_job WHERE kind = 'tell'`))
}

func TestAMessageThatIsRefusedForGoodIsNotSentAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	r := b.serve(t, usual, scheduled(t, "0 6 * * *"))
	known := r.feeds[0]
	known.Tell = func(context.Context, string, string, string, daemon.Event) (bool, error) {
		return false, errors.New("no such address")
	}
	r.Use([]daemon.Feed{known})
	b.asksFor(t, "acme")
	b.until(t, `SELECT count(*) = 1 FROM river_job WHERE kind = 'tell' AND state = 'cancelled' AND attempt = 1`)
	require.Equal(t, 1, r.said("a message was not taken, and is given up"))
	r.note(func() { require.Equal(t, []string{"monitor"}, r.givenUp) })
	l := b.asksFor(t, "acme")
	b.until(t, `SELECT count(*) = 2 FROM river_job WHERE kind = 'tell' AND state = 'cancelled'`)
	s, err := daemon.Status(t.Context(), l, nil, noon)
	require.NoError(t, err)
	first, last := ask[time.Time](t, b, `SELECT min(finalized_at) FROM river_job WHERE kind = 'tell'`), ask[time.Time](t, b, `SELECT max(finalized_at) FROM river_job WHERE kind = 'tell'`)
	require.Equal(t, []report.GivenUp{{Target: "monitor", Messages: 2, Since: first.UTC(), Last: last.UTC(), Feed: "acme"}}, s.GivenUp)
}
