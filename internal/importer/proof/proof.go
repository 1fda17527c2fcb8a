// Package proof lets rapid look for schedules that break the delivery
// protocol's promises: model/ explores a model of the protocol, storm/ the
// importer itself. Only tests use it.
package proof

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Longer is how long an exploration goes on beyond its short form.
func Longer(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("IMPORTER_MODEL_FOR")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}

// Search says how rapid looks for a schedule.
type Search struct {
	Seed      uint64
	Schedules int
	Steps     int           // of a schedule that repeats, on average
	Shrink    time.Duration // at most
}

// Find lets rapid look for a schedule that makes prop fail, and shrink it. It
// tells whether there is one: the last that prop failed with. Searches share
// rapid's flags and cannot run at the same time.
func (s Search) Find(t *testing.T, prop func(*rapid.T)) bool {
	t.Helper()
	for name, value := range map[string]string{
		"rapid.seed":       strconv.FormatUint(s.Seed, 10),
		"rapid.checks":     strconv.Itoa(s.Schedules),
		"rapid.steps":      strconv.Itoa(s.Steps),
		"rapid.shrinktime": s.Shrink.String(),
		"rapid.nofailfile": "true",
	} {
		require.NoError(t, flag.Set(name, value))
	}
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		rapid.Check(r, prop)
	}()
	<-ended
	return r.failed
}

// recorder is told by rapid what it found, where a test would fail.
type recorder struct {
	rapid.TB
	failed bool
}

func (*recorder) Helper()                 {}
func (*recorder) Logf(string, ...any)     {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Fail()                 { r.failed = true }
func (r *recorder) Failed() bool          { return r.failed }
func (r *recorder) FailNow() {
	r.failed = true
	runtime.Goexit()
}
