// Package report renders what the ledger says as text for people and as CSV
// and JSON for programs.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gocarina/gocsv"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"importer/internal/importer"
)

// Format is how a report is written.
type Format string

// The formats.
const (
	Table Format = "table"
	CSV   Format = "csv"
	JSON  Format = "json"
)

// ParseFormat reads a format's name.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case Table, CSV, JSON:
		return f, nil
	}
	return "", fmt.Errorf("there is no format %q: use table, csv or json", name)
}

// object is the JSON that a run's command ends with.
type object struct {
	Run      int64                    `json:"run"`
	Feed     string                   `json:"feed"`
	Rows     int                      `json:"rows"`
	Outcomes map[importer.Outcome]int `json:"outcomes"`
	Pending  int                      `json:"pending"`
	Files    int                      `json:"files,omitempty"` // taken from the feed's source
	Known    int                      `json:"files_already_imported,omitempty"`
	Calls    int                      `json:"calls"`
	Seconds  float64                  `json:"seconds"`
	Reasons  map[string]int           `json:"reasons"` // "OUTCOME reason": rows
	Stopped  *stopped                 `json:"stopped,omitempty"`
	Alarms   []string                 `json:"alarms,omitempty"`
	Drops    []dropObject             `json:"drops"`
	// Of a run that is looked at afterwards:
	Changes  []importer.Changed `json:"changes,omitempty"`
	Examples []exampleObject    `json:"examples,omitempty"`
	Slowest  *minute            `json:"slowest_minute,omitempty"`
	History  *history           `json:"history,omitempty"`
}

// stopped is why a run ended before it had done all it could.
type stopped struct {
	Reason importer.Reason `json:"reason,omitempty"`
	Why    string          `json:"why"`
}

type history struct {
	Kind     string    `json:"kind"`
	State    string    `json:"state"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished,omitzero"`
	Why      string    `json:"why,omitempty"`
}

type dropObject struct {
	Drop     int64                    `json:"drop"`
	Name     string                   `json:"name"`
	SHA256   string                   `json:"sha256"`
	State    importer.DropState       `json:"state"`
	Why      string                   `json:"why,omitempty"`
	Rows     int                      `json:"rows"`
	Outcomes map[importer.Outcome]int `json:"outcomes"`
	Pending  int                      `json:"pending"`
	// Outside is what of the file held no record; it stands beside the rows.
	Outside *importer.Outside `json:"outside,omitempty"`
	Columns []columnObject    `json:"columns,omitempty"` // of a run that is looked at afterwards
	// ImportedBefore is when the whole drop had been imported already.
	ImportedBefore *time.Time `json:"imported_before,omitempty"`
	// CameAs is the name under which it came then, if that is another one.
	CameAs string `json:"came_as,omitempty"`
}

// columnObject tells what one of a drop's columns was read as.
type columnObject struct {
	Header string `json:"header"`
	Field  string `json:"field,omitempty"` // none: it was not used
}

func columnsOf(d importer.Drop) []columnObject {
	var out []columnObject
	for i, field := range d.Fields {
		c := columnObject{Header: "column " + strconv.Itoa(i+1), Field: field}
		if i < len(d.Header) {
			c.Header = d.Header[i]
		}
		out = append(out, c)
	}
	return out
}

func outcomes(c importer.Counts) map[importer.Outcome]int {
	m := map[importer.Outcome]int{}
	for _, o := range importer.Outcomes() {
		m[o] = c.Outcome(o)
	}
	return m
}

func runObject(s importer.Summary) object {
	c := s.Counts()
	o := object{
		Run: s.Run, Feed: s.Feed, Rows: c.Rows(), Outcomes: outcomes(c), Pending: c.Outcome(importer.OutcomePending),
		Files: s.Files, Known: s.Known, Calls: s.Calls, Seconds: s.Seconds, Reasons: map[string]int{}, Alarms: s.Alarms, Drops: []dropObject{},
	}
	if s.Why != "" {
		o.Stopped = &stopped{Reason: s.Stopped, Why: s.Why}
	}
	for _, l := range lines(c) {
		if l.Reason != "" {
			o.Reasons[l.Outcome+" "+l.Reason] = l.Rows
		}
	}
	for _, d := range s.Drops {
		do := dropObject{
			Drop: d.Drop.ID, Name: d.Drop.Name, SHA256: d.Drop.Hash(), State: d.Drop.State, Why: d.Drop.Why,
			Rows: d.Counts.Rows(), Outcomes: outcomes(d.Counts), Pending: d.Counts.Outcome(importer.OutcomePending),
		}
		if d.Drop.Outside.Count > 0 {
			do.Outside = withoutTexts(d.Drop.Outside)
		}
		if d.Already {
			do.ImportedBefore, do.CameAs = &d.Drop.Finished, d.As
		}
		o.Drops = append(o.Drops, do)
	}
	return o
}

