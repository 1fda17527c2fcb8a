package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
)

// six is a slot of the tests' feed.
var six = time.Date(2026, time.March, 6, 6, 0, 0, 0, time.UTC)

// planned is a ledger that knows the schedule of a feed.
type planned struct {
	*ledger.Ledger
	conn *pgx.Conn

	mu       sync.Mutex
	enqueued []time.Time // the slots for which jobs were added
}

func newPlanned(t *testing.T) *planned {
	t.Helper()
	dsn := ledgertest.Database(t)
	p := &planned{Ledger: ledgertest.OpenAt(t, dsn), conn: connect(t, dsn)}
	states, err := p.Schedules(t.Context(), []string{"acme"}, six.Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, six.Add(-time.Hour), states["acme"].Last.UTC())
	return p
}

// judge judges what is due until now, of slots that come each hour.
func (p *planned) judge(ctx context.Context, verdict func(ledger.SlotState) string, now time.Time) error {
	return p.JudgeSlots(ctx, "acme", func(s ledger.SlotState) (slots []ledger.JudgedSlot, last time.Time) {
		last = s.Last
		for at := s.Last.Truncate(time.Hour).Add(time.Hour); !at.After(now); at = at.Add(time.Hour) {
			v := verdict(s)
			slots, last = append(slots, ledger.JudgedSlot{At: at, Verdict: v, Runs: v == "run" || v == "queue"}), at
		}
		return slots, last
	}, p.enqueue)
}

// enqueue notes the slots for which a job is to be added.
func (p *planned) enqueue(_ context.Context, _ pgx.Tx, fresh []ledger.JudgedSlot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range fresh {
		if s.Runs {
			p.enqueued = append(p.enqueued, s.At.UTC())
		}
	}
	return nil
}

// due has a slot judged that runs, or is queued.
func (p *planned) due(t *testing.T, at time.Time, verdict string) {
	t.Helper()
	require.NoError(t, p.JudgeSlots(t.Context(), "acme", func(ledger.SlotState) ([]ledger.JudgedSlot, time.Time) {
		return []ledger.JudgedSlot{{At: at, Verdict: verdict, Runs: true}}, at
	}, func(context.Context, pgx.Tx, []ledger.JudgedSlot) error { return nil }))
}

func (p *planned) state(t *testing.T) (state ledger.SlotState) {
	t.Helper()
	require.NoError(t, p.JudgeSlots(t.Context(), "acme", func(s ledger.SlotState) ([]ledger.JudgedSlot, time.Time) {
		state = s
		return nil, s.Last
	}, p.enqueue))
	return state
}

// verdicts are all slots that were judged, with what became of them.
func (p *planned) verdicts(t *testing.T) map[time.Time]string {
	t.Helper()
	rows, err := p.conn.Query(t.Context(), `SELECT slot, verdict FROM schedule_slots`)
	require.NoError(t, err)
	all := map[time.Time]string{}
	var at time.Time
	var verdict string
	_, err = pgx.ForEachRow(rows, []any{&at, &verdict}, func() error { all[at.UTC()] = verdict; return nil })
	require.NoError(t, err)
	return all
}

func (p *planned) begin(t *testing.T, at time.Time, ttl time.Duration) (importer.Begun, ledger.SlotStanding) {
	t.Helper()
	b, standing, err := p.BeginSlot(t.Context(), "acme", at, ttl)
	require.NoError(t, err)
	return b, standing
}

func (p *planned) begun(t *testing.T, at time.Time, ttl time.Duration) importer.Begun {
	t.Helper()
	b, standing := p.begin(t, at, ttl)
	require.Equal(t, ledger.SlotBegun, standing)
	return b
}

// end finishes a run and ends its slot.
func (p *planned) end(t *testing.T, at time.Time, b importer.Begun) {
	t.Helper()
	require.NoError(t, p.FinishRun(t.Context(), b.Run, b.Holder, importer.Summary{Run: b.Run}, nil))
	require.NoError(t, p.EndSlot(t.Context(), "acme", at, b, ends))
}

func nothing(context.Context, pgx.Tx) error { return nil }

func ends(context.Context, pgx.Tx, ledger.Tried) error { return nil }

// over is a lease that has run out by the next call.
const over = time.Microsecond

func run(ledger.SlotState) string { return "run" }

