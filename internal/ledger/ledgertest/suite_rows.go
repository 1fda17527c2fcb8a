package ledgertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

var armPromises = []promise{
	{"arming counts an attempt and says when its call has ended", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob", "cid")
		armed, err := l.Arm(t.Context(), w.d, w.run, w.holder, []importer.Item{{Record: 3}, {Record: 1}}, 20*time.Minute, hour)
		require.NoError(t, err)
		require.ElementsMatch(t, []int{1, 3}, armed)
		open := w.open()
		require.Equal(t, []importer.State{importer.Armed, importer.Pending, importer.Armed}, []importer.State{open[0].State, open[1].State, open[2].State})
		require.Equal(t, []int{1, 0, 1}, []int{open[0].Attempt, open[1].Attempt, open[2].Attempt})
		require.InDelta(t, 80*time.Minute, open[0].AnswerIn, float64(10*time.Minute))
		require.Zero(t, open[1].AnswerIn)
	}},
	{"the same arming again is safe and gives the same answer", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob")
		require.ElementsMatch(t, []int{1, 2}, w.arm(0, 1, 2))
		require.ElementsMatch(t, []int{1, 2}, w.arm(0, 1, 2))
		require.Equal(t, 1, w.open()[0].Attempt)
	}},
	{"a row that somebody else has armed is not armed", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob")
		require.Equal(t, []int{1}, w.arm(0, 1))
		w.close(importer.DropImporting)
		other := w.another()
		other.lease(hour)
		require.Equal(t, []int{2}, other.arm(0, 1, 2))
		require.Equal(t, 1, other.open()[0].Attempt)
	}},
	{"only who holds the drop arms its rows", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		other := w.another()
		items := []importer.Item{{Record: 1, State: importer.Pending}}
		_, err := l.Arm(t.Context(), w.d, other.run, other.holder, items, 0, hour)
		require.ErrorIs(t, err, importer.ErrLeaseLost)
		require.Equal(t, []int{1}, w.arm(0, 1))
	}},
	{"only pending rows of that attempt are armed", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "ann", "bob", "cid", "dan", "eve")
		w.deliver(importer.Succeeded, importer.ReasonAdded, 1)
		w.deliver(importer.Rejected, "bad", 3)
		w.deliver(importer.Unknown, "timeout", 4)
		w.deliver(importer.Pending, "", 5)
		for _, attempt := range []int{0, 2} {
			require.Empty(t, w.arm(attempt, 1, 2, 3, 4, 5), "attempt %d", attempt)
		}
		require.Empty(t, w.arm(1, 1, 2, 3, 4, 6))
		require.Equal(t, []int{5}, w.arm(1, 5))
		require.Equal(t, []int{6}, w.arm(0, 6))
	}},
	{"a retry is a new attempt", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		for attempt := range 4 {
			require.Equal(t, []int{1}, w.arm(attempt, 1))
			require.Equal(t, []int{1}, w.arm(attempt, 1))
			require.Equal(t, attempt+1, w.open()[0].Attempt)
			require.Empty(t, w.settle(importer.Settlement{Record: 1, Attempt: attempt + 1, From: importer.Armed, To: importer.Pending, Reason: "busy"}))
		}
		w.is(importer.Counts{count(importer.Pending, "busy"): 1})
	}},
	{"an arming again does not bring back a settled attempt", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob")
		w.deliver(importer.Succeeded, importer.ReasonAdded, 1)
		w.deliver(importer.Pending, "", 2)
		require.Empty(t, w.arm(0, 1, 2))
	}},
}