// withoutTexts leaves out what stands in the lines: a second table may hold
// people, and what an import prints ends in the log of whatever started it.
func withoutTexts(o importer.Outside) *importer.Outside {
	o.First = slices.Clone(o.First)
	for i := range o.First {
		o.First[i].Text = ""
	}
	return &o
}

// Line is one line of a report by outcome and reason.
type Line struct {
	Outcome string `csv:"outcome" json:"outcome"`
	Reason  string `csv:"reason" json:"reason"`
	Rows    int    `csv:"rows" json:"rows"`
}

// lines sorts counts by outcome in the usual order, then by rows.
func lines(c importer.Counts) []Line {
	order := append(importer.Outcomes(), importer.OutcomePending)
	sums := map[Line]int{}
	for sr, n := range c {
		sums[Line{Outcome: string(sr.State.Outcome()), Reason: string(sr.Reason)}] += n
	}
	out := []Line{}
	for l, n := range sums {
		l.Rows = n
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Line) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, importer.Outcome(a.Outcome)), slices.Index(order, importer.Outcome(b.Outcome))),
			cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// Run writes a run's summary.
func Run(w io.Writer, f Format, s importer.Summary) error {
	switch f {
	case JSON:
		return writeJSON(w, runObject(s))
	case CSV:
		return writeCSV(w, lines(s.Counts()))
	case Table:
	}
	columns := ""
	for _, d := range s.Drops {
		if _, err := fmt.Fprintln(w, dropSentence(d)); err != nil {
			return err
		}
		if now := columnSentence(d); now != "" && now != columns {
			columns = now
			if _, err := fmt.Fprintln(w, columns); err != nil {
				return err
			}
		}
	}
	c := s.Counts()
	rate := ""
	if s.Seconds > 0 && s.Calls > 0 {
		rate = fmt.Sprintf(", %.0f calls/s", float64(s.Calls)/s.Seconds)
	}
	if err := countsTable(w, c); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "Run %d of feed %s: %s, %s in %s%s\n", s.Run, s.Feed, rows(c.Rows()), Some(s.Calls, "call"), took(s.Seconds), rate); err != nil {
		return err
	}
	for _, a := range s.Alarms {
		if _, err := fmt.Fprintln(w, "ALARM:", a); err != nil {
			return err
		}
	}
	return nil
}

func dropSentence(d importer.DropSummary) string {
	name := fmt.Sprintf("Drop %d (%s)", d.Drop.ID, d.Drop.Name)
	switch pending := d.Counts.Outcome(importer.OutcomePending); {
	case d.Already && d.As != "":
		return fmt.Sprintf("%s came again as %s; it was imported before, at %s: nothing was sent", name, d.As, When(d.Drop.Finished))
	case d.Already:
		return fmt.Sprintf("%s was imported before, at %s: nothing was sent", name, When(d.Drop.Finished))
	case d.Drop.State == importer.DropDone && d.Counts.Rows() == 0 && d.Drop.Recorded > 0: // looked at afterwards
		return fmt.Sprintf("%s had no rows yet when this run left it; by now it is done", name)
	case d.Drop.State == importer.DropHeld:
		return fmt.Sprintf("%s is held, nothing was imported: %s", name, d.Drop.Why)
	case d.Drop.State == importer.DropFailed && d.Counts.Rows() > 0:
		return fmt.Sprintf("%s could not be read to its end, only its first %s", name, rows(d.Counts.Rows()))
	case d.Drop.State == importer.DropFailed:
		return fmt.Sprintf("%s could not be read, nothing was imported", name)
	case d.Drop.State == importer.DropDone && d.Counts.Rows() == 0:
		return name + " has no rows"
	case d.Drop.State == importer.DropDone:
		return name + " is done" + outsideWords(d.Drop.Outside)
	case pending == 0 && d.Drop.Complete: // looked at afterwards
		return fmt.Sprintf("%s had an outcome for each row when this run left it; by now some have another chance", name)
	default:
		return fmt.Sprintf("%s is unfinished: %s pending, the feed's next start goes on", name, rows(pending))
	}
}

// outsideWords tells what of a file held no record.
func outsideWords(o importer.Outside) string {
	if o.Count == 0 {
		return ""
	}
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(o.ByKind)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", o.ByKind[kind], kind))
	}
	return fmt.Sprintf("; %s held no record: %s", Some(o.Count, "line"), strings.Join(kinds, ", "))
}

// columnSentence tells how the drop's columns were read, empty for a drop of
// which nothing was read by this run.
func columnSentence(d importer.DropSummary) string {
	if d.Already {
		return ""
	}
	var used, unused []string
	for _, c := range columnsOf(d.Drop) {
		name := shortName(c.Header)
		switch {
		case c.Field != "":
			used = append(used, name+" → "+c.Field)
		case c.Header != "": // spreadsheets leave empty columns behind
			unused = append(unused, name)
		}
	}
	if used == nil {
		return ""
	}
	sentence := "Columns: " + strings.Join(used, ", ")
	if more := len(unused) - mostUnused; more > 0 {
		unused = append(unused[:mostUnused], fmt.Sprintf("and %d more", more))
	}
	if unused != nil {
		sentence += "; not used: " + strings.Join(unused, ", ")
	}
	return sentence
}

