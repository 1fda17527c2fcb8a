package localpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How long processes may take to leave the data.
const (
	// fastStop: PostgreSQL writes what is in memory to its files, then ends.
	fastStop = 30 * time.Second
	// quickStop: it drops everything; the log is replayed at the next start.
	quickStop = 15 * time.Second
)

// settings are given on the command line, so that they hold for every data
// directory and cannot be edited away.
var settings = []string{
	// Only through the socket.
	"listen_addresses=",
	"port=5432",
	"unix_socket_permissions=0700",
	"max_connections=200",
	// Durable, and sized for bulk writes.
	"fsync=on",
	"full_page_writes=on",
	"shared_buffers=256MB",
	"max_wal_size=2GB",
	"checkpoint_timeout=15min",
	"jit=off",
	"TimeZone=UTC",
	// No people's data in the log: no statements, no parameters, no DETAIL;
	// and since an error's own words can quote a value, no errors below FATAL.
	"logging_collector=off",
	"log_destination=stderr",
	"log_min_messages=log",
	"log_min_error_statement=panic",
	"log_error_verbosity=terse",
	"log_statement=none",
	"log_duration=off",
	"log_min_duration_statement=-1",
	"log_min_duration_sample=-1",
	"log_transaction_sample_rate=0",
	"log_parameter_max_length=0",
	"log_parameter_max_length_on_error=0",
	"log_connections=off",
	"log_disconnections=off",
	"log_lock_waits=off",
	"log_temp_files=-1",
	"log_checkpoints=off",
	"log_autovacuum_min_duration=-1",
	"log_timezone=UTC",
}

// environment is all that PostgreSQL gets of ours: it may run as another user,
// who must not find the importer's secrets in it.
func environment() []string {
	env := []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// major is the version that made the data, 0 when there are none yet.
func (p place) major() (int, error) {
	file := p.path(filepath.Join(dataDir, "PG_VERSION"))
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(p.path(dataDir)); err == nil {
			return 0, fmt.Errorf("%s is there but no PostgreSQL data directory: move it away, or restore it", p.path(dataDir))
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("the ledger's version cannot be read: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("%s does not hold a version: %w", file, err)
	}
	return major, nil
}

// initialise makes the data directory. It appears whole or not at all: a
// folder that a killed initdb left is removed here. The caller holds the
// server's lock, which initdb inherits.
func (p place) initialise(ctx context.Context, binDir string, lock *os.File) error {
	left, err := filepath.Glob(filepath.Join(globEscape(p.home), initDir+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("the remains of an unfinished start cannot be removed: %w", err)
		}
	}
	tmp, err := os.MkdirTemp(p.home, initDir)
	if err != nil {
		return fmt.Errorf("the ledger's folder cannot be made: %w", err)
	}
	if err := p.account.own(tmp); err != nil {
		return err
	}

	// Trust is for whoever can enter the socket's folder.
	cmd := exec.CommandContext(ctx, filepath.Join(binDir, "initdb"), "--pgdata="+tmp,
		"--username="+dbUser, "--encoding=UTF8", "--locale=C", "--data-checksums",
		"--auth-local=trust", "--auth-host=reject")
	cmd.Dir = tmp
	cmd.Env = environment()
	cmd.SysProcAttr = p.account.attr()
	dieWithParent(cmd.SysProcAttr, syscall.SIGKILL)
	cmd.ExtraFiles = []*os.File{lock}
	cmd.WaitDelay = quickStop
	runtime.LockOSThread()
	out, err := cmd.CombinedOutput()
	runtime.UnlockOSThread()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return errors.Join(fmt.Errorf("initdb could not make the ledger in %s: %w: %s", p.home, err, telling(out)), os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, p.path(dataDir)); err != nil {
		return err
	}
	return syncDir(p.home)
}

// takeData waits until no process is left in the data, tells a PostgreSQL
// whose supervisor died to end, removes what such a one left behind, and
// returns the lock that says so.
func (p place) takeData(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, fastStop+quickStop)
	defer cancel()
	begun := time.Now()
	for sig := syscall.SIGINT; ; {
		lock, err := p.tryLock(serverLock, syscall.LOCK_EX)
		if err != nil {
			return nil, err
		}
		if lock != nil {
			if err := p.removeStale(); err != nil {
				return nil, errors.Join(err, lock.Close())
			}
			return lock, nil
		}
		pid, err := p.postmaster()
		if err != nil {
			return nil, err
		}
		if pid != 0 && sig != 0 {
			if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				return nil, fmt.Errorf("the PostgreSQL (process %d) that a killed importer left in %s cannot be stopped: %w", pid, p.home, err)
			}
			sig = 0
		}
		if sig == 0 && time.Since(begun) > fastStop {
			begun, sig = time.Now(), syscall.SIGQUIT
		}
		if err := pause(ctx, pollEvery); err != nil {
			return nil, fmt.Errorf("processes of an earlier PostgreSQL are still at work in %s: %w", p.home, err)
		}
	}
}

// postmaster is the process that runs the server on these data, 0 when none
// does: the number that was written down may be another process's by now.
func (p place) postmaster() (int, error) {
	b, err := os.ReadFile(p.path(filepath.Join(dataDir, "postmaster.pid")))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("the private PostgreSQL's process cannot be read: %w", err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || !strings.Contains(commandLine(pid), p.path(dataDir)) {
		return 0, nil //nolint:nilerr // what is no process number names no process
	}
	return pid, nil
}

// removeStale removes the process numbers that a killed server left:
// PostgreSQL would refuse to start if another process of the same user had
// got one of them since. One that still runs here, started by hand, keeps its
// files, and PostgreSQL then refuses to be the second.
func (p place) removeStale() error {
	pid, err := p.postmaster()
	if pid != 0 || err != nil {
		return err
	}
	for _, file := range []string{p.path(filepath.Join(dataDir, "postmaster.pid")), filepath.Join(p.socket, socketName), filepath.Join(p.socket, socketName+".lock")} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("what a killed PostgreSQL left cannot be removed: %w", err)
		}
	}
	return nil
}

// server is the command that runs PostgreSQL in the foreground.
func (p place) server(binDir string, lock *os.File) *exec.Cmd {
	args := []string{"-D", p.path(dataDir), "-c", "unix_socket_directories=" + p.socket}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	cmd := exec.Command(filepath.Join(binDir, "postgres"), args...) //nolint:noctx // it is stopped by signals, gently first
	cmd.Dir = p.path(dataDir)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = p.account.attr()
	dieWithParent(cmd.SysProcAttr, syscall.SIGQUIT)
	cmd.ExtraFiles = []*os.File{lock}
	return cmd
}

// telling is the line of a log that says what went wrong: the last one with
// FATAL or error in it, else the last.
func telling(log []byte) string {
	last, telling := "nothing was said", ""
	for line := range bytes.Lines(log) {
		text := strings.TrimSpace(string(line))
		if text == "" {
			continue
		}
		last = text
		if strings.Contains(text, "FATAL:") || strings.Contains(text, "PANIC:") || strings.Contains(text, "error:") {
			telling = text
		}
	}
	if telling == "" {
		return last
	}
	return telling
}

// globEscape makes a path stand for itself in a pattern.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
