package storm_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"importer/internal/importer"
)

// fate is what becomes of one add_lead call.
type fate int

const (
	answers     fate = iota // inserts and says so
	swallows                // inserts, the answer is lost
	drops                   // the request is lost
	resets                  // the connection breaks at once, inserts a little later
	insertsLate             // the answer is lost, inserts when the quiescence has almost passed
	fails                   // says that it could not, nothing ran
	refuses                 // rejects the lead for good
)

func (f fate) String() string {
	return [...]string{"answers", "swallows", "drops", "resets", "inserts late", "fails", "refuses"}[f]
}

// line is a lead in the dialer's table.
type line struct {
	id    int64
	phone string
	token string
}

// span is a stretch of time in which the dialer is not well.
type span struct{ from, until time.Duration }

func (s span) String() string { return fmt.Sprintf("%v-%v", s.from, s.until) }

func (s span) at(t time.Duration) bool { return t >= s.from && t < s.until }

// dialer is a dialer in memory whose requests take effect in their own time.
// Its lead table lets writes in one by one; while it is blocked they wait
// unseen, and lookups are answered. The duplicate check is a read before the
// write: it races.
type dialer struct {
	w       *world
	fates   map[string][]fate // by number, call by call; afterwards all goes well
	blocked span              // writes wait
	blind   span              // searches fail, and say that nothing was found
	deaf    span              // lookups are not answered

	mu    sync.Mutex
	calls map[string]int
	lines []line
	busy  int // requests that it works on, the abandoned ones included
	most  int
	table sync.Mutex
	queue []func() // writes that wait
}

const (
	latency = 10 * time.Millisecond
	listID  = "101"
)

var errNoAnswer = errors.New("no answer")

func lost() importer.Answer {
	return importer.Answer{Written: true, Reason: "no_answer", Err: errNoAnswer}
}

// AddLead makes a call. What the dialer does goes on by itself when the caller
// has given up, or died.
func (d *dialer) AddLead(_ context.Context, c importer.Call) importer.Answer {
	d.mu.Lock()
	phone := c.Lead.PhoneNumber
	f := answers
	if n := d.calls[phone]; n < len(d.fates[phone]) {
		f = d.fates[phone][n]
	}
	d.calls[phone]++
	d.mu.Unlock()
	switch f {
	case answers:
		return d.await(d.after(latency, c), timeout)
	case swallows:
		d.after(latency, c)
		return d.await(nil, timeout)
	case drops:
		return d.await(nil, timeout)
	case resets:
		d.after(timeout, c)
		return d.await(nil, latency)
	case insertsLate:
		d.after(timeout+quiescence-latency, c)
		return d.await(nil, timeout)
	case fails:
		time.Sleep(latency)
		return importer.Answer{Verdict: importer.VerdictRetry, Written: true, Reason: "busy", Err: errors.New("too many connections")}
	case refuses:
		time.Sleep(latency)
		return importer.Answer{Verdict: importer.VerdictRejected, Written: true, Reason: "dnc", Err: errors.New("on the DNC list")}
	default:
		panic("no fate")
	}
}

// after lets a request reach the lead table after a while. What it is answered
// comes through the channel, if somebody still listens.
func (d *dialer) after(wait time.Duration, c importer.Call) <-chan importer.Answer {
	answer := make(chan importer.Answer, 1)
	ended := d.works()
	time.AfterFunc(wait, func() {
		if has := d.find(c.Lead.PhoneNumber); c.Duplicate == "DUPLIST" && len(has) > 0 {
			ended()
			answer <- importer.Answer{
				Verdict: importer.VerdictDuplicate, Written: true, Reason: importer.ReasonDialerDuplicate,
				DuplicateOf: has[0], Err: errors.New("duplicate"),
			}
			return
		}
		d.write(func() {
			ended()
			answer <- importer.Answer{Verdict: importer.VerdictAdded, Written: true, LeadID: d.insert(c.Lead.PhoneNumber, c.Token)}
		})
	})
	return answer
}

func (d *dialer) insert(phone, token string) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line{int64(len(d.lines) + 1), phone, token})
	d.w.tell("the dialer inserts %s as %d", d.w.name(phone), len(d.lines))
	return int64(len(d.lines))
}

// write carries a write out when the lead table takes it. Writes that wait are
// carried out in the order in which they came, and before any later one.
func (d *dialer) write(do func()) {
	d.table.Lock()
	defer d.table.Unlock()
	now := d.w.now()
	if !d.blocked.at(now) {
		d.drain()
		do()
		return
	}
	d.queue = append(d.queue, do)
	time.AfterFunc(d.blocked.until-now, func() {
		d.table.Lock()
		defer d.table.Unlock()
		d.drain()
	})
}

// drain is called with table held.
func (d *dialer) drain() {
	for _, do := range d.queue {
		do()
	}
	d.queue = nil
}

// works counts a request until the function that it returns is called, or
// until nobody needs to answer for it any more.
func (d *dialer) works() (ended func()) {
	d.count(1)
	var once sync.Once
	ended = func() { once.Do(func() { d.count(-1) }) }
	time.AfterFunc(timeout+quiescence-1, ended)
	return ended
}

func (d *dialer) count(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy += n
	d.most = max(d.most, d.busy)
}

// peak is how many requests the dialer ever had at work at once.
func (d *dialer) peak() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most
}

func (d *dialer) await(answer <-chan importer.Answer, within time.Duration) importer.Answer {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case a := <-answer:
		return a
	case <-t.C:
		return lost()
	}
}

// find returns a number's leads, the newest first.
func (d *dialer) find(phone string) (ids []int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range slices.Backward(d.lines) {
		if l.phone == phone {
			ids = append(ids, l.id)
		}
	}
	return ids
}

// UpdateCustomFields implements importer.Sender. No lead of a storm has any.
func (*dialer) UpdateCustomFields(context.Context, int64, string, map[string]string) importer.Answer {
	panic("a lead without custom fields")
}

// Search implements importer.Lookup.
func (d *dialer) Search(_ context.Context, _ string, phones []string) (map[string][]int64, error) {
	now := d.w.now()
	if d.deaf.at(now) {
		time.Sleep(timeout)
		return nil, errNoAnswer
	}
	time.Sleep(latency)
	found := map[string][]int64{}
	for _, p := range phones {
		found[p] = nil
		if !d.blind.at(now) {
			found[p] = d.find(p)
		}
	}
	return found, nil
}

// Field implements importer.Lookup.
func (d *dialer) Field(_ context.Context, id int64, _ string) (string, error) {
	if d.deaf.at(d.w.now()) {
		time.Sleep(timeout)
		return "", errNoAnswer
	}
	time.Sleep(latency)
	d.mu.Lock()
	defer d.mu.Unlock()
	if id < 1 || id > int64(len(d.lines)) {
		return "", errors.New("lead not found")
	}
	return d.lines[id-1].token, nil
}

// Touch implements importer.Lookup.
func (d *dialer) Touch(context.Context, int64, string, string) error {
	done := make(chan importer.Answer, 1)
	ended := d.works()
	time.AfterFunc(latency, func() {
		d.write(func() {
			ended()
			done <- importer.Answer{}
		})
	})
	return d.await(done, timeout).Err
}
