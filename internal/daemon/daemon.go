// Package daemon carries feeds' runs on time.
//
// Any replica judges which slots of a feed's schedule are due, and any carries
// their runs: a slot is recorded once, in one transaction with the job that wakes
// somebody for it. River brings the jobs to replicas that live; the ledger's lease
// of the run decides who carries it.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/schedule"
)

// Feed is what the daemon must know of a feed.
type Feed struct {
	Name     string
	Schedule schedule.Schedule
	Rules    schedule.Rules
	Zone     *time.Location
	ExpectBy *schedule.Clock // a drop must have come by then on each day that has a slot; nil: none is expected
	// Run carries a run of the feed to its end, or until ctx ends.
	Run func(ctx context.Context, begun importer.Begun) (importer.Summary, error)
	// Passes tells whether what made a run fail may pass by itself.
	Passes func(error) bool
	// Audit looks once more at the rows of a run whose answers had been lost, and
	// returns the run as which it did.
	Audit func(ctx context.Context, run int64) (importer.Summary, error)
	// Notify says who is told of the feed, and when: TellAlways and its like.
	Notify map[string]string
	// Tell tells a target of an event, if it is one of when. id is the message's
	// own. An error comes with whether to try again.
	Tell func(ctx context.Context, id, target, when string, e Event) (again bool, err error)
}

// Options are what a daemon works with.
type Options struct {
	Ledger      *ledger.Ledger
	Host        string        // the machine's name, for people
	AtOnce      int           // runs carried by this process
	Lease       time.Duration // after which a vanished replica's run is taken over
	RetryAfter  time.Duration // how soon a run is tried again that failed for a reason that may pass
	StopTimeout time.Duration // how long runs that are told to stop may take
	Log         *slog.Logger
	Now         func() time.Time
	// Looked is called whenever the schedules were looked at, also in vain.
	Looked func()
	// Ended is told of each run that this process has carried to its end.
	Ended func(feed string, run int64)
	// GivenUp is called when a message to a target is given up.
	GivenUp func(target string)
}

// How long a job attends a run before it makes room for a look at who lives, and
// how often is looked for due slots at least.
const (
	attends = 20 * time.Second
	looks   = 15 * time.Second
	queue   = "runs"
	// engineStops is how long the job engine may go on after the last run.
	engineStops = 5 * time.Second
	forever     = 1 << 14 // attempts: a run is given up by the ledger's word alone
)

// errStopping is why the runs of a daemon end that is told to stop.
var errStopping = errors.New("importer serve was stopped: the next start goes on")

// Daemon plans and carries runs until it is stopped.
type Daemon struct {
	Options

	client *river.Client[pgx.Tx]
	room   chan struct{}   // a place for each run that may be carried at once
	runs   context.Context //nolint:containedctx // outlives each job, and ends with Serve
	all    sync.WaitGroup
	wake   chan struct{}            // the feeds have changed
	days   map[string]schedule.Date // by feed: the last day that was judged, as far as this process knows; the planner's
	alive  alive

	mu    sync.Mutex
	feeds map[string]Feed
	going map[SlotArgs]*going
}

// going is a run that this process carries.
type going struct {
	done chan struct{} // closed when it has ended or was left
	over bool          // it has ended; readable when done is closed
}

// SlotArgs is the job that has somebody carry a slot's run.
type SlotArgs struct {
	Feed string    `json:"feed"`
	At   time.Time `json:"at"`
}

// Kind names the job for River.
func (SlotArgs) Kind() string { return "slot" }

// Migrate makes the job engine's tables, and changes those of an older one.
func Migrate(ctx context.Context, l *ledger.Ledger) error {
	m, err := rivermigrate.New(riverpgxv5.New(l.River()), nil)
	if err != nil {
		return fmt.Errorf("migrating the job engine: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrating the job engine: %w", err)
	}
	return nil
}

