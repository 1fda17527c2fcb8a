package importer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"importer/internal/crashpoint"
)

const (
	questionRows = 100 // numbers in one lead_search
	askedLongest = 10  // questions to a dialer that is there, since a call can no longer take effect, before a person is asked
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
		batch, in, err := d.questions(ctx)
		if err != nil {
			return err
		}
		if d.NoWait && d.line.slots.starved() {
			for _, it := range batch { // asking would mean waiting for a slot
				d.leaveRow(it)
			}
			continue
		}
		if err := d.askAbout(ctx, batch, in); err != nil {
			return err
		}
	}
}

// questions waits for rows to ask about and returns those that may share one
// lead_search, with their inquiry.
func (d *delivery) questions(ctx context.Context) (batch []*item, in inquiry, err error) {
	var others []*item
	most := questionRows
	for {
		it, wait, changed := d.asked.pop()
		switch {
		case it != nil && it.State == Armed:
			d.done <- settling{it: it, s: Settlement{Record: it.Record, Attempt: it.Attempt, From: Armed, To: Unknown, Lost: true}}
			continue
		case it != nil && d.Limits.TokenField == "":
			d.giveUp(it, ReasonNoToken)
			continue
		case it != nil && (it.among != 0 && len(batch) >= it.among || !in.add(it.Lead.ListID, it.Lead.PhoneNumber)):
			others = append(others, it)
			continue
		case it != nil:
			batch = append(batch, it)
			if it.among != 0 {
				most = min(most, it.among)
			}
			if len(batch) < most {
				continue
			}
		}
		if len(batch) > 0 {
			for _, it := range others {
				d.asked.push(it)
			}
			return batch, in, nil
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-changed:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return nil, in, context.Cause(ctx)
		}
	}
}

// inquiry is what one lead_search asks for: numbers of one list, no two equal
// as integers, since the dialer credits such numbers with each other's leads.
type inquiry struct {
	list   string
	phones []string
	taken  map[string]bool
}

// add asks for one number more, and tells whether it may stand beside the others.
func (in *inquiry) add(list, phone string) bool {
	if in.taken == nil {
		in.list, in.taken = list, map[string]bool{}
	}
	integer := asInteger(phone)
	if list != in.list || in.taken[integer] {
		return false
	}
	in.taken[integer] = true
	in.phones = append(in.phones, phone)
	return true
}

// asInteger is what the dialer's loose comparison makes of a number. Its
// arithmetic keeps 15 digits.
func asInteger(phone string) string {
	const exact = 15
	phone = strings.TrimLeft(phone, "0")
	return phone[:min(len(phone), exact)]
}

// askAbout looks for the leads of a batch and concludes what can be concluded.
func (d *delivery) askAbout(ctx context.Context, batch []*item, in inquiry) error {
	controls, err := d.controls(ctx, in.list)
	if err != nil {
		return err
	}
	began := d.Clock()
	proven := d.prove(ctx, batch, controls)
	found, controlled, err := d.search(ctx, in, controls)
	crashpoint.Reach(crashpoint.LookedUp)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	there, tooLong := d.isThere(ctx, err, began)
	if tooLong != nil {
		return tooLong
	}
	for i, it := range batch {
		id, all := int64(0), false
		switch {
		case err == nil:
			id, all = d.ownAmong(ctx, it, found[it.Lead.PhoneNumber])
		case there:
			it.among = max(1, len(batch)/2) // one number may spoil the answer for all
		}
		switch {
		case id != 0:
			s := d.conclude(it, Succeeded, ReasonReconciled)
			s.s.LeadID, s.s.Note = id, d.unconfirmed(it)
			if !d.addCustomFields(ctx, it, &s.s, nil) {
				return context.Cause(ctx)
			}
			d.done <- s
		case !all || !controlled:
			d.askAgain(it, there)
		case it.refused:
			// The dialer refused this attempt as a duplicate and none of the
			// number's leads is ours.
			d.done <- d.conclude(it, Duplicate, ReasonDialerDuplicate)
		case !proven[i]:
			d.askAgain(it, true)
		case it.Lost+it.notRun >= maxAttempts:
			d.done <- d.conclude(it, Failed, ReasonAttemptsExhausted)
		default:
			crashpoint.Reach(crashpoint.Absent)
			it.unproven = false
			d.done <- d.conclude(it, Pending, "")
		}
	}
	return nil
}

