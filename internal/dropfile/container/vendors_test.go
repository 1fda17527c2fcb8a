package container_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile/container"
)

const (
	spreadsheetML = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"`
	strictML      = `xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main" xmlns:r="http://purl.oclc.org/ooxml/officeDocument/relationships"`
	relation      = `http://schemas.openxmlformats.org/officeDocument/2006/relationships/`
)

// parts are a workbook's parts by their paths.
type parts map[string]string

// with returns the parts with others in their places; one that is empty is
// left out.
func (p parts) with(others parts) parts {
	p = maps.Clone(p)
	for name, content := range others {
		if p[name] = content; content == "" {
			delete(p, name)
		}
	}
	return p
}

func (p parts) file(t testing.TB) []byte {
	t.Helper()
	var members []member
	for _, name := range slices.Sorted(maps.Keys(p)) {
		members = append(members, member{name, []byte(p[name])})
	}
	return zipped(t, members...)
}

// excel is a workbook as Excel writes it.
var excel = parts{
	"[Content_Types].xml": `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>`,
	"_rels/.rels":     `<Relationships><Relationship Id="rId1" Type="` + relation + `officeDocument" Target="xl/workbook.xml"/></Relationships>`,
	"xl/workbook.xml": `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><workbook ` + spreadsheetML + `><workbookPr defaultThemeVersion="166925"/><sheets><sheet name="Leads" sheetId="1" r:id="rId1"/></sheets><calcPr calcId="191029"/></workbook>`,
	"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId3" Type="` + relation + `styles" Target="styles.xml"/><Relationship Id="rId1" Type="` + relation + `worksheet" Target="worksheets/sheet1.xml"/>` +
		`<Relationship Id="rId4" Type="` + relation + `sharedStrings" Target="sharedStrings.xml"/></Relationships>`,
	"xl/styles.xml": `<styleSheet ` + spreadsheetML + `><numFmts count="2"><numFmt numFmtId="164" formatCode="[&lt;=9999999]###\-####;\(###\)\ ###\-####"/><numFmt numFmtId="165" formatCode="dd\.mm\.yyyy;@"/></numFmts>
<cellStyleXfs count="1"><xf numFmtId="14"/></cellStyleXfs><cellXfs count="5"><xf numFmtId="0" xfId="0"/><xf numFmtId="164" xfId="0" applyNumberFormat="1"/><xf numFmtId="165" applyNumberFormat="1"/><xf numFmtId="14"/><xf numFmtId="22"/></cellXfs></styleSheet>`,
	"xl/sharedStrings.xml": `<sst ` + spreadsheetML + ` count="3" uniqueCount="3"><si><t>Name</t></si><si><t>Phone</t></si><si><r><rPr><b/></rPr><t>Ro</t></r><r><t xml:space="preserve">sa </t></r><r><t/></r></si></sst>`,
	"xl/worksheets/sheet1.xml": `<worksheet ` + spreadsheetML + `><dimension ref="A1:C2"/><sheetViews><sheetView tabSelected="1" workbookViewId="0"><pane ySplit="1" topLeftCell="A2" state="frozen"/></sheetView></sheetViews><sheetFormatPr defaultRowHeight="15"/><cols><col min="1" max="1" width="12"/></cols>
<sheetData><row r="1" spans="1:3"><c r="A1" s="1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row><row r="2" spans="1:3"><c r="A2" t="s"><v>2</v></c><c r="B2" s="1"><v>3055550123</v></c><c r="C2" s="2"><v>29284</v></c></row></sheetData><autoFilter ref="A1:C2"/><pageMargins left="0.7"/></worksheet>`,
}

