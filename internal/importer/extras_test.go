package importer_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/ledger/ledgertest"
)

// UpdateCustomFields writes them, unless a test has said what becomes of the
// nth call for a lead. A call without an answer goes on at the dialer.
func (d *dialer) UpdateCustomFields(_ context.Context, lead int64, _ string, values map[string]string) importer.Answer {
	d.mu.Lock()
	d.updates[lead]++
	n := d.updates[lead]
	d.inFlight++
	d.most = max(d.most, d.inFlight)
	d.mu.Unlock()
	a := importer.Answer{Verdict: importer.VerdictAdded, Notes: []string{"custom fields written"}}
	if d.custom != nil {
		a = d.custom(n)
	}
	ended := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.inFlight--
		if a.Verdict == importer.VerdictAdded || a.Verdict == importer.VerdictUnknown {
			d.values[lead] = values
		}
	}
	if a.Verdict == importer.VerdictUnknown {
		time.Sleep(timeout)
		time.AfterFunc(5*time.Minute, ended)
		return a
	}
	time.Sleep(20 * time.Millisecond)
	ended()
	return a
}

var colored = &lead.Extras{Custom: map[string]string{"color": "blue"}}

// dropWith is a drop whose rows bring extras.
func dropWith(x *lead.Extras, n int) importer.Incoming {
	in := drop("a", n)
	in.Open = func() (importer.Reader, error) { return &rows{n: n, extras: x}, nil }
	return in
}

// setupWith is a bench whose unfinished drops are read again with extras.
func setupWith(t *testing.T, x *lead.Extras, fates func(importer.Call, int) fate) *bench {
	t.Helper()
	b := setup(t, fates)
	b.importer.Reopen = func(d importer.Drop) (importer.Incoming, error) { return dropWith(x, int(d.Bytes)), nil }
	return b
}

// requireColored checks that n leads have their custom fields.
func (b *bench) requireColored(t *testing.T, n int) {
	t.Helper()
	b.dialer.mu.Lock()
	defer b.dialer.mu.Unlock()
	require.Len(t, b.dialer.values, n)
	for _, values := range b.dialer.values {
		require.Equal(t, colored.Custom, values)
	}
}

func succeeded(why importer.Reason) importer.StateReason {
	return importer.StateReason{State: importer.Succeeded, Reason: why}
}

func TestCustomFieldsAreWrittenBeforeARowSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setupWith(t, colored, always(answers))
		s, err := b.run(t.Context(), dropWith(colored, 200))
		require.NoError(t, err)
		require.Equal(t, importer.Counts{succeeded(importer.ReasonAdded): 200}, s.Counts())
		require.False(t, s.NeedsPerson())
		require.Equal(t, 200, s.Calls, "calls are add_lead calls")
		b.requireOnce(t, 200)
		b.requireColored(t, 200)
	})
}

func TestLeadsFoundByTheirTokenGetTheirCustomFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setupWith(t, colored, first(swallows))
		s, err := b.run(t.Context(), dropWith(colored, 40))
		require.NoError(t, err)
		require.Equal(t, importer.Counts{succeeded(importer.ReasonAdded): 10, succeeded(importer.ReasonReconciled): 30}, s.Counts())
		b.requireOnce(t, 40)
		b.requireColored(t, 40)
	})
}

// Every first update is lost and goes on at the dialer for minutes: the limit
// of calls in flight holds there.
func TestUpdateWhoseAnswerWasLostKeepsItsSlotAndIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setupWith(t, colored, always(answers))
		b.dialer.custom = func(n int) importer.Answer {
			if n == 1 {
				return importer.Answer{Reason: "no_answer", Err: errors.New("no answer")}
			}
			return importer.Answer{Verdict: importer.VerdictAdded}
		}
		s, err := b.run(t.Context(), dropWith(colored, 24))
		require.NoError(t, err)
		require.Equal(t, importer.Counts{succeeded(importer.ReasonAdded): 24}, s.Counts())
		b.requireOnce(t, 24)
		b.requireColored(t, 24)
	})
}

