// Package schedule tells which slots of a feed's schedule are due. It is
// arithmetic alone: what time it is, is always said by the caller.
package schedule

import (
	"fmt"
	"strings"
	"time"
)

// Schedule is a feed's cron expressions in its zone. Its slots are instants on
// whole seconds, in UTC; one that several expressions name is one slot. The
// zero Schedule has none.
//
// What a clock change does to a slot depends on the expression's hour field.
// Numbers, lists and ranges of hours are fixed: whoever writes 2 or 8-18 means
// what the clock on the wall shows, once a day. Such a slot comes when the clock
// shows its time for the first time, or, if it never does, as soon as the clock
// has been put forward. * and */2 mean a distance instead: such a slot comes as
// often as the clock shows its time, or, if it never does, when it would have
// without the change. So there is an hour between slots of "0 * * * *" whatever
// the clocks do. @hourly is * and the other named schedules are fixed. @every
// counts from the beginning of 1970 in UTC and knows no clocks at all.
type Schedule struct {
	zone        *time.Location
	expressions []expression
	text        string
}

// Parse reads a feed's expressions: minute, hour, day of month, month and day of
// week as robfig/cron reads them, @daily and its like, or @every with whole
// seconds. The error follows the name of the configuration's key.
func Parse(expressions []string, zone *time.Location) (Schedule, error) {
	s := Schedule{zone: zone, text: zone.String() + ": " + strings.Join(expressions, ", ")}
	for _, text := range expressions {
		e, err := parse(text)
		if err != nil {
			return Schedule{}, fmt.Errorf("has %q, which %w", text, err)
		}
		s.expressions = append(s.expressions, e)
	}
	return s, nil
}

// String is what the schedule says: its zone and its expressions.
func (s Schedule) String() string { return s.text }

// Check tells what is wrong with one expression, in words that follow the name
// of the configuration's key.
func Check(expression string) error {
	_, err := parse(expression)
	return err
}

// Next is the first slot later than after, the zero time if there is none.
func (s Schedule) Next(after time.Time) time.Time {
	var first time.Time
	for _, e := range s.expressions {
		if t := e.next(after, s.zone); !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Between lists the slots later than after and not later than until, in order,
// at most limit of them.
func (s Schedule) Between(after, until time.Time, limit int) []time.Time {
	var slots []time.Time
	for t := s.Next(after); !t.IsZero() && !t.After(until) && len(slots) < limit; t = s.Next(t) {
		slots = append(slots, t)
	}
	return slots
}

// latest is the last slot later than after and not later than until, the zero
// time if there is none. It doubles and halves the time to look at, since
// walking through a year of minutes would take long.
func (s Schedule) latest(after, until time.Time) time.Time {
	comes := func(second int64) bool {
		t := s.Next(time.Unix(second, 0))
		return !t.IsZero() && !t.After(until)
	}
	// Slots are on whole seconds, so that nothing is lost by counting these.
	low, high := after.Unix(), until.Unix()
	if !comes(low) {
		return time.Time{}
	}
	for step := int64(60); high-step > low; step *= 2 {
		if comes(high - step) {
			low = high - step
			break
		}
		high -= step
	}
	for high-low > 1 {
		if middle := low + (high-low)/2; comes(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return time.Unix(high, 0).UTC()
}
