package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/ledger/ledgertest"
	"importer/internal/nonagent/dialersim"
)

// impatient is a configuration whose waits are short enough for a test.
const impatient = `state_dir: ./state
ledger: {dsn: "${LEDGER}", lease: 1s}
dialers:
  main:
    url: ${DIALER_URL}
    user: importer
    password: ${DIALER_PASSWORD}
    concurrency: 4
    timeout: 3s
    send_within: 1s
    quiescence: 2s
feeds:
  acme: {dialer: main, list_id: 101}
`

// site is a place at which real importers work on a real ledger and a
// simulated dialer. None of them may show a password or who is in the files.
type site struct {
	dir     string
	dialer  *dialersim.Server
	more    []*dialersim.Server // beside it
	env     []string
	ledger  string
	program string         // what start starts
	files   map[string]int // the rows of each file
	limit   int            // the calls in flight that are promised
	key     string         // of the claims; empty: importers make it in ./state
	watch   watch
	adds    func(*dialersim.Request) dialersim.Fault // what firstCalls has said
}

func newSite(t *testing.T, config string) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), ledger: ledgertest.Database(t), program: "importer", files: map[string]int{}, limit: 4}
	s.beginWatch(t)
	d, err := dialersim.Start(dialersim.Options{Password: dialerPassword})
	require.NoError(t, err)
	s.dialer = d
	t.Cleanup(func() { require.NoError(t, s.dialer.Close()) })
	s.env = append(os.Environ(), "LEDGER="+s.ledger, "DIALER_URL="+d.URL(), "DIALER_PASSWORD="+dialerPassword, "TZ=UTC")
	s.write(t, "importer.yaml", config)
	return s
}

func (s *site) everyDialer() []*dialersim.Server {
	return append([]*dialersim.Server{s.dialer}, s.more...)
}

func (s *site) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
	if filepath.Ext(name) == ".csv" {
		rows := csv.NewReader(strings.NewReader(text))
		rows.FieldsPerRecord, rows.LazyQuotes = -1, true
		people, _ := rows.ReadAll() // as far as it can be read
		s.watch.people(people)
		s.files[name] = len(people) - 1
	}
}

func (s *site) contacts(t *testing.T, name string, rows [][]string) {
	t.Helper()
	making := filepath.Join(s.dir, filepath.Base(name)+".part") // nobody finds half of it
	require.NoError(t, writeContacts(making, rows))
	require.NoError(t, os.Rename(making, filepath.Join(s.dir, name)))
	s.watch.people(rows)
	s.files[name] = len(rows) - 1
}

// privately makes a configuration's importers run a PostgreSQL of their own.
func privately(config string) string { return strings.Replace(config, `dsn: "${LEDGER}", `, "", 1) }

// letPostgresPass lets the private PostgreSQL's user through to the site.
func (s *site) letPostgresPass(t *testing.T) {
	t.Helper()
	require.NoError(t, os.Chmod(filepath.Dir(s.dir), 0o711))
}

// process is an importer at work.
type process struct {
	*exec.Cmd
	out, err spoken
	reaped   bool // by stops, behind the Cmd's back
}

// spoken is what a process has written so far.
type spoken struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *spoken) Bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.text.Bytes())
}

func (s *spoken) String() string { return string(s.Bytes()) }

// start starts an importer, as the leader of a process group.
func (s *site) start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(s.program, args...)}
	p.Dir, p.Env, p.Stdout, p.Stderr = s.dir, s.env, &p.out, &p.err
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		if p.ProcessState == nil && !p.reaped {
			p.kill()
			_ = p.Wait()
		}
	})
	s.watch.process(p)
	return p
}

// kill kills the process group.
func (p *process) kill() { _ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL) }

// ends waits for an importer and returns its exit status, -1 when it was killed.
func (p *process) ends(t *testing.T) int {
	t.Helper()
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return p.ProcessState.ExitCode()
}

// result is the object that a run with --json ends with.
type result struct {
	Run                         int64
	Files, Rows, Pending, Calls int
	Known                       int `json:"files_already_imported"`
	Outcomes, Reasons           map[string]int
	Alarms                      []string
}

