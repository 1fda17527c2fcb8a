package model_test

import (
	"fmt"
	"strings"
)

// act is what can happen next.
type act int

const (
	// What carries the world on.
	starts act = iota
	takes
	looks
	reads
	beginsArm
	commitsArm
	sends
	handsBack
	hears
	givesUp
	settles
	callsLost
	writesBarrier
	hearsBarrier
	givesUpBarrier
	asks
	finishes
	arrives
	executes
	// What passes.
	ticks
	leaps
	renews
	flushes
	thaws
	unblocks
	sees
	// What goes wrong.
	isKilled
	freezes
	isInterrupted
	commitsArmUnheard
	settlesUnheard
	losesAnswer
	asksInVain
	vanishes
	isDelayed
	arrivesLate
	isRefused
	isNotRun
	blocks
	isBlind
	crashes

	lastAct
	firstFault = isKilled
)

// move is one act: of process p (from 0), about row, drop or request n.
type move struct {
	act  act
	p, n int
}

func (m move) String() string {
	format := map[act]string{
		starts:            "%c starts",
		takes:             "%c leases drop %d",
		looks:             "%c looks for open rows",
		reads:             "%c reads and records a row",
		beginsArm:         "%c is about to arm row %d",
		commitsArm:        "%c arms row %d",
		sends:             "%c sends row %d",
		handsBack:         "%c hands row %d back, it is too late",
		hears:             "%c hears the answer for row %d",
		givesUp:           "%c gives up waiting for row %d",
		settles:           "%c settles row %d",
		callsLost:         "%c calls the answer for row %d lost",
		writesBarrier:     "%c writes the barrier",
		hearsBarrier:      "%c hears that the barrier is written",
		givesUpBarrier:    "%c gives up waiting for the barrier",
		asks:              "%c looks up row %d",
		finishes:          "%c gives its drop back",
		arrives:           "request %[2]d reaches the lead table",
		executes:          "the dialer executes the first waiting write",
		ticks:             "a tick passes",
		leaps:             "time passes until something is due",
		renews:            "%c renews its lease",
		flushes:           "the ledger's disk is written",
		thaws:             "%c goes on",
		unblocks:          "the lead table takes writes again",
		sees:              "searches find again what is there",
		isKilled:          "%c is killed",
		freezes:           "%c is frozen for %d ticks",
		isInterrupted:     "%c is interrupted",
		commitsArmUnheard: "%c arms row %d and does not hear so",
		settlesUnheard:    "%c settles row %d and does not hear so",
		losesAnswer:       "%c loses its connection for row %d",
		asksInVain:        "%c looks up row %d and gets no answer",
		vanishes:          "request %[2]d vanishes",
		isDelayed:         "request %[2]d is delayed",
		arrivesLate:       "request %[2]d reaches the lead table after all",
		isRefused:         "the dialer refuses request %[2]d for good",
		isNotRun:          "the dialer cannot run request %[2]d",
		blocks:            "the lead table is blocked",
		isBlind:           "searches find nothing and say so",
		crashes:           "the ledger crashes and comes back",
	}[m.act]
	const unused = "%!(EXTRA"
	text, _, _ := strings.Cut(fmt.Sprintf(format, 'A'+m.p, m.n), unused)
	return text
}

// onward lists the moves that carry the world on.
func (w *world) onward() []move {
	out := w.buffer[:0]
	for i := range w.dialer.requests {
		if w.mayArrive(i) && !w.dialer.requests[i].delayed {
			out = append(out, move{arrives, 0, i})
		}
	}
	if len(w.dialer.queue) > 0 && !w.dialer.blocked {
		out = append(out, move{act: executes})
	}
	for i := range w.processes {
		out = w.processes[i].onward(i, out)
	}
	w.buffer = out
	return out
}

func (w *world) mayArrive(i int) bool {
	r := w.dialer.requests[i]
	return r.place == travelling && (w.now <= r.quiet || w.late)
}

func (p *process) onward(i int, out []move) []move {
	add := func(may bool, a act, n int) {
		if may {
			out = append(out, move{a, i, n})
		}
	}
	if !p.alive || p.frozen {
		add(!p.alive && !p.absent, starts, 0)
		return out
	}
	for r, it := range p.items {
		switch it.phase {
		case absent:
		case ready:
			add(!p.leaving, beginsArm, r)
		case arming:
			add(true, commitsArm, r)
		case onWire:
			add(p.maySend(r), sends, r)
			add(p.now >= it.deadline, handsBack, r)
		case calling:
			add(p.dialer.requests[it.request].answer != noAnswer, hears, r)
			add(p.now >= it.began+timeout, givesUp, r)
		case settling:
			add(true, settles, r)
		case asking:
			add(p.mayCallLost(r), callsLost, r)
			// Earlier questions change nothing.
			add(p.mayAsk(r) && (it.refused || p.proven(it) || p.dialer.has(ownLead(r))), asks, r)
		}
	}
	add(p.wantsBarrier() && !p.leaving, writesBarrier, 0)
	if p.touch != nobody {
		add(p.dialer.requests[p.touch].answer != noAnswer, hearsBarrier, 0)
		add(p.now >= p.touched+timeout, givesUpBarrier, 0)
	}
	if p.drop == nobody {
		for d, drop := range p.ledger.drops {
			add(!drop.done && (drop.holder == 0 || drop.until <= p.now), takes, d)
		}
		return out
	}
	add(!p.leaving && (!p.looked || p.idle() && p.next == p.size && !p.allDone), looks, 0)
	add(p.looked && !p.leaving && p.next < p.size, reads, 0)
	add(p.idle() && (p.leaving || p.allDone), finishes, 0)
	return out
}

