package container_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"importer/internal/dropfile/container"
)

// saved is a workbook's bytes.
func saved(t *testing.T, f *excelize.File) []byte {
	t.Helper()
	b, err := f.WriteToBuffer()
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return b.Bytes()
}

// workbook makes a workbook of one sheet.
func workbook(t *testing.T, rows [][]any) []byte {
	t.Helper()
	f := excelize.NewFile()
	for i, row := range rows {
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		require.NoError(t, err)
		require.NoError(t, f.SetSheetRow("Sheet1", cell, &row))
	}
	return saved(t, f)
}

// handmade makes a workbook of one sheet from the XML of its rows and of its
// shared texts. Its cell style 1 has the format.
func handmade(t testing.TB, format, rows, texts string) []byte {
	t.Helper()
	var code bytes.Buffer
	require.NoError(t, xml.EscapeText(&code, []byte(format)))
	const head = `<?xml version="1.0" encoding="UTF-8"?>`
	return zipped(
		t,
		member{"[Content_Types].xml", []byte(head + `<Types/>`)},
		member{"xl/workbook.xml", []byte(head + `<workbook><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`)},
		member{"xl/_rels/workbook.xml.rels", []byte(head + `<Relationships>
			<Relationship Id="rId1" Type="x/worksheet" Target="worksheets/sheet1.xml"/>
			<Relationship Id="rId2" Type="x/sharedStrings" Target="/xl/sharedStrings.xml"/>
			<Relationship Id="rId3" Type="x/styles" Target="styles.xml"/></Relationships>`)},
		member{"xl/styles.xml", []byte(head + `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="` + code.String() + `"/></numFmts>
			<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>`)},
		member{"xl/sharedStrings.xml", []byte(head + `<sst>` + texts + `</sst>`)},
		member{"xl/worksheets/sheet1.xml", []byte(head + `<worksheet><sheetData>` + rows + `</sheetData></worksheet>`)},
	)
}

func TestSharedTextsAreFoundInAnyOrder(t *testing.T) {
	t.Parallel()
	const count = 400
	texts := make([]string, count) // of more than a megabyte: they are not all held
	var items, rows, want strings.Builder
	for i := range texts {
		texts[i] = strings.Repeat(fmt.Sprintf("%d.", i), i*i%1800)
		fmt.Fprintf(&items, "<si><t>%s</t></si>", texts[i])
	}
	for row := range 2 * count {
		i := row * 163 % count // 163 and 400 have no factor in common
		fmt.Fprintf(&rows, `<row><c t="inlineStr"><is><t>%d</t></is></c><c t="s"><v>%d</v></c><c t="s"><v>1</v></c></row>`, row, i)
		fmt.Fprintf(&want, "\"%d\",", row)
		if texts[i] != "" {
			fmt.Fprintf(&want, "%q", texts[i])
		}
		fmt.Fprintf(&want, ",%q\n", texts[1])
	}
	got, err := unpack(t, "book.xlsx", handmade(t, "", rows.String(), items.String()), container.Options{})
	require.NoError(t, err)
	require.Len(t, got, 1)
	wanted := strings.Split(container.SheetMark+want.String(), "\n")
	lines := strings.Split(got[0].Content, "\n")
	require.Len(t, lines, len(wanted))
	for i, line := range lines {
		require.Equal(t, wanted[i], line)
	}
}

