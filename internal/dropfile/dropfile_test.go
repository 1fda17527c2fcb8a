package dropfile_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/importer"
	"importer/internal/lead"
)

// readAll reads every row of a file.
func readAll(t testing.TB, text string, o dropfile.Options) []importer.Row {
	t.Helper()
	r, err := dropfile.Open(strings.NewReader(text), o)
	require.NoError(t, err)
	rows, err := rest(r)
	require.NoError(t, err)
	return rows
}

func rest(r *dropfile.Reader) ([]importer.Row, error) {
	var rows []importer.Row
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}

func TestRowsAreReadUnderTheVendorsNames(t *testing.T) {
	t.Parallel()
	r, err := dropfile.Open(strings.NewReader("\xef\xbb\xbfFirst Name,LNAME,E-Mail,Company,Phone1,phone_2,Zip Code,List ID\r\n"+
		"Anna,\"O'Brien, Jr\",anna@example.com,Acme,305-555-0123,3055550124,08014,205\r\n"), dropfile.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"First Name", "LNAME", "E-Mail", "Company", "Phone1", "phone_2", "Zip Code", "List ID"}, r.Header())
	require.Equal(t, dropfile.Mapped{Column: 1, Header: "First Name", Field: "first_name", By: dropfile.ByName, Confidence: 99, Sample: "Axxx"}, r.Mapping()[0])
	require.Equal(t, dropfile.Mapped{Column: 4, Header: "Company", Sample: "Axxx"}, r.Mapping()[3])
	rows, err := rest(r)
	require.NoError(t, err)
	require.Equal(t, []importer.Row{{
		Record: 1, Line: 2,
		Cells: []string{"Anna", "O'Brien, Jr", "anna@example.com", "Acme", "305-555-0123", "3055550124", "08014", "205"},
		Lead: lead.Lead{
			FirstName: "Anna", LastName: "O'Brien, Jr", Email: "anna@example.com", PhoneNumber: "305-555-0123",
			AltPhone: "3055550124", PostalCode: "08014", // and the feed's own list, not the vendor's
		},
	}}, rows)
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
}

func TestLinesAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	const file = "\n\nname,phone,notes\n" + // 3
		"a,1,\"two\nlines \"\"quoted\"\"\"\n" + // 4, 5
		"\n  \n,,\n" + // 6-8: nothing
		"b,2,x\r\n" + // 9
		"c,3,\"\n\n\"\n" + // 10-12
		"d,4,"
	r, err := dropfile.Open(strings.NewReader(file), dropfile.Options{})
	require.NoError(t, err)
	rows, err := rest(r)
	require.NoError(t, err)
	var got []string
	for _, row := range rows {
		require.Nil(t, row.Refusal)
		got = append(got, fmt.Sprintf("%d@%d %s %q", row.Record, row.Line, row.Lead.PhoneNumber, row.Lead.Comments))
	}
	require.Equal(t, []string{`1@4 1 "two\nlines \"quoted\""`, `2@9 2 "x"`, `3@10 3 "\n\n"`, `4@13 4 ""`}, got)
	require.Equal(t, 5, r.Outside().Count)
	require.Equal(t, 5, r.Outside().ByKind[dropfile.Blank])
}

