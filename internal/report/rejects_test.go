package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/importer"
	"importer/internal/report"
)

func rejects(t *testing.T, rows ...importer.Reject) string {
	t.Helper()
	var headers [][]string
	for _, r := range rows {
		headers = append(headers, r.Drop.Header)
	}
	var out bytes.Buffer
	w := report.NewRejects(&out, headers)
	for _, r := range rows {
		require.NoError(t, w.Add(r))
	}
	require.NoError(t, w.Close())
	return out.String()
}

func reject(header, cells string) importer.Reject {
	r := importer.Reject{Cells: strings.Split(cells, "|"), Line: 7, Outcome: importer.OutcomeInvalid, Reason: "phone_missing", Note: "why"}
	if header != "" {
		r.Drop.Header = strings.Split(header, "|")
	}
	return r
}

func TestRejectsOfSeveralDropsAreOneTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, `Name,Phone,Phone,City,import_line,import_outcome,import_reason,import_note
Ann,1,2,,7,INVALID,phone_missing,why
Bo,3,,Rome,7,INVALID,phone_missing,why
Cy,,,,7,INVALID,phone_missing,why,5,6
`, rejects(t, reject("Name|Phone|Phone", "Ann|1|2"), reject("City|Phone|Name|import_note", "Rome|3|Bo|old"), reject("Name", "Cy|5|6")))
	require.Equal(t, "column 1,column 2,import_line,import_outcome,import_reason,import_note\nAnn,1,7,INVALID,phone_missing,why\n",
		rejects(t, reject("", "Ann|1")))
	require.Empty(t, rejects(t))
}

func TestRejectsAreImportedAgainAsTheyWere(t *testing.T) {
	t.Parallel()
	const header = "First|Notes|Phone"
	cells := [][]string{
		{"Ann", "=1+1", "+1 305 555 0101"}, {"'Bo", "'=x", "3055550102"}, {"@Cy", "two\nlines, \"quoted\"", "(305) 555-0103"},
	}
	var rows []importer.Reject
	for _, c := range cells {
		rows = append(rows, reject(header, strings.Join(c, "|")))
	}
	text := rejects(t, rows...)
	for _, cell := range []string{",=", ",+", "\n@"} {
		require.NotContains(t, text, cell)
	}
	r, err := dropfile.Open(strings.NewReader(text), dropfile.Options{Region: "US"})
	require.NoError(t, err)
	what, _ := r.Changed(strings.Split(header, "|"))
	require.Empty(t, what, "our columns are no change of the vendor's header")
	for _, want := range cells {
		row, err := r.Next()
		require.NoError(t, err)
		require.Nil(t, row.Refusal)
		require.Equal(t, want, row.Cells[:3])
		require.Equal(t, want[2], row.Lead.PhoneNumber)
		require.Equal(t, want[1], row.Lead.Comments)
	}
	for _, m := range r.Mapping()[3:] {
		require.Empty(t, m.Field, m.Header)
	}
}
