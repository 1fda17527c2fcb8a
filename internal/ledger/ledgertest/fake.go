// Package ledgertest holds an in-memory ledger that behaves like the real one,
// and the suite that holds both to the same promises.
package ledgertest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"importer/internal/importer"
)

// Fake is a ledger in memory: every call is one transaction. Its clock is
// time.Now, so that it follows a testing/synctest bubble.
type Fake struct {
	mu     sync.Mutex
	runs   int64
	drops  []*fakeDrop
	claims map[importer.ClaimKey]fakeClaim
	slots  map[string]map[int64]fakeBlock
	calls  map[int64]int
	ended  map[int64]string
}

var _ importer.Ledger = (*Fake)(nil)

type fakeDrop struct {
	importer.Drop
	holder int64
	until  time.Time
	rows   map[int]*fakeRow
}

type fakeRow struct {
	importer.NewRow
	state    importer.State
	reason   importer.Reason
	attempt  int
	lost     int
	holder   int64
	answerBy time.Time
	leadID   int64
	note     string
	dup      importer.RowRef
}

type fakeClaim struct {
	importer.RowRef
	at time.Time
}

type fakeBlock struct {
	want, most, count int
	until             time.Time
}

// NewFake makes an empty ledger.
func NewFake() *Fake {
	return &Fake{
		claims: map[importer.ClaimKey]fakeClaim{},
		slots:  map[string]map[int64]fakeBlock{},
		calls:  map[int64]int{},
		ended:  map[int64]string{},
	}
}

// StartRun implements importer.Runs.
func (f *Fake) StartRun(context.Context, string, string) (run, holder int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs++
	return f.runs, f.runs, nil
}

// JoinDrop implements importer.Runs.
func (f *Fake) JoinDrop(context.Context, int64, importer.Drop, bool) error { return nil }

// FinishRun implements importer.Runs.
func (f *Fake) FinishRun(_ context.Context, run int64, _ importer.Summary, cause error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended[run] = ""
	if cause != nil {
		f.ended[run] = cause.Error()
	}
	return nil
}

// OpenDrop implements importer.Drops.
func (f *Fake) OpenDrop(_ context.Context, d importer.Drop) (importer.Drop, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, known := range f.drops {
		if known.Feed == d.Feed && known.SHA256 == d.SHA256 {
			return known.Drop, nil
		}
	}
	now := time.Now().UTC()
	d.ID = int64(len(f.drops) + 1)
	d.Month = time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	d.FirstSeen, d.State = now, importer.DropSpooled
	f.drops = append(f.drops, &fakeDrop{Drop: d, rows: map[int]*fakeRow{}})
	return d, nil
}

func (f *Fake) drop(id int64) *fakeDrop { return f.drops[id-1] }

// LeaseDrop implements importer.Drops.
func (f *Fake) LeaseDrop(_ context.Context, id, holder int64, ttl time.Duration) (importer.Drop, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, now := f.drop(id), time.Now()
	if d.holder != 0 && d.holder != holder && d.until.After(now) {
		return importer.Drop{}, &importer.LeasedError{Until: d.until}
	}
	d.holder, d.until = holder, now.Add(ttl)
	return d.Drop, nil
}

// CloseDrop implements importer.Drops.
func (f *Fake) CloseDrop(_ context.Context, id, holder int64, to importer.DropState, why string) (importer.DropState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(id)
	if d.holder != holder {
		return d.State, nil
	}
	open := !d.Complete
	for _, r := range d.rows {
		open = open || r.state.Outcome() == importer.OutcomePending
	}
	if to == importer.DropDone && open {
		to = importer.DropImporting
	}
	if to == importer.DropImporting && d.Recorded == 0 && !d.Complete {
		to = importer.DropSpooled
	}
	d.State, d.Why, d.holder = to, why, 0
	switch {
	case to != importer.DropDone:
		d.Finished = time.Time{}
	case d.Finished.IsZero():
		d.Finished = time.Now()
	}
	return to, nil
}

// ForgetRows implements importer.Drops.
func (f *Fake) ForgetRows(_ context.Context, drop importer.Drop, holder int64, settings string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(drop.ID)
	if d.holder != holder {
		return false, importer.ErrLeaseLost
	}
	for _, r := range d.rows {
		untouched := r.state == importer.Pending || r.state == importer.Invalid ||
			r.state == importer.Duplicate && r.reason == importer.ReasonAlreadyLoaded
		if r.lost > 0 || !untouched || f.othersRestOn(d, r) {
			return false, nil
		}
	}
	for _, r := range d.rows {
		if c, ok := f.claims[r.Claim]; ok && c.RowRef == (importer.RowRef{Drop: d.ID, Record: r.Record}) {
			delete(f.claims, r.Claim)
		}
	}
	d.rows, d.Recorded, d.Complete, d.Settings = map[int]*fakeRow{}, 0, false, settings
	return true, nil
}

func (f *Fake) othersRestOn(d *fakeDrop, r *fakeRow) bool {
	c, ok := f.claims[r.Claim]
	if !ok || r.Refusal != nil || c.RowRef != (importer.RowRef{Drop: d.ID, Record: r.Record}) {
		return false
	}
	for _, other := range f.drops {
		for _, o := range other.rows {
			if other != d && o.Claim == r.Claim && o.Refusal == nil && o.state == importer.Duplicate {
				return true
			}
		}
	}
	return false
}

