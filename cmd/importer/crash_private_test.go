package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/crashpoint"
	"importer/internal/localpg"
)

// The private PostgreSQL is killed with its importer, without a moment to
// write what it has in memory: while it is being made, and at work.
func TestKilledWithItsPostgreSQL(t *testing.T) {
	t.Parallel()
	s := newCrashSite(t)
	s.write(t, "importer.yaml", privately(hasty))
	s.letPostgresPass(t)
	s.losesTwo()

	s.killFamily(t, s.makesItsPostgreSQL(t))
	for _, point := range []crashpoint.Point{crashpoint.Recorded, crashpoint.Answered, crashpoint.Settled} {
		p := s.startTo(t, point, "import", "contacts.csv", "again.csv", "--feed", "acme")
		require.True(t, p.stops(t), "nobody reaches %s: %s", point, &p.err)
		require.True(t, s.works(p, "postgres -D"))
		s.killFamily(t, p)
	}
	s.finish(t)

	self, err := os.Executable()
	require.NoError(t, err)
	server, err := localpg.Start(t.Context(), localpg.Options{StateDir: filepath.Join(s.dir, "state"), Command: []string{self, superviseCommand}})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	s.ledger = server.DSN()
	s.requireOracle(t)
}

// makesItsPostgreSQL starts an importer and returns it while initdb is at work. One
// that was not looked at in time begins anew.
func (s *site) makesItsPostgreSQL(t *testing.T) *process {
	t.Helper()
	for {
		p := s.start(t, "import", "contacts.csv", "--feed", "acme")
		made := false
		waitFor(t, func() bool {
			made = s.works(p, "postgres -D")
			return made || s.works(p, "initdb")
		})
		if !made {
			return p
		}
		s.killFamily(t, p)
		require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "state")))
	}
}

// family is an importer with all that it has started.
func (s *site) family(p *process) []running {
	list := processes()
	s.lookAt(list)
	return below(list, func(r running) bool { return r.pid == p.Process.Pid })
}

// works tells whether an importer has started a program that is at work now.
func (s *site) works(p *process, program string) bool {
	return slices.ContainsFunc(s.family(p), func(r running) bool { return strings.Contains(r.arguments, program) })
}

func (s *site) killFamily(t *testing.T, p *process) {
	t.Helper()
	for _, r := range s.family(p) {
		if err := syscall.Kill(r.pid, syscall.SIGKILL); err != nil {
			require.ErrorIs(t, err, syscall.ESRCH) // it went with the others
		}
	}
	require.Equal(t, -1, p.ends(t))
}
