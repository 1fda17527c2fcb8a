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
	granted   int           // leased
	until     time.Duration // when the lease ends, on clock
	busy      int           // slots held, the abandoned ones included
	abandoned int
	inherited int           // of the abandoned, those of vanished processes, whose own leases count them
	unasked   int           // of the abandoned, those about which the dialer was not asked yet
	changed   chan struct{} // closed, and made anew, at every change
}

// slot is the right to one call in flight.
type slot struct {
	of        *slots
	timer     *time.Timer // set once abandoned
	done      bool
	inherited bool
	unasked   bool
}

func newSlots(clock func() time.Duration) *slots {
	return &slots{clock: clock, changed: make(chan struct{})}
}

// leased is what may be used now; it is called with mu held. A lease that could
// not be renewed in time is none: others may have the calls.
func (s *slots) leased() int {
	if s.clock() > s.until {
		return 0
	}
	return s.granted
}

// acquire waits for a free slot. Leads are not added with the last one while
// there is a lost call to ask about: were its answer lost too, nothing could be
// asked until the quiescence has passed.
func (s *slots) acquire(ctx context.Context, adding bool) (*slot, error) {
	for {
		s.mu.Lock()
		if held := s.busy - s.spared(); held < s.leased() && (!adding || held < s.forAdding()) {
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

// forAdding is how many of the slots may be held while a lead is added; it is
// called with mu held.
func (s *slots) forAdding() int {
	if s.unasked > 0 {
		return s.leased() - 1
	}
	return s.leased()
}

// inherit holds a slot for a call that a vanished process may have left at
// the dialer.
func (s *slots) inherit(quiet time.Duration) *slot {
	s.mu.Lock()
	s.busy++
	s.inherited++
	s.mu.Unlock()
	h := &slot{of: s, inherited: true}
	h.abandon(quiet)
	return h
}

// spared is how many of the inherited slots are not counted; it is called with
// mu held. Nobody knows how many of a vanished process's armed rows were on the
// wire, so some slots always stay free, to ask with and to add with.
func (s *slots) spared() int {
	leased := s.leased()
	free := min(2, max(1, leased-1))
	return s.inherited - min(s.inherited, max(0, leased-free))
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

// asks notes that the dialer is to be asked about the lost call that holds the
// slot, and asked that it was.
func (h *slot) asks() {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.unasked = true
	h.of.unasked++
}

func (h *slot) asked() {
	if h == nil {
		return
	}
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.noLongerUnasked()
	h.of.notify()
}

// noLongerUnasked is called with mu held.
func (h *slot) noLongerUnasked() {
	if h.unasked {
		h.unasked = false
		h.of.unasked--
	}
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
	h.noLongerUnasked()
	h.of.notify()
}

// grant sets how many calls may be in flight until when.
func (s *slots) grant(n int, until time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.granted, s.until = n, until
	s.notify()
}

// state tells how many slots can carry leads sooner or later, how many may be
// in use before the next grant, how many are held by lost calls, and what to
// watch for a change.
func (s *slots) state() (usable, inUse, abandoned int, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.abandoned - s.spared()
	return s.forAdding() - lost, max(s.busy-s.inherited, s.leased()), lost, s.changed
}

// starved tells that every slot is held by a lost call.
func (s *slots) starved() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leased() > 0 && s.abandoned-s.spared() >= s.leased()
}

// notify is called with mu held.
func (s *slots) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}
