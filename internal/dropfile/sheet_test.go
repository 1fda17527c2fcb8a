package dropfile_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
	"importer/internal/lead"
)

// tableOf reads a whole table.
func tableOf(t *testing.T, text string, o dropfile.Options) ([]string, []dropfile.Record, *dropfile.Table) {
	t.Helper()
	table, err := dropfile.OpenTable(strings.NewReader(text), o)
	require.NoError(t, err)
	var records []dropfile.Record
	for {
		r, err := table.Next()
		if errors.Is(err, io.EOF) {
			return table.Header(), records, table
		}
		require.NoError(t, err)
		records = append(records, r)
	}
}

// TestASheetIsReadAsItIsWhateverTheFeedSays: the settings of a feed are for its
// texts.
func TestASheetIsReadAsItIsWhateverTheFeedSays(t *testing.T) {
	t.Parallel()
	sheet := container.SheetMark + "\"Leads; of 'May'\"\n\n\"First\nName\",\"Phone\",\"Größe\"\n" +
		"\"Rosa \"\"R\"\"\",\"3055550101\",\"1;2\"\n,\"3055550102\"\n\"# Ada\",\"3055550103\",\"\\\\\"\n"
	for _, o := range []dropfile.Options{
		{},
		{Encoding: "utf-16le", Delimiter: ";", Quote: "single", Escape: "backslash", RecordEnd: "cr"},
		{Encoding: "windows-1252", Delimiter: "tab", Quote: "none", Escape: "none", RecordEnd: "crlf"},
		{HeaderLine: 3},
	} {
		header, records, _ := tableOf(t, sheet, o)
		require.Equal(t, []string{"First\nName", "Phone", "Größe"}, header)
		var cells [][]string
		for _, r := range records {
			require.Empty(t, r.Changes)
			cells = append(cells, r.Cells)
		}
		require.Equal(t, [][]string{{`Rosa "R"`, "3055550101", "1;2"}, {"", "3055550102", ""}, {"# Ada", "3055550103", `\\`}}, cells)
		require.Equal(t, []int{4, 5, 6}, []int{records[0].Line, records[1].Line, records[2].Line}, "its rows in the workbook")
	}
	_, records, _ := tableOf(t, sheet, dropfile.Options{HeaderLine: -1})
	require.Equal(t, "First\nName", records[0].Cells[0])
	r, err := dropfile.Open(strings.NewReader(sheet), dropfile.Options{Columns: map[string]string{"first_name": "First Name"}})
	require.NoError(t, err, "a line break in a header is a blank to whoever names it")
	require.Equal(t, "first_name", r.Mapping()[0].Field)
}

func TestASheetsRowsKeepTheirColumns(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(container.SheetMark + "\"First\",\"Phone\"\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "\"Rosa\",\"30555501%02d\"\n", i%100)
		if i == 10 {
			b.WriteString("\"Ada\",\"3055550111\",,\"call late\"\n") // widens the table
		}
		if i == 900 {
			b.WriteString("\"Bo\",\"3055550112\",,\"call late\",,\"or early\"\n") // too late for that
		}
	}
	header, records, table := tableOf(t, b.String(), dropfile.Options{})
	require.Equal(t, []string{"First", "Phone", "", ""}, header)
	require.Len(t, records, 1002)
	for _, r := range records {
		require.Nil(t, r.Refusal)
		require.Len(t, r.Cells, 4)
	}
	require.Equal(t, []string{"Ada", "3055550111", "", "call late"}, records[11].Cells)
	require.Equal(t, []string{"Bo", "3055550112", "", "call late"}, records[902].Cells)
	require.Equal(t, []lead.Change{{Field: "record", From: " or early", Why: "what stands right of the table's columns was left out"}}, records[902].Changes)
	require.Equal(t, 1, table.Explain().Repaired)
}

func TestASheetThatIsCutOffIsAnError(t *testing.T) {
	t.Parallel()
	_, err := dropfile.Open(strings.NewReader(container.SheetMark+"\"First\",\"Pho\nne"), dropfile.Options{})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = dropfile.OpenTable(strings.NewReader(container.SheetMark+`"`+strings.Repeat("x\n", 1<<20)), dropfile.Options{})
	require.EqualError(t, err, "the record that begins on line 1 is longer than 1048576 bytes: the file is damaged or is no CSV")
}

// FuzzSheet: whatever stands behind the mark, each record has the table's
// columns, or the reading ends with an error.
func FuzzSheet(f *testing.F) {
	f.Add("\"First\",\"Phone\"\n\"Rosa\",\"3055550101\"\n\n,\"3055550102\",\"x\"\n")
	f.Add("\"a\"\"b\"c,\"d\ne\"\n\"\"\n,,,\n")
	f.Fuzz(func(t *testing.T, rows string) {
		table, err := dropfile.OpenTable(strings.NewReader(container.SheetMark+rows), dropfile.Options{})
		if err != nil {
			return
		}
		for number := 1; ; number++ {
			r, err := table.Next()
			if err != nil {
				return
			}
			require.Equal(t, number, r.Number)
			require.Len(t, r.Cells, table.Fields())
		}
	})
}
