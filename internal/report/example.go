package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"

	"importer/internal/importer"
)

// exampleObject is a reason with a row that ended so. Nobody is told by it who
// the person is.
type exampleObject struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	Rows    int    `json:"rows"`
	Drop    int64  `json:"drop,omitempty"` // none: no row stands so any more
	Record  int    `json:"record,omitempty"`
	Line    int    `json:"line,omitempty"`
	Phone   string `json:"phone_number,omitempty"`
	Name    string `json:"name,omitempty"`
	Note    string `json:"note,omitempty"`
}

// commonest are the most frequent reasons, each with an example.
func commonest(c importer.Counts, examples []importer.Example) (out []exampleObject) {
	const most = 10
	all := lines(c)
	slices.SortStableFunc(all, func(a, b Line) int { return b.Rows - a.Rows })
	for _, l := range all {
		if l.Reason == "" || len(out) == most {
			continue
		}
		o := exampleObject{Outcome: l.Outcome, Reason: l.Reason, Rows: l.Rows}
		i := slices.IndexFunc(examples, func(e importer.Example) bool {
			return string(e.State.Outcome()) == l.Outcome && string(e.Reason) == l.Reason
		})
		if i >= 0 {
			e := examples[i]
			phone, names := person(e)
			o.Drop, o.Record, o.Line, o.Phone, o.Name, o.Note = e.Drop.ID, e.Record, e.Line, maskNumber(phone), maskName(names), e.Note
		}
		out = append(out, o)
	}
	return out
}

// person is an example's phone number and names, of the lead or, where it became
// none, of the columns that were read as such.
func person(e importer.Example) (phone, names string) {
	if e.Lead != nil {
		return e.Lead.PhoneNumber, e.Lead.FirstName + " " + e.Lead.LastName
	}
	for i, field := range e.Drop.Fields {
		if i >= len(e.Cells) {
			break
		}
		switch field {
		case "phone_number":
			phone = e.Cells[i]
		case "first_name", "last_name", "full_name":
			names += " " + e.Cells[i]
		}
	}
	return phone, names
}

// mask stands for what is not told.
const mask = '•'

// maskNumber leaves the last two digits of a phone number, and its signs.
func maskNumber(phone string) string {
	const shown = 2
	out, digits := []rune(printable(phone)), 0
	for i, c := range slices.Backward(out) {
		switch {
		case unicode.IsDigit(c) && digits < shown:
			digits++
		case unicode.In(c, unicode.L, unicode.M, unicode.N):
			out[i] = mask
		}
	}
	return string(out)
}

// maskName leaves the first letter of each name.
func maskName(names string) string {
	var out []string
	for _, name := range strings.Fields(printable(names)) {
		letter := "" // none in a number, which may stand where a damaged record should have a name
		if i := strings.IndexFunc(name, unicode.IsLetter); i >= 0 {
			first, _ := utf8.DecodeRuneInString(name[i:])
			letter = string(first)
		}
		out = append(out, letter+string(mask))
	}
	return strings.Join(out, " ")
}

// examplesTable tells what stands behind the most frequent reasons.
func examplesTable(w io.Writer, examples []exampleObject) error {
	t := newTable("outcome", "reason", "rows", "for example", "number and name, masked")
	for _, e := range examples {
		where := ""
		if e.Drop != 0 {
			where = fmt.Sprintf("drop %d, line %d", e.Drop, e.Line)
		}
		t.AppendRow(table.Row{e.Outcome, e.Reason, e.Rows, where, strings.TrimSpace(e.Phone + "  " + e.Name)})
	}
	if t.Length() == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}
