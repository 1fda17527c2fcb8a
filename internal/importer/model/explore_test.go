// Package model_test proves the delivery protocol: a model of it, whose
// schedules of moves are drawn, held against its promises and shrunk by rapid,
// and the importer itself under drawn faults (real_test.go). Each is shown to
// find the bugs that copies of it are given.
package model_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A schedule's steps; no files of failures; shrinking that is good enough
	// to read.
	set("rapid.steps", "60")
	set("rapid.nofailfile", "true")
	set("rapid.shrinktime", "200ms")
	os.Exit(m.Run())
}

func set(name, value string) {
	if err := flag.Set(name, value); err != nil {
		panic(err)
	}
}

// longer is how long the exploration goes on beyond its short form.
func longer(t *testing.T) time.Duration {
	text := os.Getenv("IMPORTER_MODEL_FOR")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}

// recorder is told by rapid what it found, where a test would fail.
type recorder struct {
	rapid.TB
	failed bool
}

func (*recorder) Helper()                 {}
func (*recorder) Logf(string, ...any)     {}
func (r *recorder) Fail()                 { r.failed = true }
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Failed() bool          { return r.failed }
func (r *recorder) FailNow() {
	r.failed = true
	runtime.Goexit()
}

// find lets rapid look for a schedule that makes prop fail, and shrink it. It
// tells whether there is one: the last that prop failed with.
func find(t *testing.T, seed uint64, schedules int, prop func(*rapid.T)) bool {
	t.Helper()
	set("rapid.seed", strconv.FormatUint(seed, 10))
	set("rapid.checks", strconv.Itoa(schedules))
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		rapid.Check(r, prop)
	}()
	<-ended
	return r.failed
}

// What a schedule draws. The first of each is the simplest, to which rapid
// shrinks.
var (
	weather = rapid.SampledFrom([]string{"nnnnnnnnpf", "nnnnnnpppf", "nnnnnnppff", "nnnnppfff"})
	which   = indexes()
	size    = rapid.IntRange(0, mostOfADrop)
	number  = rapid.IntRange(0, numbers-1)
	yes     = rapid.Bool()
)

// indexes are the generators of a choice among 1, 2, ... things.
func indexes() (g [64]*rapid.Generator[int]) {
	for i := range g {
		g[i] = rapid.IntRange(0, i)
	}
	return g
}

func choose(t *rapid.T, n int) int { return which[min(n, len(which))-1].Draw(t, "which") }

func drawPlan(t *rapid.T) (s plan) {
	for d := range s.sizes {
		s.sizes[d] = size.Draw(t, "size")
	}
	for r := range s.numbers {
		s.numbers[r] = number.Draw(t, "number")
	}
	s.byOther = yes.Draw(t, "by other")
	s.foreign = yes.Draw(t, "foreign")
	s.late = yes.Draw(t, "late")
	s.alone = yes.Draw(t, "alone")
	for a := firstFault; a < lastAct; a++ {
		s.suffers[a] = yes.Draw(t, "suffers")
	}
	return s
}

// play makes a world and lets the schedule that t draws happen to it.
func play(t *rapid.T, b bug) *world {
	w := newWorld(b, drawPlan(t))
	sky := weather.Draw(t, "weather")
	t.Repeat(map[string]func(*rapid.T){"step": func(t *rapid.T) {
		var moves []move
		switch sky[choose(t, len(sky))] {
		case 'n':
			moves = w.onward()
		case 'p':
			moves = w.passing()
		case 'f':
			moves = w.faults()
		}
		if w.broken == "" && len(moves) > 0 {
			w.do(moves[choose(t, len(moves))])
		}
	}})
	w.heal()
	return w
}

// story is how a world came to where it is.
func (w *world) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", w.broken)
	for _, l := range w.log {
		fmt.Fprintf(&b, "\n%4d  %v", l.now, l.m)
	}
	return b.String()
}
