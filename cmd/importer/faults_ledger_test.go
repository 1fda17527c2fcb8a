package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/ledger/ledgertest"
	"importer/internal/localpg"
	"importer/internal/nonagent/dialersim"
)

// cluster is a PostgreSQL of one test's own, to be killed, stopped and started.
type cluster struct {
	options localpg.Options
	server  *localpg.Server
	killed  int // the process that crash has ended
}

// newCluster starts one and gives it to the site.
func (s *site) newCluster(t *testing.T) *cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "importer-pg-") //nolint:usetesting // the path is short, for the socket, and others may pass, for root's tests
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	self, err := os.Executable()
	require.NoError(t, err)
	c := &cluster{options: localpg.Options{StateDir: dir, Command: []string{self, superviseCommand}}}
	t.Cleanup(func() {
		require.NoError(t, c.server.Close())
		waitFor(t, func() bool { return os.RemoveAll(dir) == nil }) // it may be writing yet
	})
	c.start(t)
	s.useLedger(c.server.DSN())
	return c
}

func (c *cluster) start(t *testing.T) {
	t.Helper()
	var err error
	c.server, err = localpg.Start(t.Context(), c.options)
	require.NoError(t, err)
}

func (c *cluster) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, c.server.Close())
}

// crash ends the server as a machine's memory shortage does. Its supervisor
// starts it again; while it is still doing so, crash waits for it.
func (c *cluster) crash(t *testing.T) {
	t.Helper()
	waitFor(t, func() bool {
		text, err := os.ReadFile(filepath.Join(c.server.Dir(), "data", "postmaster.pid"))
		first, _, _ := strings.Cut(string(text), "\n")
		pid, convErr := strconv.Atoi(first)
		if err != nil || convErr != nil || pid == c.killed {
			return false
		}
		c.killed = pid
		return syscall.Kill(pid, syscall.SIGKILL) == nil
	})
}

// freeze has the server answer nothing, not even that it is away, until thaw.
func (c *cluster) freeze(t *testing.T) (thaw func()) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.server.Dir(), "data", "postmaster.pid"))
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(text), "\n")
	frozen := below(processes(), func(r running) bool { return strconv.Itoa(r.pid) == first })
	require.Greater(t, len(frozen), 1)
	all := func(sig syscall.Signal) {
		for _, r := range frozen {
			_ = syscall.Kill(r.pid, sig) // it may have ended
		}
	}
	all(syscall.SIGSTOP)
	thaw = sync.OnceFunc(func() { all(syscall.SIGCONT) })
	t.Cleanup(thaw)
	return thaw
}

func (s *site) useLedger(dsn string) {
	s.ledger = dsn
	s.env = append(s.env, "LEDGER="+dsn)
}

// Fault 12.
func TestPostgreSQLThatCrashesInMidRunLetsNothingUnconfirmedOut(t *testing.T) {
	t.Parallel()
	const rows = 120
	s := faultySite(t, rows, brisk)
	c := s.newCluster(t)
	var sent journal
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		sent.note(r)
		if r.Function == "add_lead" && (r.Nth == 20 || r.Nth == 60) {
			c.crash(t)
		}
		return dialersim.Fault{}
	})
	p := s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	s.requireAllLoaded(t, rows)
	sent.requireEachAttemptOnce(t)
	// What was sent had been armed for good: the crash has undone none of it.
	armed := map[int]int{}
	for _, f := range s.fates(t) {
		armed[f.record-1] = f.attempt
	}
	for _, e := range sent.all() {
		require.LessOrEqual(t, e.attempt, armed[e.row], "%+v", e)
	}
	require.Contains(t, p.err.String(), "the ledger is away")
}

// Fault 13.
func TestLostCommitAcknowledgementsAreReadBack(t *testing.T) {
	t.Parallel()
	const rows = 120
	s := faultySite(t, rows, brisk)
	proxy, through := ledgertest.NewProxy(t, s.ledger)
	s.env = append(s.env, "LEDGER="+through)
	var sent journal
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		sent.note(r)
		return dialersim.Fault{}
	})
	// A ledger that is away when it is opened is an error: that goes undisturbed.
	var opening, commits atomic.Int64
	proxy.CutCommits(func() ledgertest.Cut { opening.Add(1); return ledgertest.Nowhere })
	s.does(t, "runs")
	proxy.CutCommits(func() ledgertest.Cut {
		n := commits.Add(1) - opening.Load()
		if n < 0 {
			return ledgertest.Nowhere
		}
		switch n % 7 {
		case 3:
			return ledgertest.AfterCommit
		case 6:
			return ledgertest.BeforeCommit
		default:
			return ledgertest.Nowhere
		}
	})
	p := s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	require.Greater(t, commits.Load(), int64(14), "too few commits were cut")
	require.Zero(t, s.requireAllLoaded(t, rows), "no call was in doubt")
	sent.requireEachAttemptOnce(t)
	require.Equal(t, rows, p.result(t).Calls)
}

