package ledgertest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
)

var allStates = []importer.State{
	importer.Pending, importer.Armed, importer.Unknown, importer.Succeeded, importer.Rejected,
	importer.Failed, importer.Duplicate, importer.Invalid, importer.Review,
}

// mayMove is the table of a row's ways: where a settlement may take a row that
// stands in state, when it was meant for a row in from, by the holder that
// armed it (mine) or by another.
func mayMove(state, from, to importer.State, mine bool) bool {
	var ways []importer.State
	switch {
	case state == importer.Armed && from == importer.Armed && mine:
		ways = []importer.State{importer.Succeeded, importer.Rejected, importer.Failed, importer.Duplicate, importer.Unknown, importer.Pending}
	case state == importer.Unknown && from == importer.Unknown:
		ways = []importer.State{importer.Succeeded, importer.Rejected, importer.Failed, importer.Duplicate, importer.Review, importer.Pending}
	case state == importer.Unknown && from == importer.Armed && mine: // a late answer
		ways = []importer.State{importer.Succeeded, importer.Rejected, importer.Duplicate}
	}
	return slices.Contains(ways, to)
}

// bring takes a row that was recorded as pending to a state by its first
// attempt, and returns its attempt then.
func (w *work) bring(record int, to importer.State) int {
	w.t.Helper()
	if to == importer.Duplicate || to == importer.Invalid {
		return 0 // recorded so
	}
	require.Equal(w.t, []int{record}, w.arm(0, record))
	switch to {
	case importer.Armed:
	case importer.Review:
		w.move(record, importer.Armed, importer.Unknown, "timeout")
		w.move(record, importer.Unknown, importer.Review, importer.ReasonUnproven)
	default:
		w.move(record, importer.Armed, to, "brought")
	}
	return 1
}

