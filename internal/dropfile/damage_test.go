package dropfile_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

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
		require.NoError(t, err)
		require.Equal(t, len(out.rows)+1, r.Number)
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
	"cut short": func(s style, row []string, c int) string { return s.line(row[:c+1]) },
	"NUL": func(s style, row []string, c int) string {
		cells := s.written(row)
		cells[c] += "\x00"
		return strings.Join(cells, s.delimiter)
	},
}

// certain are the damages after which the row itself is always read as it was.
var certain = []string{"extra delimiter", "missing quote in front", "missing quote behind"}

// TestOneDamagedRowLeavesTheOthersUntouched does each damage to each cell of a
// file, one at a time. IMPORTER_DAMAGE=all does so in every style.
func TestOneDamagedRowLeavesTheOthersUntouched(t *testing.T) {
	t.Parallel()
	const phone = 6
	rows := contacts()
	for styleName, s := range styles {
		step := 9 * everyRow
		if styleName == "plain" || os.Getenv("IMPORTER_DAMAGE") == "all" {
			step = everyRow
		}
		for name, damage := range damages {
			t.Run(styleName+"/"+name, func(t *testing.T) {
				t.Parallel()
				lines := s.lines(rows)
				asBefore, otherwise, refused := 0, 0, 0
				for r := 1; r < len(rows); r += step {
					for c := range rows[r] {
						damaged := slices.Clone(lines)
						damaged[r] = damage(s, rows[r], c)
						where := func() string { return fmt.Sprintf("row %d, column %d: %s", r, c, damaged[r]) }
						got := readTable(t, strings.Join(damaged, s.end)+s.end, dropfile.Options{})
						if !slices.Equal(rows[0], got.header) || len(got.rows) != len(rows)-1 {
							require.Equal(t, rows[0], got.header, where())
							require.Len(t, got.rows, len(rows)-1, where())
						}
						for i, row := range got.rows {
							if i+1 != r && (!slices.Equal(rows[i+1], row) || got.refused[i] != "") {
								require.Equal(t, rows[i+1], row, "row %d is hurt: %s", i+1, where())
								require.Empty(t, got.refused[i], where())
							}
						}
						row := got.rows[r-1]
						switch {
						case slices.Equal(row, rows[r]):
							asBefore++
						case slices.Contains(certain, name) && styleName == "plain":
							require.Equal(t, rows[r], row, where())
						case got.refused[r-1] != "":
							refused++
						default:
							otherwise++
							if c != phone {
								require.Contains(t, []string{rows[r][phone], ""}, strings.Trim(row[phone], `"`), "nobody else is called: %s", where())
							}
						}
					}
				}
				t.Logf("the damaged row is read as before %d times, otherwise %d, refused %d", asBefore, otherwise, refused)
			})
		}
	}
}

func (s style) written(row []string) []string {
	out := make([]string, len(row))
	for i, c := range row {
		out[i] = s.cell(c)
	}
	return out
}
