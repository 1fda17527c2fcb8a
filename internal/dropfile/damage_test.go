package dropfile_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/importer"
)

// contacts is a table of a hundred invented people in ten columns: names with
// apostrophes, addresses with commas, empty cells, comments with everything.
func contacts() [][]string {
	first := []string{"Ada", "Bo", "Cleo", "Dov", "Edith", "Finn", "Gwen", "Hugo", "Iris", "Jonas", "Kaya"}
	last := []string{"Ashgrove", "Barlowe", "O'Brien", "Dunmore", "McEwan", "Fairweather", "Goodfellow"}
	street := []string{"Main St", "River Rd", "Cedar Ave, Apt 4", "Old Mill Ln", "St. James Pl"}
	city := [][2]string{{"Miami", "FL"}, {"New York", "NY"}, {"Cleveland", "OH"}, {"Salem", "OR"}}
	note := []string{"", "Call after 5 pm", "met at the fair; wants a quote", "Has a 24\" door, 3 windows", "", "Said \"maybe later\""}
	rows := [][]string{{"First Name", "Last Name", "Address", "City", "State", "Zip", "Phone", "Email", "Date of Birth", "Notes"}}
	for i := range 100 {
		f, l, c := first[i%len(first)], last[i%len(last)], city[i%len(city)]
		rows = append(rows, []string{
			f, l, fmt.Sprintf("%d %s", 100+i*37, street[i%len(street)]), c[0], c[1], fmt.Sprintf("%05d", 4000+i*523),
			fmt.Sprintf("305-555-%04d", 100+i), fmt.Sprintf("%s%d@example.com", strings.ToLower(f), i),
			fmt.Sprintf("%02d/%02d/%d", 1+i%12, 1+i%28, 1940+i%60), note[i%len(note)],
		})
	}
	return rows
}

// style is how a file is written.
type style struct {
	delimiter, quote, escape, end string
	all                           bool // every cell within quotes
}

var plainStyle = style{delimiter: ",", quote: `"`, escape: `"`, end: "\n"}

func (s style) cell(c string) string {
	if s.quote == "" {
		return c
	}
	if !s.all && !strings.Contains(c, s.delimiter) && !strings.Contains(c, s.quote) && !strings.Contains(c, "\n") {
		return c
	}
	return s.quote + strings.ReplaceAll(c, s.quote, s.escape+s.quote) + s.quote
}

func (s style) line(cells []string) string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = s.cell(c)
	}
	return strings.Join(out, s.delimiter)
}

func (s style) file(rows [][]string) string {
	var out strings.Builder
	for _, r := range rows {
		out.WriteString(s.line(r) + s.end)
	}
	return out.String()
}

// lines writes each row by itself, for damages to single rows.
func (s style) lines(rows [][]string) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = s.line(r)
	}
	return out
}

// read is a table as it was read.
type read struct {
	header  []string
	rows    [][]string
	refused map[int]string // by index into rows
	noted   map[int]string
	outside importer.Outside
	table   *dropfile.Table
}

func readTable(t testing.TB, file string, o dropfile.Options) read {
	t.Helper()
	table, err := dropfile.OpenTable(strings.NewReader(file), o)
	require.NoError(t, err)
	out := read{header: table.Header(), refused: map[int]string{}, noted: map[int]string{}, table: table}
	for {
		r, err := table.Next()
		if errors.Is(err, io.EOF) {
			out.outside = table.Outside()
			return out
		}
		if err != nil || r.Number != len(out.rows)+1 { // asked by ourselves: it is asked a million times
			require.NoError(t, err)
			require.Equal(t, len(out.rows)+1, r.Number)
		}
		if r.Refusal != nil {
			out.refused[len(out.rows)] = string(r.Refusal.Reason)
		}
		for _, c := range r.Changes {
			out.noted[len(out.rows)] += c.Why
		}
		out.rows = append(out.rows, slices.Clone(r.Cells))
	}
}

