package daemon_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/daemon"
	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
	"importer/internal/schedule"
)

const wrong = "slots were judged far ahead of the clock, which was wrong then or is now: judging begins again from now, and no slot runs twice"

// Fault 50. Two replicas see each jump.
func TestAClockThatJumpsRunsNoSlotTwiceAndLosesNone(t *testing.T) {
	t.Parallel()
	zone := newYork(t)
	at := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, zone)
	}
	type step struct {
		now  time.Time
		runs int // in all, since the beginning
	}
	for name, steps := range map[string][]step{
		"an hour back": {
			{at(3, 2, 6, 0), 1},
			{at(3, 2, 5, 0), 1},
			{at(3, 2, 6, 0), 1},
			{at(3, 2, 6, 30), 1},
			{at(3, 3, 6, 0), 2},
		},
		"an hour ahead, and back": {
			{at(3, 2, 5, 30), 0},
			{at(3, 2, 6, 30), 1},
			{at(3, 2, 5, 31), 1},
			{at(3, 2, 6, 0), 1},
			{at(3, 3, 5, 59), 1},
			{at(3, 3, 6, 0), 2},
		},
		"a year ahead, and back": {
			{at(3, 2, 6, 0), 1},
			{at(3, 2, 7, 0).AddDate(1, 0, 0), 2}, // of that day
			{at(3, 2, 7, 1), 2},
			{at(3, 3, 6, 0), 3},
			{at(3, 4, 6, 0), 4},
			{at(3, 4, 6, 0).AddDate(0, 10, 0), 5}, // among the last hundred before the wrong day
			{at(3, 5, 6, 0).AddDate(0, 10, 0), 6},
			{at(3, 2, 7, 0).AddDate(1, 0, 0), 6}, // that day once more
			{at(3, 3, 6, 0).AddDate(1, 0, 0), 7},
		},
		"a year back, and ahead": {
			{at(3, 2, 6, 0), 1},
			{at(3, 2, 6, 30).AddDate(-1, 0, 0), 1},
			{at(3, 3, 6, 0).AddDate(-1, 0, 0), 2},
			{at(3, 2, 7, 0), 2}, // it has run before
			{at(3, 3, 6, 0), 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, at(3, 1, 12, 0))
			feed := scheduled(t, "0 6 * * *")
			replicas := []*replica{b.serve(t, unhurried, feed), b.serve(t, unhurried, feed)}
			b.at(t, at(3, 1, 12, 0), replicas...)
			for i, s := range steps {
				b.at(t, s.now, replicas...)
				b.idle(t)
				var began int
				for _, r := range replicas {
					began += len(r.runs())
				}
				require.Equal(t, s.runs, began, "step %d, %s", i+1, s.now)
				require.Equal(t, s.runs, ask[int](t, b, `SELECT count(DISTINCT run_id) FROM schedule_slots WHERE verdict = 'run'`))
			}
		})
	}
}

// Fault 50. A schedule of each minute goes on, and does not wait until the clock is
// where it was.
func TestAScheduleOfMinutesGoesOnAfterAJump(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, time.March, 2, 12, 0, 0, 0, newYork(t))
	b := newBench(t, noon)
	r := b.serve(t, usual, scheduled(t, "* * * * *"))
	b.at(t, noon, r)
	ran := func() int {
		b.idle(t)
		return len(r.runs())
	}
	b.at(t, noon.Add(time.Minute), r)
	require.Equal(t, 1, ran())
	b.at(t, noon.Add(time.Hour), r) // 59 slots: one of them runs
	require.Equal(t, 2, ran())
	b.at(t, noon.Add(90*time.Second), r)
	require.Equal(t, 2, ran())
	for n := 2; n <= 4; n++ {
		b.at(t, noon.Add(time.Duration(n)*time.Minute), r)
		require.Equal(t, n+1, ran())
	}
	require.Equal(t, 1, r.said(wrong))
	want := []string{}
	for n := 1; n <= 60; n++ {
		verdict := "missed"
		if n <= 4 || n == 60 {
			verdict = "run"
		}
		want = append(want, noon.Add(time.Duration(n)*time.Minute).Format("2006-01-02 15:04 ")+verdict)
	}
	require.Equal(t, want, b.verdicts(t, noon))
}

