package ledgertest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
)

// ended are the states from which a row may get another chance.
var ended = []importer.State{importer.Rejected, importer.Failed, importer.Review}

// retry gives the drop's rows in the states another chance.
func (w *work) retry(from ...importer.State) {
	w.t.Helper()
	for after := 0; ; {
		last, err := w.l.Retry(w.t.Context(), w.d, w.holder, importer.Retried{States: from}, after, 2, 0)
		require.NoError(w.t, err)
		if last == 0 {
			return
		}
		require.Greater(w.t, last, after)
		after = last
	}
}

// review brings a row to review by an answer that was lost.
func (w *work) review(record int) {
	w.t.Helper()
	require.Equal(w.t, []int{record}, w.arm(0, record))
	require.Empty(w.t, w.settle(importer.Settlement{Record: record, Attempt: 1, From: importer.Armed, To: importer.Unknown, Lost: true}))
	w.move(record, importer.Unknown, importer.Review, importer.ReasonUnproven)
}

var retryPromises = []promise{
	{"what was refused or given up claims its lead again and is sent as a new attempt", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob", "cid")
		w.deliver(importer.Rejected, "bad", 1)
		w.deliver(importer.Failed, importer.ReasonAttemptsExhausted, 2)
		w.deliver(importer.Succeeded, importer.ReasonAdded, 3)
		require.Equal(t, importer.DropDone, w.close(importer.DropDone))
		w.lease(hour)
		w.retry(ended...)
		w.is(importer.Counts{count(importer.Pending, ""): 2, count(importer.Succeeded, importer.ReasonAdded): 1})
		w.holds("ann", 1)
		w.holds("bob", 2)
		require.Empty(t, w.arm(0, 1))
		require.ElementsMatch(t, []int{1, 2}, w.arm(1, 1, 2))
	}},
	{"the drop is importing until its rows have ended again", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		w.deliver(importer.Rejected, "bad", 1)
		w.close(importer.DropDone)
		w.lease(hour)
		w.retry(ended...)
		unfinished, err := l.Unfinished(t.Context(), "acme")
		require.NoError(t, err)
		require.Len(t, unfinished, 1)
		require.True(t, unfinished[0].Finished.IsZero())
		require.Equal(t, importer.DropImporting, w.close(importer.DropDone))
		w.lease(hour)
		require.Equal(t, []int{1}, w.arm(1, 1))
		require.Empty(t, w.settle(importer.Settlement{Record: 1, Attempt: 2, From: importer.Armed, To: importer.Succeeded}))
		require.Equal(t, importer.DropDone, w.close(importer.DropDone))
	}},
	{"a lead that another row holds by now is a duplicate, and inherits like any", func(t *testing.T, l importer.Ledger) {
		a, b := begin(t, l, "acme", "a"), begin(t, l, "bravo", "b")
		a.record("ann")
		a.deliver(importer.Rejected, "bad", 1)
		a.close(importer.DropDone)
		b.record("ann")
		a.lease(hour)
		a.retry(ended...)
		a.is(importer.Counts{count(importer.Duplicate, importer.ReasonAlreadyLoaded): 1})
		b.holds("ann", 1)
		require.Equal(t, importer.DropDone, a.close(importer.DropDone), "nothing of it is open")
		b.deliver(importer.Rejected, "bad", 1)
		a.holds("ann", 1)
		require.Equal(t, []int{1}, a.pending())
	}},
	{"of two refused rows with one lead the first is sent", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob", "cid", "ann")
		w.deliver(importer.Rejected, "bad", 1)
		w.deliver(importer.Rejected, "bad", 4)
		w.retry(importer.Rejected)
		w.is(importer.Counts{count(importer.Pending, ""): 3, count(importer.Duplicate, importer.ReasonAlreadyLoaded): 1})
		w.holds("ann", 1)
	}},
	{"a claim that has outlived the window is taken over", func(t *testing.T, l importer.Ledger) {
		a, b := begin(t, l, "acme", "a"), begin(t, l, "bravo", "b")
		a.record("ann")
		a.deliver(importer.Rejected, "bad", 1)
		b.record("ann")
		b.deliver(importer.Succeeded, importer.ReasonAdded, 1)
		require.Eventually(t, func() bool { return len(claimed(t, l, expired, "ann")) == 0 }, soon, often)
		last, err := l.Retry(t.Context(), a.d, a.holder, importer.Retried{States: ended}, 0, 10, expired)
		require.NoError(t, err)
		require.Equal(t, 1, last)
		a.holds("ann", 1)
		require.Equal(t, []int{1}, a.pending())
	}},
	{"a row in review is asked about first: the same attempt, its claim kept", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "ann")
		w.review(1)
		w.close(importer.DropDone)
		w.lease(hour)
		w.retry(importer.Review)
		w.is(importer.Counts{count(importer.Unknown, ""): 1, count(importer.Duplicate, importer.ReasonAlreadyLoaded): 1})
		w.holds("ann", 1)
		it := w.open()[0]
		require.Equal(t, 1, it.Attempt)
		require.Equal(t, 1, it.Lost)
		require.Empty(t, w.arm(1, 1))
		w.move(1, importer.Unknown, importer.Succeeded, importer.ReasonReconciled)
		require.Equal(t, importer.DropDone, w.close(importer.DropDone))
	}},
	{"a row that was given up may be tried as often again, and remembers that an answer was lost", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob")
		for attempt := range 5 {
			require.Equal(t, []int{1}, w.arm(attempt, 1))
			lose := importer.Settlement{Record: 1, Attempt: attempt + 1, From: importer.Armed, To: importer.Unknown, Lost: true}
			require.Empty(t, w.settle(lose))
			to := importer.Pending
			if attempt == 4 {
				to = importer.Failed
			}
			require.Empty(t, w.settle(importer.Settlement{Record: 1, Attempt: attempt + 1, From: importer.Unknown, To: to}))
		}
		w.deliver(importer.Rejected, "bad", 2)
		w.retry(ended...)
		open := w.open()
		require.Equal(t, []int{5, 1}, []int{open[0].Attempt, open[1].Attempt})
		require.Equal(t, []int{1, 0}, []int{open[0].Lost, open[1].Lost})
		require.ElementsMatch(t, []int{1}, w.arm(5, 1))
	}},
	{"only rows in the chosen states move, page by page", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("a", "b", "c", "d", "e", "f", "g")
		w.deliver(importer.Rejected, "bad", 1, 3, 5)
		w.deliver(importer.Failed, importer.ReasonAttemptsExhausted, 2)
		w.deliver(importer.Succeeded, importer.ReasonAdded, 4)
		w.review(6)
		w.arm(0, 7)
		last, err := l.Retry(t.Context(), w.d, w.holder, importer.Retried{States: []importer.State{importer.Rejected}}, 1, 1, 0)
		require.NoError(t, err)
		require.Equal(t, 3, last)
		w.retry(importer.Rejected)
		w.is(importer.Counts{
			count(importer.Pending, ""): 3, count(importer.Failed, importer.ReasonAttemptsExhausted): 1,
			count(importer.Succeeded, importer.ReasonAdded): 1, count(importer.Review, importer.ReasonUnproven): 1, count(importer.Armed, ""): 1,
		})
		for range 2 { // again, as after a commit whose answer was lost
			w.retry(ended...)
			w.is(importer.Counts{
				count(importer.Pending, ""): 4, count(importer.Unknown, ""): 1,
				count(importer.Succeeded, importer.ReasonAdded): 1, count(importer.Armed, ""): 1,
			})
		}
	}},
	{"only rows with the chosen reason move", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("a", "b", "c", "d")
		w.deliver(importer.Rejected, "bad", 1, 3)
		w.deliver(importer.Rejected, "worse", 2)
		w.review(4)
		for _, reason := range []importer.Reason{"bad", "bad", "unheard"} {
			_, err := l.Retry(t.Context(), w.d, w.holder, importer.Retried{States: ended, Reason: reason}, 0, 10, 0)
			require.NoError(t, err)
			w.is(importer.Counts{
				count(importer.Pending, ""): 2, count(importer.Rejected, "worse"): 1, count(importer.Review, importer.ReasonUnproven): 1,
			})
		}
		last, err := l.Retry(t.Context(), w.d, w.holder, importer.Retried{States: []importer.State{importer.Rejected}, Reason: importer.ReasonUnproven}, 0, 10, 0)
		require.NoError(t, err)
		require.Zero(t, last, "the state counts as well")
		last, err = l.Retry(t.Context(), w.d, w.holder, importer.Retried{States: ended, Reason: importer.ReasonUnproven}, 0, 10, 0)
		require.NoError(t, err)
		require.Equal(t, 4, last)
	}},
	{"no row moves that is at the dialer, on its way, or no lead", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		bad := newRow(6, "")
		bad.Refusal = &lead.Refusal{Reason: "bad"}
		w.batch(0, append(newRows(1, "a", "b", "c", "d", "a"), bad), true, 0)
		w.deliver(importer.Succeeded, importer.ReasonAdded, 1)
		w.deliver(importer.Duplicate, importer.ReasonDialerDuplicate, 2)
		w.deliver(importer.Unknown, "timeout", 3)
		w.arm(0, 4)
		before := w.tally()
		w.retry(allStates...)
		w.is(before)
	}},
	{"only who holds the drop retries its rows", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		w.deliver(importer.Rejected, "bad", 1)
		other := w.another()
		for _, from := range [][]importer.State{ended, {importer.Review}} {
			_, err := l.Retry(t.Context(), w.d, other.holder, importer.Retried{States: from}, 0, 10, 0)
			require.ErrorIs(t, err, importer.ErrLeaseLost)
		}
		w.is(importer.Counts{count(importer.Rejected, "bad"): 1})
		require.Empty(t, claimed(t, l, 0, "ann"))
	}},
}
