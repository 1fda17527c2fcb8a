package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/sethvargo/go-retry"

	"importer/internal/crashpoint"
	"importer/internal/lead"
)

// The sizes of the protocol's transactions.
const (
	batchRows   = 1000 // rows and claims recorded in one transaction
	chunkRows   = 64   // rows armed in one transaction, at most
	groupRows   = 64   // outcomes settled in one transaction, at most
	groupWait   = 50 * time.Millisecond
	pageRows    = 1000 // open rows read from the ledger at a time
	maxAttempts = 5    // attempts that may have reached the dialer
)

// errAllDone ends a delivery in which nothing is left to do.
var errAllDone = errors.New("all done")

// delivery carries one drop's rows to the dialer. Its goroutines are the steps
// of the protocol, in this file in the order of a row's way: feed (record),
// arm, send, settle; reconcile.go asks about lost answers.
type delivery struct {
	*run
	drop  Drop // as it was when the delivery began
	fed   Drop // as the feed has recorded it since; the feed's own until it has ended
	in    *Incoming
	ready chan *item    // recorded, to be armed
	again *queue        // to be armed again, each after its pause
	asked *queue        // lost answers, each to be asked about at its time
	wire  chan *item    // armed, to be sent; holds the next chunk while one is on the wire
	done  chan settling // answered, to be settled
	open  *gauge        // items between feed and settle
	left  map[int]bool  // with NoWait: records left to a later reconcile; the feed's and the reconciler's
	mu    sync.Mutex    // guards left
	later bool          // it is an audit that comes some time after the run
	fail  func(error)   // ends the delivery

	silence silence // the reconciler's
}

// item is a row on its way.
type item struct {
	Item
	deadline time.Duration // no call may begin after this, on Clock
	quiet    time.Duration // Unknown: its call cannot take effect after this, on Clock
	slot     *slot         // held by a call whose answer was lost
	due      time.Duration // in a queue: not before this, on Clock
	probe    bool          // sent alone to see whether the dialer is well
	notRun   int           // attempts that the dialer answered without running them
	refused  bool          // the dialer's duplicate check met a lead that may be ours
	collided int64         // that lead, 0 when the dialer did not tell
	unproven bool          // sent again though its lost attempt was never proven absent
	denied   bool          // and the dialer has refused that: it is not sent once more
	among    int           // how many rows its next question may be about; 0: as many as fit
	asks     int           // questions since the call can no longer take effect
	retries  retry.Backoff // between this row's attempts
	patience retry.Backoff // between the questions about a lost answer
}

// settling is an item with what shall become of it.
type settling struct {
	it    *item
	s     Settlement
	calls int
}

// deliver takes a leased drop from where it stands as far as it gets: to the
// end, to ctx's end, or to an error that is the run's.
func (r *run) deliver(outer context.Context, drop *Drop, in *Incoming) error {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	d := &delivery{
		run: r, drop: *drop, fed: *drop, in: in,
		ready: make(chan *item, batchRows),
		again: newQueue(r.Clock), asked: newQueue(r.Clock),
		wire: make(chan *item, min(r.Limits.Concurrency, chunkRows)),
		done: make(chan settling, groupRows),
		open: newGauge(),
		left: map[int]bool{},
		fail: cancel,
	}
	var lease, makers sync.WaitGroup
	lease.Go(func() { d.keepLease(ctx) })
	makers.Go(func() { d.fail(d.feed(ctx)) })
	makers.Go(func() { d.fail(d.arm(ctx)) })
	for range r.Limits.Concurrency {
		makers.Go(func() { d.send(ctx) })
	}
	makers.Go(func() { d.fail(d.reconcile(ctx)) })
	go func() { makers.Wait(); close(d.done) }()
	// Settling goes on after ctx has ended, until every call is accounted for.
	settleErr := d.settle(ctx)
	<-ctx.Done() // set by the feed at the latest, which has ended by now
	lease.Wait()
	*drop = d.fed
	if err := context.Cause(ctx); !errors.Is(err, errAllDone) {
		return join(err, settleErr)
	}
	if settleErr != nil {
		return settleErr
	}
	crashpoint.Reach(crashpoint.Auditing)
	return d.audit(outer)
}

