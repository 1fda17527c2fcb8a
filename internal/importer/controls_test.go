package importer_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

func TestASearchWithoutALeadKnownToBeThereIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(drops))
		in := drop("a", 12)
		in.Open = func() (importer.Reader, error) { return &oneElsewhere{rows{n: 12}}, nil }
		s, err := b.run(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, 1, s.Counts()[importer.StateReason{State: importer.Review, Reason: importer.ReasonUnproven}])
		require.Equal(t, 1, b.dialer.calls[phone(11)])
		require.Equal(t, 2, b.dialer.calls[phone(12)])
	})
}

// oneElsewhere is a drop whose eleventh row goes to a list without leads.
type oneElsewhere struct{ rows }

func (r *oneElsewhere) Next() (importer.Row, error) {
	row, err := r.rows.Next()
	if r.at == 11 {
		row.Lead.ListID = "102"
	}
	return row, err
}

func TestAControlThatWasDeletedIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(drops))
		_, err := b.run(t.Context(), drop("before", 5))
		require.NoError(t, err)
		b.dialer.leads[phone(1)] = nil
		s, err := b.run(t.Context(), drop("a", 14))
		require.NoError(t, err)
		require.Equal(t, 9, s.Outcomes()[importer.OutcomeSuccess])
		require.Zero(t, s.Outcomes()[importer.OutcomeReview])
	})
}