// The dialer goes away for minutes behind its first leads: their custom fields
// are written when it is back.
func TestADialerThatGoesAwayCostsNoCustomFields(t *testing.T) {
	for name, k := range map[string]struct {
		answer importer.Answer
		rows   int
	}{
		"answers stay away": {importer.Answer{Reason: "no_answer"}, 2}, // of more, the lost updates would hold every slot
		"nobody is there":   {importer.Answer{Verdict: importer.VerdictRetry, Reason: "not_sent"}, 30},
	} {
		synctest.Test(t, func(t *testing.T) {
			back := time.Now().Add(3*timeout + time.Minute)
			away := func() error {
				if time.Now().Before(back) {
					return errors.New("no answer")
				}
				return nil
			}
			b := setupWith(t, colored, func(_ importer.Call, n int) fate {
				if n > 1 && away() != nil {
					return drops
				}
				return answers
			})
			b.dialer.custom = func(int) importer.Answer {
				if away() != nil {
					return k.answer
				}
				return importer.Answer{Verdict: importer.VerdictAdded}
			}
			b.dialer.searches = away
			b.dialer.fields = func(int64) error { return away() }
			s, err := b.run(t.Context(), dropWith(colored, k.rows))
			require.NoError(t, err, name)
			found := s.Counts()[succeeded(importer.ReasonReconciled)]
			require.Positive(t, found, name)
			require.Equal(t, k.rows-found, s.Counts()[succeeded(importer.ReasonAdded)], name)
			b.requireOnce(t, k.rows)
			b.requireColored(t, k.rows)
		})
	}
}

func TestLeadWhoseCustomFieldsCannotBeWrittenIsASuccessThatSaysSo(t *testing.T) {
	for name, k := range map[string]struct {
		answer importer.Answer
		tries  int
	}{
		"refused":       {importer.Answer{Verdict: importer.VerdictRejected, Reason: "inconclusive", Notes: []string{"the list has none"}}, 1},
		"dialer in bad": {importer.Answer{Verdict: importer.VerdictRetry, Reason: "dialer_database_down"}, 6},
		"never heard":   {importer.Answer{Reason: "no_answer"}, 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := setupWith(t, colored, always(answers))
			b.dialer.custom = func(int) importer.Answer { return k.answer }
			s, err := b.run(t.Context(), dropWith(colored, 2))
			require.NoError(t, err, name)
			require.Equal(t, importer.Counts{succeeded(importer.ReasonCustomFieldsMissing): 2}, s.Counts(), name)
			require.True(t, s.NeedsPerson(), "nobody writes them later")
			for _, n := range b.dialer.updates {
				require.Equal(t, k.tries, n, name)
			}
			b.requireOnce(t, 2)
		})
	}
}

// A user without the right to update stops the run at its first leads, whose
// custom fields are written once the right is there.
func TestRefusedUpdateStopsTheRunAndIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setupWith(t, colored, always(answers))
		b.dialer.custom = func(int) importer.Answer {
			return importer.Answer{Verdict: importer.VerdictStop, Reason: "not_permitted", Err: errors.New("not permitted")}
		}
		s, err := b.run(t.Context(), dropWith(colored, 30))
		require.EqualError(t, err, "not permitted")
		require.Equal(t, importer.Reason("not_permitted"), s.Stopped)
		sent := s.Calls
		require.LessOrEqual(t, sent, 8)
		require.Equal(t, 30, s.Pending())

		b.dialer.custom = nil
		s, err = b.run(t.Context(), dropWith(colored, 30))
		require.NoError(t, err)
		require.Equal(t, importer.Counts{succeeded(importer.ReasonAdded): 30 - sent, succeeded(importer.ReasonReconciled): sent}, s.Counts())
		b.requireOnce(t, 30)
		b.requireColored(t, 30)
	})
}

