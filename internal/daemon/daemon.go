// Package daemon carries feeds' runs on time.
//
// Any replica judges which slots of a feed's schedule are due, and any carries
// their runs: a slot is recorded once, in one transaction with the job that wakes
// somebody for it. River brings the jobs to replicas that live; the ledger's lease
// of the run decides who carries it.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/schedule"
)

// Feed is what the daemon must know of a feed.
type Feed struct {
	Name     string
	Schedule schedule.Schedule
	Rules    schedule.Rules
	// Run carries a run of the feed to its end, or until ctx ends.
	Run func(ctx context.Context, begun importer.Begun) (importer.Summary, error)
}

// Options are what a daemon works with.
type Options struct {
	Ledger *ledger.Ledger
	Feeds  []Feed
	AtOnce int           // runs carried by this process
	Lease  time.Duration // after which a vanished replica's run is taken over
	Log    *slog.Logger
	Now    func() time.Time
	// Ended is told of each run that this process has carried to its end.
	Ended func(feed string, s importer.Summary, err error)
}

// How long a job attends a run before it makes room for a look at who lives, and
// how often is looked for due slots at least.
const (
	attends  = 20 * time.Second
	looks    = 15 * time.Second
	queue    = "runs"
	capacity = 1000 // jobs attended at once: they wait
)

// Daemon plans and carries runs until it is stopped.
type Daemon struct {
	Options

	feeds  map[string]Feed
	client *river.Client[pgx.Tx]
	runs   context.Context //nolint:containedctx // outlives each job, and ends with Serve
	mu     sync.Mutex
	going  map[SlotArgs]*going
	all    sync.WaitGroup
}

// going is a run that this process carries.
type going struct {
	done chan struct{} // closed when it has ended or was left
	over bool          // it has ended; readable when done is closed
}

// SlotArgs is the job that has somebody carry a slot's run.
type SlotArgs struct {
	Feed string    `json:"feed"`
	Slot time.Time `json:"slot"`
}

// Kind names the job for River.
func (SlotArgs) Kind() string { return "slot" }

// Migrate makes River's tables. Many replicas may do so at once.
func Migrate(ctx context.Context, l *ledger.Ledger) (err error) {
	conn, err := l.River().Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrating the job engine: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtext('importer.river'))`); err != nil {
		return fmt.Errorf("migrating the job engine: %w", err)
	}
	defer func() {
		_, unlock := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtext('importer.river'))`)
		err = errors.Join(err, unlock)
	}()
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
func New(o Options) (*Daemon, error) {
	d := &Daemon{Options: o, feeds: map[string]Feed{}, going: map[SlotArgs]*going{}}
	for _, f := range o.Feeds {
		d.feeds[f.Name] = f
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &attendant{daemon: d})
	var err error
	d.client, err = river.NewClient(riverpgxv5.New(o.Ledger.River()), &river.Config{
		Logger:               slog.New(slog.DiscardHandler), // what matters is logged here
		Queues:               map[string]river.QueueConfig{queue: {MaxWorkers: capacity}},
		Workers:              workers,
		JobTimeout:           attends + attends/2,
		RescueStuckJobsAfter: 3 * attends,
		RetryPolicy:          soon{},
		MaxAttempts:          1 << 14, // a run is given up by the ledger's word alone
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the job engine: %w", err)
	}
	return d, nil
}

// soon has a job that failed try again in a moment: its run is in the ledger.
type soon struct{}

func (soon) NextRetry(*rivertype.JobRow) time.Time { return time.Now().Add(time.Second) }

// Serve plans and carries runs until ctx ends. Then the runs that are going are
// stopped, as an interrupted command is, and the next start goes on with them.
func (d *Daemon) Serve(ctx context.Context) error {
	var stop context.CancelFunc
	d.runs, stop = context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := d.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting the job engine: %w", err)
	}
	d.plan(ctx)
	stop()
	d.all.Wait()
	if err := d.client.StopAndCancel(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("stopping the job engine: %w", err)
	}
	return nil
}