// keepLease renews the right to work on the drop.
func (d *delivery) keepLease(ctx context.Context) {
	for sleep(ctx, d.Limits.Lease/3) == nil {
		if err := d.Ledger.RenewDrop(ctx, d.drop.ID, d.holder, d.Limits.Lease); errors.Is(err, ErrLeaseLost) {
			d.fail(err)
		}
		// Any other error is the ledger's: whoever needs it next waits for it.
	}
}

// feed brings in the rows: first what earlier runs left open, then the rest
// of the file, then what became open again meanwhile, until nothing is left.
func (d *delivery) feed(ctx context.Context) error {
	if _, err := d.feedOpen(ctx); err != nil {
		return err
	}
	end := errAllDone
	if !d.onlyLost && !d.fed.Complete {
		err := d.record(ctx)
		switch {
		case isFileFault(err): // what was recorded before is delivered
			end = err
		case err != nil:
			return err
		}
	}
	for {
		if err := d.open.wait(ctx); err != nil {
			return err
		}
		n, err := d.feedOpen(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return end
		}
	}
}

// feedOpen brings in the ledger's open rows and counts them.
func (d *delivery) feedOpen(ctx context.Context) (int, error) {
	fed, after := 0, 0
	for {
		var page []Item
		err := d.patiently(ctx, func(ctx context.Context) (err error) {
			page, err = d.Ledger.Open(ctx, d.drop, after, pageRows)
			return err
		})
		if err != nil || len(page) == 0 {
			return fed, err
		}
		after = page[len(page)-1].Record
		for _, row := range page {
			it := &item{Item: row}
			switch {
			case row.State == Pending && d.onlyLost && row.Lost == 0:
				continue
			case row.State == Pending:
				d.open.add(1)
				if err := d.push(ctx, it); err != nil {
					return fed, err
				}
			case d.isLeft(row.Record):
				continue
			case d.NoWait && row.State == Armed && row.AnswerIn > 0:
				d.mu.Lock()
				d.left[row.Record] = true
				d.mu.Unlock()
				continue
			default:
				d.open.add(1)
				d.inherit(it)
			}
			fed++
		}
	}
}

