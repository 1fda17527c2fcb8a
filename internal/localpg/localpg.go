// Package localpg runs a private PostgreSQL for the importers of one state
// directory, from binaries found on the machine.
//
// The first importer's Start makes the data, and starts a supervisor process
// that owns the server; later importers share it. Each holds a shared lock
// for as long as it lives, and when the last one is gone, however it ended,
// the supervisor stops the server. The server listens on a unix socket in a
// folder that only its own user may enter, never on the network.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Who and what the ledger is in the private server.
const (
	dbUser = "importer"
	dbName = "importer"
)

// patience is how long a server may take to answer at all. One that answers
// that it is still recovering is waited for.
const patience = 60 * time.Second

// closePatience is how long the last importer waits for the server to stop;
// the supervisor goes on with it anyway.
const closePatience = 10 * time.Second

// Options say where the server lives and how to run it.
type Options struct {
	// StateDir is the importer's state directory; it is made (0700) if absent.
	// The data are in its folder postgres, which is a link into
	// /var/lib/importer where root started it and the user that PostgreSQL
	// runs as cannot reach the state directory.
	StateDir string
	// BinDir is the folder of initdb and postgres; empty: they are looked for.
	BinDir string
	// Command starts the supervisor: the absolute path of a program that calls
	// Supervise with the arguments that are appended here.
	Command []string
	// Say, if set, is told in one sentence, once per state directory, that the
	// data went elsewhere, and why.
	Say func(string)
}

// Server is one importer's hold on the private PostgreSQL.
type Server struct {
	place      place
	users      *os.File
	supervisor *exec.Cmd // nil when another importer started it
	close      sync.Once
}