// An interrupt waits for the update that belongs to a call under way, and
// leaves what would have to be repeated to the next start.
func TestInterruptLeavesNoLeadWithoutItsCustomFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setupWith(t, colored, always(answers))
		ctx, interrupt := context.WithCancel(t.Context())
		var updates atomic.Int32
		b.dialer.custom = func(int) importer.Answer {
			if updates.Add(1) > 20 {
				interrupt()
				return importer.Answer{Verdict: importer.VerdictRetry, Reason: "dialer_database_down"}
			}
			return importer.Answer{Verdict: importer.VerdictAdded}
		}
		s, err := b.run(ctx, dropWith(colored, 100))
		require.ErrorIs(t, err, context.Canceled)
		require.Positive(t, s.Pending())
		require.Zero(t, s.Counts()[succeeded(importer.ReasonCustomFieldsMissing)])

		b.dialer.custom = nil
		s, err = b.run(t.Context(), dropWith(colored, 100))
		require.NoError(t, err)
		require.Equal(t, 100, s.Outcomes()[importer.OutcomeSuccess])
		require.Positive(t, s.Counts()[succeeded(importer.ReasonReconciled)])
		b.requireOnce(t, 100)
		b.requireColored(t, 100)
	})
}

func TestLeadWithACallbackIsNotPutIntoTheHopper(t *testing.T) {
	for name, k := range map[string]struct {
		extras *lead.Extras
		hopper bool
	}{
		"without": {nil, true},
		"with":    {&lead.Extras{Callback: &lead.Callback{At: "NOW"}}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var calls []importer.Call
			b := setup(t, func(c importer.Call, _ int) fate {
				calls = append(calls, c)
				return answers
			})
			b.feed.Hopper = &importer.Hopper{Priority: 7}
			_, err := b.run(t.Context(), dropWith(k.extras, 1))
			require.NoError(t, err)
			require.Len(t, calls, 1)
			require.Equal(t, k.hopper, calls[0].Hopper != nil, name)
		})
	}
}

// noting is a ledger that keeps the notes of its settlements.
type noting struct {
	*ledgertest.Fake
	mu    sync.Mutex
	notes map[string]int
}

func (n *noting) Settle(ctx context.Context, d importer.Drop, run, holder int64, calls int, list []importer.Settlement) ([]int, error) {
	n.mu.Lock()
	for _, s := range list {
		if s.To == importer.Succeeded {
			n.notes[s.Note]++
		}
	}
	n.mu.Unlock()
	return n.Fake.Settle(ctx, d, run, holder, calls, list)
}

func TestWhatALostAnswerWouldHaveToldIsNotedAsUnconfirmed(t *testing.T) {
	extras := &lead.Extras{Custom: colored.Custom, AltPhones: []lead.AltPhone{{Number: "7275551212"}}}
	synctest.Test(t, func(t *testing.T) {
		b := setupWith(t, extras, first(swallows))
		ledger := &noting{Fake: b.ledger, notes: map[string]int{}}
		b.importer.Ledger = ledger
		b.feed.Hopper = &importer.Hopper{}
		s, err := b.run(t.Context(), dropWith(extras, 12))
		require.NoError(t, err)
		require.False(t, s.NeedsPerson())
		require.Equal(t, map[string]int{
			"custom fields written": 10,
			"hopper and alternate numbers not confirmed: the answer was lost; custom fields written": 2,
		}, ledger.notes)
	})
}

func TestNoCallBeginsAfterARefusedLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused time.Time
		b := setupWith(t, colored, func(c importer.Call, _ int) fate {
			if c.Lead.PhoneNumber == phone(20) {
				refused = time.Now()
				return refusesLogin
			}
			return answers
		})
		refusals := 0
		b.dialer.custom = func(int) importer.Answer {
			b.dialer.mu.Lock()
			defer b.dialer.mu.Unlock()
			if refused.IsZero() || !time.Now().After(refused) { // those of this moment may have begun
				return importer.Answer{Verdict: importer.VerdictAdded}
			}
			refusals++
			return importer.Answer{Verdict: importer.VerdictStop, Reason: "login", Err: errors.New("login refused")}
		}
		_, err := b.run(t.Context(), dropWith(colored, 40))
		var stop *importer.StopError
		require.ErrorAs(t, err, &stop)
		require.Zero(t, refusals, "of calls after the first refusal")
	})
}
