package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"importer/internal/importer"
)

// Notice is what is told of a feed unasked. It goes to chats and mailboxes, and
// has nothing in it of people or of the lines of files: counts, reasons, numbers,
// and the names of files.
type Notice struct {
	Subject string // one line
	Text    string // lines for a phone's screen
	Data    any    // for programs
	Trouble bool   // a person should look
	Late    bool   // it is about a drop that has not come
}

// Events, as programs know them.
const (
	eventRun     = "run"
	eventLate    = "late_drop"
	eventMissed  = "slot_missed"
	eventOverlap = "slot_overlap"
	eventTest    = "test"
)

// notice is what the data of every notice begins with.
type notice struct {
	Event   string `json:"event"`
	Subject string `json:"subject"`
	Trouble bool   `json:"trouble"`
}

// runData is what programs get of a run: it has the names of importer show --json.
type runData struct {
	notice
	object

	ExpectBy time.Time `json:"expect_by,omitzero"` // as it was told that none had come by then
}

// RunNotice tells of a run that has ended. When late is not the zero time, people were
// told that no drop had come by then, and hear that the run has brought one. Rows that
// were rejected for one of the expected reasons are as they should be, and no trouble.
func RunNotice(r importer.RunInfo, late time.Time, expected ...importer.Reason) Notice {
	r.Error, r.Drops = eachLine(r.Error, withoutSamples), slices.Clone(r.Drops)
	for i := range r.Drops {
		r.Drops[i].Drop.Why = withoutSamples(r.Drops[i].Drop.Why)
	}
	s := importer.Summary{Run: r.ID, Feed: r.Feed, Drops: r.Drops, Calls: r.Calls, Seconds: r.Seconds, Alarms: r.Alarms}
	t := told{RunInfo: r, c: s.Counts(), why: whyStopped(r), late: late}
	n := Notice{Subject: t.subject(), Text: t.text(), Trouble: without(s, expected).NeedsPerson() || r.Error != "" || r.Finished.IsZero()}
	o := runObject(s)
	o.History = &history{Kind: r.Kind, State: runLine(r).State, Started: r.Started.UTC(), Finished: r.Finished.UTC(), Why: r.Error}
	n.Data = runData{notice{eventRun, n.Subject, n.Trouble}, o, late}
	return n
}

// without is a summary without the rows that were rejected for some reasons.
func without(s importer.Summary, reasons []importer.Reason) importer.Summary {
	s.Drops = slices.Clone(s.Drops)
	for i, d := range s.Drops {
		s.Drops[i].Counts = maps.Clone(d.Counts)
		for _, reason := range reasons {
			delete(s.Drops[i].Counts, importer.StateReason{State: importer.Rejected, Reason: reason})
		}
	}
	return s
}

func eachLine(text string, change func(string) string) string {
	var out []string
	for line := range strings.Lines(text) {
		out = append(out, change(strings.TrimSpace(line)))
	}
	return strings.Join(out, "\n")
}

// withoutSamples ends a sentence before it shows headers of which one may be a
// person, or what is in a drop's columns.
func withoutSamples(sentence string) string {
	sentence, _, _ = strings.Cut(sentence, "; the header has ")
	if before, _, shown := strings.Cut(sentence, " (such as "); shown {
		sentence = before[:max(strings.LastIndexAny(before, ":;"), 0)]
	}
	return sentence
}

// whyStopped is a run's error without those sentences that tell of drops which
// could not be read: they stand beside the drops.
func whyStopped(r importer.RunInfo) string {
	return strings.TrimSpace(eachLine(r.Error, func(line string) string {
		if slices.ContainsFunc(r.Drops, func(d importer.DropSummary) bool { return d.Drop.State == importer.DropFailed && d.Drop.Why == line }) {
			return ""
		}
		return line
	}))
}

// told is a run that is told of.
type told struct {
	importer.RunInfo

	c    importer.Counts
	why  string    // it stopped; empty: it did not
	late time.Time // no drop had come by then; zero: nobody was told so
}

// came is when the first drop came that was awaited. One that has come again was seen
// before, and is known since the run began.
func (t told) came() time.Time {
	came := t.Started
	for _, d := range t.Drops {
		if seen := d.Drop.FirstSeen; !seen.Before(t.late) && (came.Equal(t.Started) || seen.Before(came)) {
			came = seen
		}
	}
	return came
}

// drops counts those that stand so.
func (t told) drops(state importer.DropState) (n int) {
	for _, d := range t.Drops {
		if d.Drop.State == state {
			n++
		}
	}
	return n
}