// Fault 51. What was missed while nobody served is recorded, and the latest runs.
func TestWhatWasMissedIsRecordedAndTheLatestRuns(t *testing.T) {
	t.Parallel()
	zone := newYork(t)
	sunday := time.Date(2026, time.March, 1, 12, 0, 0, 0, zone)
	for name, c := range map[string]struct {
		back time.Time
		want []string
	}{
		"within catch_up": {
			time.Date(2026, time.March, 4, 17, 59, 0, 0, zone),
			[]string{"2026-03-02 06:00 missed", "2026-03-03 06:00 missed", "2026-03-04 06:00 run"},
		},
		"too late": {
			time.Date(2026, time.March, 4, 18, 1, 0, 0, zone),
			[]string{"2026-03-02 06:00 missed", "2026-03-03 06:00 missed", "2026-03-04 06:00 missed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sunday)
			feed := scheduled(t, "0 6 * * *")
			r := b.serve(t, usual, feed)
			b.at(t, sunday, r)
			require.NoError(t, r.ends())

			r = b.serve(t, usual, feed)
			b.at(t, c.back, r)
			require.Equal(t, c.want, b.verdicts(t, sunday))
			// People are told once, of all that were missed.
			waitFor(t, func() bool { return len(r.missed()) == 1 })
			missed := r.missed()[0]
			require.Equal(t, "2026-03-02 06:00", missed.At.In(zone).Format("2006-01-02 15:04"))
			require.NotZero(t, missed.Until)
		})
	}
}

func (r *replica) missed() []daemon.Event { return r.heard(daemon.EventMissed) }

// heard are the events of a kind of which people were told.
func (r *replica) heard(what string) (events []daemon.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.told {
		if e.What == what {
			events = append(events, e)
		}
	}
	return events
}

// Fault 50. A day is late once, whatever the clock does, and however many replicas
// there are.
func TestALateDropIsToldOnce(t *testing.T) {
	t.Parallel()
	zone := newYork(t)
	monday := time.Date(2026, time.March, 2, 0, 0, 0, 0, zone)
	b := newBench(t, monday.Add(-time.Hour))
	feed := scheduled(t, "0 6 * * 1-5")
	by, err := schedule.ParseClock("07:30")
	require.NoError(t, err)
	feed.ExpectBy = &by
	replicas := []*replica{b.serve(t, usual, feed), b.serve(t, usual, feed)}
	late := func() int { return len(replicas[0].heard(daemon.EventLate)) + len(replicas[1].heard(daemon.EventLate)) }
	for _, s := range []struct {
		after time.Duration
		late  int
	}{
		{-time.Hour, 0},
		{6 * time.Hour, 0},
		{7*time.Hour + 29*time.Minute, 0},
		{7*time.Hour + 30*time.Minute, 1},
		{6*time.Hour + 31*time.Minute, 1}, // an hour back
		{7*time.Hour + 31*time.Minute, 1},
		{8 * time.Hour, 1},
		{31*time.Hour + 29*time.Minute, 1},
		{31*time.Hour + 30*time.Minute, 2},
		{7*time.Hour + 40*time.Minute, 2}, // a day back
		{31*time.Hour + 40*time.Minute, 2},
		{5*24*time.Hour + 8*time.Hour, 2}, // no day with a slot
	} {
		b.at(t, monday.Add(s.after), replicas...)
		b.idle(t) // or the drop might still come
		require.Equal(t, s.late, ask[int](t, b, `SELECT count(*) FILTER (WHERE late) FROM expected_drops`), "%s", s.after)
		waitFor(t, func() bool { return late() == s.late })
	}
	// A replica that comes later does not judge again.
	r := b.serve(t, usual, feed)
	b.at(t, monday.Add(31*time.Hour+50*time.Minute), r)
	require.Equal(t, 2, ask[int](t, b, `SELECT count(*) FROM expected_drops`))
	require.Empty(t, r.heard(daemon.EventLate))
}

