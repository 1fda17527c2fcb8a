package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/schedule"
)

// The clock was wrong before, or is now, when slots were judged so far ahead of it,
// which is more than replicas' clocks differ. No slot runs twice for that.
const wrongBefore = 30 * time.Minute

// A schedule that has changed begins so long ago: while replicas with different
// configurations change it to and fro, no slot of either is lost.
const overlapping = time.Minute

// plan judges slots when they are due, and days when a drop should have come,
// until ctx ends.
func (d *Daemon) plan(ctx context.Context) {
	away := false
	for ctx.Err() == nil {
		d.live(ctx)
		next, err := d.judge(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !away:
			d.Log.Warn("the schedules could not be looked at, trying again until they can", "err", err)
		case err == nil && away:
			d.Log.Info("the schedules are looked at again")
		}
		away = err != nil
		d.Looked()
		wait := min(looks, d.Lease)
		if until := next.Sub(d.Now()); !next.IsZero() && until < wait {
			wait = max(until, 0)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// judge judges what is due, and returns when more will be.
func (d *Daemon) judge(ctx context.Context) (next time.Time, err error) {
	now := d.Now()
	feeds := d.known()
	var names, scheduled []string
	for _, f := range feeds {
		names = append(names, f.Name)
		if !f.Schedule.Next(now).IsZero() {
			scheduled = append(scheduled, f.Name)
		}
	}
	// A schedule that a feed gets later begins then.
	states, err := d.Ledger.Schedules(ctx, scheduled, now)
	if err != nil {
		return next, err
	}
	var faults error
	for _, f := range feeds {
		d.Looked()
		state, ok := states[f.Name]
		if !ok {
			continue
		}
		at, err := d.judgeFeed(ctx, f, state, now)
		if errors.Is(err, importer.ErrUnavailable) || ctx.Err() != nil {
			return next, err
		}
		faults = errors.Join(faults, err) // which is this feed's, and keeps no other back
		next = earlier(next, at)
	}
	return next, errors.Join(faults, d.adopt(ctx, names))
}

// judgeFeed judges what is due of one feed, and returns when more will be.
func (d *Daemon) judgeFeed(ctx context.Context, f Feed, state ledger.SlotState, now time.Time) (next time.Time, err error) {
	if says := f.Schedule.String(); state.Says != says {
		if state.Last, err = d.Ledger.Reschedule(ctx, f.Name, says, now.Add(-overlapping)); err != nil {
			return next, err
		}
	}
	at := f.Schedule.Next(state.Last)
	if ahead := state.Last.Sub(now); ahead > wrongBefore {
		d.Log.Error("slots were judged far ahead of the clock, which was wrong then or is now: judging begins again from now, and no slot runs twice", "feed", f.Name, "ahead", ahead.String())
		if err := d.Ledger.Rewind(ctx, f.Name, now); err != nil {
			return next, err
		}
		at = f.Schedule.Next(now)
	}
	if !at.IsZero() && !at.After(now) {
		if err := d.judgeSlots(ctx, f, now); err != nil {
			return next, err
		}
		at = f.Schedule.Next(now)
	}
	if state.Awaits {
		err = d.Ledger.FindLate(ctx, f.Name, func(ctx context.Context, tx pgx.Tx, run int64, since time.Time) error {
			return d.tell(ctx, tx, f, Event{What: EventRun, Run: run, Late: since})
		})
		if err != nil {
			return next, err
		}
	}
	by, err := d.judgeDay(ctx, f, state, now)
	return earlier(at, by), err
}

// earlier is the earlier one of two moments, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (d *Daemon) judgeSlots(ctx context.Context, f Feed, now time.Time) error {
	var decision schedule.Decision
	var overlap bool
	err := d.Ledger.JudgeSlots(ctx, f.Name, func(s ledger.SlotState) ([]ledger.JudgedSlot, time.Time) {
		overlap = s.Overlap
		rules := f.Rules
		rules.Paused = !s.Paused.IsZero()
		decision = f.Schedule.Plan(schedule.State{Last: s.Last, Running: s.Running, Queued: s.Queued}, now, rules)
		return judged(decision), decision.Last
	}, func(ctx context.Context, tx pgx.Tx, fresh []ledger.JudgedSlot) error {
		for _, s := range fresh {
			if s.Runs {
				if err := insert(ctx, d.client, tx, f.Name, s.At); err != nil {
					return err
				}
			}
		}
		return d.tellOf(ctx, tx, f, fresh, overlap)
	})
	if err != nil {
		return err
	}
	if e := decision.Earlier; e != nil {
		d.Log.Warn("slots of the schedule have passed", "feed", f.Name, "from", e.First, "to", e.Last, "verdict", e.Verdict)
	}
	for _, s := range decision.Slots {
		log := d.Log.Info
		if s.Verdict == schedule.Missed || s.Verdict == schedule.Overlap {
			log = d.Log.Warn
		}
		log("a slot of the schedule", "feed", f.Name, "slot", s.At, "verdict", s.Verdict)
	}
	return nil
}

// tellOf has people told of slots that came to nothing: of those that were missed
// once, however many there are, and of those that a run kept from running once too:
// overlap says that people know.
func (d *Daemon) tellOf(ctx context.Context, tx pgx.Tx, f Feed, slots []ledger.JudgedSlot, overlap bool) error {
	var missed Event
	for _, s := range slots {
		switch s.Verdict {
		case string(schedule.Missed):
			if missed.What == "" {
				missed = Event{What: EventMissed, At: s.At, Until: s.Until}
			} else {
				missed.Until = s.At
			}
		case string(schedule.Overlap):
			if overlap {
				continue
			}
			if err := d.tell(ctx, tx, f, Event{What: EventOverlap, At: s.At}); err != nil {
				return err
			}
		}
	}
	if missed.What == "" {
		return nil
	}
	return d.tell(ctx, tx, f, missed)
}

func judged(d schedule.Decision) []ledger.JudgedSlot {
	var slots []ledger.JudgedSlot
	if e := d.Earlier; e != nil {
		slots = append(slots, ledger.JudgedSlot{At: e.First, Until: e.Last, Verdict: string(e.Verdict)})
	}
	for _, s := range d.Slots {
		slots = append(slots, ledger.JudgedSlot{At: s.At, Verdict: string(s.Verdict), Runs: s.Verdict == schedule.Run || s.Verdict == schedule.Queue})
	}
	return slots
}

// patience is how long a run that is going may still bring in the drop of a day
// before that is said to be late, when no other has looked for it since: it may be
// large, and a daemon that was down may come back when the hour has passed.
const patience = time.Hour

// judgeDay judges whether a feed's drop of today has come, once it must have, and
// returns when that is if it is still to be judged.
func (d *Daemon) judgeDay(ctx context.Context, f Feed, state ledger.SlotState, now time.Time) (at time.Time, err error) {
	day := schedule.DateOf(now.In(f.Zone))
	if d.days[f.Name] == day {
		return at, nil
	}
	from, by, ok := f.expects(day)
	if !ok {
		return at, nil
	}
	if now.Before(by) {
		return by, nil
	}
	if by.Before(state.Since) { // nobody was to look for it then
		return at, nil
	}
	judged, late, err := d.Ledger.JudgeDay(ctx, f.Name, calendar(day), from, by, patience, func(ctx context.Context, tx pgx.Tx) error {
		return d.tell(ctx, tx, f, Event{What: EventLate, At: by, Paused: state.Paused})
	})
	if judged {
		d.days[f.Name] = day
	}
	if late {
		d.Log.Warn("no drop has come by the time at which one was expected", "feed", f.Name, "by", by)
	}
	return at, err
}

// expects tells by when a drop must have come on a day, and when the day begins,
// if one is expected.
func (f Feed) expects(day schedule.Date) (from, by time.Time, ok bool) {
	if f.ExpectBy == nil || !f.Schedule.Expects(day, f.Rules) {
		return from, by, false
	}
	return schedule.ExpectBy(day, 0, f.Zone), schedule.ExpectBy(day, *f.ExpectBy, f.Zone), true
}

// calendar is a day as PostgreSQL takes it.
func calendar(d schedule.Date) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}
