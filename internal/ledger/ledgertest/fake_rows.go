package ledgertest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"importer/internal/importer"
)

// Record implements importer.Claims.
func (f *Fake) Record(_ context.Context, drop importer.Drop, _, holder int64, first int, rows []importer.NewRow, last bool, window time.Duration) ([]importer.Recorded, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(drop.ID)
	var out []importer.Recorded
	if d.holder == holder && d.Recorded == first+len(rows) && d.Complete == last && (len(rows) > 0 || last) {
		for _, r := range rows { // made before
			out = append(out, importer.Recorded{Record: r.Record, State: d.rows[r.Record].state, Reason: d.rows[r.Record].reason})
		}
		return out, nil
	}
	if d.holder != holder || d.Recorded != first || d.Complete {
		return nil, importer.ErrLeaseLost
	}
	if first == 0 {
		d.Header, d.Fields = drop.Header, drop.Fields
	}
	for _, n := range rows {
		r := &fakeRow{NewRow: n, state: importer.Pending}
		if n.Refusal != nil {
			r.state, r.reason, r.note = importer.Invalid, n.Refusal.Reason, n.Refusal.Detail
			r.Claim = importer.ClaimKey{}
		} else {
			f.claim(d, r, window)
		}
		d.rows[n.Record] = r
		out = append(out, importer.Recorded{Record: n.Record, State: r.state, Reason: r.reason})
	}
	d.Recorded, d.Complete, d.Outside = first+len(rows), last, drop.Outside
	d.State, d.Why, d.Finished = importer.DropImporting, "", time.Time{}
	return out, nil
}

// claim takes a pending row's claim, or makes it a duplicate of who holds it.
func (f *Fake) claim(d *fakeDrop, r *fakeRow, window time.Duration) {
	now := time.Now()
	held, taken := f.claims[r.Claim]
	switch {
	case r.Claim == importer.ClaimKey{}:
	case taken && (window == 0 || !held.at.Add(window).Before(now) || f.mayYetCount(held.RowRef)):
		r.state, r.reason, r.dup = importer.Duplicate, importer.ReasonAlreadyLoaded, held.RowRef
	default:
		f.claims[r.Claim] = fakeClaim{importer.RowRef{Drop: d.ID, Record: r.Record}, now}
	}
}

// mayYetCount tells whether a row may still be sent, or be at the dialer
// although nobody knows.
func (f *Fake) mayYetCount(ref importer.RowRef) bool {
	s := f.drop(ref.Drop).rows[ref.Record].state
	return s.Outcome() == importer.OutcomePending || s == importer.Review
}

// Claimed implements importer.Claims.
func (f *Fake) Claimed(_ context.Context, keys []importer.ClaimKey, window time.Duration) (map[importer.ClaimKey]importer.RowRef, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := map[importer.ClaimKey]importer.RowRef{}
	for _, k := range keys {
		if c, ok := f.claims[k]; ok && (window == 0 || !c.at.Add(window).Before(time.Now())) {
			held[k] = c.RowRef
		}
	}
	return held, nil
}

func (d *fakeDrop) sorted() []int { return slices.Sorted(maps.Keys(d.rows)) }

// Open implements importer.Attempts.
func (f *Fake) Open(_ context.Context, drop importer.Drop, after, limit int) (out []importer.Item, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(drop.ID)
	for _, record := range d.sorted() {
		r := d.rows[record]
		if record <= after || r.state.Outcome() != importer.OutcomePending || len(out) == limit {
			continue
		}
		it := importer.Item{Record: record, State: r.state, Attempt: r.attempt, Lost: r.lost, Lead: r.Lead}
		if !r.answerBy.IsZero() {
			it.AnswerIn = time.Until(r.answerBy)
		}
		out = append(out, it)
	}
	return out, nil
}

// Arm implements importer.Attempts.
func (f *Fake) Arm(_ context.Context, drop importer.Drop, _, holder int64, items []importer.Item, sendWithin, timeout time.Duration) (armed []int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(drop.ID)
	if d.holder != holder {
		return nil, importer.ErrLeaseLost
	}
	for _, it := range items {
		r := d.rows[it.Record]
		fresh := r.state == importer.Pending && r.attempt == it.Attempt
		again := r.state == importer.Armed && r.attempt == it.Attempt+1 && r.holder == holder
		if !fresh && !again {
			continue
		}
		r.state, r.attempt, r.reason, r.holder = importer.Armed, it.Attempt+1, "", holder
		r.answerBy = time.Now().Add(sendWithin + timeout)
		armed = append(armed, it.Record)
	}
	return armed, nil
}

// Settle implements importer.Attempts.
func (f *Fake) Settle(_ context.Context, drop importer.Drop, run, holder int64, calls int, list []importer.Settlement) (missed []int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(drop.ID)
	applied := 0
	for _, s := range list {
		r := d.rows[s.Record]
		switch {
		case r.attempt == s.Attempt && r.mayGo(s, holder):
		case r.attempt == s.Attempt && r.state == s.To: // made before
			continue
		default:
			missed = append(missed, s.Record)
			continue
		}
		applied++
		r.state, r.reason, r.note, r.leadID = s.To, s.Reason, s.Note, s.LeadID
		if s.Lost {
			r.lost++
		}
		if s.To == importer.Rejected || s.To == importer.Failed {
			f.release(d, r)
		}
	}
	if applied > 0 {
		f.calls[run] += calls
	}
	return missed, nil
}

