package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Everything about who may start, use and stop the server is said with flock:
// the kernel gives a lock up when the last process that holds it is gone,
// however it went.
const (
	// startLock: one Start at a time, from looking for a server to being
	// connected to it.
	startLock = "start.lock"
	// usersLock: shared by every importer; the supervisor that gets it alone
	// knows that nobody uses the server, and keeps it until the server is down.
	usersLock = "users.lock"
	// supervisorLock: held for the life of a supervisor. The starter takes it
	// and the supervisor inherits it, so that there is never a moment in
	// which a second one could begin.
	supervisorLock = "supervisor.lock"
	// serverLock: inherited by every process that touches the data, initdb's
	// and PostgreSQL's. Who gets it knows that all of them are gone.
	serverLock = "server.lock"
)

// pollEvery is the pause between two looks at a lock or a socket: flock has no
// deadline of its own.
const pollEvery = 10 * time.Millisecond

// tryLock takes the lock, or returns nil when somebody else's forbids it.
func (p place) tryLock(name string, how int) (*os.File, error) {
	f, err := p.openLock(name)
	if err != nil {
		return nil, err
	}
	if err := flock(f, how|syscall.LOCK_NB); err != nil {
		closeErr := f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, closeErr
		}
		return nil, err
	}
	return f, nil
}

// waitLock takes the lock, waiting for it as long as ctx lives.
func (p place) waitLock(ctx context.Context, name string, how int) (*os.File, error) {
	for {
		f, err := p.tryLock(name, how)
		if f != nil || err != nil {
			return f, err
		}
		if err := pause(ctx, pollEvery); err != nil {
			return nil, fmt.Errorf("gave up waiting for another importer that starts or stops the private PostgreSQL in %s: %w", p.home, err)
		}
	}
}

// openLock does not follow a symbolic link: root may be working in a folder
// that is somebody else's.
func (p place) openLock(name string) (*os.File, error) {
	f, err := os.OpenFile(p.path(name), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the private PostgreSQL in %s belongs to another user: run the importer as that user or as root: %w", p.home, err)
	case err != nil:
		return nil, fmt.Errorf("the private PostgreSQL's lock cannot be opened: %w", err)
	}
	// A lock that root made must open for the folder's owner too.
	if err := p.account.give(p.home, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("%s cannot be locked: %w", f.Name(), err)
		}
	}
}

// pause waits for d, or less when ctx ends, and then says why it ended.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
