// Package health shows other programs how the daemon is: whoever asks over HTTP,
// Prometheus, the service manager.
package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/schedule"
)

// Options are what is shown and how.
type Options struct {
	Version string // of this program
	Log     *slog.Logger
	Now     func() time.Time
	Reload  func() error // reads the configuration again
}

// Health is what is known of the daemon's own state. It is safe for use by many
// goroutines at once.
type Health struct {
	Options

	metrics *metrics
	feeds   *feeds
	going   atomic.Int64 // runs

	mu       sync.Mutex
	planned  time.Time // when planning last moved; zero: it has not begun
	answered time.Time // when the ledger last answered; zero: it has not
	schema   error     // why its schema is not right
	stopping bool
	mute     bool // it was said that the service manager cannot be told
}

// What is too long.
const (
	stuck  = 2 * time.Minute  // planning looks at the schedules every few seconds
	asks   = 10 * time.Second // how often the ledger is asked
	lately = 3 * asks
)

// New begins to watch nothing yet: planning and the ledger are waited for.
func New(o Options) *Health {
	h := &Health{Options: o, feeds: newFeeds(o.Now)}
	h.metrics = newMetrics(o.Version, h.feeds)
	return h
}

// Beat notes that planning has moved. It is called whenever planning has looked
// at the schedules, also in vain.
func (h *Health) Beat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.planned = h.Now()
}

// Live tells in a sentence why the process should be started anew, nil while it
// moves. Before planning begins, and when it has been stopped, nothing is judged.
func (h *Health) Live() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if silent := h.Now().Sub(h.planned); !h.planned.IsZero() && !h.stopping && silent > stuck {
		return fmt.Errorf("planning has not moved for %s: the process is stuck, restart it", silent.Round(time.Second))
	}
	return nil
}

// Ready tells in a sentence why no run would begin here now, nil when one would.
func (h *Health) Ready() error {
	if err := h.Live(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	silent := h.Now().Sub(h.answered)
	switch {
	case h.stopping:
		return errors.New("the importer is stopping: no run begins here any more")
	case h.answered.IsZero():
		return errors.New("the ledger has not answered yet")
	case silent > lately:
		return fmt.Errorf("the ledger has not answered for %s: check that PostgreSQL is running and can be reached", silent.Round(time.Second))
	}
	return h.schema
}

// Watch asks the ledger every few seconds, until ctx ends, whether it is there and
// as it should be, and what it knows of the feeds.
func (h *Health) Watch(ctx context.Context, l *ledger.Ledger) {
	ticker := time.NewTicker(asks)
	defer ticker.Stop()
	for {
		h.ask(ctx, l)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (h *Health) ask(ctx context.Context, l *ledger.Ledger) {
	ctx, cancel := context.WithTimeout(ctx, asks)
	defer cancel()
	current, wanted, err := l.Version(ctx)
	if err != nil {
		return // planning needs the ledger too, and says so
	}
	var schema error
	switch {
	case current > wanted:
		schema = fmt.Errorf("the ledger's schema is at version %d, this program knows up to %d: use a newer importer", current, wanted)
	case current < wanted:
		schema = fmt.Errorf("the ledger's schema is at version %d, this program needs %d: run importer migrate", current, wanted)
	default:
		if err := h.feeds.learn(ctx, l); err != nil {
			h.Log.Warn("the ledger could not be asked how the feeds stand, trying again", "err", err)
			return
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answered, h.schema = h.Now(), schema
}

// Feeds sets which feeds are shown, with their schedules.
func (h *Health) Feeds(schedules map[string]schedule.Schedule) {
	for _, gone := range h.feeds.set(schedules) {
		h.metrics.forget(gone)
	}
	for feed := range schedules {
		h.metrics.know(feed)
	}
}

// Targets sets to whom messages go.
func (h *Health) Targets(names []string) {
	for _, name := range names {
		h.metrics.givenUp.WithLabelValues(name) // a zero, as for feeds
	}
}

// GivenUp counts a message that was given up.
func (h *Health) GivenUp(target string) { h.metrics.givenUp.WithLabelValues(target).Inc() }

// Run watches a run of a feed, which is going until end is called.
func (h *Health) Run(feed string) (w importer.Watcher, end func()) {
	going := h.metrics.going.WithLabelValues(feed)
	going.Inc()
	h.going.Add(1)
	return rows{h.metrics, feed}, func() {
		going.Dec()
		h.going.Add(-1)
	}
}

// Ended counts a run that has come to its end.
func (h *Health) Ended(r importer.RunInfo) { h.metrics.runs.WithLabelValues(r.Feed, result(r)).Inc() }

// Dialer measures the calls that are made to a dialer.
func (h *Health) Dialer(name string, d importer.Dialer) importer.Dialer {
	return h.metrics.dialer(name, d)
}

// Transaction notes how long a transaction of the ledger took, see
// ledger.Ledger.Observe.
func (h *Health) Transaction(took time.Duration) { h.metrics.ledger.Observe(took.Seconds()) }
