package nonagent

import (
	"net/http/httptrace"
	"sync"
	"time"
)

// stopwatch tells the network's part of a call from the dialer's. A connection
// may be set up beside a call that goes over another one in the end.
type stopwatch struct {
	mu         sync.Mutex
	connecting time.Time
	connected  time.Duration
	reused     bool
	wrote      time.Time
	answered   time.Duration
}

func (w *stopwatch) trace() *httptrace.ClientTrace {
	locked := func(note func(now time.Time)) {
		now := time.Now()
		w.mu.Lock()
		defer w.mu.Unlock()
		note(now)
	}
	return &httptrace.ClientTrace{
		ConnectStart: func(string, string) { locked(func(now time.Time) { w.connecting = now }) },
		ConnectDone: func(_, _ string, err error) {
			locked(func(now time.Time) {
				if err == nil {
					w.connected = now.Sub(w.connecting)
				}
			})
		},
		GotConn:              func(c httptrace.GotConnInfo) { locked(func(time.Time) { w.reused = c.Reused }) },
		WroteRequest:         func(httptrace.WroteRequestInfo) { locked(func(now time.Time) { w.wrote = now }) },
		GotFirstResponseByte: func() { locked(func(now time.Time) { w.answered = now.Sub(w.wrote) }) },
	}
}

// read is how long the connection and the first byte of the answer took.
func (w *stopwatch) read() (connect, answer time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reused {
		return 0, w.answered
	}
	return w.connected, w.answered
}