// Fault 14.
func TestWhileTheLedgerIsGoneNoCallIsMadeAndThenItGoesOn(t *testing.T) {
	t.Parallel()
	const rows, nth = 60, 20
	s := faultySite(t, rows, with(brisk, "send_within: 500ms", "timeout: 10s"))
	c := s.newCluster(t)
	reached, release := s.at(t, nth)
	p := s.imports(t)
	<-reached
	c.stop(t)
	release()
	// What was armed before may still be sent, for as long as send_within. Ten
	// times that stand for the five minutes.
	time.Sleep(time.Second)
	calls := s.dialer.Calls("")
	require.LessOrEqual(t, calls, nth+3*4, "rows in flight, on the wire and being armed")
	time.Sleep(4 * time.Second)
	require.Equal(t, calls, s.dialer.Calls(""), "a call was made without a ledger")
	c.start(t)
	require.Zero(t, p.ends(t), &p.err)
	s.requireAllLoaded(t, rows)
	// It was tried again and again and said once by each step that needed it.
	require.Positive(t, strings.Count(p.err.String(), "the ledger is away"))
	require.LessOrEqual(t, strings.Count(p.err.String(), "the ledger is away"), 4, &p.err)
}

// Fault 14.
func TestALedgerThatStaysGoneStopsTheRunAndLosesNoRow(t *testing.T) {
	t.Parallel()
	const rows, nth = 60, 20
	s := faultySite(t, rows, with(brisk, "send_within: 500ms", "wait: 500ms", "timeout: 5s"))
	c := s.newCluster(t)
	reached, release := s.at(t, nth)
	p := s.imports(t)
	<-reached
	c.stop(t)
	release()
	require.Equal(t, exitFailed, p.ends(t), &p.err)
	require.Regexp(t, `(?m)^importer: the ledger did not come back within 500ms, the same command goes on when it is there again: ledger unavailable: [^\n]+\n\z`, p.err.String())

	c.start(t)
	p = s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	s.requireAllLoaded(t, rows)
}

// Fault 15.
func TestAFullDiskOfTheLedgerStopsTheRunWithOneSentence(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 10
	s := faultySite(t, rows, with(brisk, "wait: 500ms", "timeout: 5s", "quiescence: 5s"))
	s.contacts(t, "more.csv", shuffled(contacts()))
	fill, empty := s.smallDisk(t)
	reached, release := s.at(t, nth)
	p := s.start(t, "import", "contacts.csv", "more.csv", "--feed", "acme", "--json")
	<-reached
	fill()
	release()
	require.Equal(t, exitFailed, p.ends(t), &p.err)
	require.Contains(t, p.err.String(), "PostgreSQL is out of resources, such as disk space or connections (SQLSTATE 53100)")
	require.Regexp(t, `(?m)^importer: [^\n]+\n\z`, p.err.String())
	require.Less(t, s.dialer.Calls("add_lead"), contactRows, "it went on although nothing could be recorded")

	empty()
	p = s.start(t, "import", "contacts.csv", "more.csv", "--feed", "acme", "--json")
	require.Zero(t, p.ends(t), &p.err)
	s.requireEachLeadOnce(t, contactRows)
	require.Equal(t, map[string]int{"succeeded": contactRows, "duplicate": rows}, s.states(t))
}

