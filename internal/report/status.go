package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"importer/internal/importer"
)

// Status is how everything stands at a moment.
type Status struct {
	At          time.Time    `json:"at"`
	Serving     []Replica    `json:"serving"`
	ServedUntil time.Time    `json:"served_until,omitzero"` // by the last one that does no more
	Going       []GoingRun   `json:"going"`
	Feeds       []FeedStatus `json:"feeds"`
	Unfinished  int          `json:"unfinished_drops"` // on which nobody works
	Held        int          `json:"held_drops"`
	Review      int          `json:"review_rows"`
	GivenUp     []GivenUp    `json:"messages_given_up"`
	// NeedsPerson says in sentences what nobody but a person will do.
	NeedsPerson []string `json:"needs_person"`
}

// Replica is an importer serve that lives.
type Replica struct {
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
}

// GivenUp is who did not take messages of the last day, so that they were given up.
type GivenUp struct {
	Target   string    `json:"target"`
	Messages int       `json:"messages"`
	Since    time.Time `json:"since"` // when the first one was given up
	Last     time.Time `json:"last"`
	Feed     string    `json:"feed"` // of which the last one was
}

// GoingRun is a run that somebody carries.
type GoingRun struct {
	Run       int64     `json:"run"`
	Feed      string    `json:"feed"`
	Kind      string    `json:"kind"`
	Started   time.Time `json:"started"`
	Rows      int       `json:"rows"` // recorded so far
	Settled   int       `json:"settled"`
	Calls     int       `json:"calls"`
	Cancelled bool      `json:"cancelled,omitempty"`
}

// State is what a feed does.
type State string

// The states of a feed.
const (
	Running  State = "running"  // a run of it goes
	Waiting  State = "waiting"  // a slot has come whose run has not begun, or was left and has not gone on
	Queued   State = "queued"   // a slot waits for the run before it
	Again    State = "again"    // its run has failed for a reason that may pass, and is tried again at Slot
	Paused   State = "paused"   // a person has told its schedule to begin no runs
	Late     State = "late"     // no drop has come today by the time at which one was expected
	Holiday  State = "holiday"  // today
	Blackout State = "blackout" // now
	Idle     State = "idle"     // it waits for its next slot
)

// FeedStatus is how a feed stands. Moments of its schedule are in its zone.
type FeedStatus struct {
	Feed        string       `json:"feed"`
	State       State        `json:"state"`
	Run         int64        `json:"run,omitempty"` // that is running, or has been left
	Slot        time.Time    `json:"slot,omitzero"` // that waits, is queued or tries again
	LastRun     *LastRun     `json:"last_run"`      // that pulled or imported it; null: none has
	LastSuccess time.Time    `json:"last_success,omitzero"`
	Next        time.Time    `json:"next_slot,omitzero"`
	NextIs      string       `json:"next_slot_is,omitempty"` // which rule keeps it from running
	Today       *ExpectedDay `json:"expected,omitempty"`     // today's drop; none: no drop is expected today
	Missed      int          `json:"missed_7d"`
	MissedMore  bool         `json:"missed_7d_or_more,omitempty"` // they were too many to be counted
}

// LastRun is how a feed's last run has ended.
type LastRun struct {
	Run      int64                    `json:"run"`
	Kind     string                   `json:"kind"`
	State    string                   `json:"state"` // open, done, stopped, cancelled, or interrupted
	Started  time.Time                `json:"started"`
	Finished time.Time                `json:"finished,omitzero"`
	Outcomes map[importer.Outcome]int `json:"outcomes,omitempty"` // once it has ended
	Why      string                   `json:"why,omitempty"`
}

// ExpectedDay is when a drop must have come, and when the first one has.
type ExpectedDay struct {
	By   time.Time `json:"by"`
	Came time.Time `json:"came,omitzero"`
	Late bool      `json:"late,omitempty"`
}