func (d *delivery) push(ctx context.Context, it *item) error {
	select {
	case d.ready <- it:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// record reads the file and writes rows and claims to the ledger, batch by
// batch. Killed anywhere, the next start reads on behind the last batch.
func (d *delivery) record(ctx context.Context) error {
	reader, err := d.in.Open()
	if err != nil {
		return err
	}
	defer reader.Close()
	if err := d.isReadAlike(reader); err != nil {
		return err
	}
	d.fed.Header, d.fed.Fields = reader.Header(), reader.Fields()
	d.in.Rules.Dates = reader.Dates()
	if err := d.checkHeader(ctx, reader); err != nil {
		return err
	}
	if err := d.checkSize(ctx); err != nil {
		return err
	}
	// The next batch is read while one is being recorded.
	batches := make(chan batch)
	var reading sync.WaitGroup
	defer reading.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	recorded := d.fed.Recorded
	reading.Go(func() {
		for more := true; more; {
			b := d.readBatch(reader, recorded)
			select {
			case batches <- b:
			case <-ctx.Done():
				return
			}
			more = !b.last && b.err == nil
		}
	})
	for {
		var b batch
		select {
		case b = <-batches:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if b.err != nil {
			return b.err
		}
		if b.last {
			d.fed.Outside = reader.Outside()
		}
		if err := d.recordBatch(ctx, b.rows, b.last); err != nil || b.last {
			return err
		}
	}
}

// batch is what is recorded in one transaction.
type batch struct {
	rows []NewRow
	last bool  // the file ends with it
	err  error // the file's; the rows are not to be recorded
}

// readBatch reads and cleans the next rows behind those that are recorded.
func (d *delivery) readBatch(reader Reader, recorded int) batch {
	b := batch{rows: make([]NewRow, 0, batchRows)}
	for len(b.rows) < batchRows && !b.last {
		row, err := reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			b.last = true
		case err != nil:
			return batch{err: err}
		case row.Record > recorded:
			b.rows = append(b.rows, d.newRow(row))
		}
	}
	return b
}

// newRow cleans a row and derives whose claim it needs.
func (d *delivery) newRow(row Row) NewRow {
	n := NewRow{Record: row.Record, Line: row.Line, Cells: row.Cells, Changes: row.Changes, Refusal: row.Refusal}
	if n.Refusal != nil {
		return n
	}
	var changes []lead.Change
	n.Lead, changes, n.Refusal = d.in.Rules.Clean(row.Lead)
	n.Changes = append(n.Changes, changes...)
	if n.Refusal != nil {
		return n
	}
	var ok bool
	if n.Claim, ok = d.run.feed.Identity(d.Keys, n.Lead); !ok {
		n.Refusal = &lead.Refusal{Reason: ReasonIdentityMissing, Detail: "the fields that tell leads apart are empty"}
	}
	return n
}

func (d *delivery) recordBatch(ctx context.Context, batch []NewRow, last bool) error {
	var recorded []Recorded
	err := d.patiently(ctx, func(ctx context.Context) (err error) {
		recorded, err = d.Ledger.Record(ctx, d.fed, d.id, d.holder, d.fed.Recorded, batch, last, d.run.feed.Window)
		return err
	})
	if err != nil {
		return err
	}
	d.fed.Recorded += len(batch)
	d.fed.Complete = last
	d.Watcher.Recorded(len(batch))
	for i, rec := range recorded {
		if rec.State != Pending {
			d.Watcher.Settled(StateReason{rec.State, rec.Reason}, 1)
			continue
		}
		d.open.add(1)
		if err := d.push(ctx, &item{Item: Item{Record: rec.Record, State: Pending, Lead: batch[i].Lead}}); err != nil {
			return err
		}
	}
	return nil
}

// arm writes down that calls are about to be made, a chunk at a time, before
// any of them is made.
func (d *delivery) arm(ctx context.Context) error {
	defer close(d.wire)
	for {
		first, err := d.next(ctx)
		if err != nil {
			return err
		}
		n, probe, err := d.line.admit(ctx)
		if err != nil {
			return err
		}
		n = min(n, chunkRows, d.Limits.Concurrency)
		if d.Limits.Rate > 0 { // no more at once than a tenth of a second's worth
			n = min(n, max(1, int(d.Limits.Rate/10)))
		}
		chunk := d.gather(first, n)
		first.probe = probe
		if err := d.armChunk(ctx, chunk); err != nil {
			return err
		}
	}
}

// next waits for a row to arm. A row whose pause is over comes first; while
// many pause, no new ones are taken.
func (d *delivery) next(ctx context.Context) (*item, error) {
	ready := d.ready
	for {
		it, wait, changed := d.again.pop()
		if it != nil {
			return it, nil
		}
		if d.again.len() >= chunkRows {
			ready = nil
		}
		t := time.NewTimer(wait)
		select {
		case it := <-ready:
			t.Stop()
			return it, nil
		case <-t.C:
		case <-changed:
		case <-ctx.Done():
			t.Stop()
			return nil, context.Cause(ctx)
		}
		t.Stop()
		ready = d.ready
	}
}

// gather completes a chunk with rows that are there already.
func (d *delivery) gather(first *item, n int) []*item {
	chunk := []*item{first}
	for len(chunk) < n {
		if it, _, _ := d.again.pop(); it != nil {
			chunk = append(chunk, it)
			continue
		}
		select {
		case it := <-d.ready:
			chunk = append(chunk, it)
		default:
			return chunk
		}
	}
	return chunk
}

func (d *delivery) armChunk(ctx context.Context, chunk []*item) error {
	rows := make([]Item, len(chunk))
	for i, it := range chunk {
		rows[i] = it.Item
		it.probe = it.probe && i == 0 // of its chunk, not of an earlier one
		if err := d.line.rate.Wait(ctx); err != nil {
			return context.Cause(ctx)
		}
	}
	var armed []int
	var began time.Duration
	err := d.patiently(ctx, func(ctx context.Context) (err error) {
		// Taken before the ledger looks at its own clock: our deadline is
		// never later than the ledger's.
		began = d.Clock()
		// Not broken off by an interrupt: whether the rows are armed must be
		// known, so that they can be handed back.
		armed, err = d.Ledger.Arm(context.WithoutCancel(ctx), d.drop, d.id, d.holder, rows, d.Limits.SendWithin, d.Limits.Timeout)
		return err
	})
	if err != nil {
		return err
	}
	got := make(map[int]bool, len(armed))
	for _, record := range armed {
		got[record] = true
	}
	for _, it := range chunk {
		if !got[it.Record] { // somebody else has moved it
			d.line.unsent(it.probe)
			d.open.add(-1)
			continue
		}
		it.State, it.Attempt = Armed, it.Attempt+1
		it.deadline = began + d.Limits.SendWithin
		select {
		case d.wire <- it:
		case <-ctx.Done():
			d.done <- d.handBack(it)
		}
	}
	return nil
}

// send makes the calls. A call that has begun is always waited for.
func (d *delivery) send(ctx context.Context) {
	for it := range d.wire {
		d.done <- d.sendOne(ctx, it)
	}
}

func (d *delivery) sendOne(ctx context.Context, it *item) settling {
	unlock, err := d.line.lockPhone(ctx, it.Lead.PhoneNumber)
	if err != nil {
		return d.handBack(it)
	}
	defer unlock()
	inTime, cancel := context.WithTimeoutCause(ctx, it.deadline-d.Clock(), errTooLate)
	slot, err := d.line.slots.acquire(inTime, true)
	cancel()
	if err != nil {
		return d.handBack(it)
	}
	began := d.Clock()
	if ctx.Err() != nil || began >= it.deadline || d.line.paused() {
		slot.release()
		return d.handBack(it)
	}
	crashpoint.Reach(crashpoint.Sending)
	answer := d.Dialer.AddLead(context.WithoutCancel(ctx), d.call(it))
	crashpoint.Reach(crashpoint.Answered)
	if err := d.line.heard(answer, began, it.probe); err != nil {
		d.fail(err)
	}
	out := d.judge(it, answer)
	switch {
	case out.s.To == Unknown && !it.refused:
		it.quiet = began + d.Limits.Timeout + d.Limits.Quiescence
		it.slot = slot
		slot.asks()
		slot.abandon(it.quiet - d.Clock())
	case out.s.To == Succeeded:
		if !d.addCustomFields(ctx, it, &out.s, slot) {
			it.quiet = began + d.Limits.Timeout + d.Limits.Quiescence
			return unfinished(it, out.s.Reason, out.calls)
		}
	default:
		slot.release()
	}
	return out
}

var errTooLate = errors.New("too late to begin the call")

// call is what is asked of the dialer for a row. After a lost answer the
// dialer's own check stands guard once more.
func (d *delivery) call(it *item) Call {
	f := d.run.feed
	c := Call{
		Lead: it.Lead, TokenField: d.Limits.TokenField, Campaign: f.Campaign, DNC: f.DNC, DNCAreaCode: f.DNCAreaCode,
		Duplicate: f.Duplicate, DuplicateDays: f.DuplicateDays, PhoneChecks: f.PhoneChecks, Hopper: d.hopper(it),
	}
	if c.TokenField != "" {
		c.Token = d.Keys.Token(d.drop.Feed, d.drop.SHA256, it.Record, it.Attempt)
	}
	if it.Lost > 0 && c.Duplicate == "" {
		crashpoint.Reach(crashpoint.Resending)
		c.Duplicate = "DUPLIST"
	}
	return c
}

// handBack returns a row of which provably no byte was sent.
func (d *delivery) handBack(it *item) settling {
	d.line.unsent(it.probe)
	return settling{it: it, s: Settlement{Record: it.Record, Attempt: it.Attempt, From: Armed, To: Pending}}
}

// judge turns an answer into what becomes of the row.
func (d *delivery) judge(it *item, a Answer) settling {
	s := Settlement{Record: it.Record, Attempt: it.Attempt, From: Armed, Reason: a.Reason}
	switch a.Verdict {
	case VerdictAdded:
		s.To, s.LeadID, s.Reason, s.Note = Succeeded, a.LeadID, cmp.Or(a.Reason, ReasonAdded), notes(a)
	case VerdictRejected:
		s.To = Rejected
		if it.unproven {
			// The lost attempt's lead may be there all the same: a claim that was
			// given up now would load it a second time.
			it.denied = true
			s.To, s.Lost = Unknown, true
		}
	case VerdictDuplicate:
		s.To = Duplicate
		if a.DuplicateOf != 0 {
			s.Note = fmt.Sprintf("the dialer has it as lead %d", a.DuplicateOf)
		}
		if it.Lost > 0 { // it may be our own, from the lost attempt
			it.refused, it.collided = true, a.DuplicateOf
			s.To = Unknown
		}
	case VerdictRetry:
		s.To = Pending
		if a.Written && d.line.breaker.IsClosed() {
			it.notRun++
		}
		if it.notRun+it.Lost >= maxAttempts {
			s.To, s.Reason = Failed, ReasonAttemptsExhausted
		}
	case VerdictStop:
		s.To = Pending
		if a.Foreign && d.line.wasAnswered() {
			// The dialer has answered before: whatever came between may have
			// let the request pass and only kept its answer.
			s.To, s.Lost = Unknown, true
		}
	case VerdictUnknown:
		s.To, s.Lost = Unknown, true
		if a.Alarm {
			d.line.alarm(fmt.Sprintf("drop %d, record %d: %v", d.drop.ID, it.Record, a.Err))
		}
	}
	calls := 0
	if a.Written {
		calls = 1
	}
	return settling{it: it, s: s, calls: calls}
}

// settle writes outcomes to the ledger in groups until the other steps have
// ended, and sends each row on its way.
func (d *delivery) settle(ctx context.Context) error {
	var failed error
	for {
		group, more := d.group()
		if len(group) > 0 && failed == nil {
			failed = d.settleGroup(ctx, group)
			if failed != nil {
				// What is not settled is found again by its armed or unknown state.
				d.fail(failed)
			}
		}
		if !more {
			return failed
		}
	}
}

// group collects settlements: as many as a transaction takes, or what has come
// within a moment.
func (d *delivery) group() (group []settling, more bool) {
	first, ok := <-d.done
	if !ok {
		return nil, false
	}
	group = append(group, first)
	t := time.NewTimer(groupWait)
	defer t.Stop()
	for len(group) < groupRows {
		select {
		case s, ok := <-d.done:
			if !ok {
				return group, false
			}
			group = append(group, s)
		case <-t.C:
			return group, true
		}
	}
	return group, true
}

func (d *delivery) settleGroup(ctx context.Context, group []settling) error {
	list := make([]Settlement, len(group))
	calls := 0
	for i, g := range group {
		list[i] = g.s
		calls += g.calls
	}
	var missed []int
	err := d.briefly(ctx, func(ctx context.Context) (err error) {
		missed, err = d.Ledger.Settle(ctx, d.drop, d.id, d.holder, calls, list)
		return err
	})
	if err != nil {
		return err
	}
	lost := make(map[int]bool, len(missed))
	for _, record := range missed {
		lost[record] = true
	}
	for _, g := range group {
		if lost[g.it.Record] {
			d.Log.Warn("a row was moved by somebody else, its answer is not used", "drop", d.drop.ID, "record", g.it.Record)
			g.it.slot.release()
			d.open.add(-1)
			continue
		}
		d.route(g)
	}
	return nil
}

// route sends a settled row on: to be armed again, to be asked about, or out.
func (d *delivery) route(g settling) {
	it := g.it
	it.State = g.s.To
	if g.s.Lost {
		it.Lost++
	}
	switch it.State {
	case Pending:
		it.slot.release()
		it.slot, it.refused, it.collided, it.due = nil, false, 0, 0
		it.patience, it.asks, it.among = nil, 0, 0 // the next attempt's questions are its own
		if g.s.From == Armed && g.s.Reason != "" { // the dialer could not: this row pauses
			it.due = d.Clock() + pause(&it.retries, d.Limits.GiveUp/1000)
		}
		d.again.push(it)
	case Unknown:
		it.due = 0
		d.asked.push(it)
	default:
		it.slot.release()
		if it.State == Succeeded {
			d.line.remember(OwnLead{
				Drop: d.drop.ID, SHA256: d.drop.SHA256, Feed: d.drop.Feed, Record: it.Record,
				LeadID: g.s.LeadID, Phone: it.Lead.PhoneNumber, ListID: it.Lead.ListID, Attempt: it.Attempt,
			})
		}
		d.Watcher.Settled(StateReason{it.State, g.s.Reason}, 1)
		d.open.add(-1)
	}
}

// notes joins what else the dialer said.
func notes(a Answer) string { return strings.Join(a.Notes, "; ") }
