package daemon_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/daemon"
	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
	"importer/internal/report"
	"importer/internal/schedule"
)

// A Tuesday, 09:00 in New York.
var morning = time.Date(2026, 11, 24, 14, 0, 0, 0, time.UTC)

// watched is a ledger that an importer serve has told for a day that it lives.
type watched struct {
	*ledger.Ledger

	t    *testing.T
	conn *pgx.Conn
}

func watch(t *testing.T) *watched {
	t.Helper()
	dsn := ledgertest.Database(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	w := &watched{ledgertest.OpenAt(t, dsn), t, conn}
	_, err = w.Live(t.Context(), 0, "alpha", time.Hour)
	require.NoError(t, err)
	w.do(`UPDATE replicas SET started = $1`, morning.AddDate(0, 0, -1))
	return w
}

func (w *watched) do(query string, args ...any) {
	w.t.Helper()
	_, err := w.conn.Exec(w.t.Context(), query, args...)
	require.NoError(w.t, err)
}

// knows has a feed's schedule judged up to a moment.
func (w *watched) knows(feed string, last time.Time, slots ...ledger.JudgedSlot) {
	w.t.Helper()
	_, err := w.Schedules(w.t.Context(), []string{feed}, morning.AddDate(0, 0, -1))
	require.NoError(w.t, err)
	judge := func(ledger.SlotState) ([]ledger.JudgedSlot, time.Time) { return slots, last }
	require.NoError(w.t, w.JudgeSlots(w.t.Context(), feed, judge, func(context.Context, pgx.Tx, []ledger.JudgedSlot) error { return nil }))
}

// ran records a run that has ended, with rows as it left them.
func (w *watched) ran(feed string, cause error, rows importer.Counts, alarms ...string) int64 {
	w.t.Helper()
	run, holder, err := w.StartRun(w.t.Context(), feed, "run")
	require.NoError(w.t, err)
	d, err := w.OpenDrop(w.t.Context(), importer.Drop{Feed: feed, SHA256: [32]byte{byte(run)}})
	require.NoError(w.t, err)
	w.do(`UPDATE drops SET first_seen = $2 WHERE id = $1`, d.ID, morning.AddDate(0, 0, -1))
	require.NoError(w.t, w.JoinDrop(w.t.Context(), run, d, false))
	sum := importer.Summary{Drops: []importer.DropSummary{{Drop: d, Counts: rows}}, Alarms: alarms}
	require.NoError(w.t, w.FinishRun(w.t.Context(), run, holder, sum, cause))
	return run
}

func (w *watched) status(feeds ...daemon.Feed) report.Status {
	w.t.Helper()
	s, err := daemon.Status(w.t.Context(), w.Ledger, feeds, morning)
	require.NoError(w.t, err)
	return s
}

// one is how the only feed stands, and what of it needs a person.
func (w *watched) one(f daemon.Feed) (report.FeedStatus, []string) {
	w.t.Helper()
	s := w.status(f)
	require.Len(w.t, s.Feeds, 1)
	return s.Feeds[0], s.NeedsPerson
}

// daily is a feed that is pulled at 06:00 in New York, and known until then.
func (w *watched) daily() daemon.Feed {
	w.t.Helper()
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(w.t, err)
	s, err := schedule.Parse([]string{"0 6 * * *"}, zone)
	require.NoError(w.t, err)
	w.knows("acme", today(6, 0))
	return daemon.Feed{Name: "acme", Schedule: s, Zone: zone}
}

// today is a time of the morning's day in New York.
func today(hour, minute int) time.Time {
	return morning.Add(time.Duration(hour-9)*time.Hour + time.Duration(minute)*time.Minute)
}

func TestAFeedWaitsForItsNextSlot(t *testing.T) {
	t.Parallel()
	w := watch(t)
	f := w.daily()
	line, needed := w.one(f)
	require.Empty(t, needed)
	require.Equal(t, report.Idle, line.State)
	require.Equal(t, "2026-11-25 06:00 EST", line.Next.Format("2006-01-02 15:04 MST"))
	require.Empty(t, line.NextIs)
	require.Nil(t, line.LastRun)
	require.Nil(t, line.Today)

	f.Rules.Holidays = []schedule.Date{{Year: 2026, Month: 11, Day: 25}}
	line, _ = w.one(f)
	require.Equal(t, "holiday", line.NextIs)
	f.Rules.Holidays = []schedule.Date{{Year: 2026, Month: 11, Day: 24}}
	line, _ = w.one(f)
	require.Equal(t, report.Holiday, line.State)
	f.Rules.Holidays, f.Rules.Blackouts = nil, []schedule.Window{{From: 8 * 60, To: 10 * 60}}
	line, _ = w.one(f)
	require.Equal(t, report.Blackout, line.State)
	require.NoError(t, w.PauseFeed(t.Context(), "acme", true))
	line, needed = w.one(f)
	require.Equal(t, report.Paused, line.State)
	require.Equal(t, "paused", line.NextIs)
	require.Empty(t, needed)

	// Feeds without a schedule are no matter of importer serve.
	f.Schedule, _ = schedule.Parse(nil, f.Zone)
	require.Empty(t, w.status(f).Feeds)
}

func TestItIsToldWhenNobodyServes(t *testing.T) {
	t.Parallel()
	w := watch(t)
	f := w.daily()
	s := w.status(f)
	require.Equal(t, []report.Replica{{Host: "alpha", Started: morning.AddDate(0, 0, -1)}}, s.Serving)
	ended := time.Date(2026, 11, 24, 5, 12, 0, 0, time.UTC)
	w.do(`UPDATE replicas SET until = $1`, ended)
	s = w.status(f)
	require.Empty(t, s.Serving)
	require.Equal(t, ended, s.ServedUntil)
	require.Equal(t, []string{"importer serve does not run (the last one did until " + report.When(ended) + "), and has 1 feed to serve: start it"}, s.NeedsPerson)
	require.Empty(t, w.status().NeedsPerson, "nobody need")

	// A slot has come meanwhile.
	w.do(`UPDATE schedules SET last = last - interval '1 day'`)
	line, _ := w.one(f)
	require.Equal(t, report.Waiting, line.State)
	require.True(t, line.Slot.Equal(today(6, 0)))
}

func TestAScheduleThatNobodyLooksAtIsTold(t *testing.T) {
	t.Parallel()
	w := watch(t)
	f := w.daily()
	const overlooked = "acme: importer serve runs, but does not look at its schedule: importer reload has it read the configuration again"
	w.do(`UPDATE schedules SET last = last - interval '1 day'`)
	line, needed := w.one(f)
	require.Equal(t, report.Waiting, line.State)
	require.Equal(t, []string{overlooked}, needed)
	w.do(`DELETE FROM schedules`)
	_, needed = w.one(f)
	require.Equal(t, []string{overlooked}, needed)
	w.do(`UPDATE replicas SET started = $1`, morning)
	_, needed = w.one(f)
	require.Empty(t, needed, "it is about to")
}

func TestALateDropIsSeenWithoutADaemon(t *testing.T) {
	t.Parallel()
	w := watch(t)
	f := w.daily()
	by := schedule.Clock(9*60 + 30)
	f.ExpectBy = &by
	line, needed := w.one(f)
	require.Equal(t, report.Idle, line.State)
	require.Equal(t, &report.ExpectedDay{By: today(9, 30).In(f.Zone)}, line.Today)
	require.Empty(t, needed)

	by = 8 * 60
	late := &report.ExpectedDay{By: today(8, 0).In(f.Zone), Late: true}
	line, needed = w.one(f)
	require.Equal(t, report.Late, line.State)
	require.Equal(t, late, line.Today)
	require.Equal(t, []string{"acme: late, no drop has come by 08:00 EST: importer source check acme shows what lies at its source"}, needed)

	// Who looked later, and a feed that has holiday, has none that is late; one that is
	// paused has.
	w.do(`UPDATE schedules SET since = $1`, today(8, 1))
	line, _ = w.one(f)
	require.False(t, line.Today.Late)
	w.do(`UPDATE schedules SET since = $1, paused = $2`, today(1, 0), today(2, 0).AddDate(0, 0, -3))
	line, needed = w.one(f)
	require.Equal(t, report.Paused, line.State)
	require.Equal(t, late, line.Today)
	require.Equal(t, []string{"acme: late, no drop has come by 08:00 EST, and it is paused since 2026-11-21 02:00 EST: importer unpause acme lets it go on"}, needed)
	w.do(`UPDATE schedules SET paused = NULL`)
	f.Rules.Holidays = []schedule.Date{{Year: 2026, Month: 11, Day: 24}}
	line, _ = w.one(f)
	require.Nil(t, line.Today)
	f.Rules.Holidays = nil

	// A run that is going may yet bring it, for a while.
	w.knows("acme", today(6, 0), ledger.JudgedSlot{At: today(6, 0), Verdict: "run", Runs: true})
	line, needed = w.one(f)
	require.Equal(t, report.Waiting, line.State)
	require.False(t, line.Today.Late)
	require.Empty(t, needed)
	w.do(`UPDATE schedule_slots SET judged = now() - interval '1 hour'`)
	line, needed = w.one(f)
	require.Equal(t, report.Waiting, line.State)
	require.Equal(t, late, line.Today)
	require.Len(t, needed, 1)

	// It has come after all.
	d, err := w.OpenDrop(t.Context(), importer.Drop{Feed: "acme"})
	require.NoError(t, err)
	w.do(`UPDATE drops SET first_seen = $2 WHERE id = $1`, d.ID, today(8, 20))
	line, needed = w.one(f)
	late.Came = today(8, 20).In(f.Zone)
	require.Equal(t, late, line.Today)
	require.Empty(t, needed)
	w.do(`UPDATE drops SET first_seen = $2 WHERE id = $1`, d.ID, today(7, 20))
	line, _ = w.one(f)
	require.False(t, line.Today.Late)
}

func TestOpenSlotsAreTold(t *testing.T) {
	t.Parallel()
	w := watch(t)
	f := w.daily()
	w.knows("acme", today(6, 0), ledger.JudgedSlot{At: today(6, 0), Verdict: "run", Runs: true})
	line, needed := w.one(f)
	require.Equal(t, report.Waiting, line.State)
	require.Zero(t, line.Run)
	require.Equal(t, today(6, 0).In(f.Zone), line.Slot)
	require.Empty(t, needed)

	begun, _, err := w.BeginSlot(t.Context(), "acme", today(6, 0), time.Hour)
	require.NoError(t, err)
	line, _ = w.one(f)
	require.Equal(t, report.Running, line.State)
	require.Equal(t, begun.Run, line.Run)
	require.Equal(t, "open", line.LastRun.State)
	require.Equal(t, begun.Run, w.status(f).Going[0].Run)
	require.NoError(t, w.LeaveRun(t.Context(), begun, func(context.Context, pgx.Tx) error { return nil }))
	line, _ = w.one(f)
	require.Equal(t, report.Waiting, line.State)
	require.Equal(t, begun.Run, line.Run)
	require.Equal(t, "interrupted", line.LastRun.State)
	w.do(`UPDATE schedule_slots SET ended = now()`)

	w.do(`INSERT INTO schedule_slots (feed, slot, verdict, origin) VALUES ('acme', '2099-01-02 06:31Z', 'again', $1)`, morning)
	line, needed = w.one(f)
	require.Equal(t, report.Again, line.State)
	require.Equal(t, 31, line.Slot.Minute())
	require.Empty(t, needed)
	w.do(`UPDATE schedule_slots SET origin = $1 WHERE verdict = 'again'`, today(6, 0))
	_, needed = w.one(f)
	require.Len(t, needed, 1)
	require.Contains(t, needed[0], "it is tried again")
	w.do(`UPDATE schedule_slots SET ended = now()`)

	w.knows("acme", today(7, 0), ledger.JudgedSlot{At: today(7, 0), Verdict: "queue", Runs: true})
	line, _ = w.one(f)
	require.Equal(t, report.Queued, line.State)

	// One that was asked for needs no schedule, and no configuration any more.
	for _, feed := range []string{"bravo", "zulu"} {
		_, _, err := w.AskRun(t.Context(), feed, func(context.Context, pgx.Tx, time.Time) error { return nil })
		require.NoError(t, err)
	}
	manual, err := schedule.Parse(nil, time.UTC)
	require.NoError(t, err)
	s := w.status(daemon.Feed{Name: "bravo", Zone: time.UTC, Schedule: manual}, f)
	require.Len(t, s.Feeds, 3)
	for i, name := range []string{"acme", "bravo", "zulu"} {
		require.Equal(t, name, s.Feeds[i].Feed)
	}
	require.Equal(t, report.Waiting, s.Feeds[1].State)
	require.True(t, s.Feeds[1].Next.IsZero())
	require.Equal(t, report.Waiting, s.Feeds[2].State)
	require.Empty(t, s.NeedsPerson)
}

func TestWhatTheLastRunLeavesToAPersonIsTold(t *testing.T) {
	t.Parallel()
	w := watch(t)
	f := w.daily()
	added, refused := importer.StateReason{State: importer.Succeeded}, importer.StateReason{State: importer.Rejected}
	for _, c := range []struct {
		cause  error
		rows   importer.Counts
		alarm  []string
		state  string
		needed []string
	}{
		{nil, importer.Counts{added: 1, refused: 9}, nil, "done", nil},
		{nil, nil, nil, "done", nil},
		{errors.New("the login was refused\nand a second line"), nil, nil, "stopped", []string{"acme: run 3 was stopped: the login was refused"}},
		{nil, importer.Counts{refused: 2, {State: importer.Invalid}: 1}, nil, "done", []string{"acme: none of the rows of run 4 could be loaded: importer show 4 tells why"}},
		{nil, importer.Counts{added: 1}, []string{"a lead is there twice"}, "done", []string{"acme: run 5 has an alarm: importer show 5 tells it"}},
	} {
		w.ran("acme", c.cause, c.rows, c.alarm...)
		line, needed := w.one(f)
		require.Equal(t, c.state, line.LastRun.State)
		require.Equal(t, c.rows[refused], line.LastRun.Outcomes[importer.OutcomeError])
		require.ElementsMatch(t, c.needed, needed)
	}
	run := w.ran("acme", importer.ErrCancelled, nil)
	w.do(`UPDATE runs SET cancelled = now() WHERE id = $1`, run)
	line, needed := w.one(f)
	require.Equal(t, "cancelled", line.LastRun.State)
	require.Empty(t, needed)
}

func TestWhatWaitsForAPersonIsToldWithTheCommand(t *testing.T) {
	t.Parallel()
	w := watch(t)
	for _, feed := range []string{"acme", "bravo", "charlie"} {
		_, err := w.OpenDrop(t.Context(), importer.Drop{Feed: feed})
		require.NoError(t, err)
	}
	w.do(`UPDATE drops SET state = 'held' WHERE feed <> 'charlie'`)
	w.do(`UPDATE drops SET review = 3, state = 'importing' WHERE feed = 'charlie'`)
	s := w.status()
	require.Equal(t, []int{1, 2, 3}, []int{s.Unfinished, s.Held, s.Review})
	require.Equal(t, []string{
		"2 drops held: importer drops --state held tells why; importer release DROP imports one, importer discard DROP does not",
		"charlie: 3 rows in REVIEW: importer retry --feed charlie --outcome review",
	}, s.NeedsPerson)
}