// Unfinished implements importer.Drops.
func (f *Fake) Unfinished(_ context.Context, feed string) (out []importer.Drop, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.drops {
		if d.State == importer.DropImporting && (feed == "" || feed == d.Feed) {
			out = append(out, d.Drop)
		}
	}
	return out, nil
}

// Record implements importer.Claims.
func (f *Fake) Record(_ context.Context, drop importer.Drop, _, holder int64, first int, rows []importer.NewRow, last bool, window time.Duration) ([]importer.Recorded, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(drop.ID)
	var out []importer.Recorded
	if d.holder == holder && d.Recorded == first+len(rows) && d.Complete == last && (len(rows) > 0 || last) {
		for _, r := range rows { // made before
			out = append(out, importer.Recorded{Record: r.Record, State: d.rows[r.Record].state})
		}
		return out, nil
	}
	if d.holder != holder || d.Recorded != first || d.Complete {
		return nil, importer.ErrLeaseLost
	}
	if first == 0 {
		d.Header = drop.Header
	}
	for _, n := range rows {
		r := &fakeRow{NewRow: n, state: importer.Pending}
		me, now := importer.RowRef{Drop: d.ID, Record: n.Record}, time.Now()
		held, taken := f.claims[n.Claim]
		switch {
		case n.Refusal != nil:
			r.state, r.reason, r.note = importer.Invalid, n.Refusal.Reason, n.Refusal.Detail
		case taken && (window == 0 || held.at.Add(window).After(now) || held.at.Equal(now)):
			r.state, r.reason, r.dup = importer.Duplicate, importer.ReasonAlreadyLoaded, held.RowRef
		default:
			f.claims[n.Claim] = fakeClaim{me, now}
		}
		d.rows[n.Record] = r
		out = append(out, importer.Recorded{Record: n.Record, State: r.state})
	}
	d.Recorded, d.Complete, d.State, d.Settings, d.Finished = first+len(rows), last, importer.DropImporting, drop.Settings, time.Time{}
	return out, nil
}

// Claimed implements importer.Claims.
func (f *Fake) Claimed(_ context.Context, keys []importer.ClaimKey, window time.Duration) (map[importer.ClaimKey]importer.RowRef, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := map[importer.ClaimKey]importer.RowRef{}
	for _, k := range keys {
		if c, ok := f.claims[k]; ok && (window == 0 || c.at.Add(window).After(time.Now())) {
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
		late := r.state == importer.Unknown && (s.To == importer.Succeeded || s.To == importer.Rejected || s.To == importer.Duplicate)
		mayLose := s.To != importer.Unknown || r.holder == holder || r.answerBy.Before(time.Now())
		switch {
		case r.attempt == s.Attempt && (r.state == s.From || late) && mayLose:
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

// release hands a claim to the oldest row that was judged a duplicate.
func (f *Fake) release(d *fakeDrop, r *fakeRow) {
	if c, ok := f.claims[r.Claim]; !ok || c.RowRef != (importer.RowRef{Drop: d.ID, Record: r.Record}) {
		return
	}
	delete(f.claims, r.Claim)
	for _, other := range f.drops {
		for _, record := range other.sorted() {
			heir := other.rows[record]
			if heir.Claim != r.Claim || heir.state != importer.Duplicate || heir.reason != importer.ReasonAlreadyLoaded {
				continue
			}
			heir.state, heir.reason, heir.dup = importer.Pending, "", importer.RowRef{}
			f.claims[r.Claim] = fakeClaim{importer.RowRef{Drop: other.ID, Record: record}, time.Now()}
			if other.State == importer.DropDone {
				other.State, other.Finished = importer.DropImporting, time.Time{}
			}
			return
		}
	}
}

// Ours implements importer.Attempts.
func (f *Fake) Ours(_ context.Context, dialer, listID string, limit int) (own []importer.OwnLead, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range slices.Backward(f.drops) {
		for _, record := range slices.Backward(d.sorted()) {
			r := d.rows[record]
			if d.Dialer == dialer && r.state == importer.Succeeded && r.Lead.ListID == listID && len(own) < limit {
				own = append(own, d.own(r))
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
		if record > after && r.state == importer.Succeeded && r.lost > 0 && len(own) < limit {
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
	f.drop(drop.ID).rows[record].note = note
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

// LeaseSlots implements importer.Slots. Unlike the real ledger it gives what
// is free without waiting for others to share.
func (f *Fake) LeaseSlots(_ context.Context, dialer string, holder int64, want, inUse, limit int, ttl time.Duration) (importer.SlotGrant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	blocks := f.slots[dialer]
	if blocks == nil {
		blocks = map[int64]fakeBlock{}
		f.slots[dialer] = blocks
	}
	now, taken := time.Now(), 0
	var until time.Time
	for h, b := range blocks {
		switch {
		case h == holder || b.until.Before(now):
			delete(blocks, h)
		default:
			taken, limit = taken+b.count, min(limit, b.most)
			if b.until.After(until) {
				until = b.until
			}
		}
	}
	if want == 0 {
		return importer.SlotGrant{}, nil
	}
	g := importer.SlotGrant{Count: max(inUse, min(want, limit-taken))}
	if g.Count == 0 {
		g.Until = until
	}
	blocks[holder] = fakeBlock{want: want, most: limit, count: g.Count, until: now.Add(ttl)}
	return g, nil
}
