package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// restartPause keeps a server that dies again and again from taking a core.
const restartPause = 200 * time.Millisecond

// inherited is the descriptor of the supervisor's lock.
const inherited = 3

// Supervise is the body of the hidden command that Options.Command names: it
// runs PostgreSQL as long as an importer holds its shared lock, starting it
// again if it is killed, then stops it. Start gives it its arguments and its
// lock; called by hand it only complains. It returns the exit status, and
// what went wrong goes to standard error, which Start makes the log.
func Supervise(args []string) int {
	if err := supervise(args); err != nil {
		fmt.Fprintf(os.Stderr, "supervisor: %v\n", err)
		return 1
	}
	return 0
}

// superviseArgs are Supervise's arguments: paths and numbers, no secrets.
func superviseArgs(p place, binDir string) []string {
	return []string{binDir, p.home, p.socket, strconv.FormatUint(uint64(p.account.uid), 10), strconv.FormatUint(uint64(p.account.gid), 10)}
}

func supervise(args []string) error {
	if len(args) != 5 {
		return errors.New("this command is the importer's own: it is started with the private PostgreSQL")
	}
	acct, err := parseAccount(args[3], args[4])
	if err != nil {
		return err
	}
	binDir, p := args[0], place{home: args[1], socket: args[2], account: acct}
	if err := keepLock(p); err != nil {
		return err
	}

	// PostgreSQL is told to end when this thread does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A service manager that ends the importer signals everything it started,
	// us too; but an importer that drains needs its ledger to the end.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)

	users, err := p.openLock(usersLock)
	if err != nil {
		return err
	}
	defer users.Close() // after the server is down: until then no importer may begin
	unused := make(chan error, 1)
	go func() { unused <- flock(users, syscall.LOCK_EX) }()

	for {
		cmd, exited, err := startServer(p, binDir)
		if err != nil {
			return err
		}
		select {
		case err := <-unused:
			return errors.Join(err, stopServer(cmd, exited))
		case err := <-exited:
			// PostgreSQL gives up with a status; one that was told to end, or
			// was killed, is still needed.
			if cmd.ProcessState.ExitCode() > 0 {
				return fmt.Errorf("PostgreSQL gave up: %w", err)
			}
		}
		select {
		case err := <-unused:
			return err
		case <-time.After(restartPause):
		}
	}
}

// keepLock checks that the supervisor's lock was handed over, and keeps it out
// of PostgreSQL's hands.
func keepLock(p place) error {
	var got, want syscall.Stat_t
	if err := errors.Join(syscall.Fstat(inherited, &got), syscall.Stat(p.path(supervisorLock), &want)); err != nil {
		return fmt.Errorf("the supervisor's lock was not handed over: %w", err)
	}
	if got.Dev != want.Dev || got.Ino != want.Ino {
		return errors.New("the supervisor's lock was not handed over")
	}
	syscall.CloseOnExec(inherited)
	return nil
}

func startServer(p place, binDir string) (*exec.Cmd, <-chan error, error) {
	lock, err := p.takeData(context.Background())
	if err != nil {
		return nil, nil, err
	}
	cmd := p.server(binDir, lock)
	if err := errors.Join(cmd.Start(), lock.Close()); err != nil {
		return nil, nil, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	return cmd, exited, nil
}

// stopServer asks for a fast shutdown, then for an immediate one, then ends
// it. The log makes the data whole again after each.
func stopServer(cmd *exec.Cmd, exited <-chan error) error {
	for _, step := range []struct {
		sig  os.Signal
		wait time.Duration
	}{{syscall.SIGINT, fastStop}, {syscall.SIGQUIT, quickStop}} {
		if err := cmd.Process.Signal(step.sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case err := <-exited:
			return err
		case <-time.After(step.wait):
		}
	}
	return errors.Join(cmd.Process.Kill(), <-exited)
}
