package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/schedule"
)

const newYork = "America/New_York"

// told writes what became of each slot, as New York's clock shows them.
func told(t *testing.T, d schedule.Decision) []string {
	t.Helper()
	var lines []string
	for _, slot := range d.Slots {
		lines = append(lines, slot.At.In(load(t, newYork)).Format("02 15:04 ")+string(slot.Verdict))
	}
	return lines
}

func window(t *testing.T, text string) schedule.Window {
	t.Helper()
	w, err := schedule.ParseWindow(text)
	require.NoError(t, err)
	return w
}

func date(t *testing.T, text string) schedule.Date {
	t.Helper()
	d, err := schedule.ParseDate(text)
	require.NoError(t, err)
	return d
}

func TestASlotIsPlannedOnce(t *testing.T) {
	s := parse(t, newYork, "0 6 * * *")
	state := schedule.State{Last: at(t, newYork, "2026-03-09")}

	d := s.Plan(state, at(t, newYork, "2026-03-09 05:59"), schedule.Rules{})
	require.Equal(t, schedule.Decision{Last: state.Last}, d)

	d = s.Plan(state, at(t, newYork, "2026-03-09 06:00"), schedule.Rules{})
	require.Equal(t, []string{"09 06:00 run"}, told(t, d))
	require.Nil(t, d.Earlier)
	require.Equal(t, at(t, newYork, "2026-03-09 06:00").UTC(), d.Last)

	d = s.Plan(schedule.State{Last: d.Last}, at(t, newYork, "2026-03-09 06:00").Add(time.Second), schedule.Rules{})
	require.Empty(t, d.Slots)
	require.Zero(t, d.Ahead)
}

// Fault 49: a planner that asks every minute starts exactly one run.
func TestAClockChangeStartsOneRun(t *testing.T) {
	for _, c := range []struct{ zone, day, expression string }{
		{newYork, "2026-03-08", "30 2 * * *"},
		{newYork, "2026-11-01", "30 1 * * *"},
		{"Europe/London", "2026-03-29", "*/20 1 * * *"},
		{"Australia/Lord_Howe", "2026-04-05", "45 1 * * *"},
		{"America/Sao_Paulo", "2018-11-04", "0 0 * * *"},
		{"America/Sao_Paulo", "2018-02-17", "30 23 * * *"},
	} {
		s := parse(t, c.zone, c.expression)
		now := at(t, c.zone, c.day).Add(-time.Minute)
		state, runs := schedule.State{Last: now}, 0
		for range 24 * 60 {
			now = now.Add(time.Minute)
			d := s.Plan(state, now, schedule.Rules{CatchUp: 12 * time.Hour})
			for _, slot := range d.Slots {
				require.Equal(t, schedule.Run, slot.Verdict)
				require.Equal(t, now, slot.At.In(now.Location()))
				runs++
			}
			state.Last = d.Last
		}
		require.Equal(t, 1, runs, "%s %s", c.zone, c.expression)
	}
}

// Fault 50.
func TestAClockThatJumpsRunsNoSlotTwice(t *testing.T) {
	s := parse(t, newYork, "0 * * * *")
	rules := schedule.Rules{CatchUp: 12 * time.Hour}
	morning := at(t, newYork, "2026-03-09 06:00").UTC()
	for _, jump := range []time.Duration{-time.Hour, -365 * 24 * time.Hour, time.Hour, 365 * 24 * time.Hour} {
		state, seen := schedule.State{Last: morning}, map[time.Time]bool{}
		plan := func(now time.Time) schedule.Decision {
			d := s.Plan(state, now, rules)
			for _, slot := range d.Slots {
				require.False(t, seen[slot.At])
				seen[slot.At] = true
			}
			state.Last = d.Last
			return d
		}
		require.Empty(t, plan(morning).Slots)
		d := plan(morning.Add(jump))
		if jump < 0 {
			require.Equal(t, schedule.Decision{Last: morning, Ahead: -jump}, d)
		} else {
			require.Equal(t, schedule.Slot{At: morning.Add(jump), Verdict: schedule.Run}, d.Slots[len(d.Slots)-1])
		}
		// The clock is put right again, and goes on.
		for _, gone := range []time.Duration{0, time.Hour, 2 * time.Hour} {
			d = plan(morning.Add(gone))
			require.Equal(t, gone > max(0, jump), len(d.Slots) == 1)
			require.Equal(t, max(0, jump-gone), d.Ahead)
		}
	}
}

