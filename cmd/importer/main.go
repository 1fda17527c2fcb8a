// Command importer loads contact files into a VICIdial dialer and can prove
// afterwards what became of every row.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // machines without zone files have schedules too

	"importer/internal/config"
	"importer/internal/localpg"
)

// The exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2 // the command line or the configuration is wrong
	exitPerson      = 3 // done, but a person is needed
	exitInterrupted = 130
)

// collectAt is how much the heap may grow, in percent, until its garbage is
// collected. What lives is a few megabytes; at Go's own 100 the collector took
// a third of the importer's processor time (docs/performance.md).
const collectAt = 400

func main() {
	// net/http prints what a server sends unasked through this logger, and it
	// may hold a phone number.
	log.SetOutput(io.Discard)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if len(os.Args) > 1 && os.Args[1] == superviseCommand {
		os.Exit(localpg.Supervise(os.Args[2:]))
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run turns arguments into one command and its error into an exit status. The
// first signal drains; the second ends the process at once.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	cmd := newRoot(in, out, errOut)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	status := exitStatus(ctx, err)
	var person *personError
	switch {
	case err == nil || errors.As(err, &person) && person.why == "":
	case status == exitInterrupted:
		fmt.Fprintln(errOut, "importer: interrupted; what was under way is settled, the same command goes on")
	default:
		fmt.Fprintln(errOut, "importer:", err)
	}
	return status
}

// usageError is a mistake in how the program was called or configured.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// personError ends a command that did all it could. why may be empty: the
// report has said it.
type personError struct{ why string }

func (e *personError) Error() string { return e.why }

func exitStatus(ctx context.Context, err error) int {
	var person *personError
	var usage usageError
	var problems *config.Problems
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.As(err, &problems):
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &person):
		return exitPerson
	default:
		return exitFailed
	}
}