var rowPromises = []promise{
	{"open rows come in pages, in the order of the file", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("a", "b", "a", "c", "d", "e", "f")
		w.deliver(importer.Succeeded, importer.ReasonAdded, 2)
		w.deliver(importer.Unknown, "timeout", 4)
		w.arm(0, 5)
		var records []int
		for after := 0; ; {
			page, err := l.Open(t.Context(), w.d, after, 2)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			require.LessOrEqual(t, len(page), 2)
			for _, it := range page {
				records = append(records, it.Record)
			}
			after = page[len(page)-1].Record
		}
		require.Equal(t, []int{1, 4, 5, 6, 7}, records)
	}},
	{"an unknown row tells its attempts, its losses and when its call has ended", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		w.armFor(expired, 0, 1)
		require.Empty(t, w.settle(importer.Settlement{Record: 1, Attempt: 1, From: importer.Armed, To: importer.Unknown, Lost: true}))
		it := w.open()[0]
		require.Equal(t, importer.Unknown, it.State)
		require.Equal(t, 1, it.Attempt)
		require.Equal(t, 1, it.Lost)
		require.Eventually(t, func() bool { return w.open()[0].AnswerIn < 0 }, soon, often)
	}},
	{"of our leads in a list each drop's first comes, the newest drop's before others", func(t *testing.T, l importer.Ledger) {
		elsewhere := newDrop("acme", "elsewhere")
		elsewhere.Dialer = "other"
		a, b := begin(t, l, "acme", "a"), begin(t, l, "bravo", "b")
		o := &work{t: t, l: l}
		o.start("acme")
		var err error
		o.d, err = l.OpenDrop(t.Context(), elsewhere)
		require.NoError(t, err)
		o.lease(hour)
		rows := newRows(1, "ann", "bob", "cid", "dan")
		rows[1].Lead.ListID = "102"
		a.batch(0, rows, true, 0)
		b.record("eve", "fay")
		o.record("gus")
		for i, w := range []*work{a, a, a, b, o} {
			r := []int{1, 2, 3, 2, 1}[i]
			require.Equal(t, []int{r}, w.arm(0, r))
			require.Empty(t, w.settle(importer.Settlement{Record: r, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded, LeadID: int64(100 + i)}))
		}
		own, err := l.Ours(t.Context(), "main", "101", 10)
		require.NoError(t, err)
		require.Equal(t, []importer.OwnLead{
			{Drop: b.d.ID, SHA256: b.d.SHA256, Feed: "bravo", Record: 2, LeadID: 103, Phone: "3055550102", ListID: "101", Attempt: 1},
			{Drop: a.d.ID, SHA256: a.d.SHA256, Feed: "acme", Record: 1, LeadID: 100, Phone: "3055550101", ListID: "101", Attempt: 1},
		}, own)
		one, err := l.Ours(t.Context(), "main", "101", 1)
		require.NoError(t, err)
		require.Equal(t, own[:1], one)
		everywhere, err := l.Ours(t.Context(), "main", "", 10)
		require.NoError(t, err)
		require.Equal(t, own, everywhere)
		none, err := l.Ours(t.Context(), "main", "999", 10)
		require.NoError(t, err)
		require.Empty(t, none)
	}},
	{"doubtful rows ended after an answer was lost", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann", "bob", "cid", "dan", "eve", "fay")
		w.arm(0, 1, 2, 3, 4, 5, 6)
		for _, r := range []int{1, 2, 3, 5, 6} {
			require.Empty(t, w.settle(importer.Settlement{Record: r, Attempt: 1, From: importer.Armed, To: importer.Unknown, Reason: "timeout", Lost: true}))
		}
		for _, r := range []int{1, 3} {
			require.Empty(t, w.settle(importer.Settlement{Record: r, Attempt: 1, From: importer.Unknown, To: importer.Succeeded, Reason: importer.ReasonReconciled, LeadID: int64(r)}))
		}
		w.move(4, importer.Armed, importer.Succeeded, importer.ReasonAdded)
		w.move(5, importer.Unknown, importer.Failed, importer.ReasonAttemptsExhausted)
		w.move(6, importer.Unknown, importer.Review, importer.ReasonUnproven)
		page, err := l.Doubtful(t.Context(), w.d, 0, 1)
		require.NoError(t, err)
		require.Equal(t, []importer.OwnLead{{Drop: w.d.ID, SHA256: w.d.SHA256, Feed: "acme", Record: 1, LeadID: 1, Phone: "3055550101", ListID: "101", Attempt: 1}}, page)
		page, err = l.Doubtful(t.Context(), w.d, 1, 10)
		require.NoError(t, err)
		require.Len(t, page, 2)
		require.Equal(t, 3, page[0].Record)
		require.Equal(t, 5, page[1].Record)
		require.Zero(t, page[1].LeadID)
	}},
	{"a note does not move its row", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		w.deliver(importer.Succeeded, importer.ReasonAdded, 1)
		require.NoError(t, l.NoteRow(t.Context(), w.d, 1, "twice \x00\xff"))
		require.NoError(t, l.NoteRow(t.Context(), w.d, 1, "twice \x00\xff"))
		w.is(importer.Counts{count(importer.Succeeded, importer.ReasonAdded): 1})
	}},
}