func TestALongJumpIsToldShortly(t *testing.T) {
	s := parse(t, newYork, "* * * * *", "@every 1s")
	last := at(t, newYork, "2026-03-09").UTC()
	now := last.AddDate(30, 0, 0)
	d := s.Plan(schedule.State{Last: last}, now, schedule.Rules{CatchUp: 12 * time.Hour})
	require.Len(t, d.Slots, schedule.Most)
	require.Equal(t, schedule.Slot{At: now, Verdict: schedule.Run}, d.Slots[schedule.Most-1])
	require.Equal(t, now.Add(-(schedule.Most-1)*time.Second), d.Slots[0].At)
	require.Equal(t, &schedule.Stretch{First: last.Add(time.Second), Last: now.Add(-schedule.Most * time.Second), Verdict: schedule.Missed}, d.Earlier)
	require.Equal(t, now, d.Last)

	d = s.Plan(schedule.State{Last: last}, now, schedule.Rules{Paused: true})
	require.Equal(t, schedule.Paused, d.Earlier.Verdict)
}

// Fault 51.
func TestOnlyTheLatestMissedSlotIsCaughtUp(t *testing.T) {
	s := parse(t, newYork, "0 6 * * *")
	state := schedule.State{Last: at(t, newYork, "2026-03-09 06:00")}
	rules := schedule.Rules{CatchUp: 12 * time.Hour}
	require.Equal(t, []string{"10 06:00 missed", "11 06:00 missed", "12 06:00 run"},
		told(t, s.Plan(state, at(t, newYork, "2026-03-12 18:00"), rules)))
	require.Equal(t, []string{"10 06:00 missed", "11 06:00 missed", "12 06:00 missed"},
		told(t, s.Plan(state, at(t, newYork, "2026-03-12 18:00").Add(time.Second), rules)))
}

func TestASlotMayAlwaysRunInItsFirstMinute(t *testing.T) {
	s := parse(t, newYork, "0 6 * * *")
	state := schedule.State{Last: at(t, newYork, "2026-03-09")}
	require.Equal(t, []string{"09 06:00 run"}, told(t, s.Plan(state, at(t, newYork, "2026-03-09 06:01"), schedule.Rules{})))
	require.Equal(t, []string{"09 06:00 missed"}, told(t, s.Plan(state, at(t, newYork, "2026-03-09 06:02"), schedule.Rules{})))
}

// Fault 52.
func TestASlotThatComesDuringARunIsSkippedOrQueued(t *testing.T) {
	s := parse(t, newYork, "0 * * * *")
	now := at(t, newYork, "2026-03-09 07:10")
	for _, c := range []struct {
		running, queued, queue bool
		want                   schedule.Verdict
	}{
		{false, false, false, schedule.Run},
		{false, false, true, schedule.Run},
		{true, false, false, schedule.Overlap},
		{true, false, true, schedule.Queue},
		{true, true, true, schedule.Overlap},
		{false, true, true, schedule.Overlap},
		{false, true, false, schedule.Overlap},
	} {
		state := schedule.State{Last: at(t, newYork, "2026-03-09 05:00"), Running: c.running, Queued: c.queued}
		d := s.Plan(state, now, schedule.Rules{CatchUp: 12 * time.Hour, Queue: c.queue})
		require.Equal(t, []string{"09 06:00 missed", "09 07:00 " + string(c.want)}, told(t, d), c)
		require.Equal(t, at(t, newYork, "2026-03-09 07:00").UTC(), d.Last)
	}
}

func TestNothingRunsWhileAFeedIsPausedNorAfterwards(t *testing.T) {
	s := parse(t, newYork, "0 6 * * *")
	state := schedule.State{Last: at(t, newYork, "2026-03-09"), Running: true}
	now := at(t, newYork, "2026-03-10 06:00")
	d := s.Plan(state, now, schedule.Rules{CatchUp: 48 * time.Hour, Paused: true, Holidays: []schedule.Date{date(t, "2026-03-10")}})
	require.Equal(t, []string{"09 06:00 paused", "10 06:00 paused"}, told(t, d))
	require.Empty(t, s.Plan(schedule.State{Last: d.Last}, now.Add(time.Second), schedule.Rules{CatchUp: 48 * time.Hour}).Slots)
}