// smallDisk puts the site's ledger on a disk that can be filled. Where the
// system lets nobody but root mount one, and for others, a trigger says of
// every write to the rows what PostgreSQL says of a full disk: the importer
// sees the same SQLSTATE, at the same statements.
func (s *site) smallDisk(t *testing.T) (fill, empty func()) {
	t.Helper()
	disk, err := os.MkdirTemp("", "importer-disk-") //nolint:usetesting // its folder must be open to the user that PostgreSQL runs as
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(disk)) })
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=48m,mode=0755", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Logf("no disk can be mounted (%s), a trigger takes its place", strings.TrimSpace(string(out)))
		s.exec(t, `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$`)
		return func() {
				s.exec(t, `CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON rows FOR EACH ROW EXECUTE FUNCTION full_disk()`)
			}, func() {
				s.exec(t, `DROP TRIGGER full_disk ON rows`)
			}
	}
	t.Cleanup(func() {
		out, err := exec.Command("umount", disk).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	c := s.newCluster(t) // it ends before the disk goes
	space := filepath.Join(disk, "space")
	require.NoError(t, os.Mkdir(space, 0o700))
	info, err := os.Stat(filepath.Join(c.server.Dir(), "data"))
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	require.NoError(t, os.Chown(space, int(owner.Uid), int(owner.Gid)))
	s.exec(t, `CREATE TABLESPACE small LOCATION '`+space+`'`)
	s.exec(t, `CREATE DATABASE small TABLESPACE small`)
	dsn, err := url.Parse(s.ledger)
	require.NoError(t, err)
	dsn.Path = "/small"
	s.useLedger(dsn.String())

	ballast := filepath.Join(disk, "ballast")
	return func() {
			f, err := os.Create(ballast)
			require.NoError(t, err)
			defer f.Close()
			for block := make([]byte, 4096); err == nil; {
				_, err = f.Write(block)
			}
			require.ErrorIs(t, err, syscall.ENOSPC)
		}, func() {
			require.NoError(t, os.Remove(ballast))
		}
}

// Fault 16.
func TestABrokenOffTransactionAloneIsRetried(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{"serialization failure": "40001", "deadlock": "40P01"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 60
			s := faultySite(t, rows, with(brisk, "timeout: 1m"))
			// It counts on when a transaction does not. No transaction makes so
			// many writes that it could never pass.
			s.exec(t, `CREATE SEQUENCE writes`)
			s.exec(t, `CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				IF nextval('writes') % 11 = 1 THEN RAISE EXCEPTION 'broken off' USING ERRCODE = '`+code+`'; END IF;
				RETURN NULL;
			END $$`)
			for _, table := range []string{"rows", "claims", "drops", "slots"} {
				s.exec(t, `CREATE TRIGGER trouble AFTER INSERT OR UPDATE ON `+table+` FOR EACH STATEMENT EXECUTE FUNCTION trouble()`)
			}
			p := s.imports(t)
			require.Zero(t, p.ends(t), &p.err)
			require.Zero(t, s.requireAllLoaded(t, rows), "no call was in doubt")
			require.Equal(t, rows, p.result(t).Calls, "a call was made again for its transaction's sake")
			require.NotContains(t, p.err.String(), "broken off")
		})
	}
}

// Fault 16.
func TestADeadlockBreaksOffATransactionAndNoCall(t *testing.T) {
	t.Parallel()
	const rows = 12
	s := faultySite(t, rows, with(brisk, "timeout: 10s"))
	s.newCluster(t) // in which this may be set
	// Long enough for the other lock, even if this test has to wait for its turn.
	s.exec(t, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''4s''', current_database()); END $$`)
	reached, release := s.at(t, 1)
	p := s.imports(t)
	<-reached // the first row goes alone; then rows 2 to 5 are armed together
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SET LOCAL deadlock_timeout = '1min'`)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT FROM rows WHERE record = 3 FOR UPDATE`)
	require.NoError(t, err)
	release()
	s.eventually(t, fmt.Sprintf(`SELECT count(*) > 0 FROM pg_stat_activity WHERE %d = ANY (pg_blocking_pids(pid))`, conn.PgConn().PID()))
	// The importer waits for row 3 and has row 2. It has the shorter patience, so
	// that PostgreSQL breaks off its transaction.
	_, err = tx.Exec(t.Context(), `SELECT FROM rows WHERE record = 2 FOR UPDATE`)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Zero(t, p.ends(t), &p.err)
	require.Zero(t, s.requireAllLoaded(t, rows))
	require.Equal(t, rows, p.result(t).Calls)
	var deadlocks int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT pg_stat_force_next_flush() IS NOT NULL, deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(nil, &deadlocks))
	require.Positive(t, deadlocks)
}
