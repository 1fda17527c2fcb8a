package health

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"importer/internal/importer"
)

// metrics are what this process counts and measures. No label is anything that
// came out of a file: feeds and dialers are the configuration's, outcomes, reasons
// and results are this program's own words.
type metrics struct {
	registry *prometheus.Registry
	rows     *prometheus.CounterVec
	runs     *prometheus.CounterVec
	going    *prometheus.GaugeVec
	inFlight *prometheus.GaugeVec
	calls    *prometheus.HistogramVec
	unknown  *prometheus.CounterVec
	ledger   prometheus.Histogram
	givenUp  *prometheus.CounterVec
}

// The results of runs, as the exit status of a command tells them.
const (
	resultDone        = "done"
	resultNeedsPerson = "needs_person"
	resultFailed      = "failed"
)

func result(r importer.RunInfo) string {
	switch {
	case r.Error != "":
		return resultFailed
	case importer.Summary{Drops: r.Drops, Alarms: r.Alarms}.NeedsPerson():
		return resultNeedsPerson
	default:
		return resultDone
	}
}

func newMetrics(version string, f *feeds) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "importer_rows_total",
			Help: "Rows that got an outcome from this process, counted when they got it. A row that gets another outcome later, " +
				"since it was retried or the row that it duplicated came to nothing, counts once more with that one; " +
				"the rows of a file that was imported before count as already_imported each time that it comes. " +
				"How rows stand now is told by importer report.",
		}, []string{"feed", "outcome", "reason"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "importer_runs_total",
			Help: "Runs that this process brought to their end: done, needs_person (rows with ERROR or REVIEW, a held drop, or another " +
				"thing that somebody should look at) or failed, of which a person may have cancelled some.",
		}, []string{"feed", "result"}),
		going: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "importer_run_going",
			Help: "Runs of the feed that this process carries now, with later audits of its runs.",
		}, []string{"feed"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "importer_calls_in_flight",
			Help: "Calls to the dialer, of every kind, that this process waits for now. Lost calls, which the dialer may be busy with " +
				"for a while yet, are not among them.",
		}, []string{"dialer"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "importer_call_duration_seconds",
			Help: "How long calls to the dialer took, of every kind, in seconds: from before the connection to the last byte of the " +
				"answer, or until it was not waited for any more. An add_lead of which no byte could be sent is left out.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"dialer"}),
		unknown: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "importer_answers_unknown_total",
			Help: "Calls that write to the dialer of which it was not known afterwards what they did: no answer, a broken one, or one " +
				"that is not the API's. The dialer is asked about them.",
		}, []string{"dialer"}),
		ledger: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "importer_ledger_seconds",
			Help: "How long transactions of the ledger took that were committed, in seconds, with their waiting for a connection and " +
				"their repetitions.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30},
		}),
		givenUp: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "importer_messages_given_up_total",
			Help: "Messages that this process had to somebody under notify and gave up: they were refused for good, or not taken for half a day.",
		}, []string{"target"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "importer_build_info",
		Help:        "1, with the version of this program.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.rows, m.runs, m.going, m.inFlight, m.calls, m.unknown, m.ledger, m.givenUp, f, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// know shows a feed's zeros: what appears as 1 has not risen, for Prometheus.
func (m *metrics) know(feed string) {
	for _, r := range []string{resultDone, resultNeedsPerson, resultFailed} {
		m.runs.WithLabelValues(feed, r)
	}
	m.going.WithLabelValues(feed)
}

// forget shows nothing more of a feed.
func (m *metrics) forget(feed string) {
	of := prometheus.Labels{"feed": feed}
	m.rows.DeletePartialMatch(of)
	m.runs.DeletePartialMatch(of)
	m.going.DeletePartialMatch(of)
}

// rows watches a run of a feed.
type rows struct {
	*metrics

	feed string
}

// Recorded implements importer.Watcher.
func (rows) Recorded(int) {}

// Settled implements importer.Watcher.
func (r rows) Settled(how importer.StateReason, n int) {
	r.rows.WithLabelValues(r.feed, string(how.State.Outcome()), string(how.Reason)).Add(float64(n))
}

// Waiting implements importer.Watcher.
func (rows) Waiting(string) {}