func TestWorkbooksOfManyProgramsAreRead(t *testing.T) {
	t.Parallel()
	const whole = "\"Name\",\"Phone\"\n\"Rosa \",\"(305) 555-0123\",\"1980-03-04\"\n"
	sheet := excel["xl/worksheets/sheet1.xml"]
	for name, tc := range map[string]struct {
		other parts
		want  string
	}{
		"Excel": {nil, whole},
		"Excel, days counted from 1904": {
			parts{"xl/workbook.xml": strings.Replace(excel["xl/workbook.xml"], "<workbookPr ", `<workbookPr date1904="1" `, 1)},
			strings.Replace(whole, "1980-03-04", "1984-03-05", 1),
		},
		"Excel, strict": {parts{
			"xl/workbook.xml":            strings.ReplaceAll(excel["xl/workbook.xml"], spreadsheetML, strictML),
			"xl/_rels/workbook.xml.rels": strings.ReplaceAll(excel["xl/_rels/workbook.xml.rels"], relation, "http://purl.oclc.org/ooxml/officeDocument/relationships/"),
			"xl/worksheets/sheet1.xml": strings.NewReplacer(spreadsheetML, strictML,
				`<c r="C2" s="2"><v>29284</v></c>`, `<c r="C2" s="2" t="d"><v>1980-03-04T00:00:00.000</v></c>`).Replace(sheet),
		}, whole},
		"paths from the root": {parts{"xl/_rels/workbook.xml.rels": strings.ReplaceAll(excel["xl/_rels/workbook.xml.rels"], `Target="`, `Target="/xl/`)}, whole},
		"paths up and down":   {parts{"xl/_rels/workbook.xml.rels": strings.ReplaceAll(excel["xl/_rels/workbook.xml.rels"], `Target="`, `Target="../xl/./`)}, whole},
		"backslashes": {parts{
			"xl/_rels/workbook.xml.rels": strings.ReplaceAll(excel["xl/_rels/workbook.xml.rels"], "worksheets/sheet1", `worksheets\sheet1`),
			"xl/worksheets/sheet1.xml":   "", `xl\worksheets\sheet1.xml`: sheet,
		}, whole},
		"other letters": {parts{"xl/worksheets/sheet1.xml": "", "xl/worksheets/Sheet1.xml": sheet}, whole},
		"another name": {parts{
			"[Content_Types].xml": strings.ReplaceAll(excel["[Content_Types].xml"], "/xl/workbook.xml", "/book/main.xml"),
			"xl/workbook.xml":     "", "book/main.xml": excel["xl/workbook.xml"],
			"xl/_rels/workbook.xml.rels": "", "book/_rels/main.xml.rels": strings.ReplaceAll(excel["xl/_rels/workbook.xml.rels"], `Target="`, `Target="/xl/`),
		}, whole},
		"no relation to texts and styles": {parts{"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId1" Type="x/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`}, whole},
		"prefixes":                        {parts{"xl/worksheets/sheet1.xml": strings.NewReplacer("</", "</x:", "<", "<x:").Replace(sheet)}, whole},
		"no dimension":                    {parts{"xl/worksheets/sheet1.xml": strings.Replace(sheet, `<dimension ref="A1:C2"/>`, "", 1)}, whole},
		"a wrong dimension":               {parts{"xl/worksheets/sheet1.xml": strings.Replace(sheet, `A1:C2"`, `A1"`, 1)}, whole},
		"byte-order marks": {parts{
			"xl/workbook.xml": "\ufeff" + excel["xl/workbook.xml"], "xl/worksheets/sheet1.xml": "\ufeff" + sheet,
			"xl/sharedStrings.xml": "\ufeff" + excel["xl/sharedStrings.xml"], "xl/styles.xml": "\ufeff" + excel["xl/styles.xml"],
		}, whole},
		"UTF-16": {parts{"xl/sharedStrings.xml": utf16LE(`<?xml version="1.0" encoding="UTF-16"?>` + excel["xl/sharedStrings.xml"])}, whole},
		"Apache POI, streaming": {parts{
			"xl/sharedStrings.xml": "", "xl/worksheets/sheet1.xml": `<worksheet ` + spreadsheetML + `><dimension ref="A1"/><sheetViews><sheetView workbookViewId="0"/></sheetViews><sheetData>
<row r="1"><c r="A1" t="inlineStr"><is><t>Name</t></is></c><c r="B1" t="inlineStr"><is><t>Phone</t></is></c></row>
<row r="2"><c r="A2" t="inlineStr"><is><t>Rosa </t></is></c><c r="B2" s="1" t="n"><v>3.055550123E9</v></c><c r="C2" t="n" s="2"><v>29284.0</v></c></row>
</sheetData><pageMargins/></worksheet>`,
		}, whole},
		"openpyxl":      {parts{"xl/worksheets/sheet1.xml": `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetPr><outlinePr summaryBelow="1"/></sheetPr><dimension ref="A1:C2"/><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1"/></row><row r="2"><c r="A2" t="s"><v>2</v></c><c r="B2" s="1" t="n"><v>3055550123</v></c><c r="C2" s="3" t="n"><v>29284</v></c></row></sheetData></worksheet>`}, whole},
		"Google Sheets": {parts{"xl/worksheets/sheet1.xml": `<worksheet ` + spreadsheetML + `><sheetData><row r="1"><c r="A1" s="0" t="s"><v>0</v></c><c r="B1" s="0" t="s"><v>1</v></c></row><row r="2"><c r="A2" s="0" t="s"><v>2</v></c><c r="B2" s="1"><v>3.055550123E9</v></c><c r="C2" s="2"><v>29284.0</v></c><c r="D2" s="3"/></row><row r="3"><c r="A3" s="1"/></row><row r="1000"><c r="A1000" s="1"/></row></sheetData></worksheet>`}, whole},
		"LibreOffice":   {parts{"xl/worksheets/sheet1.xml": `<worksheet ` + spreadsheetML + `><sheetPr filterMode="false"/><cols><col collapsed="false" hidden="false" min="1" max="1025"/></cols><sheetData><row r="1" customFormat="false" hidden="false"><c r="A1" s="0" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row><row r="2" hidden="false"><c r="A2" t="s"><v>2</v></c><c r="B2" s="1" t="n"><f aca="false">3055550122+1</f><v>3055550123</v></c><c r="C2" s="2" t="n"><v>29284</v></c></row><row r="1048576" customHeight="1"/></sheetData></worksheet>`}, whole},
		"no references": {
			parts{"xl/worksheets/sheet1.xml": `<worksheet><sheetData><row><c t="s"><v>0</v></c><c/><c t="s"><v>1</v></c><c t="s"/><c t="b"/><c t="str"><v></v></c><c><v>7</v></c></row></sheetData></worksheet>`},
			"\"Name\",,\"Phone\",,,,\"7\"\n",
		},
		"gaps": {
			parts{"xl/worksheets/sheet1.xml": `<worksheet><sheetData><row r="2"><c r="C2"><v>1</v></c><c r="F2"><v>2</v></c></row><row r="4"><c r="a4"><v>3</v></c></row></sheetData></worksheet>`},
			"\n,,\"1\",,,\"2\"\n\n\"3\"\n",
		},
		"values beside their places": {
			parts{"xl/worksheets/sheet1.xml": `<worksheet><sheetData><row><c t="inlineStr"><v>x</v></c><c t="str"><f>A1&amp;""</f><v>0305</v></c><c t="str"><v>a_x000D_
b_x005F_x000D_</v></c><c t="e"><v>#N/A</v></c><c t="b"><v>1</v></c></row></sheetData></worksheet>`},
			"\"x\",\"0305\",\"a\nb_x000D_\",\"#N/A\",\"TRUE\"\n",
		},
		"dates as text": {
			parts{"xl/worksheets/sheet1.xml": `<worksheet><sheetData><row><c t="d"><v>1980-03-04T14:30:00Z</v></c><c t="d" s="4"><v>1980-03-04T00:00:00</v></c><c t="d"><v>1980-03-04</v></c><c t="d"><v>14:30:00</v></c><c t="d"><v>soon</v></c></row></sheetData></worksheet>`},
			"\"1980-03-04 14:30:00\",\"1980-03-04 00:00:00\",\"1980-03-04\",\"14:30:00\",\"soon\"\n",
		},
		"a date above a column": {parts{"xl/worksheets/sheet1.xml": `<worksheet><sheetData><row><c s="3"><v>45000</v></c></row></sheetData></worksheet>`}, "\"2023-03-15\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts, err := unpack(t, "book.xlsx", excel.with(tc.other).file(t), container.Options{})
			require.NoError(t, err)
			require.Equal(t, []text{{"book.xlsx/Leads", container.SheetMark + tc.want}}, texts)
		})
	}
}

func utf16LE(s string) string {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return string(out)
}

// TestEachBuiltInFormatIsShown: workbooks name these by number alone.
func TestEachBuiltInFormatIsShown(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"0": "29284.604166667", "1": "29285", "2": "29284.60", "3": "29,285", "4": "29,284.60", "9": "2928460%", "10": "2928460.42%",
		"11": "29284.604166667", "12": "29284.604166667", "49": "29284.604166667", "37": "29,285", "39": "29,284.60", "44": "$29,284.60",
		"14": "1980-03-04", "15": "1980-03-04", "16": "1980-03-04", "17": "1980-03-04", "18": "14:30:00", "19": "14:30:00", "20": "14:30:00", "21": "14:30:00",
		"22": "1980-03-04 14:30:00", "27": "1980-03-04", "30": "1980-03-04", "36": "1980-03-04", "57": "1980-03-04", "32": "14:30:00",
		"45": "14:30:00", "46": "702830:30:00", "47": "14:30:00", "99": "29284.604166667",
	} {
		file := excel.with(parts{
			"xl/styles.xml":            `<styleSheet><cellXfs><xf numFmtId="` + id + `"/></cellXfs></styleSheet>`,
			"xl/worksheets/sheet1.xml": `<worksheet><sheetData><row><c s="0"><v>29284.604166667</v></c></row></sheetData></worksheet>`,
		}).file(t)
		texts, err := unpack(t, "book.xlsx", file, container.Options{})
		require.NoError(t, err)
		require.Equal(t, []text{{"book.xlsx/Leads", container.SheetMark + `"` + want + "\"\n"}}, texts, "format %s", id)
	}
}

func TestNumbersAreRoundedAsExcelDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ format, value, want string }{
		{"0", "12.5", "13"},
		{"0", "0.5", "1"},
		{"0", "0.49", "0"},
		{"0.00", "1.005", "1.01"},
		{"0.00", "0.125", "0.13"},
		{"0.0", "99.95", "100.0"},
		{"0.00", "0.0004", "0.00"},
		{"0.00", "0.006", "0.01"},
		{"#,##0", "999999.5", "1,000,000"},
		{"0", "1e15", "1000000000000000"},
		{"0.00", "123456789012345678", "123456789012345678.00"},
		{"0%", "0.155", "16%"},
		{"000-0000", "5550123.0", "555-0123"},
		{"00000", "501.0", "00501"},
		{"\"+\"0", "13055550123", "+13055550123"},
		{"0 kg", "70.5", "70.5"},
		{"mm:ss.00", "0.5", "12:00:00"},
		{"[$-F400]h:mm:ss\\ AM/PM", "0.75", "18:00:00"},
		{"[$-409]d\\-mmm\\-yyyy;@", "29284", "1980-03-04"},
		{"[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy", "29284", "1980-03-04"},
		{`yyyy"年"m"月"d"日"`, "29284", "1980-03-04"},
		{"dd/mm/yyyy\\ hh:mm", "29284.5", "1980-03-04 12:00:00"},
		{"yyyy-mm-dd", "0", "1900-01-00"},
		{"yyyy-mm-dd hh:mm", "60.5", "1900-02-29 12:00:00"},
		{"d/m/yy", "59", "1900-02-28"},
	} {
		texts, err := unpack(t, "book.xlsx", handmade(t, c.format, `<row><c s="1"><v>`+c.value+`</v></c></row>`, ""), container.Options{})
		require.NoError(t, err)
		require.Equal(t, []text{{"book.xlsx/Sheet1", container.SheetMark + `"` + c.want + "\"\n"}}, texts, "%s as %s", c.value, c.format)
	}
}

