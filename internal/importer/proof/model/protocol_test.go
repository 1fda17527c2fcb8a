package model_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"importer/internal/importer/proof"
)

// search looks in schedules of some length; 200 ms of shrinking make a story
// that is good to read.
func search(seed uint64, schedules int) proof.Search {
	return proof.Search{Seed: seed, Schedules: schedules, Steps: 60, Shrink: 200 * time.Millisecond}
}

func TestTheProtocolKeepsItsPromisesInEverySchedule(t *testing.T) {
	began, n := time.Now(), 0
	for seed := uint64(1); seed == 1 || time.Since(began) < proof.Longer(t); seed += shortForm {
		var broken *world
		found := search(seed, shortForm).Find(t, func(rt *rapid.T) {
			n++
			if w := play(rt, noBug); w.broken != "" {
				broken = w
				rt.Fatal("found")
			}
		})
		if found {
			require.Fail(t, "a promise is broken", "seed %d: %s", seed, broken.story())
		}
	}
	t.Logf("%d schedules, %.0f a second", n, float64(n)/time.Since(began).Seconds())
}

func TestEachPlantedBugIsFoundAndShrunk(t *testing.T) {
	const enough = 200_000 // schedules, a few seconds
	for b := firstBug; b <= lastBug; b++ {
		t.Run(b.String(), func(t *testing.T) {
			var shortest *world
			n, first := 0, 0
			found := search(1, enough).Find(t, func(rt *rapid.T) {
				n++
				w := play(rt, b)
				if w.broken == "" {
					return
				}
				shortest = w
				if first == 0 {
					first = n
				}
				rt.Fatal("found")
			})
			require.True(t, found, "not found in %d schedules", n)
			t.Logf("schedule %d: %s", first, shortest.story())
		})
	}
}
