package model_test

import "slices"

// phase is where a process has a row that it works on.
type phase int

const (
	absent   phase = iota // not its business
	ready                 // to be armed
	arming                // the arming is being committed
	onWire                // armed, to be sent
	calling               // its call is in flight
	settling              // its settlement is to be committed
	asking                // its answer was lost: the dialer is to be asked
)

// item is a row in a process's memory, which dies with it and may be wrong.
type item struct {
	phase    phase
	state    state // as the process believes it stands in the ledger
	attempt  int
	lost     int
	notRun   int // attempts that the dialer answered without running them
	deadline int // no call may begin after this
	request  int // the call in flight
	began    int // when that call began
	quiet    int // its call cannot take effect after this
	refused  bool
	asks     int
	todo     settlement
}

// hold is a slot that a call without an answer keeps.
type hold struct{ row, until int }

// process is one importer. Each method is a step that nothing can come
// between; what something can come between is two steps.
type process struct {
	*world
	absent  bool // never starts
	alive   bool
	frozen  bool
	thaws   int  // not before
	holder  int  // a number that no other process has or had
	drop    int  // the drop that it believes to hold, or nobody
	next    int  // the drop's next record to be read
	size    int  // the drop's records
	looked  bool // has brought in the drop's open rows
	allDone bool // and there were none
	leaving bool // stops arming, waits for its calls, settles
	items   [rows]item
	holds   []hold
	wrote   int // when the latest answered write had begun
	touch   int // the barrier write in flight, or nobody
	touched int // when it began
}

// start is a process anew, with nothing in its memory.
func (p *process) start() {
	p.holders++
	*p = process{world: p.world, alive: true, holder: p.holders, drop: nobody, touch: nobody, wrote: nobody}
}

// take leases a drop.
func (p *process) take(d int) {
	if recorded, ok := p.ledger.lease(d, p.holder, p.now); ok {
		p.drop, p.next, p.size = d, recorded, p.ledger.drops[d].size
		p.looked, p.allDone, p.leaving = false, false, false
	}
}

// renew prolongs the lease, or learns that it is lost.
func (p *process) renew() {
	if !p.ledger.renew(p.drop, p.holder, p.now) {
		p.leave()
	}
}

// look brings in the drop's open rows: what earlier processes left, and what
// has become open again.
func (p *process) look() {
	p.looked, p.allDone = true, p.next == p.size
	for r, row := range p.ledger.rows {
		if dropOf(r) != p.drop || !row.state.open() {
			continue
		}
		p.allDone = false
		it := item{phase: ready, state: row.state, attempt: row.attempt, lost: row.lost}
		if row.state != pending {
			it.phase, it.quiet = asking, row.answerBy+quiescence
		}
		p.items[r] = it
	}
}

// read records the drop's next row.
func (p *process) read() {
	r := p.drop*mostOfADrop + p.next
	if !p.ledger.record(p.drop, p.holder, p.next) {
		p.leave()
		return
	}
	p.next++
	if p.ledger.rows[r].state == pending {
		p.items[r] = item{phase: ready, state: pending}
	}
}

// beginArm takes the deadline before the commit, so that it is never later
// than the ledger's.
func (p *process) beginArm(r int) {
	it := &p.items[r]
	it.phase, it.deadline = arming, p.now+sendWithin
	if p.bug == sendBeforeCommit {
		p.call(r, it.attempt+1)
	}
}

// commitArm makes a row's arming known. Only then may it be sent.
func (p *process) commitArm(r int) {
	it := &p.items[r]
	ok, leaseLost := p.ledger.arm(r, it.attempt, p.holder, p.now)
	switch {
	case leaseLost:
		p.leave()
		*it = item{}
	case !ok: // somebody else has moved it
		*it = item{}
	default:
		it.phase, it.state, it.attempt = onWire, armed, it.attempt+1
		if p.bug == sendBeforeCommit {
			it.phase = calling
		}
	}
}

// commitArmUnheard commits, but the answer is lost: it is to be made again.
func (p *process) commitArmUnheard(r int) {
	it := &p.items[r]
	p.ledger.arm(r, it.attempt, p.holder, p.now)
	it.deadline = p.now + sendWithin
}

