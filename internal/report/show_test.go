package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/report"
)

// shown is what is told of a run, as JSON and as text.
func shown(t *testing.T, s report.Shown) (object map[string]any, text string) {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, report.Show(&out, report.JSON, s))
	require.NoError(t, json.Unmarshal(out.Bytes(), &object))
	out.Reset()
	require.NoError(t, report.Show(&out, report.Table, s))
	return object, out.String()
}

func counts(c importer.Counts) importer.RunInfo {
	return importer.RunInfo{ID: 1, Feed: "acme", Drops: []importer.DropSummary{{Drop: importer.Drop{ID: 1}, Counts: c}}}
}

func TestTheTenCommonestReasonsHaveAnExample(t *testing.T) {
	t.Parallel()
	c := importer.Counts{{State: importer.Pending}: 100}
	for i := range 12 {
		c[importer.StateReason{State: importer.Rejected, Reason: importer.Reason(fmt.Sprintf("bad%d", i))}] = i + 1
	}
	gone := importer.StateReason{State: importer.Succeeded, Reason: importer.ReasonAdded}
	c[gone] = 50
	e := importer.Example{
		Drop: importer.Drop{ID: 7}, Record: 4, Line: 5, StateReason: importer.StateReason{State: importer.Rejected, Reason: "bad11"},
		Lead: &lead.Lead{PhoneNumber: "7185550142", FirstName: "Olive", LastName: "Van Underhill"}, Note: "on a list",
	}
	object, text := shown(t, report.Shown{Run: counts(c), Examples: []importer.Example{e}})
	told := object["examples"].([]any)
	require.Len(t, told, 10)
	require.Equal(t, map[string]any{"outcome": "SUCCESS", "reason": "added", "rows": 50.0}, told[0], "no row stands so any more")
	require.Equal(t, map[string]any{
		"outcome": "ERROR", "reason": "bad11", "rows": 12.0, "drop": 7.0, "record": 4.0, "line": 5.0,
		"phone_number": "••••••••42", "name": "O• V• U•", "note": "on a list",
	}, told[1])
	require.Equal(t, "bad3", told[9].(map[string]any)["reason"])
	require.Regexp(t, ` ERROR +bad11 +12 +drop 7, line 5 +••••••••42  O• V• U• `, text)
}

// Its drops are told as they stand now, its counts as it left them.
func TestWhatBecameOfADropLaterIsToldAsSuch(t *testing.T) {
	t.Parallel()
	for says, d := range map[string]importer.DropSummary{
		"Drop 1 (a.csv) had no rows yet when this run left it; by now it is done": {Drop: importer.Drop{State: importer.DropDone, Recorded: 2, Complete: true}},
		"Drop 1 (a.csv) had an outcome for each row when this run left it; by now some have another chance": {
			Drop: importer.Drop{State: importer.DropImporting, Recorded: 2, Complete: true}, Counts: importer.Counts{{State: importer.Succeeded}: 2},
		},
		"Drop 1 (a.csv) has no rows": {Drop: importer.Drop{State: importer.DropDone, Complete: true}},
	} {
		d.Drop.ID, d.Drop.Name = 1, "a.csv"
		_, text := shown(t, report.Shown{Run: importer.RunInfo{ID: 1, Feed: "acme", Drops: []importer.DropSummary{d}}})
		require.Contains(t, text, says)
	}
}

func TestAnExampleTellsNobodysNumberOrName(t *testing.T) {
	t.Parallel()
	d := importer.Drop{ID: 1, Fields: []string{"full_name", "", "phone_number", "last_name"}}
	reason := importer.StateReason{State: importer.Invalid, Reason: "row_fields"}
	for _, c := range []struct {
		cells       []string
		phone, name any
	}{
		{[]string{"Olive @Underhill", "secret", "(718) 555-01 9", "élan"}, "(•••) •••-•1 9", "O• U• é•"},
		{[]string{"718-555-0142", "Olive", "Olive Underhill 3"}, "••••• ••••••••• 3", "•"},
		{[]string{"Olive"}, nil, "O•"},
		{[]string{"", "", "٧١٨٥٥\x1b"}, "•••٥٥ ", nil},
		{nil, nil, nil},
	} {
		e := importer.Example{Drop: d, Record: 1, Line: 2, StateReason: reason, Cells: c.cells}
		object, text := shown(t, report.Shown{Run: counts(importer.Counts{reason: 1}), Examples: []importer.Example{e}})
		told := object["examples"].([]any)[0].(map[string]any)
		require.Equal(t, c.phone, told["phone_number"], c.cells)
		require.Equal(t, c.name, told["name"], c.cells)
		require.NotRegexp(t, `Olive|Underhill|718|secret|\x1b`, text)
	}
}

func TestTheSlowestMinuteIsTold(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 24, 6, 14, 5, 0, time.UTC)
	object, text := shown(t, report.Shown{Run: counts(nil), Slowest: &importer.Minute{From: from, Calls: 12}})
	require.Equal(t, map[string]any{"from": "2026-11-24T06:14:05Z", "calls": 12.0}, object["slowest_minute"])
	require.Contains(t, text, "Slowest minute: from "+report.When(from)+", 12 calls began\n")
	object, text = shown(t, report.Shown{Run: counts(nil)})
	require.NotContains(t, object, "slowest_minute")
	require.NotContains(t, text, "lowest")
}