func (d *delivery) conclude(it *item, to State, why Reason) settling {
	return settling{it: it, s: Settlement{Record: it.Record, Attempt: it.Attempt, From: Unknown, To: to, Reason: why}}
}

// silence is how the reconciler knows a dialer that answers nobody from one that
// does not answer about some rows.
type silence struct {
	failed time.Duration // when the last lookup was not answered, on Clock; 0: it was
	knocks int           // in vain, one after the other
	since  time.Duration // when the first of these was
}

// isThere tells whether the dialer answers anything at all: only then does it say
// something about its rows that a lookup which began at some time came to err. A
// *StopError says that it has answered nothing for too long: a later run asks, when
// it is there again.
func (d *delivery) isThere(ctx context.Context, err error, began time.Duration) (bool, error) {
	if err == nil {
		d.silence = silence{}
		return true, nil
	}
	q := &d.silence
	if q.failed == 0 {
		d.Log.Warn("a lookup was not answered, it is made again", "drop", d.drop.ID, "err", err)
	} else {
		began = q.failed
	}
	if !d.line.answeredSince(began) {
		const noLead = math.MaxUint32
		_, _ = d.token(ctx, noLead) // a dialer that is there says that it has none, and the line notes that
	}
	there := d.line.answeredSince(began)
	q.failed = max(d.Clock(), 1)
	if there {
		q.knocks = 0
		return true, nil
	}
	if q.knocks == 0 {
		q.since = q.failed
	}
	q.knocks++
	const enough = 3 // however long they were apart: the machine may have slept
	if q.knocks >= enough && q.failed-q.since >= d.Limits.GiveUp && !d.resend {
		return false, &StopError{ReasonDialerFailing, fmt.Errorf("the dialer has answered nothing for %s, what became of the rows whose answers were lost is asked when it is there again: %w", d.Limits.GiveUp, err)}
	}
	return false, nil
}

// askAgain puts a question off, or hands the row to a person. counts tells that
// the dialer was there and could have answered it.
func (d *delivery) askAgain(it *item, counts bool) {
	it.slot.asked()
	if d.NoWait {
		d.leaveRow(it)
		return
	}
	now := d.Clock()
	if now > it.quiet && (counts || d.resend) { // a person who has decided waits for no dialer
		it.asks++
	}
	if it.asks >= askedLongest {
		d.giveUp(it, ReasonUnproven)
		return
	}
	it.due = now + min(pause(&it.patience, min(d.Limits.Quiescence/100, time.Second)), d.Limits.Quiescence/6)
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

// ownAmong reads the tokens of a number's leads, and of the one that the dialer
// has refused this row for, and returns the one that is this row's. all tells
// that every lead was read.
func (d *delivery) ownAmong(ctx context.Context, it *item, leads []int64) (own int64, all bool) {
	all = true
	if it.collided != 0 && !slices.Contains(leads, it.collided) {
		leads = append(leads, it.collided)
	}
	for _, id := range leads {
		token, err := d.token(ctx, id)
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

// ask makes a call other than add_lead within the limit of calls in flight. A
// call that has begun is waited for; one whose answer was lost keeps its slot
// for as long as the dialer may be busy with it.
func (d *delivery) ask(ctx context.Context, call func(context.Context) error) error {
	if err := d.line.rate.Wait(ctx); err != nil {
		return err
	}
	slot, err := d.line.slots.acquire(ctx, false)
	if err != nil {
		return err
	}
	err = call(context.WithoutCancel(ctx))
	var known LookupError
	told := errors.As(err, &known)
	if err == nil || told && known.Answered() {
		d.line.hasAnswered()
	}
	if err == nil || told && known.Over() {
		slot.release()
	} else {
		slot.abandon(d.Limits.Timeout + d.Limits.Quiescence)
	}
	if reason, final := finality(err); final {
		err = &StopError{reason, err}
		d.fail(err)
	}
	return err
}

// finality tells whether every further call would end with this error too.
func finality(err error) (Reason, bool) {
	var known LookupError
	if !errors.As(err, &known) {
		return "", false
	}
	return known.Final()
}
