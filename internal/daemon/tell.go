package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"importer/internal/ledger"
	"importer/internal/report"
)

// What an event is.
const (
	EventRun     = "run"     // a run has ended
	EventLate    = "late"    // no drop has come by At
	EventMissed  = "missed"  // the slot At was missed, or those from At to Until
	EventOverlap = "overlap" // the slot At was skipped, the run before was still going
)

// Event is what people may want to be told of a feed.
type Event struct {
	What   string    `json:"what"`
	Run    int64     `json:"run,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Again  time.Time `json:"again,omitzero"`  // when what the run could not do is tried again
	Tries  int       `json:"tries,omitempty"` // runs that had failed before
	Late   time.Time `json:"late,omitzero"`   // since when people awaited what the run brought
	Paused time.Time `json:"paused,omitzero"` // since when the feed is whose drop has not come
}

// When a target is told of a feed.
const (
	TellAlways  = "always"  // of each run that did something too
	TellTrouble = "trouble" // when a person should look
	TellLate    = "late"    // of late drops, and when they have come, only
)

// TellArgs is the job that tells a target of an event. What is said is found out
// when it is.
type TellArgs struct {
	Event

	Feed   string `json:"feed"`
	Target string `json:"target"`
}

// Kind names the job for River.
func (TellArgs) Kind() string { return "tell" }

// A message that is not taken is tried again for half a day.
const (
	tellQueue   = "messages"
	tellWithin  = time.Minute
	tellTries   = 20
	tellLongest = time.Hour
	tellUnknown = 6 // tries, over ten minutes: another replica may have read a newer configuration
)

// errUntold is why River does not take a message for told.
var errUntold = errors.New("the message was not told")

// teller works messages.
type teller struct {
	river.WorkerDefaults[TellArgs]

	daemon *Daemon
}

// Timeout implements river.Worker.
func (*teller) Timeout(*river.Job[TellArgs]) time.Duration { return tellWithin }

// NextRetry implements river.Worker.
func (*teller) NextRetry(job *river.Job[TellArgs]) time.Time {
	return time.Now().Add(min(10*time.Second<<min(job.Attempt, 10), tellLongest))
}

// Work implements river.Worker.
func (t *teller) Work(ctx context.Context, job *river.Job[TellArgs]) error {
	d, e := t.daemon, job.Args
	f, ok := d.feed(e.Feed)
	when := f.Notify[e.Target]
	switch {
	case (!ok || when == "") && job.Attempt <= tellUnknown:
		return errUntold
	case !ok || when == "":
		d.Log.Info("a message is given up: its feed or its target is not in the configuration any more", "feed", e.Feed, "target", e.Target, "about", e.What)
		return nil
	}
	again, err := f.Tell(ctx, strconv.FormatInt(job.ID, 10), e.Target, when, e.Event)
	switch {
	case err == nil:
		return nil
	case !again || job.Attempt >= job.MaxAttempts:
		d.Log.Error("a message was not taken, and is given up", "feed", e.Feed, "target", e.Target, "about", e.What, "err", err)
		d.GivenUp(e.Target)
		return river.JobCancel(errUntold)
	case job.Attempt == 1:
		d.Log.Warn("a message was not taken, trying again", "feed", e.Feed, "target", e.Target, "about", e.What, "err", err)
	}
	return err
}

// givenUp are the messages that were given up, by target: of the last day, for which
// the job engine keeps them.
func givenUp(ctx context.Context, l *ledger.Ledger) (all []report.GivenUp, err error) {
	client, err := river.NewClient(riverpgxv5.New(l.River()), &river.Config{})
	if err != nil {
		return nil, fmt.Errorf("setting up the job engine: %w", err)
	}
	const most = 10_000
	jobs, err := client.JobList(ctx, river.NewJobListParams().Kinds(TellArgs{}.Kind()).First(most).
		States(rivertype.JobStateCancelled, rivertype.JobStateDiscarded).OrderBy(river.JobListOrderByFinalizedAt, river.SortOrderAsc))
	if err != nil {
		return nil, fmt.Errorf("reading which messages were given up: %w", err)
	}
	for _, job := range jobs.Jobs {
		var args TellArgs
		if err := json.Unmarshal(job.EncodedArgs, &args); err != nil {
			return nil, fmt.Errorf("reading a message: %w", err)
		}
		at := job.FinalizedAt.UTC()
		i := slices.IndexFunc(all, func(u report.GivenUp) bool { return u.Target == args.Target })
		if i < 0 {
			i = len(all)
			all = append(all, report.GivenUp{Target: args.Target, Since: at})
		}
		all[i].Messages++
		all[i].Feed, all[i].Last = args.Feed, at
	}
	return all, nil
}

// tell has a feed's targets told of an event.
func (d *Daemon) tell(ctx context.Context, tx pgx.Tx, f Feed, e Event) error {
	var jobs []river.InsertManyParams
	for target, when := range f.Notify {
		if when != TellLate || e.What == EventLate || !e.Late.IsZero() {
			jobs = append(jobs, river.InsertManyParams{
				Args: TellArgs{Event: e, Feed: f.Name, Target: target}, InsertOpts: &river.InsertOpts{Queue: tellQueue, MaxAttempts: tellTries},
			})
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := d.client.InsertManyTx(ctx, tx, jobs)
	return err
}

// soon has a job that failed try again in a moment: its run is in the ledger.
type soon struct{}

// NextRetry implements river.ClientRetryPolicy.
func (soon) NextRetry(*rivertype.JobRow) time.Time { return time.Now().Add(time.Second) }
