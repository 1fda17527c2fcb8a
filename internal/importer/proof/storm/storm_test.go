// Package storm_test lets the importer itself, on a ledger and a dialer in
// memory, live through drawn plans: calls that are lost or take effect late,
// processes that are killed or frozen at any of their calls, a blocked lead
// table, searches that lie. In the end the dialer's leads are held against the
// ledger.
package storm_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"importer/internal/importer/proof"
)

var (
	aNumber = rapid.IntRange(0, numbers-1)
	aFate   = rapid.SampledFrom([]fate{answers, swallows, drops, resets, insertsLate, fails, refuses})
	aHarm   = rapid.SampledFrom([]harm{goesNowhere, goesUnheard, freezes, freezes, diesBefore, diesAfter})
	aCall   = rapid.SampledFrom([]string{
		"send", "send", "send", "arm", "arm", "settle", "settle", "search", "touch", "open", "record",
		"lease drop", "renew drop", "close drop", "lease slots", "unfinished", "ours", "field", "finish run",
	})
	aMoment  = rapid.Custom(func(t *rapid.T) moment { return moment{aCall.Draw(t, "call"), nth.Draw(t, "nth")} })
	aLife    = rapid.Custom(func(t *rapid.T) life { return rapid.MapOfN(aMoment, aHarm, 0, 3).Draw(t, "life") })
	nth      = rapid.IntRange(1, 4)
	aSecond  = rapid.IntRange(0, 20)
	someRows = rapid.SliceOfN(aNumber, 1, 3)
	moreRows = rapid.SliceOfN(aNumber, 0, 2)
	calls    = rapid.SliceOfN(aFate, 0, 2)
	lives    = rapid.SliceOfN(aLife, 1, 2)
	yes      = rapid.Bool()
	mostly   = rapid.SampledFrom([]bool{false, true, true, true})
)

func draw(t *rapid.T) (s plan) {
	s.drops = [2][]int{someRows.Draw(t, "drop a"), moreRows.Draw(t, "drop b")}
	s.byCode = yes.Draw(t, "by code")
	s.foreign = yes.Draw(t, "foreign lead")
	for i := range s.fates {
		s.fates[i] = calls.Draw(t, "fates")
	}
	s.lives = [2][]life{{nil}, {nil}}
	if mostly.Draw(t, "violent") {
		s.lives = [2][]life{lives.Draw(t, "lives of A"), lives.Draw(t, "lives of B")}
	}
	s.second = seconds(t, "B starts")
	s.blocked = drawSpan(t, "blocked")
	s.blind = drawSpan(t, "blind")
	s.deaf = drawSpan(t, "deaf")
	return s
}

func seconds(t *rapid.T, label string) time.Duration {
	return time.Duration(aSecond.Draw(t, label)) * time.Second
}

func drawSpan(t *rapid.T, label string) (s span) {
	if yes.Draw(t, label) && yes.Draw(t, "really") {
		s.from = seconds(t, "from")
		s.until = s.from + seconds(t, "for")
	}
	return s
}

// storm looks for a plan that breaks a promise. It returns the last that did.
func storm(t *testing.T, seed uint64, plans int, b bug) (broken *world, played int) {
	t.Helper()
	search := proof.Search{Seed: seed, Schedules: plans, Steps: 1, Shrink: 300 * time.Millisecond}
	search.Find(t, func(rt *rapid.T) {
		played++
		var w *world
		s := draw(rt)
		synctest.Test(t, func(*testing.T) {
			w = newWorld(s, b)
			w.play()
		})
		if w.broken != "" {
			broken = w
			rt.Fatal("found")
		}
	})
	return broken, played
}

// tale is how a world came to where it is.
func (w *world) tale() string {
	return fmt.Sprintf("%s\n%v\n%s", w.broken, w.plan, strings.Join(w.story, "\n"))
}

func TestTheImporterKeepsItsPromisesInEveryStorm(t *testing.T) {
	const plans = 500
	began, n := time.Now(), 0
	for seed := uint64(1); seed == 1 || time.Since(began) < proof.Longer(t); seed += plans {
		broken, played := storm(t, seed, plans, bug{})
		n += played
		if broken != nil {
			require.Fail(t, "a promise is broken", "seed %d: %s", seed, broken.tale())
		}
	}
	t.Logf("%d plans, %.0f a second", n, float64(n)/time.Since(began).Seconds())
}
