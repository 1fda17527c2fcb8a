package model_test

// place is how far a request has come at the dialer.
type place int

const (
	travelling place = iota // in the network or the web server
	waiting                 // in the queue of the lead table's writers
	over                    // executed, refused or lost
)

// verdict is what the dialer answers.
type verdict int

const (
	noAnswer verdict = iota
	saysAdded
	saysRejected  // refused for good
	saysDuplicate // by the check that the call asked for
	saysNotRun    // provably nothing happened
	saysWritten   // to a barrier write
)

// request is a write on its way: an add_lead, or (row nobody) the harmless
// write to one of our own leads.
type request struct {
	by      int // the holder that made it
	row     int
	number  int
	guarded bool // asks for the dialer's own duplicate check
	quiet   int  // it reaches the lead table by then, or never
	place   place
	delayed bool // does not reach the lead table soon
	answer  verdict
}

// lead is a line of the lead table; row is read from its token, nobody's are
// other people's.
type lead struct{ number, row int }

// dialer holds requests that take effect in their own time. Reads are answered
// at once; writes to the lead table wait for it in a queue, and while the table
// is blocked they wait unseen. The duplicate check is a read before the write:
// it races.
type dialer struct {
	leads    []lead
	requests []request
	queue    []int
	blocked  bool
	blind    bool // searches fail, and say that nothing was found
}

func (d *dialer) post(r request) int {
	d.requests = append(d.requests, r)
	return len(d.requests) - 1
}

// arrive brings a request to the lead table.
func (d *dialer) arrive(i int) {
	r := &d.requests[i]
	if r.guarded && d.has(func(l lead) bool { return l.number == r.number }) {
		r.place, r.answer = over, saysDuplicate
		return
	}
	r.place = waiting
	d.queue = append(d.queue, i)
}

// refuse ends a request before it reaches the lead table.
func (d *dialer) refuse(i int, v verdict) {
	d.requests[i].place, d.requests[i].answer = over, v
}

// execute carries out the first of the writes that wait.
func (d *dialer) execute() {
	r := &d.requests[d.queue[0]]
	d.queue = d.queue[1:]
	r.place, r.answer = over, saysWritten
	if r.row != nobody {
		r.answer = saysAdded
		d.leads = append(d.leads, lead{r.number, r.row})
	}
}

// found is what a search tells of a row: whether a lead has its token, and
// whether the leads that are known to be there were found as well.
type found struct{ own, controlled bool }

func (d *dialer) search(row int) found {
	return found{own: d.has(ownLead(row)) && !d.blind, controlled: !d.blind}
}

func (d *dialer) has(is func(lead) bool) bool { return d.count(is) > 0 }

func (d *dialer) count(is func(lead) bool) int {
	n := 0
	for _, l := range d.leads {
		if is(l) {
			n++
		}
	}
	return n
}

func ownLead(row int) func(lead) bool { return func(l lead) bool { return l.row == row } }

// inFlight is how many requests of a holder the dialer is busy with, as far as
// the holder answers for them.
func (d *dialer) inFlight(holder, now int) int {
	n := 0
	for _, r := range d.requests {
		if r.by == holder && r.place != over && now <= r.quiet {
			n++
		}
	}
	return n
}