// subject is short: phones show little more than forty characters.
func (t told) subject() string {
	const most = 150
	var what string
	switch {
	case t.why != "":
		what = "the run stopped: " + t.why
	case t.Finished.IsZero():
		what = "the run was interrupted"
	case len(t.Drops) == 0 && len(t.Alarms) == 0:
		what = "no new file"
	default:
		what = t.outcome()
	}
	if !t.late.IsZero() {
		what = "the file has come, " + what
	}
	return brief(t.Feed+": "+what, most)
}

// outcome tells what was loaded, and what a person should know of the rest.
func (t told) outcome() string {
	var parts []string
	add := func(n int, format string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf(format, n))
		}
	}
	of := t.c.Outcome
	held, failed := t.drops(importer.DropHeld), t.drops(importer.DropFailed)
	switch n := t.c.Rows(); {
	case n > 0:
		parts = append(parts, fmt.Sprintf("%d of %s loaded", of(importer.OutcomeSuccess), rows(n)))
	case held+failed < len(t.Drops):
		parts = append(parts, "no rows")
	}
	if n := of(importer.OutcomeError); n > 0 {
		parts = append(parts, Some(n, "error"))
	}
	add(of(importer.OutcomeReview), "%d to review")
	add(of(importer.OutcomePending), "%d pending")
	if of(importer.OutcomeSuccess) == 0 {
		if n := of(importer.OutcomeDuplicate); n > 0 {
			parts = append(parts, Some(n, "duplicate"))
		}
		add(of(importer.OutcomeInvalid), "%d invalid")
	}
	if held > 0 {
		parts = append(parts, Some(held, "drop")+" held")
	}
	if failed > 0 {
		parts = append(parts, Some(failed, "drop")+" could not be read")
	}
	if n := len(t.Alarms); n > 0 {
		parts = append(parts, Some(n, "alarm"))
	}
	return strings.Join(parts, ", ")
}

// text has what is worse before what is not.
func (t told) text() string {
	const sentence = 500
	lines := []string{t.sums()}
	if !t.late.IsZero() {
		lines = append(lines, fmt.Sprintf("No drop had come by %s: the first one since came at %s", moment(t.late), moment(t.came().In(t.late.Location()))))
	}
	if t.why != "" {
		lines = append(lines, "It stopped because: "+brief(t.why, sentence))
	}
	lines = append(lines, some(t.Alarms, func(a string) string { return "ALARM: " + brief(a, sentence) })...)
	lines = append(lines, some(t.inOrder(), dropNotice)...)
	if reasons := t.reasons(); len(reasons) > 0 {
		lines = append(append(lines, "", "Rows by reason:"), some(reasons, func(l Line) string { return fmt.Sprintf("%d %s %s", l.Rows, l.Outcome, l.Reason) })...)
	}
	return strings.Join(append(append(lines, ""), t.cures()...), "\n") + "\n"
}

