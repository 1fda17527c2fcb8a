package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sethvargo/go-retry"
)

// Audit looks once more, some time after a run of the feed, at the rows of its
// drops whose answers had been lost. Where there are none, no run begins, and the
// summary's is 0.
func (im *Importer) Audit(ctx context.Context, feed Feed, drops []Drop) (Summary, error) {
	var doubtful []Drop
	for _, d := range drops {
		var some []OwnLead
		err := im.patiently(ctx, func(ctx context.Context) (err error) {
			some, err = im.Ledger.Doubtful(ctx, d, 0, 1)
			return err
		})
		if err != nil {
			return Summary{Feed: feed.Name}, err
		}
		if len(some) > 0 {
			doubtful = append(doubtful, d)
		}
	}
	if len(doubtful) == 0 {
		return Summary{Feed: feed.Name}, nil
	}
	return im.carry(ctx, feed, "audit", func(ctx context.Context, r *run) error {
		for _, drop := range doubtful {
			asking, cancel := context.WithCancelCause(ctx)
			d := &delivery{run: r, drop: drop, fail: cancel, later: true}
			err := d.audit(asking)
			cancel(nil)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// audit looks once more at the rows of a finished drop whose answers had been
// lost. Two leads with one row's token are what must never be, and so is one
// of a row that did not succeed: a call that the dialer executed later than the
// quiescence.
func (d *delivery) audit(ctx context.Context) error {
	for after := 0; ; {
		var page []OwnLead
		err := d.patiently(ctx, func(ctx context.Context) (err error) {
			page, err = d.Ledger.Doubtful(ctx, d.drop, after, questionRows)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Record
		d.summary.Doubtful = true
		for len(page) > 0 {
			var in inquiry
			var batch, others []OwnLead
			for _, o := range page {
				if in.add(o.ListID, o.Phone) {
					batch = append(batch, o)
				} else {
					others = append(others, o)
				}
			}
			if err := d.auditBatch(ctx, batch, in); err != nil {
				return err
			}
			page = others
		}
	}
}

// auditBatch searches for the batch's numbers, and again when that was not
// answered: what cannot be audited is told of.
func (d *delivery) auditBatch(ctx context.Context, batch []OwnLead, in inquiry) error {
	var found map[string][]int64
	waits := retry.WithMaxRetries(askedLongest, retry.WithCappedDuration(time.Second, retry.NewExponential(min(d.Limits.GiveUp/1000, time.Second))))
	err := retry.Do(ctx, waits, func(ctx context.Context) (err error) {
		found, _, err = d.search(ctx, in, nil)
		if _, final := finality(err); final {
			return err
		}
		return retry.RetryableError(err)
	})
	var stop *StopError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &stop): // each further question would be refused too
		return err
	}
	unheard := 0
	for _, o := range batch {
		leads, answered := found[o.Phone]
		missing := answered && o.LeadID != 0 && !slices.Contains(leads, o.LeadID)
		switch {
		case missing && d.later: // somebody has moved or deleted it
			continue
		case missing, !answered: // it was there: the search is not to be believed
			unheard++
			continue
		}
		heard, err := d.auditRow(ctx, o, leads)
		if err != nil {
			return err
		}
		if !heard {
			unheard++
		}
	}
	if unheard > 0 {
		text := fmt.Sprintf("drop %d: %d rows whose answers had been lost could not be looked up once more, so that doubles of them would not show", d.drop.ID, unheard)
		if err != nil {
			text += ": " + err.Error()
		}
		d.line.alarm(text)
	}
	return nil
}

// auditRow looks for the row's token among the leads of its number, and tells
// whether it could read them all.
func (d *delivery) auditRow(ctx context.Context, o OwnLead, leads []int64) (heard bool, err error) {
	expected := 0
	if o.LeadID != 0 {
		expected = 1
	}
	if len(leads) <= expected {
		return true, nil
	}
	heard = true
	var own []string
	var stop *StopError
	for _, id := range leads {
		token, err := d.token(ctx, id)
		switch {
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case errors.As(err, &stop):
			return false, err
		case err != nil:
			heard = false
		case d.Keys.Owns(token, o.Feed, o.SHA256, o.Record):
			own = append(own, strconv.FormatInt(id, 10))
		}
	}
	if len(own) <= expected {
		return heard, nil
	}
	note := "the dialer has this lead twice: " + strings.Join(own, ", ")
	if expected == 0 {
		note = "the dialer has this lead although the row did not succeed: " + strings.Join(own, ", ")
	}
	d.line.alarm(fmt.Sprintf("drop %d, record %d: %s", d.drop.ID, o.Record, note))
	return heard, d.patiently(ctx, func(ctx context.Context) error {
		return d.Ledger.NoteRow(ctx, d.drop, o.Record, note)
	})
}
