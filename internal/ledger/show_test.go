package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/ledger/ledgertest"
)

func TestEachReasonHasItsFirstRowAsExample(t *testing.T) {
	t.Parallel()
	l, first, second := reviewed(t)
	refused := begin(t, l, "acme")
	bad := newRow(1, 1)
	bad.Refusal = &lead.Refusal{Reason: lead.PhoneMissing, Detail: "empty"}
	_, err := l.Record(t.Context(), refused.d, refused.run, refused.holder, 0, []importer.NewRow{bad, newRow(2, 1)}, true, 0)
	require.NoError(t, err)

	examples, err := l.Examples(t.Context(), []importer.Drop{first.d, second.d, refused.d})
	require.NoError(t, err)
	of := map[importer.StateReason]importer.Example{}
	for _, e := range examples {
		require.NotContains(t, of, e.StateReason)
		of[e.StateReason] = e
	}
	require.Len(t, of, 6)
	succeeded := of[importer.StateReason{State: importer.Succeeded, Reason: "answered"}]
	require.Equal(t, first.d.ID, succeeded.Drop.ID)
	require.Equal(t, 1, succeeded.Record)
	require.Equal(t, 2, succeeded.Line)
	require.Equal(t, newRow(1, 1).Lead, *succeeded.Lead)
	require.Equal(t, first.d.ID, of[importer.StateReason{State: importer.Duplicate, Reason: importer.ReasonAlreadyLoaded}].Drop.ID)
	require.Equal(t, second.d.ID, of[importer.StateReason{State: importer.Pending}].Drop.ID)
	invalid := of[importer.StateReason{State: importer.Invalid, Reason: lead.PhoneMissing}]
	require.Nil(t, invalid.Lead)
	require.Equal(t, bad.Cells, invalid.Cells)
	require.Equal(t, "empty", invalid.Note)
}

func TestTheSlowestMinuteIsTheFullOneWithFewestCalls(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l, conn := ledgertest.OpenAt(t, dsn), connect(t, dsn)
	w := begin(t, l, "acme").recorded(t, 1, 2, 3, 4, 5, 6, 7, 8)
	first := time.Date(2026, 11, 24, 6, 0, 30, 0, time.UTC)
	const within = 50 * time.Second
	slowest := func(run int64) (importer.Minute, bool) {
		m, ok, err := l.SlowestMinute(t.Context(), run, []importer.Drop{w.d}, within)
		require.NoError(t, err)
		return importer.Minute{From: m.From.UTC(), Calls: m.Calls}, ok
	}
	// sent is when a row's call began.
	sent := func(record int, after time.Duration) {
		do(t, conn, `UPDATE rows SET answer_by = $1 WHERE record = $2`, first.Add(after+within), record)
	}
	_, ok := slowest(w.run)
	require.False(t, ok, "no call was made")

	w.armed(t, 1, 2, 3, 4, 5, 6, 7)
	for record, after := range map[int]time.Duration{1: 0, 2: 10 * time.Second, 3: 59 * time.Second} {
		sent(record, after)
	}
	for record := 4; record <= 7; record++ {
		sent(record, 59*time.Second)
	}
	_, ok = slowest(w.run)
	require.False(t, ok, "there was no full minute")

	for record, after := range map[int]time.Duration{3: 70 * time.Second, 4: 80 * time.Second, 5: 130 * time.Second, 6: 179 * time.Second, 7: 181 * time.Second} {
		sent(record, after)
	}
	m, ok := slowest(w.run)
	require.True(t, ok)
	require.Equal(t, importer.Minute{From: first, Calls: 2}, m, "of equal ones the first; the last is not full")
	sent(3, 0)
	m, _ = slowest(w.run)
	require.Equal(t, importer.Minute{From: first.Add(time.Minute), Calls: 1}, m)
	sent(4, 5*time.Second)
	m, _ = slowest(w.run)
	require.Equal(t, importer.Minute{From: first.Add(time.Minute), Calls: 0}, m, "a minute without calls counts")

	// A call that was made again counts twice, and for its run alone.
	_, err := w.settle(t.Context(), importer.Pending, 4)
	require.NoError(t, err)
	do(t, conn, `UPDATE rows SET answer_by = $1 WHERE record = 4`, first.Add(90*time.Second+within))
	_, err = l.Arm(t.Context(), w.d, w.run, w.holder, []importer.Item{{Record: 4, Attempt: 1}}, time.Second, time.Second)
	require.NoError(t, err)
	sent(4, 150*time.Second)
	m, _ = slowest(w.run)
	require.Equal(t, importer.Minute{From: first.Add(time.Minute), Calls: 1}, m)
	other, _, err := l.StartRun(t.Context(), "acme", "retry")
	require.NoError(t, err)
	_, ok = slowest(other)
	require.False(t, ok)
}
