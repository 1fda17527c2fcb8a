package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/report"
)

// status is what importer status tells, and its exit status.
func (s *site) status(t *testing.T) (told report.Status, exit int) {
	t.Helper()
	p := s.start(t, "status", "--json")
	exit = p.ends(t)
	require.NoError(t, json.Unmarshal(p.out.Bytes(), &told), &p.err)
	return told, exit
}

func TestStatusTellsWhoServesAndWhatGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, with(strings.Replace(often, "@every 1s", "@every 8760h", 1), "lease: 1m", "timeout: 1m"))
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "drops"), 0o700))
	s.contacts(t, "drops/contacts.csv", contacts())
	reached, release := s.at(t, 60)
	serve := s.start(t, "serve")
	require.Eventually(t, func() bool {
		told, exit := s.status(t)
		return exit == exitDone && len(told.Serving) == 1
	}, time.Minute, 100*time.Millisecond)
	require.Zero(t, s.start(t, "run", "acme", "--detach").ends(t))
	<-reached
	var told report.Status
	require.Eventually(t, func() bool {
		told, _ = s.status(t)
		return len(told.Going) > 0 && told.Going[0].Settled > 0
	}, time.Minute, 100*time.Millisecond)
	require.Equal(t, report.Running, told.Feeds[0].State)
	require.Equal(t, told.Feeds[0].Run, told.Going[0].Run)
	require.Equal(t, contactRows, told.Going[0].Rows)
	require.Less(t, told.Going[0].Settled, contactRows)
	release()
	require.Eventually(t, func() bool {
		told, _ = s.status(t)
		return len(told.Going) == 0 && told.Feeds[0].State == report.Idle // the run ends before its slot does
	}, time.Minute, 100*time.Millisecond)
	require.Equal(t, "done", told.Feeds[0].LastRun.State)

	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	require.Zero(t, serve.ends(t), &serve.err)
	told, exit := s.status(t)
	require.Equal(t, exitPerson, exit)
	require.Empty(t, told.Serving)
	require.False(t, told.ServedUntil.IsZero())
}
