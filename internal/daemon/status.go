package daemon

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/report"
	"importer/internal/schedule"
)

const (
	week = 7 * 24 * time.Hour
	// due is how long after its time a slot was still not forgotten.
	due = time.Minute
)

// Status tells how feeds stand at a moment, and what of it needs a person. It
// needs no daemon: what one would have judged by then is judged here.
func Status(ctx context.Context, l *ledger.Ledger, feeds []Feed, now time.Time) (report.Status, error) {
	asked := make([]ledger.Expected, len(feeds))
	for i, f := range feeds {
		asked[i].Feed = f.Name
		day := schedule.DateOf(now.In(f.Zone))
		if from, by, ok := f.expects(day); ok {
			asked[i].Day, asked[i].From, asked[i].By = calendar(day), from, by
		}
	}
	known, err := l.Status(ctx, asked, now.Add(-week), patience)
	if err != nil {
		return report.Status{}, err
	}
	given, err := givenUp(ctx, l)
	if err != nil {
		return report.Status{}, err
	}
	s := standing{Status: known, now: now, open: map[string]*ledger.OpenSlot{}}
	for i, o := range known.Open {
		if s.open[o.Feed] == nil {
			s.open[o.Feed] = &known.Open[i]
		}
	}
	r := s.of(feeds)
	r.GivenUp = append(r.GivenUp, given...)
	return r, nil
}

// standing is what the ledger knows at a moment.
type standing struct {
	ledger.Status

	now  time.Time
	open map[string]*ledger.OpenSlot // by feed: the first one
}

func (s standing) of(feeds []Feed) report.Status {
	r := report.Status{
		At: s.now.UTC(), ServedUntil: s.Served.UTC(), Unfinished: s.Unfinished, Held: s.Held,
		Serving: []report.Replica{}, Going: []report.GoingRun{}, Feeds: []report.FeedStatus{}, GivenUp: []report.GivenUp{}, NeedsPerson: []string{},
	}
	for _, replica := range s.Replicas {
		r.Serving = append(r.Serving, report.Replica{Host: replica.Host, Started: replica.Started.UTC()})
	}
	for _, g := range s.Going {
		g.Started = g.Started.UTC()
		r.Going = append(r.Going, report.GoingRun(g))
	}
	configured := map[string]bool{}
	var troubles []string
	for _, f := range feeds {
		configured[f.Name] = true
		if !f.hasSlots(s.now) && s.open[f.Name] == nil {
			continue
		}
		line := s.line(f)
		r.Feeds = append(r.Feeds, line)
		troubles = append(troubles, s.troubles(f, line)...)
	}
	if len(r.Feeds) > 0 && len(s.Replicas) == 0 {
		r.NeedsPerson = append(r.NeedsPerson, s.nobodyServes(len(r.Feeds)))
	}
	for feed := range s.open {
		if !configured[feed] { // any more
			r.Feeds = append(r.Feeds, s.line(unscheduled(feed)))
		}
	}
	slices.SortFunc(r.Feeds, func(a, b report.FeedStatus) int { return cmp.Compare(a.Feed, b.Feed) })
	r.NeedsPerson = append(r.NeedsPerson, troubles...)
	r.NeedsPerson = append(r.NeedsPerson, s.waits()...)
	for _, w := range s.Review {
		r.Review += w.Rows
	}
	return r
}

// unscheduled is a feed of which no more is known than its name.
func unscheduled(name string) Feed {
	never, err := schedule.Parse(nil, time.UTC)
	if err != nil {
		panic(err) // there is nothing in it
	}
	return Feed{Name: name, Zone: time.UTC, Schedule: never}
}

// hasSlots tells whether a feed has a schedule.
func (f Feed) hasSlots(now time.Time) bool { return !f.Schedule.Next(now).IsZero() }

func (s standing) nobodyServes(feeds int) string {
	last := ""
	if !s.Served.IsZero() {
		last = " (the last one did until " + report.When(s.Served) + ")"
	}
	return fmt.Sprintf("importer serve does not run%s, and has %s to serve: start it", last, report.Some(feeds, "feed"))
}

// waits tells what waits for a person, whichever feed's it is.
func (s standing) waits() (sentences []string) {
	if s.Held > 0 {
		sentences = append(sentences, report.Some(s.Held, "drop")+" held: importer drops --state held tells why; importer release DROP imports one, importer discard DROP does not")
	}
	for _, w := range s.Review {
		sentences = append(sentences, fmt.Sprintf("%s: %s in REVIEW: importer retry --feed %[1]s --outcome review", w.Feed, report.Some(w.Rows, "row")))
	}
	return sentences
}

func (s standing) line(f Feed) report.FeedStatus {
	k := s.Feeds[f.Name]
	line := report.FeedStatus{Feed: f.Name, LastSuccess: k.Succeeded.UTC(), Missed: k.Missed, MissedMore: k.Stretch}
	if k.LastRun != nil {
		line.LastRun = s.lastRun(*k.LastRun)
	}
	if at := f.Schedule.Next(s.now); !at.IsZero() {
		line.Next = at.In(f.Zone)
		verdict, _ := f.Schedule.Forbids(f.rules(k), at)
		line.NextIs = string(verdict)
	}
	line.Today = s.expected(f)
	s.state(f, &line)
	return line
}

// rules are a feed's, with what a person has said.
func (f Feed) rules(k ledger.FeedStatus) schedule.Rules {
	rules := f.Rules
	rules.Paused = !k.Paused.IsZero()
	return rules
}