// passing lists what passes meanwhile.
func (w *world) passing() []move {
	out := w.buffer[:0]
	out = append(out, move{act: ticks}, move{act: leaps}, move{act: flushes})
	if w.dialer.blocked {
		out = append(out, move{act: unblocks})
	}
	if w.dialer.blind {
		out = append(out, move{act: sees})
	}
	for i, p := range w.processes {
		switch {
		case p.frozen && w.now >= p.thaws:
			out = append(out, move{thaws, i, 0})
		case p.alive && !p.frozen && p.drop != nobody && !p.leaving:
			out = append(out, move{renews, i, 0})
		}
	}
	w.buffer = out
	return out
}

// faults lists what can go wrong, of what this world suffers from.
func (w *world) faults() []move {
	out := w.buffer[:0]
	add := func(may bool, a act, p, n int) {
		if may && w.suffers[a] {
			out = append(out, move{a, p, n})
		}
	}
	add(true, crashes, 0, 0)
	add(!w.dialer.blocked, blocks, 0, 0)
	add(!w.dialer.blind, isBlind, 0, 0)
	for i, r := range w.dialer.requests {
		if r.place != travelling {
			continue
		}
		add(true, vanishes, 0, i)
		add(!r.delayed, isDelayed, 0, i)
		add(r.delayed && w.mayArrive(i), arrivesLate, 0, i)
		add(r.row != nobody, isRefused, 0, i)
		add(r.row != nobody, isNotRun, 0, i)
	}
	for i := range w.processes {
		p := &w.processes[i]
		if !p.alive {
			continue
		}
		add(true, isKilled, i, 0)
		if p.frozen {
			continue
		}
		add(true, freezes, i, 1)
		add(true, freezes, i, leaseFor+timeout+sendWithin+2*quiescence)
		add(p.drop != nobody && !p.leaving, isInterrupted, i, 0)
		for r, it := range p.items {
			add(it.phase == arming && w.bug != sendBeforeCommit, commitsArmUnheard, i, r)
			add(it.phase == settling, settlesUnheard, i, r)
			add(it.phase == calling, losesAnswer, i, r)
			add(p.mayAsk(r), asksInVain, i, r)
		}
	}
	w.buffer = out
	return out
}

func (w *world) make(m move) {
	p := &w.processes[m.p]
	switch m.act {
	case starts:
		p.start()
	case thaws:
		p.frozen = false
	case takes:
		p.take(m.n)
	case looks:
		p.look()
	case reads:
		p.read()
	case beginsArm:
		p.beginArm(m.n)
	case commitsArm:
		p.commitArm(m.n)
	case sends:
		p.send(m.n)
	case handsBack:
		p.handBack(m.n)
	case hears:
		p.hear(m.n)
	case givesUp, losesAnswer:
		p.giveUp(m.n)
	case settles:
		p.settle(m.n)
	case callsLost:
		p.callLost(m.n)
	case writesBarrier:
		p.writeBarrier()
	case hearsBarrier:
		p.hearBarrier()
	case givesUpBarrier:
		p.giveUpBarrier()
	case asks:
		p.ask(m.n, w.dialer.search(m.n))
	case asksInVain:
		p.askAgain(m.n)
	case finishes:
		p.finish()
	case arrives, arrivesLate:
		w.dialer.arrive(m.n)
	case isDelayed:
		w.dialer.requests[m.n].delayed = true
	case executes:
		w.dialer.execute()
	case blocks, unblocks:
		w.dialer.blocked = m.act == blocks
	case isBlind, sees:
		w.dialer.blind = m.act == isBlind
	case ticks:
		w.now++
	case leaps:
		w.now = w.due()
	case renews:
		p.renew()
	case flushes:
		w.ledger.flush()
	case isKilled:
		p.alive, p.frozen = false, false
	case freezes:
		p.frozen, p.thaws = true, w.now+m.n
	case isInterrupted:
		p.leave()
	case commitsArmUnheard:
		p.commitArmUnheard(m.n)
	case settlesUnheard:
		p.settleUnheard(m.n)
	case vanishes:
		w.dialer.refuse(m.n, noAnswer)
	case isRefused:
		w.dialer.refuse(m.n, saysRejected)
	case isNotRun:
		w.dialer.refuse(m.n, saysNotRun)
	case crashes:
		w.ledger.crash()
	default:
		panic("no such move")
	}
}

// due is the next moment at which something becomes possible by itself.
func (w *world) due() int {
	next := w.now + 1
	first := func(t int) {
		if t > w.now && (next == w.now+1 || t < next) {
			next = t
		}
	}
	for _, p := range w.processes {
		if p.frozen {
			first(p.thaws)
			continue
		}
		for _, it := range p.items {
			switch it.phase {
			case onWire:
				first(it.deadline)
			case calling:
				first(it.began + timeout)
			case asking:
				first(it.quiet - quiescence + 1)
				first(it.quiet + 1)
			default: // waits for nobody
			}
		}
		for _, h := range p.holds {
			first(h.until + 1)
		}
	}
	for _, d := range w.ledger.drops {
		first(d.until)
	}
	return next
}
