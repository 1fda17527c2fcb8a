package importer_test

import (
	"context"
	"testing"
	"testing/synctest"

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
