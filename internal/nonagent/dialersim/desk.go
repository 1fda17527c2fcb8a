package dialersim

import (
	"sync"
	"time"
)

// desk is where requests wait for a worker and are counted.
type desk struct {
	workers chan struct{}
	stopped chan struct{}

	mu     sync.Mutex
	gauges map[string]*gauge // by function; "" for all
}

type gauge struct{ calls, now, max int }

func newDesk(workers int) desk {
	return desk{
		workers: make(chan struct{}, workers),
		stopped: make(chan struct{}),
		gauges:  map[string]*gauge{"": {}},
	}
}

// arrive counts a request and returns its number among all and among those of
// its function, from 1.
func (k *desk) arrive(function string) (number, ofFunction int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, own := k.gauges[""], k.gauges[function]
	if own == nil {
		own = &gauge{}
		k.gauges[function] = own
	}
	all.calls++
	if own != all {
		own.calls++
	}
	return all.calls, own.calls
}

// enter waits for a worker. It does not look at the request's context: a
// request whose client has gone is served all the same, since Apache has it in
// its queue. False: the dialer was stopped.
func (k *desk) enter(function string) bool {
	select {
	case k.workers <- struct{}{}:
	case <-k.stopped:
		return false
	}
	k.count(function, 1)
	return true
}

func (k *desk) leave(function string) {
	k.count(function, -1)
	<-k.workers
}

func (k *desk) count(function string, delta int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, own := k.gauges[""], k.gauges[function]
	all.now += delta
	all.max = max(all.max, all.now)
	if own != all {
		own.now += delta
		own.max = max(own.max, own.now)
	}
}

func (k *desk) read(function string, what func(*gauge) int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if g := k.gauges[function]; g != nil {
		return what(g)
	}
	return 0
}

// totals is the calls by function, and how many are and at most were in service.
func (k *desk) totals() (calls map[string]int, now, most int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	calls = map[string]int{}
	for function, g := range k.gauges {
		if function != "" {
			calls[function] = g.calls
		}
	}
	return calls, k.gauges[""].now, k.gauges[""].max
}

// stop cuts every wait short and returns when nobody is being served any more,
// late executions included.
func (k *desk) stop() {
	close(k.stopped)
	for range cap(k.workers) {
		k.workers <- struct{}{}
	}
}

// sleep waits out d whatever becomes of the client, or until over, where that is
// not nil. False: the dialer was stopped.
func (k *desk) sleep(d time.Duration, over <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-over:
		return true
	case <-k.stopped:
		return false
	}
}

// sleepAtMost is sleep for at most that long, or for as long as it takes where
// that is 0.
func (k *desk) sleepAtMost(d time.Duration, over <-chan struct{}) {
	if d > 0 {
		k.sleep(d, over)
		return
	}
	select {
	case <-over:
	case <-k.stopped:
	}
}

// turnstile is a lock that serves strictly in the order of arrival, as the
// queue of a MyISAM table's write lock does; sync.Mutex lets late ones overtake.
type turnstile struct {
	mu      sync.Mutex
	busy    bool
	waiting []chan struct{}
}

// queue takes the next place at once; the turn has come when turn is closed, or
// where it is nil.
func (t *turnstile) queue() (turn chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.busy {
		t.busy = true
		return nil
	}
	turn = make(chan struct{})
	t.waiting = append(t.waiting, turn)
	return turn
}

// enter waits for its turn. False: stopped was closed first.
func (t *turnstile) enter(stopped <-chan struct{}) bool {
	return await(t.queue(), stopped)
}

func await(turn chan struct{}, stopped <-chan struct{}) bool {
	if turn == nil {
		return true
	}
	select {
	case <-turn:
		return true
	case <-stopped:
		return false
	}
}

// leave hands the turn to the one that waits longest.
func (t *turnstile) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.busy = false
		return
	}
	close(t.waiting[0])
	t.waiting = t.waiting[1:]
}
