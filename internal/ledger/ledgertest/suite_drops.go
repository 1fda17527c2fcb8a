package ledgertest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
)

var dropPromises = []promise{
	{"a drop that cannot be read on has failed when the rows before have outcomes", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.batch(0, newRows(1, "ann"), false, 0)
		require.Equal(t, importer.DropImporting, w.close(importer.DropFailed))
		w.lease(hour)
		items := w.open()
		require.Len(t, items, 1)
		w.arm(0, 1)
		_, err := l.Settle(t.Context(), w.d, w.run, w.holder, 1, []importer.Settlement{{Record: 1, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded, LeadID: 7}})
		require.NoError(t, err)
		require.Equal(t, importer.DropFailed, w.close(importer.DropFailed))
	}},
	{"a lease is renewed by who has it, and not taken again by renewing", func(t *testing.T, l importer.Ledger) {
		a := begin(t, l, "acme", "a")
		require.NoError(t, l.RenewDrop(t.Context(), a.d.ID, a.holder, hour))
		other := a.another()
		require.ErrorIs(t, l.RenewDrop(t.Context(), a.d.ID, other.holder, hour), importer.ErrLeaseLost)
		a.close(importer.DropImporting)
		require.ErrorIs(t, l.RenewDrop(t.Context(), a.d.ID, a.holder, hour), importer.ErrLeaseLost)
	}},
	{"no two runs have one holder number", func(t *testing.T, l importer.Ledger) {
		runs, holders := map[int64]bool{}, map[int64]bool{}
		for range 5 {
			run, holder, err := l.StartRun(t.Context(), "acme", "import")
			require.NoError(t, err)
			runs[run], holders[holder] = true, true
		}
		require.Len(t, runs, 5)
		require.Len(t, holders, 5)
	}},
	{"a run can be joined and finished, and both again", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		sum := importer.Summary{Run: w.run, Feed: "acme", Drops: []importer.DropSummary{{Drop: w.d, Counts: w.tally()}}, Calls: 1, Alarms: []string{"\x00\xff"}}
		for range 2 {
			require.NoError(t, l.JoinDrop(t.Context(), w.run, w.d, false))
			require.NoError(t, l.FinishRun(t.Context(), w.run, w.holder, sum, errors.New("stopped \x00\xff")))
		}
		require.NoError(t, l.FinishRun(t.Context(), w.run, w.holder, importer.Summary{}, nil))
	}},
	{"a drop is known by feed and hash", func(t *testing.T, l importer.Ledger) {
		d, err := l.OpenDrop(t.Context(), newDrop("acme", "a"))
		require.NoError(t, err)
		require.Equal(t, importer.DropSpooled, d.State)
		require.Equal(t, 1, d.Month.Day())
		require.WithinDuration(t, time.Now(), d.FirstSeen, hour)
		require.True(t, d.Finished.IsZero())
		renamed := newDrop("acme", "a")
		renamed.Name = "other.csv"
		again, err := l.OpenDrop(t.Context(), renamed)
		require.NoError(t, err)
		require.Equal(t, d.ID, again.ID)
		require.Equal(t, "a.csv", again.Name)
		other, err := l.OpenDrop(t.Context(), newDrop("bravo", "a"))
		require.NoError(t, err)
		require.NotEqual(t, d.ID, other.ID)
		leased := begin(t, l, "acme", "a").d
		got := importer.Drop{Feed: leased.Feed, Dialer: leased.Dialer, Name: leased.Name, SHA256: leased.SHA256, Bytes: leased.Bytes, Settings: leased.Settings}
		require.Equal(t, newDrop("acme", "a"), got)
	}},
	{"one holder at a time works on a drop", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.lease(hour)
		other := w.another()
		_, err := l.LeaseDrop(t.Context(), other.d.ID, other.holder, hour)
		var leased *importer.LeasedError
		require.ErrorAs(t, err, &leased)
		require.WithinDuration(t, time.Now().Add(hour), leased.Until, 10*time.Minute)
		w.close(importer.DropImporting)
		other.lease(hour)
		_, err = l.LeaseDrop(t.Context(), w.d.ID, w.holder, hour)
		require.ErrorAs(t, err, &leased)
	}},
	{"an expired lease is taken over and its holder has lost", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.batch(0, newRows(1, "ann"), false, 0)
		w.lease(expired)
		other := w.another()
		require.Eventually(t, func() bool {
			d, err := l.LeaseDrop(t.Context(), other.d.ID, other.holder, hour)
			var leased *importer.LeasedError
			require.True(t, err == nil || errors.As(err, &leased), "%v", err)
			other.d = d
			return err == nil
		}, soon, often)
		require.Equal(t, 1, other.d.Recorded)
		_, err := l.Record(t.Context(), w.d, w.run, w.holder, 1, newRows(2, "bob"), true, 0)
		require.ErrorIs(t, err, importer.ErrLeaseLost)
		_, err = l.ForgetRows(t.Context(), w.d, w.holder, "v2")
		require.ErrorIs(t, err, importer.ErrLeaseLost)
		require.Equal(t, importer.DropImporting, w.close(importer.DropDone))
		var leased *importer.LeasedError
		_, err = l.LeaseDrop(t.Context(), w.d.ID, w.holder, hour)
		require.ErrorAs(t, err, &leased, "closing did not end the other's lease")
		require.Equal(t, []importer.State{importer.Pending}, other.batch(1, newRows(2, "bob"), true, 0))
	}},
	{"a lease that nobody took goes on", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.lease(expired)
		w.batch(0, newRows(1, "ann"), true, 0)
		w.lease(hour)
	}},
	{"a drop is done only when complete and without open rows", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.batch(0, newRows(1, "a", "b", "c", "a"), false, 0)
		w.deliver(importer.Succeeded, importer.ReasonAdded, 1, 2, 3)
		closed := func() importer.DropState {
			s := w.close(importer.DropDone)
			w.lease(hour)
			require.Equal(t, s, w.d.State)
			require.Equal(t, s != importer.DropDone, w.d.Finished.IsZero())
			return s
		}
		require.Equal(t, importer.DropImporting, closed(), "incomplete")
		bad := newRow(8, "")
		bad.Refusal = &lead.Refusal{Reason: "bad"}
		w.batch(4, append(newRows(5, "d", "e", "f"), bad), true, 0)
		require.Equal(t, importer.DropImporting, closed(), "pending")
		w.arm(0, 5, 6, 7)
		require.Equal(t, importer.DropImporting, closed(), "armed")
		w.move(5, importer.Armed, importer.Rejected, "bad")
		w.move(6, importer.Armed, importer.Failed, importer.ReasonAttemptsExhausted)
		w.move(7, importer.Armed, importer.Unknown, "timeout")
		require.Equal(t, importer.DropImporting, closed(), "unknown")
		w.move(7, importer.Unknown, importer.Review, importer.ReasonUnproven)
		require.Equal(t, importer.DropDone, closed())
		finished := w.d.Finished
		require.Equal(t, importer.DropDone, closed())
		require.True(t, finished.Equal(w.d.Finished), "a drop that was done keeps its date")
	}},
	{"the same closing again gives the same answer", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		require.Equal(t, importer.DropImporting, w.close(importer.DropDone))
		require.Equal(t, importer.DropImporting, w.close(importer.DropDone))
		w.lease(hour)
		w.deliver(importer.Succeeded, importer.ReasonAdded, 1)
		require.Equal(t, importer.DropDone, w.close(importer.DropDone))
		require.Equal(t, importer.DropDone, w.close(importer.DropDone))
	}},
	{"a drop of which nothing was recorded is spooled again", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		require.Equal(t, importer.DropSpooled, w.close(importer.DropImporting))
		w.lease(hour)
		require.Equal(t, importer.DropSpooled, w.close(importer.DropDone))
	}},
	{"a held or failed drop says why, until it is recorded", func(t *testing.T, l importer.Ledger) {
		for _, state := range []importer.DropState{importer.DropHeld, importer.DropFailed} {
			w := begin(t, l, "acme", string(state))
			got, err := l.CloseDrop(t.Context(), w.d.ID, w.holder, state, "the header \x00\xff changed")
			require.NoError(t, err)
			require.Equal(t, state, got)
			w.lease(hour)
			require.Equal(t, state, w.d.State)
			require.Contains(t, w.d.Why, "the header")
			w.record("name in " + string(state))
			w.lease(hour)
			require.Equal(t, importer.DropImporting, w.d.State)
			require.Empty(t, w.d.Why)
		}
	}},
	{"unfinished drops are those importing, oldest first", func(t *testing.T, l importer.Ledger) {
		for _, content := range []string{"spooled", "held", "done", "two", "bravo", "one"} {
			feed := "acme"
			if content == "bravo" {
				feed = "bravo"
			}
			w := begin(t, l, feed, content)
			switch content {
			case "spooled":
				w.close(importer.DropImporting)
			case "held":
				w.close(importer.DropHeld)
			case "done":
				w.batch(0, nil, true, 0)
				w.close(importer.DropDone)
			default:
				w.record(content)
			}
		}
		names := func(feed string) (names []string) {
			drops, err := l.Unfinished(t.Context(), feed)
			require.NoError(t, err)
			for _, d := range drops {
				names = append(names, d.Name)
			}
			return names
		}
		require.Equal(t, []string{"two.csv", "one.csv"}, names("acme"))
		require.Equal(t, []string{"two.csv", "bravo.csv", "one.csv"}, names(""))
		require.Empty(t, names("charlie"))
	}},
	{"the drop that was done last is found, first of those with the header, rejects and drops without rows left out", func(t *testing.T, l importer.Ledger) {
		last := func(header ...string) string {
			d, err := l.LastDone(t.Context(), "acme", header)
			require.NoError(t, err)
			return d.Name
		}
		require.Empty(t, last())
		for _, content := range []string{"first", "second", "rejects", "empty", "open", "bravo"} {
			feed := "acme"
			if content == "bravo" {
				feed = content
			}
			w := begin(t, l, feed, content)
			w.d.Header = []string{"Name", "Phone"}
			if content == "first" {
				w.d.Header = []string{"Number"}
			}
			if content == "rejects" {
				w.d.Header = append(w.d.Header, "import_reason")
			}
			if content == "empty" {
				w.batch(0, nil, true, 0)
			} else {
				w.record(content)
			}
			if content != "open" && content != "empty" {
				w.deliver(importer.Succeeded, importer.ReasonAdded, 1)
			}
			w.close(importer.DropDone)
		}
		require.Equal(t, "second.csv", last())
		require.Equal(t, "second.csv", last("Town"))
		require.Equal(t, "second.csv", last("Name", "Phone"))
		require.Equal(t, "first.csv", last("Number"))
	}},
}

