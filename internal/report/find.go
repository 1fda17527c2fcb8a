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
	Claim      *claim            `json:"claim,omitempty"`
	SameLead   bool              `json:"same_lead,omitempty"`
	Changes    []lead.Change     `json:"changes,omitempty"`
}

type heldBy struct {
	Drop   int64 `json:"drop"`
	Record int   `json:"record"`
}

// claim is the row that holds a lead now.
type claim struct {
	heldBy
	Since time.Time `json:"since"`
}

// Asked is what a person asked for.
type Asked struct {
	ReadAs []Number // as what a phone number was read
	Code   string   // the vendor's code of a lead
	LeadID int64    // the dialer's id of a lead
}

// opening is the first sentence of an answer, empty where there is nothing to
// be explained.
func (a Asked) opening() string {
	names := make([]string, len(a.ReadAs))
	for i, n := range a.ReadAs {
		names[i] = n.String()
	}
	switch {
	case a.Code != "" || a.LeadID != 0:
		return ""
	case len(names) == 0:
		return "No feed reads this as a phone number: only rows that became no lead were looked through\n"
	}
	return "Read as " + strings.Join(names, " or ") + "\n"
}

// object is the JSON of an answer.
func (a Asked) object(rows []foundObject) map[string]any {
	o := map[string]any{"rows": rows}
	switch {
	case a.Code != "":
		o["vendor_lead_code"] = a.Code
	case a.LeadID != 0:
		o["lead_id"] = a.LeadID
	default:
		o["read_as"] = a.ReadAs
	}
	return o
}

// noun says what was asked for.
func (a Asked) noun() string {
	switch {
	case a.Code != "":
		return "vendor code"
	case a.LeadID != 0:
		return "lead id"
	}
	return "number"
}

// Find writes the rows in the history of what was asked for.
func Find(w io.Writer, f Format, asked Asked, found []importer.Found) error {
	if f == JSON {
		objects := []foundObject{}
		for _, r := range found {
			o := foundObject{
				Feed: r.Drop.Feed, Drop: r.Drop.ID, Name: r.Drop.Name, FirstSeen: r.Drop.FirstSeen.UTC(),
				Record: r.Record, Line: r.Line, Outcome: r.State.Outcome(), Reason: r.Reason, Note: r.Note,
				List: r.ListID, LeadID: r.LeadID, Attempts: r.Attempt, Superseded: r.Superseded, Run: r.Run, SameLead: r.SameLead, Changes: r.Changes,
			}
			if r.HeldBy != (importer.RowRef{}) {
				o.HeldBy = &heldBy{r.HeldBy.Drop, r.HeldBy.Record}
			}
			if c := r.Claim; c != (importer.Holding{}) {
				o.Claim = &claim{heldBy{c.Drop, c.Record}, c.Since.UTC()}
			}
			objects = append(objects, o)
		}
		return writeJSON(w, asked.object(objects))
	}
	if _, err := fmt.Fprint(w, asked.opening()); err != nil {
		return err
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "no row with this", asked.noun())
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
		if err := foundSentences(w, r, asked); err != nil {
			return err
		}
	}
	return holders(w, found)
}

// foundSentences tell of a row what has no room in a table.
func foundSentences(w io.Writer, r importer.Found, asked Asked) error {
	if r.SameLead {
		if _, err := fmt.Fprintf(w, "Drop %d, record %d: has another %s, and is the same lead by its feed's dedupe fields\n", r.Drop.ID, r.Record, asked.noun()); err != nil {
			return err
		}
	}
	for _, c := range r.Changes {
		became := ""
		if c.To != "" {
			became = fmt.Sprintf(", became %q", c.To)
		}
		if _, err := fmt.Fprintf(w, "Drop %d, record %d: %s: %s (was %q%s)\n", r.Drop.ID, r.Record, c.Field, c.Why, c.From, became); err != nil {
			return err
		}
	}
	return nil
}

// holders tells which rows hold the leads of those that were found.
func holders(w io.Writer, found []importer.Found) error {
	told := map[importer.Holding]bool{{}: true}
	for _, r := range found {
		c := r.Claim
		if told[c] {
			continue
		}
		told[c] = true
		if _, err := fmt.Fprintf(w, "Drop %d, record %d holds the lead since %s\n", c.Drop, c.Record, When(c.Since)); err != nil {
			return err
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
