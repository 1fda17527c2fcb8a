package report_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"importer/internal/dropfile"
	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/report"
)

func rejects(t require.TestingT, rows ...importer.Reject) string {
	var drops []importer.Drop
	for _, r := range rows {
		drops = append(drops, r.Drop)
	}
	var out bytes.Buffer
	w := report.NewRejects(&out, drops)
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
	r.Drop.Fields = make([]string, len(r.Cells))
	return r
}

func TestRejectsOfSeveralDropsAreOneTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, `Name,Phone,Phone,City,import_line,import_outcome,import_reason,import_note
Ann,1,2,,7,INVALID,phone_missing,why
Bo,3,,Rome,7,INVALID,phone_missing,why
Cy,,,,7,INVALID,phone_missing,why
`, rejects(t, reject("Name|Phone|Phone", "Ann|1|2"), reject("City|Phone|Name|import_note", "Rome|3|Bo|old"), reject("Name", "Cy")))
	require.Equal(t, "column 1,column 2,import_line,import_outcome,import_reason,import_note\nAnn,1,7,INVALID,phone_missing,why\n",
		rejects(t, reject("", "Ann|1")))
	require.Empty(t, rejects(t))
}

// again reads rejects as an import would, in whose feed the vendor's files are
// of quite another kind.
func again(t require.TestingT, text string) *dropfile.Reader {
	r, err := dropfile.Open(strings.NewReader(text), dropfile.Options{
		Region: "US", Encoding: "utf-16le", Delimiter: "pipe", Quote: "single", HeaderLine: -1,
	})
	require.NoError(t, err)
	return r
}

func TestRejectsAreImportedAgainAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`[ -~é\n;'"=+@-]{0,20}`),
			rapid.StringMatching(`[;'"=+@\t\n-]{0,6}[a-z]{1,3}`),
			rapid.SampledFrom([]string{"=1+1", "'=x", "''+1", "@me", "-", "two\nlines, \"quoted\"", "a;=1", "a;'=1", "a;\"=1\"", "\t=1", ""}),
		)
		phone := rapid.SampledFrom([]string{"+1 305 555 0101", "3055550102", "(305) 555-0103", "'3055550104"})
		header := rapid.SampledFrom([]string{"Full Name|Phone|Notes|Zip", "Full Name|Phone|Notes|Notes", "Full Name|Phone|=x|", ""}).Draw(t, "header")
		var cells [][]string
		var rows []importer.Reject
		for range rapid.IntRange(1, 5).Draw(t, "rows") {
			c := []string{rapid.SampledFrom([]string{"Ann Lee", "@Cy Day", "Bo O'Ray"}).Draw(t, "name"), phone.Draw(t, "phone"), text.Draw(t, "a"), text.Draw(t, "b")}
			row := reject(header, "")
			row.Cells, row.Drop.Fields = c, []string{"full_name", "phone_number", "comments", ""}
			cells, rows = append(cells, c), append(rows, row)
		}
		r := again(t, rejects(t, rows...))
		for i, want := range cells {
			row, err := r.Next()
			require.NoError(t, err)
			require.Nil(t, row.Refusal)
			require.Equal(t, want, row.Cells[:4], "%q", rejects(t, rows[i]))
			require.Equal(t, want[1], row.Lead.PhoneNumber)
			require.NotEmpty(t, row.Lead.LastName)
			if header == "" {
				require.Equal(t, want[2], row.Lead.Comments, "known before by its content or the feed")
			}
		}
		_, err := r.Next()
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestNoCellOfRejectsBeginsAFormula(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "'=1": "''=1", `"=1"`: `"'=1"`,
		"a;=1": "a;'=1", "a\n=1": "a\n'=1", `a;"=1"`: `a;"'=1"`, "a\t-1": "a\t'-1", "a;b=1": "a;b=1", "a=1": "a=1", "'tis": "'tis", "": "",
	} {
		require.Equal(t, want, report.Harmless(cell), cell)
	}
	r := reject("=Name|Phone", "Ann|+1")
	r.Note = "=note"
	require.Equal(t, "'=Name,Phone,import_line,import_outcome,import_reason,import_note\nAnn,'+1,7,INVALID,phone_missing,'=note\n", rejects(t, r))
}

func TestADamagedRecordIsNoRowUntilItIsPutInOrder(t *testing.T) {
	t.Parallel()
	const text = `3055550101,"Ann,Miami`
	damaged := reject("Phone|First|City", "3055550101|Ann|Miami")
	damaged.Text, damaged.Reason, damaged.Note = text, lead.RowFields, "too few"
	other := reject("Phone|First|City", "3055550102|Bo|Rome")
	file := rejects(t, damaged, other)
	require.Equal(t, `Phone,First,City,import_line,import_outcome,import_reason,import_note
"3055550101,""Ann,Miami",,,7,INVALID,row_fields,"too few; its text stands in its first column: put it into its columns, or empty import_reason if it is right as it is"
3055550102,Bo,Rome,7,INVALID,phone_missing,why
`, file)
	r := again(t, file)
	row, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, lead.RowFields, row.Refusal.Reason)
	require.Equal(t, text, row.Changes[0].From)
	row, err = r.Next()
	require.NoError(t, err)
	require.Nil(t, row.Refusal)

	for _, corrected := range []string{
		strings.Replace(file, `"3055550101,""Ann,Miami",,,`, "3055550101,Ann,Miami,", 1),
		strings.Replace(strings.Replace(file, `"3055550101,""Ann,Miami"`, "3055550101", 1), "row_fields", "", 1),
		strings.ReplaceAll(strings.Replace(file, `"3055550101,""Ann,Miami",,,`, "3055550101;Ann;Miami;", 1), ",", ";"), // by a spreadsheet in Europe
	} {
		row, err := again(t, corrected).Next()
		require.NoError(t, err)
		require.Nil(t, row.Refusal, corrected)
		require.Equal(t, "3055550101", row.Lead.PhoneNumber)
	}
}