// mayGo tells whether a row in its state may be moved so.
func (r *fakeRow) mayGo(s importer.Settlement, holder int64) bool {
	late := r.state == importer.Unknown && s.From == importer.Armed
	mine := r.holder == holder
	switch s.To {
	case importer.Succeeded, importer.Rejected, importer.Duplicate:
		return r.state == importer.Unknown && s.From == importer.Unknown || (late || r.state == importer.Armed && s.From == importer.Armed) && mine
	case importer.Failed, importer.Pending:
		return r.state == s.From && (s.From == importer.Unknown || s.From == importer.Armed && mine)
	case importer.Unknown:
		return r.state == importer.Armed && s.From == importer.Armed && (mine || r.answerBy.Before(time.Now()))
	case importer.Review:
		return r.state == importer.Unknown && s.From == importer.Unknown
	default:
		return false
	}
}

// release hands a claim to the oldest row that was judged a duplicate.
func (f *Fake) release(d *fakeDrop, r *fakeRow) {
	if c, ok := f.claims[r.Claim]; !ok || c.RowRef != (importer.RowRef{Drop: d.ID, Record: r.Record}) {
		return
	}
	delete(f.claims, r.Claim)
	for _, other := range f.drops {
		for _, record := range other.sorted() {
			heir := other.rows[record]
			if !heir.restsOn(r.Claim, importer.RowRef{Drop: d.ID, Record: r.Record}) {
				continue
			}
			f.repoint(r.Claim, heir.dup, importer.RowRef{Drop: other.ID, Record: record})
			heir.state, heir.reason, heir.dup = importer.Pending, "", importer.RowRef{}
			f.claims[r.Claim] = fakeClaim{importer.RowRef{Drop: other.ID, Record: record}, time.Now()}
			if other.hasEnded() {
				other.State, other.Finished = importer.DropImporting, time.Time{}
			}
			return
		}
	}
}

// restsOn tells whether a row was judged a duplicate because of another.
func (r *fakeRow) restsOn(key importer.ClaimKey, by importer.RowRef) bool {
	return r.Claim == key && r.state == importer.Duplicate && r.reason == importer.ReasonAlreadyLoaded && r.dup == by
}

// repoint makes the duplicates of one row rest on its heir.
func (f *Fake) repoint(key importer.ClaimKey, from, to importer.RowRef) {
	for _, d := range f.drops {
		for _, r := range d.rows {
			if r.restsOn(key, from) {
				r.dup = to
			}
		}
	}
}

// Retry implements importer.Retries.
func (f *Fake) Retry(_ context.Context, drop importer.Drop, holder int64, which importer.Retried, after, limit int, window time.Duration) (last int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(drop.ID)
	if d.holder != holder {
		return 0, importer.ErrLeaseLost
	}
	for _, record := range d.sorted() {
		r := d.rows[record]
		retried := r.state == importer.Rejected || r.state == importer.Failed || r.state == importer.Review
		if record <= after || limit == 0 || !retried || !slices.Contains(which.States, r.state) || which.Reason != "" && r.reason != which.Reason {
			continue
		}
		last, limit = record, limit-1
		review := r.state == importer.Review
		r.state, r.reason, r.note, r.lost = importer.Pending, "", "", min(r.lost, 1)
		if review {
			r.state = importer.Unknown
		} else {
			f.claim(d, r, window)
		}
		if r.state != importer.Duplicate && d.hasEnded() {
			d.State, d.Finished = importer.DropImporting, time.Time{}
		}
	}
	return last, nil
}

// Ours implements importer.Attempts.
func (f *Fake) Ours(_ context.Context, dialer, listID string, limit int) (own []importer.OwnLead, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range slices.Backward(f.drops) {
		for _, record := range d.sorted() {
			r := d.rows[record]
			inList := listID == "" || r.Lead.ListID == listID
			if d.Dialer == dialer && r.state == importer.Succeeded && inList && len(own) < limit {
				own = append(own, d.own(r))
				break
			}
		}
	}
	return own, nil
}

// Doubtful implements importer.Audits.
func (f *Fake) Doubtful(_ context.Context, drop importer.Drop, after, limit int) (own []importer.OwnLead, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(drop.ID)
	for _, record := range d.sorted() {
		r := d.rows[record]
		ended := r.state.Outcome() != importer.OutcomePending && r.state != importer.Review
		if record > after && ended && r.lost > 0 && len(own) < limit {
			own = append(own, d.own(r))
		}
	}
	return own, nil
}

func (d *fakeDrop) own(r *fakeRow) importer.OwnLead {
	return importer.OwnLead{
		Drop: d.ID, SHA256: d.SHA256, Feed: d.Feed, Record: r.Record, LeadID: r.leadID,
		Phone: r.Lead.PhoneNumber, ListID: r.Lead.ListID, Attempt: r.attempt,
	}
}

// NoteRow implements importer.Audits.
func (f *Fake) NoteRow(_ context.Context, drop importer.Drop, record int, note string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.drop(drop.ID).rows[record]
	switch {
	case r.note == "":
		r.note = note
	case !strings.Contains(r.note, note):
		r.note += "; " + note
	}
	return nil
}

// Tally implements importer.Audits.
func (f *Fake) Tally(_ context.Context, drop importer.Drop) (importer.Counts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := importer.Counts{}
	for _, r := range f.drop(drop.ID).rows {
		c[importer.StateReason{State: r.state, Reason: r.reason}]++
	}
	return c, nil
}
