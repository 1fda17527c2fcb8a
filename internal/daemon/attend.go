package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"importer/internal/importer"
	"importer/internal/ledger"
)

// attendant works jobs: it carries a slot's run in this process, or waits for
// whoever does. Its job never takes long, so that one whose replica has died is
// soon another's.
type attendant struct {
	river.WorkerDefaults[SlotArgs]

	daemon *Daemon
}

// aside is how soon a run is looked at again that is another's to carry.
const aside = 5 * time.Second

// Work implements river.Worker.
func (a *attendant) Work(ctx context.Context, job *river.Job[SlotArgs]) error {
	d := a.daemon
	job.Args.At = job.Args.At.UTC() // as the key of what is going
	attending, end := context.WithTimeout(ctx, attends)
	defer end()
	g, standing, err := d.carry(attending, job.Args)
	switch {
	case ctx.Err() == nil && attending.Err() != nil: // all places are taken
		return river.JobSnooze(0)
	case err != nil:
		return err
	case standing == ledger.SlotEnded:
		return nil
	case standing == ledger.SlotBusy:
		return river.JobSnooze(aside)
	}
	select {
	case <-g.done:
		if g.over {
			return nil
		}
		return river.JobSnooze(aside)
	case <-attending.Done():
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return river.JobSnooze(0)
	}
}

// carry finds the slot's run in this process, or begins it here as soon as there
// is a place for it.
func (d *Daemon) carry(ctx context.Context, slot SlotArgs) (*going, ledger.SlotStanding, error) {
	if g := d.carried(slot); g != nil {
		return g, ledger.SlotBegun, nil
	}
	select {
	case d.room <- struct{}{}:
	case <-ctx.Done():
		return nil, ledger.SlotBusy, ctx.Err()
	}
	g, standing, err := d.begin(ctx, slot)
	if g == nil {
		<-d.room
	}
	return g, standing, err
}

func (d *Daemon) carried(slot SlotArgs) *going {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.going[slot]
}

