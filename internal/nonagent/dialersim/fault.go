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
	// the header announced all of it, and does not zip it. 0: the whole body is sent.
	Truncate int
}

// Fault is what goes wrong with one request. The zero value: nothing.
type Fault struct {
	// Delay is waited, in service, before anything else.
	Delay time.Duration
	// Skip keeps the request from being executed at all.
	Skip bool
	// Late executes the request only so long after it was answered (with what
	// Answer makes of an empty 200). Until then it stays in service.
	Late time.Duration
	// Answer changes the answer: of an executed request what it would have
	// been, else an empty 200. Nil changes nothing.
	Answer func(*Response)
}

// SetFault sets what chooses each request's fault, before it is executed; nil:
// none. It is called by many requests at once.
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
