// Package ledgertest holds an in-memory ledger that behaves like the real one,
// and the suite that holds both to the same promises.
package ledgertest

import (
	"context"
	"slices"
	"sync"
	"time"

	"importer/internal/importer"
	"importer/internal/ledger"
)

// Fake is a ledger in memory: every call is one transaction. Its clock is
// time.Now, so that it follows a testing/synctest bubble.
type Fake struct {
	mu     sync.Mutex
	runs   int64
	drops  []*fakeDrop
	claims map[importer.ClaimKey]fakeClaim
	slots  map[string]map[int64]ledger.Block
	calls  map[int64]int
	ended  map[int64]string
	files  []*fakeFile
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

// NewFake makes an empty ledger.
func NewFake() *Fake {
	return &Fake{
		claims: map[importer.ClaimKey]fakeClaim{},
		slots:  map[string]map[int64]ledger.Block{},
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
func (f *Fake) FinishRun(_ context.Context, run, _ int64, _ importer.Summary, cause error) error {
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
	return f.open(d), nil
}

func (f *Fake) open(d importer.Drop) importer.Drop {
	for _, known := range f.drops {
		if known.Feed == d.Feed && known.SHA256 == d.SHA256 {
			return known.Drop
		}
	}
	now := time.Now().UTC()
	d.ID = int64(len(f.drops) + 1)
	d.Month = time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	d.FirstSeen, d.State = now, importer.DropSpooled
	f.drops = append(f.drops, &fakeDrop{Drop: d, rows: map[int]*fakeRow{}})
	return d
}

func (d *fakeDrop) hasEnded() bool {
	return d.State == importer.DropDone || d.State == importer.DropFailed
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

// RenewDrop implements importer.Drops.
func (f *Fake) RenewDrop(_ context.Context, id, holder int64, ttl time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(id)
	if d.holder != holder {
		return importer.ErrLeaseLost
	}
	d.until = time.Now().Add(ttl)
	return nil
}

// CloseDrop implements importer.Drops.
func (f *Fake) CloseDrop(_ context.Context, id, holder int64, to importer.DropState, why string) (importer.DropState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(id)
	if d.holder != holder {
		return d.State, nil
	}
	open := false
	for _, r := range d.rows {
		open = open || r.state.Outcome() == importer.OutcomePending
	}
	if to == importer.DropDone && (open || !d.Complete) || to == importer.DropFailed && open {
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
	d.State, d.Finished = importer.DropSpooled, time.Time{}
	return true, nil
}

func (f *Fake) othersRestOn(d *fakeDrop, r *fakeRow) bool {
	c, ok := f.claims[r.Claim]
	if !ok || c.RowRef != (importer.RowRef{Drop: d.ID, Record: r.Record}) {
		return false
	}
	for _, other := range f.drops {
		for _, o := range other.rows {
			if other != d && o.Claim == r.Claim && o.state == importer.Duplicate {
				return true
			}
		}
	}
	return false
}

// LastDone implements importer.Drops.
func (f *Fake) LastDone(_ context.Context, feed string, header []string) (last importer.Drop, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var same importer.Drop
	for _, d := range f.drops {
		if d.Feed != feed || d.State != importer.DropDone || d.Recorded == 0 || slices.Contains(d.Header, "import_reason") {
			continue
		}
		if !d.Finished.Before(last.Finished) {
			last = d.Drop
		}
		if slices.Equal(d.Header, header) && !d.Finished.Before(same.Finished) {
			same = d.Drop
		}
	}
	if same.ID != 0 {
		return same, nil
	}
	return last, nil
}

// Unfinished implements importer.Drops.
func (f *Fake) Unfinished(_ context.Context, feed string) (out []importer.Drop, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.drops {
		open := d.State == importer.DropImporting || d.State == importer.DropSpooled && f.wasTaken(d.ID)
		if open && (feed == "" || feed == d.Feed) {
			out = append(out, d.Drop)
		}
	}
	return out, nil
}

// LeaseSlots implements importer.Slots.
func (f *Fake) LeaseSlots(_ context.Context, dialer string, holder int64, want importer.SlotWant, ttl time.Duration) (importer.SlotGrant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	blocks := f.slots[dialer]
	if blocks == nil {
		blocks = map[int64]ledger.Block{}
		f.slots[dialer] = blocks
	}
	now := time.Now()
	var others []ledger.Block
	for h, b := range blocks {
		switch {
		case h == holder || b.Until.Before(now):
			delete(blocks, h)
		default:
			others = append(others, b)
		}
	}
	if want.Calls == 0 {
		return importer.SlotGrant{}, nil
	}
	mine := ledger.Block{Holder: holder, Want: want.Calls, Most: want.Limit, Yields: want.Yields, Until: now.Add(ttl)}
	g := ledger.Share(mine, others)
	mine.Count = max(g.Count, want.InUse)
	blocks[holder] = mine
	return g, nil
}