func TestABadRecordNeverTakesItsNeighboursAlong(t *testing.T) {
	t.Parallel()
	good := func(n int) string { return fmt.Sprintf("p%d,305555%04d,x\n", n, n) }
	for name, c := range map[string]struct {
		bad  string
		why  lead.Reason // empty: it is read
		want []string
	}{
		"too few":                {"a,b\n", lead.RowFields, []string{"a", "b"}},
		"too many":               {"a,b,c,d\n", lead.RowFields, []string{"a", "b", "c", "d"}},
		"quote within":           {"a,5\" pipe,c\n", "", []string{"a", "5\" pipe", "c"}},
		"quotes within":          {"a,the \"big\" one,c\n", "", []string{"a", "the \"big\" one", "c"}},
		"never closed":           {"a,b,\"c\n", "", []string{"a", "b", "\"c"}},
		"never closed in front":  {"\"a,3055550199,c\n", "", []string{"\"a", "3055550199", "c"}},
		"windows line, unclosed": {"a,b,\"c\r\n", "", []string{"a", "b", "\"c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, behind := range []string{"", good(4) + good(5), "q,3055550199,\"fine\"\n" + good(5)} {
				rows := readAll(t, "name,phone,notes\n"+good(1)+good(2)+c.bad+behind, dropfile.Options{})
				require.Len(t, rows, 3+strings.Count(behind, "\n"))
				for i, row := range rows {
					require.Equal(t, i+1, row.Record)
					require.Equal(t, i+2, row.Line)
					if i != 2 {
						require.Nil(t, row.Refusal, "row %d", i+1)
						require.Len(t, row.Lead.PhoneNumber, 10)
						continue
					}
					require.Equal(t, c.want, row.Cells)
					if c.why == "" {
						require.Nil(t, row.Refusal)
						continue
					}
					require.NotNil(t, row.Refusal)
					require.Equal(t, c.why, row.Refusal.Reason)
					require.Empty(t, row.Lead)
				}
			}
		})
	}
}

func TestTwoUnclosedQuotesAreTwoRowsDamage(t *testing.T) {
	t.Parallel()
	rows := readAll(t, "name,phone,town\n\"a,3055550101,x\nb,3055550102,x\nc,3055550103,x\n\"d,3055550104,x\ne,3055550105,x\n", dropfile.Options{})
	require.Len(t, rows, 5)
	for i, row := range rows {
		require.Equal(t, fmt.Sprintf("305555010%d", i+1), row.Lead.PhoneNumber)
	}
	require.Equal(t, "a stray quotation mark was taken as text", rows[0].Changes[0].Why)
	require.Empty(t, rows[1].Changes)
}

func TestEmptyColumnsAtTheEndDoNoHarm(t *testing.T) {
	t.Parallel()
	rows := readAll(t, "phone,name,,\n3055550123,Ann,,\n3055550124,Bo,,,,\n,,,\n", dropfile.Options{})
	require.Len(t, rows, 2)
	require.Nil(t, rows[0].Refusal)
	require.Nil(t, rows[1].Refusal)
}

func TestDelimitersAreFound(t *testing.T) {
	t.Parallel()
	for _, d := range []string{",", ";", "\t", "|"} {
		rows := readAll(t, "phone"+d+"\"a,b;c\""+d+"first\n3055550123"+d+"x"+d+"Ann\n", dropfile.Options{})
		require.Equal(t, lead.Lead{PhoneNumber: "3055550123", FirstName: "Ann"}, rows[0].Lead, "%q", d)
	}
	require.Equal(t, "3055550123", readAll(t, "phone\n3055550123\n", dropfile.Options{})[0].Lead.PhoneNumber)
}

func TestWindows1252IsDecoded(t *testing.T) {
	t.Parallel()
	rows := readAll(t, "Pr\xe9nom,first,phone\nx,Jos\xe9,3055550123\ny,José,3055550124\n"+
		strings.Repeat("y,Ann,3055550124\n", 1000)+"z,A\x00n\x9dn,3055550125\n", dropfile.Options{})
	require.Equal(t, "José", rows[0].Lead.FirstName)
	require.Equal(t, "José", rows[1].Lead.FirstName)
	require.Equal(t, "A\uFFFDn\uFFFDn", rows[1002].Lead.FirstName)
}

