package daemon_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/daemon"
)

// A thousand feeds (many) are due at the same second: each has one run, whichever of two
// replicas carries it.
func TestAThousandFeedsAreDueAtOnce(t *testing.T) {
	t.Parallel()
	six := time.Date(2026, time.March, 2, 6, 0, 0, 0, newYork(t))
	b := newBench(t, six.Add(-time.Minute))
	feeds := make([]daemon.Feed, many)
	for i := range feeds {
		feeds[i] = scheduled(t, "0 6 * * 1-5")
		feeds[i].Name = fmt.Sprintf("feed-%d", i)
	}
	with := func(o *daemon.Options) { o.AtOnce, o.Lease = 10, 15*time.Second } // however busy the machine is
	replicas := []*replica{b.serve(t, with, feeds...), b.serve(t, with, feeds...)}
	b.until(t, `SELECT count(*) = $1 FROM schedules`, many)
	began := time.Now()
	b.moves(six, replicas...)
	b.until(t, `SELECT count(*) = $1 FROM schedule_slots WHERE verdict = 'run'`, many)
	judged := time.Since(began)
	b.until(t, `SELECT count(*) = $1 FROM schedule_slots WHERE ended IS NOT NULL`, many)
	t.Logf("%d feeds: judged within %s, run within %s", many, judged, time.Since(began))
	runs := map[int64]bool{}
	for _, r := range replicas {
		for _, begun := range r.runs() {
			require.False(t, runs[begun.Run])
			runs[begun.Run] = true
		}
	}
	require.Len(t, runs, many)
	require.Equal(t, many, ask[int](t, b, `SELECT count(DISTINCT run_id) FROM schedule_slots`))
}

// BenchmarkDueAtOnce takes 20 feeds that are due at the same moment, and runs that have
// nothing to do, to the end of all. The job engine tells nobody of a job that comes too
// soon after another: one that waits until the engine looks by itself makes it seconds.
func BenchmarkDueAtOnce(b *testing.B) {
	day := time.Date(2026, time.March, 2, 6, 0, 0, 0, newYork(b))
	bench := newBench(b, day.Add(-time.Minute))
	feeds := make([]daemon.Feed, 20)
	for i := range feeds {
		feeds[i] = scheduled(b, "0 6 * * *")
		feeds[i].Name = fmt.Sprintf("feed-%d", i)
	}
	with := func(o *daemon.Options) { o.AtOnce, o.Lease = 2*len(feeds), 5*time.Second } // none waits for another
	r := bench.serve(b, with, feeds...)
	bench.until(b, `SELECT count(*) = $1 FROM schedules`, len(feeds))
	for n := 0; b.Loop(); n++ {
		bench.moves(day.AddDate(0, 0, n), r)
		bench.until(b, `SELECT count(*) = $1 FROM schedule_slots WHERE ended IS NOT NULL`, (n+1)*len(feeds))
	}
}