// WriteStatus writes how everything stands.
func WriteStatus(w io.Writer, f Format, s Status) error {
	if f == JSON {
		return writeJSON(w, s)
	}
	for _, line := range s.head() {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	if len(s.Feeds) > 0 {
		t := newTable("feed", "state", "last run", "last success", "next slot", "expected by", "missed 7d")
		for _, feed := range s.Feeds {
			t.AppendRow(table.Row{
				feed.Feed, feed.state(s.At), feed.LastRun.text(), minuteOf(feed.LastSuccess), feed.next(s.At), feed.Today.text(), feed.missed(),
			})
		}
		if _, err := fmt.Fprintln(w, t.Render()); err != nil {
			return err
		}
	}
	for _, line := range s.foot() {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// head tells who serves, and what goes on.
func (s Status) head() (lines []string) {
	var hosts []string
	for _, r := range s.Serving {
		hosts = append(hosts, fmt.Sprintf("%s (since %s)", printable(r.Host), When(r.Started)))
	}
	if hosts == nil {
		lines = append(lines, "importer serve does not run")
	} else {
		lines = append(lines, "importer serve runs on "+strings.Join(hosts, ", "))
	}
	for _, r := range s.Going {
		line := fmt.Sprintf("Run %d of %s (%s) goes since %s: %d settled of %s recorded so far, %s", r.Run, r.Feed, r.Kind, When(r.Started),
			r.Settled, rows(r.Rows), Some(r.Calls, "call"))
		if r.Cancelled {
			line += "; it is being stopped"
		}
		lines = append(lines, line)
	}
	return lines
}

// foot tells what waits.
func (s Status) foot() (lines []string) {
	if s.Unfinished > 0 {
		lines = append(lines, are(s.Unfinished, "drop")+" unfinished until the next run of their feeds: importer drops --state importing")
	}
	for _, u := range s.GivenUp {
		lines = append(lines, fmt.Sprintf("%s to %s given up since %s, the last of %s at %s: importer notify test %[2]s tells why it takes none",
			Some(u.Messages, "message"), u.Target, When(u.Since), u.Feed, When(u.Last)))
	}
	if len(s.NeedsPerson) == 0 {
		return append(lines, "Nothing waits for a person")
	}
	lines = append(lines, "A person is needed:")
	for _, what := range s.NeedsPerson {
		lines = append(lines, "  "+printable(what))
	}
	return lines
}

func are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return Some(n, what) + " are"
}

func (f FeedStatus) state(now time.Time) string {
	switch {
	case f.State == Running:
		return fmt.Sprintf("running run %d", f.Run)
	case f.Run != 0:
		return fmt.Sprintf("%s to go on with run %d", f.State, f.Run)
	case f.State == Again:
		return "tries again at " + clock(f.Slot)
	case f.Slot.IsZero():
		return string(f.State)
	case now.In(f.Slot.Location()).Format(time.DateOnly) == f.Slot.Format(time.DateOnly):
		return fmt.Sprintf("%s since %s", f.State, clock(f.Slot))
	}
	return fmt.Sprintf("%s since %s", f.State, slot(f.Slot))
}

// clock and slot are a moment of a feed's schedule as its zone's clocks show it.
func clock(t time.Time) string { return t.Format("15:04 MST") }
func slot(t time.Time) string  { return t.Format("2006-01-02 15:04 MST") }

func (r *LastRun) text() string {
	if r == nil {
		return ""
	}
	kind := ""
	if r.Kind != "run" {
		kind = " (" + r.Kind + ")"
	}
	text := fmt.Sprintf("%d%s, %s, %s", r.Run, kind, minuteOf(r.Started), r.State)
	if n := r.Outcomes[importer.OutcomeError]; n > 0 {
		text += ", " + Some(n, "error")
	}
	if n := r.Outcomes[importer.OutcomeReview]; n > 0 {
		text += fmt.Sprintf(", %d to review", n)
	}
	return text
}

// minuteOf is a time for people to whom seconds do not matter, empty for none.
func minuteOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

func (f FeedStatus) next(now time.Time) string {
	if f.Next.IsZero() {
		return ""
	}
	text := slot(f.Next) + ", in " + away(f.Next.Sub(now))
	if f.NextIs != "" {
		text += ": " + f.NextIs
	}
	return text
}

// away is a stretch of time to come, in its largest unit of which there are two.
func away(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if d >= 2*unit.of {
			return fmt.Sprintf("%d%s", d/unit.of, unit.name)
		}
	}
	return fmt.Sprintf("%ds", max(0, d/time.Second))
}

func (e *ExpectedDay) text() string {
	switch {
	case e == nil:
		return ""
	case e.Came.IsZero() && e.Late:
		return clock(e.By) + ", late"
	case e.Came.IsZero():
		return clock(e.By)
	case e.Late:
		return fmt.Sprintf("%s, came late at %s", clock(e.By), e.Came.Format("15:04"))
	}
	return fmt.Sprintf("%s, came at %s", clock(e.By), e.Came.Format("15:04"))
}

func (f FeedStatus) missed() string {
	more := ""
	if f.MissedMore {
		more = "+"
	}
	return fmt.Sprintf("%d%s", f.Missed, more)
}
