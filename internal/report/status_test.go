package report_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/report"
)

// mixed is a status with something of everything.
func mixed(t *testing.T) report.Status {
	t.Helper()
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	at := func(hour, minute int) time.Time { return time.Date(2026, 11, 24, hour, minute, 3, 0, zone) }
	local := func(hour int) time.Time { return time.Date(2026, 11, 24, hour, 0, 3, 0, time.Local) }
	next := time.Date(2026, 11, 25, 6, 0, 0, 0, zone)
	return report.Status{
		At:      at(9, 0),
		Serving: []report.Replica{{Host: "alpha", Started: local(1)}, {Host: "bra\x1bvo", Started: local(2)}},
		Going: []report.GoingRun{
			{Run: 12, Feed: "acme", Kind: "run", Started: local(6), Rows: 250, Settled: 120, Calls: 110},
			{Run: 13, Feed: "other", Kind: "backfill", Started: local(6), Rows: 1, Calls: 1, Cancelled: true},
		},
		Feeds: []report.FeedStatus{
			{Feed: "acme", State: report.Running, Run: 12, Next: next, LastRun: &report.LastRun{Run: 12, Kind: "run", State: "open", Started: local(6)}},
			{Feed: "bravo", State: report.Waiting, Slot: at(6, 0), Next: next, NextIs: "holiday", Today: &report.ExpectedDay{By: at(9, 30)}},
			{Feed: "charlie", State: report.Queued, Slot: at(6, 0).AddDate(0, 0, -1), Next: at(9, 1), Missed: 2},
			{Feed: "delta", State: report.Waiting, Run: 9, Slot: at(6, 0), Next: at(11, 30), Missed: 101, MissedMore: true},
			{
				Feed: "echo", State: report.Late, Next: next.AddDate(0, 0, 3), LastSuccess: local(1), Today: &report.ExpectedDay{By: at(8, 0), Late: true},
				LastRun: &report.LastRun{Run: 8, Kind: "import", State: "stopped", Started: local(5), Outcomes: map[importer.Outcome]int{"ERROR": 1, "REVIEW": 2}},
			},
			{Feed: "golf", State: report.Idle, Next: at(9, 59), Today: &report.ExpectedDay{By: at(8, 0), Came: at(7, 5)}},
			{Feed: "hotel", State: report.Idle, Next: next, Today: &report.ExpectedDay{By: at(8, 0), Came: at(8, 15), Late: true}},
		},
		Unfinished:  2,
		GivenUp:     []report.GivenUp{{Target: "ops", Messages: 2, Since: local(7), Last: local(8), Feed: "acme"}},
		NeedsPerson: []string{"echo: late", "golf: \x1b[2J"},
	}
}

func TestAStatusIsToldToPeople(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, report.WriteStatus(&out, report.Table, mixed(t)))
	golden, err := os.ReadFile("testdata/status.golden")
	require.NoError(t, err)
	require.Equal(t, string(golden), out.String())
	out.Reset()
	require.NoError(t, report.WriteStatus(&out, report.Table, report.Status{}))
	require.Equal(t, "importer serve does not run\nNothing waits for a person\n", out.String())
}

func TestAStatusIsToldToPrograms(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := mixed(t)
	s.At, s.Going[0].Started = s.At.UTC(), s.At.UTC()
	s.GivenUp[0].Since, s.GivenUp[0].Last = s.At, s.At
	s.Serving, s.Going, s.Feeds = []report.Replica{}, s.Going[:1], s.Feeds[6:]
	require.NoError(t, report.WriteStatus(&out, report.JSON, s))
	require.JSONEq(t, `{"at": "2026-11-24T14:00:03Z", "serving": [],
		"going": [{"run": 12, "feed": "acme", "kind": "run", "started": "2026-11-24T14:00:03Z", "rows": 250, "settled": 120, "calls": 110}],
		"feeds": [{"feed": "hotel", "state": "idle", "last_run": null, "next_slot": "2026-11-25T06:00:00-05:00",
			"expected": {"by": "2026-11-24T08:00:03-05:00", "came": "2026-11-24T08:15:03-05:00", "late": true}, "missed_7d": 0}],
		"unfinished_drops": 2, "held_drops": 0, "review_rows": 0,
		"messages_given_up": [{"target": "ops", "messages": 2, "since": "2026-11-24T14:00:03Z", "last": "2026-11-24T14:00:03Z", "feed": "acme"}], "needs_person": ["echo: late", "golf: \u001b[2J"]}`, out.String())
}