// A feed that is known since noon was not to be looked for in the morning.
func TestADropIsNotLateBeforeItsFeedWasKnown(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, time.March, 2, 12, 0, 0, 0, newYork(t))
	b := newBench(t, noon)
	feed := scheduled(t, "0 6 * * *")
	by, err := schedule.ParseClock("07:30")
	require.NoError(t, err)
	feed.ExpectBy = &by
	r := b.serve(t, usual, feed)
	b.at(t, noon, r)
	b.at(t, noon.Add(time.Hour), r)
	require.Zero(t, ask[int](t, b, `SELECT count(*) FROM expected_drops`))
	b.at(t, noon.Add(20*time.Hour), r)
	b.until(t, `SELECT count(*) = 1 FROM expected_drops`)
}

// A feed that gets its schedule later begins then, and one that is known longer has
// nothing to make up for.
func TestAScheduleBeginsWhenItIsKnown(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, time.March, 2, 12, 0, 0, 0, newYork(t))
	b := newBench(t, noon)
	without := scheduled(t)
	r := b.serve(t, usual, without)
	b.at(t, noon, r)
	b.at(t, noon.AddDate(0, 0, 10), r)
	r.feeds[0].Schedule = scheduled(t, "0 6 * * *").Schedule
	b.at(t, noon.AddDate(0, 0, 10).Add(time.Second), r)
	require.Empty(t, b.verdicts(t, noon.AddDate(-1, 0, 0)))
	b.at(t, noon.AddDate(0, 0, 11), r)
	require.Equal(t, []string{"2026-03-13 06:00 run"}, b.verdicts(t, noon.AddDate(-1, 0, 0)))
}

// Another schedule has missed nothing before it was there, and replicas that have not
// heard of it yet take no slot from it, nor it from them.
func TestAScheduleThatHasChangedBeginsThen(t *testing.T) {
	t.Parallel()
	six := time.Date(2026, time.March, 2, 6, 0, 0, 0, newYork(t))
	b := newBench(t, six.Add(-time.Hour))
	r := b.serve(t, usual, scheduled(t, "0 6 * * *"))
	b.at(t, six.Add(-time.Hour), r)
	b.at(t, six, r)
	b.idle(t)
	r.feeds[0].Schedule = scheduled(t, "*/30 * * * *").Schedule
	b.at(t, six.Add(3*time.Hour-time.Second), r)
	want := []string{"2026-03-02 06:00 run"}
	require.Equal(t, want, b.verdicts(t, six))
	other := b.serve(t, usual, scheduled(t, "15 * * * *"))
	for n, minute := range []int{0, 15, 30} {
		now := six.Add(3*time.Hour + time.Duration(minute)*time.Minute)
		for range 3 { // each hears of the other's
			b.at(t, now, r)
			b.at(t, now, other)
		}
		want = append(want, fmt.Sprintf("2026-03-02 09:%02d run", minute))
		require.Equal(t, want, b.verdicts(t, six), n)
		b.until(t, `SELECT count(*) = $1 FROM schedule_slots WHERE ended IS NOT NULL`, n+2)
	}
}

