package storm_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"importer/internal/importer"
)

// harm is what befalls a process at one of its calls to the ledger or the dialer.
type harm int

const (
	diesBefore  harm = iota // the call is not made
	diesAfter               // it takes effect, and nobody hears of it
	freezes                 // it takes effect, and is heard of long after
	goesUnheard             // a call of the ledger takes effect, its answer is lost
	goesNowhere             // a call of the ledger does not reach it
)

func (h harm) String() string {
	return [...]string{"dies before", "dies after", "freezes", "goes unheard", "goes nowhere"}[h]
}

// moment is a process's nth call of a kind.
type moment struct {
	call string
	nth  int
}

func (m moment) String() string { return fmt.Sprintf("%s %d", m.call, m.nth) }

// life is what befalls a process, and when.
type life map[moment]harm

var errDead = errors.New("this process is dead")

// process is what stands between one importer and the world: it can be killed
// and frozen, and its ledger can be away.
type process struct {
	w      *world
	name   string
	ledger importer.Ledger
	dialer importer.Dialer
	life   life
	kill   context.CancelFunc

	mu     sync.Mutex
	calls  map[string]int
	dead   chan struct{}
	frozen time.Duration // until then
	asleep time.Duration // in all
	onWire map[string]bool
}

func (p *process) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

func (p *process) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isDead() {
		close(p.dead)
		p.kill()
	}
}

// meets counts a call and returns what befalls it.
func (p *process) meets(call string) (h harm, befallen bool) {
	p.mu.Lock()
	p.calls[call]++
	h, befallen = p.life[moment{call, p.calls[call]}]
	p.mu.Unlock()
	if befallen {
		p.w.tell("%s %v: %s", p.name, h, call)
	}
	return h, befallen
}

// thaw waits until a frozen process goes on.
func (p *process) thaw() {
	p.mu.Lock()
	wait := p.frozen - p.w.now()
	p.mu.Unlock()
	if wait > 0 {
		time.Sleep(wait)
	}
}

func (p *process) freeze() {
	const long = lease + sendWithin + timeout + quiescence + 5*time.Second
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = p.w.now() + long
	p.asleep += long
}

// awake is a clock that stands still while the process is frozen.
func (p *process) awake() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.w.now() - p.asleep + max(0, p.frozen-p.w.now())
}

// book makes one call to the ledger.
func book[T any](p *process, name string, call func() (T, error)) (answer T, err error) {
	if p.isDead() {
		return answer, errDead
	}
	h, befallen := p.meets(name)
	switch {
	case befallen && h == diesBefore:
		p.die()
		return answer, errDead
	case befallen && h == goesNowhere:
		return answer, fmt.Errorf("%w: test", importer.ErrUnavailable)
	}
	got, err := call()
	switch {
	case befallen && h == diesAfter:
		p.die()
	case befallen && h == freezes:
		p.freeze()
	case befallen && h == goesUnheard:
		return answer, fmt.Errorf("%w: test", importer.ErrUnavailable)
	}
	p.thaw()
	if p.isDead() {
		return answer, errDead
	}
	return got, err
}

// ask makes one call to the dialer. A call of a process that dies meanwhile
// goes on without it.
func ask[T any](p *process, name string, unheard T, call func() T) T {
	if p.isDead() {
		return unheard
	}
	h, befallen := p.meets(name)
	if befallen && h == diesBefore {
		p.die()
		return unheard
	}
	answer := make(chan T, 1)
	go func() { answer <- call() }()
	if befallen && h == diesAfter {
		p.die()
	}
	select {
	case <-p.dead:
		return unheard
	case a := <-answer:
		if befallen && h == freezes {
			p.freeze()
		}
		p.thaw()
		if p.isDead() {
			return unheard
		}
		return a
	}
}

func (p *process) AddLead(ctx context.Context, c importer.Call) importer.Answer {
	phone := c.Lead.PhoneNumber
	return ask(p, "send", lost(), func() importer.Answer {
		p.begins(c)
		defer p.ends(phone)
		a := p.dialer.AddLead(ctx, c)
		p.w.tell("%s hears of %s: %v", p.name, p.w.name(phone), verdicts[a.Verdict])
		return a
	})
}

func (p *process) UpdateCustomFields(ctx context.Context, id int64, list string, values map[string]string) importer.Answer {
	return p.dialer.UpdateCustomFields(ctx, id, list, values)
}

// begins holds a call that is about to be made against the promises.
func (p *process) begins(c importer.Call) {
	p.w.tell("%s sends %s %s", p.name, p.w.name(c.Lead.PhoneNumber), c.Duplicate)
	p.w.requireArmed(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.onWire[c.Lead.PhoneNumber] {
		p.w.breaks("two requests for number %s are in flight at once", p.w.name(c.Lead.PhoneNumber))
	}
	p.onWire[c.Lead.PhoneNumber] = true
}

func (p *process) ends(phone string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.onWire, phone)
}

var verdicts = map[importer.Verdict]string{
	importer.VerdictUnknown: "nothing", importer.VerdictAdded: "added", importer.VerdictRejected: "rejected",
	importer.VerdictDuplicate: "duplicate", importer.VerdictRetry: "not run",
}

type looked struct {
	found map[string][]int64
	field string
	err   error
}

func (p *process) Search(ctx context.Context, list string, phones []string) (map[string][]int64, error) {
	a := ask(p, "search", looked{err: errDead}, func() (l looked) {
		l.found, l.err = p.dialer.Search(ctx, list, phones)
		return l
	})
	return a.found, a.err
}

func (p *process) Field(ctx context.Context, id int64, field string) (string, error) {
	a := ask(p, "field", looked{err: errDead}, func() (l looked) {
		l.field, l.err = p.dialer.Field(ctx, id, field)
		return l
	})
	return a.field, a.err
}

func (p *process) Touch(ctx context.Context, id int64, field, value string) error {
	return ask(p, "touch", errDead, func() error { return p.dialer.Touch(ctx, id, field, value) })
}