func TestASheetIsWrittenAsAPersonSeesIt(t *testing.T) {
	t.Parallel()
	f := excelize.NewFile()
	day := time.Date(1980, 3, 4, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		value  any
		format string
		want   string
	}{
		{"text", "", "text"},
		{"00501", "", "00501"},
		{"3,5 \"quoted\"", "", `3,5 ""quoted""`},
		{" blanks ", "", " blanks "},
		{"two\nlines\r\nthree", "", "two\nlines\nthree"},
		{2176230034, "", "2176230034"},
		{2176230034, "0.00E+00", "2176230034"},
		{2176230034, "General", "2176230034"},
		{2176230034, "@", "2176230034"},
		{2176230034, "(000) 000-0000", "(217) 623-0034"},
		{2176230034, "[<=9999999]###-####;(###) ###-####", "(217) 623-0034"},
		{5550123, "[<=9999999]###-####;(###) ###-####", "555-0123"},
		{2176230034, `"+1" 000\-000\-0000`, "+1 217-623-0034"},
		{2.17623e+09, "", "2176230000"},
		{123456789012345678, "0", "123456789012345678"},
		{501, "00000", "00501"},
		{21340007, "00000-0000", "02134-0007"},
		{78051120, "000-00-0000", "078-05-1120"},
		{0.1 + 0.2, "", "0.3"},
		{12.5, "", "12.5"},
		{-12.5, "", "-12.5"},
		{1234.5, "#,##0.00", "1,234.50"},
		{1234567, "#,##0", "1,234,567"},
		{12, "#,##0", "12"},
		{-1234.5, "#,##0.00;(#,##0.00)", "(1,234.50)"},
		{-5, "0", "-5"},
		{1234.5, "[$€-407] #,##0.00", "€ 1,234.50"},
		{1234.5, `_($* #,##0.00_);_($* (#,##0.00);_($* "-"??_);_(@_)`, "$1,234.50"},
		{0.155, "0.0%", "15.5%"},
		{1500000, "0.0,,", "1.5"},
		{1.5, "0.##", "1.5"},
		{2, "0.##", "2"},
		{0.5, "#.00", ".50"},
		{0.25, "# ?/?", "0.25"},
		{0, "0;-0;;@", ""},
		{7, "0;-0;;@", "7"},
		{1, `"yes";;"no"`, "yes"},
		{0, `"yes";;"no"`, "no"},
		{true, "", "TRUE"},
		{false, "", "FALSE"},
		{day, "m/d/yyyy", "1980-03-04"},
		{day, "dd.mm.yy", "1980-03-04"},
		{day, "[$-409]d-mmm-yyyy;@", "1980-03-04"},
		{day, "mmmm", "1980-03-04"},
		{day.Add(14*time.Hour + 30*time.Minute), "m/d/yyyy", "1980-03-04"},
		{day.Add(24*time.Hour - time.Millisecond), "m/d/yyyy", "1980-03-04"},
		{day.Add(14*time.Hour + 30*time.Minute), "m/d/yy h:mm AM/PM", "1980-03-04 14:30:00"},
		{0.604166666666667, "h:mm", "14:30:00"},
		{1.5, "[h]:mm:ss", "36:00:00"},
		{1, "yyyy-mm-dd", "1900-01-01"},
		{61, "yyyy-mm-dd", "1900-03-01"},
		{2176230034, "m/d/yyyy", "2176230034"},
		{-1, "m/d/yyyy", "-1"},
	} {
		require.NoError(t, f.SetCellValue("Sheet1", "A1", c.value))
		if c.format != "" {
			style, err := f.NewStyle(&excelize.Style{CustomNumFmt: &c.format})
			require.NoError(t, err)
			require.NoError(t, f.SetCellStyle("Sheet1", "A1", "A1", style))
		} else if _, isTime := c.value.(time.Time); !isTime {
			require.NoError(t, f.SetCellStyle("Sheet1", "A1", "A1", 0))
		}
		require.NoError(t, f.SetCellValue("Sheet1", "B1", "end"))
		b, err := f.WriteToBuffer()
		require.NoError(t, err)
		texts, err := unpack(t, "book.xlsx", b.Bytes(), container.Options{})
		require.NoError(t, err)
		want := `"` + c.want + `","end"` + "\n"
		if c.want == "" {
			want = `,"end"` + "\n"
		}
		require.Equal(t, []text{{"book.xlsx/Sheet1", container.SheetMark + want}}, texts, "%v as %q", c.value, c.format)
	}
	require.NoError(t, f.Close())
}

func TestEverySheetThatHoldsSomethingIsADrop(t *testing.T) {
	t.Parallel()
	f := excelize.NewFile()
	for _, name := range []string{"East", "Notes", "Secret", "Very secret", "Chart"} {
		_, err := f.NewSheet(name)
		require.NoError(t, err)
	}
	require.NoError(t, f.SetSheetRow("East", "A1", &[]any{"phone", "name"}))
	require.NoError(t, f.SetSheetRow("East", "A2", &[]any{"3055550123"}))
	require.NoError(t, f.SetCellValue("Notes", "B3", "call before noon"))
	for _, name := range []string{"Secret", "Very secret"} {
		require.NoError(t, f.SetCellValue(name, "A1", "hidden"))
		require.NoError(t, f.SetSheetVisible(name, false, name == "Very secret"))
	}
	require.NoError(t, f.AddChart("Chart", "A1", &excelize.Chart{Type: excelize.Line, Series: []excelize.ChartSeries{{Values: "East!$A$1:$A$2"}}}))
	var said []string
	texts, err := unpack(t, "book.xlsx", saved(t, f), container.Options{Say: func(s string) { said = append(said, s) }})
	require.NoError(t, err)
	require.Equal(t, []text{
		{"book.xlsx/East", container.SheetMark + "\"phone\",\"name\"\n\"3055550123\"\n"},
		{"book.xlsx/Notes", container.SheetMark + "\n\n,\"call before noon\"\n"},
	}, texts)
	require.Equal(t, []string{
		"book.xlsx/Secret: the sheet is hidden in the workbook and was left out",
		"book.xlsx/Very secret: the sheet is hidden in the workbook and was left out",
	}, said)
}

func TestAWorkbookWithoutContentIsAnEmptyFile(t *testing.T) {
	t.Parallel()
	texts, err := unpack(t, "book.xlsx", workbook(t, nil), container.Options{})
	require.NoError(t, err)
	require.Equal(t, []text{{"book.xlsx/Sheet1", ""}}, texts)
}