func (s standing) lastRun(l ledger.LastRun) *report.LastRun {
	r := &report.LastRun{Run: l.Run, Kind: l.Kind, Started: l.Started.UTC(), Finished: l.Finished.UTC(), State: "done", Why: l.Error}
	switch {
	case l.Finished.IsZero() && s.carried(l.Run):
		r.State = "open"
		return r
	case l.Finished.IsZero():
		r.State = "interrupted"
		return r
	case l.Cancelled:
		r.State = "cancelled"
	case l.Error != "":
		r.State = "stopped"
	}
	r.Outcomes = importer.Summary{Drops: []importer.DropSummary{{Counts: l.Counts}}}.Outcomes()
	return r
}

func (s standing) carried(run int64) bool {
	return slices.ContainsFunc(s.Going, func(g ledger.Going) bool { return g.Run == run })
}

// expected tells of today's drop of a feed, nil when none is expected.
func (s standing) expected(f Feed) *report.ExpectedDay {
	k := s.Feeds[f.Name]
	_, by, ok := f.expects(schedule.DateOf(s.now.In(f.Zone)))
	if !ok {
		return nil
	}
	e := &report.ExpectedDay{By: by.In(f.Zone), Late: k.Late}
	if !k.Came.IsZero() {
		e.Came = k.Came.In(f.Zone)
		e.Late = e.Late || k.Came.After(by)
		return e
	}
	watched := k.Known && !by.Before(k.Since)
	e.Late = e.Late || watched && !k.MayCome && !s.now.Before(by)
	return e
}

// state says what a feed does, the most telling first.
func (s standing) state(f Feed, line *report.FeedStatus) {
	k := s.Feeds[f.Name]
	open, going := s.open[f.Name], slices.IndexFunc(s.Going, func(g ledger.Going) bool { return g.Feed == f.Name })
	forbidden, _ := f.Schedule.Forbids(f.rules(k), s.now)
	switch {
	case going >= 0:
		line.State, line.Run = report.Running, s.Going[going].Run
	case open != nil:
		line.State, line.Run, line.Slot = report.Waiting, open.Run, open.At.In(f.Zone)
		switch {
		case open.Run != 0:
		case open.Verdict == string(schedule.Queue):
			line.State = report.Queued
		case open.Verdict == again:
			line.State = report.Again
		}
	case forbidden == schedule.Paused:
		line.State = report.Paused
	case !s.overlooked(f).IsZero():
		line.State, line.Slot = report.Waiting, s.overlooked(f).In(f.Zone)
	case line.Today != nil && line.Today.Late && line.Today.Came.IsZero():
		line.State = report.Late
	case forbidden == schedule.Holiday:
		line.State = report.Holiday
	case forbidden == schedule.Blackout:
		line.State = report.Blackout
	default:
		line.State = report.Idle
	}
}

// overlooked is a slot that has come and that nobody has judged, the zero time if
// there is none.
func (s standing) overlooked(f Feed) time.Time {
	k := s.Feeds[f.Name]
	if !k.Known {
		return time.Time{}
	}
	at := f.Schedule.Next(k.Last)
	if at.IsZero() || s.now.Sub(at) < due {
		return time.Time{}
	}
	return at
}

// hopeful is how long what failed and is tried again is no reason to wake a person.
const hopeful = 30 * time.Minute

// troubles are what of a feed needs a person.
func (s standing) troubles(f Feed, line report.FeedStatus) (sentences []string) {
	say := func(format string, a ...any) {
		sentences = append(sentences, f.Name+": "+fmt.Sprintf(format, a...))
	}
	k := s.Feeds[f.Name]
	served := slices.ContainsFunc(s.Replicas, func(r ledger.Replica) bool { return s.now.Sub(r.Started) > due })
	if served && f.hasSlots(s.now) && (!k.Known || !s.overlooked(f).IsZero()) {
		say("importer serve runs, but does not look at its schedule: importer reload has it read the configuration again")
	}
	if e := line.Today; e != nil && e.Late && e.Came.IsZero() {
		if by := e.By.Format("15:04 MST"); k.Paused.IsZero() {
			say("late, no drop has come by %s: importer source check %s shows what lies at its source", by, f.Name)
		} else {
			say("late, no drop has come by %s, and it is paused since %s: importer unpause %s lets it go on", by, k.Paused.In(f.Zone).Format("2006-01-02 15:04 MST"), f.Name)
		}
	}
	switch r := line.LastRun; {
	case r == nil:
	case line.State == report.Again: // which may help itself, for a while
		if since := s.open[f.Name].Since; s.now.Sub(since) > hopeful {
			say("run %d has failed, as all since %s have, and it is tried again: importer show %[1]d tells why", r.Run, since.In(f.Zone).Format("15:04 MST"))
		}
	case r.State == "stopped":
		why, _, _ := strings.Cut(r.Why, "\n")
		say("run %d was stopped: %s", r.Run, why)
	case loadedNothing(k.LastRun.Counts):
		say("none of the rows of run %d could be loaded: importer show %[1]d tells why", r.Run)
	}
	if k.Alarmed != 0 {
		say("run %d has an alarm: importer show %[1]d tells it", k.Alarmed)
	}
	return sentences
}

// loadedNothing tells that there were rows, and each was refused.
func loadedNothing(c importer.Counts) bool {
	return c.Rows() > 0 && c.Outcome(importer.OutcomeError)+c.Outcome(importer.OutcomeInvalid) == c.Rows()
}
