package dropfile_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/importer"
	"importer/internal/lead"
)

// Records in are rows out: each is a lead, or is refused with a reason, in the
// order of the file, whatever the file is.
func TestNoRecordIsLost(t *testing.T) {
	t.Parallel()
	leads, refused, held := 0, 0, 0
	for _, path := range corpus(t) {
		file, err := os.ReadFile(path)
		require.NoError(t, err)
		o := dropfile.Options{Region: "US"}
		r, err := dropfile.Open(bytes.NewReader(file), o)
		if err != nil {
			held++
			continue
		}
		table, err := dropfile.OpenTable(bytes.NewReader(file), o)
		require.NoError(t, err, path)
		rules := lead.Rules{Region: "US", ListID: "101", Dates: r.Dates()}
		for {
			record, end := table.Next()
			row, err := r.Next()
			require.Equal(t, end, err, path)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, path)
			require.Equal(t, record.Number, row.Record, path)
			require.Equal(t, record.Line, row.Line, path)
			if !slices.Contains(r.Header(), "import_reason") { // our own rejects' protection is taken away
				require.Equal(t, record.Cells, row.Cells, path)
			}
			if hasReason(t, rules, row) {
				refused++
			} else {
				leads++
			}
		}
		require.Equal(t, table.Outside(), r.Outside(), path)
	}
	require.Greater(t, leads, refused)
	require.Greater(t, leads, held)
	require.Positive(t, refused)
}

// hasReason tells a row that is refused, by its reader or when it is cleaned;
// any other is a lead that can be posted.
func hasReason(t *testing.T, rules lead.Rules, row importer.Row) bool {
	t.Helper()
	if row.Refusal == nil {
		var l lead.Lead
		if l, _, row.Refusal = rules.Clean(row.Lead); row.Refusal == nil {
			require.NotEmpty(t, l.PhoneNumber)
			require.NotEmpty(t, l.ListID)
			return false
		}
	}
	require.NotEmpty(t, row.Refusal.Reason)
	require.NotEmpty(t, row.Refusal.Detail)
	return true
}
