package ledger_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
)

// judge records slots of a feed with one verdict.
func judge(t *testing.T, l *ledger.Ledger, feed, verdict string, slots ...time.Time) {
	t.Helper()
	_, err := l.Schedules(t.Context(), []string{feed}, slots[0])
	require.NoError(t, err)
	err = l.JudgeSlots(t.Context(), feed, func(ledger.SlotState) (list []ledger.JudgedSlot, last time.Time) {
		for _, at := range slots {
			list = append(list, ledger.JudgedSlot{At: at, Verdict: verdict})
		}
		return list, slots[len(slots)-1]
	}, func(context.Context, pgx.Tx, []ledger.JudgedSlot) error { return nil })
	require.NoError(t, err)
}

func TestAFeedStandsWhereItsLastGoodRunAndItsSlotsSay(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l, conn := ledgertest.OpenAt(t, dsn), connect(t, dsn)
	for _, r := range []struct {
		feed, kind string
		cause      error
		finished   string
	}{
		{"acme", "run", nil, "2026-03-01 06:00Z"},
		{"acme", "import", nil, "2026-03-02 06:00Z"},
		{"acme", "run", errors.New("login refused"), "2026-03-03 06:00Z"},
		{"acme", "reconcile", nil, "2026-03-04 06:00Z"},
		{"other", "run", errors.New("login refused"), "2026-03-05 06:00Z"},
	} {
		run, holder, err := l.StartRun(t.Context(), r.feed, r.kind)
		require.NoError(t, err)
		require.NoError(t, l.FinishRun(t.Context(), run, holder, importer.Summary{}, r.cause))
		do(t, conn, `UPDATE runs SET finished = $2 WHERE id = $1`, run, r.finished)
	}
	_, _, err := l.StartRun(t.Context(), "acme", "run") // it is going yet
	require.NoError(t, err)
	day := func(n int) time.Time { return time.Date(2026, 3, n, 6, 0, 0, 0, time.UTC) }
	judge(t, l, "acme", "missed", day(1), day(2))
	judge(t, l, "acme", "run", day(3))

	_, asked, err := l.AskRun(t.Context(), "acme", func(context.Context, pgx.Tx, time.Time) error { return nil })
	require.NoError(t, err)
	require.True(t, asked)
	do(t, conn, `UPDATE schedule_slots SET slot = $1 WHERE verdict = 'asked'`, day(2).Add(time.Hour))

	standings, err := l.Standings(t.Context(), map[string]time.Time{"acme": {}, "other": {}})
	require.NoError(t, err)
	acme := standings["acme"]
	require.True(t, acme.Succeeded.Equal(day(2)), acme.Succeeded)
	require.Equal(t, map[string]int{"missed": 2, "run": 1}, acme.Slots)
	require.True(t, acme.Judged.Equal(day(3)), acme.Judged)
	require.Equal(t, ledger.Standing{Slots: map[string]int{}}, standings["other"])

	judge(t, l, "acme", "missed", day(4))
	standings, err = l.Standings(t.Context(), map[string]time.Time{"acme": acme.Judged})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"missed": 1}, standings["acme"].Slots)
	require.True(t, standings["acme"].Judged.Equal(day(4)))
	standings, err = l.Standings(t.Context(), map[string]time.Time{"acme": day(4)})
	require.NoError(t, err)
	require.Empty(t, standings["acme"].Slots)
	require.True(t, standings["acme"].Judged.Equal(day(4)))

	require.NoError(t, l.Rewind(t.Context(), "acme", day(3))) // the clock was wrong
	standings, err = l.Standings(t.Context(), map[string]time.Time{"acme": day(4)})
	require.NoError(t, err)
	require.Empty(t, standings["acme"].Slots)
	require.True(t, standings["acme"].Judged.Equal(day(3)))
	judge(t, l, "acme", "run", day(4))
	standings, err = l.Standings(t.Context(), map[string]time.Time{"acme": day(3)})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"run": 1}, standings["acme"].Slots)
	judge(t, l, "acme", "run", day(5))
	require.NoError(t, l.Rewind(t.Context(), "acme", day(4)))
	standings, err = l.Standings(t.Context(), map[string]time.Time{"acme": day(4)})
	require.NoError(t, err)
	require.Empty(t, standings["acme"].Slots, "its slot is ahead, and will be counted when it has come")
}

func TestOnlyTransactionsThatWereMadeAreTimed(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	var told atomic.Int64
	l.Observe(func(took time.Duration) {
		require.Positive(t, took)
		told.Add(1)
	})
	_, _, err := l.StartRun(t.Context(), "acme", "run")
	require.NoError(t, err)
	require.Equal(t, int64(1), told.Load())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = l.StartRun(over, "acme", "run")
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, int64(1), told.Load())
}