var settlePromises = []promise{
	{"a row takes the ways that it may take and no other", func(t *testing.T, l importer.Ledger) {
		type way struct {
			state, from, to importer.State
			mine            bool
		}
		var ways []way
		var rows []importer.NewRow
		for _, state := range allStates {
			for _, from := range []importer.State{importer.Armed, importer.Unknown} {
				for _, to := range allStates {
					for _, mine := range []bool{true, false} {
						ways = append(ways, way{state, from, to, mine})
						row := newRow(len(ways)+1, fmt.Sprint(len(ways)))
						if state == importer.Duplicate {
							row.Claim = key("held")
						}
						if state == importer.Invalid {
							row.Refusal = &lead.Refusal{Reason: "bad"}
						}
						rows = append(rows, row)
					}
				}
			}
		}
		w := begin(t, l, "acme", "a")
		w.batch(0, append(newRows(1, "held"), rows...), true, 0)
		other := w.another()
		for i, way := range ways {
			record, by := i+2, w
			if !way.mine {
				by = other
			}
			s := importer.Settlement{Record: record, Attempt: w.bring(record, way.state), From: way.from, To: way.to, Reason: importer.Reason(fmt.Sprint(i))}
			missed := by.settle(s)
			switch {
			case mayMove(way.state, way.from, way.to, way.mine), way.state == way.to: // moved, or made before
				require.Empty(t, missed, "%+v", way)
			default:
				require.Equal(t, []int{record}, missed, "%+v", way)
			}
		}
		counts := w.tally()
		for i, way := range ways {
			moved := 0
			for sr, n := range counts {
				if sr.Reason == importer.Reason(fmt.Sprint(i)) {
					require.Equal(t, way.to, sr.State, "%+v", way)
					moved += n
				}
			}
			require.Equal(t, mayMove(way.state, way.from, way.to, way.mine), moved == 1, "%+v", way)
		}
	}},
	{"a settlement of another attempt is not applied", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		w.deliver(importer.Pending, "busy", 1)
		w.arm(1, 1)
		for _, attempt := range []int{0, 1, 3} {
			require.Equal(t, []int{1}, w.settle(importer.Settlement{Record: 1, Attempt: attempt, From: importer.Armed, To: importer.Succeeded}), "attempt %d", attempt)
		}
		require.Equal(t, importer.Armed, w.open()[0].State)
	}},
	{"settlements that can be applied are, the others are named", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("a", "b", "c", "d")
		w.arm(0, 1, 2, 3)
		w.move(2, importer.Armed, importer.Succeeded, importer.ReasonAdded)
		missed := w.settle(
			importer.Settlement{Record: 4, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded},
			importer.Settlement{Record: 3, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded},
			importer.Settlement{Record: 2, Attempt: 1, From: importer.Armed, To: importer.Rejected, Reason: "bad"},
			importer.Settlement{Record: 1, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded},
		)
		require.ElementsMatch(t, []int{2, 4}, missed)
		w.is(importer.Counts{count(importer.Succeeded, importer.ReasonAdded): 3, count(importer.Pending, ""): 1})
	}},
	{"the same settlements again are harmless", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("a", "b", "c", "d", "e", "b")
		w.arm(0, 1, 2, 3, 4)
		group := []importer.Settlement{
			{Record: 1, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded, LeadID: 7},
			{Record: 2, Attempt: 1, From: importer.Armed, To: importer.Rejected, Reason: "bad"},
			{Record: 3, Attempt: 1, From: importer.Armed, To: importer.Unknown, Reason: "timeout", Lost: true},
			{Record: 4, Attempt: 1, From: importer.Armed, To: importer.Pending},
			{Record: 5, Attempt: 1, From: importer.Armed, To: importer.Succeeded},
		}
		for range 3 {
			require.Equal(t, []int{5}, w.settle(group...))
		}
		require.Equal(t, 1, w.open()[0].Lost)
		w.is(importer.Counts{
			count(importer.Succeeded, importer.ReasonAdded): 1, count(importer.Rejected, "bad"): 1,
			count(importer.Unknown, "timeout"): 1, count(importer.Pending, ""): 3,
		})
	}},
	{"a settlement of no rows is no settlement", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("a")
		require.Empty(t, w.settle())
	}},
	{"an answer is lost for another only after its call has ended", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob")
		w.arm(0, 1)
		w.armFor(expired, 0, 2)
		other := w.another()
		lose := func(record int) importer.Settlement {
			return importer.Settlement{Record: record, Attempt: 1, From: importer.Armed, To: importer.Unknown, Reason: "timeout", Lost: true}
		}
		require.Equal(t, []int{1}, other.settle(lose(1)))
		require.Eventually(t, func() bool { return len(other.settle(lose(2))) == 0 }, soon, often)
		require.Empty(t, w.settle(lose(1)))
		w.is(importer.Counts{count(importer.Unknown, "timeout"): 2})
	}},
	{"a late answer of the same attempt decides what was unknown", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob", "cid", "bob")
		w.armFor(expired, 0, 1, 2, 3)
		other := w.another()
		for r := 1; r <= 3; r++ {
			lose := importer.Settlement{Record: r, Attempt: 1, From: importer.Armed, To: importer.Unknown, Lost: true}
			require.Eventually(t, func() bool { return len(other.settle(lose)) == 0 }, soon, often)
		}
		require.Empty(t, w.settle(
			importer.Settlement{Record: 1, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded, LeadID: 7},
			importer.Settlement{Record: 2, Attempt: 1, From: importer.Armed, To: importer.Rejected, Reason: "bad"},
		))
		w.is(importer.Counts{
			count(importer.Succeeded, importer.ReasonAdded): 1, count(importer.Rejected, "bad"): 1,
			count(importer.Unknown, ""): 1, count(importer.Pending, ""): 1,
		})
		w.holds("bob", 4)
		require.Empty(t, other.settle(importer.Settlement{Record: 3, Attempt: 1, From: importer.Unknown, To: importer.Pending}))
		require.Equal(t, []int{3}, w.settle(importer.Settlement{Record: 3, Attempt: 1, From: importer.Armed, To: importer.Succeeded}), "it may be on its way again")
	}},
}