// A schedule is kept for as long as somebody has it in a configuration, or nobody
// serves, or a person has paused it.
func TestAScheduleThatNobodyHasIsForgotten(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l, conn := ledgertest.OpenAt(t, dsn), connect(t, dsn)
	known := func() (feeds []string) {
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT array_agg(feed ORDER BY feed) FROM schedules`).Scan(&feeds))
		return feeds
	}
	look := func(feeds ...string) map[string]ledger.SlotState {
		states, err := l.Schedules(t.Context(), feeds, time.Now())
		require.NoError(t, err)
		return states
	}
	look("acme", "bravo", "charlie", "delta")
	require.NoError(t, l.PauseFeed(t.Context(), "charlie", true))
	do(t, conn, `UPDATE schedules SET seen = now() - interval '23 hours', last = '2026-03-02'`)
	look("acme")
	require.Equal(t, []string{"acme", "bravo", "charlie", "delta"}, known())
	do(t, conn, `UPDATE schedules SET seen = seen - interval '2 hours'`)
	look("acme", "delta")
	require.Equal(t, []string{"acme", "charlie", "delta"}, known())
	require.Equal(t, 2026, look("acme")["acme"].Last.Year())
	require.Equal(t, time.March, look("delta")["delta"].Last.Month(), "nobody served")
	do(t, conn, `UPDATE schedules SET seen = seen - interval '2 days'`)
	look()
	require.Equal(t, []string{"charlie"}, known())
	require.WithinDuration(t, time.Now(), look("acme")["acme"].Since, time.Minute)
}

func TestASlotIsJudgedOnceByManyAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for n := range 10 { // each sees other slots first
				errs[i] = errors.Join(errs[i], p.judge(t.Context(), run, six.Add(time.Duration((n+i)%10)*time.Hour)))
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	want := map[time.Time]string{}
	for n := range 10 {
		want[six.Add(time.Duration(n)*time.Hour)] = "run"
	}
	require.Equal(t, want, p.verdicts(t))
	require.Len(t, p.enqueued, 10)
	require.Equal(t, six.Add(9*time.Hour), p.state(t).Last.UTC())
}

// Whoever judges sees what those before have made of their slots.
func TestOfManySlotsThatAreJudgedAtOnceOneRuns(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	feeds := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} // each is a chance to see it go wrong
	_, err := p.Schedules(t.Context(), feeds, six.Add(-time.Hour))
	require.NoError(t, err)
	for _, feed := range feeds {
		errs := make([]error, 8)
		begin := make(chan struct{})
		var all sync.WaitGroup
		for i := range errs {
			at := six.Add(time.Duration(i) * time.Hour)
			all.Go(func() {
				<-begin
				errs[i] = p.JudgeSlots(t.Context(), feed, func(s ledger.SlotState) ([]ledger.JudgedSlot, time.Time) {
					if s.Running {
						return []ledger.JudgedSlot{{At: at, Verdict: "overlap"}}, at
					}
					return []ledger.JudgedSlot{{At: at, Verdict: "run", Runs: true}}, at
				}, p.enqueue)
			})
		}
		close(begin)
		all.Wait()
		require.NoError(t, errors.Join(errs...))
	}
	require.Len(t, p.enqueued, len(feeds))
}

func TestASlotIsNotJudgedWithoutItsJob(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	broken := errors.New("no job")
	err := p.JudgeSlots(t.Context(), "acme", func(ledger.SlotState) ([]ledger.JudgedSlot, time.Time) {
		return []ledger.JudgedSlot{{At: six, Verdict: "run", Runs: true}}, six
	}, func(context.Context, pgx.Tx, []ledger.JudgedSlot) error { return broken })
	require.ErrorIs(t, err, broken)
	require.Empty(t, p.verdicts(t))
	require.Equal(t, six.Add(-time.Hour), p.state(t).Last.UTC())
}

// Whoever judges knows of a run that is going, of one that waits, and of a pause.
func TestSlotsAreJudgedByHowThingsStand(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	stands := func() [3]bool {
		s := p.state(t)
		return [3]bool{s.Running, s.Queued, !s.Paused.IsZero()}
	}
	require.Equal(t, [3]bool{}, stands())
	p.due(t, six, "run")
	require.Equal(t, [3]bool{true, false, false}, stands(), "before it has begun")
	first := p.begun(t, six, time.Hour)
	p.due(t, six.Add(time.Hour), "queue")
	require.Equal(t, [3]bool{true, true, false}, stands())
	p.end(t, six, first)
	require.Equal(t, [3]bool{false, true, false}, stands())
	p.begun(t, six.Add(time.Hour), time.Hour)
	require.Equal(t, [3]bool{true, false, false}, stands())
	require.NoError(t, p.PauseFeed(t.Context(), "acme", true))
	require.Equal(t, [3]bool{true, false, true}, stands())
	require.NoError(t, p.PauseFeed(t.Context(), "acme", false))
	require.Equal(t, [3]bool{true, false, false}, stands())
}

// Fault 50.
func TestASlotThatAWrongClockPassedIsJudgedAgainAndNoneRunsTwice(t *testing.T) {
	t.Parallel()
	future := time.Date(2226, time.March, 6, 6, 0, 0, 0, time.UTC)
	p := newPlanned(t)
	judge := func(first time.Time, verdicts ...string) {
		for n, v := range verdicts {
			at := first.Add(time.Duration(n) * time.Hour)
			require.NoError(t, p.JudgeSlots(t.Context(), "acme", func(ledger.SlotState) ([]ledger.JudgedSlot, time.Time) {
				return []ledger.JudgedSlot{{At: at, Verdict: v, Runs: v == "run"}}, at
			}, p.enqueue))
		}
	}
	want := map[time.Time]string{}
	became := func(first time.Time, verdicts ...string) {
		for n, v := range verdicts {
			want[first.Add(time.Duration(n)*time.Hour)] = v
		}
		require.Equal(t, want, p.verdicts(t))
	}
	judge(six, "run", "missed", "paused", "holiday", "missed")
	became(six, "run", "missed", "paused", "holiday", "missed")
	judge(future, "run", "missed", "paused", "holiday", "overlap")
	became(future, "run", "missed", "paused", "holiday", "overlap")
	require.Equal(t, []time.Time{six, future}, p.enqueued)

	require.NoError(t, p.Rewind(t.Context(), "acme", six.Add(-time.Minute)))
	require.Equal(t, six.Add(-time.Minute), p.state(t).Last.UTC())
	require.NoError(t, p.Rewind(t.Context(), "acme", six))
	require.Equal(t, six.Add(-time.Minute), p.state(t).Last.UTC(), "another replica was faster")
	require.Equal(t, want, p.verdicts(t))

	// What had been passed over when it came stays so: it is not made up for.
	judge(six, "run", "run", "run", "run", "missed")
	became(six, "run", "run", "paused", "holiday", "missed")
	judge(future, "run", "run", "run", "holiday", "run")
	became(future, "run", "run", "run", "holiday", "run")
	for range 2 {
		judge(six, "run", "run", "run")
		judge(future, "missed", "run", "overlap", "run", "run")
	}
	became(future, "run", "run", "run", "run", "run")
	hour := func(first time.Time, n int) time.Time { return first.Add(time.Duration(n) * time.Hour) }
	require.Equal(t, []time.Time{six, future, hour(six, 1), hour(future, 1), hour(future, 2), hour(future, 4), hour(future, 3)}, p.enqueued)
}

func TestARunIsCarriedByOneOfMany(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	p.due(t, six, "run")
	begun, errs := make([]importer.Begun, 8), make([]error, 8)
	var all sync.WaitGroup
	for i := range begun {
		all.Go(func() { begun[i], _, errs[i] = p.BeginSlot(t.Context(), "acme", six, time.Hour) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	carriers := 0
	for _, b := range begun {
		if b.Run != 0 {
			carriers++
		}
	}
	require.Equal(t, 1, carriers)
	require.Equal(t, 1, ask[int](t, p.conn, `SELECT count(*) FROM runs`))
}

func TestARunWhoseCarrierIsGoneGoesOnUnderItsNumber(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*testing.T, *planned) importer.Begun{
		"died": func(t *testing.T, p *planned) importer.Begun {
			return p.begun(t, six, over)
		},
		"left": func(t *testing.T, p *planned) importer.Begun {
			b := p.begun(t, six, time.Hour)
			_, standing := p.begin(t, six, time.Hour)
			require.Equal(t, ledger.SlotBusy, standing)
			require.NoError(t, p.LeaveRun(t.Context(), b, nothing))
			return b
		},
		"died between the end of the run and that of the slot": func(t *testing.T, p *planned) importer.Begun {
			b := p.begun(t, six, over)
			require.NoError(t, p.FinishRun(t.Context(), b.Run, b.Holder, importer.Summary{Run: b.Run, Calls: 7}, errors.New("broken")))
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlanned(t)
			p.due(t, six, "run")
			first := leave(t, p)
			second := p.begun(t, six, time.Hour)
			require.Equal(t, first.Run, second.Run)
			require.NotEqual(t, first.Holder, second.Holder)
			require.True(t, second.Continued)
			require.False(t, first.Continued)
			runs, err := p.ListRuns(t.Context(), ledger.RunFilter{})
			require.NoError(t, err)
			require.Len(t, runs, 1)
			require.True(t, runs[0].Going)
			require.Empty(t, runs[0].Error)

			// The first one, if it lives, has no say any more.
			require.ErrorIs(t, p.RenewRun(t.Context(), first, time.Hour), importer.ErrLeaseLost)
			require.ErrorIs(t, p.FinishRun(t.Context(), first.Run, first.Holder, importer.Summary{}, nil), importer.ErrLeaseLost)
			require.ErrorIs(t, p.EndSlot(t.Context(), "acme", six, first, ends), importer.ErrLeaseLost)
			require.NoError(t, p.LeaveRun(t.Context(), first, func(context.Context, pgx.Tx) error { return errors.New("nothing follows") }))
			_, standing := p.begin(t, six, time.Hour)
			require.Equal(t, ledger.SlotBusy, standing)
			require.NoError(t, p.RenewRun(t.Context(), second, time.Hour))
			p.end(t, six, second)
			_, standing = p.begin(t, six, time.Hour)
			require.Equal(t, ledger.SlotEnded, standing)
			require.Equal(t, 2, ask[int](t, p.conn, `SELECT carriers FROM runs`))
		})
	}
}

func TestASlotEndsOnceAndNotBeforeItsRun(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	p.due(t, six, "run")
	b := p.begun(t, six, time.Hour)
	follows := 0
	end := func() error {
		return p.EndSlot(t.Context(), "acme", six, b, func(context.Context, pgx.Tx, ledger.Tried) error { follows++; return nil })
	}
	require.ErrorIs(t, end(), importer.ErrLeaseLost, "somebody must go on with a run that is not finished")
	require.NoError(t, p.FinishRun(t.Context(), b.Run, b.Holder, importer.Summary{Run: b.Run}, nil))
	require.NoError(t, end())
	require.NoError(t, end()) // as after a commit whose answer was lost
	require.Equal(t, 1, follows)

	p.due(t, six.Add(time.Hour), "run")
	b = p.begun(t, six.Add(time.Hour), time.Hour)
	require.NoError(t, p.FinishRun(t.Context(), b.Run, b.Holder, importer.Summary{Run: b.Run}, nil))
	broken := errors.New("no job")
	require.ErrorIs(t, p.EndSlot(t.Context(), "acme", six.Add(time.Hour), b, func(context.Context, pgx.Tx, ledger.Tried) error { return broken }), broken)
	require.Equal(t, 1, ask[int](t, p.conn, `SELECT count(*) FROM schedule_slots WHERE ended IS NULL`), "what follows belongs to it")
}

// A feed's runs come one after the other, in whichever order their slots became known.
func TestASlotWaitsForTheRunThatIsGoing(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]time.Duration{"a later one": time.Hour, "an earlier one that was judged late": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlanned(t)
			p.due(t, six, "run")
			p.begun(t, six, over)
			p.due(t, six.Add(second), "queue")
			_, standing := p.begin(t, six.Add(second), time.Hour)
			require.Equal(t, ledger.SlotBusy, standing)
			first := p.begun(t, six, time.Hour) // a run that has begun waits for none
			_, standing = p.begin(t, six.Add(second), time.Hour)
			require.Equal(t, ledger.SlotBusy, standing)
			p.end(t, six, first)
			require.NotEqual(t, first.Run, p.begun(t, six.Add(second), time.Hour).Run)
		})
	}
}

func TestOfTwoSlotsThatHaveComeTheEarlierOneBegins(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	p.due(t, six, "run")
	p.due(t, six.Add(time.Hour), "queue")
	_, standing := p.begin(t, six.Add(time.Hour), time.Hour)
	require.Equal(t, ledger.SlotBusy, standing)
	p.begun(t, six, time.Hour)
}

func TestARunIsCancelledByWhoeverCarriesIt(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	p.due(t, six, "run")
	b := p.begun(t, six, time.Hour)
	require.NoError(t, p.RenewRun(t.Context(), b, time.Hour))
	require.NoError(t, p.CancelRun(t.Context(), b.Run))
	require.NoError(t, p.CancelRun(t.Context(), b.Run))
	require.ErrorIs(t, p.RenewRun(t.Context(), b, time.Hour), importer.ErrCancelled)
	// Whoever takes over has to stop as well.
	require.NoError(t, p.LeaveRun(t.Context(), b, nothing))
	b = p.begun(t, six, time.Hour)
	require.ErrorIs(t, p.RenewRun(t.Context(), b, time.Hour), importer.ErrCancelled)
	p.end(t, six, b)
	require.ErrorContains(t, p.CancelRun(t.Context(), b.Run), "has ended already")
	// The next run is another.
	p.due(t, six.Add(time.Hour), "run")
	require.NoError(t, p.RenewRun(t.Context(), p.begun(t, six.Add(time.Hour), time.Hour), time.Hour))

	require.ErrorIs(t, p.CancelRun(t.Context(), 4711), ledger.ErrNoRun)
	byHand, _, err := p.StartRun(t.Context(), "acme", "import")
	require.NoError(t, err)
	require.ErrorContains(t, p.CancelRun(t.Context(), byHand), "interrupt the command that carries it")
}

func TestSlotsThatNobodyCarriesAreFound(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	left := func(while time.Duration, feeds ...string) (at []time.Time) {
		slots, err := p.LeftSlots(t.Context(), feeds, while)
		require.NoError(t, err)
		for _, s := range slots {
			require.Equal(t, "acme", s.Feed)
			at = append(at, s.At.UTC())
		}
		return at
	}
	p.due(t, six, "run")
	require.Equal(t, []time.Time{six}, left(0, "other", "acme"))
	require.Empty(t, left(0, "other"))
	require.Empty(t, left(time.Hour, "acme"), "a job is on its way")
	b := p.begun(t, six, time.Hour)
	require.Empty(t, left(0, "acme"))
	require.NoError(t, p.RenewRun(t.Context(), b, over))
	require.Equal(t, []time.Time{six}, left(0, "acme"))
	b = p.begun(t, six, time.Hour)
	require.NoError(t, p.LeaveRun(t.Context(), b, nothing))
	require.Equal(t, []time.Time{six}, left(0, "acme"))
	p.due(t, six.Add(time.Hour), "queue")
	require.Equal(t, []time.Time{six, six.Add(time.Hour)}, left(0, "acme"))
	p.end(t, six, p.begun(t, six, time.Hour))
	require.Equal(t, []time.Time{six.Add(time.Hour)}, left(0, "acme"))
}

func TestARunIsAskedForOnceUntilItBegins(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	require.NoError(t, p.PauseFeed(t.Context(), "acme", true)) // which is for the schedule
	jobs := 0
	asks := func() (time.Time, bool) {
		at, ok, err := p.AskRun(t.Context(), "acme", func(context.Context, pgx.Tx, time.Time) error { jobs++; return nil })
		require.NoError(t, err)
		return at, ok
	}
	first, ok := asks()
	require.True(t, ok)
	again, ok := asks()
	require.False(t, ok)
	require.Equal(t, first, again)
	require.Equal(t, 1, jobs)
	p.begun(t, first, time.Hour)
	require.True(t, p.state(t).Running)
	second, ok := asks()
	require.True(t, ok)
	require.True(t, second.After(first))
	_, standing := p.begin(t, second, time.Hour)
	require.Equal(t, ledger.SlotBusy, standing)

	errs, fresh := make([]error, 8), make([]bool, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			_, fresh[i], errs[i] = p.AskRun(t.Context(), "other", func(context.Context, pgx.Tx, time.Time) error { return nil })
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	n := 0
	for _, ok := range fresh {
		if ok {
			n++
		}
	}
	require.Equal(t, 1, n)
}

func TestADayIsJudgedOnce(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, time.March, 6, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		before func(*testing.T, *planned)
		late   bool
	}{
		"nothing has come": {func(*testing.T, *planned) {}, true},
		"a drop has come": {func(t *testing.T, p *planned) {
			_, err := p.OpenDrop(t.Context(), importer.Drop{Feed: "acme", Dialer: "main", Name: "leads.csv"})
			require.NoError(t, err)
		}, false},
		"a drop of yesterday": {func(t *testing.T, p *planned) {
			d, err := p.OpenDrop(t.Context(), importer.Drop{Feed: "acme", Dialer: "main", Name: "leads.csv"})
			require.NoError(t, err)
			do(t, p.conn, `UPDATE drops SET first_seen = $2 WHERE id = $1`, d.ID, day.Add(-time.Second))
		}, true},
		"another feed's": {func(t *testing.T, p *planned) {
			_, err := p.OpenDrop(t.Context(), importer.Drop{Feed: "other", Dialer: "main", Name: "leads.csv"})
			require.NoError(t, err)
		}, true},
		"a file with known content": {func(t *testing.T, p *planned) {
			do(t, p.conn, `UPDATE drops SET first_seen = $1`, day.Add(-time.Hour))
			_, err := p.TakeFile(t.Context(), "acme", "/drops", importer.File{Path: "leads.csv"}, nil)
			require.NoError(t, err)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlanned(t)
			c.before(t, p)
			errs, late := make([]error, 6), make([]bool, 6)
			var mu sync.Mutex
			follows := 0
			var all sync.WaitGroup
			for i := range errs {
				all.Go(func() {
					var judged bool
					judged, late[i], errs[i] = p.JudgeDay(t.Context(), "acme", day, day, day.Add(7*time.Hour), 0, func(context.Context, pgx.Tx) error {
						mu.Lock()
						defer mu.Unlock()
						follows++
						return nil
					})
					if !judged {
						errs[i] = errors.Join(errs[i], errors.New("it was not judged"))
					}
				})
			}
			all.Wait()
			require.NoError(t, errors.Join(errs...))
			n := 0
			for _, l := range late {
				if l {
					n++
				}
			}
			want := 0
			if c.late {
				want = 1
			}
			require.Equal(t, want, n, "one of them is told that it is late")
			require.Equal(t, want, follows)
		})
	}
}

// A run that is going may be about to bring the drop in. It is not waited for when it
// goes for long, or when another has looked for the drop since the hour.
func TestADayIsJudgedPatiently(t *testing.T) {
	t.Parallel()
	carried := func(t *testing.T, p *planned, at time.Time) {
		p.due(t, at, "run")
		p.end(t, at, p.begun(t, at, time.Hour))
	}
	for name, c := range map[string]struct {
		before func(*testing.T, *planned)
		judged bool
	}{
		"no run goes":                  {func(*testing.T, *planned) {}, true},
		"a run is about to begin":      {func(t *testing.T, p *planned) { p.due(t, six, "run") }, false},
		"a run goes":                   {func(t *testing.T, p *planned) { p.due(t, six, "run"); p.begun(t, six, time.Hour) }, false},
		"a run has ended":              {func(t *testing.T, p *planned) { carried(t, p, six) }, true},
		"after a night without anyone": {func(t *testing.T, p *planned) { p.due(t, six.Add(3*time.Hour), "run") }, false},
		"a run goes for long": {func(t *testing.T, p *planned) {
			p.due(t, six, "run")
			do(t, p.conn, `UPDATE schedule_slots SET judged = now() - interval '61 minutes'`)
		}, true},
		"another has ended since": {func(t *testing.T, p *planned) {
			carried(t, p, six)
			p.due(t, six.Add(time.Hour), "run")
		}, true},
		"another had ended before": {func(t *testing.T, p *planned) {
			carried(t, p, six.Add(-time.Hour))
			do(t, p.conn, `UPDATE schedule_slots SET ended = $1`, six.Add(-time.Minute))
			p.due(t, six, "run")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlanned(t)
			c.before(t, p)
			day := six.Truncate(24 * time.Hour)
			for again := range 2 {
				judged, late, err := p.JudgeDay(t.Context(), "acme", day, day, six, time.Hour, nothing)
				require.NoError(t, err)
				require.Equal(t, c.judged, judged)
				require.Equal(t, c.judged && again == 0, late, "once")
			}
		})
	}
}

// What those who carried a run one after the other did is one run's.
func TestARunThatSeveralCarriedIsCountedWhole(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	p.due(t, six, "run")
	carry := func(ttl time.Duration) *work {
		b := p.begun(t, six, ttl)
		w := &work{Ledger: p.Ledger, run: b.Run, holder: b.Holder}
		var err error
		w.d, err = w.OpenDrop(t.Context(), importer.Drop{Feed: "acme", Dialer: "main", Name: "leads.csv"})
		require.NoError(t, err)
		w.d, err = w.LeaseDrop(t.Context(), w.d.ID, w.holder, ttl)
		require.NoError(t, err)
		require.NoError(t, w.JoinDrop(t.Context(), w.run, w.d, false))
		return w
	}
	first := carry(over).recorded(t, 1, 2, 3, 4, 5).armed(t, 1, 2)
	_, err := first.settle(t.Context(), importer.Succeeded, 1, 2)
	require.NoError(t, err)
	second := carry(time.Hour).armed(t, 3)
	_, err = second.settle(t.Context(), importer.Rejected, 3)
	require.NoError(t, err)

	// It leaves two rows, and counts what it has done itself.
	require.NoError(t, p.FinishRun(t.Context(), second.run, second.holder, importer.Summary{Run: second.run, Calls: 1, Seconds: 0.001}, errors.New("stopped")))
	runs, err := p.ListRuns(t.Context(), ledger.RunFilter{ID: second.run})
	require.NoError(t, err)
	require.Equal(t, 3, runs[0].Calls)
	require.Equal(t, "stopped", runs[0].Error)
	require.Len(t, runs[0].Drops, 1)
	sum := map[importer.State]int{}
	for sr, n := range runs[0].Drops[0].Counts {
		sum[sr.State] += n
	}
	require.Equal(t, map[importer.State]int{importer.Succeeded: 2, importer.Rejected: 1, importer.Pending: 2}, sum)
	require.Greater(t, runs[0].Seconds, 0.001, "since the first began")
	// They are kept as the run left them.
	third := &work{Ledger: p.Ledger, d: second.d}
	third.run, third.holder, err = p.StartRun(t.Context(), "acme", "import")
	require.NoError(t, err)
	do(t, p.conn, `UPDATE drops SET leased_until = now() - interval '1s'`)
	third.d, err = third.LeaseDrop(t.Context(), third.d.ID, third.holder, time.Hour)
	require.NoError(t, err)
	third.armed(t, 4, 5)
	runs, err = p.ListRuns(t.Context(), ledger.RunFilter{ID: second.run})
	require.NoError(t, err)
	require.Equal(t, sum[importer.Pending], runs[0].Drops[0].Counts[importer.StateReason{State: importer.Pending}])
}

// failed ends a slot's run, and has it tried again at a moment.
func (p *planned) failed(t *testing.T, at, again time.Time, want ledger.Tried) {
	t.Helper()
	b := p.begun(t, at, time.Hour)
	require.NoError(t, p.FinishRun(t.Context(), b.Run, b.Holder, importer.Summary{Run: b.Run}, errors.New("the dialer is away")))
	require.NoError(t, p.EndSlot(t.Context(), "acme", at, b, func(ctx context.Context, tx pgx.Tx, tried ledger.Tried) error {
		tried.Since = tried.Since.UTC()
		require.Equal(t, want, tried)
		tried.Times++
		return ledger.TryAgain(ctx, tx, "acme", again, tried)
	}))
}

func TestARunThatFailedIsTriedAgainInItsTime(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	p.due(t, six, "run")
	later := time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
	p.failed(t, six, six.Add(time.Minute), ledger.Tried{Since: six})
	p.failed(t, six.Add(time.Minute), later, ledger.Tried{Since: six, Times: 1})
	_, standing := p.begin(t, later, time.Hour)
	require.Equal(t, ledger.SlotBusy, standing, "it is too early")
	left, err := p.LeftSlots(t.Context(), []string{"acme"}, 0)
	require.NoError(t, err)
	require.Empty(t, left)
	require.False(t, p.state(t).Running, "it keeps no slot of the schedule back")
}

func TestWhatIsToBeTriedAgainIsOvertaken(t *testing.T) {
	t.Parallel()
	for name, overtake := range map[string]func(*testing.T, *planned){
		"by the next slot": func(t *testing.T, p *planned) { p.due(t, six.Add(time.Hour), "run") },
		"by who asks for a run": func(t *testing.T, p *planned) {
			_, _, err := p.AskRun(t.Context(), "acme", func(context.Context, pgx.Tx, time.Time) error { return nil })
			require.NoError(t, err)
		},
		"by a pause": func(t *testing.T, p *planned) { require.NoError(t, p.PauseFeed(t.Context(), "acme", true)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlanned(t)
			p.due(t, six, "run")
			again := six.Add(time.Minute)
			p.failed(t, six, again, ledger.Tried{Since: six})
			overtake(t, p)
			_, standing := p.begin(t, again, time.Hour)
			require.Equal(t, ledger.SlotEnded, standing)
		})
	}
}

// What one has counted before the run went on is not its last word.
func TestARunThatGoesOnIsCountedAnew(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	p.due(t, six, "run")
	carry := func() *work {
		b := p.begun(t, six, over)
		return &work{Ledger: p.Ledger, run: b.Run, holder: b.Holder}
	}
	lease := func(w *work) *work {
		var err error
		w.d, err = w.OpenDrop(t.Context(), importer.Drop{Feed: "acme", Dialer: "main", Name: "leads.csv"})
		require.NoError(t, err)
		w.d, err = w.LeaseDrop(t.Context(), w.d.ID, w.holder, over)
		require.NoError(t, err)
		require.NoError(t, w.JoinDrop(t.Context(), w.run, w.d, false))
		return w
	}
	first := lease(carry()).recorded(t, 1, 2)
	pending := importer.Counts{{State: importer.Pending}: 2}
	stopped := importer.Summary{Run: first.run, Drops: []importer.DropSummary{{Drop: first.d, Counts: pending}}}
	require.NoError(t, p.FinishRun(t.Context(), first.run, first.holder, stopped, errors.New("stopped")))
	_, err := lease(carry()).armed(t, 1, 2).settle(t.Context(), importer.Succeeded, 1, 2) // and it dies
	require.NoError(t, err)
	third := carry()
	require.NoError(t, p.FinishRun(t.Context(), third.run, third.holder, importer.Summary{Run: third.run}, nil))
	runs, err := p.ListRuns(t.Context(), ledger.RunFilter{ID: third.run})
	require.NoError(t, err)
	require.Equal(t, 2, runs[0].Drops[0].Counts.Outcome(importer.OutcomeSuccess))
	require.Equal(t, 2, runs[0].Drops[0].Counts.Rows())
}

// An alarm is told when the run has ended, also of those who left it to others.
func TestTheAlarmsOfAllWhoCarriedARunStay(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	p.due(t, six, "run")
	for i, alarms := range [][]string{{"a double"}, {"a double", "another"}, nil} {
		b := p.begun(t, six, over)
		for range 2 { // the answer to the first one was lost
			require.NoError(t, p.FinishRun(t.Context(), b.Run, b.Holder, importer.Summary{Run: b.Run, Alarms: alarms}, nil))
		}
		runs, err := p.ListRuns(t.Context(), ledger.RunFilter{ID: b.Run})
		require.NoError(t, err)
		require.Equal(t, [][]string{{"a double"}, {"a double", "another"}, {"a double", "another"}}[i], runs[0].Alarms)
	}
}

// A run that kills whoever carries it is known by that; one that is left in order is not.
func TestWhoVanishesWithARunIsCounted(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	p.due(t, six, "run")
	for deaths := range 3 {
		require.Equal(t, deaths, p.begun(t, six, over).Deaths)
	}
	b := p.begun(t, six, time.Hour)
	require.Equal(t, 3, b.Deaths)
	require.NoError(t, p.LeaveRun(t.Context(), b, nothing))
	require.Equal(t, 3, p.begun(t, six, time.Hour).Deaths)
}

func TestARunThatNobodyCarriesEndsWhenItIsCancelled(t *testing.T) {
	t.Parallel()
	p := newPlanned(t)
	p.due(t, six, "run")
	b := p.begun(t, six, over)
	require.NoError(t, p.CancelRun(t.Context(), b.Run))
	_, standing := p.begin(t, six, time.Hour)
	require.Equal(t, ledger.SlotEnded, standing)
	runs, err := p.ListRuns(t.Context(), ledger.RunFilter{ID: b.Run})
	require.NoError(t, err)
	require.False(t, runs[0].Finished.IsZero())
	require.Equal(t, importer.ErrCancelled.Error(), runs[0].Error)
}
