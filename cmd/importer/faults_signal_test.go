package main

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

const (
	sigterm = syscall.SIGTERM
	sighup  = syscall.SIGHUP
)

// Fault 9. That it drains and settles is TestInterruptedImportDrainsAndGoesOn's.
func TestATerminatedImportEndsThoughTheDialerHangs(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 12
	s := faultySite(t, rows, brisk)
	reached, release := s.at(t, nth)
	p := s.imports(t)
	<-reached
	require.NoError(t, p.Process.Signal(sigterm))
	require.Equal(t, exitInterrupted, p.ends(t), &p.err) // although nobody has released them
	states := s.states(t)
	require.Positive(t, states["unknown"])
	require.Equal(t, rows, states["succeeded"]+states["unknown"]+states["pending"], "%v", states)
	calls := s.dialer.Calls("add_lead")
	require.Equal(t, states["succeeded"]+states["unknown"], calls, "nothing was armed after the signal")

	release()
	again := s.imports(t)
	require.Zero(t, again.ends(t), &again.err)
	require.Positive(t, s.requireAllLoaded(t, rows))
	require.Equal(t, rows, s.dialer.Calls("add_lead"))
}

// Fault 10.
func TestAnImportThatWasFrozenSendsNothingLate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lease    string
		takeOver bool
	}{"and goes on": {"lease: 1m", false}, "and has been overtaken": {"lease: 500ms", true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows, nth = 40, 12
			s := faultySite(t, rows, with(brisk, "send_within: 1s", c.lease))
			var sent journal
			release := make(chan struct{})
			reached := make(chan struct{}, rows)
			s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
				sent.note(r)
				if r.Function == "add_lead" && r.Nth >= nth && r.Nth < nth+4 {
					reached <- struct{}{}
					<-release
				}
				return dialersim.Fault{}
			})
			p := s.imports(t)
			for range 4 { // all slots are taken, the next rows wait for one
				<-reached
			}
			s.eventually(t, `SELECT count(*) > 4 FROM rows WHERE state = 'armed'`)
			require.NoError(t, p.Process.Signal(syscall.SIGSTOP))
			mayNotBegin := map[entry]bool{}
			for _, f := range s.fates(t) {
				if f.state == "armed" {
					mayNotBegin[entry{f.record - 1, f.attempt}] = true
				}
			}
			before := sent.all()
			for _, e := range before { // has begun
				delete(mayNotBegin, e)
			}
			require.NotEmpty(t, mayNotBegin)
			s.eventually(t, `SELECT bool_and(answer_by < clock_timestamp()) FROM rows WHERE state = 'armed'`)
			close(release)
			// Their slots are given to others now, so they must have ended.
			waitFor(t, func() bool { return s.dialer.InFlight("") == 0 })
			if c.takeOver {
				other := s.imports(t)
				require.Zero(t, other.ends(t), &other.err)
				s.requireAllLoaded(t, rows)
				before = sent.all()
			}
			require.NoError(t, p.Process.Signal(syscall.SIGCONT))
			if status := p.ends(t); c.takeOver {
				require.Equal(t, exitFailed, status, &p.err)
				require.Contains(t, p.err.String(), "another importer has taken over this drop")
				require.Equal(t, before, sent.all(), "it sent something after another importer had taken over")
			} else {
				require.Zero(t, status, &p.err)
			}
			sent.requireEachAttemptOnce(t)
			for _, e := range sent.all()[len(before):] {
				require.False(t, mayNotBegin[e], "sent late: %+v", e)
			}
			s.requireAllLoaded(t, rows)
		})
	}
}
