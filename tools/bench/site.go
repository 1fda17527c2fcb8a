package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
	"importer/internal/localpg"
)

// latency is how long the simulated dialer takes for a call.
const latency = 20 * time.Millisecond

// config is the importer's configuration; what the parts change is left out.
const config = `state_dir: ./state
ledger: {hmac_key: %s}
dialers:
  main: {url: %s, user: importer, password: %s, concurrency: %d}
feeds:
  acme: {dialer: main, list_id: 101}
`

// site is a place at which importers are measured: a folder with their
// configuration and ledger, and a simulated dialer.
type site struct {
	options

	dir      string
	importer string // the program
	secret   string
	password string
	server   *localpg.Server
	postgres int // its process

	dialer    *exec.Cmd
	dialerURL string
}

func newSite(ctx context.Context, o options) (*site, error) {
	dir, err := os.MkdirTemp("", "importer-bench-")
	if err != nil {
		return nil, err
	}
	s := &site{options: o, dir: dir, secret: rand.Text() + rand.Text(), password: rand.Text()}
	if err := s.setUp(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *site) setUp(ctx context.Context) error {
	// PostgreSQL runs as an ordinary user even where root measures, and must be
	// able to reach its data.
	if err := os.Chmod(s.dir, 0o711); err != nil { //nolint:gosec // passing through shows nothing
		return err
	}
	s.importer = filepath.Join(s.dir, "importer")
	build := exec.CommandContext(ctx, "go", "build", "-o", s.importer, "./cmd/importer")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the importer, from the top of the checkout: %w", err)
	}
	state := filepath.Join(s.dir, "state")
	if err := os.Mkdir(state, 0o711); err != nil { //nolint:gosec // as above
		return err
	}
	var err error
	s.server, err = localpg.Start(ctx, localpg.Options{StateDir: state, Command: []string{s.importer, "supervise-postgres"}})
	if err != nil {
		return err
	}
	if s.postgres, err = postmaster(ctx, s.server.DSN()); err != nil {
		return err
	}
	return s.startDialer()
}

// postmaster asks a PostgreSQL for the process whose children do its work.
func postmaster(ctx context.Context, dsn string) (pid int, err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was left to be written
	err = conn.QueryRow(ctx, `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int`).Scan(&pid)
	return pid, err
}

func (s *site) keys() importer.Keyring { return importer.NewKeyring([]byte(s.secret)) }

func (s *site) startDialer() error {
	s.dialer = exec.Command(s.importer, "simulate", "--listen", "127.0.0.1:0", "--latency", latency.String(), "--password", s.password) //nolint:noctx // close stops it
	s.dialer.Stderr = os.Stderr
	out, err := s.dialer.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.dialer.Start(); err != nil {
		return fmt.Errorf("starting the simulated dialer: %w", err)
	}
	hello, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the simulated dialer does not say where it is: %w", err)
	}
	_, rest, _ := strings.Cut(hello, " at ")
	s.dialerURL, _, _ = strings.Cut(rest, ",")
	return nil
}

func (s *site) close() error {
	var errs []error
	if s.dialer != nil && s.dialer.Process != nil {
		errs = append(errs, s.dialer.Process.Kill())
		_ = s.dialer.Wait() // killed
	}
	if s.server != nil {
		errs = append(errs, s.server.Close(), os.RemoveAll(s.server.Dir()))
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// measured is what a piece of work took.
type measured struct {
	what   string
	rows   int
	wall   time.Duration // from the process's start to its end
	own    time.Duration // of the processors, for the importer
	ledger time.Duration // and for PostgreSQL
	dialer time.Duration // and for the simulated dialer, which is not ours to pay
	memory int           // the importer's most, in bytes
	result struct {
		Outcomes map[string]int
		Calls    int
	}
}

func (m measured) rate() float64 { return float64(m.rows) / m.wall.Seconds() }

// perRow is a cost in microseconds.
func (m measured) perRow(cost time.Duration) float64 {
	return float64(cost.Microseconds()) / float64(m.rows)
}

// importFile runs an importer on a file.
func (s *site) importFile(ctx context.Context, file string, rows, concurrency int) (m measured, err error) {
	text := fmt.Sprintf(config, s.secret, s.dialerURL, s.password, concurrency)
	if err := os.WriteFile(filepath.Join(s.dir, "importer.yaml"), []byte(text), 0o600); err != nil {
		return m, err
	}
	cmd := exec.CommandContext(ctx, s.importer, "import", file, "--feed", "acme", "--json")
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &out, os.Stderr
	ledger, err := spentByAll(s.postgres)
	if err != nil {
		return m, err
	}
	dialer, err := spent(s.dialer.Process.Pid)
	if err != nil {
		return m, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return m, err
	}
	peak := watchMemory(cmd.Process.Pid)
	err = cmd.Wait()
	m.rows, m.wall, m.memory = rows, time.Since(began), peak()
	if err != nil {
		return m, fmt.Errorf("the import failed: %w", err)
	}
	m.own = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if m.ledger, err = spentByAll(s.postgres); err != nil {
		return m, err
	}
	if m.dialer, err = spent(s.dialer.Process.Pid); err != nil {
		return m, err
	}
	m.ledger, m.dialer = m.ledger-ledger, m.dialer-dialer
	return m, json.Unmarshal(out.Bytes(), &m.result)
}

// watchMemory looks at a process's memory until it is asked for the most that
// it has seen.
func watchMemory(pid int) (peak func() int) {
	stop, seen := make(chan struct{}), make(chan int)
	go func() {
		most := 0
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, memory(pid, "VmHWM:"))
			select {
			case <-tick.C:
			case <-stop:
				seen <- most
				return
			}
		}
	}()
	return func() int { close(stop); return <-seen }
}