var releasePromises = []promise{
	{"a claim without duplicates is free after its row was refused", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob")
		w.deliver(importer.Rejected, "bad", 1)
		w.deliver(importer.Failed, importer.ReasonAttemptsExhausted, 2)
		require.Empty(t, claimed(t, l, 0, "ann", "bob"))
		require.Equal(t, []importer.State{importer.Pending, importer.Pending}, begin(t, l, "acme", "b").record("bob", "ann"))
	}},
	{"a claim stays with whatever is or may be at the dialer", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("a", "b", "c", "d", "e", "a", "b", "c", "d", "e")
		w.deliver(importer.Succeeded, importer.ReasonAdded, 1)
		w.deliver(importer.Duplicate, importer.ReasonDialerDuplicate, 2)
		w.deliver(importer.Unknown, "timeout", 3, 4)
		w.move(4, importer.Unknown, importer.Review, importer.ReasonUnproven)
		w.deliver(importer.Pending, "busy", 5)
		for i, name := range []string{"a", "b", "c", "d", "e"} {
			w.holds(name, i+1)
		}
		require.Equal(t, 5, w.tally()[count(importer.Duplicate, importer.ReasonAlreadyLoaded)])
	}},
	{"a claim goes to the oldest duplicate, one after the other", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob", "ann", "ann")
		w.deliver(importer.Rejected, "bad", 1)
		w.holds("ann", 3)
		require.Equal(t, []int{2, 3}, w.pending())
		w.deliver(importer.Failed, importer.ReasonAttemptsExhausted, 3)
		w.holds("ann", 4)
		require.Equal(t, []int{2, 4}, w.pending())
		w.deliver(importer.Rejected, "bad", 4)
		require.Empty(t, claimed(t, l, 0, "ann"))
		w.is(importer.Counts{
			count(importer.Rejected, "bad"): 2, count(importer.Failed, importer.ReasonAttemptsExhausted): 1, count(importer.Pending, ""): 1,
		})
	}},
	{"one group hands over many claims", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("a", "b", "c", "d", "d", "c", "b")
		w.arm(0, 1, 2, 3, 4)
		var group []importer.Settlement
		for r := 4; r > 0; r-- {
			group = append(group, importer.Settlement{Record: r, Attempt: 1, From: importer.Armed, To: importer.Rejected, Reason: "bad"})
		}
		require.Empty(t, w.settle(group...))
		require.Equal(t, []int{5, 6, 7}, w.pending())
		require.Empty(t, claimed(t, l, 0, "a"))
		w.holds("b", 7)
		w.holds("d", 5)
	}},
	{"of duplicates in two drops the older drop's inherits, and the drop is taken up again", func(t *testing.T, l importer.Ledger) {
		a := begin(t, l, "acme", "a")
		b, c := begin(t, l, "bravo", "b"), begin(t, l, "bravo", "c")
		a.record("ann")
		c.record("ann", "cid")
		b.record("ann")
		require.Equal(t, importer.DropDone, b.close(importer.DropDone))
		a.deliver(importer.Rejected, "bad", 1)
		b.holds("ann", 1)
		unfinished, err := l.Unfinished(t.Context(), "bravo")
		require.NoError(t, err)
		require.Equal(t, []int64{b.d.ID, c.d.ID}, []int64{unfinished[0].ID, unfinished[1].ID})
		require.True(t, unfinished[0].Finished.IsZero())
		require.Equal(t, []int{1}, b.pending())
		require.Equal(t, []int{2}, c.pending())

		again := b.another()
		again.lease(hour)
		again.deliver(importer.Succeeded, importer.ReasonAdded, 1)
		require.Equal(t, importer.DropDone, again.close(importer.DropDone))
	}},
	{"the dialer's own duplicate inherits nothing", func(t *testing.T, l importer.Ledger) {
		a, b := begin(t, l, "acme", "a"), begin(t, l, "bravo", "b")
		a.record("ann")
		a.deliver(importer.Duplicate, importer.ReasonDialerDuplicate, 1)
		require.Eventually(t, func() bool { return len(claimed(t, l, expired, "ann")) == 0 }, soon, often)
		b.batch(0, newRows(1, "ann"), true, expired)
		b.deliver(importer.Rejected, "bad", 1)
		a.is(importer.Counts{count(importer.Duplicate, importer.ReasonDialerDuplicate): 1})
		require.Empty(t, claimed(t, l, 0, "ann"))
	}},
	{"a duplicate of a lead that is at the dialer inherits nothing", func(t *testing.T, l importer.Ledger) {
		a, b, c := begin(t, l, "acme", "a"), begin(t, l, "acme", "b"), begin(t, l, "acme", "c")
		a.record("ann")
		a.deliver(importer.Succeeded, importer.ReasonAdded, 1)
		b.record("ann")
		require.Eventually(t, func() bool { return len(claimed(t, l, expired, "ann")) == 0 }, soon, often)
		c.batch(0, newRows(1, "ann"), true, expired)
		c.deliver(importer.Rejected, "bad", 1)
		b.is(importer.Counts{count(importer.Duplicate, importer.ReasonAlreadyLoaded): 1})
		require.Empty(t, claimed(t, l, 0, "ann"))
	}},
	{"a hand-over repeated is made once", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "ann", "ann")
		w.arm(0, 1)
		reject := importer.Settlement{Record: 1, Attempt: 1, From: importer.Armed, To: importer.Rejected, Reason: "bad"}
		require.Empty(t, w.settle(reject))
		require.Empty(t, w.settle(reject))
		require.Equal(t, []int{2}, w.pending())
		w.holds("ann", 2)
	}},
}
