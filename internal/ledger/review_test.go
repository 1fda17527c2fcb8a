package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
)

// reviewed is a ledger with a finished run of one drop and a run that is going
// on with another.
func reviewed(t *testing.T) (l *ledger.Ledger, finished, going *work) {
	t.Helper()
	l = ledgertest.Open(t)
	finished = begin(t, l, "acme").recorded(t, 1, 2, 3, 1).armed(t, 1, 2, 3)
	for to, record := range map[importer.State]int{importer.Succeeded: 1, importer.Rejected: 2, importer.Unknown: 3} {
		missed, err := finished.settle(t.Context(), to, record)
		require.NoError(t, err)
		require.Empty(t, missed)
	}
	require.NoError(t, l.JoinDrop(t.Context(), finished.run, finished.d, false))
	counts, err := l.Tally(t.Context(), finished.d)
	require.NoError(t, err)
	sum := importer.Summary{
		Drops: []importer.DropSummary{{Drop: finished.d, Counts: counts}}, Calls: 3, Seconds: 1.5, Alarms: []string{"a lead is there twice"},
	}
	require.NoError(t, l.FinishRun(t.Context(), finished.run, finished.holder, sum, errors.New("the dialer is away")))

	going = begin(t, l, "bravo").recorded(t, 4, 5).armed(t, 1)
	require.NoError(t, l.JoinDrop(t.Context(), going.run, going.d, false))
	_, err = going.settle(t.Context(), importer.Succeeded, 1)
	require.NoError(t, err)
	return l, finished, going
}

func TestRunsAreListedAsTheyLeftTheirDrops(t *testing.T) {
	t.Parallel()
	l, finished, going := reviewed(t)
	_, err := finished.Settle(t.Context(), finished.d, going.run, going.holder, 0,
		[]importer.Settlement{{Record: 3, Attempt: 1, From: importer.Unknown, To: importer.Review, Reason: importer.ReasonUnproven}})
	require.NoError(t, err)

	runs, err := l.ListRuns(t.Context(), ledger.RunFilter{})
	require.NoError(t, err)
	require.Len(t, runs, 2)
	now, then := runs[0], runs[1]
	require.Equal(t, going.run, now.ID)
	require.True(t, now.Finished.IsZero())
	require.True(t, now.Going)
	require.False(t, then.Going)
	require.Equal(t, 1, now.Calls, "counted while it goes on")
	require.Equal(t, 1, now.Counts().Outcome(importer.OutcomePending))
	require.Equal(t, finished.run, then.ID)
	require.Equal(t, "the dialer is away", then.Error)
	require.Equal(t, []string{"a lead is there twice"}, then.Alarms)
	require.Equal(t, 3, then.Calls)
	require.WithinDuration(t, then.Started, then.Finished, time.Hour)
	require.Equal(t, 1, then.Counts().Outcome(importer.OutcomePending), "as it was then")
	require.Equal(t, 4, then.Counts().Rows())

	drops, err := l.DropCounts(t.Context(), ledger.RunFilter{ID: finished.run})
	require.NoError(t, err)
	require.Len(t, drops, 1)
	require.Equal(t, 1, drops[0].Counts.Outcome(importer.OutcomeReview), "as it is now")
}

func TestARunWithoutALeaseIsNotGoing(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	going := func() bool {
		runs, err := l.ListRuns(t.Context(), ledger.RunFilter{Feed: "acme"})
		require.NoError(t, err)
		return runs[0].Going
	}
	w := begin(t, l, "acme").recorded(t, 1)
	require.True(t, going(), "it has just begun")
	require.NoError(t, l.JoinDrop(t.Context(), w.run, w.d, false))
	require.True(t, going())
	require.NoError(t, l.RenewDrop(t.Context(), w.d.ID, w.holder, 0)) // as if it had been killed a while ago
	require.False(t, going())
}