func (p *process) result(t *testing.T) result {
	t.Helper()
	var r result
	require.NoError(t, json.Unmarshal(p.out.Bytes(), &r), "%s%s", &p.out, &p.err)
	return r
}

// at tells when the dialer gets its nth add_lead, which waits with all later
// ones until release is called. That has to be within the configuration's
// quiescence, however crowded the machine is: after it importers rightly take
// such calls for ended and make others.
func (s *site) at(t *testing.T, nth int) (reached <-chan struct{}, release func()) {
	t.Helper()
	arrived, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		if r.Function == "add_lead" && r.Nth >= nth {
			once.Do(func() { close(arrived) })
			<-gate
		}
		return dialersim.Fault{}
	})
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	return arrived, release
}

func TestTwoImportersOnOneFileLoadEachLeadOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, with(impatient, "lease: 1m")) // neither dies, and neither is to be taken for dead
	s.contacts(t, "contacts.csv", contacts())
	one, two := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json"), s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
	require.Zero(t, one.ends(t), &one.err)
	require.Zero(t, two.ends(t), &two.err)

	a, b := one.result(t), two.result(t)
	require.Equal(t, contactRows, a.Calls+b.Calls)
	require.Equal(t, contactRows, a.Outcomes["SUCCESS"]+b.Outcomes["SUCCESS"])
	require.Equal(t, contactRows, a.Reasons["DUPLICATE already_imported"]+b.Reasons["DUPLICATE already_imported"])
	s.requireEachLeadOnce(t, contactRows)
}

func TestTwoImportersOnTwoFilesWithTheSamePeopleLoadEachLeadOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, with(impatient, "lease: 10s")) // neither takes the other for dead
	s.contacts(t, "contacts.csv", contacts())
	s.contacts(t, "reordered.csv", shuffled(contacts()))
	one, two := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json"), s.start(t, "import", "reordered.csv", "--feed", "acme", "--json")
	require.Zero(t, one.ends(t), &one.err)
	require.Zero(t, two.ends(t), &two.err)

	require.Equal(t, contactRows, one.result(t).Calls+two.result(t).Calls)
	require.Equal(t, map[string]int{"succeeded": contactRows, "duplicate": contactRows}, s.states(t))
	s.requireEachLeadOnce(t, contactRows)
}

func TestKilledImportGoesOnWithTheSameCommand(t *testing.T) {
	t.Parallel()
	s := newSite(t, impatient)
	s.contacts(t, "contacts.csv", contacts())
	const nth = 60
	reached, release := s.at(t, nth)
	first := s.start(t, "import", "contacts.csv", "--feed", "acme")
	<-reached
	require.NoError(t, first.Process.Kill())
	require.Equal(t, -1, first.ends(t))
	// What was on the wire is carried out after the importer is gone.
	release()
	require.GreaterOrEqual(t, s.dialer.Len(), nth-4, "the calls before the blocked ones were carried out")

	again := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
	require.Zero(t, again.ends(t), &again.err)
	r := again.result(t)
	require.Equal(t, contactRows, r.Outcomes["SUCCESS"], "%+v", r)
	require.Zero(t, r.Pending)
	require.Positive(t, r.Reasons["SUCCESS reconciled"], "the kill left no answer to be looked up")
	s.requireEachLeadOnce(t, contactRows)
}

func TestKilledImportSendsAgainWhatTheDialerNeverGot(t *testing.T) {
	t.Parallel()
	s := newSite(t, impatient)
	s.contacts(t, "contacts.csv", contacts())
	killed, reached := make(chan struct{}), make(chan struct{}, contactRows)
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		if r.Function != "add_lead" || r.Nth < 60 {
			return dialersim.Fault{}
		}
		reached <- struct{}{}
		<-killed
		return dialersim.Fault{Skip: true}
	})
	end := sync.OnceFunc(func() { close(killed) })
	t.Cleanup(end)
	first := s.start(t, "import", "contacts.csv", "--feed", "acme")
	<-reached
	require.NoError(t, first.Process.Kill())
	require.Equal(t, -1, first.ends(t))
	end()
	s.dialer.SetFault(nil)

	again := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
	require.Zero(t, again.ends(t), &again.err)
	require.Equal(t, contactRows, again.result(t).Outcomes["SUCCESS"])
	s.requireEachLeadOnce(t, contactRows)
}

