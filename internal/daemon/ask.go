package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"importer/internal/ledger"
)

// Ask has whichever daemon is there carry a run of a feed now, whatever its
// schedule says, and returns the moment as which the run is known. Not ok: one was
// asked for before, at that moment, and has not begun yet.
func Ask(ctx context.Context, l *ledger.Ledger, feed string) (at time.Time, ok bool, err error) {
	client, err := river.NewClient(riverpgxv5.New(l.River()), &river.Config{})
	if err != nil {
		return at, false, fmt.Errorf("setting up the job engine: %w", err)
	}
	return l.AskRun(ctx, feed, func(ctx context.Context, tx pgx.Tx, at time.Time) error { return insert(ctx, client, tx, feed, at) })
}

// insert has a replica carry a slot's run.
func insert(ctx context.Context, client *river.Client[pgx.Tx], tx pgx.Tx, feed string, at time.Time) error {
	return insertAt(ctx, client, tx, feed, at, time.Time{})
}

// insertAt has a replica carry a slot's run, not before a moment.
func insertAt(ctx context.Context, client *river.Client[pgx.Tx], tx pgx.Tx, feed string, at, begins time.Time) error {
	_, err := client.InsertTx(ctx, tx, SlotArgs{Feed: feed, At: at}, &river.InsertOpts{Queue: queue, MaxAttempts: forever, ScheduledAt: begins})
	return err
}
