package daemon

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/ledger"
)

// longest is how much later than the first try the others come at most, in times of
// Options.RetryAfter.
const longest = 30

// again is the ledger's verdict on slots that try again.
const again = "again"

// follow has people told of a run that has ended, and has another one try again
// what it could not do (passes), for as long as a missed slot would be caught up.
// Of several that fail, one after the other, people are told of the first and the
// last, of one that goes through at last, and of one that brought what was late.
func (d *Daemon) follow(ctx context.Context, tx pgx.Tx, f Feed, run int64, t ledger.Tried, passes bool) error {
	e := Event{What: EventRun, Run: run, Tries: t.Times}
	var err error
	if e.Late, err = ledger.BroughtLate(ctx, tx, f.Name, run); err != nil {
		return err
	}
	at := d.Now().Add(d.RetryAfter * time.Duration(min(1<<min(t.Times, 10), longest))).Truncate(time.Microsecond)
	_, forbidden := f.Schedule.Forbids(f.Rules, at)
	if passes && !forbidden && !at.After(t.Since.Add(f.Rules.CatchUp)) {
		d.Log.Warn("what a run could not do is tried again", "feed", f.Name, "run", run, "at", at)
		if err := ledger.TryAgain(ctx, tx, f.Name, at, ledger.Tried{Since: t.Since, Times: t.Times + 1}); err != nil {
			return err
		}
		if err := insertAt(ctx, d.client, tx, f.Name, at, at); err != nil || t.Times > 0 && e.Late.IsZero() {
			return err
		}
		e.Again = at
	}
	return d.tell(ctx, tx, f, e)
}
