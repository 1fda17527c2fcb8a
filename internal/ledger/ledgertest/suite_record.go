package ledgertest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
)

var recordPromises = []promise{
	{"rows are recorded with what their delivery needs", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		require.Equal(t, []importer.State{importer.Pending, importer.Pending}, w.record("ann", "bob"))
		open := w.open()
		require.Len(t, open, 2)
		require.Equal(t, importer.Item{Record: 1, State: importer.Pending, Lead: newRow(1, "ann").Lead}, open[0])
		require.Equal(t, importer.Item{Record: 2, State: importer.Pending, Lead: newRow(2, "bob").Lead}, open[1])
	}},
	{"a refused row is invalid, says why and claims nothing", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		bad := newRow(1, "ann")
		bad.Refusal = &lead.Refusal{Reason: "phone_invalid", Detail: "too short"}
		states := w.batch(0, []importer.NewRow{bad, newRow(2, "ann")}, true, 0)
		require.Equal(t, []importer.State{importer.Invalid, importer.Pending}, states)
		w.holds("ann", 2)
		w.is(importer.Counts{count(importer.Invalid, "phone_invalid"): 1, count(importer.Pending, ""): 1})
	}},
	{"the zero key claims nothing", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		require.Equal(t, []importer.State{importer.Pending, importer.Pending}, w.record("", ""))
		require.Empty(t, claimed(t, l, 0, ""))
		w.deliver(importer.Rejected, "bad", 1)
		w.is(importer.Counts{count(importer.Rejected, "bad"): 1, count(importer.Pending, ""): 1})
	}},
	{"batches follow one another until the file ends", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.batch(0, newRows(1, "ann", "bob"), false, 0)
		w.lease(hour)
		require.Equal(t, importer.DropImporting, w.d.State)
		require.Equal(t, 2, w.d.Recorded)
		require.False(t, w.d.Complete)
		w.batch(2, newRows(3, "cid"), false, 0)
		w.batch(3, nil, true, 0)
		w.lease(hour)
		require.Equal(t, 3, w.d.Recorded)
		require.True(t, w.d.Complete)
	}},
	{"an empty file is complete without rows", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.batch(0, nil, true, 0)
		w.batch(0, nil, true, 0)
		w.lease(hour)
		require.True(t, w.d.Complete)
		require.Equal(t, importer.DropDone, w.close(importer.DropDone))
	}},
	{"the first batch brings the header, the others leave it", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.d.Header, w.d.Fields = []string{"Name", "Phone"}, []string{"", "phone_number"}
		w.batch(0, newRows(1, "ann"), false, 0)
		w.d.Header, w.d.Fields = []string{"Other"}, []string{"comments"}
		w.batch(1, newRows(2, "bob"), true, 0)
		w.lease(hour)
		require.Equal(t, []string{"Name", "Phone"}, w.d.Header)
		require.Equal(t, []string{"", "phone_number"}, w.d.Fields)
	}},
	{"the lines without a record are listed as last told", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		for i, outside := range []importer.Outside{
			{},
			{Count: 2, ByKind: map[string]int{"blank": 1, "note": 1}, First: []importer.OutsideLine{{Line: 7, Kind: "blank"}, {Line: 9, Kind: "note", Text: "é\x00\u2028<\""}}},
		} {
			w.d.Outside = outside
			w.batch(i, newRows(i+1, "ann"), i == 1, 0)
			again, err := l.OpenDrop(t.Context(), newDrop("acme", "a"))
			require.NoError(t, err)
			require.Equal(t, outside, again.Outside)
		}
	}},
	{"a batch that does not follow the last one is refused", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.batch(0, newRows(1, "ann", "bob"), false, 0)
		for _, first := range []int{0, 1, 3} {
			_, err := l.Record(t.Context(), w.d, w.run, w.holder, first, newRows(first+1, "cid", "dan", "eve"), false, 0)
			require.ErrorIs(t, err, importer.ErrLeaseLost, "first %d", first)
		}
		w.batch(2, newRows(3, "cid"), true, 0)
		_, err := l.Record(t.Context(), w.d, w.run, w.holder, 3, newRows(4, "dan"), true, 0)
		require.ErrorIs(t, err, importer.ErrLeaseLost, "the file has ended")
		w.is(importer.Counts{count(importer.Pending, ""): 3})
		require.Empty(t, claimed(t, l, 0, "dan"))
	}},
	{"only the holder of the lease records", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		other := w.another()
		_, err := l.Record(t.Context(), other.d, other.run, other.holder, 0, newRows(1, "ann"), true, 0)
		require.ErrorIs(t, err, importer.ErrLeaseLost)
		w.close(importer.DropImporting)
		_, err = l.Record(t.Context(), w.d, w.run, w.holder, 0, newRows(1, "ann"), true, 0)
		require.ErrorIs(t, err, importer.ErrLeaseLost)
		require.Empty(t, claimed(t, l, 0, "ann"))
	}},
	{"the same batch recorded again gives the same answer", func(t *testing.T, l importer.Ledger) {
		begin(t, l, "acme", "earlier").record("bob")
		w := begin(t, l, "acme", "a")
		rows := newRows(1, "ann", "bob", "ann")
		rows[0].Changes = []lead.Change{{Field: "first_name", From: " ann", To: "ann", Why: "trimmed"}}
		want := w.batch(0, rows, true, 0)
		require.Equal(t, []importer.State{importer.Pending, importer.Duplicate, importer.Duplicate}, want)
		require.Equal(t, want, w.batch(0, rows, true, 0))
		w.lease(hour)
		require.Equal(t, 3, w.d.Recorded)
		require.Equal(t, 3, w.tally().Rows())
		w.holds("ann", 1)
	}},
	{"a batch in the middle recorded again gives the same answer", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.batch(0, newRows(1, "ann", "bob"), false, 0)
		want := w.batch(2, newRows(3, "bob", "cid"), false, 0)
		require.Equal(t, []importer.State{importer.Duplicate, importer.Pending}, want)
		require.Equal(t, want, w.batch(2, newRows(3, "bob", "cid"), false, 0))
		require.Equal(t, []importer.State{importer.Pending}, w.batch(4, newRows(5, "dan"), true, 0))
		require.Equal(t, 5, w.tally().Rows())
	}},
	{"texts that no database can hold are recorded all the same", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a\x00\xff")
		w.d.Header = []string{"Na\x00me", "\xff\xfe"}
		row := newRow(1, "ann")
		row.Cells = []string{"A\x00nn", "\xc3\x28", "ü", ""}
		row.Changes = []lead.Change{{Field: "first_name", From: "A\x00nn\xff", To: "Ann", Why: "control characters"}}
		refused := newRow(2, "")
		refused.Cells, refused.Lead = nil, lead.Lead{FirstName: "\x00\xff"}
		refused.Refusal = &lead.Refusal{Reason: "unreadable", Detail: "not \x00 text \xff"}
		require.Equal(t, []importer.State{importer.Pending, importer.Invalid}, w.batch(0, []importer.NewRow{row, refused}, true, 0))
		require.Equal(t, row.Lead, w.open()[0].Lead)
	}},
}

