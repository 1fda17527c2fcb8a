package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	questionRows = 100 // numbers in one lead_search
	askedLongest = 10  // questions, since a call can no longer take effect, before a person is asked
	controlRows  = 2   // leads known to be there that each lead_search carries along
)

// inherit takes over a row whose call an earlier process may have made.
func (d *delivery) inherit(it *item) {
	now := d.Clock()
	ended := now + it.AnswerIn
	it.quiet = ended + d.Limits.Quiescence
	it.slot = d.line.slots.inherit(it.quiet - now)
	if it.State == Armed {
		// Nobody else moves an armed row before its call has ended.
		it.due = ended
	}
	d.asked.push(it)
}

// reconcile asks the dialer about rows whose answers were lost, until ctx ends.
func (d *delivery) reconcile(ctx context.Context) error {
	for {
		batch, err := d.questions(ctx)
		if err != nil {
			return err
		}
		if usable, _, _, _ := d.line.slots.state(); d.NoWait && usable <= 0 {
			for _, it := range batch { // asking would mean waiting for a slot
				d.leaveRow(it)
			}
			continue
		}
		if err := d.askAbout(ctx, batch); err != nil {
			return err
		}
	}
}

// questions waits for rows to ask about and returns those that may share one
// lead_search: of one list, no two numbers equal as integers, since the dialer
// credits such numbers with each other's leads.
func (d *delivery) questions(ctx context.Context) ([]*item, error) {
	var batch, others []*item
	taken := map[string]bool{}
	for {
		it, wait, changed := d.asked.pop()
		switch {
		case it != nil && it.State == Armed:
			d.done <- settling{it: it, s: Settlement{Record: it.Record, Attempt: it.Attempt, From: Armed, To: Unknown, Lost: true}}
			continue
		case it != nil && d.Limits.TokenField == "":
			d.done <- d.conclude(it, Review, ReasonNoToken)
			continue
		case it != nil && len(batch) > 0 && (it.Lead.ListID != batch[0].Lead.ListID || taken[asInteger(it.Lead.PhoneNumber)]):
			others = append(others, it)
			continue
		case it != nil:
			batch = append(batch, it)
			taken[asInteger(it.Lead.PhoneNumber)] = true
			if len(batch) < questionRows {
				continue
			}
		}
		if len(batch) > 0 {
			for _, it := range others {
				d.asked.push(it)
			}
			return batch, nil
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-changed:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// asInteger is what the dialer's loose comparison makes of a number. Its
// arithmetic keeps 15 digits.
func asInteger(phone string) string {
	const exact = 15
	phone = strings.TrimLeft(phone, "0")
	return phone[:min(len(phone), exact)]
}

// askAbout looks for the leads of a batch and concludes what can be concluded.
func (d *delivery) askAbout(ctx context.Context, batch []*item) error {
	list := batch[0].Lead.ListID
	controls, err := d.controls(ctx, list)
	if err != nil {
		return err
	}
	d.prove(ctx, batch, controls)
	proven := make([]bool, len(batch))
	began := d.Clock()
	for i, it := range batch {
		// "Absent" counts only when the call can no longer take effect and the
		// lead table has answered a write since: blocked inserts wait unseen
		// while searches are answered.
		proven[i] = began > it.quiet && d.line.wroteSince(it.quiet)
	}
	found, controlled, err := d.search(ctx, list, batch, controls)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && !d.mute {
		d.Log.Warn("a lookup was not answered, it is made again", "drop", d.drop.ID, "rows", len(batch), "err", err)
	}
	d.mute = err != nil // said once until a lookup is answered
	for i, it := range batch {
		id, all := int64(0), false
		if err == nil {
			id, all = d.ownAmong(ctx, it, found[it.Lead.PhoneNumber])
		}
		switch {
		case id != 0:
			s := d.conclude(it, Succeeded, ReasonReconciled)
			s.s.LeadID = id
			d.done <- s
		case !all || !controlled:
			d.askAgain(it)
		case it.refused:
			// The dialer refused this attempt as a duplicate and none of the
			// number's leads is ours.
			d.done <- d.conclude(it, Duplicate, ReasonDialerDuplicate)
		case !proven[i]:
			d.askAgain(it)
		case it.Lost+it.notRun >= maxAttempts:
			d.done <- d.conclude(it, Failed, ReasonAttemptsExhausted)
		default:
			d.done <- d.conclude(it, Pending, "")
		}
	}
	return nil
}

func (d *delivery) conclude(it *item, to State, why Reason) settling {
	return settling{it: it, s: Settlement{Record: it.Record, Attempt: it.Attempt, From: Unknown, To: to, Reason: why}}
}

// askAgain puts a question off, or hands the row to a person.
func (d *delivery) askAgain(it *item) {
	if d.NoWait {
		d.leaveRow(it)
		return
	}
	now := d.Clock()
	if now > it.quiet {
		it.asks++
	}
	if it.asks >= askedLongest {
		d.done <- d.conclude(it, Review, ReasonUnproven)
		return
	}
	it.due = now + pause(&it.patience, min(d.Limits.Quiescence/100, time.Second))
	if now < it.quiet {
		it.due = min(it.due, it.quiet+1)
	}
	d.asked.push(it)
}

// leaveRow leaves a row unknown in the ledger, for a later reconcile.
func (d *delivery) leaveRow(it *item) {
	d.mu.Lock()
	d.left[it.Record] = true
	d.mu.Unlock()
	d.open.add(-1)
}

func (d *delivery) isLeft(record int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.left[record]
}

// controls finds leads of the list that must turn up in a search if its answer
// is worth anything.
func (d *delivery) controls(ctx context.Context, list string) ([]OwnLead, error) {
	own := d.line.remembered(list)
	if len(own) == 0 {
		err := d.patiently(ctx, func(ctx context.Context) (err error) {
			own, err = d.Ledger.Ours(ctx, d.drop.Dialer, list, controlRows)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, o := range slices.Backward(own) {
			d.line.remember(o)
		}
	}
	return own[:min(len(own), controlRows)], nil
}

// search asks for the batch's numbers. controlled tells that the leads known
// to be there were found, so that "none" may be believed.
func (d *delivery) search(ctx context.Context, list string, batch []*item, controls []OwnLead) (found map[string][]int64, controlled bool, err error) {
	phones, taken := []string{}, map[string]string{}
	for _, it := range batch {
		phones = append(phones, it.Lead.PhoneNumber)
		taken[asInteger(it.Lead.PhoneNumber)] = it.Lead.PhoneNumber
	}
	for _, c := range controls {
		if taken[asInteger(c.Phone)] == "" {
			phones = append(phones, c.Phone)
			taken[asInteger(c.Phone)] = c.Phone
		}
	}
	err = d.lookup(ctx, func(ctx context.Context) (err error) {
		found, err = d.Dialer.Search(ctx, list, phones)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	for _, c := range controls {
		if slices.Contains(found[c.Phone], c.LeadID) {
			return found, true, nil
		}
	}
	return found, false, nil
}

// ownAmong reads the tokens of a number's leads and returns the one that is
// this row's. all tells that every lead was read.
func (d *delivery) ownAmong(ctx context.Context, it *item, leads []int64) (own int64, all bool) {
	all = true
	for _, id := range leads {
		var token string
		err := d.lookup(ctx, func(ctx context.Context) (err error) {
			token, err = d.Dialer.Field(ctx, id, d.Limits.TokenField)
			return err
		})
		if err != nil {
			d.Log.Warn("a lead could not be read", "drop", d.drop.ID, "lead", id, "err", err)
			all = false
			continue
		}
		if d.Keys.Owns(token, d.drop.Feed, d.drop.SHA256, it.Record) {
			return id, all
		}
	}
	return 0, all
}

// prove makes a harmless write to one of our own leads if rows wait for the
// proof that the dialer's lead table takes writes again.
func (d *delivery) prove(ctx context.Context, batch []*item, controls []OwnLead) {
	now := d.Clock()
	needed := slices.ContainsFunc(batch, func(it *item) bool {
		return now > it.quiet && !d.line.wroteSince(it.quiet)
	})
	if !needed {
		return
	}
	for _, c := range controls {
		var token string
		err := d.lookup(ctx, func(ctx context.Context) (err error) {
			token, err = d.Dialer.Field(ctx, c.LeadID, d.Limits.TokenField)
			return err
		})
		if err != nil || !d.Keys.Owns(token, c.Feed, c.SHA256, c.Record) {
			continue // not ours any more: not ours to write to
		}
		if err := d.touch(ctx, c.LeadID, token); err != nil {
			d.Log.Warn("a harmless write was not answered", "lead", c.LeadID, "err", err)
		}
		return
	}
}

// touch writes a lead's own token to it once more. A write without an answer
// keeps its slot, as any other.
func (d *delivery) touch(ctx context.Context, lead int64, token string) error {
	slot, err := d.line.slots.acquire(ctx)
	if err != nil {
		return err
	}
	began := d.Clock()
	if err := d.Dialer.Touch(context.WithoutCancel(ctx), lead, d.Limits.TokenField, token); err != nil {
		if d.stopAt(err) { // it was answered
			slot.release()
		} else {
			slot.abandon(d.Limits.Timeout + d.Limits.Quiescence)
		}
		return err
	}
	slot.release()
	d.line.touched(began)
	return nil
}

// lookup asks the dialer one question within the limit of calls in flight.
func (d *delivery) lookup(ctx context.Context, ask func(context.Context) error) error {
	if err := d.line.rate.Wait(ctx); err != nil {
		return err
	}
	slot, err := d.line.slots.acquire(ctx)
	if err != nil {
		return err
	}
	defer slot.release()
	err = ask(ctx)
	d.stopAt(err)
	return err
}

// stopAt ends the delivery at an error that every further call would end with.
func (d *delivery) stopAt(err error) (stopped bool) {
	var final FinalError
	if !errors.As(err, &final) {
		return false
	}
	reason, stopped := final.Final()
	if stopped {
		d.fail(&StopError{reason, err})
	}
	return stopped
}

// audit looks once more at the rows of a finished drop whose answers had been
// lost: two leads with one row's token are what must never be.
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
		for _, o := range page {
			if err := d.auditRow(ctx, o); err != nil {
				return err
			}
		}
	}
}

func (d *delivery) auditRow(ctx context.Context, o OwnLead) error {
	var found map[string][]int64
	err := d.lookup(ctx, func(ctx context.Context) (err error) {
		found, err = d.Dialer.Search(ctx, o.ListID, []string{o.Phone})
		return err
	})
	var twice []string
	for _, id := range found[o.Phone] {
		var token string
		readErr := d.lookup(ctx, func(ctx context.Context) (err error) {
			token, err = d.Dialer.Field(ctx, id, d.Limits.TokenField)
			return err
		})
		if readErr != nil {
			err = readErr
		} else if d.Keys.Owns(token, o.Feed, o.SHA256, o.Record) {
			twice = append(twice, strconv.FormatInt(id, 10))
		}
	}
	if err != nil {
		d.Log.Warn("a reconciled row could not be audited", "drop", o.Drop, "record", o.Record, "err", err)
	}
	if len(twice) < 2 {
		return ctx.Err()
	}
	note := "the dialer has this lead twice: " + strings.Join(twice, ", ")
	d.line.alarm(fmt.Sprintf("drop %d, record %d: %s", o.Drop, o.Record, note))
	return d.patiently(ctx, func(ctx context.Context) error {
		return d.Ledger.NoteRow(ctx, d.drop, o.Record, note)
	})
}
