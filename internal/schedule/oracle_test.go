package schedule_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"importer/internal/schedule"
)

// setChecks says on how many drawn schedules a property is held; a longer form
// is had by IMPORTER_SCHEDULE_TIMES=20.
func setChecks(t *testing.T, checks int) {
	t.Helper()
	if text := os.Getenv("IMPORTER_SCHEDULE_TIMES"); text != "" {
		times, err := strconv.Atoi(text)
		require.NoError(t, err, "IMPORTER_SCHEDULE_TIMES")
		checks *= times
	}
	before := flag.Lookup("rapid.checks").Value.String()
	require.NoError(t, flag.Set("rapid.checks", strconv.Itoa(checks)))
	t.Cleanup(func() { require.NoError(t, flag.Set("rapid.checks", before)) })
}

// minute is one minute of a walk: what the clocks show, whether they have shown
// it before, and which minutes they skipped just before it.
type minute struct {
	at      time.Time
	shown   reading
	again   bool
	skipped []reading
}

// reading is what a clock and a calendar on the wall show.
type reading struct{ year, month, day, weekday, hour, minute int }

func read(t time.Time) reading {
	return reading{t.Year(), int(t.Month()), t.Day(), int(t.Weekday()), t.Hour(), t.Minute()}
}

func (r reading) calendar() time.Time {
	return time.Date(r.year, time.Month(r.month), r.day, r.hour, r.minute, 0, 0, time.UTC)
}

// walk looks at a zone's clocks once a minute, for ten hours before the
// middle and ten behind it.
func walk(middle time.Time) []minute {
	from, until := middle.Add(-10*time.Hour), middle.Add(10*time.Hour)
	seen := map[reading]bool{}
	var minutes []minute
	last := read(from.Add(-24*time.Hour - time.Minute)).calendar()
	for t := from.Add(-24 * time.Hour); t.Before(until); t = t.Add(time.Minute) {
		m := minute{at: t.UTC(), shown: read(t)}
		m.again = seen[m.shown]
		seen[m.shown] = true
		shown := m.shown.calendar()
		for c := last.Add(time.Minute); c.Before(shown); c = c.Add(time.Minute) {
			m.skipped = append(m.skipped, read(c))
		}
		last = shown
		if !t.Before(from) {
			minutes = append(minutes, m)
		}
	}
	return minutes
}

// set has a bit for each number.
type set uint64

func numbers(from, to, step int) (s set) {
	for i := from; i <= to; i += step {
		s |= 1 << i
	}
	return s
}

func (s set) has(i int) bool { return s&(1<<i) != 0 }

// line is a drawn cron expression: its text, and what it means.
type line struct {
	text                             string
	fixed                            bool
	minutes, hours, days, months, wd set
	anyDay, anyWeekday               bool
	every                            int64 // seconds, 0: the others decide
}

func (l line) names(r reading) bool {
	day := l.days.has(r.day) || l.wd.has(r.weekday)
	if l.anyDay || l.anyWeekday {
		day = l.days.has(r.day) && l.wd.has(r.weekday)
	}
	return day && l.minutes.has(r.minute) && l.hours.has(r.hour) && l.months.has(r.month)
}

// mark decides minute by minute, by the definition, which are slots.
func (l line) mark(minutes []minute, slots []bool) {
	for i := range minutes {
		m := &minutes[i]
		if l.every > 0 {
			slots[i] = slots[i] || m.at.Unix()%l.every == 0
			continue
		}
		if l.names(m.shown) && (!l.fixed || !m.again) {
			slots[i] = true
		}
		for j, r := range m.skipped {
			switch {
			case !l.names(r):
			case l.fixed:
				slots[i] = true
			case i+j < len(slots):
				slots[i+j] = true
			}
		}
	}
}

// drawField draws numbers of low to usual; what has no end ends at high.
func drawField(t *rapid.T, low, high, usual int, forms ...string) (string, set) {
	number := func(least int) int { return rapid.IntRange(least, usual).Draw(t, "number") }
	step := func() int { return rapid.IntRange(2, high).Draw(t, "step") }
	switch rapid.SampledFrom(forms).Draw(t, "form") {
	case "n":
		n := number(low)
		return strconv.Itoa(n), numbers(n, n, 1)
	case "n,n":
		a, b := number(low), number(low)
		return fmt.Sprintf("%d,%d", a, b), numbers(a, a, 1) | numbers(b, b, 1)
	case "n-n":
		a := number(low)
		b := number(a)
		return fmt.Sprintf("%d-%d", a, b), numbers(a, b, 1)
	case "n-n/n":
		a := number(low)
		b, n := number(a), step()
		return fmt.Sprintf("%d-%d/%d", a, b, n), numbers(a, b, n)
	case "n/n":
		a, n := number(low), step()
		return fmt.Sprintf("%d/%d", a, n), numbers(a, high, n)
	case "*/n":
		n := step()
		return fmt.Sprintf("*/%d", n), numbers(low, high, n)
	default:
		return "*", numbers(low, high, 1)
	}
}