func TestPhoneColumnsAreChosenOrAsked(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{ // phone_number, alt_phone
		"Phone":                           "Phone|",
		"first,PHONE NUMBER":              "PHONE NUMBER|",
		"phone2,phone1":                   "phone1|phone2",
		"phone,phone2,phone3":             "phone|phone2",
		"mobile,phone":                    "phone|mobile",
		"phone,alt_phone,mobile":          "phone|alt_phone",
		"phone1,phone2,Alternate Phone":   "phone1|Alternate Phone",
		"phone_number,phone":              "phone_number|phone",
		"cell":                            "cell|",
		"cell1,cell2":                     "cell1|cell2",
		"Home Phone,Work Phone,Telephone": "Telephone|Home Phone",
		"fax,phone type,phone code":       "",
		"home phone,mobile":               "mobile|home phone",
		"work phone,home phone":           "home phone|work phone",
		"mobile,cell":                     "?mobile,cell",
		"phone,telephone,mobile":          "?phone,telephone",
		"phone,phone":                     "?phone,phone (2)",
		"alt phone,first":                 "?alt phone",
		"":                                "",
	} {
		r, err := dropfile.Open(strings.NewReader("zz,"+header+"\n"), dropfile.Options{})
		got := ""
		if err == nil {
			fields := map[string]string{}
			for _, m := range r.Mapping() {
				fields[m.Field] = m.Header
			}
			got = fields["phone_number"] + "|" + fields["alt_phone"]
		} else {
			var hold *dropfile.HoldError
			require.ErrorAs(t, err, &hold, header)
			require.Equal(t, "phone_number", hold.Field)
			require.Contains(t, err.Error(), "columns: {phone_number: ")
			if len(hold.Candidates) > 0 {
				got = "?" + strings.Join(hold.Candidates, ",")
			}
		}
		require.Equal(t, want, got, header)
	}
}

func TestConfiguredColumnsGoFirst(t *testing.T) {
	t.Parallel()
	const file = "Home,Mobile,Nickname,First\n3055550123,3055550124,Nan,Anna\n"
	rows := readAll(t, file, dropfile.Options{Columns: map[string]string{"phone_number": "mobile", "first_name": "Nickname", "list_id": "home"}})
	require.Equal(t, lead.Lead{PhoneNumber: "3055550124", FirstName: "Nan", ListID: "3055550123"}, rows[0].Lead)

	_, err := dropfile.Open(strings.NewReader(file), dropfile.Options{Columns: map[string]string{"phone_number": "Tel 9"}})
	var hold *dropfile.HoldError
	require.ErrorAs(t, err, &hold)
	require.ErrorContains(t, err, `"Tel 9"`)
	require.ErrorContains(t, err, `"Home", "Mobile", "Nickname", "First"`)

	_, err = dropfile.Open(strings.NewReader(file), dropfile.Options{Columns: map[string]string{"phone": "Home"}})
	require.ErrorContains(t, err, `"phone" is no field`)
	_, err = dropfile.Open(strings.NewReader(file), dropfile.Options{Columns: map[string]string{"phone_number": "Home", "alt_phone": "HOME"}})
	require.ErrorContains(t, err, "two fields")
}

func TestAFileWithoutAHeaderIsReadByItsContent(t *testing.T) {
	t.Parallel()
	rows := readAll(t, "Anna,Smith,3055550123\nBo,Jones,3055550124\n", dropfile.Options{Region: "US"})
	require.Len(t, rows, 2)
	require.Equal(t, "3055550123", rows[0].Lead.PhoneNumber)
}

func TestAHeldFileWithoutAHeaderShowsNobodysData(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]dropfile.Options{
		`the header has "column 1" (such as Axxx), "column 2" (such as Sxxxx), "column 3" (such as 30########)`: {HeaderLine: -1},
		"add a header line": {HeaderLine: 1},
	} {
		_, err := dropfile.Open(strings.NewReader("Anna,Smith,3055550123\nBo,Jones,3055550124\n"), o)
		var hold *dropfile.HoldError
		require.ErrorAs(t, err, &hold)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "305")
		require.NotContains(t, err.Error(), "Anna")
	}
}

// Nor does one whose first line may be somebody.
func TestAHeldFileWhoseHeaderNobodyKnowsIsMasked(t *testing.T) {
	t.Parallel()
	const file = "Ada Quill,Main Street 4,Springfield\nBo Marsh,Oak Road 9,Shelbyville\n"
	for _, columns := range []map[string]string{nil, {"phone_number": "Telefon 9"}} {
		_, err := dropfile.Open(strings.NewReader(file), dropfile.Options{Columns: columns})
		var hold *dropfile.HoldError
		require.ErrorAs(t, err, &hold)
		require.ErrorContains(t, err, `"Axx Qxxxx"`)
		for _, word := range []string{"Ada", "Quill", "Main", "Springfield", "Bo", "Marsh"} {
			require.NotContains(t, err.Error(), word)
		}
	}
	_, err := dropfile.Open(strings.NewReader("Rufname,City\nBo,Shelbyville\n"), dropfile.Options{})
	require.ErrorContains(t, err, `"Rufname"`, "beside a usual name it is a header")
}

