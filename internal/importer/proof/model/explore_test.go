// Package model_test is a model of the delivery protocol: a ledger, a dialer and
// two importers, whose moves rapid draws and which is held against what is
// promised. Copies of it that break one rule show that it would be noticed.
package model_test

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

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