func drawLine(t *rapid.T) line {
	if rapid.IntRange(0, 9).Draw(t, "every") == 0 {
		m := rapid.IntRange(1, 3000).Draw(t, "minutes")
		return line{text: fmt.Sprintf("@every %dm", m), every: int64(m) * 60}
	}
	forms := []string{"n", "n,n", "n-n", "n-n/n", "n/n", "*/n", "*"}
	sparse := []string{"*", "*", "*", "*", "*", "n", "n-n", "n,n", "*/n"}
	var l line
	var f [5]string
	f[0], l.minutes = drawField(t, 0, 59, 59, append(forms, "n", "n,n", "n", "n,n", "n-n/n", "n")...)
	// Most clock changes are in the small hours.
	f[1], l.hours = drawField(t, 0, 23, rapid.SampledFrom([]int{3, 23}).Draw(t, "hours"), forms...)
	f[2], l.days = drawField(t, 1, 31, 31, sparse...)
	f[3], l.months = drawField(t, 1, 12, 12, sparse...)
	f[4], l.wd = drawField(t, 0, 6, 6, sparse...)
	l.text = strings.Join(f[:], " ")
	l.fixed, l.anyDay, l.anyWeekday = f[1][0] != '*', f[2] == "*", f[4] == "*"
	return l
}

// walks are days around the clock changes of many zones, and some without one.
func walks(t *testing.T) (all map[string][]minute, zones map[string]*time.Location) {
	t.Helper()
	all, zones = map[string][]minute{}, map[string]*time.Location{}
	add := func(middle time.Time) {
		name := middle.Location().String() + middle.Format(" "+time.DateOnly)
		all[name], zones[name] = walk(middle), middle.Location()
	}
	for _, c := range []struct {
		zone  string
		years []int
	}{
		{"America/New_York", []int{1986, 2006, 2007, 2026, 2031}},
		{"Europe/London", []int{1995, 2026, 2034}},
		{"Australia/Lord_Howe", []int{2000, 2026, 2027, 2035}},
		{"America/Sao_Paulo", []int{1987, 2002, 2012, 2018}},
		{"Africa/Casablanca", []int{2012, 2026}}, // back for Ramadan
		{"America/Havana", []int{2026}},          // midnight comes twice
		{"America/St_Johns", []int{1988, 2009}},  // two hours once; at a minute past midnight
		{"Antarctica/Troll", []int{2026}},        // two hours
		{"Pacific/Apia", []int{2011}},            // a whole day is skipped
		{"Pacific/Kwajalein", []int{1969, 1993}}, // a day comes twice; another is skipped
	} {
		zone := load(t, c.zone)
		for _, year := range c.years {
			at := time.Date(year, time.January, 1, 0, 0, 0, 0, zone)
			for _, at = at.ZoneBounds(); !at.IsZero() && at.Year() == year; _, at = at.ZoneBounds() {
				add(at)
			}
		}
	}
	for _, day := range []struct{ zone, day string }{
		{"Asia/Kolkata", "2024-02-28"},
		{"Asia/Kolkata", "2026-03-08"},
		{"Asia/Kolkata", "2027-01-01"},
		{"America/New_York", "2028-12-31"},
		{"Europe/London", "2032-12-31"},
		{"Australia/Lord_Howe", "2040-12-31"},
	} {
		add(at(t, day.zone, day.day))
	}
	return all, zones
}

func TestSlotsAreThoseOfAClockThatIsLookedAtEveryMinute(t *testing.T) {
	setChecks(t, 50_000)
	all, zones := walks(t)
	names := slices.Sorted(maps.Keys(all))
	require.Greater(t, len(names), 45)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "around")
		minutes := all[name]
		marks := make([]bool, len(minutes))
		var texts []string
		for range rapid.SampledFrom([]int{1, 1, 2}).Draw(t, "lines") {
			l := drawLine(t)
			if l.every == 0 && schedule.Check(l.text) != nil {
				// Such as 31 February, which is in no walk either.
				require.ErrorContains(t, schedule.Check(l.text), "never comes", l.text)
				before := slices.Clone(marks)
				l.mark(minutes, marks)
				require.Equal(t, before, marks)
				continue
			}
			l.mark(minutes, marks)
			texts = append(texts, l.text)
		}
		var want []time.Time
		for i, m := range minutes {
			if marks[i] {
				want = append(want, m.at)
			}
		}

		s, err := schedule.Parse(texts, zones[name])
		require.NoError(t, err)
		from, until := minutes[0].at, minutes[len(minutes)-1].at
		got := s.Between(from.Add(-time.Second), until, len(minutes)+1)
		if !slices.Equal(got, want) {
			t.Fatalf("%s, %q:\n got %v\nwant %v", name, texts, got, want)
		}

		// What Next says does not depend on where it is asked from.
		after := from.Add(time.Duration(rapid.Int64Range(0, int64(until.Sub(from))).Draw(t, "after")))
		later, _ := slices.BinarySearchFunc(want, after, func(a, b time.Time) int {
			if !a.After(b) {
				return -1
			}
			return 1
		})
		next := s.Next(after)
		if later < len(want) {
			require.Equal(t, want[later], next)
		} else {
			require.True(t, next.IsZero() || next.After(until), next)
		}
		require.Equal(t, want[later:min(later+3, len(want))], append(want[:0:0], s.Between(after, until, 3)...))
	})
}