var forgetPromises = []promise{
	{"rows that have not reached the dialer are forgotten with their claims", func(t *testing.T, l importer.Ledger) {
		begin(t, l, "acme", "earlier").record("bob")
		w := begin(t, l, "acme", "a")
		bad := newRow(4, "")
		bad.Refusal = &lead.Refusal{Reason: "bad"}
		w.batch(0, append(newRows(1, "ann", "bob", "ann"), bad), true, 0)
		require.Equal(t, []int{1}, w.arm(0, 1))
		w.move(1, importer.Armed, importer.Pending, "")
		for range 2 {
			forgotten, err := l.ForgetRows(t.Context(), w.d, w.holder, "v2")
			require.NoError(t, err)
			require.True(t, forgotten)
		}
		require.Empty(t, claimed(t, l, 0, "ann"))
		require.Len(t, claimed(t, l, 0, "bob"), 1)
		w.is(importer.Counts{})
		w.lease(hour)
		require.Equal(t, 0, w.d.Recorded)
		require.False(t, w.d.Complete)
		require.Equal(t, "v2", w.d.Settings)
		w.d.Settings = "v1" // a stale copy does not bring the old settings back
		require.Equal(t, []importer.State{importer.Pending, importer.Pending}, w.record("cid", "ann"))
		require.Equal(t, []int{1, 2}, w.arm(0, 1, 2))
		w.lease(hour)
		require.Equal(t, "v2", w.d.Settings)
	}},
	{"a drop without rows takes the new settings", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		forgotten, err := l.ForgetRows(t.Context(), w.d, w.holder, "v2")
		require.NoError(t, err)
		require.True(t, forgotten)
		w.lease(hour)
		require.Equal(t, "v2", w.d.Settings)
		require.Equal(t, importer.DropSpooled, w.d.State)
	}},
	{"nothing is forgotten once a row has reached the dialer", func(t *testing.T, l importer.Ledger) {
		for _, state := range []importer.State{importer.Armed, importer.Unknown, importer.Succeeded, importer.Rejected, importer.Failed, importer.Review, importer.Duplicate} {
			w := begin(t, l, "acme", string(state))
			w.record("1 "+string(state), "2 "+string(state))
			if state == importer.Duplicate {
				w.deliver(importer.Duplicate, importer.ReasonDialerDuplicate, 2)
			} else {
				w.bring(2, state)
			}
			before := w.tally()
			forgotten, err := l.ForgetRows(t.Context(), w.d, w.holder, "v2")
			require.NoError(t, err)
			require.False(t, forgotten, state)
			w.is(before)
			w.holds("1 "+string(state), 1)
			w.lease(hour)
			require.Equal(t, "v1", w.d.Settings)
			require.Equal(t, 2, w.d.Recorded)
		}
	}},
	{"nothing is forgotten once an answer was lost", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		w.arm(0, 1)
		require.Empty(t, w.settle(importer.Settlement{Record: 1, Attempt: 1, From: importer.Armed, To: importer.Unknown, Lost: true}))
		w.move(1, importer.Unknown, importer.Pending, "")
		forgotten, err := l.ForgetRows(t.Context(), w.d, w.holder, "v2")
		require.NoError(t, err)
		require.False(t, forgotten)
	}},
	{"nothing is forgotten while another drop rests on a claim", func(t *testing.T, l importer.Ledger) {
		a, b := begin(t, l, "acme", "a"), begin(t, l, "bravo", "b")
		a.record("ann", "bob")
		b.record("cid", "bob")
		forgotten, err := l.ForgetRows(t.Context(), a.d, a.holder, "v2")
		require.NoError(t, err)
		require.False(t, forgotten)
		a.holds("ann", 1)
		forgotten, err = l.ForgetRows(t.Context(), b.d, b.holder, "v2")
		require.NoError(t, err)
		require.True(t, forgotten, "resting on another's claim is no hindrance")
		forgotten, err = l.ForgetRows(t.Context(), a.d, a.holder, "v2")
		require.NoError(t, err)
		require.True(t, forgotten)
	}},
	{"only the holder of the lease forgets", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.record("ann")
		other := w.another()
		_, err := l.ForgetRows(t.Context(), other.d, other.holder, "v2")
		require.ErrorIs(t, err, importer.ErrLeaseLost)
		w.close(importer.DropImporting)
		_, err = l.ForgetRows(t.Context(), w.d, w.holder, "v2")
		require.ErrorIs(t, err, importer.ErrLeaseLost)
		w.is(importer.Counts{count(importer.Pending, ""): 1})
	}},
}
