package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"importer/internal/daemon"
	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
)

var noon = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

// held is a feed each of whose runs waits for its turn: for a value that says how
// it ends, or for its context.
type held struct {
	feed  daemon.Feed
	ends  chan func(context.Context, importer.Begun) (importer.Summary, error)
	cause chan error // why the context of a run that has ended was cancelled
}

func newHeld(t *testing.T, b *bench, name string) *held {
	t.Helper()
	l := ledgertest.OpenAt(t, b.dsn)
	h := &held{feed: scheduled(t, "0 6 * * *"), ends: make(chan func(context.Context, importer.Begun) (importer.Summary, error)), cause: make(chan error, 10)}
	h.feed.Name = name
	h.feed.Run = func(ctx context.Context, begun importer.Begun) (importer.Summary, error) {
		defer func() { h.cause <- context.Cause(ctx) }()
		select {
		case end := <-h.ends:
			return end(ctx, begun)
		case <-ctx.Done():
			return finish(ctx, l, begun)
		}
	}
	return h
}

// well lets a run end as it should.
func (h *held) well(l *ledger.Ledger) {
	h.ends <- func(ctx context.Context, b importer.Begun) (importer.Summary, error) { return finish(ctx, l, b) }
}

// asksFor has a run asked for.
func (b *bench) asksFor(t *testing.T, feed string) *ledger.Ledger {
	t.Helper()
	l := ledgertest.OpenAt(t, b.dsn)
	_, ok, err := daemon.Ask(t.Context(), l, feed)
	require.NoError(t, err)
	require.True(t, ok)
	return l
}

const going = `SELECT count(*) = 1 FROM schedule_slots JOIN runs ON id = run_id WHERE ended IS NULL AND leased_until > clock_timestamp() AND carriers = $1`

func TestARunThatAnotherHasTakenOverIsStoppedAndNotEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	r := b.serve(t, usual, h.feed)
	l := b.asksFor(t, "acme")
	b.until(t, going, 1)
	// It was frozen for a while, and somebody else was there.
	var taken importer.Begun
	waitFor(t, func() bool {
		_, err := b.conn.Exec(t.Context(), `UPDATE runs SET leased_until = clock_timestamp() - interval '1s'`)
		require.NoError(t, err)
		begun, standing, err := l.BeginSlot(t.Context(), "acme", ask[time.Time](t, b, `SELECT slot FROM schedule_slots`), time.Hour)
		require.NoError(t, err)
		taken = begun
		return standing == ledger.SlotBegun
	})
	require.ErrorIs(t, <-h.cause, importer.ErrLeaseLost)
	waitFor(t, func() bool { return r.said("another replica has taken over a run") == 1 })
	require.NoError(t, l.RenewRun(t.Context(), taken, time.Hour))
	require.Equal(t, 1, ask[int](t, b, `SELECT count(*) FROM schedule_slots WHERE ended IS NULL`))
	require.Empty(t, r.heard(daemon.EventRun))
}

// The run's end was not recorded, since the ledger was away just then.
func TestARunWhoseEndWasNotRecordedGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	r := b.serve(t, usual, h.feed)
	l := b.asksFor(t, "acme")
	h.ends <- func(_ context.Context, begun importer.Begun) (importer.Summary, error) {
		return importer.Summary{Run: begun.Run}, importer.ErrUnavailable
	}
	h.well(l)
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots JOIN runs ON id = run_id WHERE ended IS NOT NULL AND finished IS NOT NULL AND carriers = 2`)
	waitFor(t, func() bool { return len(r.heard(daemon.EventRun)) == 1 })
	begun := r.runs()
	require.Len(t, begun, 2)
	require.Equal(t, begun[0].Run, begun[1].Run)
}

// A ledger that is away for a moment costs no morning, neither when the run begins
// nor when it has waited for it in vain.
func TestARunThatTheLedgerStoppedGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	r := b.serve(t, usual, h.feed)
	l := b.asksFor(t, "acme")
	away := fmt.Errorf("%w: no connection", importer.ErrUnavailable)
	h.ends <- func(context.Context, importer.Begun) (importer.Summary, error) { return importer.Summary{}, away }
	h.ends <- func(ctx context.Context, begun importer.Begun) (importer.Summary, error) {
		s := importer.Summary{Run: begun.Run, Why: away.Error()}
		return s, errors.Join(away, l.FinishRun(ctx, begun.Run, begun.Holder, s, away))
	}
	h.well(l)
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots JOIN runs ON id = run_id WHERE ended IS NOT NULL AND error = '' AND carriers = 3`)
	waitFor(t, func() bool { return len(r.heard(daemon.EventRun)) == 1 })
	require.Equal(t, 2, r.said("a run stopped since the ledger was away, and goes on when that is there"))
}