func TestALineOfASheetHasItsRowsNumber(t *testing.T) {
	t.Parallel()
	f := excelize.NewFile()
	require.NoError(t, f.SetCellValue("Sheet1", "A1", "Leads of May"))
	require.NoError(t, f.SetSheetRow("Sheet1", "A3", &[]any{"first", "last", "phone"}))
	require.NoError(t, f.SetSheetRow("Sheet1", "A4", &[]any{"Rosa", nil, "3055550123"}))
	require.NoError(t, f.SetSheetRow("Sheet1", "A7", &[]any{"Ada"}))
	require.NoError(t, f.MergeCell("Sheet1", "A1", "C1"))
	require.NoError(t, f.SetRowHeight("Sheet1", 900, 20)) // an empty row that is formatted
	texts, err := unpack(t, "book.xlsx", saved(t, f), container.Options{})
	require.NoError(t, err)
	require.Equal(t, []text{{"book.xlsx/Sheet1", container.SheetMark + `"Leads of May"

"first","last","phone"
"Rosa",,"3055550123"


"Ada"
`}}, texts)
}

func TestWhatOtherProgramsWriteIsRead(t *testing.T) {
	t.Parallel()
	for rows, want := range map[string]string{
		`<row><c t="inlineStr"><is><t>Ro</t></is></c><c t="inlineStr"><is><r><t>A</t></r><r><t>da</t></r></is></c></row>`: `"Ro","Ada"`,
		`<row><c t="s"/><c/><c t="inlineStr"><is><t>Ada</t></is></c></row>`:                                               `,,"Ada"`,
		`<x:row r="1"><x:c r="B1" t="str"><x:f>A1&amp;"x"</x:f><x:v>x</x:v></x:c></x:row>`:                                `,"x"`,
		`<row r="1"><c r="A1" t="e"><f>A9</f><v>#REF!</v></c></row>`:                                                      `"#REF!"`,
		`<row r="1"><c r="A1" t="d"><v>2024-05-06T00:00:00</v></c></row>`:                                                 `"2024-05-06"`,
		`<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>`:                                       "\"Böhm\",,\"a\nb\"",
		`<row r="1"><c r="A1"><f>1+1</f><v>2</v></c></row>`:                                                               `"2"`,
		`<row r="1"><c r="A1"><f>1+1</f></c><c r="B1"><v>1</v></c></row>`:                                                 `,"1"`,
		`<row r="1"><c r="A1"><v>2.176230034E9</v></c></row>`:                                                             `"2176230034"`,
		`<row r="1"><c r="A1"><v>00501</v></c></row>`:                                                                     `"00501"`,
	} {
		texts, err := unpack(t, "book.xlsx", handmade(t, "", rows, `<si><t>Böhm</t><rPh><t>reading</t></rPh></si><si><t>a_x000D_&#10;b</t></si>`), container.Options{})
		require.NoError(t, err, rows)
		require.Equal(t, []text{{"book.xlsx/Sheet1", container.SheetMark + want + "\n"}}, texts, rows)
	}
}

func TestADamagedSheetIsAnError(t *testing.T) {
	t.Parallel()
	for _, rows := range []string{
		`<row r="1"><c r="A1"`, `<row r="1048577"><c><v>1</v></c></row>`, `<row><c r="XFE1"><v>1</v></c></row>`,
		`<row><c r="AAAAAAAAAAAAAAAAAA1"><v>1</v></c></row>`, `<row><c r="1"><v>1</v></c></row>`,
		`<row><c t="s"><v>9</v></c></row>`, `<row><c t="s"><v>-1</v></c></row>`, `<row><c t="s"><v>x</v></c></row>`,
		"\x00", "<row>\xff", `<row>&nosuch;</row>`,
	} {
		_, err := discard(t, "book.xlsx", handmade(t, "", rows, "<si><t>a</t></si>"), container.Options{})
		var bad *container.Error
		require.ErrorAs(t, err, &bad, rows)
		require.Contains(t, bad.Error(), "book.xlsx/Sheet1: the file is damaged")
	}
}

func TestNotesSayWhatWasChanged(t *testing.T) {
	t.Parallel()
	var said []string
	_, err := unpack(t, "book.xlsx", handmade(t, "",
		`<row><c><f>B1</f></c><c><f>B2</f></c><c><v>1</v></c></row><row hidden="1"/><row hidden="1"><c><v>2</v></c></row>`, ""),
		container.Options{Say: func(s string) { said = append(said, s) }})
	require.NoError(t, err)
	require.Equal(t, []string{
		"book.xlsx/Sheet1: what is hidden in the sheet was read too (rows: 1, columns: 0)",
		"book.xlsx/Sheet1: formulas without a stored result were read as empty (cells: 2): open the workbook in Excel, save it, and import it again",
	}, said)
}
