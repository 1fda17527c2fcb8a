package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/report"
)

func TestADropTellsWhereItWasTakenFrom(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	d := importer.DropInfo{
		Drop: importer.Drop{
			ID: 7, Feed: "acme", Name: "monday.zip/\x1b[2Jeast.csv", SHA256: [32]byte{0xab, 0xcd}, Bytes: 1234,
			State: importer.DropDone, FirstSeen: at,
		},
		Counts: importer.Counts{{State: importer.Succeeded, Reason: "added"}: 3, {State: importer.Failed, Reason: "attempts_exhausted"}: 1},
		Files: []importer.FileInfo{
			{ID: 3, Place: "sftp://vendor.example.com/out", Path: "monday.zip", Taken: at, Ended: at.Add(time.Minute), Gone: true},
			{ID: 4, Place: "sftp://vendor.example.com/out", Path: "again.zip", Taken: at.Add(time.Hour)},
		},
	}
	table := written(t, report.Table, d)
	require.Regexp(t, ` 7 +acme +monday\.zip/ \[2Jeast\.csv +\S+ \S+ +1234 +abcd00000000 +done +4 +3 +1 +0 +0 +0 +0 `, table)
	require.Contains(t, table, "sftp://vendor.example.com/out monday.zip and 1 more")
	require.NotContains(t, table, "\x1b")
	require.Equal(t, "none\n", written(t, report.Table))

	require.JSONEq(t, `[{"drop": 7, "feed": "acme", "name": "monday.zip/\u001b[2Jeast.csv", "first_seen": "2026-11-24T06:00:00Z",
		"taken_from": [
			{"file": 3, "place": "sftp://vendor.example.com/out", "path": "monday.zip", "taken": "2026-11-24T06:00:00Z", "ended": "2026-11-24T06:01:00Z", "gone": true},
			{"file": 4, "place": "sftp://vendor.example.com/out", "path": "again.zip", "taken": "2026-11-24T07:00:00Z", "gone": false}],
		"bytes": 1234, "sha256": "abcd`+strings.Repeat("0", 60)+`", "state": "done",
		"rows": 4, "success": 3, "error": 1, "duplicate": 0, "invalid": 0, "review": 0, "pending": 0}]`, written(t, report.JSON, d))
	require.JSONEq(t, `[]`, written(t, report.JSON))
}

func written(t *testing.T, f report.Format, drops ...importer.DropInfo) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, report.Drops(&out, f, drops))
	return out.String()
}