// PostgreSQL has crashed and with it the last of what was settled: the rows are
// brought to their end before the schedule's next run.
func TestARunThatLeavesRowsIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	b.serve(t, func(o *daemon.Options) { o.RetryAfter = 0 }, h.feed)
	l := b.asksFor(t, "acme")
	h.ends <- func(ctx context.Context, begun importer.Begun) (importer.Summary, error) {
		s, err := finish(ctx, l, begun)
		s.Drops = []importer.DropSummary{{Counts: importer.Counts{{State: importer.Armed}: 3}}}
		return s, err
	}
	h.well(l)
	b.until(t, `SELECT count(*) = 2 AND count(*) FILTER (WHERE verdict = 'again') = 1 FROM schedule_slots WHERE ended IS NOT NULL`)
}

// What cannot even begin has failed, which the ledger and people are told.
func TestARunThatCannotBeginHasFailed(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	r := b.serve(t, usual, h.feed)
	b.asksFor(t, "acme")
	h.ends <- func(context.Context, importer.Begun) (importer.Summary, error) {
		return importer.Summary{}, errors.New("the key is not there")
	}
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots JOIN runs ON id = run_id WHERE ended IS NOT NULL AND finished IS NOT NULL AND error = 'the key is not there'`)
	waitFor(t, func() bool { return len(r.heard(daemon.EventRun)) == 1 })
}

func TestACancelledRunEndsAndIsNotBegunAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	r := b.serve(t, usual, h.feed)
	l := b.asksFor(t, "acme")
	b.until(t, going, 1)
	waitFor(t, func() bool { return len(r.runs()) == 1 })
	require.NoError(t, l.CancelRun(t.Context(), r.runs()[0].Run))
	require.ErrorIs(t, <-h.cause, importer.ErrCancelled)
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots JOIN runs ON id = run_id WHERE ended IS NOT NULL AND finished IS NOT NULL AND error LIKE 'cancelled: %'`)
	require.Len(t, r.runs(), 1)
}