// Start finds the state directory's server running, or starts it, and returns
// when its database answers. Any number of processes may call it at once. ctx
// bounds the start only. The error is one sentence that says what to do.
func Start(ctx context.Context, o Options) (*Server, error) {
	say := o.Say
	if say == nil {
		say = func(string) {}
	}
	p, err := findPlace(o.StateDir, say)
	if err != nil {
		return nil, err
	}
	starting, err := p.waitLock(ctx, startLock, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer starting.Close() // closing is unlocking, and nothing was written
	// A supervisor that is just stopping its server holds this one alone.
	users, err := p.waitLock(ctx, usersLock, syscall.LOCK_SH)
	if err != nil {
		return nil, err
	}
	s := &Server{place: p, users: users}
	if err := s.bringUp(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// DSN connects pgx to the ledger's database. It stays the same for as long as
// the state directory stays where it is.
func (s *Server) DSN() string { return s.dsn(dbName) }

// Dir is the folder that holds all of the server's files. After the last Close
// it may be removed, and the ledger with it.
func (s *Server) Dir() string { return s.place.home }

// Close gives up this importer's hold. The last one to do so waits, ten
// seconds at most, until the server has stopped.
func (s *Server) Close() error {
	var err error
	s.close.Do(func() {
		if err = s.users.Close(); err == nil {
			err = s.awaitStop()
		}
	})
	return err
}

// awaitStop returns when the supervisor is gone, or when somebody else uses
// the server.
func (s *Server) awaitStop() error {
	for deadline := time.Now().Add(closePatience); time.Now().Before(deadline); time.Sleep(pollEvery) { //nolint:forbidigo // a lock can only be asked again
		gone, err := s.place.tryLock(supervisorLock, syscall.LOCK_EX)
		if err != nil {
			return err
		}
		if gone != nil {
			err := gone.Close()
			if s.supervisor != nil {
				_ = s.supervisor.Wait() // reaped; its status says nothing to us
			}
			return err
		}
		if used, err := s.place.inUse(); used || err != nil {
			return err
		}
	}
	return nil
}

// inUse says whether importers hold the server: then a shared lock is to be
// had and an exclusive one is not. A supervisor that stops forbids both.
func (p place) inUse() (bool, error) {
	for _, probe := range []struct {
		how  int
		used bool
	}{{syscall.LOCK_EX, false}, {syscall.LOCK_SH, true}} {
		lock, err := p.tryLock(usersLock, probe.how)
		if err != nil {
			return false, err
		}
		if lock != nil {
			return probe.used, lock.Close()
		}
	}
	return false, nil
}

// bringUp starts a supervisor if none is there, and waits for the database.
func (s *Server) bringUp(ctx context.Context, o Options) error {
	for deadline := time.Now().Add(patience); ; {
		lock, err := s.place.tryLock(supervisorLock, syscall.LOCK_EX)
		if err != nil {
			return err
		}
		switch {
		case lock != nil && s.supervisor != nil:
			return errors.Join(s.failure("ended as soon as it was started", nil), lock.Close())
		case lock != nil:
			if err := errors.Join(s.launch(ctx, o, lock), lock.Close()); err != nil {
				return err
			}
			deadline = time.Now().Add(patience)
		}

		err = s.greet(ctx)
		if err == nil {
			return nil
		}
		if state(err) == "57P03" { // cannot_connect_now: it is starting or recovering
			deadline = time.Now().Add(patience)
		}
		if time.Now().After(deadline) {
			return s.failure(fmt.Sprintf("did not answer within %v", patience), err)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return s.failure("was not ready when the start was given up", err)
		}
	}
}

// launch makes what is missing and starts a supervisor, which inherits lock.
func (s *Server) launch(ctx context.Context, o Options, lock *os.File) error {
	p := s.place
	major, err := p.major()
	if err != nil {
		return err
	}
	binDir, err := findBinaries(ctx, o.BinDir, major, p.account)
	if err != nil {
		return err
	}
	data, err := p.takeData(ctx)
	if err != nil {
		return err
	}
	if major == 0 {
		err = p.initialise(ctx, binDir, data)
	}
	if err := errors.Join(err, data.Close()); err != nil {
		return err
	}

	log, err := os.OpenFile(p.path(logFile), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("the private PostgreSQL's log cannot be opened: %w", err)
	}
	defer log.Close() // the supervisor has its own
	if err := p.account.give(p.home, log); err != nil {
		return err
	}
	args := append(append([]string{}, o.Command[1:]...), superviseArgs(p, binDir)...)
	cmd := exec.Command(o.Command[0], args...) //nolint:noctx // it outlives this call, and this process
	cmd.Dir = p.home
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lock}
	// A session of its own: Ctrl-C in the terminal is for the importer, which
	// needs its ledger to drain.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the supervisor of the private PostgreSQL cannot be started: %w", err)
	}
	s.supervisor = cmd
	return nil
}

// greet connects to the ledger's database once, making it if need be.
func (s *Server) greet(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DSN())
	if err == nil {
		return conn.Close(ctx)
	}
	if state(err) != "3D000" { // invalid_catalog_name: no such database
		return err
	}
	if conn, err = pgx.Connect(ctx, s.dsn("postgres")); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+dbName)
	if state(err) == "42P04" { // duplicate_database: killed after making it
		err = nil
	}
	return errors.Join(err, conn.Close(ctx))
}

func (s *Server) dsn(database string) string {
	q := url.Values{
		"host": {s.place.socket}, "port": {"5432"}, "user": {dbUser},
		"sslmode": {"disable"}, "connect_timeout": {"5"},
	}
	return "postgres:///" + database + "?" + q.Encode()
}

// failure says what became of the server, with the word of its own log, which
// holds no people's data.
func (s *Server) failure(what string, cause error) error {
	file := filepath.Join(s.place.home, logFile)
	log, err := os.ReadFile(file)
	if err = errors.Join(cause, err); err != nil {
		return fmt.Errorf("the private PostgreSQL %s (its log %s ends: %s): %w", what, file, telling(log), err)
	}
	return fmt.Errorf("the private PostgreSQL %s (its log %s ends: %s)", what, file, telling(log))
}

// state is the SQLSTATE of a server's error, empty for any other.
func state(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
