package dropfile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"

	"importer/internal/dropfile"
)

// orders is a table that has nothing to do with contacts.
func orders() [][]string {
	rows := [][]string{{"DATE", "TIME", "Qty", "PRODUCTID", "Price", "ProductType", "ProductDescription", "URL", "Comments"}}
	kinds := []string{"Men's Hiking Boots", "Running Jacket", "Throw Pillow, Wooden Paddles", "Dining Table, Round 48\"", "Girls' Hat", "Fly Rods"}
	texts := []string{
		"Rugged enough for peak performance, yet light.", "The next level; it keeps you visible.", "Made in the USA",
		"Great grip and 5\" of extra breathability, ideal for warm, dry conditions.",
	}
	for i := range 83 {
		rows = append(rows, []string{
			fmt.Sprintf("%02d/%02d/2018", 13+i%15, 1+i%12), fmt.Sprintf("%02d:%02d", i%24, i*15%60), fmt.Sprint(i % 7),
			fmt.Sprintf("%c%c-%d", 'A'+i%26, 'B'+i%25, 1000+i*91), fmt.Sprintf("$%d.%02d", i%90, i*7%100),
			kinds[i%len(kinds)], texts[i%len(texts)], fmt.Sprintf("https://www.example.com/product/%d.html", i), "",
		})
	}
	return rows
}

func (s style) with(change func(*style)) style {
	change(&s)
	return s
}

// encoded writes a text in a character set.
func encoded(t testing.TB, e encoding.Encoding, text string) string {
	t.Helper()
	out, err := e.NewEncoder().String(text)
	require.NoError(t, err)
	return out
}

