package health

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"importer/internal/ledger"
	"importer/internal/schedule"
)

// feeds collects what the ledger and the schedules say of each feed: every process
// shows the same, and after a restart too. A scrape asks nobody.
type feeds struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]*feed
}

type feed struct {
	schedule  schedule.Schedule
	next      time.Time // the slot that comes; zero: to be looked for
	ends      bool      // none comes any more
	succeeded time.Time
	slots     map[string]int // by verdict
	judged    time.Time      // the last slot that is counted
}

func newFeeds(now func() time.Time) *feeds { return &feeds{now: now, known: map[string]*feed{}} }

// set replaces the feeds and returns those that are gone.
func (f *feeds) set(schedules map[string]schedule.Schedule) (gone []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.known {
		if _, ok := schedules[name]; !ok {
			delete(f.known, name)
			gone = append(gone, name)
		}
	}
	for name, s := range schedules {
		if f.known[name] == nil {
			f.known[name] = &feed{slots: map[string]int{}}
		}
		k := f.known[name]
		k.schedule, k.next, k.ends = s, time.Time{}, false
	}
	return gone
}

// learn asks the ledger what is new of the feeds.
func (f *feeds) learn(ctx context.Context, l *ledger.Ledger) error {
	f.mu.Lock()
	known := maps.Clone(f.known) // one that goes meanwhile, or comes again, is told apart
	counted := make(map[string]time.Time, len(known))
	for name, k := range known {
		counted[name] = k.judged
	}
	f.mu.Unlock()
	standings, err := l.Standings(ctx, counted)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, k := range known {
		s := standings[name]
		k.succeeded, k.judged = s.Succeeded, s.Judged
		for verdict, n := range s.Slots {
			k.slots[verdict] += n
		}
	}
	return nil
}

// comes is the feed's next slot, the zero time if there is none. It is called with
// mu held, and looks for a slot only when the one before has passed.
func (f *feeds) comes(k *feed) time.Time {
	if now := f.now(); !k.ends && !k.next.After(now) {
		k.next = k.schedule.Next(now)
		k.ends = k.next.IsZero()
	}
	return k.next
}

// next is the feed whose slot comes first, and when; an empty name if none has one.
func (f *feeds) next() (name string, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, k := range f.known {
		t := f.comes(k)
		if !t.IsZero() && (at.IsZero() || t.Before(at) || t.Equal(at) && n < name) {
			name, at = n, t
		}
	}
	return name, at
}

// verdicts are all that a slot can get.
var verdicts = []schedule.Verdict{
	schedule.Run, schedule.Queue, schedule.Missed, schedule.Overlap, schedule.Paused, schedule.Holiday, schedule.Blackout,
}

var (
	succeededDesc = prometheus.NewDesc("importer_last_success_timestamp_seconds",
		"When a run that pulled or imported the feed last ended without a failure, by the ledger, whoever carried it, in seconds since 1970. "+
			"Absent: none has.", []string{"feed"}, nil)
	slotsDesc = prometheus.NewDesc("importer_slots_total",
		"Slots of the feed's schedule and what became of them, by the ledger: every process that shares it shows the same. A long stretch "+
			"of slots that went by while nobody was there counts as one behind its last hundred.", []string{"feed", "verdict"}, nil)
	nextDesc = prometheus.NewDesc("importer_next_slot_timestamp_seconds",
		"When the next slot of the feed's schedule comes, in seconds since 1970, whatever becomes of it then. Absent: none comes.", []string{"feed"}, nil)
)

// Describe implements prometheus.Collector.
func (f *feeds) Describe(descs chan<- *prometheus.Desc) {
	descs <- succeededDesc
	descs <- slotsDesc
	descs <- nextDesc
}

// Collect implements prometheus.Collector.
func (f *feeds) Collect(metrics chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	show := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	for name, k := range f.known {
		if !k.succeeded.IsZero() {
			show(succeededDesc, prometheus.GaugeValue, seconds(k.succeeded), name)
		}
		if at := f.comes(k); !at.IsZero() {
			show(nextDesc, prometheus.GaugeValue, seconds(at), name)
		}
		for _, v := range verdicts {
			show(slotsDesc, prometheus.CounterValue, float64(k.slots[string(v)]), name, string(v))
		}
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
