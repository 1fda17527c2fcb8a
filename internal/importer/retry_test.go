package importer_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
)

// retry retries the first drop's rows with both outcomes.
func (b *bench) retry(ctx context.Context, resend bool) (importer.Summary, error) {
	return b.importer.Retry(ctx, b.feed, []int64{1}, importer.RowsThatEnded([]importer.Outcome{importer.OutcomeError, importer.OutcomeReview}, ""), resend)
}

// reviewed imports 14 rows of which 4 end in review, since their calls met a
// fate without an answer and lookups are not answered.
func reviewed(t *testing.T, f fate) *bench {
	t.Helper()
	b := setup(t, first(f))
	b.dialer.searches = func() error { return errors.New("not answered") }
	s, err := b.run(t.Context(), drop("a", 14))
	require.NoError(t, err)
	require.Equal(t, 4, s.Outcomes()[importer.OutcomeReview])
	return b
}

func TestRefusedRowsAreSentAgainByARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(refuses))
		s, err := b.run(t.Context(), drop("a", 14))
		require.NoError(t, err)
		require.Equal(t, 4, s.Outcomes()[importer.OutcomeError])

		s, err = b.retry(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, 14, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 4, s.Calls)
		require.Equal(t, importer.DropDone, s.Drops[0].Drop.State)
		b.requireOnce(t, 14)

		s, err = b.retry(t.Context(), true)
		require.NoError(t, err)
		require.Zero(t, s.Calls, "nothing is left to retry")
		require.Equal(t, 14, s.Outcomes()[importer.OutcomeSuccess])
	})
}

func TestARetryOfOneOutcomeLeavesTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := reviewed(t, drops)
		s, err := b.importer.Retry(t.Context(), b.feed, []int64{1}, importer.RowsThatEnded([]importer.Outcome{importer.OutcomeError}, ""), false)
		require.NoError(t, err)
		require.Equal(t, 4, s.Outcomes()[importer.OutcomeReview])
		require.Zero(t, s.Calls)
	})
}

func TestARetryOfOneReasonLeavesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(refuses))
		_, err := b.run(t.Context(), drop("a", 14))
		require.NoError(t, err)
		both := []importer.Outcome{importer.OutcomeError, importer.OutcomeReview}
		s, err := b.importer.Retry(t.Context(), b.feed, []int64{1}, importer.RowsThatEnded(both, importer.ReasonUnproven), false)
		require.NoError(t, err)
		require.Equal(t, 4, s.Outcomes()[importer.OutcomeError])
		require.Zero(t, s.Calls)
		s, err = b.importer.Retry(t.Context(), b.feed, []int64{1}, importer.RowsThatEnded(both, "dnc"), false)
		require.NoError(t, err)
		require.Equal(t, 14, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 4, s.Calls)
	})
}

func TestADropThatAnotherProcessWorksOnKeepsNoOtherFromItsRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(refuses))
		for _, name := range []string{"a", "b"} {
			_, err := b.run(t.Context(), drop(name, 14))
			require.NoError(t, err)
		}
		_, err := b.ledger.LeaseDrop(t.Context(), 1, 99, time.Hour)
		require.NoError(t, err)
		s, err := b.importer.Retry(t.Context(), b.feed, []int64{1, 2}, importer.RowsThatEnded([]importer.Outcome{importer.OutcomeError}, ""), false)
		var leased *importer.LeasedError
		require.ErrorAs(t, err, &leased)
		require.Len(t, s.Drops, 1)
		require.Equal(t, int64(2), s.Drops[0].Drop.ID)
		require.Zero(t, s.Outcomes()[importer.OutcomeError])
	})
}

func TestARetriedReviewIsFoundWhereItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := reviewed(t, swallows)
		b.dialer.searches = nil
		s, err := b.retry(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, 4, s.Counts()[importer.StateReason{State: importer.Succeeded, Reason: importer.ReasonReconciled}])
		require.Zero(t, s.Calls)
		b.requireOnce(t, 14)
	})
}

func TestARetriedReviewIsSentAgainWhereItIsProvenAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := reviewed(t, drops)
		b.dialer.searches = nil
		s, err := b.retry(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, 14, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 4, s.Calls)
		b.requireOnce(t, 14)
	})
}

