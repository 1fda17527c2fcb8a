package report_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"importer/internal/importer"
	"importer/internal/report"
)

// drawAccount draws an account of a few runs on a few drops.
func drawAccount(t *rapid.T) importer.Account {
	a := importer.Account{Drops: map[int64]importer.Drop{}}
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.Local)
	names, lists := rapid.SampledFrom([]string{"acme", "bravo"}), rapid.SampledFrom([]string{"", "101", "102", "1001"})
	for id := range rapid.Int64Range(1, 4).Draw(t, "drops") {
		a.Drops[id] = importer.Drop{
			ID: id, Feed: names.Draw(t, "feed"), Dialer: names.Draw(t, "dialer"), FirstSeen: noon.AddDate(0, 0, rapid.IntRange(0, 2).Draw(t, "day")),
		}
	}
	for id := range rapid.Int64Range(1, 4).Draw(t, "runs") {
		a.Runs = append(a.Runs, importer.RunInfo{
			ID: id, Started: noon.AddDate(0, 0, rapid.IntRange(0, 3).Draw(t, "began")),
			Calls: rapid.IntRange(0, 9).Draw(t, "calls"), Seconds: float64(rapid.IntRange(0, 2).Draw(t, "seconds")),
		})
	}
	states := rapid.SampledFrom([]importer.State{
		importer.Pending, importer.Armed, importer.Unknown, importer.Succeeded, importer.Rejected, importer.Failed, importer.Duplicate, importer.Invalid, importer.Review,
	})
	for range rapid.IntRange(0, 12).Draw(t, "groups") {
		a.Rows = append(a.Rows, importer.Counted{
			Drop: rapid.Int64Range(0, int64(len(a.Drops)-1)).Draw(t, "drop"), Run: rapid.Int64Range(0, int64(len(a.Runs)-1)).Draw(t, "run"),
			ListID: lists.Draw(t, "list"), StateReason: importer.StateReason{State: states.Draw(t, "state")}, Rows: rapid.IntRange(1, 9).Draw(t, "rows"),
		})
	}
	return a
}

type sums struct{ Rows, Success, Error, Duplicate, Invalid, Review, Pending, Calls int }

func (s *sums) add(o sums) {
	s.Rows += o.Rows
	s.Success += o.Success
	s.Error += o.Error
	s.Duplicate += o.Duplicate
	s.Invalid += o.Invalid
	s.Review += o.Review
	s.Pending += o.Pending
	s.Calls += o.Calls
}

func TestWhateverRowsAreCountedByTheyAddUpToTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := drawAccount(t)
		var calls int
		for _, r := range a.Runs {
			calls += r.Calls
		}
		for _, by := range []report.By{report.ByRun, report.ByDay, report.ByFeed, report.ByList, report.ByDialer} {
			var out bytes.Buffer
			require.NoError(t, report.Groups(&out, report.JSON, by, a))
			var told struct {
				By     report.By
				Groups []sums
				Total  sums
			}
			require.NoError(t, json.Unmarshal(out.Bytes(), &told))
			require.Equal(t, by, told.By)
			var all sums
			for _, g := range told.Groups {
				all.add(g)
			}
			require.Equal(t, all, told.Total, by)
			require.Equal(t, a.Counts().Rows(), all.Rows)
			require.Equal(t, all.Rows, all.Success+all.Error+all.Duplicate+all.Invalid+all.Review+all.Pending)
			if by == report.ByRun || by == report.ByDay {
				require.Equal(t, calls, all.Calls)
			}
		}
	})
}

func TestARunThatWasKilledHasNoSpeedAndSpoilsNone(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.Local)
	added := importer.StateReason{State: importer.Succeeded, Reason: importer.ReasonAdded}
	a := importer.Account{
		Drops: map[int64]importer.Drop{1: {ID: 1, FirstSeen: noon.AddDate(0, 0, -1)}},
		Runs: []importer.RunInfo{
			{ID: 2, Feed: "acme", Kind: "import", Started: noon, Calls: 30, Seconds: 2},
			{ID: 1, Feed: "acme", Kind: "import", Started: noon.AddDate(0, 0, -1), Calls: 100},
		},
		Rows: []importer.Counted{{Drop: 1, Run: 1, StateReason: added, Rows: 100}, {Drop: 1, Run: 2, StateReason: added, Rows: 30}},
	}
	var out bytes.Buffer
	require.NoError(t, report.Groups(&out, report.CSV, report.ByDay, a))
	require.Equal(t, `day,rows,success,error,duplicate,invalid,review,pending,success_rate,error_rate,duplicate_rate,invalid_rate,calls,seconds,rows_per_second
2026-11-24,0,0,0,0,0,0,0,,,,,30,2,15
2026-11-23,130,130,0,0,0,0,0,1,0,0,0,100,0,
`, out.String())
	out.Reset()
	require.NoError(t, report.Groups(&out, report.Table, report.ByDay, a))
	require.Regexp(t, ` all +130 +130 +0 +0 +0 +0 +0 +100\.0 % +130 +2s +15\.0 `, out.String())
}

func TestADropsNameIsNoFormulaInAReport(t *testing.T) {
	t.Parallel()
	o := importer.Origin{Drop: importer.Drop{ID: 3, Name: "=1+1.csv", FirstSeen: time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)}, Dialer: "main", Rows: 2, Within: 1}
	var out bytes.Buffer
	require.NoError(t, report.Origins(&out, report.CSV, []importer.Origin{o}))
	require.Equal(t, "from,dialer,feed,drop,name,first_seen,rows,same_drop\ndrop,main,,3,'=1+1.csv,2026-11-24T06:00:00Z,2,1\n", out.String())
	out.Reset()
	require.NoError(t, report.Origins(&out, report.Table, nil))
	require.Equal(t, "no rows\n", out.String())
}
