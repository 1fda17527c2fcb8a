package health_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
	"importer/internal/schedule"
)

// daily are feeds that are pulled each day at six and at eighteen o'clock in New York.
func daily(t testing.TB, feeds ...string) map[string]schedule.Schedule {
	t.Helper()
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	s, err := schedule.Parse([]string{"0 6 * * *", "0 18 * * *"}, zone)
	require.NoError(t, err)
	schedules := map[string]schedule.Schedule{}
	for _, f := range feeds {
		schedules[f] = s
	}
	return schedules
}

func TestTheNextSlotIsShown(t *testing.T) {
	t.Parallel()
	h, clock := setup()
	url := serve(t, h)
	schedules := daily(t, "acme")
	schedules["never"] = schedule.Schedule{}
	h.Feeds(schedules)
	next := func(want time.Time) {
		t.Helper()
		require.Equal(t, []string{`{feed="acme"} ` + fmt.Sprintf("%g", float64(want.Unix()))}, shown(t, url, "importer_next_slot_timestamp_seconds"))
	}
	next(time.Date(2026, 3, 2, 23, 0, 0, 0, time.UTC)) // it is noon, and six hours to the second one in New York
	clock.move(11*time.Hour - time.Second)
	next(time.Date(2026, 3, 2, 23, 0, 0, 0, time.UTC))
	clock.move(time.Second)
	next(time.Date(2026, 3, 3, 11, 0, 0, 0, time.UTC))

	hourly, err := schedule.Parse([]string{"@every 1h"}, time.UTC)
	require.NoError(t, err)
	h.Feeds(map[string]schedule.Schedule{"acme": hourly})
	next(time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC))
}

func TestWhatTheLedgerKnowsOfAFeedIsShownAfterARestartToo(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	judge := func(verdict schedule.Verdict, slot time.Time) {
		_, err := l.Schedules(t.Context(), []string{"acme"}, slot)
		require.NoError(t, err)
		require.NoError(t, l.JudgeSlots(t.Context(), "acme", func(ledger.SlotState) ([]ledger.JudgedSlot, time.Time) {
			return []ledger.JudgedSlot{{At: slot, Verdict: string(verdict)}}, slot
		}, func(context.Context, pgx.Tx, []ledger.JudgedSlot) error { return nil }))
	}
	six := time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)
	judge(schedule.Missed, six)
	h, _ := setup()
	url := serve(t, h)
	h.Feeds(daily(t, "acme", "other"))
	require.Contains(t, shown(t, url, "importer_slots_total"), `{feed="acme",verdict="missed"} 0`)
	require.Empty(t, shown(t, url, "importer_last_success_timestamp_seconds"))

	before := time.Now()
	run, holder, err := l.StartRun(t.Context(), "acme", "run")
	require.NoError(t, err)
	require.NoError(t, l.FinishRun(t.Context(), run, holder, importer.Summary{}, nil))
	judge(schedule.Run, six.AddDate(0, 0, 1))
	h.Ask(t.Context(), l)
	judge(schedule.Missed, six.AddDate(0, 0, 2))
	h.Ask(t.Context(), l)
	h.Ask(t.Context(), l)

	restarted, _ := setup()
	restarted.Feeds(daily(t, "acme", "other"))
	restarted.Ask(t.Context(), l)
	for _, url := range []string{url, serve(t, restarted)} {
		slots := shown(t, url, "importer_slots_total")
		require.Len(t, slots, 2*7)
		require.Contains(t, slots, `{feed="acme",verdict="missed"} 2`)
		require.Contains(t, slots, `{feed="acme",verdict="run"} 1`)
		require.Contains(t, slots, `{feed="acme",verdict="overlap"} 0`)
		require.Contains(t, slots, `{feed="other",verdict="missed"} 0`)
		success := shown(t, url, "importer_last_success_timestamp_seconds")
		require.Len(t, success, 1)
		var at float64
		_, err = fmt.Sscanf(success[0], `{feed="acme"} %g`, &at)
		require.NoError(t, err)
		require.InDelta(t, float64(before.Unix()), at, 60)
	}

	h.Feeds(daily(t, "other"))
	h.Feeds(daily(t, "acme", "other")) // it has been away, and is counted anew
	h.Ask(t.Context(), l)
	require.Contains(t, shown(t, url, "importer_slots_total"), `{feed="acme",verdict="missed"} 2`)
}

func BenchmarkScrapeOfAThousandFeeds(b *testing.B) {
	h, _ := setup()
	feeds := make([]string, 1000)
	for i := range feeds {
		feeds[i] = fmt.Sprintf("feed-%d", i)
		w, end := h.Run(feeds[i])
		w.Settled(importer.StateReason{State: importer.Succeeded, Reason: importer.ReasonAdded}, 1)
		w.Settled(importer.StateReason{State: importer.Duplicate, Reason: importer.ReasonAlreadyLoaded}, 1)
		end()
	}
	h.Feeds(daily(b, feeds...))
	handler := h.Handler()
	for b.Loop() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		require.Equal(b, 200, w.Code)
		b.SetBytes(int64(w.Body.Len()))
	}
}
