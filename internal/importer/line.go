package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sethvargo/go-retry"
	"golang.org/x/time/rate"
)

// Why a run stops although no answer said so.
const (
	// ReasonUnreachable: no call got through to the dialer.
	ReasonUnreachable Reason = "dialer_unreachable"
	// ReasonNotTheAPI: what answers is not the Non-Agent API.
	ReasonNotTheAPI Reason = "not_the_api"
	// ReasonDialerFailing: the dialer's answers stayed away or useless for too long.
	ReasonDialerFailing Reason = "dialer_failing"
	// ReasonCallsLost: every call in flight was lost, and nobody waits.
	ReasonCallsLost Reason = "calls_lost"
)

// How often the first row of a run is tried before the run stops.
const (
	canaryUnreachable = 5
	canaryForeign     = 3
)

// line is a run's line to one dialer: how many calls may be in flight, whether
// the dialer is well, and what its answers have proven so far.
type line struct {
	im      *Importer
	holder  int64
	slots   *slots
	rate    *rate.Limiter
	breaker circuitbreaker.CircuitBreaker[any]

	keeping sync.WaitGroup
	stop    context.CancelFunc

	mu        sync.Mutex
	calls     int
	answered  bool          // some call of this run was answered for good
	probing   bool          // one row is out to see whether the dialer is well
	strikes   int           // useless answers to the first rows
	foreign   int           // of these, answers that are not the API's
	pause     retry.Backoff // between the first rows' tries
	notBefore time.Duration // on im.Clock
	failing   time.Duration // since when the breaker is open, on im.Clock; 0: all is well
	lastErr   error
	heardAt   time.Duration // when the dialer answered last, on im.Clock
	wrote     time.Duration // when the latest write that was answered had begun, on im.Clock
	written   bool
	phones    map[string]chan struct{} // numbers with a call in flight
	own       map[string][]OwnLead     // by list: leads that lookups may count on
	looked    map[string]bool          // lists for which the ledger was asked for more
	starving  bool                     // it was said that every slot is held by a lost call
	alarmed   []string
	changed   chan struct{}
}

func newLine(im *Importer, holder int64) *line {
	limit := rate.Inf
	burst := 1
	if im.Limits.Rate > 0 {
		limit = rate.Limit(im.Limits.Rate)
	}
	l := &line{
		im: im, holder: holder, slots: newSlots(im.Clock),
		rate: rate.NewLimiter(limit, burst),
		// Half of the last ten answers lost: the dialer is not well.
		breaker: circuitbreaker.NewBuilder[any]().
			WithFailureThresholdRatio(5, 10).
			WithSuccessThreshold(1).
			WithDelay(min(5*time.Second, im.Limits.GiveUp/20)).
			Build(),
		phones:  map[string]chan struct{}{},
		own:     map[string][]OwnLead{},
		looked:  map[string]bool{},
		changed: make(chan struct{}),
	}
	l.pause = retry.NewExponential(min(500*time.Millisecond, im.Limits.GiveUp/20))
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.keeping.Add(1)
	go l.keepSlots(ctx)
	return l
}

// keepSlots leases calls in flight from the ledger as long as the line is
// open. The lease outlives its holder by the longest that a call could last.
func (l *line) keepSlots(ctx context.Context) {
	defer l.keeping.Done()
	ttl := l.im.Limits.SendWithin + l.im.Limits.Timeout
	every := min(ttl/5, time.Second)
	limit := l.im.Limits.Concurrency
	want := SlotWant{Calls: min(limit, cmp.Or(l.im.Limits.Share, limit)), Limit: limit, Yields: l.im.Limits.Yields}
	for {
		// What may be in use until the answer is here, not what is in use now:
		// a smaller grant is told to others only when it has taken effect.
		_, want.InUse, _, _ = l.slots.state()
		asked := l.im.Clock()
		g, err := l.im.Ledger.LeaseSlots(ctx, l.im.DialerKey, l.holder, want, ttl)
		if err == nil {
			l.slots.grant(g.Count, asked+ttl)
			if g.Count == 0 {
				l.im.Watcher.Waiting("all calls in flight of the dialer are leased by other importers until " + g.Until.UTC().Format(time.RFC3339))
			}
		}
		if sleep(ctx, every) != nil {
			return
		}
	}
}

// close gives the slots back, but for those of lost calls.
func (l *line) close() {
	l.stop()
	l.keeping.Wait()
	_, _, lost, _ := l.slots.state()
	ttl := l.im.Limits.Timeout + l.im.Limits.Quiescence
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	want := SlotWant{Calls: lost, InUse: lost, Limit: l.im.Limits.Concurrency, Yields: true} // nothing is sent any more
	_, err := l.im.Ledger.LeaseSlots(ctx, l.im.DialerKey, l.holder, want, ttl)
	if err != nil {
		l.im.Log.Warn("could not give back the leased calls in flight, they stay leased for a while", "for", ttl.String(), "err", err)
	}
}

// admit waits until rows may be sent and says how many may be armed now: one
// while it is unknown whether the dialer is well. A *StopError says that it
// has not been for too long.
func (l *line) admit(ctx context.Context) (n int, probe bool, err error) {
	for {
		usable, _, _, slotsChanged := l.slots.state()
		l.mu.Lock()
		n, wait, err := l.gate(usable)
		probe, changed := l.probing, l.changed
		l.mu.Unlock()
		if err != nil || n > 0 {
			return n, probe, err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-changed:
		case <-slotsChanged:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return 0, false, context.Cause(ctx)
		}
	}
}

