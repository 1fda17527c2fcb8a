package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// often is a feed whose slots come every second.
const often = "serve: {listen: \"\"}\n" + hasty + `    schedule: "@every 1s"
    source:
      directory: {path: ./drops, pattern: "*.csv"}
      min_age: 0
      settle: 0
      after: archive
`

// Three replicas share a feed: each slot has one run, and each lead is loaded
// once. The one that carries the run is killed, and another brings it to its end.
func TestReplicasShareTheSlots(t *testing.T) {
	t.Parallel()
	s := newSite(t, with(often, "timeout: 10s", "quiescence: 10s"))
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "drops"), 0o700))
	reached, release := s.at(t, 60)
	replicas := []*process{s.start(t, "serve"), s.start(t, "serve"), s.start(t, "serve")}
	s.contacts(t, "drops/contacts.csv", contacts())
	<-reached
	for _, p := range replicas[:2] {
		p.kill()
	}
	release()
	for _, p := range replicas[:2] {
		require.Equal(t, -1, p.ends(t), &p.err)
	}
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(s.dir, "drops", "imported", "contacts.csv"))
		return err == nil
	}, 4*time.Minute, 100*time.Millisecond)
	last := replicas[2]
	require.NoError(t, last.Process.Signal(syscall.SIGTERM))
	require.Zero(t, last.ends(t), &last.err)
	s.requireEachLeadOnce(t, contactRows)
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	var slots, runs int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(run_id), count(DISTINCT run_id) FROM schedule_slots`).Scan(&slots, &runs))
	require.Positive(t, slots)
	require.Equal(t, slots, runs)
}
