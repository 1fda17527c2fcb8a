package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"importer/internal/importer"
)

// attendant works jobs: it carries a slot's run in this process, or waits for
// whoever does. Its job never takes long, so that one whose replica has died is
// soon another's.
type attendant struct {
	river.WorkerDefaults[SlotArgs]

	daemon *Daemon
}

// again is how soon a run is looked at again that cannot be carried now.
const again = 2 * time.Second

// Work implements river.Worker.
func (a *attendant) Work(ctx context.Context, job *river.Job[SlotArgs]) error {
	d := a.daemon
	g, err := d.carry(ctx, job.Args)
	if err != nil {
		return err
	}
	if g == nil { // another replica's, or another slot's turn
		return river.JobSnooze(again)
	}
	timer := time.NewTimer(attends)
	defer timer.Stop()
	select {
	case <-g.done:
		if g.over {
			return nil
		}
		return river.JobSnooze(again)
	case <-timer.C:
		return river.JobSnooze(0)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// carry finds the slot's run in this process, or begins it here. Nil: it is not
// this process's to carry.
func (d *Daemon) carry(ctx context.Context, slot SlotArgs) (*going, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g, ok := d.going[slot]; ok {
		return g, nil
	}
	f, ok := d.feeds[slot.Feed]
	if !ok || len(d.going) >= d.AtOnce || d.runs.Err() != nil {
		return nil, nil //nolint:nilnil // not now, or not here
	}
	begun, ok, err := d.Ledger.BeginSlot(ctx, slot.Feed, slot.Slot, d.Lease)
	if err != nil || !ok {
		return nil, err
	}
	g := &going{done: make(chan struct{})}
	d.going[slot] = g
	d.all.Go(func() {
		g.over = d.run(f, slot, begun)
		d.mu.Lock()
		delete(d.going, slot)
		d.mu.Unlock()
		close(g.done)
	})
	return g, nil
}

// run carries a run and tells whether it has ended. One that was stopped has not.
func (d *Daemon) run(f Feed, slot SlotArgs, begun importer.Begun) (over bool) {
	ctx, cancel := context.WithCancelCause(d.runs)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		d.keep(ctx, begun, cancel)
	}()
	s, err := f.Run(ctx, begun)
	stopped := context.Cause(ctx) != nil
	cancel(nil)
	<-kept
	outliving, end := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer end()
	if stopped {
		if err := d.Ledger.LeaveRun(outliving, begun); err != nil {
			d.Log.Warn("a run could not be left to others at once", "run", begun.Run, "err", err)
		}
		return false
	}
	if err := d.Ledger.EndSlot(outliving, slot.Feed, slot.Slot); err != nil {
		d.Log.Warn("the end of a slot could not be recorded, it is looked at again", "feed", slot.Feed, "slot", slot.Slot, "err", err)
		return false
	}
	d.Ended(slot.Feed, s, err)
	return true
}

// keep prolongs the right to carry a run until ctx ends, and ends the run when
// another has it.
func (d *Daemon) keep(ctx context.Context, begun importer.Begun, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(d.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := d.Ledger.RenewRun(ctx, begun, d.Lease); errors.Is(err, importer.ErrLeaseLost) {
				cancel(err)
				return
			}
		}
	}
}
