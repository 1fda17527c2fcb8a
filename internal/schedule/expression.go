package schedule

import (
	"errors"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// expression is one of a schedule's lines.
type expression interface {
	// next is the first slot later than after, the zero time if there is none.
	next(after time.Time, zone *time.Location) time.Time
}

var (
	errZone   = errors.New("names a time zone: move it to time_zone")
	errNoCron = errors.New(`is no cron expression: write minute, hour, day of month, month and day of week, such as "0 6 * * 1-5", or @daily`)
	errNever  = errors.New("never comes: correct its day or month")
	errEvery  = errors.New("repeats in less than a second or between seconds: write whole seconds, such as @every 90s")
)

func parse(text string) (expression, error) {
	if strings.Contains(text, "TZ=") { // robfig panics when nothing stands behind it
		return nil, errZone
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return nil, errNoCron
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return parseEvery(text)
	}
	w := walls{spec}
	switch {
	case w.next(time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero():
		return nil, errNever
	case anyHour(text):
		return elapsed{w}, nil
	default:
		return fixed{w}, nil
	}
}

// parseEvery reads the duration itself, since robfig rounds it.
func parseEvery(text string) (expression, error) {
	d, err := time.ParseDuration(strings.TrimPrefix(text, "@every "))
	switch {
	case err != nil:
		return nil, errNoCron
	case d < time.Second || d%time.Second != 0:
		return nil, errEvery
	}
	return every{int64(d / time.Second)}, nil
}

// anyHour tells whether the hour field is * or */n.
func anyHour(text string) bool {
	if strings.HasPrefix(text, "@") {
		return text == "@hourly"
	}
	for part := range strings.SplitSeq(strings.Fields(text)[1], ",") {
		if strings.HasPrefix(part, "*") || strings.HasPrefix(part, "?") {
			return true
		}
	}
	return false
}

// walls are the times on a wall clock that a cron expression names, each written
// as if it were UTC: robfig's own way through a clock change loses the time that
// is skipped, and on Lord Howe Island, where half an hour is, the whole hour.
type walls struct{ spec *cron.SpecSchedule }

// next is the first of them later than wall, the zero time if there is none.
func (w walls) next(wall time.Time) time.Time {
	t := w.spec.Next(wall)
	if t.IsZero() {
		// robfig gives up behind the fifth year, but 29 February may be eight
		// years away, around 2100.
		t = w.spec.Next(time.Date(wall.Year()+5, time.December, 31, 23, 59, 59, 0, time.UTC))
	}
	return t
}

// fixed has an hour field of numbers: each of its times comes once.
type fixed struct{ walls }

func (f fixed) next(after time.Time, zone *time.Location) time.Time {
	for w := f.walls.next(periodAt(zone, after).wall(after)); !w.IsZero(); w = f.walls.next(w) {
		// The clock may show a time for the second time.
		if t := firstShown(zone, w); t.After(after) {
			return t
		}
	}
	return time.Time{}
}

// elapsed has * or */n as its hour field: its times come as often as the clock
// shows them.
type elapsed struct{ walls }

func (e elapsed) next(after time.Time, zone *time.Location) time.Time {
	for p := periodAt(zone, after); ; p = p.following() {
		if t := e.within(p, after); !t.IsZero() || p.end.IsZero() {
			return t
		}
		after = p.end.Add(-time.Second)
	}
}

// within is the first slot of a period that is later than after.
func (e elapsed) within(p period, after time.Time) time.Time {
	t := p.instant(e.walls.next(p.wall(after)))
	if !p.end.IsZero() && !t.Before(p.end) {
		t = time.Time{}
	}
	before := p.before()
	if skipped := p.offset - before.offset; skipped > 0 && after.Before(p.start.Add(skipped)) {
		w := e.walls.next(before.wall(after))
		if never := before.instant(w); w.Before(p.wall(p.start)) && (t.IsZero() || never.Before(t)) {
			t = never
		}
	}
	return t
}

// every repeats after so many seconds, counted from 1970 so that all importers
// agree, whenever they were started.
type every struct{ seconds int64 }

func (e every) next(after time.Time, _ *time.Location) time.Time {
	s := after.Unix()
	rest := s % e.seconds
	if rest < 0 {
		rest += e.seconds
	}
	return time.Unix(s-rest+e.seconds, 0).UTC()
}