// maySend tells whether an armed row's call may begin.
func (p *process) maySend(r int) bool {
	it := p.items[r]
	switch {
	case it.phase != onWire || p.leaving || p.busy() >= slotsEach:
		return false
	case p.now >= it.deadline && p.bug != noDeadlineCheck:
		return false
	default:
		return !p.isCalling(p.ledger.rows[r].number) || p.bug == noPhoneLock
	}
}

func (p *process) isCalling(number int) bool {
	for r, it := range p.items {
		if it.phase == calling && p.ledger.rows[r].number == number {
			return true
		}
	}
	return false
}

// busy is how many slots are taken: by calls, and by those that were given up
// and that the dialer may still be busy with.
func (p *process) busy() int {
	n := 0
	for _, it := range p.items {
		if it.phase == calling {
			n++
		}
	}
	for _, h := range p.holds {
		if p.now <= h.until {
			n++
		}
	}
	if p.touch != nobody {
		n++
	}
	return n
}

func (p *process) send(r int) {
	p.call(r, p.items[r].attempt)
	p.items[r].phase = calling
}

// call makes the call for one attempt. After a lost answer the dialer's own
// check stands guard once more.
func (p *process) call(r, attempt int) {
	p.calls(p, r, attempt)
	it := &p.items[r]
	it.began = p.now
	it.request = p.dialer.post(request{
		by: p.holder, row: r, number: p.ledger.rows[r].number, guarded: it.lost > 0,
		quiet: p.now + timeout + quiescence,
	})
}

// handBack returns a row of which no byte was sent.
func (p *process) handBack(r int) { p.to(r, settlement{from: armed, to: pending}) }

func (p *process) to(r int, s settlement) {
	it := &p.items[r]
	s.attempt = it.attempt
	it.phase, it.todo = settling, s
}

// hear judges the answer of a call.
func (p *process) hear(r int) {
	it := &p.items[r]
	s := settlement{from: armed}
	switch p.dialer.requests[it.request].answer {
	case saysAdded:
		s.to = succeeded
		p.wrote = max(p.wrote, it.began)
	case saysRejected:
		s.to = rejected
	case saysDuplicate:
		s.to = duplicate
		if it.lost > 0 { // it may be our own, from the lost attempt
			s.to, it.refused = unknown, true
		}
	case saysNotRun:
		s.to = pending
		if it.notRun++; it.notRun+it.lost >= maxAttempts {
			s.to = failed
		}
	default:
		panic("no answer to a call")
	}
	p.to(r, s)
}

// giveUp ends a call without an answer on this side. It keeps its slot.
func (p *process) giveUp(r int) {
	it := &p.items[r]
	it.quiet = it.began + timeout + quiescence
	p.hold(r, it.quiet)
	p.to(r, settlement{from: armed, to: unknown, lost: true})
}

func (p *process) hold(row, until int) {
	if p.bug != lostCallFreesItsSlot {
		p.holds = append(p.holds, hold{row, until})
	}
}

// settle commits what shall become of a row and sends it on its way.
func (p *process) settle(r int) {
	it := &p.items[r]
	if !p.ledger.settle(r, p.holder, p.now, it.todo) {
		p.forget(r) // somebody else has moved it
		return
	}
	it.state = it.todo.to
	if it.todo.lost {
		it.lost++
	}
	switch {
	case it.state == pending && !p.leaving:
		p.release(r)
		it.phase, it.refused, it.asks = ready, false, 0
	case it.state == unknown && !p.leaving:
		it.phase = asking
	case it.state == unknown: // left to whoever comes next; the slot is kept
		*it = item{}
	default:
		p.forget(r)
	}
}

// settleUnheard commits, but the answer is lost: it is to be made again.
func (p *process) settleUnheard(r int) { p.ledger.settle(r, p.holder, p.now, p.items[r].todo) }

func (p *process) forget(r int) {
	p.release(r)
	p.items[r] = item{}
}

