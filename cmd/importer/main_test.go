package main

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"importer/internal/daemon"
	"importer/internal/ledger/ledgertest"
	"importer/internal/localpg"
)

// TestMain makes the test binary three programs: the tests, the command
// importer that scripts and tests start, and the supervisor of a PostgreSQL,
// as which each of the two starts itself again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == superviseCommand {
		os.Exit(localpg.Supervise(os.Args[2:]))
	}
	testscript.Main(withPostgres{m}, map[string]func(){"importer": main})
}

// withPostgres runs the tests with a PostgreSQL that they share.
type withPostgres struct{ m *testing.M }

func (w withPostgres) Run() int {
	// These tests wait for processes more than they compute.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	ledgertest.Prepare("the job engine's tables", daemon.Migrate)
	code := ledgertest.Main(w.m)
	if err := removeCrashable(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