func TestFilesWithoutContactsAreTold(t *testing.T) {
	t.Parallel()
	require.Empty(t, readAll(t, "first,phone\n", dropfile.Options{}))
	require.Empty(t, readAll(t, "first,phone", dropfile.Options{}))
	for _, file := range []string{"", "\xef\xbb\xbf", "\n\r\n  \n"} {
		_, err := dropfile.Open(strings.NewReader(file), dropfile.Options{})
		require.ErrorIs(t, err, dropfile.ErrEmpty)
	}
}

func TestWhatIsNoCSVIsNamed(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"PK\x03\x04\x14\x00zzz[Content_Types].xml": "Excel",
		"PK\x03\x04\x14\x00leads.csv":              "ZIP",
		"\x1f\x8b\x08\x00":                         "gzip",
		"%PDF-1.7\n":                               "PDF",
		"phone,first\n\x00\x05\x06\x00":            "binary",
		"\n<!DOCTYPE html><html>":                  "web page",
		"phone,zip,first,x\n3055550123,33101,Ann\n3055550124,33101,Bo\n3055550125,33101,Cy\n": "header",
	} {
		_, err := dropfile.Open(strings.NewReader(file), dropfile.Options{})
		var bad *dropfile.FormatError
		require.ErrorAs(t, err, &bad, file)
		require.ErrorContains(t, err, want)
	}
}

// zeros is an endless line.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	z.read += len(p)
	return copy(p, bytes.Repeat([]byte{'0'}, len(p))), nil
}

func TestAnEndlessLineIsAnErrorAndNoMemory(t *testing.T) {
	t.Parallel()
	var endless zeros
	r, err := dropfile.Open(io.MultiReader(strings.NewReader("first,phone\na,1\nb,2\n"), &endless), dropfile.Options{MaxRecord: 100_000})
	require.NoError(t, err)
	rows, err := rest(r)
	require.Len(t, rows, 2)
	var long *dropfile.RecordError
	require.ErrorAs(t, err, &long)
	require.Equal(t, 4, long.Line)
	require.Less(t, endless.read, 1<<20)
	_, again := r.Next()
	require.Equal(t, err, again)

	_, err = dropfile.Open(&zeros{}, dropfile.Options{})
	require.ErrorAs(t, err, &long)
}

func TestAnUnclosedQuoteIsNotFollowedBeyondARecord(t *testing.T) {
	t.Parallel()
	file := "first,phone\n\"a,1\n" + strings.Repeat("b,3055550123\n", 20_000)
	rows := readAll(t, file, dropfile.Options{MaxRecord: 10_000})
	require.Len(t, rows, 20_001)
	require.Equal(t, []string{"\"a", "1"}, rows[0].Cells)
	require.Nil(t, rows[20_000].Refusal)
	require.Equal(t, 20_002, rows[20_000].Line)
}

func TestABrokenReadIsAnErrorAndNoEnd(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection lost")
	r, err := dropfile.Open(io.MultiReader(strings.NewReader("first,phone\na,3055550123\nb,30555"), iotest.ErrReader(broken)), dropfile.Options{})
	if err == nil {
		var rows []importer.Row
		rows, err = rest(r)
		require.LessOrEqual(t, len(rows), 1, "half a record is none")
	}
	require.ErrorIs(t, err, broken)
}

