package model_test

// state is where a row stands. The zero value is a record that was not read yet.
type state int

const (
	unrecorded state = iota
	pending
	armed
	unknown
	succeeded
	rejected
	failed
	duplicate
	review
)

func (s state) open() bool { return s == pending || s == armed || s == unknown }

func (s state) String() string {
	return [...]string{"unrecorded", "pending", "armed", "unknown", "succeeded", "rejected", "failed", "duplicate", "review"}[s]
}

const (
	mostOfADrop = 2
	drops       = 2
	rows        = drops * mostOfADrop
	numbers     = 3
	nobody      = -1
)

func dropOf(row int) int { return row / mostOfADrop }

// row is a record of a drop. Rows are numbered through, drop by drop, which is
// also their age.
type row struct {
	number   int // the phone number
	key      int // the lead's identity, by which it is claimed
	state    state
	attempt  int
	lost     int // attempts whose answers were lost
	holder   int // who armed it
	answerBy int // its call has ended by then
	restsOn  int // the row for whose claim this one is a duplicate, or nobody
}

type drop struct {
	size     int // records in the file
	holder   int // 0: nobody
	until    int // the lease's end
	recorded int
	done     bool
}

// tables is what the ledger remembers.
type tables struct {
	rows   [rows]row
	claims [rows]int // by key: the row that holds it, or nobody
	drops  [drops]drop
}

// ledger commits one transaction at a time. Who waits for the disk makes all
// earlier commits durable as well; a crash loses those that nobody waited for.
type ledger struct {
	tables
	durable tables
	bug     bug
}

func (l *ledger) flush() { l.durable = l.tables }
func (l *ledger) crash() { l.tables = l.durable }

// lease gives a drop to holder unless somebody else has it still.
func (l *ledger) lease(d, holder, now int) (recorded int, ok bool) {
	drop := &l.drops[d]
	if drop.done || drop.holder != 0 && drop.until > now {
		return 0, false
	}
	drop.holder, drop.until = holder, now+leaseFor
	l.flush()
	return drop.recorded, true
}

func (l *ledger) renew(d, holder, now int) bool {
	if l.drops[d].holder != holder {
		return false
	}
	l.drops[d].until = now + leaseFor
	l.flush()
	return true
}

// record writes a drop's next row and its claim in one transaction.
func (l *ledger) record(d, holder, first int) bool {
	if l.drops[d].holder != holder || l.drops[d].recorded != first {
		return false
	}
	r := d*mostOfADrop + first
	row := &l.rows[r]
	row.state = pending
	if by := l.claims[row.key]; by != nobody {
		row.state, row.restsOn = duplicate, by
	} else {
		l.claims[row.key] = r
	}
	l.drops[d].recorded++
	l.flush()
	return true
}

// arm notes durably that attempt+1 of a row is about to be sent. It may be
// asked again by the same holder, who has not heard the answer.
func (l *ledger) arm(r, attempt, holder, now int) (ok, leaseLost bool) {
	row := &l.rows[r]
	fresh := row.state == pending && row.attempt == attempt
	again := row.state == armed && row.attempt == attempt+1 && row.holder == holder
	if l.bug != twoArmers {
		if l.drops[dropOf(r)].holder != holder {
			return false, true
		}
		if !fresh && !again {
			return false, false
		}
	}
	row.state, row.attempt, row.holder = armed, attempt+1, holder
	row.answerBy = now + sendWithin + timeout
	if l.bug != armNotDurable {
		l.flush()
	}
	return true, false
}

// settlement is what shall become of a row, by compare-and-set.
type settlement struct {
	attempt  int
	from, to state
	lost     bool // this attempt's answer was lost
}

// settle moves a row, and does not wait for the disk.
func (l *ledger) settle(r, holder, now int, s settlement) bool {
	row := &l.rows[r]
	if l.bug != settleWithoutCompare {
		switch {
		case row.attempt == s.attempt && l.mayGo(row, s, holder, now):
		case row.attempt == s.attempt && row.state == s.to: // made before
			return true
		default:
			return false
		}
	}
	row.state = s.to
	if s.lost {
		row.lost++
	}
	over := s.to == rejected || s.to == failed || s.to == review && l.bug == reviewReleasesClaim
	if over && l.bug != claimNotReleased {
		l.release(r)
	}
	return true
}

// mayGo tells who may move a row in its state so: whoever armed it, also when
// somebody else has called its answer lost meanwhile; and anybody for a row
// whose call has ended.
func (l *ledger) mayGo(row *row, s settlement, holder, now int) bool {
	mine := row.holder == holder
	late := row.state == unknown && s.from == armed
	switch s.to {
	case succeeded, rejected, duplicate:
		return row.state == unknown && s.from == unknown || (late || row.state == armed && s.from == armed) && mine
	case pending, failed:
		return row.state == s.from && (s.from == unknown || mine)
	case unknown:
		return row.state == armed && (mine || row.answerBy < now)
	case review:
		return row.state == unknown && s.from == unknown
	default:
		return false
	}
}

// release hands the claim of a row that ended without a lead to the oldest row
// that was judged a duplicate because of it; the others rest on the heir.
func (l *ledger) release(r int) {
	key := l.rows[r].key
	if l.claims[key] != r {
		return
	}
	heir := nobody
	for i := range l.rows {
		row := &l.rows[i]
		switch {
		case row.state != duplicate || row.restsOn != r:
		case heir == nobody:
			heir = i
			row.state, row.restsOn = pending, nobody
			l.drops[dropOf(i)].done = false
		default:
			row.restsOn = heir
		}
	}
	l.claims[key] = heir
}

// close ends a holder's lease; the drop is done when no row of it is open.
func (l *ledger) close(d, holder int) {
	drop := &l.drops[d]
	if drop.holder != holder {
		return
	}
	drop.holder = 0
	drop.done = drop.recorded == drop.size
	for i := range l.rows {
		if dropOf(i) == d && l.rows[i].state.open() {
			drop.done = false
		}
	}
	l.flush()
}
