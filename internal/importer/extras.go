package importer

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sethvargo/go-retry"
)

// customTries is how often a lead's custom fields are tried to be written.
const customTries = 3

// addCustomFields writes the custom fields of a lead that is at the dialer,
// before its row is settled: add_lead loses them (ADR 0010). Where they cannot
// be written the settlement says so; SUCCESS is about the lead. slot is the
// add_lead's, nil where a lookup has found the lead; it is given back. False: the
// row is to be found again by its token, since the delivery has ended first or
// the dialer went away behind the add_lead; s.Reason says why.
func (d *delivery) addCustomFields(ctx context.Context, it *item, s *Settlement, slot *slot) bool {
	if it.Lead.Extras == nil || it.Lead.Extras.Custom == nil {
		slot.release()
		return true
	}
	// Once more when the dialer answers a lookup, unless that loses graver news.
	again := slot != nil && d.Limits.TokenField != "" && s.Reason != ReasonCallbackRefused
	var a Answer
	var waits retry.Backoff
	for try := 1; ; try++ {
		var err error
		if a, err = d.updateCustomFields(ctx, it, s.LeadID, slot); err != nil {
			return false
		}
		slot = nil // each further call has its own
		if a.Verdict == VerdictStop {
			s.Reason = a.Reason
			d.fail(&StopError{a.Reason, a.Err})
			return false
		}
		if a.Verdict != VerdictUnknown && a.Verdict != VerdictRetry || try == customTries && !again {
			break
		}
		if try == customTries || sleep(ctx, pause(&waits, min(500*time.Millisecond, d.Limits.GiveUp/1000))) != nil {
			s.Reason = ReasonCustomFieldsMissing
			return false
		}
	}
	if a.Verdict != VerdictAdded {
		if len(a.Notes) == 0 {
			a.Notes = []string{"custom fields not written: " + string(a.Reason)}
		}
		if s.Reason != ReasonCallbackRefused {
			s.Reason = ReasonCustomFieldsMissing
		}
	}
	if s.Note != "" {
		a.Notes = append([]string{s.Note}, a.Notes...)
	}
	s.Note = notes(a)
	return true
}

// updateCustomFields makes one call, within slot or, when that is nil, within
// one of its own. A call without an answer keeps its slot, as any other.
func (d *delivery) updateCustomFields(ctx context.Context, it *item, lead int64, slot *slot) (Answer, error) {
	if slot != nil { // the second half of a call that an interrupt waits for
		var stop *StopError
		if errors.As(context.Cause(ctx), &stop) { // it could be refused as well
			slot.release()
			return Answer{}, stop
		}
		ctx = context.WithoutCancel(ctx)
	}
	if err := d.line.rate.Wait(ctx); err != nil {
		return Answer{}, err
	}
	if slot == nil {
		var err error
		if slot, err = d.line.slots.acquire(ctx, false); err != nil {
			return Answer{}, err
		}
	}
	a := d.Dialer.UpdateCustomFields(context.WithoutCancel(ctx), lead, it.Lead.ListID, it.Lead.Extras.Custom)
	if a.Verdict == VerdictUnknown {
		slot.abandon(d.Limits.Timeout + d.Limits.Quiescence)
	} else {
		slot.release()
	}
	return a, nil
}

// unfinished is a row whose lead is at the dialer without its custom fields: a
// lookup, of this run or of the next, finds it by its token.
func unfinished(it *item, why Reason, calls int) settling {
	return settling{it: it, calls: calls, s: Settlement{
		Record: it.Record, Attempt: it.Attempt, From: Armed, To: Unknown, Reason: why, Lost: true,
	}}
}

// hopper says how a row's lead is put into the hopper. One with a callback is
// not: from there it would be called at once.
func (d *delivery) hopper(it *item) *Hopper {
	if x := it.Lead.Extras; x != nil && x.Callback != nil {
		return nil
	}
	return d.run.feed.Hopper
}

// unconfirmed tells what was asked for with a lead that was found by its token:
// whether the dialer did it stood in the answer that was lost.
func (d *delivery) unconfirmed(it *item) string {
	var asked []string
	if d.hopper(it) != nil {
		asked = append(asked, "hopper")
	}
	if x := it.Lead.Extras; x != nil && x.Callback != nil {
		asked = append(asked, "callback")
	}
	if x := it.Lead.Extras; x != nil && x.AltPhones != nil {
		asked = append(asked, "alternate numbers")
	}
	if asked == nil {
		return ""
	}
	return strings.Join(asked, " and ") + " not confirmed: the answer was lost"
}
