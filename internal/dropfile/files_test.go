package dropfile_test

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
)

// sheet is a file with the table that a person would see in it.
type sheet struct {
	file   string
	header []string
	rows   [][]string
}

// TestQuiteDifferentTablesAreFoundInAnyFile writes each table in all ways that
// are listed below, and reads some of them. IMPORTER_DAMAGE=all reads them all.
func TestQuiteDifferentTablesAreFoundInAnyFile(t *testing.T) {
	t.Parallel()
	for tableName, rows := range tables() {
		t.Run(tableName, func(t *testing.T) {
			t.Parallel()
			sheets := dialectSheets(rows)
			for styleName, s := range styles {
				shapeSheets(sheets, styleName+": ", s, rows)
			}
			for name, want := range sheets {
				if undecidable(tableName, name) || !everything && luck(tableName+name)%(25*everyRow) > 0 {
					continue
				}
				got := readTable(t, want.file, dropfile.Options{})
				require.Equal(t, want.header, got.header, "%s: %+v", name, got.table.Explain().Dialect)
				require.Equal(t, want.rows, got.rows, "%s: %+v", name, got.table.Explain().Dialect)
				require.Empty(t, got.refused, name)
			}
		})
	}
}

// luck is a number that a name always has.
func luck(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}

// undecidable tells the files that may be read in more than one way: names
// above texts only, texts that have themselves quotes of a kind, another table
// that is the same, a few lines in which hardly anything is quoted.
func undecidable(tableName, name string) bool {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(name, p) })
	}
	switch tableName {
	case "names":
		return has("group row", "unit row", "one row, no header", "contacts same")
	case "texts":
		return has("group row", "unit row", "one row, no header", "contacts same", "apostrophes", "no quotes")
	case "contacts":
		return has("contacts same")
	case "signs":
		return has("one row, no header")
	}
	return has("apostrophes, 3 rows")
}

// shapeSheets adds files of a table with lines above, below and among it.
func shapeSheets(sheets map[string]sheet, prefix string, s style, rows [][]string) {
	n := len(rows[0])
	header, body := named(rows[0]), rows[1:]
	add := func(name, file string) { sheets[prefix+name] = sheet{file, header, body} }
	table := s.file(rows)
	padding := strings.Repeat(s.delimiter, n-1)
	add("as it is", table)
	add("no trailing newline", strings.TrimSuffix(table, s.end))
	add("double trailing newline", table+s.end)
	add("three trailing newlines", table+s.end+s.end)
	add("byte-order mark", "\xef\xbb\xbf"+table)
	sheets[prefix+"no header"] = sheet{s.file(body), nil, body}
	sheets[prefix+"no header, 3 rows"] = sheet{s.file(body[:3]), nil, body[:3]}
	sheets[prefix+"one row, no header"] = sheet{s.file(body[:1]), nil, body[:1]}
	sheets[prefix+"header only"] = sheet{s.file(rows[:1]), header, nil}
	sheets[prefix+"header only, no newline"] = sheet{strings.TrimSuffix(s.file(rows[:1]), s.end), header, nil}
	for _, k := range []int{1, 2, 3, 5} {
		sheets[fmt.Sprintf("%s%d rows", prefix, k)] = sheet{s.file(rows[:k+1]), header, body[:k]}
	}
	for _, text := range []string{"PREAMBLE", "Export of all things", "Report generated 2025-01-02 10:00", "Monthly report - confidential, internal use"} {
		for k := 1; k <= 3; k++ {
			bare, padded := strings.Repeat(s.cell(text)+s.end, k), strings.Repeat(s.cell(text)+padding+s.end, k)
			name := fmt.Sprintf("%d lines above: %s", k, text)
			add(name, bare+table)
			add(name+", blank", bare+s.end+table)
			add(name+", padded", padded+table)
			add(name+", padded, blank", padded+padding+s.end+table)
		}
	}
	add("keys and values above", s.line([]string{"Report", "Everything"})+s.end+s.line([]string{"Date", "11/24/2026"})+s.end+s.line([]string{"By", "Someone"})+s.end+s.end+table)
	for _, text := range []string{"FOOTNOTE", "End of report", "* figures are provisional", "Source: own data, 2024"} {
		for k := 1; k <= 3; k++ {
			bare, padded := strings.Repeat(s.cell(text)+s.end, k), strings.Repeat(s.cell(text)+padding+s.end, k)
			name := fmt.Sprintf("%d lines below: %s", k, text)
			add(name, table+bare)
			add(name+", blank", table+s.end+bare)
			add(name+", padded", table+padded)
			add(name+", padded, blank", table+padding+s.end+padded)
		}
	}
	headerRows(sheets, prefix, s, rows)
	for name, other := range otherTables(n) {
		another := s.file(other)
		add("another table "+name, table+another)
		add("another table "+name+", blank", table+s.end+another)
		add("another table "+name+", padded blank", table+padding+s.end+another)
		add("another table "+name+", title", table+s.end+"Another table"+s.end+another)
	}
	add("header again", s.file(rows[:30])+table[:len(s.file(rows[:1]))]+s.file(rows[30:]))
	add("header again, blank", s.file(rows[:30])+s.end+s.file(rows[:1])+s.file(rows[30:]))
	add("comments", "# exported by hand"+s.end+s.file(rows[:30])+"# new ones"+s.end+s.file(rows[30:]))
	add("blank lines", strings.Join(s.lines(rows), s.end+s.end)+s.end)
	add("blank row", s.file(rows[:30])+s.end+s.file(rows[30:]))
	add("padded blank row", s.file(rows[:30])+padding+s.end+s.file(rows[30:]))
	for k := 1; k <= 3; k++ {
		tail := strings.Repeat(s.delimiter, k)
		add(fmt.Sprintf("%d delimiters behind the rows", k), s.file(rows[:1])+strings.Join(s.lines(body), tail+s.end)+tail+s.end)
	}
}

