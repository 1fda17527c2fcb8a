package schedule

import (
	"slices"
	"time"
)

// Most is how many slots a decision lists one by one.
const Most = 100

// inTime is how late a slot is still no missed one.
const inTime = time.Minute

// Verdict says what becomes of a slot. A slot is judged once: only Run and Queue
// lead to a run, and none of the others is made up for later.
type Verdict string

// The verdicts. Paused, Holiday and Blackout are also those of a missed slot
// that could only be caught up at such a time.
const (
	Run      Verdict = "run"      // it runs now
	Queue    Verdict = "queue"    // it runs when the run that is going has ended
	Missed   Verdict = "missed"   // nobody was there to run it, and it is too old or a later one runs
	Overlap  Verdict = "overlap"  // the run before it was still going
	Paused   Verdict = "paused"   // the feed is paused
	Holiday  Verdict = "holiday"  // its day is a holiday
	Blackout Verdict = "blackout" // it is within a blackout
)

// Rules are a feed's rules for its slots. Days and times of day are those of the
// schedule's zone.
type Rules struct {
	// CatchUp is how late a slot may run; within its first minute it always may.
	CatchUp   time.Duration
	Paused    bool
	Blackouts []Window
	Holidays  []Date
	// Queue lets a slot wait for the run that is going. One waits at most, since
	// its run takes everything that has come. Otherwise the slot is skipped.
	Queue bool
}

// State is what was planned before.
type State struct {
	// Last is what the last decision left as Last, for a new feed the moment
	// since which it is known.
	Last    time.Time
	Running bool // a run of the feed is going
	Queued  bool // a slot waits for it
}

// Decision is what becomes of the slots that are due. It is to be recorded with
// Last in one transaction, so that no slot is planned twice.
type Decision struct {
	Slots []Slot // in order, the last Most of them; one of them runs or is queued, or none
	// Earlier are the slots before these, if there are any.
	Earlier *Stretch
	Last    time.Time // the last slot that has been judged
	// Ahead is how far Last is ahead of now: the clock has gone back, or was
	// wrong before, and nothing is due until it is there again.
	Ahead time.Duration
}

// Slot is a slot that was judged.
type Slot struct {
	At      time.Time
	Verdict Verdict
}

// Stretch is so many slots that they are neither listed nor counted.
type Stretch struct {
	First, Last time.Time
	Verdict     Verdict // Missed or Paused
}

// Plan judges the slots later than state.Last and not later than now. The latest
// that no rule forbids runs, if it is within CatchUp and no rule forbids a run
// now. The work does not grow with the time that has passed.
func (s Schedule) Plan(state State, now time.Time, rules Rules) Decision {
	d := Decision{Last: state.Last}
	if now.Before(state.Last) {
		d.Ahead = state.Last.Sub(now)
		return d
	}
	until := now
	for len(d.Slots) < Most {
		at := s.latest(state.Last, until)
		if at.IsZero() {
			break
		}
		d.Slots = append(d.Slots, Slot{At: at, Verdict: Missed})
		until = at.Add(-time.Second)
	}
	if len(d.Slots) == 0 {
		return d
	}
	d.Last = d.Slots[0].At
	d.Earlier = s.earlier(state.Last, until, rules)
	s.judge(d.Slots, state, now, rules)
	slices.Reverse(d.Slots)
	return d
}

func (s Schedule) earlier(after, until time.Time, rules Rules) *Stretch {
	last := s.latest(after, until)
	if last.IsZero() {
		return nil
	}
	verdict := Missed
	if rules.Paused {
		verdict = Paused
	}
	return &Stretch{First: s.Next(after), Last: last, Verdict: verdict}
}

// judge takes the latest slot first.
func (s Schedule) judge(slots []Slot, state State, now time.Time, rules Rules) {
	chosen := false
	for i := range slots {
		slot := &slots[i]
		switch verdict, forbidden := s.Forbids(rules, slot.At); {
		case forbidden:
			slot.Verdict = verdict
		case !chosen && now.Sub(slot.At) <= max(rules.CatchUp, inTime):
			chosen = true
			slot.Verdict = s.start(state, now, rules)
		}
	}
}

// start is the verdict on a slot that would run now.
func (s Schedule) start(state State, now time.Time, rules Rules) Verdict {
	verdict, forbidden := s.Forbids(rules, now)
	switch {
	case forbidden:
		return verdict
	case !state.Running && !state.Queued:
		return Run
	case rules.Queue && !state.Queued:
		return Queue
	default:
		return Overlap
	}
}

// Forbids tells which rule forbids a run at an instant, if one does.
func (s Schedule) Forbids(rules Rules, at time.Time) (Verdict, bool) {
	local := at.In(s.zone)
	switch {
	case rules.Paused:
		return Paused, true
	case slices.Contains(rules.Holidays, DateOf(local)):
		return Holiday, true
	case slices.ContainsFunc(rules.Blackouts, func(w Window) bool { return w.contains(local) }):
		return Blackout, true
	default:
		return "", false
	}
}

// Expects tells whether a drop is to be expected on a day: it has a slot, and is no
// holiday. A vendor knows of no pause.
func (s Schedule) Expects(day Date, rules Rules) bool {
	if len(s.expressions) == 0 || slices.Contains(rules.Holidays, day) {
		return false
	}
	begin := ExpectBy(day, 0, s.zone)
	first := s.Next(begin.Add(-time.Second))
	return !first.IsZero() && DateOf(first.In(s.zone)) == day
}