func TestABlackoutIsAWindowOfTheClockOnTheWall(t *testing.T) {
	s := parse(t, newYork, "0 * * * *")
	state := schedule.State{Last: at(t, newYork, "2026-03-07 20:30")}
	night := schedule.Rules{CatchUp: 12 * time.Hour, Blackouts: []schedule.Window{window(t, "12:00-13:00"), window(t, "22:00-06:00")}}
	// The clocks are put forward in this night.
	require.Equal(t, []string{
		"07 21:00 missed", "07 22:00 blackout", "07 23:00 blackout", "08 00:00 blackout", "08 01:00 blackout",
		"08 03:00 blackout", "08 04:00 blackout", "08 05:00 blackout", "08 06:00 run",
	}, told(t, s.Plan(state, at(t, newYork, "2026-03-08 06:00"), night)))

	state.Last = at(t, newYork, "2026-03-08 10:30")
	require.Equal(t, []string{"08 11:00 missed", "08 12:00 blackout", "08 13:00 run"},
		told(t, s.Plan(state, at(t, newYork, "2026-03-08 13:00"), night)))
}

func TestASlotBeforeABlackoutIsCaughtUpBehindIt(t *testing.T) {
	s := parse(t, newYork, "30 11,12 * * *")
	state := schedule.State{Last: at(t, newYork, "2026-03-09")}
	noon := schedule.Rules{CatchUp: 12 * time.Hour, Blackouts: []schedule.Window{window(t, "12:00-13:00")}}
	require.Equal(t, []string{"09 11:30 run", "09 12:30 blackout"}, told(t, s.Plan(state, at(t, newYork, "2026-03-09 13:00"), noon)))
	// Within it nothing starts, and what is judged once is not judged again.
	d := s.Plan(state, at(t, newYork, "2026-03-09 12:10"), noon)
	require.Equal(t, []string{"09 11:30 blackout"}, told(t, d))
	require.Empty(t, s.Plan(schedule.State{Last: d.Last}, at(t, newYork, "2026-03-09 12:20"), noon).Slots)
}

func TestAHolidayIsADayOfTheZone(t *testing.T) {
	s := parse(t, newYork, "0 6,23 * * *")
	state := schedule.State{Last: at(t, newYork, "2026-12-24")}
	rules := schedule.Rules{CatchUp: 8 * time.Hour, Holidays: []schedule.Date{date(t, "2026-12-25"), date(t, "2026-12-31")}}
	require.Equal(t, []string{"24 06:00 missed", "24 23:00 missed", "25 06:00 holiday", "25 23:00 holiday", "26 06:00 run"},
		told(t, s.Plan(state, at(t, newYork, "2026-12-26 06:00"), rules)))
	require.Equal(t, []string{"24 06:00 missed", "24 23:00 holiday"},
		told(t, s.Plan(state, at(t, newYork, "2026-12-25 00:01"), rules)))
}

func TestADropIsExpectedOnDaysWithASlot(t *testing.T) {
	s := parse(t, "America/Sao_Paulo", "0 6 * * 1-5", "30 0 4 11 *")
	holiday := schedule.Date{Year: 2018, Month: time.November, Day: 2}
	for day, expected := range map[schedule.Date]bool{
		{Year: 2018, Month: time.November, Day: 1}: true, // a Thursday
		holiday: false, // a Friday
		{Year: 2018, Month: time.November, Day: 3}:  false, // a Saturday
		{Year: 2018, Month: time.November, Day: 4}:  true,  // a Sunday whose clocks went from 0:00 to 1:00, over its slot
		{Year: 2018, Month: time.November, Day: 11}: false,
	} {
		require.Equal(t, expected, s.Expects(day, schedule.Rules{Paused: true, Holidays: []schedule.Date{holiday}}), day)
	}
	require.False(t, schedule.Schedule{}.Expects(holiday, schedule.Rules{}))
}
