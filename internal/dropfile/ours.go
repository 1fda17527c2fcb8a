package dropfile

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"importer/internal/importer"
	"importer/internal/lead"
)

// Our own rejects are imported again: report.Rejects writes them, a person
// corrects them, perhaps in a spreadsheet. They have the vendor's columns and
// these; a file that has ownColumn is one.
const (
	firstOwnColumn = "import_line"
	ownColumn      = "import_reason"
)

var (
	ownColumns = []string{firstOwnColumn, "import_outcome", ownColumn, "import_note"}

	ownHeader = regexp.MustCompile(`import_line"?([^\w"]{1,2})"?import_outcome\W{1,4}import_reason\W{1,4}import_note`)
	// numberedName is a column of a file without a header, and what it was read as.
	numberedName = regexp.MustCompile(`^column (\d+)(?: \((\w+)\))?$`)
)

// ownBytes is how much of a file's beginning its header may take to be known
// as that of our rejects.
const ownBytes = 64 << 10

// ifOurs returns the options for our rejects, which a file's beginning tells, in
// whichever character set and with whichever delimiter a spreadsheet has written
// them: a feed's settings are those of the vendor's files.
func (o Options) ifOurs(beginning []byte) Options {
	m := ownHeader.FindSubmatch(bytes.ReplaceAll(beginning, []byte{0}, nil))
	if m == nil {
		return o
	}
	o.Encoding, o.Delimiter, o.Quote, o.Escape, o.RecordEnd, o.HeaderLine = "", string(m[1]), "double", "doubled", "", 1
	return o
}

// areNumbered tells the header that our rejects give to a table without one.
func areNumbered(names []string) bool {
	for i, name := range names {
		if name == firstOwnColumn {
			return i > 0
		}
		if m := numberedName.FindStringSubmatch(name); m == nil || m[1] != strconv.Itoa(i+1) {
			return false
		}
	}
	return false
}

// takeNumbered maps the columns of rejects without a header of their own as
// they were read when the whole file was there.
func (c *columns) takeNumbered() {
	for at, h := range c.headers {
		m := numberedName.FindStringSubmatch(h)
		if m == nil || c.taken[at] || c.has(m[2]) || m[2] != fullName && !slices.Contains(lead.Fields(), m[2]) {
			continue
		}
		c.take(m[2], at, ByName, 99)
	}
}

// restore gives a row of our rejects its cells back, and refuses it when it was
// refused for its form and nobody has put it in order since.
func (m *mapper) restore(row *importer.Row) {
	filled, text := 0, ""
	for j, cell := range row.Cells {
		cell = unguarded(cell)
		row.Cells[j] = cell
		if !m.own[j] && strings.TrimSpace(cell) != "" {
			filled++
			text = cell
		}
	}
	why := lead.Reason(strings.TrimSpace(row.Cells[m.reason]))
	if why != lead.RowFields && why != lead.RowQuotes || filled > 1 {
		return
	}
	row.Refusal = &lead.Refusal{Reason: why, Detail: "the record is as it was when it was refused"}
	row.Changes = append([]lead.Change{{Field: recordField, From: text, Why: row.Refusal.Detail}}, row.Changes...)
}

func allUnguarded(records [][]string) [][]string {
	out := make([][]string, len(records))
	for i, cells := range records {
		for _, c := range cells {
			out[i] = append(out[i], unguarded(c))
		}
	}
	return out
}

// unguarded takes away the apostrophes that our rejects put before what a
// spreadsheet would take for a formula, see report.Harmless.
func unguarded(cell string) string {
	if !strings.Contains(cell, "'") {
		return cell
	}
	var out strings.Builder
	begins := true
	for i := range len(cell) {
		if begins && cell[i] == '\'' {
			bare := strings.TrimLeft(cell[i:], "'")
			if bare != "" && (strings.IndexByte("=+-@", bare[0]) >= 0 || i == 0 && strings.IndexByte("\t\r", bare[0]) >= 0) {
				begins = false
				continue
			}
		}
		begins = strings.IndexByte(";\t\r\n", cell[i]) >= 0 || begins && cell[i] == '"'
		out.WriteByte(cell[i])
	}
	return out.String()
}
