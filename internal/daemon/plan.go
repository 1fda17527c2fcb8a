package daemon

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"importer/internal/ledger"
	"importer/internal/schedule"
)

// plan judges slots when they are due, until ctx ends.
func (d *Daemon) plan(ctx context.Context) {
	for {
		next, err := d.judge(ctx)
		if err != nil && ctx.Err() == nil {
			d.Log.Warn("the schedules could not be looked at, trying again", "err", err)
		}
		wait := looks
		if until := next.Sub(d.Now()); !next.IsZero() && until < wait {
			wait = max(until, 0)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// judge judges the slots that are due, and returns when the next one is.
func (d *Daemon) judge(ctx context.Context) (next time.Time, err error) {
	states, err := d.Ledger.Schedules(ctx, slices.Sorted(maps.Keys(d.feeds)))
	if err != nil {
		return next, err
	}
	now := d.Now()
	for name, f := range d.feeds {
		last := states[name].Last
		if at := f.Schedule.Next(last); !at.IsZero() && !at.After(now) {
			if last, err = d.judgeFeed(ctx, f, now); err != nil {
				return next, err
			}
		}
		if at := f.Schedule.Next(last); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, nil
}

// judgeFeed judges a feed's due slots, and returns the last that was judged.
func (d *Daemon) judgeFeed(ctx context.Context, f Feed, now time.Time) (last time.Time, err error) {
	var decision schedule.Decision
	err = d.Ledger.JudgeSlots(ctx, f.Name, func(s ledger.SlotState) ([]ledger.JudgedSlot, time.Time) {
		rules := f.Rules
		rules.Paused = rules.Paused || s.Paused
		decision = f.Schedule.Plan(schedule.State{Last: s.Last, Running: s.Running, Queued: s.Queued}, now, rules)
		return judged(decision), decision.Last
	}, func(ctx context.Context, tx pgx.Tx, at time.Time) error {
		_, err := d.client.InsertTx(ctx, tx, SlotArgs{Feed: f.Name, Slot: at}, &river.InsertOpts{Queue: queue})
		return err
	})
	if err != nil {
		return last, err
	}
	for _, s := range decision.Slots {
		d.Log.Info("a slot of the schedule", "feed", f.Name, "slot", s.At, "verdict", s.Verdict)
	}
	return decision.Last, nil
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