var claimPromises = []promise{
	{"of two equal leads in a batch the first is loaded", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		states := w.record("ann", "bob", "ann", "ann")
		require.Equal(t, []importer.State{importer.Pending, importer.Pending, importer.Duplicate, importer.Duplicate}, states)
		w.holds("ann", 1)
		w.is(importer.Counts{count(importer.Pending, ""): 2, count(importer.Duplicate, importer.ReasonAlreadyLoaded): 2})
	}},
	{"of two equal leads in two batches the first is loaded", func(t *testing.T, l importer.Ledger) {
		w := begin(t, l, "acme", "a")
		w.batch(0, newRows(1, "ann"), false, 0)
		require.Equal(t, []importer.State{importer.Duplicate}, w.batch(1, newRows(2, "ann"), true, 0))
		w.holds("ann", 1)
	}},
	{"of two equal leads in two drops the first is loaded", func(t *testing.T, l importer.Ledger) {
		a, b := begin(t, l, "acme", "a"), begin(t, l, "bravo", "b")
		a.record("ann")
		require.Equal(t, []importer.State{importer.Duplicate, importer.Pending}, b.record("ann", "bob"))
		a.holds("ann", 1)
		b.holds("bob", 2)
	}},
	{"a loaded lead stays a duplicate for ever without a window", func(t *testing.T, l importer.Ledger) {
		a := begin(t, l, "acme", "a")
		a.record("ann")
		a.deliver(importer.Succeeded, importer.ReasonAdded, 1)
		require.Equal(t, importer.DropDone, a.close(importer.DropDone))
		b := begin(t, l, "acme", "b")
		require.Equal(t, []importer.State{importer.Duplicate}, b.record("ann"))
		a.holds("ann", 1)
	}},
	{"a claim within its window is respected", func(t *testing.T, l importer.Ledger) {
		begin(t, l, "acme", "a").record("ann")
		b := begin(t, l, "acme", "b")
		require.Equal(t, []importer.State{importer.Duplicate}, b.batch(0, newRows(1, "ann"), true, hour))
	}},
	{"a claim older than the window is taken over, once", func(t *testing.T, l importer.Ledger) {
		a := begin(t, l, "acme", "a")
		a.record("ann", "bob")
		a.deliver(importer.Succeeded, importer.ReasonAdded, 1, 2)
		require.Eventually(t, func() bool { return len(claimed(t, l, expired, "ann", "bob")) == 0 }, soon, often)
		b := begin(t, l, "acme", "b")
		states := b.batch(0, newRows(1, "cid", "ann", "ann"), true, expired)
		require.Equal(t, []importer.State{importer.Pending, importer.Pending, importer.Duplicate}, states)
		b.holds("ann", 2)
		c := begin(t, l, "acme", "c")
		require.Equal(t, []importer.State{importer.Duplicate}, c.batch(0, newRows(1, "ann"), true, hour), "its window begins anew")
	}},
	{"a claim of a row that may yet be sent outlasts the window", func(t *testing.T, l importer.Ledger) {
		a := begin(t, l, "acme", "a")
		a.record("ann")
		require.Eventually(t, func() bool { return len(claimed(t, l, expired, "ann")) == 0 }, soon, often)
		b := begin(t, l, "acme", "b")
		require.Equal(t, []importer.State{importer.Duplicate}, b.batch(0, newRows(1, "ann"), true, expired))
		a.deliver(importer.Rejected, "bad", 1)
		b.holds("ann", 1)
	}},
	{"asking who holds a claim claims nothing", func(t *testing.T, l importer.Ledger) {
		a := begin(t, l, "acme", "a")
		a.record("ann")
		held := claimed(t, l, hour, "ann", "bob")
		require.Equal(t, map[importer.ClaimKey]importer.RowRef{key("ann"): {Drop: a.d.ID, Record: 1}}, held)
		require.Empty(t, claimed(t, l, 0, "bob"))
		require.Empty(t, claimed(t, l, 0))
		require.Equal(t, []importer.State{importer.Pending}, begin(t, l, "acme", "b").record("bob"))
	}},
}