// What a feed would have had while it was in nobody's configuration is not missed,
// nor made up for. What it would have had while nobody served is.
func TestAFeedThatIsPutBackHasMissedNothing(t *testing.T) {
	t.Parallel()
	six := time.Date(2026, time.March, 2, 6, 0, 0, 0, newYork(t))
	b := newBench(t, six.Add(-time.Hour))
	r := b.serve(t, usual, scheduled(t, "0 6 * * *"))
	b.at(t, six.Add(-time.Hour), r)
	b.at(t, six, r)
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots WHERE ended IS NOT NULL`)
	passes := func(days int) {
		_, err := b.conn.Exec(t.Context(), `UPDATE schedules SET seen = seen - $1 * interval '1 day'`, days)
		require.NoError(t, err)
	}
	feeds := r.feeds
	r.feeds = nil
	b.at(t, six.Add(time.Hour), r)
	require.Equal(t, 1, ask[int](t, b, `SELECT count(*) FROM schedules`), "it may come back soon")
	passes(2)
	b.at(t, six.AddDate(0, 0, 20), r)
	r.feeds = feeds
	b.at(t, six.AddDate(0, 0, 20).Add(time.Hour), r)
	want := []string{"2026-03-02 06:00 run"}
	require.Equal(t, want, b.verdicts(t, six))
	b.at(t, six.AddDate(0, 0, 21), r)
	want = append(want, "2026-03-23 06:00 run")
	require.Equal(t, want, b.verdicts(t, six))
	b.until(t, `SELECT count(*) = 2 FROM schedule_slots WHERE ended IS NOT NULL`)
	require.Empty(t, r.missed())

	require.NoError(t, r.ends())
	passes(3)
	b.moves(six.AddDate(0, 0, 24))
	b.at(t, six.AddDate(0, 0, 24), b.serve(t, usual, scheduled(t, "0 6 * * *")))
	require.Equal(t, append(want, "2026-03-24 06:00 missed", "2026-03-25 06:00 missed", "2026-03-26 06:00 run"), b.verdicts(t, six))
}

// Replicas whose clocks differ by minutes do not take each other's for wrong.
func TestClocksOfReplicasMayDiffer(t *testing.T) {
	t.Parallel()
	six := time.Date(2026, time.March, 2, 6, 0, 0, 0, newYork(t))
	b := newBench(t, six.Add(-time.Hour))
	feed := scheduled(t, "0 6 * * *")
	one := b.serve(t, unhurried, feed)
	b.at(t, six.Add(-time.Hour), one)
	slow := b.serve(t, func(o *daemon.Options) {
		unhurried(o)
		now := o.Now
		o.Now = func() time.Time { return now().Add(-10 * time.Minute) }
	}, feed)
	for _, minutes := range []int{0, 5, 10, 15} {
		b.at(t, six.Add(time.Duration(minutes)*time.Minute), one, slow)
		require.Equal(t, []string{"2026-03-02 06:00 run"}, b.verdicts(t, six.Add(-time.Hour)), fmt.Sprint(minutes))
	}
	b.until(t, `SELECT count(*) = 1 FROM schedule_slots WHERE ended IS NOT NULL`)
	require.Equal(t, 1, len(one.runs())+len(slow.runs()))
	require.Zero(t, one.said(wrong)+slow.said(wrong))
}

// A long run keeps many slots of a schedule of minutes from running, and people are
// told once of them.
func TestSlotsThatARunKeepsFromRunningAreToldOnce(t *testing.T) {
	t.Parallel()
	six := time.Date(2026, time.March, 2, 6, 0, 0, 0, newYork(t))
	b := newBench(t, six)
	h := newHeld(t, b, "acme")
	h.feed.Schedule = scheduled(t, "* * * * *").Schedule
	r := b.serve(t, usual, h.feed)
	l := ledgertest.OpenAt(t, b.dsn)
	told := func(jobs int) {
		b.until(t, `SELECT count(*) = $1 FROM river_job WHERE kind = 'tell' AND args ->> 'what' = 'overlap' AND state = 'completed'`, jobs)
		require.Len(t, r.heard(daemon.EventOverlap), jobs)
	}
	b.at(t, six, r)
	for run := range 2 {
		for minute := range 4 { // the first one begins it
			b.at(t, six.Add(time.Duration(run*4+minute+1)*time.Minute), r)
		}
		told(run + 1)
		h.well(l)
		b.until(t, `SELECT count(*) = $1 FROM schedule_slots WHERE ended IS NOT NULL`, run+1)
	}
	require.Equal(t, 6, ask[int](t, b, `SELECT count(*) FROM schedule_slots WHERE verdict = 'overlap'`))
}

// Whoever is told that a drop is late hears of the run that brings it, once: of one
// that was served, and of one whose command a person typed.
func TestWhoIsToldThatADropIsLateHearsThatItHasCome(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	l := ledgertest.OpenAt(t, b.dsn)
	brings := func(ctx context.Context, run, holder int64) (importer.Summary, error) {
		d, err := l.OpenDrop(ctx, importer.Drop{Feed: "acme", Dialer: "main", Name: "leads.csv", SHA256: sha256.Sum256(fmt.Append(nil, run))})
		s := importer.Summary{Run: run}
		return s, errors.Join(err, l.JoinDrop(ctx, run, d, false), l.FinishRun(ctx, run, holder, s, nil))
	}
	feed := scheduled(t, "0 6 * * *")
	feed.Run = func(ctx context.Context, begun importer.Begun) (importer.Summary, error) {
		return brings(ctx, begun.Run, begun.Holder)
	}
	replicas := []*replica{b.serve(t, usual, feed), b.serve(t, usual, feed)}
	for _, r := range replicas {
		r.feeds[0].Notify = map[string]string{"monitor": daemon.TellAlways, "team": daemon.TellTrouble, "manager": daemon.TellLate}
	}
	b.at(t, noon, replicas...)
	late := func(day string) {
		_, err := b.conn.Exec(t.Context(), `INSERT INTO expected_drops (feed, day, by, late) VALUES ('acme', $1::date, $1::timestamptz + interval '7 hours', true)`, day)
		require.NoError(t, err)
	}
	told := func(run int64, by string, targets string) {
		t.Helper()
		b.until(t, `SELECT count(*) > 0 FROM river_job WHERE kind = 'tell' AND args ->> 'run' = $1::text`, fmt.Sprint(run))
		require.Equal(t, by+targets, ask[string](t, b, `
			SELECT string_agg(DISTINCT coalesce((args ->> 'late')::date::text || ' ', ''), '') || string_agg(args ->> 'target', ' ' ORDER BY args ->> 'target')
			FROM river_job WHERE kind = 'tell' AND args ->> 'run' = $1`, fmt.Sprint(run)))
	}
	today := time.Now().UTC() // when drops come
	ago := func(days int) string { return today.AddDate(0, 0, -days).Format(time.DateOnly) }
	late(ago(4))
	late(ago(3))
	for n := range 2 {
		b.asksFor(t, "acme")
		b.until(t, `SELECT count(*) = $1 FROM schedule_slots WHERE ended IS NOT NULL`, n+1)
	}
	told(1, ago(4)+" ", "manager monitor team")
	told(2, "", "monitor team")

	late(ago(2))
	b.at(t, noon.Add(time.Second), replicas...)
	run, holder, err := l.StartRun(t.Context(), "acme", "run")
	require.NoError(t, err)
	_, err = brings(t.Context(), run, holder)
	require.NoError(t, err)
	for n := range 2 {
		b.at(t, noon.Add(time.Duration(n+2)*time.Second), replicas...)
		told(run, ago(2)+" ", "manager monitor team")
	}
}

// Nobody hears from a vendor whose drops nobody fetches: that a feed is paused is told
// with its late drop, each day.
func TestADropOfAPausedFeedIsLateToo(t *testing.T) {
	t.Parallel()
	monday := time.Date(2026, time.March, 2, 0, 0, 0, 0, newYork(t))
	b := newBench(t, monday)
	feed := scheduled(t, "0 6 * * *")
	by := schedule.Clock(7*60 + 30)
	feed.ExpectBy = &by
	r := b.serve(t, usual, feed)
	b.at(t, monday, r)
	l := ledgertest.OpenAt(t, b.dsn)
	require.NoError(t, l.PauseFeed(t.Context(), "acme", true))
	since := ask[time.Time](t, b, `SELECT paused FROM schedules`)
	require.NoError(t, l.PauseFeed(t.Context(), "acme", true)) // which changes nothing
	for day := range 2 {
		by := monday.AddDate(0, 0, day).Add(7*time.Hour + 30*time.Minute)
		b.at(t, by, r)
		waitFor(t, func() bool { return len(r.heard(daemon.EventLate)) == day+1 })
		e := r.heard(daemon.EventLate)[day]
		require.WithinDuration(t, by, e.At, 0)
		require.WithinDuration(t, since, e.Paused, 0)
	}
	require.Empty(t, r.runs())
	require.NoError(t, l.PauseFeed(t.Context(), "acme", false))
	b.at(t, monday.AddDate(0, 0, 2).Add(8*time.Hour), r)
	waitFor(t, func() bool { return len(r.heard(daemon.EventLate)) == 3 })
	require.Zero(t, r.heard(daemon.EventLate)[2].Paused)
}