// some are the first few lines of what there is to tell, and how many more
// there are.
func some[T any](all []T, tell func(T) string) (lines []string) {
	const most = 5
	for _, one := range all[:min(most, len(all))] {
		lines = append(lines, tell(one))
	}
	if more := len(all) - most; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

// sums is the run in one line.
func (t told) sums() string {
	line := fmt.Sprintf("Run %d of feed %s", t.ID, t.Feed)
	if n := t.c.Rows(); n > 0 {
		line += ": " + rows(n)
		for _, o := range append(importer.Outcomes(), importer.OutcomePending) {
			if n := t.c.Outcome(o); n > 0 {
				line += fmt.Sprintf(", %d %s", n, o)
			}
		}
	} else {
		line += ": no rows"
	}
	if !t.Finished.IsZero() {
		line += ", in " + took(t.Seconds)
	}
	return line
}

// inOrder are the drops, those that a person should look at first.
func (t told) inOrder() []importer.DropSummary {
	urgency := func(d importer.DropSummary) int {
		return slices.Index([]importer.DropState{importer.DropHeld, importer.DropFailed, importer.DropImporting, importer.DropSpooled, importer.DropDone}, d.Drop.State)
	}
	return slices.SortedStableFunc(slices.Values(t.Drops), func(a, b importer.DropSummary) int { return cmp.Compare(urgency(a), urgency(b)) })
}

// dropNotice is what became of a drop.
func dropNotice(d importer.DropSummary) string {
	const most = 400
	line := dropSentence(d)
	if d.Drop.State == importer.DropFailed {
		line += ": " + d.Drop.Why
	}
	return brief(line, most)
}

// reasons are why rows are not simply added.
func (t told) reasons() []Line {
	all := slices.DeleteFunc(lines(t.c), func(l Line) bool {
		return l.Reason == "" || l.Reason == string(importer.ReasonAdded) || l.Reason == string(importer.ReasonReconciled)
	})
	slices.SortStableFunc(all, func(a, b Line) int { return cmp.Compare(b.Rows, a.Rows) })
	return all
}

// cures are the commands that help.
func (t told) cures() []string {
	cures := []string{fmt.Sprintf("All of it: importer show %d", t.ID)}
	if t.drops(importer.DropHeld) > 0 {
		cures[0] = fmt.Sprintf("All of it, and what to do about a held drop: importer show %d", t.ID)
	}
	of := t.c.Outcome
	if of(importer.OutcomeError)+of(importer.OutcomeInvalid)+of(importer.OutcomeReview) > 0 {
		cures = append(cures, fmt.Sprintf("Rows that were not loaded: importer rejects %d", t.ID))
	}
	if of(importer.OutcomeError)+of(importer.OutcomeReview) > 0 {
		cures = append(cures, fmt.Sprintf("Another chance for ERROR and REVIEW rows: importer retry %d", t.ID))
	}
	return cures
}

// brief makes one line of a text, and cuts it where it is too long for a phone.
func brief(text string, most int) string {
	text = printable(text)
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	return text
}

// slotData is what programs get of a feed's schedule.
type slotData struct {
	notice

	Feed     string    `json:"feed"`
	ExpectBy time.Time `json:"expect_by,omitzero"`
	Paused   time.Time `json:"paused_since,omitzero"`
	Slot     time.Time `json:"slot,omitzero"`
	Until    time.Time `json:"until,omitzero"`
}

// LateNotice tells that no drop of a feed had come by a time, and since when the feed
// is paused, if it is. Times of schedules are told in the zones that they come with.
func LateNotice(feed string, by, paused time.Time) Notice {
	n := Notice{
		Subject: fmt.Sprintf("%s: no file by %s", feed, by.Format("15:04")),
		Text:    fmt.Sprintf("Feed %s expects a drop, and by %s none had come.\n\nWhat lies at its source: importer source check %s\n", feed, moment(by), feed),
		Trouble: true, Late: true,
	}
	if !paused.IsZero() {
		n.Subject += ", the feed is paused"
		n.Text = fmt.Sprintf("Feed %s expects a drop, and by %s none had come: the feed is paused since %s, and its schedule begins no runs.\n\n"+
			"Let it go on: importer unpause %[1]s\nRun the feed now: importer run %[1]s\n", feed, moment(by), moment(paused))
	}
	n.Data = slotData{notice: notice{eventLate, n.Subject, n.Trouble}, Feed: feed, ExpectBy: by, Paused: paused}
	return n
}

// MissedNotice tells that a slot of a feed's schedule, or all from slot to until,
// did not run.
func MissedNotice(feed string, slot, until time.Time) Notice {
	what, which := "a slot was missed", "The slot of "+moment(slot)+" was missed"
	if !until.IsZero() {
		what, which = "slots were missed", "The slots from "+moment(slot)+" to "+moment(until)+" were missed"
	}
	n := Notice{
		Subject: feed + ": " + what,
		Text:    fmt.Sprintf("%s: no importer was there in time, and it is too late to make up for it, or a later slot does.\n\nRun the feed now: importer run %s\n", which, feed),
		Trouble: true,
	}
	n.Data = slotData{notice: notice{eventMissed, n.Subject, n.Trouble}, Feed: feed, Slot: slot, Until: until}
	return n
}

// OverlapNotice tells that a slot did not run because the run before it was still
// going.
func OverlapNotice(feed string, slot time.Time) Notice {
	n := Notice{
		Subject: feed + ": a slot was skipped, the run before it was still going",
		Text:    fmt.Sprintf("The slot of %s did not run: the run before it was still going. What has come meanwhile is taken by the next. More slots that are skipped until then are not told of.\n\nWhich run that is: importer runs --feed %s\n", moment(slot), feed),
		Trouble: true,
	}
	n.Data = slotData{notice: notice{eventOverlap, n.Subject, n.Trouble}, Feed: feed, Slot: slot}
	return n
}

// moment is a time in its own zone.
func moment(t time.Time) string { return t.Format("2006-01-02 15:04 MST") }

// TestNotice is sent to see whether a target gets what it is sent.
func TestNotice(target string) Notice {
	n := Notice{
		Subject: "importer: a test message for " + target,
		Text:    "Nothing has happened: somebody wanted to see whether messages arrive here.\n",
	}
	n.Data = struct {
		notice
		Target string `json:"target"`
	}{notice{eventTest, n.Subject, n.Trouble}, target}
	return n
}
