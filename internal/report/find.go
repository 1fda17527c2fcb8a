package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"importer/internal/importer"
	"importer/internal/lead"
)

// Number is a phone number as it is posted.
type Number struct {
	Code   string `json:"phone_code"`
	Number string `json:"phone_number"`
}

// String is how people write it.
func (n Number) String() string { return "+" + n.Code + " " + n.Number }

type foundObject struct {
	Feed       string            `json:"feed"`
	Drop       int64             `json:"drop"`
	Name       string            `json:"name"`
	FirstSeen  time.Time         `json:"first_seen"`
	Record     int               `json:"record"`
	Line       int               `json:"line"`
	Outcome    importer.Outcome  `json:"outcome"`
	Reason     importer.Reason   `json:"reason"`
	Note       string            `json:"note,omitempty"`
	List       string            `json:"list_id,omitempty"`
	LeadID     int64             `json:"lead_id,omitempty"`
	Attempts   int               `json:"attempts"`
	Superseded []importer.Reason `json:"superseded_attempts,omitempty"`
	Run        int64             `json:"run"`
	HeldBy     *heldBy           `json:"held_by,omitempty"`
	Changes    []lead.Change     `json:"changes,omitempty"`
}

type heldBy struct {
	Drop   int64 `json:"drop"`
	Record int   `json:"record"`
}

// Find writes the rows that have a phone number, and what the number was read
// as.
func Find(w io.Writer, f Format, readAs []Number, found []importer.Found) error {
	if f == JSON {
		objects := []foundObject{}
		for _, r := range found {
			o := foundObject{
				Feed: r.Drop.Feed, Drop: r.Drop.ID, Name: r.Drop.Name, FirstSeen: r.Drop.FirstSeen.UTC(),
				Record: r.Record, Line: r.Line, Outcome: r.State.Outcome(), Reason: r.Reason, Note: r.Note,
				List: r.ListID, LeadID: r.LeadID, Attempts: r.Attempt, Superseded: r.Superseded, Run: r.Run, Changes: r.Changes,
			}
			if r.HeldBy != (importer.RowRef{}) {
				o.HeldBy = &heldBy{r.HeldBy.Drop, r.HeldBy.Record}
			}
			objects = append(objects, o)
		}
		return writeJSON(w, map[string]any{"read_as": readAs, "rows": objects})
	}
	names := make([]string, len(readAs))
	for i, n := range readAs {
		names[i] = n.String()
	}
	read := "Read as " + strings.Join(names, " or ")
	if len(readAs) == 0 {
		read = "No feed reads this as a phone number: only rows that became no lead were looked through"
	}
	if _, err := fmt.Fprintln(w, read); err != nil {
		return err
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "no row with this number")
		return err
	}
	t := newTable("feed", "drop", "name", "first seen", "record", "line", "outcome", "reason", "list", "lead", "attempts", "run", "held by", "note")
	for _, r := range found {
		held := ""
		if r.HeldBy != (importer.RowRef{}) {
			held = fmt.Sprintf("drop %d, record %d", r.HeldBy.Drop, r.HeldBy.Record)
		}
		t.AppendRow(table.Row{
			r.Drop.Feed, r.Drop.ID, r.Drop.Name, When(r.Drop.FirstSeen), r.Record, r.Line, r.State.Outcome(), r.Reason,
			r.ListID, someID(r.LeadID), attempts(r), r.Run, held, r.Note,
		})
	}
	if _, err := fmt.Fprintln(w, t.Render()); err != nil {
		return err
	}
	for _, r := range found {
		for _, c := range r.Changes {
			became := ""
			if c.To != "" {
				became = fmt.Sprintf(", became %q", c.To)
			}
			if _, err := fmt.Fprintf(w, "Drop %d, record %d: %s: %s (was %q%s)\n", r.Drop.ID, r.Record, c.Field, c.Why, c.From, became); err != nil {
				return err
			}
		}
	}
	return nil
}

func someID(id int64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprint(id)
}

// attempts is how many there were, and how those before the latest went.
func attempts(r importer.Found) string {
	if len(r.Superseded) == 0 {
		return fmt.Sprint(r.Attempt)
	}
	went := make([]string, len(r.Superseded))
	for i, reason := range r.Superseded {
		went[i] = string(reason)
		if reason == "" {
			went[i] = "absent"
		}
	}
	return fmt.Sprintf("%d (%s)", r.Attempt, strings.Join(went, ", "))
}