var styles = map[string]style{
	"plain":  plainStyle,
	"quoted": {delimiter: ",", quote: `"`, escape: `"`, end: "\n", all: true},
	"excel":  {delimiter: ";", quote: `"`, escape: `"`, end: "\r\n"},
}

// damages are done to one row at one column.
var damages = map[string]func(s style, row []string, c int) string{
	"extra delimiter": func(s style, row []string, c int) string {
		return strings.Join(slices.Insert(s.written(row), c, ""), s.delimiter)
	},
	"missing delimiter": func(s style, row []string, c int) string {
		cells := s.written(row)
		return strings.Join(cells[:c], s.delimiter) + strings.Join(cells[c:], s.delimiter)
	},
	"extra quote in front": func(s style, row []string, c int) string {
		cells := s.written(row)
		cells[c] = s.quote + cells[c]
		return strings.Join(cells, s.delimiter)
	},
	"extra quote behind": func(s style, row []string, c int) string {
		cells := s.written(row)
		cells[c] += s.quote
		return strings.Join(cells, s.delimiter)
	},
	"extra quote within": func(s style, row []string, c int) string {
		cells := s.written(row)
		at := len(cells[c]) / 2
		for at > 0 && at < len(cells[c]) && !utf8.RuneStart(cells[c][at]) {
			at--
		}
		cells[c] = cells[c][:at] + s.quote + cells[c][at:]
		return strings.Join(cells, s.delimiter)
	},
	"missing quote in front": func(s style, row []string, c int) string {
		cells := s.written(row)
		cells[c] = strings.TrimPrefix(cells[c], s.quote)
		return strings.Join(cells, s.delimiter)
	},
	"missing quote behind": func(s style, row []string, c int) string {
		cells := s.written(row)
		cells[c] = strings.TrimSuffix(cells[c], s.quote)
		return strings.Join(cells, s.delimiter)
	},
	"cell dropped": func(s style, row []string, c int) string {
		return s.line(slices.Delete(slices.Clone(row), c, c+1))
	},
	"cut short": func(s style, row []string, c int) string { return s.line(row[:max(2, c+1)]) },
	"NUL": func(s style, row []string, c int) string {
		cells := s.written(row)
		cells[c] += "\x00"
		return strings.Join(cells, s.delimiter)
	},
}

// certain are the damages after which the row itself is always read as it was.
var certain = []string{"extra delimiter", "missing quote in front", "missing quote behind"}

// rare are the damages after which a row is hardly ever read otherwise than as
// it was, with cells missing, or not at all.
var rare = []string{"extra delimiter", "extra quote in front", "extra quote behind", "extra quote within", "NUL"}

// everything is done with IMPORTER_DAMAGE=all: minutes of work.
var everything = os.Getenv("IMPORTER_DAMAGE") == "all"

// places are where a table is damaged: contacts at each cell, other tables at
// some, the header's among them.
func places(tableName, styleName string, rows, columns int) (at [][2]int) {
	if everyRow > 1 && (tableName != "contacts" || styleName != "plain") {
		return [][2]int{{rows / 2, columns / 2}} // under the race detector
	}
	for r := 0; r < rows; r += everyRow {
		for c := range columns {
			edge := r < 2 || r == rows/2 || r == rows-1
			switch {
			case everything, styleName == "plain" && (tableName == "contacts" || edge && (r+c)%4 == 0), edge && (r+c)%8 == 0:
				at = append(at, [2]int{r, c})
			}
		}
	}
	return at
}