// adopt carries the runs that nobody carries, as far as there are places. Jobs
// would bring them too, but one whose replica has died does so late.
func (d *Daemon) adopt(ctx context.Context, feeds []string) error {
	left, err := d.Ledger.LeftSlots(ctx, feeds, d.Lease)
	if err != nil {
		return err
	}
	for _, slot := range left {
		select {
		case d.room <- struct{}{}:
		default:
			return nil
		}
		g, _, err := d.begin(ctx, SlotArgs{Feed: slot.Feed, At: slot.At.UTC()})
		if g == nil {
			<-d.room
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin begins a slot's run in a place that it has. Nil: it is not this
// process's to carry, or not now.
func (d *Daemon) begin(ctx context.Context, slot SlotArgs) (*going, ledger.SlotStanding, error) {
	d.mu.Lock()
	f, ok := d.feeds[slot.Feed]
	_, here := d.going[slot] // and its lease is over, which it will notice
	d.mu.Unlock()
	if !ok || here || d.stopping() {
		return nil, ledger.SlotBusy, nil
	}
	begun, standing, err := d.Ledger.BeginSlot(ctx, slot.Feed, slot.At, d.Lease)
	if err != nil || standing != ledger.SlotBegun {
		return nil, standing, err
	}
	if g := d.set(f, slot, begun); g != nil {
		return g, standing, nil
	}
	d.leave(slot, begun)
	return nil, ledger.SlotBusy, nil
}

// stopping tells whether the daemon was told to stop.
func (d *Daemon) stopping() bool { return d.runs.Err() != nil }

// set sets a run going, unless the daemon was told to stop: nobody waits for it then.
func (d *Daemon) set(f Feed, slot SlotArgs, begun importer.Begun) *going {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping() {
		return nil
	}
	g := &going{done: make(chan struct{})}
	d.going[slot] = g
	d.all.Go(func() {
		defer func() { <-d.room }()
		g.over = d.run(f, slot, begun)
		d.mu.Lock()
		delete(d.going, slot)
		d.mu.Unlock()
		close(g.done)
	})
	return g
}

// leave leaves a run to others. A job of its own wakes them, who would look at who
// lives only later.
func (d *Daemon) leave(slot SlotArgs, begun importer.Begun) {
	ctx, end := context.WithTimeout(context.WithoutCancel(d.runs), 30*time.Second)
	defer end()
	err := d.Ledger.LeaveRun(ctx, begun, func(ctx context.Context, tx pgx.Tx) error {
		return insert(ctx, d.client, tx, slot.Feed, slot.At)
	})
	if err != nil {
		d.Log.Warn("a run could not be left to others at once", "feed", slot.Feed, "run", begun.Run, "err", err)
		return
	}
	d.Log.Info("a run was stopped, and goes on wherever importer serve lives", "feed", slot.Feed, "run", begun.Run)
}

// run carries a run and tells whether it has ended. One that was stopped has not.
func (d *Daemon) run(f Feed, slot SlotArgs, begun importer.Begun) (over bool) {
	if begun.Continued {
		d.Log.Info("a run goes on here", "feed", f.Name, "run", begun.Run)
	}
	ctx, cancel := context.WithCancelCause(d.runs)
	var keeping sync.WaitGroup
	keeping.Go(func() { d.keep(ctx, begun, cancel) })
	s, err := importer.Summary{}, deadly(begun)
	if err == nil {
		s, err = f.Run(ctx, begun)
	}
	why := context.Cause(ctx)
	cancel(nil)
	keeping.Wait()
	outliving, end := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer end()
	switch {
	case errors.Is(why, importer.ErrLeaseLost):
		d.Log.Warn("another replica has taken over a run", "feed", f.Name, "run", begun.Run)
		return false
	case why != nil && !errors.Is(why, importer.ErrCancelled):
		d.leave(slot, begun)
		return false
	case why == nil && errors.Is(err, importer.ErrUnavailable): // it goes on when its lease is over and the ledger there
		d.Log.Warn("a run stopped since the ledger was away, and goes on when that is there", "feed", f.Name, "run", begun.Run, "err", err)
		return false
	}
	// Rows that are left without an error were settled in vain: PostgreSQL has crashed.
	passes := why == nil && (err == nil && s.Pending() > 0 || err != nil && f.Passes(err))
	if s.Run == 0 { // it could not even be begun
		err = d.Ledger.FinishRun(outliving, begun.Run, begun.Holder, importer.Summary{Run: begun.Run, Feed: f.Name}, err)
	} else {
		err = nil // which the ledger has with the run
	}
	if err == nil {
		err = d.Ledger.EndSlot(outliving, slot.Feed, slot.At, begun, func(ctx context.Context, tx pgx.Tx, t ledger.Tried) error {
			if s.Doubtful || begun.Continued {
				if err := d.audits(ctx, tx, f.Name, begun.Run); err != nil {
					return err
				}
			}
			return d.follow(ctx, tx, f, begun.Run, t, passes)
		})
	}
	if err != nil {
		d.Log.Warn("the end of a slot could not be recorded, it is looked at again", "feed", slot.Feed, "slot", slot.At, "err", err)
		return false
	}
	d.Ended(slot.Feed, begun.Run)
	return true
}

// deadly is an error for a run that seems to kill whoever carries it: the others of
// its feed, and those of other feeds, must not suffer for it for ever.
func deadly(begun importer.Begun) error {
	const most = 20
	if begun.Deaths < most {
		return nil
	}
	return fmt.Errorf("%d importers have vanished while they carried this run, and it is not carried any more: look into their logs, and at the memory that they may use; the feed's next run goes on with its rows", begun.Deaths)
}

// keep prolongs the right to carry a run until ctx ends, and ends the run when
// another has it, or nobody is to.
func (d *Daemon) keep(ctx context.Context, begun importer.Begun, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(min(d.Lease/3, time.Second))
	defer ticker.Stop()
	for {
		err := d.Ledger.RenewRun(ctx, begun, d.Lease)
		if errors.Is(err, importer.ErrLeaseLost) || errors.Is(err, importer.ErrCancelled) {
			cancel(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
