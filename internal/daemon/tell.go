package daemon

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
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
		return river.JobCancel(errUntold)
	case job.Attempt == 1:
		d.Log.Warn("a message was not taken, trying again", "feed", e.Feed, "target", e.Target, "about", e.What, "err", err)
	}
	return err
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
