package model_test

import "fmt"

// world is a ledger, a dialer and two importers at one moment. It does nothing
// by itself: a schedule chooses one of the moves that are possible.
type world struct {
	bug       bug
	now       int
	late      bool // calls may outlast the quiescence: more than is promised
	suffers   [lastAct]bool
	ledger    ledger
	dialer    dialer
	processes [2]process
	holders   int
	reported  [rows]bool // doubles that somebody was told of
	broken    string     // the first promise that was broken
	log       []logged
	buffer    []move
}

// plan is what a world begins with.
type plan struct {
	sizes   [drops]int
	numbers [rows]int // each row's phone number
	byOther bool      // a lead's identity is not its number
	foreign bool      // somebody else's lead has number 0 already
	late    bool      // calls may outlast the quiescence
	alone   bool      // there is one importer
	suffers [lastAct]bool
}

func newWorld(b bug, s plan) *world {
	w := &world{bug: b, late: s.late, suffers: s.suffers}
	w.ledger.bug = b
	for r := range w.ledger.rows {
		w.ledger.rows[r] = row{number: s.numbers[r], key: s.numbers[r], restsOn: nobody}
		if s.byOther {
			w.ledger.rows[r].key = r
		}
		w.ledger.claims[r] = nobody
	}
	for d := range w.ledger.drops {
		w.ledger.drops[d] = drop{size: s.sizes[d], done: s.sizes[d] == 0}
	}
	w.ledger.flush()
	if s.foreign {
		w.dialer.leads = append(w.dialer.leads, lead{0, nobody})
	}
	for i := range w.processes {
		w.processes[i].world = w
	}
	w.processes[1].absent = s.alone
	return w
}

type logged struct {
	now int
	m   move
}

// do makes one move and holds the world against the promises.
func (w *world) do(m move) {
	w.log = append(w.log, logged{w.now, m})
	w.make(m)
	w.check()
}

func (w *world) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
	}
}

// calls is told of each call before it is made.
func (w *world) calls(p *process, r, attempt int) {
	if w.ledger.durable.rows[r].attempt < attempt {
		w.breaks("row %d was sent, and after a crash the ledger would not know of attempt %d", r, attempt)
	}
	if p.isCalling(w.ledger.rows[r].number) {
		w.breaks("two requests for number %d are in flight at once", w.ledger.rows[r].number)
	}
}

// check holds the world against what is promised at every moment.
func (w *world) check() {
	var leads, live [rows]int // by key
	for r, row := range w.ledger.rows {
		own := w.dialer.count(ownLead(r))
		leads[row.key] += own
		switch {
		case row.state == succeeded && own == 0:
			w.breaks("row %d is SUCCESS, and the dialer does not have it", r)
		case own > 1 && !w.late:
			w.breaks("row %d was loaded %d times", r, own)
		}
		switch row.state {
		case unrecorded:
		case pending, armed, unknown, succeeded, review:
			live[row.key]++
			if w.ledger.claims[row.key] != r {
				w.breaks("row %d is %v without a claim", r, row.state)
			}
		case rejected, failed:
			if w.ledger.claims[row.key] == r {
				w.breaks("row %d is %v and keeps its claim", r, row.state)
			}
		case duplicate:
			if row.restsOn != nobody && w.ledger.claims[row.key] != row.restsOn {
				w.breaks("row %d is a duplicate of row %d, which has no claim", r, row.restsOn)
			}
		}
	}
	for key := range leads {
		switch {
		case leads[key] > 1 && !w.late:
			w.breaks("the lead of key %d was loaded %d times", key, leads[key])
		case live[key] > 1:
			w.breaks("%d rows with one key are under way", live[key])
		}
	}
	for _, p := range w.processes {
		if n := w.dialer.inFlight(p.holder, w.now); p.alive && n > slotsEach {
			w.breaks("%d calls of one process are in flight, %d are allowed", n, slotsEach)
		}
	}
}

// checkEnd holds the healed world against what is promised in the end.
func (w *world) checkEnd() {
	for r, row := range w.ledger.rows {
		own := w.dialer.count(ownLead(r))
		switch {
		case r%mostOfADrop >= w.ledger.drops[dropOf(r)].size:
			continue
		case row.state == unrecorded || row.state.open():
			w.breaks("row %d is %v in the end", r, row.state)
		case own > 1 && !w.reported[r]:
			w.breaks("row %d was loaded %d times, and nobody was told", r, own)
		case own > 0 && row.state != succeeded && row.state != review && !w.late:
			w.breaks("the dialer has row %d, which is %v", r, row.state)
		}
	}
	for d, drop := range w.ledger.drops {
		if !drop.done {
			w.breaks("drop %d is not done in the end", d)
		}
	}
}