func (p *process) release(r int) {
	p.holds = slices.DeleteFunc(p.holds, func(h hold) bool { return h.row == r })
}

// mayCallLost tells whether the answer to a call that another process has left
// may be called lost: not before that call has ended.
func (p *process) mayCallLost(r int) bool {
	it := p.items[r]
	return it.phase == asking && it.state == armed && p.now > it.quiet-quiescence
}

func (p *process) callLost(r int) { p.to(r, settlement{from: armed, to: unknown, lost: true}) }

// wantsBarrier tells whether some row waits for the proof that the lead table
// takes writes again.
func (p *process) wantsBarrier() bool {
	return p.touch == nobody && p.busy() < slotsEach && slices.ContainsFunc(p.items[:], func(it item) bool {
		return it.phase == asking && it.state == unknown && p.now > p.quietSince(it) && !p.proven(it)
	})
}

// proven tells whether absence would be believed: the call can no longer take
// effect, and a write that began after that was answered.
func (p *process) proven(it item) bool {
	since := p.quietSince(it)
	switch p.bug {
	case resendWithoutBarrier:
		return p.now > since
	case anyWriteIsABarrier:
		return p.now > since && p.wrote != nobody
	default:
		return p.wrote > since
	}
}

// quietSince is when a row's call could last have taken effect.
func (p *process) quietSince(it item) int {
	if p.bug == noQuiescence {
		return it.quiet - quiescence
	}
	return it.quiet
}

// writeBarrier writes to one of our own leads what it holds already.
func (p *process) writeBarrier() {
	p.touched = p.now
	p.touch = p.dialer.post(request{by: p.holder, row: nobody, quiet: p.now + timeout + quiescence})
}

func (p *process) hearBarrier() { p.wrote, p.touch = max(p.wrote, p.touched), nobody }

func (p *process) giveUpBarrier() {
	p.hold(nobody, p.touched+timeout+quiescence)
	p.touch = nobody
}

// mayAsk tells whether a row's number may be looked up.
func (p *process) mayAsk(r int) bool {
	it := p.items[r]
	return it.phase == asking && it.state == unknown && p.busy() < slotsEach
}

// ask concludes what a lookup allows to conclude.
func (p *process) ask(r int, f found) {
	it := &p.items[r]
	s := settlement{from: unknown}
	switch {
	case f.own:
		s.to = succeeded
	case !f.controlled && p.bug != noControlNumber:
		p.askAgain(r)
		return
	case it.refused: // all leads of the number are somebody else's
		s.to = duplicate
	case !p.proven(*it):
		p.askAgain(r)
		return
	case it.lost+it.notRun >= maxAttempts:
		s.to = failed
	default:
		s.to = pending
	}
	p.to(r, s)
}

// askAgain puts a question off, or hands the row to a person.
func (p *process) askAgain(r int) {
	it := &p.items[r]
	if p.now > it.quiet {
		it.asks++
	}
	if it.asks >= maxAsks {
		p.to(r, settlement{from: unknown, to: review})
	}
}

// leave stops arming and asking; what is on the wire is handed back, calls are
// waited for.
func (p *process) leave() {
	p.leaving = true
	for r := range p.items {
		switch p.items[r].phase {
		case ready, arming, asking:
			p.items[r] = item{}
		case onWire:
			p.handBack(r)
		default: // what has been done is settled
		}
	}
}

func (p *process) idle() bool {
	return !slices.ContainsFunc(p.items[:], func(it item) bool { return it.phase != absent })
}

// finish looks for doubles and gives the drop back.
func (p *process) finish() {
	if !p.leaving {
		p.audit()
	}
	p.ledger.close(p.drop, p.holder)
	p.drop, p.alive = nobody, !p.leaving
}

// audit looks once more at the rows of the drop whose answers had been lost.
func (p *process) audit() {
	if p.bug == noAudit {
		return
	}
	for r, row := range p.ledger.rows {
		if dropOf(r) == p.drop && row.state == succeeded && row.lost > 0 && p.dialer.count(ownLead(r)) > 1 {
			p.reported[r] = true
		}
	}
}
