package schedule

import (
	"errors"
	"strings"
	"time"
)

// Clock is a time of day in minutes after midnight, as a clock on the wall shows
// it.
type Clock int

// Window is a daily blackout by the clock on the wall, from From until just
// before To; it crosses midnight when To is before From. To may be 24:00.
type Window struct{ From, To Clock }

// Date is a day of the calendar, such as a holiday.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

const midnight Clock = 24 * 60

// ParseClock reads a time of day such as 07:30. The error follows the name of
// the configuration's key.
func ParseClock(text string) (Clock, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, errors.New("is no time of day: write hours and minutes, such as 07:30")
	}
	return clockOf(t), nil
}

// ParseWindow reads a blackout such as 22:00-06:00. The error follows the name
// of the configuration's key.
func ParseWindow(text string) (Window, error) {
	from, to, _ := strings.Cut(text, "-")
	var w Window
	var err, toErr error
	w.From, err = ParseClock(from)
	if to == "24:00" {
		w.To = midnight
	} else {
		w.To, toErr = ParseClock(to)
	}
	switch {
	case errors.Join(err, toErr) != nil:
		return Window{}, errors.New("is no daily window: write two times of day, such as 22:00-06:00")
	case w.From == w.To:
		return Window{}, errors.New("begins when it ends: write 00:00-24:00 for the whole day, or pause the feed")
	}
	return w, nil
}

// contains tells whether the clock shows a time of the window.
func (w Window) contains(local time.Time) bool {
	c := clockOf(local)
	if w.From < w.To {
		return w.From <= c && c < w.To
	}
	return w.From <= c || c < w.To
}

// ParseDate reads a day such as 2026-12-25. The error follows the name of the
// configuration's key.
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return Date{}, errors.New("is no date: write year, month and day, such as 2026-12-25")
	}
	return DateOf(t), nil
}

// DateOf is the day of an instant in the zone that the instant is written in.
func DateOf(t time.Time) Date {
	year, month, day := t.Date()
	return Date{year, month, day}
}

// ExpectBy is the instant, in UTC, at which a drop must have come on a day of
// the zone: a clock change treats it as it treats a slot of fixed hours.
func ExpectBy(day Date, by Clock, zone *time.Location) time.Time {
	return firstShown(zone, time.Date(day.Year, day.Month, day.Day, int(by/60), int(by%60), 0, 0, time.UTC))
}

func clockOf(t time.Time) Clock { return Clock(t.Hour()*60 + t.Minute()) }
