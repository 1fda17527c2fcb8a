package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

	"importer/internal/config"
	"importer/internal/daemon"
	"importer/internal/importer"
	"importer/internal/schedule"
	"importer/internal/source"
)

func serveCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Pull and import every feed by its schedule",
		Long: `Runs until it is stopped: pulls and imports each feed that has a schedule and a
source when a slot of its schedule comes, each slot once, however many replicas
share the ledger. A slot that was missed is made up for within catch_up. The first
signal stops sending, waits for the calls under way and leaves the rest to the
next start; the second ends the process at once.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return sh.serve(cmd.Context()) },
	}
}

func (sh *shell) serve(ctx context.Context) error {
	a, err := sh.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	if err := daemon.Migrate(ctx, a.ledger); err != nil {
		return err
	}
	feeds, err := a.daemonFeeds()
	if err != nil {
		return err
	}
	a.log = sh.daemonLogger()
	d, err := daemon.New(daemon.Options{
		Ledger: a.ledger, Feeds: feeds, AtOnce: 4, Lease: a.cfg.Ledger.Lease.Std(), Log: a.log, Now: time.Now,
		Ended: func(feed string, s importer.Summary, err error) { a.sayEnded(feed, s, err) },
	})
	if err != nil {
		return err
	}
	return d.Serve(ctx)
}

// daemonFeeds are the feeds that have a schedule.
func (a *app) daemonFeeds() ([]daemon.Feed, error) {
	var feeds []daemon.Feed
	for _, name := range slices.Sorted(maps.Keys(a.cfg.Feeds)) {
		f := a.cfg.Feeds[name]
		if len(f.Schedule) == 0 {
			continue
		}
		zone, err := time.LoadLocation(f.TimeZone)
		if err != nil {
			return nil, fmt.Errorf("feeds.%s.time_zone: %w", name, err)
		}
		s, err := schedule.Parse(f.Schedule, zone)
		if err != nil {
			return nil, usagef("feeds.%s.schedule %w", name, err)
		}
		feeds = append(feeds, daemon.Feed{
			Name: name, Schedule: s, Rules: schedule.Rules{CatchUp: 12 * time.Hour},
			Run: func(ctx context.Context, begun importer.Begun) (importer.Summary, error) {
				return a.serveRun(ctx, name, begun)
			},
		})
	}
	return feeds, nil
}

// serveRun pulls a feed as a run that was begun for a slot.
func (a *app) serveRun(ctx context.Context, name string, begun importer.Begun) (s importer.Summary, err error) {
	err = a.withSource(ctx, name, func(feed config.Feed, src *source.Feed) error {
		im, f, client, err := a.importerFor(name, feed, unwatched{})
		if err != nil {
			return err
		}
		defer client.Close()
		im.Begun = begun
		s, err = im.Pull(ctx, f, src)
		return err
	})
	return s, err
}

// unwatched watches nothing: a daemon tells of a run when it has ended.
type unwatched struct{}

func (unwatched) Recorded(int)                  {}
func (unwatched) Settled(importer.Outcome, int) {}
func (unwatched) Waiting(string)                {}

// sayEnded logs one line for a run and one for each of its drops.
func (a *app) sayEnded(feed string, s importer.Summary, err error) {
	for _, d := range s.Drops {
		a.log.Info("a drop", "feed", feed, "run", s.Run, "drop", d.Drop.ID, "name", d.Drop.Name, "state", d.Drop.State, "rows", d.Counts.Rows(), "why", d.Drop.Why)
	}
	level := a.log.Info
	if err != nil {
		level = a.log.Error
	}
	c := s.Counts()
	level("a run has ended", "feed", feed, "run", s.Run, "files", s.Files, "rows", c.Rows(), "pending", s.Pending(), "calls", s.Calls, "seconds", s.Seconds, "err", err)
}

// daemonLogger writes what a daemon did, a line for each run and each drop.
func (sh *shell) daemonLogger() *slog.Logger {
	if isTerminal(sh.errOut) {
		return slog.New(tint.NewTextHandler(sh.errOut, &tint.Options{TimeFormat: time.DateTime}))
	}
	return slog.New(slog.NewJSONHandler(sh.errOut, nil))
}