func TestInterruptedImportDrainsAndGoesOn(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, with(impatient, "timeout: 1m"))
			s.contacts(t, "contacts.csv", contacts())
			reached, release := s.at(t, 60)
			first := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
			<-reached
			require.NoError(t, first.Process.Signal(sig))
			release()
			require.Equal(t, exitInterrupted, first.ends(t), &first.err)
			require.Equal(t, "importer: interrupted; what was under way is settled, the same command goes on\n", first.err.String())

			// Drained: what the dialer has is settled, the rest was never sent.
			r := first.result(t)
			require.Equal(t, s.dialer.Len(), r.Outcomes["SUCCESS"])
			require.Equal(t, contactRows-s.dialer.Len(), r.Pending)
			require.Equal(t, map[string]int{"succeeded": s.dialer.Len(), "pending": r.Pending}, s.states(t))

			again := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
			require.Zero(t, again.ends(t), &again.err)
			require.Equal(t, map[string]int{"SUCCESS added": contactRows}, again.result(t).Reasons)
			require.Equal(t, contactRows, s.dialer.Calls("add_lead"))
			s.requireEachLeadOnce(t, contactRows)
		})
	}
}

func TestRehearsalWithTheSimulatedDialer(t *testing.T) {
	t.Parallel()
	s := newSite(t, impatient)
	s.contacts(t, "contacts.csv", contacts())
	simulated := exec.Command("importer", "simulate", "--listen", "127.0.0.1:0", "--password", dialerPassword,
		"--fault", "warnings add_lead every=2", "--fault", "slow add_lead p=0.1 value=1ms", "--seed", "7")
	out, err := simulated.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, simulated.Start())
	t.Cleanup(func() {
		if simulated.ProcessState == nil {
			_ = simulated.Process.Kill()
			_ = simulated.Wait()
		}
	})
	lines := bufio.NewReader(out)
	hello, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^Simulated dialer at http://127\.0\.0\.1:\d+/vicidial/non_agent_api\.php, user importer, lists 101 and 102\. Ctrl-C ends it\.\n$`, hello)

	address, _, _ := strings.Cut(strings.TrimPrefix(hello, "Simulated dialer at "), ",")
	s.env = append(s.env, "DIALER_URL="+address)
	p := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
	require.Zero(t, p.ends(t), &p.err)
	require.Equal(t, contactRows, p.result(t).Outcomes["SUCCESS"])

	resp, err := http.Get(strings.Replace(address, dialersim.APIPath, dialersim.ControlPath+"stats", 1))
	require.NoError(t, err)
	defer resp.Body.Close()
	var stats dialersim.Stats
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&stats))
	require.Equal(t, contactRows, stats.Inserts)
	require.Equal(t, contactRows/2, stats.Faults["warnings"])
	require.Positive(t, stats.Faults["slow"])

	require.NoError(t, simulated.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.NoError(t, simulated.Wait())
	require.Regexp(t, `^250 leads were added by 250 add_lead calls, at most [1-4] calls at once\.\n$`, string(rest))
}

func (s *site) requireEachLeadOnce(t *testing.T, leads int) {
	t.Helper()
	require.Equal(t, leads, s.dialer.Len())
	require.Empty(t, twice(s.dialer))
	require.LessOrEqual(t, s.dialer.MaxInFlight(""), s.limit)
}

// states counts the ledger's rows by state.
func (s *site) states(t *testing.T) map[string]int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	rows, err := conn.Query(t.Context(), `SELECT state::text, count(*) FROM rows GROUP BY 1`)
	require.NoError(t, err)
	states := map[string]int{}
	var state string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error { states[state] = n; return nil })
	require.NoError(t, err)
	return states
}
