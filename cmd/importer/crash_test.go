package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// hasty is impatient with waits as short as a crowded machine allows.
var hasty = strings.NewReplacer(
	"lease: 1s", "lease: 500ms", "timeout: 2s", "timeout: 1s",
	"send_within: 1s", "send_within: 500ms", "quiescence: 3s", "quiescence: 2s",
).Replace(impatient)

// crashRounds is how often the short form kills an import; IMPORTER_CRASH_FOR
// makes it go on for that long instead.
const crashRounds = 4

// An import is killed at random moments while the dialer loses requests and
// answers. Afterwards the same command loads every lead once. The seed of each
// round is logged; IMPORTER_CRASH_SEED repeats one.
func TestKilledAtRandomMoments(t *testing.T) { //nolint:tparallel // the rounds come one after the other, so that killing goes on for as long as asked
	t.Parallel()
	rounds, until := crashRounds, time.Time{}
	if text := os.Getenv("IMPORTER_CRASH_FOR"); text != "" {
		d, err := time.ParseDuration(text)
		require.NoError(t, err)
		rounds, until = 1<<31, time.Now().Add(d)
	}
	kills := 0
	for round := 0; round < rounds && (until.IsZero() || time.Now().Before(until)); round++ {
		seed := rand.Uint64()
		if text := os.Getenv("IMPORTER_CRASH_SEED"); text != "" {
			var err error
			seed, err = strconv.ParseUint(text, 10, 64)
			require.NoError(t, err)
			rounds = 0
		}
		require.True(t, t.Run("round", func(t *testing.T) { kills += crashRound(t, seed) }))
	}
	t.Logf("%d kills", kills)
	require.Positive(t, kills, "no importer was killed at work")
}

func crashRound(t *testing.T, seed uint64) (kills int) {
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := newSite(t, hasty)
	s.contacts(t, "contacts.csv", contacts())
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(seed, 1))
	roll := func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return dice.Float64()
	}
	s.dialer.SetFault(func(q *dialersim.Request) dialersim.Fault {
		if q.Function != "add_lead" {
			return dialersim.Fault{}
		}
		f := dialersim.Fault{Delay: 5 * time.Millisecond}
		switch p := roll(); {
		case p < 0.01: // carried out, the answer is lost
			f.Answer = func(a *dialersim.Response) { a.Drop = true }
		case p < 0.02: // never carried out
			f.Skip = true
			f.Answer = func(a *dialersim.Response) { a.Drop = true }
		}
		return f
	})
	for range 1 + r.IntN(3) {
		p := s.start(t, "import", "contacts.csv", "--feed", "acme")
		moment := time.NewTimer(time.Duration(r.IntN(900)) * time.Millisecond)
		ended := make(chan error, 1)
		go func() { ended <- p.Wait() }()
		select {
		case <-moment.C:
			require.NoError(t, p.Process.Signal(syscall.SIGKILL))
			<-ended
			if p.ProcessState.ExitCode() == -1 {
				kills++
			}
		case <-ended:
		}
	}
	s.dialer.SetFault(nil)
	last := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
	require.Zero(t, last.ends(t), &last.err)
	require.Equal(t, map[string]int{"succeeded": contactRows}, s.states(t), "%s", &last.out)
	s.requireEachLeadOnce(t, contactRows)
	return kills
}
