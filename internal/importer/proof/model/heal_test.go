package model_test

// heal ends all faults and lets both importers finish. It takes what is
// possible in turn, so that nobody waits for ever.
func (w *world) heal() {
	const enough = 2000
	w.dialer.blocked, w.dialer.blind = false, false
	for i := range w.dialer.requests {
		w.dialer.requests[i].delayed = false
	}
	for range enough {
		if w.broken != "" {
			return
		}
		for i := range w.processes {
			p := &w.processes[i]
			p.frozen = p.frozen && w.now < p.thaws
			// Who was frozen for long learns it from whatever it does next.
			if p.alive && !p.frozen && p.drop != nobody && w.ledger.drops[p.drop].until > w.now {
				p.renew()
			}
		}
		moves := w.onward()
		switch {
		case len(moves) > 0:
			w.do(moves[0])
		case w.settled():
			w.auditAgain()
			w.checkEnd()
			return
		default:
			w.do(move{act: leaps})
		}
	}
	w.breaks("it does not end")
}

func (w *world) settled() bool {
	for _, p := range w.processes {
		if p.frozen || !p.idle() {
			return false
		}
	}
	return w.ledger.drops[0].done && w.ledger.drops[1].done
}

// auditAgain is the look an hour later.
func (w *world) auditAgain() {
	for d := range w.ledger.drops {
		w.processes[0].drop = d
		w.processes[0].audit()
	}
}