// A replica that is stopped leaves its run, and another goes on at once: its lease
// is an hour.
func TestAStoppedReplicasRunGoesOnAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	patient := func(o *daemon.Options) { o.Lease = time.Hour }
	one := b.serve(t, patient, h.feed)
	l := b.asksFor(t, "acme")
	waitFor(t, func() bool { return len(one.runs()) == 1 }) // it was not stopped in between
	require.NoError(t, one.ends())
	require.ErrorContains(t, <-h.cause, "importer serve was stopped")
	two := b.serve(t, patient, h.feed)
	h.well(l)
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots JOIN runs ON id = run_id WHERE ended IS NOT NULL AND carriers = 2 AND error = ''`)
	require.True(t, two.runs()[0].Continued)
	require.Equal(t, one.runs()[0].Run, two.runs()[0].Run)
}

func TestARunThatDoesNotEndIsNotWaitedForBeyondStopTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	feed := scheduled(t, "0 6 * * *")
	release := make(chan struct{})
	feed.Run = func(context.Context, importer.Begun) (importer.Summary, error) {
		<-release
		return importer.Summary{}, nil
	}
	r := b.serve(t, func(o *daemon.Options) { o.StopTimeout = 100 * time.Millisecond }, feed)
	b.asksFor(t, "acme")
	waitFor(t, func() bool { return len(r.runs()) == 1 })
	require.ErrorContains(t, r.ends(), "serve.stop_timeout (100ms)")
	close(release)
	b.until(t, `SELECT leased_until IS NULL FROM runs`)
}

// A feed that keeps its place keeps no other from its own, and there are no more
// runs at once than places.
func TestRunsShareThePlacesOfAReplica(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	slow, more, quick := newHeld(t, b, "slow"), newHeld(t, b, "more"), newHeld(t, b, "quick")
	r := b.serve(t, func(o *daemon.Options) { o.AtOnce = 2 }, slow.feed, more.feed, quick.feed)
	l := b.asksFor(t, "slow")
	waitFor(t, func() bool { return len(r.runs()) == 1 })
	b.asksFor(t, "more")
	waitFor(t, func() bool { return len(r.runs()) == 2 })
	b.asksFor(t, "quick")
	b.at(t, noon, r) // it has looked at whom it could carry
	b.at(t, noon, r)
	require.Len(t, r.runs(), 2)
	more.well(l)
	waitFor(t, func() bool { return len(r.runs()) == 3 })
	quick.well(l)
	b.until(t, `SELECT count(*) = 2 FROM schedule_slots WHERE ended IS NOT NULL`)
	slow.well(l)
	b.until(t, `SELECT count(*) = 3 FROM schedule_slots WHERE ended IS NOT NULL`)
}

// A run goes on as it began when the configuration is another, and what is taken
// out of it waits until it is there again.
func TestFeedsThatAreTakenOutWait(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h, other := newHeld(t, b, "acme"), newHeld(t, b, "other")
	r := b.serve(t, usual, h.feed, other.feed)
	l := b.asksFor(t, "acme")
	b.until(t, going, 1)
	all := r.feeds
	r.feeds = all[1:]
	b.at(t, noon, r)
	h.well(l)
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots WHERE ended IS NOT NULL`)
	b.asksFor(t, "acme")
	b.asksFor(t, "other")
	other.well(l)
	b.until(t, `SELECT count(*) = 2 FROM schedule_slots WHERE ended IS NOT NULL`)
	require.Len(t, r.runs(), 2)
	r.feeds = all
	b.at(t, noon, r)
	h.well(l)
	b.until(t, `SELECT count(*) = 3 FROM schedule_slots WHERE ended IS NOT NULL`)
}

// Whoever took a run up without its job is found by the job that comes.
func TestAJobFindsTheRunThatGoesOnHere(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	b.serve(t, usual, h.feed)
	l := ledgertest.OpenAt(t, b.dsn)
	at, _, err := l.AskRun(t.Context(), "acme", func(context.Context, pgx.Tx, time.Time) error { return nil })
	require.NoError(t, err)
	b.until(t, going, 1)
	client, err := river.NewClient(riverpgxv5.New(l.River()), &river.Config{})
	require.NoError(t, err)
	_, err = client.Insert(t.Context(), daemon.SlotArgs{Feed: "acme", At: at.UTC()}, &river.InsertOpts{Queue: "runs"})
	require.NoError(t, err)
	b.until(t, `SELECT state = 'running' OR metadata ? 'snoozes' FROM river_job WHERE kind = 'slot'`)
	h.well(l)
	b.until(t, `SELECT state = 'completed' FROM river_job WHERE kind = 'slot'`)
	require.False(t, ask[bool](t, b, `SELECT metadata ? 'snoozes' FROM river_job WHERE kind = 'slot'`), "it was taken for another's")
}

// A run that seems to kill whoever carries it is given up, and people are told.
func TestARunThatKillsItsCarriersIsGivenUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	l := b.asksFor(t, "acme")
	for range 20 {
		slots, err := l.LeftSlots(t.Context(), []string{"acme"}, 0)
		require.NoError(t, err)
		require.Len(t, slots, 1)
		_, standing, err := l.BeginSlot(t.Context(), "acme", slots[0].At, time.Microsecond)
		require.NoError(t, err)
		require.Equal(t, ledger.SlotBegun, standing)
	}
	r := b.serve(t, usual, h.feed)
	waitFor(t, func() bool { return len(r.heard(daemon.EventRun)) == 1 })
	require.Empty(t, r.runs(), "it was carried once more")
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots JOIN runs ON id = run_id WHERE ended IS NOT NULL AND error LIKE '20 importers have vanished%'`)
}
