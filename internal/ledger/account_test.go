package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
)

func TestAnAccountHasEachRowOnceUnderTheRunThatWorkedOnItLast(t *testing.T) {
	t.Parallel()
	l, finished, going := reviewed(t)
	second := &work{Ledger: l, d: finished.d}
	var err error
	second.run, second.holder, err = l.StartRun(t.Context(), "acme", "retry")
	require.NoError(t, err)
	require.NoError(t, l.JoinDrop(t.Context(), second.run, second.d, false))
	_, err = finished.CloseDrop(t.Context(), finished.d.ID, finished.holder, importer.DropImporting, "")
	require.NoError(t, err)
	second.d, err = l.LeaseDrop(t.Context(), second.d.ID, second.holder, time.Hour)
	require.NoError(t, err)
	_, err = l.Retry(t.Context(), second.d, second.holder, importer.Retried{States: []importer.State{importer.Rejected}}, 0, 10, 0)
	require.NoError(t, err)
	armed, err := l.Arm(t.Context(), second.d, second.run, second.holder, []importer.Item{{Record: 2, Attempt: 1}}, time.Second, time.Second)
	require.NoError(t, err)
	require.Equal(t, []int{2}, armed)

	a, err := l.Account(t.Context(), ledger.RunFilter{ID: second.run}, true)
	require.NoError(t, err)
	counted := map[int64]int{}
	for _, c := range a.Rows {
		require.Equal(t, finished.d.ID, c.Drop)
		require.Equal(t, "101", c.ListID)
		counted[c.Run] += c.Rows
	}
	require.Equal(t, map[int64]int{finished.run: 3, second.run: 1}, counted)
	require.Equal(t, 4, a.Counts().Rows())
	require.Equal(t, "leads.csv", a.Drops[finished.d.ID].Name)
	require.Equal(t, []int64{second.run, finished.run}, runIDs(a.Runs), "both worked on these rows")
	require.Equal(t, 3, a.Runs[1].Calls)
	require.InDelta(t, 1.5, a.Runs[1].Seconds, 0)

	a, err = l.Account(t.Context(), ledger.RunFilter{}, false)
	require.NoError(t, err)
	require.Equal(t, 6, a.Counts().Rows())
	require.Equal(t, []int64{second.run, going.run, finished.run}, runIDs(a.Runs))
	require.True(t, slices.ContainsFunc(a.Rows, func(c importer.Counted) bool { return c.Drop == going.d.ID }))
	for _, c := range a.Rows {
		require.Empty(t, c.ListID)
	}

	a, err = l.Account(t.Context(), ledger.RunFilter{Until: time.Now().Add(-time.Hour)}, false)
	require.NoError(t, err)
	require.Empty(t, a.Runs)
	require.Zero(t, a.Counts().Rows())
	_, err = l.Account(t.Context(), ledger.RunFilter{ID: 999}, false)
	require.ErrorIs(t, err, ledger.ErrNoRun)
}

func runIDs(runs []importer.RunInfo) (ids []int64) {
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestDuplicatesTellWhereTheirLeadsCameFromFirst(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	first := begin(t, l, "acme").recorded(t, 1, 2, 1)
	second := begin(t, l, "bravo").recorded(t, 1, 2, 3, 4).armed(t, 3, 4)
	for _, w := range []*work{first, second} {
		require.NoError(t, l.JoinDrop(t.Context(), w.run, w.d, false))
	}
	_, err := l.Settle(t.Context(), second.d, second.run, second.holder, 2, []importer.Settlement{
		{Record: 3, Attempt: 1, From: importer.Armed, To: importer.Duplicate, Reason: importer.ReasonDialerDuplicate},
		{Record: 4, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded, LeadID: 4},
	})
	require.NoError(t, err)

	origins, err := l.Origins(t.Context(), ledger.RunFilter{})
	require.NoError(t, err)
	slices.SortFunc(origins, func(a, b importer.Origin) int { return b.Rows - a.Rows })
	require.Len(t, origins, 2)
	require.Equal(t, first.d.ID, origins[0].Drop.ID)
	require.Equal(t, "acme", origins[0].Drop.Feed)
	require.Equal(t, first.d.FirstSeen, origins[0].Drop.FirstSeen)
	require.Equal(t, 3, origins[0].Rows)
	require.Equal(t, 1, origins[0].Within)
	require.Equal(t, importer.Origin{Dialer: "main", Rows: 1}, origins[1])

	origins, err = l.Origins(t.Context(), ledger.RunFilter{Feed: "bravo"})
	require.NoError(t, err)
	for _, o := range origins {
		require.Zero(t, o.Within)
	}
}

// TestAReportOfARunReadsItsRowsAlone works on tables that PostgreSQL has not
// analysed since they were empty.
func TestAReportOfARunReadsItsRowsAlone(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l := ledgertest.OpenAt(t, dsn)
	const rows = 300
	begin(t, l, "acme").recorded(t, upTo(1, 5000)...)
	w := begin(t, l, "bravo").recorded(t, upTo(5001, 5000+rows)...)
	require.NoError(t, l.JoinDrop(t.Context(), w.run, w.d, false))
	for _, lists := range []bool{false, true} {
		a, err := l.Account(t.Context(), ledger.RunFilter{ID: w.run}, lists)
		require.NoError(t, err)
		require.Equal(t, rows, a.Counts().Rows())
	}
	_, err := l.Origins(t.Context(), ledger.RunFilter{ID: w.run})
	require.NoError(t, err)
	_, err = l.Retriable(t.Context(), ledger.RunFilter{ID: w.run}, importer.Retried{States: []importer.State{importer.Rejected}})
	require.NoError(t, err)
	conn := connect(t, dsn)
	reported(t, l, conn)
	read := ask[int](t, conn, readRows)
	require.LessOrEqual(t, read, 5*rows, "four times the rows, and once what is in them")
}

// readRows counts what was read of rows and of what is in them.
const readRows = `
	SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int
	FROM pg_stat_user_tables WHERE relname ~ '^(rows|row_data)(_|$)'`

func TestDropsAreRetriedThatHaveSuchRowsOrWereLeft(t *testing.T) {
	t.Parallel()
	l, first, second := reviewed(t) // both unfinished, and leased
	retriable := func(f ledger.RunFilter, reason importer.Reason) (ids []int64) {
		drops, err := l.Retriable(t.Context(), f, importer.RowsThatEnded([]importer.Outcome{importer.OutcomeError}, reason))
		require.NoError(t, err)
		for _, d := range drops {
			ids = append(ids, d.ID)
		}
		return ids
	}
	all := ledger.RunFilter{}
	require.Equal(t, []int64{first.d.ID}, retriable(all, ""))
	require.Equal(t, []int64{first.d.ID}, retriable(all, "answered"))
	require.Empty(t, retriable(all, "unheard"))
	require.Empty(t, retriable(ledger.RunFilter{Feed: "bravo"}, ""))
	require.Empty(t, retriable(ledger.RunFilter{Since: time.Now().Add(time.Hour)}, ""))
	require.NoError(t, l.RenewDrop(t.Context(), second.d.ID, second.holder, 0)) // as if it had been killed a while ago
	require.Equal(t, []int64{second.d.ID}, retriable(all, "unheard"))
	require.Equal(t, []int64{second.d.ID}, retriable(ledger.RunFilter{ID: second.run}, ""))
}
