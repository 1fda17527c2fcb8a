package ledgertest

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
)

// promise is one sentence that every ledger must keep.
type promise struct {
	says  string
	holds func(t *testing.T, l importer.Ledger)
}

// Run holds a ledger to the promises of package importer's ports. open returns
// an empty ledger for the length of a test.
func Run(t *testing.T, open func(t *testing.T) importer.Ledger) {
	t.Helper()
	for _, noun := range []struct {
		name     string
		promises []promise
	}{
		{"record", recordPromises},
		{"claims", claimPromises},
		{"arm", armPromises},
		{"settle", settlePromises},
		{"release", releasePromises},
		{"retry", retryPromises},
		{"drops", dropPromises},
		{"files", filePromises},
		{"forget", forgetPromises},
		{"rows", rowPromises},
		{"slots", slotPromises},
	} {
		t.Run(noun.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range noun.promises {
				t.Run(p.says, func(t *testing.T) {
					t.Parallel()
					p.holds(t, open(t))
				})
			}
		})
	}
}

// Spans of the suite. expired is over by the next call of a real ledger, and
// soon after in memory: what waits for it asks again.
const (
	hour    = time.Hour
	expired = time.Microsecond
	soon    = 30 * time.Second
	often   = time.Millisecond
)

// work is a run's work on one drop.
type work struct {
	t      *testing.T
	l      importer.Ledger
	d      importer.Drop
	run    int64
	holder int64
}

// begin starts a run and leases a drop for it.
func begin(t *testing.T, l importer.Ledger, feed, content string) *work {
	t.Helper()
	w := &work{t: t, l: l}
	w.start(feed)
	var err error
	w.d, err = l.OpenDrop(t.Context(), newDrop(feed, content))
	require.NoError(t, err)
	w.lease(hour)
	return w
}

func (w *work) start(feed string) {
	w.t.Helper()
	var err error
	w.run, w.holder, err = w.l.StartRun(w.t.Context(), feed, "import")
	require.NoError(w.t, err)
}

func newDrop(feed, content string) importer.Drop {
	return importer.Drop{
		Feed: feed, Dialer: "main", Name: content + ".csv", SHA256: sha256.Sum256([]byte(content)),
		Bytes: int64(len(content)), Settings: "v1",
	}
}

func (w *work) lease(ttl time.Duration) {
	w.t.Helper()
	d, err := w.l.LeaseDrop(w.t.Context(), w.d.ID, w.holder, ttl)
	require.NoError(w.t, err)
	w.d = d
}

// another is a later run on the same drop, by another process, without a lease.
func (w *work) another() *work {
	w.t.Helper()
	o := &work{t: w.t, l: w.l, d: w.d}
	o.start(w.d.Feed)
	return o
}

// key is the claim key of a name; the empty name's claims nothing.
func key(name string) (k importer.ClaimKey) {
	if name != "" {
		sum := sha256.Sum256([]byte(name))
		copy(k[:], sum[:])
	}
	return k
}

// newRow is a record whose lead is known by a name.
func newRow(record int, name string) importer.NewRow {
	return importer.NewRow{
		Record: record, Line: record + 1, Cells: []string{name, "305-555-01" + fmt.Sprintf("%02d", record%100)},
		Lead:  lead.Lead{PhoneCode: "1", PhoneNumber: fmt.Sprintf("30555501%02d", record%100), ListID: "101", FirstName: name},
		Claim: key(name),
	}
}

// newRows numbers rows from first on.
func newRows(first int, names ...string) (rows []importer.NewRow) {
	for i, name := range names {
		rows = append(rows, newRow(first+i, name))
	}
	return rows
}

// record records the whole file: one row for each name.
func (w *work) record(names ...string) []importer.State {
	w.t.Helper()
	return w.batch(0, newRows(1, names...), true, 0)
}

