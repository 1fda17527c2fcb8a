package importer_test

import (
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

var errSilent = errors.New("no answer")

// silent has a dialer answer no lookup while it is said to.
func (d *dialer) silent(is func() bool) {
	d.searches = func() error {
		if is() {
			time.Sleep(timeout)
			return errSilent
		}
		return nil
	}
	d.fields = func(int64) error { return d.searches() }
}

// only gives some numbers' first calls one fate, and all other calls success.
func only(f fate, rows ...int) func(importer.Call, int) fate {
	lost := map[string]bool{}
	for _, n := range rows {
		lost[phone(n)] = true
	}
	return func(c importer.Call, n int) fate {
		if n == 1 && lost[c.Lead.PhoneNumber] {
			return f
		}
		return answers
	}
}

func TestADialerThatAnswersNothingStopsTheRunAndIsAskedByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, only(swallows, 11, 12))
		var dead atomic.Bool
		dead.Store(true)
		b.dialer.silent(dead.Load)
		for range 2 { // one that sends, and one that has only to ask
			began := time.Now()
			s, err := b.run(t.Context(), drop("a", 12))
			var stop *importer.StopError
			require.ErrorAs(t, err, &stop)
			require.Equal(t, importer.ReasonDialerFailing, stop.Reason)
			require.EqualError(t, err, "the dialer has answered nothing for 10m0s, what became of the rows whose answers were lost is asked when it is there again: no answer")
			require.Equal(t, 10, s.Outcomes()[importer.OutcomeSuccess])
			require.Equal(t, 2, s.Pending())
			require.WithinRange(t, time.Now(), began.Add(10*time.Minute), began.Add(20*time.Minute))
		}
		dead.Store(false)
		s, err := b.run(t.Context(), drop("a", 12))
		require.NoError(t, err)
		require.Equal(t, 12, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 12)
	})
}

// A dialer that adds leads is there, whatever becomes of lookups.
func TestLookupsThatNobodyAnswersStopNoRunThatGetsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, only(swallows, 100))
		b.importer.Limits.Rate = 1
		b.dialer.silent(func() bool { return true })
		s, err := b.run(t.Context(), drop("a", 3000))
		require.NoError(t, err)
		require.Equal(t, 2999, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 1, s.Counts()[importer.StateReason{State: importer.Review, Reason: importer.ReasonUnproven}])
	})
}

func TestLookupsThatFailNowAndThenStopNoRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, only(swallows, 100, 3000))
		b.importer.Limits.Rate = 1
		b.dialer.spoils = phone(100) // it is asked about until a person must look
		var last atomic.Bool         // with the first lookups after that
		failed := 0
		b.dialer.silent(func() bool {
			if !last.Load() || failed == 2 {
				return false
			}
			failed++
			return true
		})
		fates := b.dialer.fates
		b.dialer.fates = func(c importer.Call, n int) fate {
			last.Store(last.Load() || c.Lead.PhoneNumber == phone(3000))
			return fates(c, n)
		}
		s, err := b.run(t.Context(), drop("a", 3600))
		require.NoError(t, err)
		require.Equal(t, 2, failed)
		require.Equal(t, 3599, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 1, s.Outcomes()[importer.OutcomeReview])
	})
}

// A lookup and the question whether anybody is there are lost when the machine
// goes to sleep.
func TestAMachineThatSleepsTakesNoDialerForSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, only(swallows, 11, 12))
		var slept atomic.Int64
		awake := b.importer.Clock
		b.importer.Clock = func() time.Duration { return awake() + time.Duration(slept.Load()) }
		lost := 0
		b.dialer.silent(func() bool {
			lost++
			if lost == 3 {
				slept.Store(int64(8 * time.Hour))
			}
			return lost < 5
		})
		s, err := b.run(t.Context(), drop("a", 12))
		require.NoError(t, err)
		require.Equal(t, 12, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 12)
	})
}

// Whether it is there is no condition of asking it.
func TestADialerIsAskedAlthoughItDoesNotSayThatItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, only(swallows, 11, 12))
		failed := 0
		b.dialer.searches = func() error {
			if failed == 2 {
				return nil
			}
			failed++
			return errSilent
		}
		b.dialer.fields = func(id int64) error {
			if id == math.MaxUint32 {
				return errSilent
			}
			return nil
		}
		s, err := b.run(t.Context(), drop("a", 12))
		require.NoError(t, err)
		require.Equal(t, 12, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 12)
	})
}

func TestWhoeverDecidedToSendAgainNeedNotWaitForLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, only(drops, 11))
		b.dialer.searches = func() error { return errSilent }
		s, err := b.run(t.Context(), drop("a", 12))
		require.NoError(t, err)
		require.Equal(t, 1, s.Outcomes()[importer.OutcomeReview])

		b.dialer.silent(func() bool { return true })
		s, err = b.retry(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, 12, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 12)
	})
}
