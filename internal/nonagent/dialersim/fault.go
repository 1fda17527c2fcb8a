package dialersim

import (
	"net/http"
	"time"
)

// Request is what a fault is chosen by.
type Request struct {
	Function string
	Number   int // among all requests since the dialer was made, from 1
	Nth      int // among those of this function, from 1
	form     *form
}

// Get is a parameter of the request, as sent.
func (r *Request) Get(name string) string { return r.form.get(name) }

// Response is what the dialer would answer, for a fault to change.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// Drop closes the connection without an answer.
	Drop bool
	// Truncate closes the connection after so many bytes of the body, though
	// the header announced all of it, and does not zip it. Below 0: after the
	// header; 0: the whole body is sent.
	Truncate int
	// Reset makes Drop and Truncate end the connection with a reset (RST).
	Reset bool
	// Misstate is added to the Content-Length, while the body is sent as it is
	// and not zipped.
	Misstate int
	// Pace is waited before each byte of the body.
	Pace time.Duration
	// Blanks replaces the body by so many blanks, zipped where the header says
	// so. They are never all in memory.
	Blanks int64
}

// Fault is what goes wrong with one request. The zero value: nothing.
type Fault struct {
	// Delay is waited, in service, before anything else.
	Delay time.Duration
	// Skip keeps the request from being executed at all.
	Skip bool
	// Settings changes what the dialer is set to, for this request alone.
	Settings func(*Settings)
	// Late executes the request only so long after it was answered (with what
	// Answer makes of an empty 200). Until then it stays in service.
	Late time.Duration
	// Hold is waited, in service, between the execution and the answer.
	Hold time.Duration
	// Answer changes the answer: of an executed request what it would have
	// been, else an empty 200. Nil changes nothing.
	Answer func(*Response)

	over <-chan struct{} // closed when Delay, Hold and Pace are no longer waited
}

// and is both faults at once, f's changes first.
func (f Fault) and(g Fault) Fault {
	f.Delay += g.Delay
	f.Skip = f.Skip || g.Skip
	f.Settings = both(f.Settings, g.Settings)
	f.Late += g.Late
	f.Hold += g.Hold
	f.Answer = both(f.Answer, g.Answer)
	if f.over == nil {
		f.over = g.over
	}
	return f
}

func both[T any](first, second func(*T)) func(*T) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(v *T) {
		first(v)
		second(v)
	}
}

// SetFault sets what chooses each request's fault, before it is executed; nil:
// none. It is called by many requests at once. What the rules of SetRules do
// to a request comes first.
func (d *Dialer) SetFault(choose func(*Request) Fault) {
	if choose == nil {
		d.fault.Store(nil)
		return
	}
	d.fault.Store(&choose)
}

func (d *Dialer) faultOf(r *Request) Fault {
	if choose := d.fault.Load(); choose != nil {
		return (*choose)(r)
	}
	return Fault{}
}