// planned is what a planner has seen.
type planned struct {
	state schedule.State
	seen  map[time.Time]bool
}

// check holds one decision against all slots that have come since the last one.
func (p *planned) check(t *rapid.T, s schedule.Schedule, now time.Time, rules schedule.Rules) {
	d := s.Plan(p.state, now, rules)
	all := s.Between(p.state.Last, now, 100_000)
	require.Equal(t, max(0, p.state.Last.Sub(now)), d.Ahead)
	listed := all[max(0, len(all)-schedule.Most):]
	require.Len(t, d.Slots, len(listed))
	if earlier := all[:len(all)-len(listed)]; len(earlier) == 0 {
		require.Nil(t, d.Earlier)
	} else {
		require.Equal(t, earlier[0], d.Earlier.First)
		require.Equal(t, earlier[len(earlier)-1], d.Earlier.Last)
	}
	runs := 0
	for i, slot := range d.Slots {
		require.Equal(t, listed[i], slot.At)
		require.False(t, p.seen[slot.At])
		p.seen[slot.At] = true
		local := slot.At.In(now.Location())
		held := slices.Contains(rules.Holidays, schedule.DateOf(local))
		dark := local.Hour() >= 22 || local.Hour() < 6
		late := now.Sub(slot.At) > rules.CatchUp
		later := slices.ContainsFunc(listed[i+1:], func(at time.Time) bool {
			at = at.In(now.Location())
			return at.Hour() < 22 && at.Hour() >= 6 && !slices.Contains(rules.Holidays, schedule.DateOf(at))
		})
		now := now.In(now.Location())
		switch {
		case rules.Paused:
			require.Equal(t, schedule.Paused, slot.Verdict)
		case held:
			require.Equal(t, schedule.Holiday, slot.Verdict)
		case dark:
			require.Equal(t, schedule.Blackout, slot.Verdict)
		case late || later:
			require.Equal(t, schedule.Missed, slot.Verdict)
		case slices.Contains(rules.Holidays, schedule.DateOf(now)):
			require.Equal(t, schedule.Holiday, slot.Verdict)
		case now.Hour() >= 22 || now.Hour() < 6:
			require.Equal(t, schedule.Blackout, slot.Verdict)
		case !p.state.Running:
			require.Equal(t, schedule.Run, slot.Verdict)
			runs++
		case rules.Queue:
			require.Equal(t, schedule.Queue, slot.Verdict)
			runs++
		default:
			require.Equal(t, schedule.Overlap, slot.Verdict)
		}
	}
	require.LessOrEqual(t, runs, 1)
	if len(all) > 0 {
		require.Equal(t, all[len(all)-1], d.Last)
	} else {
		require.Equal(t, p.state.Last, d.Last)
	}
	p.state.Last = d.Last
}

func TestEverySlotIsJudgedOnceByTheRules(t *testing.T) {
	setChecks(t, 5000)
	zone := load(t, newYork)
	rapid.Check(t, func(t *rapid.T) {
		var texts []string
		for range rapid.IntRange(1, 2).Draw(t, "lines") {
			if l := drawLine(t); schedule.Check(l.text) == nil {
				texts = append(texts, l.text)
			}
		}
		s, err := schedule.Parse(texts, zone)
		require.NoError(t, err)
		now := time.Date(2026, time.March, 6, 12, 0, 0, 0, zone)
		p := planned{schedule.State{Last: now.UTC()}, map[time.Time]bool{}}
		rules := schedule.Rules{
			CatchUp:   time.Duration(rapid.IntRange(1, 24).Draw(t, "catch up")) * time.Hour,
			Blackouts: []schedule.Window{{From: 22 * 60, To: 6 * 60}},
			Holidays:  []schedule.Date{{Year: 2026, Month: time.March, Day: 8}, {Year: 2026, Month: time.March, Day: 11}},
			Queue:     rapid.Bool().Draw(t, "queue"),
		}
		for range rapid.IntRange(1, 8).Draw(t, "plans") {
			// Mostly a minute goes by, now and then the clock jumps.
			seconds := rapid.SampledFrom([]int{60, 60, 60, 3600, -3600, 100_000, -100_000}).Draw(t, "jump")
			now = now.Add(time.Duration(rapid.IntRange(min(0, seconds), max(0, seconds)).Draw(t, "seconds")) * time.Second)
			rules.Paused = rapid.IntRange(0, 4).Draw(t, "paused") == 0
			p.state.Running = rapid.Bool().Draw(t, "running")
			p.check(t, s, now, rules)
		}
	})
}