// mostUnused bounds how many columns are named of which nothing was read.
const mostUnused = 20

// shortName makes a vendor's header fit into a sentence.
func shortName(header string) string {
	const most = 40
	name := []rune(printable(strings.Join(strings.Fields(header), " ")))
	switch {
	case len(name) == 0:
		return "(no name)"
	case len(name) > most:
		return string(name[:most]) + "…"
	}
	return string(name)
}

// countsTable writes counts by outcome and reason, adding up to all rows.
func countsTable(w io.Writer, c importer.Counts) error {
	if c.Rows() == 0 {
		return nil
	}
	t := newTable("outcome", "reason", "rows")
	for _, l := range lines(c) {
		t.AppendRow(table.Row{l.Outcome, l.Reason, l.Rows})
	}
	t.AppendSeparator()
	t.AppendRow(table.Row{"", "all", c.Rows()})
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options.DrawBorder = false
	style.Options.SeparateColumns = false
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(header)
	return t
}

func rows(n int) string { return Some(n, "row") }

// Some counts things in words.
func Some(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func took(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// When is a time for people, empty for none.
func When(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// RunLine is one run in a list of runs.
type RunLine struct {
	Run       int64   `csv:"run" json:"run"`
	Feed      string  `csv:"feed" json:"feed"`
	Kind      string  `csv:"kind" json:"kind"`
	Started   string  `csv:"started" json:"started"`
	State     string  `csv:"state" json:"state"` // done, stopped, open (going), or interrupted (killed)
	Rows      int     `csv:"rows" json:"rows"`
	Success   int     `csv:"success" json:"success"`
	Error     int     `csv:"error" json:"error"`
	Duplicate int     `csv:"duplicate" json:"duplicate"`
	Invalid   int     `csv:"invalid" json:"invalid"`
	Review    int     `csv:"review" json:"review"`
	Pending   int     `csv:"pending" json:"pending"`
	Calls     int     `csv:"calls" json:"calls"`
	Seconds   float64 `csv:"seconds" json:"seconds"`
	Why       string  `csv:"why" json:"why,omitempty"`
}

func runLine(r importer.RunInfo) RunLine {
	c := r.Counts()
	state := "done"
	switch {
	case r.Finished.IsZero() && r.Going:
		state = "open"
	case r.Finished.IsZero():
		state = "interrupted"
	case r.Error != "":
		state = "stopped"
	}
	return RunLine{
		Run: r.ID, Feed: r.Feed, Kind: r.Kind, Started: r.Started.Format(time.RFC3339), State: state,
		Rows: c.Rows(), Success: c.Outcome(importer.OutcomeSuccess), Error: c.Outcome(importer.OutcomeError),
		Duplicate: c.Outcome(importer.OutcomeDuplicate), Invalid: c.Outcome(importer.OutcomeInvalid),
		Review: c.Outcome(importer.OutcomeReview), Pending: c.Outcome(importer.OutcomePending),
		Calls: r.Calls, Seconds: r.Seconds, Why: r.Error,
	}
}

// Runs writes a list of runs.
func Runs(w io.Writer, f Format, runs []importer.RunInfo) error {
	out := []RunLine{}
	for _, r := range runs {
		out = append(out, runLine(r))
	}
	switch f {
	case JSON:
		return writeJSON(w, out)
	case CSV:
		return writeCSV(w, out)
	case Table:
	}
	t := newTable("run", "feed", "kind", "started", "state", "rows", "success", "error", "duplicate", "invalid", "review", "pending", "calls", "took")
	for i, l := range out {
		t.AppendRow(table.Row{
			l.Run, l.Feed, l.Kind, When(runs[i].Started), l.State, l.Rows, l.Success, l.Error,
			l.Duplicate, l.Invalid, l.Review, l.Pending, l.Calls, took(l.Seconds),
		})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

// Counts writes how many rows had which outcome, and why.
func Counts(w io.Writer, f Format, c importer.Counts) error {
	switch f {
	case JSON:
		return writeJSON(w, lines(c))
	case CSV:
		return writeCSV(w, lines(c))
	case Table:
	}
	if c.Rows() == 0 {
		_, err := fmt.Fprintln(w, "no rows")
		return err
	}
	return countsTable(w, c)
}

// printable keeps a vendor's text from breaking lines or steering a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func writeCSV[T any](w io.Writer, rows []T) error {
	if len(rows) == 0 {
		rows = []T{}
	}
	if err := gocsv.Marshal(rows, w); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	return nil
}