// gate decides under mu; n 0 means: look again after wait or at a change.
func (l *line) gate(usable int) (n int, wait time.Duration, err error) {
	now := l.im.Clock()
	const longest = time.Second
	if l.failing != 0 {
		left := l.failing + l.im.Limits.GiveUp - now
		if left <= 0 {
			return 0, 0, &StopError{ReasonDialerFailing, fmt.Errorf("the dialer has not been well for %s, the other rows stay pending: %w", l.im.Limits.GiveUp, l.lastErr)}
		}
		wait = min(left, longest)
	} else {
		wait = longest
	}
	if usable <= 0 && l.slots.starved() {
		if l.im.NoWait {
			return 0, 0, &StopError{ReasonCallsLost, errors.New("the answers of all calls in flight were lost, and the dialer may be busy with them for a while yet: the other rows stay pending, import again later or without --no-wait")}
		}
		if !l.starving {
			l.im.Log.Warn("the answers of all calls in flight were lost: nothing is sent until the dialer must have given them up", "at_most", (l.im.Limits.Timeout + l.im.Limits.Quiescence).String())
		}
		l.starving = true
	} else {
		l.starving = false
	}
	switch {
	case l.probing || usable <= 0:
		return 0, wait, nil
	case now < l.notBefore:
		return 0, min(wait, l.notBefore-now), nil
	case !l.answered:
		l.probing = true
		return 1, 0, nil
	case l.breaker.IsClosed():
		return usable, 0, nil
	case l.breaker.TryAcquirePermit():
		l.probing = true
		return 1, 0, nil
	default:
		return 0, min(wait, max(l.breaker.RemainingDelay(), time.Millisecond)), nil
	}
}

// heard takes note of what an answer says about the dialer; a *StopError ends
// the run.
func (l *line) heard(a Answer, began time.Duration, probe bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.notify()
	if probe {
		l.probing = false
	}
	if a.Written {
		l.calls++
	}
	switch a.Verdict {
	case VerdictAdded, VerdictRejected, VerdictDuplicate:
		l.answered, l.heardAt = true, l.im.Clock()
		l.breaker.RecordSuccess()
		l.watchBreaker()
		if a.Verdict == VerdictAdded {
			l.writeAnswered(began)
		}
		return nil
	case VerdictStop:
		return &StopError{a.Reason, a.Err}
	case VerdictUnknown, VerdictRetry:
	}
	l.lastErr = a.Err
	l.breaker.RecordFailure()
	l.watchBreaker()
	if a.RetryAfter > 0 {
		l.notBefore = max(l.notBefore, l.im.Clock()+a.RetryAfter)
	}
	if l.answered {
		return nil
	}
	if wait, stop := l.pause.Next(); !stop {
		l.notBefore = max(l.notBefore, l.im.Clock()+wait)
	}
	l.strikes++
	if a.Foreign {
		l.foreign++
	}
	switch {
	case l.foreign >= canaryForeign:
		return &StopError{ReasonNotTheAPI, a.Err}
	case !a.Written && l.strikes >= canaryUnreachable:
		return &StopError{ReasonUnreachable, a.Err}
	}
	return nil
}

// watchBreaker is called with mu held, after every result.
func (l *line) watchBreaker() {
	switch {
	case l.breaker.IsClosed():
		l.failing = 0
	case l.failing == 0:
		l.failing = max(l.im.Clock(), 1)
	}
}

// paused tells whether the dialer has asked for a pause since rows were
// admitted.
func (l *line) paused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.im.Clock() < l.notBefore
}

// unsent takes note that a row which was admitted was not sent after all.
func (l *line) unsent(probe bool) {
	if !probe {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.breaker.IsHalfOpen() {
		l.breaker.RecordFailure() // gives the permit back
	}
	l.probing = false
	l.notify()
}

// hasAnswered takes note that the dialer has answered something else.
func (l *line) hasAnswered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heardAt = l.im.Clock()
}

// answeredSince tells whether the dialer has answered anything since t.
func (l *line) answeredSince(t time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heardAt > t
}

// wroteSince tells whether a write that began after t has been answered, which
// proves that the dialer's lead table took writes again after t.
func (l *line) wroteSince(t time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written && l.wrote > t
}

// touched takes note of an answered write that was no add_lead.
func (l *line) touched(began time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeAnswered(began)
}

// writeAnswered is called with mu held.
func (l *line) writeAnswered(began time.Duration) {
	if !l.written || began > l.wrote {
		l.wrote, l.written = began, true
	}
}

// lockPhone waits until no other call for this number is in flight in this
// process: the dialer's own duplicate check races.
func (l *line) lockPhone(ctx context.Context, phone string) (unlock func(), err error) {
	phone = strings.TrimLeft(phone, "0")
	for {
		l.mu.Lock()
		busy, taken := l.phones[phone]
		if !taken {
			mine := make(chan struct{})
			l.phones[phone] = mine
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.phones, phone)
				l.mu.Unlock()
				close(mine)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (l *line) alarm(text string) {
	l.im.Log.Error(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alarmed = append(l.alarmed, text)
}

func (l *line) alarms() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.alarmed
}

// wasAnswered tells whether some call of this run was answered for good.
func (l *line) wasAnswered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

func (l *line) made() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

// notify is called with mu held.
func (l *line) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}