func TestSmallReadsMakeNoDifference(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	file.WriteString("first,phone,notes\n")
	for i := range 3000 {
		fmt.Fprintf(&file, "n%d,305555%04d,\"a\nb%s\"\n", i, i, strings.Repeat("x", i%90))
	}
	want := readAll(t, file.String(), dropfile.Options{})
	require.Len(t, want, 3000)
	r, err := dropfile.Open(iotest.OneByteReader(strings.NewReader(file.String())), dropfile.Options{})
	require.NoError(t, err)
	got, err := rest(r)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("first,phone\nAnn,3055550123\n\"a\nb\",1\n\"c,2\n"), 64)
	f.Add([]byte("\xef\xbb\xbfphone;x\n\n;;\n1;\"\"\"\n\xe9;2;;\r\n"), 16)
	f.Add([]byte("phone1\tphone2\n\"1\"x\t2\n\"\n\"\n"), 32)
	f.Add([]byte("phone,\"a\nb\"\n1,2\n\"1,\n2\",\"\n"), 8)
	f.Fuzz(func(t *testing.T, file []byte, maxRecord int) {
		r, err := dropfile.Open(bytes.NewReader(file), dropfile.Options{MaxRecord: max(1, maxRecord%1000)})
		if err != nil {
			return
		}
		rows, err := rest(r)
		line, lines := 1, bytes.Count(file, []byte{'\n'})+bytes.Count(file, []byte{'\r'})+1
		for i, row := range rows {
			require.Equal(t, i+1, row.Record)
			require.GreaterOrEqual(t, row.Line, line)
			line = row.Line
			require.NotEmpty(t, row.Cells)
			if row.Refusal != nil {
				require.Empty(t, row.Lead)
			} else {
				require.Len(t, row.Cells, len(r.Header()))
			}
		}
		require.LessOrEqual(t, line, lines)
		require.LessOrEqual(t, len(rows)+r.Outside().Count, lines)
		if err != nil {
			var long *dropfile.RecordError
			require.ErrorAs(t, err, &long)
			require.Greater(t, long.Line, line)
		}
		again, _ := dropfile.Open(iotest.OneByteReader(bytes.NewReader(file)), dropfile.Options{MaxRecord: max(1, maxRecord%1000)})
		same, _ := rest(again)
		require.Equal(t, rows, same)
	})
}

// benchmarked is a plain file of 20,000 contacts.
func benchmarked() []byte {
	var file bytes.Buffer
	file.WriteString("first_name,last_name,company_name,address,city,county,state,zip,phone1,phone2,email,web\n")
	for i := range 20_000 {
		fmt.Fprintf(&file, "Anna%d,O'Brien,\"Smith, Jones %d\",%d Main St,Miami,Dade,FL,33101,305-555-%04d,212-555-%04d,anna%d@example.com,http://www.example.com\n", i, i, i, i%10000, i%10000, i)
	}
	return file.Bytes()
}

// BenchmarkTable decodes, detects and parts.
func BenchmarkTable(b *testing.B) {
	file := benchmarked()
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		t, err := dropfile.OpenTable(bytes.NewReader(file), dropfile.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = t.Next()
		}
	}
}

// BenchmarkReader fills leads as well.
func BenchmarkReader(b *testing.B) {
	file := benchmarked()
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		r, err := dropfile.Open(bytes.NewReader(file), dropfile.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := r.Next(); err != nil {
				break
			}
			rows++
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkEncodingCSV is what the standard library needs for the same file.
// BenchmarkRowsToLeads reads, maps and cleans plain contacts on one core.
func BenchmarkRowsToLeads(b *testing.B) {
	var text strings.Builder
	text.WriteString("Lead ID,First Name,Last Name,Street,City,State,Zip,Phone,Email,Date of Birth\n")
	const rows = 20_000
	for i := range rows {
		fmt.Fprintf(&text, "A-%05d,Anna,Ashgrove,%d Main St,Cleveland,OH,44101,(305) 555-%04d,anna%d@example.com,%02d/%02d/1980\n", i, i, i%10_000, i, 1+i%12, 1+i%28)
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := dropfile.Open(strings.NewReader(text.String()), dropfile.Options{Region: "US"})
		require.NoError(b, err)
		rules := lead.Rules{Region: "US", ListID: "101", Dates: r.Dates()}
		n := 0
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(b, err)
			if _, _, refused := rules.Clean(row.Lead); row.Refusal == nil && refused == nil {
				n++
			}
		}
		require.Equal(b, rows, n)
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkEncodingCSV(b *testing.B) {
	file := benchmarked()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		r := csv.NewReader(bytes.NewReader(file))
		for {
			if _, err := r.Read(); err != nil {
				break
			}
		}
	}
}