func TestAReviewThatStaysUnprovenIsSentAgainOnlyWhenAPersonSaysSo(t *testing.T) {
	for name, f := range map[string]fate{"absent": drops, "there": swallows} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := reviewed(t, f)
				s, err := b.retry(t.Context(), false)
				require.NoError(t, err)
				require.Equal(t, 4, s.Outcomes()[importer.OutcomeReview])
				require.Zero(t, s.Calls)

				s, err = b.retry(t.Context(), true)
				require.NoError(t, err)
				require.Equal(t, 4, s.Calls)
				b.requireOnce(t, 14)
				if f == drops {
					require.Equal(t, 14, s.Outcomes()[importer.OutcomeSuccess])
					return
				}
				// The dialer's own check has met leads that nobody could read.
				require.Equal(t, 4, s.Counts()[importer.StateReason{State: importer.Review, Reason: importer.ReasonUnproven}])
			})
		})
	}
}

func TestAResendWithoutTokensWaitsUntilTheLostCallCanTakeEffectNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(insertsLate))
		b.importer.Limits.TokenField = ""
		s, err := b.run(t.Context(), drop("a", 14))
		require.NoError(t, err)
		require.Equal(t, 4, s.Counts()[importer.StateReason{State: importer.Review, Reason: importer.ReasonNoToken}])

		s, err = b.retry(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, 4, s.Calls)
		b.requireOnce(t, 14)
		require.Equal(t, 4, s.Counts()[importer.StateReason{State: importer.Review, Reason: importer.ReasonNoToken}], "the dialer has them, whose they are nobody can tell")
	})
}

func TestAResendIsGivenUpLikeAnyRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, _ int) fate {
			if c.Lead.PhoneNumber == phone(14) {
				return drops
			}
			return answers
		})
		b.dialer.searches = func() error { return errors.New("not answered") }
		_, err := b.run(t.Context(), drop("a", 14))
		require.NoError(t, err)
		s, err := b.retry(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, 1, s.Outcomes()[importer.OutcomeReview])
		require.Equal(t, 4, s.Calls, "with the one that was lost, five")
	})
}

func TestAGivenUpRowIsTriedAsOftenAgainAndStillGuarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unguarded := 0
		b := setup(t, func(c importer.Call, n int) fate {
			if n > 1 && c.Duplicate != "DUPLIST" {
				unguarded++
			}
			if c.Lead.PhoneNumber == phone(5) && n < 8 {
				return drops
			}
			return answers
		})
		s, err := b.run(t.Context(), drop("a", 20))
		require.NoError(t, err)
		require.Equal(t, 1, s.Counts()[importer.StateReason{State: importer.Failed, Reason: importer.ReasonAttemptsExhausted}])
		s, err = b.retry(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, 20, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 8, b.dialer.calls[phone(5)])
		require.Zero(t, unguarded)
		b.requireOnce(t, 20)
	})
}

func TestAnInterruptedRetryIsTakenUpByTheFeedsNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, n int) fate {
			if n == 1 && c.Lead.PhoneNumber > phone(10) {
				return refuses
			}
			return answers
		})
		_, err := b.run(t.Context(), drop("a", 500))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		s, err := b.retry(ctx, false)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Positive(t, s.Pending())
		require.Equal(t, importer.DropImporting, s.Drops[0].Drop.State)

		s, err = b.run(t.Context())
		require.NoError(t, err)
		require.Equal(t, 500, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 500)
	})
}

// twins is a drop whose last rows have one number.
type twins struct{ rows }

func (r *twins) Next() (importer.Row, error) {
	if r.at == 13 {
		return importer.Row{}, io.EOF
	}
	r.at++
	n := min(r.at, 11)
	return importer.Row{Record: r.at, Line: r.at, Lead: lead.Lead{PhoneNumber: phone(n)}}, nil
}

func TestARefusedResendThatWasNeverProvenGivesItsClaimToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, n int) fate {
			if c.Lead.PhoneNumber != phone(11) {
				return answers
			}
			return []fate{swallows, refuses, answers}[min(n, 3)-1]
		})
		b.dialer.searches = func() error { return errors.New("not answered") }
		in := drop("a", 13)
		in.Open = func() (importer.Reader, error) { return &twins{}, nil }
		s, err := b.run(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, 1, s.Outcomes()[importer.OutcomeReview])
		s, err = b.retry(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, 1, s.Outcomes()[importer.OutcomeReview])
		require.Len(t, b.dialer.leads[phone(11)], 1)
	})
}
