package schedule

import "time"

// period is a stretch of time in which a zone's clocks are not changed, from
// start until just before end; the zero time where there is no bound. The next
// one's offset may be the same.
type period struct {
	zone       *time.Location
	start, end time.Time
	offset     time.Duration // what the clocks are ahead of UTC
}

func periodAt(zone *time.Location, t time.Time) period {
	t = t.In(zone)
	start, end := t.ZoneBounds()
	_, seconds := t.Zone()
	if !end.IsZero() && !end.After(t) {
		// Where package time reckons by rules, it has a year end after 365 days,
		// and so finds the last day of a leap year behind the end of its period.
		end = t.Truncate(24 * time.Hour).Add(24 * time.Hour)
	}
	return period{zone, start, end, time.Duration(seconds) * time.Second}
}

// before is the period that ends with p's start, p itself if there is none.
func (p period) before() period {
	if p.start.IsZero() {
		return p
	}
	return periodAt(p.zone, p.start.Add(-time.Second))
}

func (p period) following() period { return periodAt(p.zone, p.end) }

// wall is what p's clocks show at an instant, written as if it were UTC.
func (p period) wall(t time.Time) time.Time { return t.UTC().Add(p.offset) }

// instant is when p's clocks show wall.
func (p period) instant(wall time.Time) time.Time { return wall.Add(-p.offset) }

// firstShown is the first instant at which the zone's clocks show wall or have
// been put forward past it, in UTC.
func firstShown(zone *time.Location, wall time.Time) time.Time {
	// No zone has been further from UTC than 16 hours.
	p := periodAt(zone, wall.Add(-24*time.Hour))
	for !p.end.IsZero() && !p.instant(wall).Before(p.end) {
		p = p.following()
	}
	if t := p.instant(wall); p.start.IsZero() || t.After(p.start) {
		return t.UTC()
	}
	return p.start.UTC()
}