// headerRows adds files whose header has several rows.
func headerRows(sheets map[string]sheet, prefix string, s style, rows [][]string) {
	n, body := len(rows[0]), rows[1:]
	for k := 2; k <= 3; k++ {
		sheets[fmt.Sprintf("%s%d header rows", prefix, k)] = sheet{strings.Repeat(s.file(rows[:1]), k-1) + s.file(rows), named(twice(rows[0], k)), body}
	}
	over := func(name string, above, below []string) {
		joined := make([]string, n)
		for j := range joined {
			joined[j] = strings.TrimSpace(above[j] + " " + below[j])
		}
		sheets[prefix+name] = sheet{s.file([][]string{above, below}) + s.file(body), named(joined), body}
	}
	sparse, full, units := make([]string, n), make([]string, n), make([]string, n)
	sparse[0], sparse[n/2] = "Who", "What else"
	for j := range n {
		full[j], units[j] = fmt.Sprintf("Group %c", 'A'+j/3), fmt.Sprintf("(unit %c)", 'a'+j)
	}
	over("sparse groups above", sparse, rows[0])
	over("full group row", full, rows[0])
	over("unit row", rows[0], units)
}

// otherTables are tables that may stand below one of n columns.
func otherTables(n int) map[string][][]string {
	all := map[string][][]string{
		"small":          {{"Region", "Agent", "Calls"}, {"North", "Tess", "14"}, {"South", "Una", "9"}, {"West", "Vic", "11"}},
		"small of texts": {{"Region", "Agent", "Mood", "Colour"}, {"North", "Tess", "fine", "red"}, {"South", "Una", "tired", "blue"}, {"West", "Vic", "fine", "green"}},
	}
	for name, width := range map[string]int{"less": n - 3, "same": n, "more": n + 2} {
		var numbers, words, people [][]string
		for i, person := range contacts()[:10] {
			number, word := make([]string, width), make([]string, width)
			for j := range width {
				number[j], word[j] = fmt.Sprint(i*j), []string{"alpha", "beta", "gamma", "delta"}[(i*7+j*3)%4]
				if i == 0 {
					number[j], word[j] = fmt.Sprintf("col%d", j+1), fmt.Sprintf("Field %c", 'A'+j)
				}
			}
			for len(person) < width {
				person = append(person, "Extra")
			}
			numbers, words, people = append(numbers, number), append(words, word), append(people, person[:width])
		}
		all["of numbers "+name], all["of words "+name], all["of contacts "+name] = numbers, words, people
	}
	return all
}