// batch records one batch and returns the states of its rows.
func (w *work) batch(first int, rows []importer.NewRow, last bool, window time.Duration) (states []importer.State) {
	w.t.Helper()
	out, err := w.l.Record(w.t.Context(), w.d, w.run, w.holder, first, rows, last, window)
	require.NoError(w.t, err)
	require.Len(w.t, out, len(rows))
	for i, r := range out {
		require.Equal(w.t, rows[i].Record, r.Record)
		require.Equal(w.t, r.State == importer.Pending, r.Reason == "", "record %d is %s for the reason %q", r.Record, r.State, r.Reason)
		states = append(states, r.State)
	}
	return states
}

// arm arms rows that have had the given number of attempts.
func (w *work) arm(attempt int, records ...int) []int {
	w.t.Helper()
	return w.armFor(hour, attempt, records...)
}

func (w *work) armFor(timeout time.Duration, attempt int, records ...int) []int {
	w.t.Helper()
	var items []importer.Item
	for _, r := range records {
		items = append(items, importer.Item{Record: r, State: importer.Pending, Attempt: attempt})
	}
	armed, err := w.l.Arm(w.t.Context(), w.d, w.run, w.holder, items, 0, timeout)
	require.NoError(w.t, err)
	return armed
}

// settle settles rows and returns the records that were not moved.
func (w *work) settle(s ...importer.Settlement) []int {
	w.t.Helper()
	missed, err := w.l.Settle(w.t.Context(), w.d, w.run, w.holder, len(s), s)
	require.NoError(w.t, err)
	return missed
}

// move settles one row's first attempt and requires that it was moved.
func (w *work) move(record int, from, to importer.State, reason importer.Reason) {
	w.t.Helper()
	require.Empty(w.t, w.settle(importer.Settlement{Record: record, Attempt: 1, From: from, To: to, Reason: reason}))
}

// deliver arms rows and settles their first attempt.
func (w *work) deliver(to importer.State, reason importer.Reason, records ...int) {
	w.t.Helper()
	require.ElementsMatch(w.t, records, w.arm(0, records...))
	for _, r := range records {
		w.move(r, importer.Armed, to, reason)
	}
}

// close ends the work on the drop.
func (w *work) close(to importer.DropState) importer.DropState {
	w.t.Helper()
	got, err := w.l.CloseDrop(w.t.Context(), w.d.ID, w.holder, to, "")
	require.NoError(w.t, err)
	return got
}

// open lists all of the drop's rows without an outcome.
func (w *work) open() []importer.Item {
	w.t.Helper()
	items, err := w.l.Open(w.t.Context(), w.d, 0, 1000)
	require.NoError(w.t, err)
	return items
}

// pending lists the records of the rows that are pending.
func (w *work) pending() (records []int) {
	w.t.Helper()
	for _, it := range w.open() {
		if it.State == importer.Pending {
			records = append(records, it.Record)
		}
	}
	return records
}

func (w *work) tally() importer.Counts {
	w.t.Helper()
	c, err := w.l.Tally(w.t.Context(), w.d)
	require.NoError(w.t, err)
	return c
}

// is requires how many rows stand where.
func (w *work) is(want importer.Counts) {
	w.t.Helper()
	require.Equal(w.t, want, w.tally())
}

// holds requires that a row of this drop holds a name's claim.
func (w *work) holds(name string, record int) {
	w.t.Helper()
	require.Equal(w.t, importer.RowRef{Drop: w.d.ID, Record: record}, claimed(w.t, w.l, 0, name)[key(name)])
}

func claimed(t *testing.T, l importer.Ledger, window time.Duration, names ...string) map[importer.ClaimKey]importer.RowRef {
	t.Helper()
	var keys []importer.ClaimKey
	for _, n := range names {
		keys = append(keys, key(n))
	}
	held, err := l.Claimed(t.Context(), keys, window)
	require.NoError(t, err)
	return held
}

func count(s importer.State, r importer.Reason) importer.StateReason {
	return importer.StateReason{State: s, Reason: r}
}
