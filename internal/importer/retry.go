package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// RowsThatEnded chooses the rows with one of the outcomes, of ERROR and REVIEW, and
// with the reason if there is one.
func RowsThatEnded(outcomes []Outcome, reason Reason) Retried {
	which := Retried{Reason: reason}
	for _, s := range []State{Rejected, Failed, Review} {
		if slices.Contains(outcomes, s.Outcome()) {
			which.States = append(which.States, s)
		}
	}
	return which
}

// Retry gives the chosen rows of a feed's drops another chance, and carries those
// drops to their end. A drop that another process works on is left to it, with an
// error at the end. A row that waits for a person is asked about first and sent
// again only when it is proven absent, or with resend also when that stays
// unproven: the dialer's own duplicate check is then all that stands guard. Killed
// anywhere, the feed's next start goes on, without resend.
func (im *Importer) Retry(ctx context.Context, feed Feed, drops []int64, which Retried, resend bool) (Summary, error) {
	return im.carry(ctx, feed, "retry", func(ctx context.Context, r *run) error {
		r.resend = resend
		var failed error // one drop's, which keeps no other back
		for _, id := range drops {
			err := r.retryDrop(ctx, id, which)
			failed = errors.Join(failed, err)
			var leased *LeasedError
			if err != nil && !isFileFault(err) && !errors.As(err, &leased) {
				return failed
			}
		}
		return failed
	})
}

func (r *run) retryDrop(ctx context.Context, id int64, which Retried) error {
	d, err := r.lease(ctx, id)
	if err != nil {
		return err
	}
	if d.Recorded == 0 {
		return r.leaveLease(ctx, d, d.State, d.Why)
	}
	if err := r.retryRows(ctx, d, which); err != nil {
		return errors.Join(err, r.leaveLease(ctx, d, d.State, d.Why))
	}
	in, err := r.Reopen(d) // read only if the drop is not recorded to its end
	if err != nil {
		return errors.Join(fmt.Errorf("drop %d (%s) cannot be resumed: %w", d.ID, d.Name, err), r.leave(ctx, d, DropImporting, ""))
	}
	return r.bring(ctx, d, &in)
}

func (r *run) retryRows(ctx context.Context, d Drop, which Retried) error {
	err := r.patiently(ctx, func(ctx context.Context) error {
		return r.Ledger.JoinDrop(ctx, r.id, d, false)
	})
	for after, more := 0, true; more && err == nil; more = after > 0 {
		err = r.patiently(ctx, func(ctx context.Context) error {
			last, err := r.Ledger.Retry(ctx, d, r.holder, which, after, batchRows, r.feed.Window)
			if err == nil {
				after = last
			}
			return err
		})
	}
	return err
}

// giveUp ends the questions about a row without a proof: it is a person's now.
// Where a person has decided already, it is sent again as soon as its lost call
// can take effect no more, unless the dialer's duplicate check has met a lead
// that may be this one.
func (d *delivery) giveUp(it *item, why Reason) {
	switch {
	case !d.resend || it.refused || it.denied || it.Lost+it.notRun >= maxAttempts:
		d.done <- d.conclude(it, Review, why)
	case d.Clock() <= it.quiet:
		it.due = it.quiet + 1
		d.asked.push(it)
	default:
		it.unproven = true
		d.done <- d.conclude(it, Pending, "")
	}
}