// dialectSheets are files of a table in all dialects in which it can be written.
func dialectSheets(rows [][]string) map[string]sheet {
	sheets := map[string]sheet{}
	header, body := named(rows[0]), rows[1:]
	anyCell := func(has func(string) bool) bool {
		return slices.ContainsFunc(rows, func(r []string) bool { return slices.ContainsFunc(r, has) })
	}
	for _, d := range []string{",", ";", "\t", "|", ", ", "||", "\t\t", "^", ":", "~", "\x01", " ", " | ", `\t`} {
		plain := plainStyle.with(func(s *style) { s.delimiter = d })
		for name, s := range map[string]style{
			"plain":           plain,
			"all quoted":      plain.with(func(s *style) { s.all = true }),
			"apostrophes":     plain.with(func(s *style) { s.quote, s.escape = "'", "'" }),
			"all apostrophes": plain.with(func(s *style) { s.quote, s.escape, s.all = "'", "'", true }),
			"backslash":       plain.with(func(s *style) { s.escape = `\` }),
			"all backslash":   plain.with(func(s *style) { s.escape, s.all = `\`, true }),
			"no quotes":       plain.with(func(s *style) { s.quote = "" }),
			"no escape":       plain.with(func(s *style) { s.escape, s.all = "", true }),
			"CRLF":            plain.with(func(s *style) { s.end = "\r\n" }),
			"CR":              plain.with(func(s *style) { s.end = "\r" }),
		} {
			breaks := anyCell(func(c string) bool { return strings.Contains(c, "\n") })
			switch {
			case s.quote == "" && anyCell(func(c string) bool { return strings.Contains(c, d) || strings.Contains(c, "\n") }),
				s.escape == `\` && anyCell(func(c string) bool { return strings.Contains(c, `\`) }),
				(s.escape == "" || s.end == "\r") && breaks,
				s.escape == "" && d == " ":
				continue
			}
			name := fmt.Sprintf("%q %s", d, name)
			sheets[name] = sheet{s.file(rows), header, body}
			sheets[name+", no header"] = sheet{s.file(body), nil, body}
			sheets[name+", 3 rows"] = sheet{s.file(rows[:4]), header, body[:3]}
		}
	}
	return sheets
}

func TestNamesWithAnUnquotedCommaInEveryRowAreRead(t *testing.T) {
	t.Parallel()
	rows := [][]string{{"Lead ID", "Full Name", "Phone", "City", "Notes"}}
	for i := range 40 {
		rows = append(rows, []string{
			fmt.Sprint(100 + i), []string{"Smith, Ann", "Barlowe, Bo", "Dunn, Cy"}[i%3], fmt.Sprintf("305-555-%04d", 100+i), "Miami", []string{"", "call late"}[i%2],
		})
	}
	file := func() string {
		var out strings.Builder
		for _, r := range rows {
			out.WriteString(strings.Join(r, ",") + "\n")
		}
		return out.String()
	}
	got := readTable(t, file(), dropfile.Options{})
	require.Equal(t, rows, append([][]string{got.header}, got.rows...))
	require.Equal(t, "a delimiter within a cell was taken as text", got.noted[0])

	for _, r := range rows[1:] {
		r[1] = strings.ReplaceAll(r[1], ", ", ",")
	}
	_, err := dropfile.Open(strings.NewReader(file()), dropfile.Options{})
	require.ErrorContains(t, err, "5 names for 6 columns", "without the blank it is not certain")
}