func TestAWholeFilesPeculiaritiesAreFound(t *testing.T) {
	t.Parallel()
	for tableName, rows := range map[string][][]string{"contacts": contacts(), "orders": orders()} {
		n := len(rows[0])
		header, body := rows[0], rows[1:]
		plain := plainStyle.file(rows)
		other := [][]string{{"Region", "Agent", "Calls"}, {"North", "Tess", "14"}, {"South", "Una", "9"}, {"West", "Vic", "11"}}
		wide := make([][]string, 12)
		for i := range wide {
			for j := range n + 2 {
				if i == 0 {
					wide[i] = append(wide[i], fmt.Sprintf("Measure %c", 'A'+j))
				} else {
					wide[i] = append(wide[i], fmt.Sprint(i*j))
				}
			}
		}
		same := make([][]string, 9)
		for i := range same {
			same[i] = slices.Clone(wide[i][:n])
		}
		type want struct {
			file   string
			header []string
			rows   [][]string
		}
		ok := func(file string) want { return want{file, header, body} }
		cases := map[string]want{
			"as it is":                  ok(plain),
			"no trailing newline":       ok(strings.TrimSuffix(plain, "\n")),
			"double trailing newline":   ok(plain + "\n"),
			"empty":                     {"", nil, nil},
			"only blank lines":          {"\n\n \n", nil, nil},
			"no header":                 {plainStyle.file(body), nil, body},
			"header only":               {plainStyle.file(rows[:1]), header, nil},
			"header only, no newline":   {strings.TrimSuffix(plainStyle.file(rows[:1]), "\n"), header, nil},
			"one row":                   {plainStyle.file(rows[:2]), header, rows[1:2]},
			"two rows":                  {plainStyle.file(rows[:3]), header, rows[1:3]},
			"one row, no header":        {plainStyle.file(rows[1:2]), nil, rows[1:2]},
			"preamble":                  ok("Leads for Acme\nExported 11/24/2026\n\n" + plain),
			"preamble without a blank":  ok("Leads for Acme\n" + plain),
			"padded preamble":           ok("PREAMBLE" + strings.Repeat(",", n-1) + "\n" + strings.Repeat(",", n-1) + "\n" + plain),
			"padded preamble, 3 lines":  ok(strings.Repeat("PREAMBLE"+strings.Repeat(",", n-1)+"\n", 3) + plain),
			"key and value above":       ok("Report,Leads\nDate,11/24/2026\nVendor,Acme\n\n" + plain),
			"two header rows":           {plainStyle.file(rows[:1]) + plain, twice(header, 2), body},
			"three header rows":         {plainStyle.file(rows[:1]) + plainStyle.file(rows[:1]) + plain, twice(header, 3), body},
			"grouped header":            {"Who,,Where,,,,How" + strings.Repeat(",", n-7) + "\n" + plain, grouped(header), body},
			"another table":             ok(plain + "\n" + plainStyle.file(other)),
			"another table, no blank":   ok(plain + plainStyle.file(other)),
			"a wider table":             ok(plain + "\n" + plainStyle.file(wide)),
			"a wider table, no blank":   ok(plain + plainStyle.file(wide)),
			"a table as wide":           ok(plain + "\n" + plainStyle.file(same)),
			"a table as wide, no blank": ok(plain + plainStyle.file(same)),
			"footnote":                  ok(plain + "FOOTNOTE\n"),
			"padded footnote":           ok(plain + strings.Repeat(",", n-1) + "\nFOOTNOTE" + strings.Repeat(",", n-1) + "\n"),
			"total":                     ok(plain + "Total records: 100\n"),
			"padded total":              ok(plain + "Total,100" + strings.Repeat(",", n-2) + "\n"),
			"header again":              ok(plainStyle.file(rows[:30]) + plainStyle.file(rows[:1]) + plainStyle.file(rows[30:])),
			"header again, blank":       ok(plainStyle.file(rows[:30]) + "\n" + plainStyle.file(rows[:1]) + plainStyle.file(rows[30:])),
			"comments":                  ok("# exported by hand\n" + plainStyle.file(rows[:30]) + "# new ones\n" + plainStyle.file(rows[30:])),
			"row taken out":             {plainStyle.file(rows[:30]) + "#" + plainStyle.file(rows[30:]), header, slices.Concat(rows[1:30], rows[31:])},
			"blank lines":               ok(strings.Join(plainStyle.lines(rows), "\n\n") + "\n"),
			"byte-order mark":           ok("\xef\xbb\xbf" + plain),
			"UTF-16LE":                  ok("\xff\xfe" + encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), plain)),
			"UTF-16BE":                  ok("\xfe\xff" + encoded(t, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), plain)),
			"UTF-16LE, no mark":         ok(encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), plain)),
			"UTF-16BE, no mark":         ok(encoded(t, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), plain)),
		}
		for name, s := range map[string]style{
			"comma and blank": plainStyle.with(func(s *style) { s.delimiter = ", " }),
			"semicolon":       plainStyle.with(func(s *style) { s.delimiter = ";" }),
			"tab":             plainStyle.with(func(s *style) { s.delimiter = "\t" }),
			"pipe":            plainStyle.with(func(s *style) { s.delimiter = "|" }),
			"two pipes":       plainStyle.with(func(s *style) { s.delimiter = "||" }),
			"two tabs":        plainStyle.with(func(s *style) { s.delimiter = "\t\t" }),
			"caret":           plainStyle.with(func(s *style) { s.delimiter = "^" }),
			"colon":           plainStyle.with(func(s *style) { s.delimiter = ":" }),
			"tilde":           plainStyle.with(func(s *style) { s.delimiter = "~" }),
			"x01":             plainStyle.with(func(s *style) { s.delimiter = "\x01" }),
			"blank":           plainStyle.with(func(s *style) { s.delimiter = " " }),
			"spaced pipe":     plainStyle.with(func(s *style) { s.delimiter = " | " }),
			"backslash t":     plainStyle.with(func(s *style) { s.delimiter = `\t` }),
			"apostrophes":     plainStyle.with(func(s *style) { s.quote, s.escape = "'", "'" }),
			"all apostrophes": plainStyle.with(func(s *style) { s.quote, s.escape, s.all = "'", "'", true }),
			"all quoted":      plainStyle.with(func(s *style) { s.all = true }),
			"backslash":       plainStyle.with(func(s *style) { s.escape = `\` }),
			"CRLF":            plainStyle.with(func(s *style) { s.end = "\r\n" }),
			"CR":              plainStyle.with(func(s *style) { s.end = "\r" }),
			"excel":           styles["excel"],
			"all quoted, ;":   plainStyle.with(func(s *style) { s.all, s.delimiter = true, ";" }),
			"blank, all":      plainStyle.with(func(s *style) { s.all, s.delimiter = true, " " }),
			"tab, no quotes":  plainStyle.with(func(s *style) { s.delimiter, s.quote = "\t", "" }),
			"pipe, no quotes": plainStyle.with(func(s *style) { s.delimiter, s.quote = "|", "" }),
		} {
			cases[name] = ok(s.file(rows))
			cases[name+", no header"] = want{s.file(body), nil, body}
			cases[name+", 3 rows"] = want{s.file(rows[:4]), header, rows[1:4]}
		}
		for name, c := range cases {
			t.Run(tableName+"/"+name, func(t *testing.T) {
				t.Parallel()
				got := readTable(t, c.file, dropfile.Options{})
				require.Equal(t, c.header, got.header, "%+v", got.table.Explain().Dialect)
				require.Equal(t, c.rows, got.rows, "%+v", got.table.Explain().Dialect)
				require.Empty(t, got.refused)
			})
		}
	}
}

func twice(header []string, n int) []string {
	out := make([]string, len(header))
	for i, h := range header {
		out[i] = strings.TrimSuffix(strings.Repeat(h+" ", n), " ")
	}
	return out
}

func grouped(header []string) []string {
	out := slices.Clone(header)
	out[0], out[2], out[6] = "Who "+out[0], "Where "+out[2], "How "+out[6]
	return out
}

func TestARowInAnotherDialectIsRead(t *testing.T) {
	t.Parallel()
	for tableName, rows := range map[string][][]string{"contacts": contacts(), "orders": orders()} {
		for styleName, s := range styles {
			for name, other := range map[string]style{
				"semicolon":       s.with(func(s *style) { s.delimiter = ";" }),
				"comma":           s.with(func(s *style) { s.delimiter = "," }),
				"tab":             s.with(func(s *style) { s.delimiter = "\t" }),
				"pipe":            s.with(func(s *style) { s.delimiter = "|" }),
				"comma and blank": s.with(func(s *style) { s.delimiter = ", " }),
				"blank":           s.with(func(s *style) { s.delimiter = " " }),
				"apostrophes":     s.with(func(s *style) { s.quote, s.escape = "'", "'" }),
				"all apostrophes": s.with(func(s *style) { s.quote, s.escape, s.all = "'", "'", true }),
				"all quoted":      s.with(func(s *style) { s.all = true }),
				"backslash":       s.with(func(s *style) { s.escape = `\` }),
				"CR":              s.with(func(s *style) { s.end = "\r" }),
				"LF":              s.with(func(s *style) { s.end = "\n" }),
				"CRLF":            s.with(func(s *style) { s.end = "\r\n" }),
			} {
				t.Run(tableName+"/"+styleName+"/"+name, func(t *testing.T) {
					t.Parallel()
					for r := 0; r < len(rows); r += 6 + everyRow {
						if r > 0 && r < 4 {
							continue
						}
						var file strings.Builder
						for i, row := range rows {
							if i == r {
								file.WriteString(other.line(row) + other.end)
							} else {
								file.WriteString(s.line(row) + s.end)
							}
						}
						got := readTable(t, file.String(), dropfile.Options{})
						if r > 0 || other.delimiter == s.delimiter {
							require.Equal(t, rows[0], got.header, "row %d", r)
						}
						require.Len(t, got.rows, len(rows)-1, "row %d: %s %+v", r, other.line(rows[r]), got.outside)
						for i, row := range got.rows {
							require.Equal(t, rows[i+1], row, "row %d, read for row %d", i+1, r)
							require.Empty(t, got.refused[i])
						}
					}
				})
			}
		}
	}
}

func TestAStrangeRowBehindABlankLineEndsNoTable(t *testing.T) {
	t.Parallel()
	rows := contacts()
	lines := plainStyle.lines(rows)
	lines[30] = "\nAda,Ashgrove,somewhere,Miami,FL,unknown,none,n/a,n/a,nothing is known"
	got := readTable(t, strings.Join(lines, "\n")+"\n", dropfile.Options{})
	require.Len(t, got.rows, 100)
	require.Equal(t, rows[31:], got.rows[30:])
	require.Equal(t, 1, got.outside.Count)
}
