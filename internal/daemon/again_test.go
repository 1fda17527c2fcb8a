package daemon_test

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/daemon"
	"importer/internal/importer"
)

// away ends a run as one that may go through another time.
func away(context.Context, importer.Begun) (importer.Summary, error) {
	return importer.Summary{}, errAway
}

func soonAgain(o *daemon.Options) { o.RetryAfter = time.Millisecond }

// Of runs that fail one after the other, people are told of the first, and of the
// one that goes through.
func TestARunThatMayGoThroughAnotherTimeIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, noon)
	h := newHeld(t, b, "acme")
	r := b.serve(t, soonAgain, h.feed)
	l := b.asksFor(t, "acme")
	for range 3 {
		h.ends <- away
	}
	h.well(l)
	waitFor(t, func() bool { return len(r.heard(daemon.EventRun)) == 2 })
	told, runs := r.heard(daemon.EventRun), r.runs()
	slices.SortFunc(told, func(a, b daemon.Event) int { return cmp.Compare(a.Run, b.Run) }) // several tell at once
	require.Len(t, runs, 4)
	require.Equal(t, runs[0].Run, told[0].Run)
	require.Zero(t, told[0].Tries)
	require.False(t, told[0].Again.IsZero())
	require.Equal(t, runs[3].Run, told[1].Run)
	require.Equal(t, 3, told[1].Tries)
	require.True(t, told[1].Again.IsZero())
}

// What is not caught up is not tried again either.
func TestARunIsTriedAgainForAsLongAsItsSlotIsCaughtUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, time.Now().Add(time.Hour))
	h := newHeld(t, b, "acme")
	h.feed.Rules.CatchUp = 0
	r := b.serve(t, soonAgain, h.feed)
	b.asksFor(t, "acme")
	h.ends <- away
	waitFor(t, func() bool { return len(r.heard(daemon.EventRun)) == 1 })
	require.True(t, r.heard(daemon.EventRun)[0].Again.IsZero())
	require.Equal(t, 1, ask[int](t, b, `SELECT count(*) FROM schedule_slots`))
}
