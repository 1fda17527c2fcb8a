package localpg_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"importer/internal/localpg"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// The test binary is also the supervisor and, to be killed, an importer.
const (
	superviseCommand = "supervise-postgres"
	importerCommand  = "import"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case superviseCommand:
			os.Exit(localpg.Supervise(os.Args[2:]))
		case importerCommand:
			os.Exit(importer(os.Args[2]))
		}
	}
	os.Exit(m.Run())
}

// hello is what the importer process says when it has started or failed.
type hello struct{ DSN, Dir, Said, Err string }

// importer starts the server, says hello, and closes when its input ends.
func importer(stateDir string) int {
	var h hello
	o, err := options(stateDir, func(s string) { h.Said += s })
	if err == nil {
		var s *localpg.Server
		if s, err = localpg.Start(context.Background(), o); err == nil {
			defer s.Close()
			h.DSN, h.Dir = s.DSN(), s.Dir()
		}
	}
	if err != nil {
		h.Err = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(h); err != nil {
		return 1
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return 1
	}
	return 0
}

func options(stateDir string, say func(string)) (localpg.Options, error) {
	self, err := os.Executable()
	return localpg.Options{StateDir: stateDir, Command: []string{self, superviseCommand}, Say: say}, err
}

// process is an importer that can be killed.
type process struct {
	hello
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
}

// begin starts an importer process and does not wait for its hello.
func begin(t *testing.T, attr *syscall.SysProcAttr, program, stateDir string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, importerCommand, stateDir)}
	p.cmd.SysProcAttr = attr
	p.cmd.Dir = "/"
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.stdin, p.out = in, bufio.NewReader(out)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// hear waits for the process's hello.
func (p *process) hear(t *testing.T) *process {
	t.Helper()
	line, err := p.out.ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &p.hello))
	return p
}

// kill is SIGKILL; it also proves that nothing else holds the output open.
func (p *process) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	_, err := io.Copy(io.Discard, p.out)
	require.NoError(t, err)
	require.Error(t, p.cmd.Wait())
}

// end lets the process close its server and exit.
func (p *process) end(t *testing.T) {
	t.Helper()
	require.NoError(t, p.stdin.Close())
	_, err := io.Copy(io.Discard, p.out)
	require.NoError(t, err)
	require.NoError(t, p.cmd.Wait())
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

// newStateDir is a state directory that every user can reach, and whose server
// must be gone when the test is over.
func newStateDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	t.Cleanup(func() { requireStopped(t, filepath.Join(dir, "postgres")) })
	return dir
}

// start starts a server in this process; it is closed with the test.
func start(t *testing.T, stateDir string) *localpg.Server {
	t.Helper()
	o, err := options(stateDir, nil)
	require.NoError(t, err)
	s, err := localpg.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// startError is the error of a Start that must fail.
func startError(t *testing.T, stateDir string) error {
	t.Helper()
	o, err := options(stateDir, nil)
	require.NoError(t, err)
	_, err = localpg.Start(t.Context(), o)
	require.Error(t, err)
	return err
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // some lose their server
	return conn
}

// ask runs a query for one text.
func ask(t *testing.T, conn *pgx.Conn, query string) string {
	t.Helper()
	var answer string
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&answer))
	return answer
}

// eventually polls, for things that other processes do.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "still not: %s", what)
	}
}

// requireStopped waits until neither a supervisor nor any process of a
// PostgreSQL is left in home: each of them holds a lock as long as it lives.
func requireStopped(t *testing.T, home string) {
	t.Helper()
	requireFree(t, home, "supervisor.lock")
	requireFree(t, home, "server.lock")
	require.NoFileExists(t, filepath.Join(home, "data", "postmaster.pid"))
}

// requireFree waits until nobody holds the lock.
func requireFree(t *testing.T, home, name string) {
	t.Helper()
	f, err := os.Open(filepath.Join(home, name))
	if os.IsNotExist(err) {
		return // nothing was ever started
	}
	require.NoError(t, err)
	eventually(t, name+" is free", func() bool {
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
	})
	require.NoError(t, f.Close())
}

// postmaster is the server's process number, supervisor that of its parent.
func postmaster(t *testing.T, home string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(home, "data", "postmaster.pid"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.SplitN(string(b), "\n", 2)[0])
	require.NoError(t, err)
	return pid
}

func supervisor(t *testing.T, home string) int {
	t.Helper()
	out, err := exec.Command("ps", "-o", "ppid=", "-p", fmt.Sprint(postmaster(t, home))).Output()
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	require.NoError(t, err)
	require.Greater(t, pid, 1)
	return pid
}
