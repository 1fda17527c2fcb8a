package importer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

// listed is a drop of people who go to lists of their own.
type listed struct{ rows }

func (r *listed) Next() (importer.Row, error) {
	row, err := r.rows.Next()
	if r.at > 10 {
		row.Lead.ListID = []string{"101", "102", "103"}[r.at%3]
	}
	return row, err
}

// refusing is a dialer that refuses the login in one kind of question as soon
// as an audit has begun, in which every number has a lead of somebody else.
type refusing struct {
	*dialer

	question string
	begun    func() bool
	refusals int
}

func (r *refusing) Search(ctx context.Context, list string, phones []string) (map[string][]int64, error) {
	found, err := r.dialer.Search(ctx, list, phones)
	if !r.begun() {
		return found, err
	}
	if r.question == "search" {
		r.refusals++
		return nil, refused{}
	}
	for i, p := range phones {
		found[p] = append(found[p], int64(1000+i))
	}
	return found, err
}

func (r *refusing) Field(ctx context.Context, id int64, field string) (string, error) {
	if r.begun() {
		r.refusals++
		return "", refused{}
	}
	return r.dialer.Field(ctx, id, field)
}

func TestARefusedLoginInAnAuditStopsTheRunAfterOneQuestion(t *testing.T) {
	for _, question := range []string{"search", "field"} {
		t.Run(question, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, first(swallows))
				d := &refusing{dialer: b.dialer, question: question, begun: func() bool {
					counts, err := b.ledger.Tally(t.Context(), importer.Drop{ID: 1})
					return err == nil && counts.Outcome(importer.OutcomeSuccess) == 16
				}}
				b.importer.Dialer = d
				in := drop("a", 16)
				in.Open = func() (importer.Reader, error) { return &listed{rows{n: 16}}, nil }
				_, err := b.run(t.Context(), in, drop("b", 30))
				var stop *importer.StopError
				require.ErrorAs(t, err, &stop)
				require.Equal(t, 1, d.refusals)
				require.Equal(t, 16, b.dialer.made, "nothing more is sent")
			})
		})
	}
}

func TestALeadThatCameTooLateForItsRunIsToldByALaterAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, n int) fate {
			if c.Lead.PhoneNumber == phone(11) && n == 1 {
				return insertsTooLate
			}
			return answers
		})
		s, err := b.run(t.Context(), drop("a", 12))
		require.NoError(t, err)
		require.Empty(t, s.Alarms)
		require.True(t, s.Doubtful)
		time.Sleep(time.Hour)
		later, err := b.importer.Audit(t.Context(), b.feed, []importer.Drop{s.Drops[0].Drop})
		require.NoError(t, err)
		require.Len(t, later.Alarms, 1)
		require.Contains(t, later.Alarms[0], "record 11: the dialer has this lead twice")
	})
}

func TestALaterAuditThatFindsALeadMovedIsNotAlarmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(swallows))
		s, err := b.run(t.Context(), drop("a", 12))
		require.NoError(t, err)
		require.True(t, s.Doubtful)
		b.dialer.mu.Lock()
		clear(b.dialer.leads)
		b.dialer.mu.Unlock()
		later, err := b.importer.Audit(t.Context(), b.feed, []importer.Drop{s.Drops[0].Drop})
		require.NoError(t, err)
		require.NotZero(t, later.Run)
		require.Empty(t, later.Alarms)
	})
}

func TestARunWithoutLostAnswersNeedsNoLaterAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		s, err := b.run(t.Context(), drop("a", 12))
		require.NoError(t, err)
		require.False(t, s.Doubtful)
		later, err := b.importer.Audit(t.Context(), b.feed, []importer.Drop{s.Drops[0].Drop})
		require.NoError(t, err)
		require.Zero(t, later.Run)
	})
}
