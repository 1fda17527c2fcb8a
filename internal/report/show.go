package report

import (
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"importer/internal/importer"
)

// Shown is what is known of a run.
type Shown struct {
	Run      importer.RunInfo
	Changed  []importer.Changed
	Examples []importer.Example
	Slowest  *importer.Minute // nil: not known, or there was no full minute
}

// minute is the JSON of a minute.
type minute struct {
	From  time.Time `json:"from"`
	Calls int       `json:"calls"` // that began in it
}

// Show writes all that is known of a run.
func Show(w io.Writer, f Format, shown Shown) error {
	r, l := shown.Run, runLine(shown.Run)
	told := commonest(r.Counts(), shown.Examples)
	s := importer.Summary{Run: r.ID, Feed: r.Feed, Drops: r.Drops, Calls: r.Calls, Seconds: r.Seconds, Alarms: r.Alarms}
	if f == JSON {
		o := runObject(s)
		for i, d := range r.Drops {
			o.Drops[i].Columns = columnsOf(d.Drop)
			if o.Drops[i].Outside != nil {
				o.Drops[i].Outside = &d.Drop.Outside
			}
		}
		o.Changes, o.Examples = shown.Changed, told
		if m := shown.Slowest; m != nil {
			o.Slowest = &minute{m.From.UTC(), m.Calls}
		}
		o.History = &history{Kind: r.Kind, State: l.State, Started: r.Started, Finished: r.Finished, Why: r.Error}
		return writeJSON(w, o)
	}
	if err := Run(w, f, s); err != nil || f == CSV {
		return err
	}
	ended := When(r.Finished)
	if ended == "" {
		ended = "not ended"
	}
	for _, d := range r.Drops {
		if err := outsideLines(w, d.Drop); err != nil {
			return err
		}
	}
	if err := changedTable(w, shown.Changed); err != nil {
		return err
	}
	if err := examplesTable(w, told); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s, %s: %s to %s\n", l.Kind, l.State, When(r.Started), ended)
	if m := shown.Slowest; err == nil && m != nil {
		_, err = fmt.Fprintf(w, "Slowest minute: from %s, %s began\n", When(m.From), Some(m.Calls, "call"))
	}
	if err == nil && r.Error != "" {
		_, err = fmt.Fprintln(w, "It stopped because:", r.Error)
	}
	return err
}

// changedTable tells what was done to rows before they were sent or refused.
func changedTable(w io.Writer, changed []importer.Changed) error {
	if len(changed) == 0 {
		return nil
	}
	const most = 30
	t := newTable("changed", "why", "rows")
	for _, c := range changed[:min(most, len(changed))] {
		t.AppendRow(table.Row{c.Field, printable(c.Why), c.Rows})
	}
	if more := len(changed) - most; more > 0 {
		t.AppendRow(table.Row{"", fmt.Sprintf("and %d more, see --json", more), ""})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

// outsideLines lists what of a drop's file held no record.
func outsideLines(w io.Writer, d importer.Drop) error {
	for _, l := range d.Outside.First {
		if _, err := fmt.Fprintf(w, "Drop %d, line %d: %s  %s\n", d.ID, l.Line, l.Kind, printable(l.Text)); err != nil {
			return err
		}
	}
	if more := d.Outside.Count - len(d.Outside.First); more > 0 {
		_, err := fmt.Fprintf(w, "Drop %d: and %d more\n", d.ID, more)
		return err
	}
	return nil
}