func TestRejectsBringTheTextOfDamagedRecords(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	w := begin(t, l, "acme")
	bad, mended := newRow(1, 1), newRow(2, 2)
	bad.Refusal = &lead.Refusal{Reason: lead.RowFields, Detail: "too few"}
	bad.Changes = []lead.Change{{Field: "record", From: "a,\"b\n", Why: "too few"}}
	mended.Refusal = &lead.Refusal{Reason: lead.PhoneMissing, Detail: "empty"}
	mended.Changes = []lead.Change{{Field: "gender", From: "m", To: "M", Why: "so"}}
	_, err := l.Record(t.Context(), w.d, w.run, w.holder, 0, []importer.NewRow{bad, mended}, true, 0)
	require.NoError(t, err)
	texts := map[int]string{}
	give := func(r importer.Reject) error {
		texts[r.Record] = r.Text
		return nil
	}
	require.NoError(t, l.Rejects(t.Context(), []importer.Drop{w.d}, []importer.State{importer.Invalid}, false, give))
	require.Equal(t, map[int]string{1: "a,\"b\n", 2: ""}, texts)
}

func TestRunsAreChosen(t *testing.T) {
	t.Parallel()
	l, finished, going := reviewed(t)
	for name, c := range map[string]struct {
		filter ledger.RunFilter
		want   []int64
	}{
		"all":          {ledger.RunFilter{}, []int64{going.run, finished.run}},
		"newest":       {ledger.RunFilter{Limit: 1}, []int64{going.run}},
		"by number":    {ledger.RunFilter{ID: finished.run}, []int64{finished.run}},
		"by feed":      {ledger.RunFilter{Feed: "acme"}, []int64{finished.run}},
		"since before": {ledger.RunFilter{Since: time.Now().Add(-time.Hour)}, []int64{going.run, finished.run}},
		"since later":  {ledger.RunFilter{Since: time.Now().Add(time.Hour)}, nil},
		"until before": {ledger.RunFilter{Until: time.Now().Add(-time.Hour)}, nil},
		"until later":  {ledger.RunFilter{Until: time.Now().Add(time.Hour)}, []int64{going.run, finished.run}},
	} {
		runs, err := l.ListRuns(t.Context(), c.filter)
		require.NoError(t, err, name)
		var got []int64
		for _, r := range runs {
			got = append(got, r.ID)
		}
		require.Equal(t, c.want, got, name)
	}
	_, err := l.ListRuns(t.Context(), ledger.RunFilter{ID: 999})
	require.ErrorIs(t, err, ledger.ErrNoRun)
}

func TestRejectsAreGivenAsTheVendorSentThem(t *testing.T) {
	t.Parallel()
	l, finished, _ := reviewed(t)
	require.NoError(t, l.NoteRow(t.Context(), finished.d, 2, "seen"))
	require.NoError(t, l.NoteRow(t.Context(), finished.d, 2, "seen"))
	require.NoError(t, l.NoteRow(t.Context(), finished.d, 2, "twice"))
	var got []importer.Reject
	states := []importer.State{importer.Rejected, importer.Failed, importer.Duplicate}
	require.NoError(t, l.Rejects(t.Context(), []importer.Drop{finished.d}, states, false, func(r importer.Reject) error {
		got = append(got, r)
		return nil
	}))
	require.Len(t, got, 2)
	require.Equal(t, 2, got[0].Record)
	require.Equal(t, 3, got[0].Line)
	require.Equal(t, newRow(2, 2).Cells, got[0].Cells)
	require.Equal(t, importer.OutcomeError, got[0].Outcome)
	require.Equal(t, importer.Reason("answered"), got[0].Reason)
	require.Equal(t, "seen; twice", got[0].Note)
	require.Equal(t, importer.ReasonAlreadyLoaded, got[1].Reason)

	stop := errors.New("enough")
	require.ErrorIs(t, l.Rejects(t.Context(), []importer.Drop{finished.d}, states, false, func(importer.Reject) error { return stop }), stop)
}

func TestIncompleteLeadsAreGivenWhenAskedFor(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	w := begin(t, l, "acme").recorded(t, 1, 2, 3, 4).armed(t, 1, 2, 3)
	_, err := l.Settle(t.Context(), w.d, w.run, w.holder, 3, []importer.Settlement{
		{Record: 1, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded, LeadID: 1, Note: "added to hopper"},
		{Record: 2, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonNotInHopper, LeadID: 2, Note: "not added to hopper: outside local time"},
		{Record: 3, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonReconciled, LeadID: 3},
	})
	require.NoError(t, err)
	given := map[int]importer.Reason{}
	require.NoError(t, l.Rejects(t.Context(), []importer.Drop{w.d}, nil, true, func(r importer.Reject) error {
		given[r.Record] = r.Reason
		return nil
	}))
	require.Equal(t, map[int]importer.Reason{2: importer.ReasonNotInHopper}, given)
}
