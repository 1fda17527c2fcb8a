package importer

import (
	"context"
	"sync"
	"time"
)

// slots bounds this process's calls in flight at a dialer to what the ledger
// has leased to it. A call whose answer was lost keeps its slot, since the
// dialer may still be busy with it.
type slots struct {
	mu        sync.Mutex
	clock     func() time.Duration
	limit     int           // configured calls in flight
	granted   int           // leased
	until     time.Duration // when the lease ends, on clock
	busy      int           // slots held, the abandoned ones included
	abandoned int
	inherited int           // of the abandoned, those of vanished processes, whose own leases count them
	changed   chan struct{} // closed, and made anew, at every change
}

// slot is the right to one call in flight.
type slot struct {
	of        *slots
	timer     *time.Timer // set once abandoned
	done      bool
	inherited bool
}

func newSlots(clock func() time.Duration, limit int) *slots {
	return &slots{clock: clock, limit: limit, changed: make(chan struct{})}
}

// leased is what may be used now; it is called with mu held. A lease that could
// not be renewed in time is none: others may have the calls.
func (s *slots) leased() int {
	if s.clock() > s.until {
		return 0
	}
	return s.granted
}

// acquire waits for a free slot.
func (s *slots) acquire(ctx context.Context) (*slot, error) {
	for {
		s.mu.Lock()
		if s.busy < s.leased() {
			s.busy++
			s.mu.Unlock()
			return &slot{of: s}, nil
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// inherit holds a slot for a call that a vanished process may have left at
// the dialer. Nobody knows how many of its armed rows were on the wire, so one
// slot always stays free for asking; nil is returned then.
func (s *slots) inherit(quiet time.Duration) *slot {
	s.mu.Lock()
	if s.abandoned+1 >= s.limit {
		s.mu.Unlock()
		return nil
	}
	s.busy++
	s.inherited++
	s.mu.Unlock()
	h := &slot{of: s, inherited: true}
	h.abandon(quiet)
	return h
}

// abandon keeps the slot for a lost call until release, at most until the
// call can no longer take effect.
func (h *slot) abandon(quiet time.Duration) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.of.abandoned++
	h.timer = time.AfterFunc(max(quiet, 0), h.release)
	h.of.notify()
}

// release gives the slot back. It may be called more than once, and on nil.
func (h *slot) release() {
	if h == nil {
		return
	}
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	if h.done {
		return
	}
	h.done = true
	h.of.busy--
	if h.timer != nil {
		h.timer.Stop()
		h.of.abandoned--
	}
	if h.inherited {
		h.of.inherited--
	}
	h.of.notify()
}

// grant sets how many calls may be in flight until when.
func (s *slots) grant(n int, until time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.granted, s.until = n, until
	s.notify()
}

// state tells how many slots can carry calls sooner or later, how many may be
// in use before the next grant, how many are held by lost calls, and what to
// watch for a change.
func (s *slots) state() (usable, inUse, abandoned int, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leased() - s.abandoned, max(s.busy-s.inherited, s.leased()), s.abandoned, s.changed
}

// notify is called with mu held.
func (s *slots) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}