// TestOneDamagedRowLeavesTheOthersUntouched does each damage to each cell of a
// file, one at a time, and to some cells of quite different files.
// IMPORTER_DAMAGE=all does so to each cell of each.
func TestOneDamagedRowLeavesTheOthersUntouched(t *testing.T) {
	t.Parallel()
	for tableName, rows := range tables() {
		for styleName, s := range styles {
			for name, damage := range damages {
				t.Run(tableName+"/"+styleName+"/"+name, func(t *testing.T) {
					t.Parallel()
					lines := s.lines(rows)
					var n fates
					for _, at := range places(tableName, styleName, len(rows), len(rows[0])) {
						r, c := at[0], at[1]
						damaged := slices.Clone(lines)
						damaged[r] = damage(s, rows[r], c)
						where := fmt.Sprintf("row %d, column %d: %s", r, c, damaged[r])
						got := readTable(t, strings.Join(damaged, s.end)+s.end, dropfile.Options{})
						requireOthers(t, rows, r, got, where)
						if r == 0 {
							continue
						}
						fate := n.count(rows, r, got)
						if slices.Contains(certain, name) && styleName == "plain" && tableName == "contacts" {
							require.Equal(t, asBefore, fate, where)
						}
						if strings.HasPrefix(tableName, "contacts") && fate == otherwise {
							require.Contains(t, []string{digitsOf(rows[r][contactsPhone]), ""}, digitsOf(got.rows[r-1][contactsPhone]), "nobody else is called: %s", where)
						}
					}
					t.Log(n.String())
					if slices.Contains(rare, name) {
						require.LessOrEqual(t, n[otherwise]*10, n[asBefore]+n[withoutCells]+n[refused]+10, n.String())
					}
				})
			}
		}
	}
}

const contactsPhone = 6

// requireOthers checks that all rows but the damaged one are as they were, and
// the header unless it is the damaged row.
func requireOthers(t *testing.T, rows [][]string, damaged int, got read, where string) {
	t.Helper()
	if damaged > 0 && !slices.Equal(named(rows[0]), got.header) || len(got.rows) != len(rows)-1 {
		require.Equal(t, named(rows[0]), got.header, where)
		require.Len(t, got.rows, len(rows)-1, "%s; outside are %v", where, got.outside.First)
	}
	for i, row := range got.rows {
		if i+1 == damaged || slices.Equal(rows[i+1], row) && got.refused[i] == "" {
			continue
		}
		// Where the last column is empty, a name too few looks like a delimiter
		// behind each record.
		if last := len(row); damaged == 0 && slices.Equal(rows[i+1], append(slices.Clone(row), "")) && last+1 == len(rows[0]) {
			continue
		}
		require.Equal(t, rows[i+1], row, "row %d is hurt: %s", i+1, where)
		require.Empty(t, got.refused[i], where)
	}
}

// fate is what became of a damaged row.
type fate int

const (
	asBefore fate = iota
	withoutCells
	refused
	otherwise
)

// fates counts what became of damaged rows.
type fates [otherwise + 1]int

func (n *fates) String() string {
	return fmt.Sprintf("the damaged row is read as before %d times, with cells missing %d, otherwise %d, refused %d", n[asBefore], n[withoutCells], n[otherwise], n[refused])
}

func (n *fates) count(rows [][]string, damaged int, got read) fate {
	was, is := rows[damaged], got.rows[damaged-1]
	of := withoutCells
	switch {
	case got.refused[damaged-1] != "":
		of = refused
	case slices.Equal(unmarked(was), unmarked(is)):
		of = asBefore
	case len(is) != len(was):
		of = otherwise
	default:
		for j := range is {
			if is[j] != "" && is[j] != was[j] {
				of = otherwise
			}
		}
	}
	n[of]++
	return of
}

// unmarked takes out of cells what the damages put in, and quotes.
func unmarked(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = strings.NewReplacer(`"`, "", "'", "", "\uFFFD", "", "\r\n", "\n").Replace(c)
	}
	return out
}

// named makes names distinct, as the reader does.
func named(header []string) []string {
	out := slices.Clone(header)
	seen := map[string]int{}
	for i, h := range header {
		if seen[h]++; seen[h] > 1 && h != "" {
			out[i] = fmt.Sprintf("%s (%d)", h, seen[h])
		}
	}
	return out
}

func (s style) written(row []string) []string {
	out := make([]string, len(row))
	for i, c := range row {
		out[i] = s.cell(c)
	}
	return out
}

// digitsOf is what of a cell is dialled.
func digitsOf(cell string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, cell)
}