// New makes a daemon.
func New(o Options, feeds []Feed) (*Daemon, error) {
	d := &Daemon{
		Options: o, going: map[SlotArgs]*going{},
		room: make(chan struct{}, o.AtOnce), wake: make(chan struct{}, 1), days: map[string]schedule.Date{},
	}
	d.Use(feeds)
	workers := river.NewWorkers()
	river.AddWorker(workers, &attendant{daemon: d})
	river.AddWorker(workers, &auditor{daemon: d})
	river.AddWorker(workers, &teller{daemon: d})
	var err error
	d.client, err = river.NewClient(riverpgxv5.New(o.Ledger.River()), &river.Config{
		Logger:               slog.New(slog.DiscardHandler), // what matters is logged here
		Queues:               map[string]river.QueueConfig{queue: {MaxWorkers: o.AtOnce}, auditQueue: {MaxWorkers: 1}, tellQueue: {MaxWorkers: 4}},
		Workers:              workers,
		FetchPollInterval:    looks,                  // PostgreSQL notifies of new jobs
		FetchCooldown:        river.FetchCooldownMin, // of those that came within it after another nobody is notified
		JobTimeout:           attends + attends/2,
		RescueStuckJobsAfter: 3 * attends,
		// As long as of cancelled ones: of messages that were given up it is told for a day.
		DiscardedJobRetentionPeriod: 24 * time.Hour,
		RetryPolicy:                 soon{},
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the job engine: %w", err)
	}
	return d, nil
}

// Use has the daemon know these feeds and no others from now on. Runs that are
// going go on as they began.
func (d *Daemon) Use(feeds []Feed) {
	known := make(map[string]Feed, len(feeds))
	for _, f := range feeds {
		known[f.Name] = f
	}
	d.mu.Lock()
	d.feeds = known
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// feed finds a feed.
func (d *Daemon) feed(name string) (Feed, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.feeds[name]
	return f, ok
}

// known are the feeds, by name.
func (d *Daemon) known() []Feed {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.SortedFunc(maps.Values(d.feeds), func(a, b Feed) int { return cmp.Compare(a.Name, b.Name) })
}

// Serve plans and carries runs until ctx ends, from when started is called. Then the
// runs that are going are stopped, as an interrupted command is, and the next start
// goes on with them.
func (d *Daemon) Serve(ctx context.Context, started func()) error {
	var stop context.CancelCauseFunc
	d.runs, stop = context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	if err := d.start(ctx); err != nil {
		return err
	}
	started()
	d.plan(ctx)
	defer d.gone(ctx)
	d.Log.Info("importer serve is stopping, and waits for the calls under way", "at_most", d.StopTimeout.String())
	d.mu.Lock() // what begins runs does so before, or not at all
	stop(errStopping)
	d.mu.Unlock()
	return d.end(context.WithoutCancel(ctx))
}

// end ends the job engine, and waits for the runs that were told to stop.
func (d *Daemon) end(ctx context.Context) error {
	stopping, giveUp := context.WithCancel(ctx)
	defer giveUp()
	engine, left := make(chan error, 1), make(chan struct{})
	go func() { engine <- d.client.StopAndCancel(stopping) }()
	go func() { d.all.Wait(); close(left) }()
	var err error
	select {
	case <-left:
	case <-time.After(d.StopTimeout):
		err = fmt.Errorf("runs were still going after serve.stop_timeout (%s): the next start asks the dialer what became of their calls and goes on", d.StopTimeout)
	}
	// What it has still to note is looked up by others anyway, so that a ledger
	// that is away is not waited for.
	defer time.AfterFunc(engineStops, giveUp).Stop()
	if err := <-engine; err != nil {
		d.Log.Warn("the job engine could not be stopped in order: in a minute others take over its jobs", "err", err)
	}
	return err
}

// start starts the job engine.
func (d *Daemon) start(ctx context.Context) error {
	if err := d.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting the job engine: %w", err)
	}
	return nil
}