func TestWhatIsHiddenInASheetIsReadAndSaid(t *testing.T) {
	t.Parallel()
	var said []string
	_, err := unpack(t, "book.xlsx", excel.with(parts{
		"xl/worksheets/sheet1.xml": `<worksheet><cols><col min="2" max="2" hidden="1"/><col min="4" max="16384" hidden="1"/></cols><sheetData><row><c><v>1</v></c><c><v>2</v></c><c><v>3</v></c></row><row hidden="1"><c><v>4</v></c></row></sheetData></worksheet>`,
	}).file(t), container.Options{Say: func(s string) { said = append(said, s) }})
	require.NoError(t, err)
	require.Equal(t, []string{"book.xlsx/Leads: what is hidden in the sheet was read too (rows: 1, columns: 1)"}, said)
}

func TestAWorkbookWithoutItsPartsIsDamaged(t *testing.T) {
	t.Parallel()
	for missing, why := range map[string]string{
		"xl/worksheets/sheet1.xml":   "the part xl/worksheets/sheet1.xml is missing",
		"xl/_rels/workbook.xml.rels": "the part xl/_rels/workbook.xml.rels is missing",
		"xl/sharedStrings.xml":       "a cell's text is missing",
	} {
		_, err := unpack(t, "book.xlsx", excel.with(parts{missing: ""}).file(t), container.Options{})
		require.ErrorContains(t, err, why)
		require.ErrorContains(t, err, "have it sent again")
	}
	_, err := unpack(t, "book.xlsx", excel.with(parts{"xl/workbook.xml": strings.Replace(excel["xl/workbook.xml"], `sheetId`, `state="veryHidden" sheetId`, 1)}).file(t), container.Options{})
	require.EqualError(t, err, "book.xlsx: the workbook has no visible sheet: unhide the one with the contacts")
}
