package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sethvargo/go-retry"
	"github.com/spf13/cobra"

	"importer/internal/config"
	"importer/internal/daemon"
	"importer/internal/daemon/health"
	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/schedule"
	"importer/internal/source"
)

func serveCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Pull and import every feed by its schedule",
		Long: `Runs until it is stopped: pulls and imports each feed that has a schedule and a
source when a slot of its schedule comes, each slot once, however many replicas
share the ledger. A slot that was missed is made up for within catch_up.

The first signal stops sending, waits for the calls under way (serve.stop_timeout)
and leaves the rest to the next start; the second ends the process at once. SIGHUP
and importer reload have it read the configuration again; with an error in it, all
stays as it is.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return sh.serve(cmd.Context()) },
	}
}

func (sh *shell) serve(ctx context.Context) error {
	sh.log = sh.logger(slog.LevelInfo)
	a, err := sh.load()
	if err != nil {
		return err
	}
	defer a.close()
	if err := a.reachesDialers(); err != nil {
		return err
	}
	s := &server{app: a}
	a.health = health.New(health.Options{Version: version(), Log: a.log, Now: time.Now, Reload: s.reload})
	hide, err := a.health.Show(ctx, a.cfg.Serve.Listen)
	if err != nil {
		return err
	}
	defer hide()
	until, stop := context.WithCancel(context.WithoutCancel(ctx)) // to the end: unheard, the signal would end the process while it drains
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() { s.awaitHangups(until) })
	if err := a.awaitLedger(ctx); err != nil {
		if ctx.Err() != nil { // stopped before it was there
			return nil
		}
		return err
	}
	return s.serve(ctx)
}

// server is the daemon with its configuration.
type server struct {
	*app

	mu     sync.Mutex
	daemon *daemon.Daemon // nil while the ledger is waited for
}

func (s *server) serve(ctx context.Context) error {
	feeds, err := s.daemonFeeds()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("finding this machine's name: %w", err)
	}
	d, err := daemon.New(daemon.Options{
		Ledger: s.ledger, Host: host, AtOnce: s.cfg.Serve.Runs, Lease: s.cfg.Ledger.Lease.Std(), RetryAfter: s.cfg.Serve.RetryAfter.Std(), StopTimeout: s.cfg.Serve.StopTimeout.Std(),
		Log: s.log, Now: time.Now, Looked: s.health.Beat, Ended: s.logRun, GivenUp: s.health.GivenUp,
	}, feeds)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.daemon = d
	s.mu.Unlock()
	s.ledger.Observe(s.health.Transaction)
	watching, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() { s.health.Watch(watching, s.ledger) })
	defer s.log.Info("importer serve has ended")
	return d.Serve(ctx, func() {
		s.health.Started()
		debug.FreeOSMemory() // reading a thousand feeds' configuration takes what nothing needs any more
		s.log.Info("importer serve has started", "version", version(), "feeds", len(feeds))
		if !slices.ContainsFunc(feeds, func(f daemon.Feed) bool { return !f.Schedule.Next(time.Now()).IsZero() }) {
			s.log.Warn("no feed has a schedule: nothing runs here but what importer run --detach asks for")
		}
	})
}

// awaitHangups reads the configuration again whenever somebody signals that.
func (s *server) awaitHangups(ctx context.Context) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			if err := s.reload(); err != nil {
				s.log.Error("the configuration was not read again, all stays as it is", "err", err)
			}
		}
	}
}

// reload reads the configuration again, and has the daemon go by it: all of it or,
// when anything in it is wrong, nothing.
func (s *server) reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.daemon == nil {
		return errors.New("importer serve waits for the ledger: the configuration can be read again when it is there")
	}
	s.health.Reloading()
	defer s.health.Started()
	b, err := s.load()
	if err != nil {
		return err
	}
	old, fresh := s.cfg, b.cfg
	if old.StateDir != fresh.StateDir || !reflect.DeepEqual(old.Ledger, fresh.Ledger) || old.Serve != fresh.Serve {
		return errors.New("state_dir, ledger or serve have changed, which needs a restart of importer serve")
	}
	if err := b.reachesDialers(); err != nil {
		return err
	}
	b.keys, b.ledger, b.health = s.keys, s.ledger, s.health
	feeds, err := b.daemonFeeds()
	if err != nil {
		return err
	}
	s.daemon.Use(feeds)
	s.log.Info("the configuration was read again", "feeds", len(feeds))
	return nil
}

// awaitLedger opens the ledger as soon as it is there.
func (a *app) awaitLedger(ctx context.Context) error {
	backoff := retry.WithCappedDuration(15*time.Second, retry.NewExponential(250*time.Millisecond))
	said := false
	return retry.Do(ctx, backoff, func(ctx context.Context) error {
		err := a.openLedger(ctx)
		if !errors.Is(err, importer.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		if !said {
			said = true
			a.log.Warn("the ledger is not there, waiting for it", "err", err)
		}
		a.close()
		a.ledger, a.server = nil, nil
		return retry.RetryableError(err)
	})
}

// reachesDialers is an error when what the dialer of a feed cannot be called without
// is not there: each morning would fail. What else is not there is warned of, and
// keeps no other feed back.
func (a *app) reachesDialers() error {
	a.tellLacks()
	for _, name := range sortedKeys(a.cfg.Feeds) {
		if err := a.needs("dialers." + a.cfg.Feeds[name].Dialer); err != nil && !noSource(a.cfg.Feeds[name]) {
			return err
		}
	}
	return nil
}

// daemonFeeds are the feeds that can be pulled, as the daemon carries them.
func (a *app) daemonFeeds() ([]daemon.Feed, error) {
	feeds, err := a.pulledFeeds()
	if err != nil {
		return nil, err
	}
	schedules := map[string]schedule.Schedule{}
	for i := range feeds {
		name, zone := feeds[i].Name, feeds[i].Zone
		schedules[name] = feeds[i].Schedule
		feeds[i].Run = func(ctx context.Context, begun importer.Begun) (importer.Summary, error) {
			return a.serveRun(ctx, name, begun)
		}
		feeds[i].Audit = func(ctx context.Context, run int64) (importer.Summary, error) { return a.auditRun(ctx, name, run) }
		feeds[i].Passes, feeds[i].Notify = passes, a.cfg.Feeds[name].Notify
		feeds[i].Tell = func(ctx context.Context, id, target, when string, e daemon.Event) (bool, error) {
			return a.tellOf(ctx, name, zone, id, target, when, e)
		}
	}
	a.health.Feeds(schedules)
	a.health.Targets(sortedKeys(a.cfg.Notify))
	return feeds, nil
}

// pulledFeeds are the feeds that can be pulled, and when they are; those without a
// schedule are when a person asks for it.
func (a *app) pulledFeeds() (feeds []daemon.Feed, err error) {
	zones := zones{}
	for _, name := range sortedKeys(a.cfg.Feeds) {
		f := a.cfg.Feeds[name]
		if noSource(f) {
			continue
		}
		feed, err := scheduled(f, zones)
		if err != nil {
			return nil, usagef("feeds.%s: %w", name, err)
		}
		feed.Name = name
		feeds = append(feeds, feed)
	}
	return feeds, nil
}

func noSource(f config.Feed) bool {
	return f.Source.Directory == nil && f.Source.SFTP == nil && f.Source.HTTPS == nil
}

// zones are time zones by their names. A thousand feeds have few, and each takes
// some kilobytes.
type zones map[string]*time.Location

func (z zones) load(name string) (zone *time.Location, err error) {
	if z[name] == nil {
		if zone, err = time.LoadLocation(name); err != nil {
			return nil, err
		}
		z[name] = zone
	}
	return z[name], nil
}

// scheduled is when a feed is pulled, and when not.
func scheduled(f config.Feed, zones zones) (feed daemon.Feed, err error) {
	if feed.Zone, err = zones.load(f.TimeZone); err != nil {
		return feed, fmt.Errorf("time_zone: %w", err)
	}
	if feed.Schedule, err = schedule.Parse(f.Schedule, feed.Zone); err != nil {
		return feed, fmt.Errorf("schedule %w", err)
	}
	feed.Rules = schedule.Rules{CatchUp: f.CatchUp.Std(), Queue: f.Overlap == "queue"}
	for _, text := range f.Blackouts {
		w, err := schedule.ParseWindow(text)
		if err != nil {
			return feed, fmt.Errorf("blackouts: %q %w", text, err)
		}
		feed.Rules.Blackouts = append(feed.Rules.Blackouts, w)
	}
	for _, text := range f.Holidays {
		day, err := schedule.ParseDate(text)
		if err != nil {
			return feed, fmt.Errorf("holidays: %q %w", text, err)
		}
		feed.Rules.Holidays = append(feed.Rules.Holidays, day)
	}
	if f.ExpectBy != "" {
		by, err := schedule.ParseClock(f.ExpectBy)
		if err != nil {
			return feed, fmt.Errorf("expect_by %w", err)
		}
		feed.ExpectBy = &by
	}
	return feed, nil
}

// serveRun pulls a feed as a run that was begun for a slot.
func (a *app) serveRun(ctx context.Context, name string, begun importer.Begun) (s importer.Summary, err error) {
	err = a.withSource(ctx, name, func(feed config.Feed, src *source.Feed) error {
		w, end := a.health.Run(name)
		defer end()
		im, f, client, err := a.importerFor(name, feed, w)
		if err != nil {
			return err
		}
		defer client.Close()
		im.Begun, im.Dialer = begun, a.health.Dialer(feed.Dialer, client)
		s, err = im.Pull(ctx, f, src)
		return err
	})
	return s, err
}

// passes tells whether what made a run fail may pass by itself.
func passes(err error) bool {
	var stop *importer.StopError
	if errors.As(err, &stop) {
		return slices.Contains([]importer.Reason{importer.ReasonUnreachable, importer.ReasonDialerFailing, importer.ReasonCallsLost}, stop.Reason)
	}
	var leased *importer.LeasedError
	var place *source.Error
	return errors.As(err, &leased) || errors.Is(err, source.ErrNoRoom) || errors.As(err, &place) && !place.Final
}

// auditRun looks once more at the rows of a run whose answers had been lost.
func (a *app) auditRun(ctx context.Context, name string, run int64) (importer.Summary, error) {
	feed, err := a.feed(name)
	if err != nil {
		return importer.Summary{}, err
	}
	runs, err := a.ledger.ListRuns(ctx, ledger.RunFilter{ID: run})
	if err != nil {
		return importer.Summary{}, err
	}
	drops := make([]importer.Drop, len(runs[0].Drops))
	for i, d := range runs[0].Drops {
		drops[i] = d.Drop
	}
	w, end := a.health.Run(name)
	defer end()
	im, f, client, err := a.importerFor(name, feed, w)
	if err != nil {
		return importer.Summary{}, err
	}
	defer client.Close()
	im.Dialer = a.health.Dialer(feed.Dialer, client)
	s, err := im.Audit(ctx, f, drops)
	if s.Run != 0 {
		a.log.Info("rows whose answers had been lost were looked at once more", "feed", name, "run", run, "audit", s.Run, "alarms", len(s.Alarms))
	}
	return s, err
}

// logRun logs one line for a run and one for each of its drops, as the ledger has
// them: others may have carried the run before.
func (a *app) logRun(feed string, id int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	runs, err := a.ledger.ListRuns(ctx, ledger.RunFilter{ID: id})
	if err != nil {
		a.log.Warn("what a run did could not be read from the ledger", "feed", feed, "run", id, "err", err)
		return
	}
	run, counts := runs[0], importer.Counts{}
	a.health.Ended(run)
	for _, d := range run.Drops {
		level := slog.LevelInfo
		if d.Drop.State == importer.DropHeld || d.Drop.State == importer.DropFailed {
			level = slog.LevelWarn
		}
		a.log.Log(ctx, level, "a drop", "feed", feed, "run", run.ID, "drop", d.Drop.ID, "name", d.Drop.Name, "state", d.Drop.State, "outcomes", outcomes(d.Counts), "why", d.Drop.Why)
		counts.Add(d.Counts)
	}
	level := slog.LevelInfo
	switch {
	case run.Error != "":
		level = slog.LevelError
	case runNotice(run, time.Time{}).Trouble:
		level = slog.LevelWarn
	}
	a.log.Log(ctx, level, "a run has ended", "feed", feed, "run", run.ID, "outcomes", outcomes(counts), "calls", run.Calls, "seconds", math.Round(run.Seconds*1000)/1000, "err", run.Error)
}

// outcomes counts rows by what became of them, for a log.
func outcomes(c importer.Counts) map[importer.Outcome]int {
	by := map[importer.Outcome]int{}
	for sr, n := range c {
		by[sr.State.Outcome()] += n
	}
	return by
}
