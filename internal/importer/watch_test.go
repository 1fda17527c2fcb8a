package importer_test

import (
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
)

// tally is a watcher that adds up what it is told.
type tally struct {
	mu      sync.Mutex
	settled importer.Counts
}

func (*tally) Recorded(int)   {}
func (*tally) Waiting(string) {}

func (w *tally) Settled(how importer.StateReason, rows int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled[how] += rows
}

// mixed is a drop of a number that nobody can have and of one that comes thrice.
type mixed struct{ rows }

func (r *mixed) Next() (importer.Row, error) {
	numbers := []string{"0000000000", phone(1), phone(1), phone(1)}
	if r.at == len(numbers) {
		return importer.Row{}, io.EOF
	}
	r.at++
	return importer.Row{Record: r.at, Line: r.at, Lead: lead.Lead{PhoneNumber: numbers[r.at-1]}}, nil
}

func TestAWatcherIsToldOfEachOutcomeWhenItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(_ importer.Call, n int) fate { return []fate{refuses, answers}[min(n, 2)-1] })
		w := &tally{settled: importer.Counts{}}
		b.importer.Watcher = w
		in := drop("a", 4)
		in.Open = func() (importer.Reader, error) { return &mixed{}, nil }

		s, err := b.run(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, 4, s.Counts().Rows())
		want := importer.Counts{
			{State: importer.Invalid, Reason: lead.PhoneInvalid}: 1,
			// One of them inherited the refused row's claim, and is told once more.
			{State: importer.Duplicate, Reason: importer.ReasonAlreadyLoaded}: 2,
			{State: importer.Rejected, Reason: "dnc"}:                         1,
			{State: importer.Succeeded, Reason: importer.ReasonAdded}:         1,
		}
		require.Equal(t, want, w.settled)

		_, err = b.run(t.Context(), in)
		require.NoError(t, err)
		want[importer.StateReason{State: importer.Duplicate, Reason: importer.ReasonAlreadyImported}] = 4
		require.Equal(t, want, w.settled)

		_, err = b.retry(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, want, w.settled, "the refused row's number is loaded by now, the retry is no call")
	})
}
