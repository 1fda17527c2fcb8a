package main

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"importer/internal/source/sourcetest"
)

// away is how long what a daemon needs is away.
const away = 5 * time.Second

// everySecond is the schedule of the feeds here.
const everySecond = "    schedule: \"@every 1s\"\n"

// worksSince waits until a slot that came after a moment has run, and the job engine
// has worked its job: where PostgreSQL does not notify it, it asks now and then.
func (s *site) worksSince(t *testing.T, moment string) {
	t.Helper()
	s.eventually(t, `SELECT count(*) > 0 FROM schedule_slots WHERE ended IS NOT NULL AND slot > '`+moment+`'`)
	s.eventually(t, `SELECT count(*) > 0 FROM river_job WHERE kind = 'slot' AND state = 'completed' AND created_at > '`+moment+`'`)
}

// isThere tells whether the ledger answers.
func (s *site) isThere(t *testing.T) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.ledger)
	if err == nil {
		err = conn.Close(t.Context())
	}
	return err == nil
}

// requireEverySlot requires a feed's slots to have been judged without a gap.
func (s *site) requireEverySlot(t *testing.T, every time.Duration) {
	t.Helper()
	require.Empty(t, s.ask(t, fmt.Sprintf(`SELECT feed || ' ' || slot || ' ' || step FROM (
		SELECT feed, slot, slot - lag(coalesce(until, slot)) OVER (PARTITION BY feed ORDER BY slot) AS step FROM schedule_slots WHERE verdict NOT IN ('asked', 'again')) s
		WHERE step <> interval '%d seconds'`, int(every.Seconds()))))
}

// calm begins a time in which something is away, and requires at its end that the
// daemon has said little meanwhile, and computed little.
func (p *process) calm(t *testing.T) (over func()) {
	t.Helper()
	lines, busy := p.lines(), p.busy(t)
	return func() {
		t.Helper()
		require.LessOrEqual(t, p.lines()-lines, 10, &p.err)
		require.Less(t, p.busy(t)-busy, away*3/4)
	}
}

// lines counts what a daemon has said, but for what becomes of slots: that is said
// each second until the ledger has gone.
func (p *process) lines() int { return p.said("\n") - p.said("a slot of the schedule") }

// busy is how long a process has computed.
func (p *process) busy(t *testing.T) time.Duration {
	t.Helper()
	text, err := exec.Command("ps", "-o", "cputime=", "-p", strconv.Itoa(p.Process.Pid)).Output()
	require.NoError(t, err)
	var seconds float64
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ":") { // of which some systems tell no hours, some fractions
		n, err := strconv.ParseFloat(part, 64)
		require.NoError(t, err)
		seconds = 60*seconds + n
	}
	return time.Duration(seconds * float64(time.Second))
}

// Issue 5, proof 4.
func TestADaemonOutlivesPostgreSQL(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 12
	v := newServed(t, everySecond)
	c := v.newCluster(t)
	reached, release := v.at(t, nth)
	v.leaves(t, "acme", rows)
	p := v.serves(t)
	<-reached

	over := p.calm(t)
	c.stop(t)
	release()
	time.Sleep(away)
	over()
	c.start(t)
	v.loaded(t, rows)

	v.exec(t, `UPDATE schedules SET paused = now()`)
	v.eventually(t, `SELECT count(*) = 0 FROM schedule_slots WHERE verdict = 'run' AND ended IS NULL`)
	over = p.calm(t)
	c.stop(t)
	time.Sleep(away)
	over()
	c.start(t)
	v.exec(t, `UPDATE schedules SET paused = NULL`)
	v.leaves(t, "acme", rows+10)
	v.loaded(t, rows+10)
	v.worksSince(t, v.now(t))

	require.Equal(t, []string{""}, v.ask(t, `SELECT DISTINCT error FROM runs`))
	p.terminate(t)
	v.requireEachLeadOnce(t, rows+10)
	v.requireEverySlot(t, time.Second)
}

func TestADaemonOutlivesACrashOfPostgreSQL(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 12
	v := newServed(t, everySecond)
	// What was settled last may be lost with the crash: its calls are asked about.
	v.write(t, "importer.yaml", with(v.config(t), "    timeout: 3s", "quiescence: 10s"))
	c := v.newCluster(t)
	reached, release := v.at(t, nth)
	v.leaves(t, "acme", rows)
	p := v.serves(t)
	<-reached
	c.crash(t)
	release()
	waitFor(t, func() bool { return v.dialer.Len() == rows && v.isThere(t) })
	v.loaded(t, rows)
	c.crash(t)
	waitFor(t, func() bool { return v.isThere(t) })
	v.worksSince(t, v.now(t))
	v.loaded(t, rows)
	p.terminate(t)
	v.requireEachLeadOnce(t, rows)
	v.requireEverySlot(t, time.Second)
}

// As when the machine that it runs on is lost: no connection breaks.
func TestADaemonOutlivesAPostgreSQLThatHangs(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 12
	v := newServed(t, everySecond)
	v.write(t, "importer.yaml", with(v.config(t), "stop_timeout: 2s", "    timeout: 3s", "quiescence: 10s"))
	c := v.newCluster(t)
	reached, release := v.at(t, nth)
	v.leaves(t, "acme", rows)
	p := v.serves(t)
	<-reached
	thaw := c.freeze(t)
	release()
	time.Sleep(away)
	thaw()
	v.loaded(t, rows)

	// Nor is it waited for by one that is stopped: what holds its connections does.
	thaw = c.freeze(t)
	require.NoError(t, p.Process.Signal(sigterm))
	require.Contains(t, []int{exitDone, exitFailed}, p.ends(t), &p.err)
	thaw()
	v.write(t, "importer.yaml", with(v.config(t), "stop_timeout: 1m"))
	p = v.serves(t)
	v.worksSince(t, v.now(t))
	v.loaded(t, rows)
	p.terminate(t)
	v.requireEachLeadOnce(t, rows)
	v.requireEverySlot(t, time.Second)
}

func TestADaemonWaitsForPostgreSQL(t *testing.T) {
	t.Parallel()
	v := newServed(t, everySecond)
	c := v.newCluster(t)
	c.stop(t)
	p := v.start(t, "serve")
	p.says(t, "the ledger is not there, waiting for it")
	p.terminate(t)

	p = v.start(t, "serve")
	p.says(t, "the ledger is not there, waiting for it")
	require.NoError(t, p.Process.Signal(sighup))
	p.says(t, "waits for the ledger")
	over := p.calm(t)
	time.Sleep(away)
	over()
	require.Equal(t, 1, p.said("the ledger is not there"), &p.err)
	c.start(t)
	p.says(t, "importer serve has started")
	v.leaves(t, "acme", 20)
	v.loaded(t, 20)
	p.terminate(t)
}

// It cannot tell the ledger that it leaves its run, and waits for it no longer than
// it may.
func TestADaemonEndsWhilePostgreSQLIsAway(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 12
	v := newServed(t, everySecond)
	v.write(t, "importer.yaml", with(v.config(t), "stop_timeout: 2s", "    timeout: 3s"))
	c := v.newCluster(t)
	reached, release := v.at(t, nth)
	p := v.serves(t)
	v.does(t, "pause", "acme")
	v.eventually(t, `SELECT count(*) = 0 FROM schedule_slots WHERE verdict = 'run' AND ended IS NULL`) // a run would have to be left
	c.stop(t)
	p.terminate(t)

	c.start(t)
	v.does(t, "unpause", "acme")
	v.leaves(t, "acme", rows)
	p = v.serves(t)
	<-reached
	c.stop(t)
	require.NoError(t, p.Process.Signal(sigterm))
	release()
	require.Equal(t, exitFailed, p.ends(t), &p.err)
	require.Contains(t, p.err.String(), "runs were still going after serve.stop_timeout (2s)")

	c.start(t)
	v.write(t, "importer.yaml", with(v.config(t), "stop_timeout: 1m"))
	p = v.serves(t)
	v.loaded(t, rows)
	p.terminate(t)
	v.requireEachLeadOnce(t, rows)
}

// Calls under way are asked about when the dialer is there again. The runs that find
// nobody there say so, and a later slot's brings the rows in.
func TestADaemonOutlivesADialerThatIsAway(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 12
	v := newServed(t, everySecond)
	v.write(t, "importer.yaml", with(v.config(t), "    timeout: 3s"))
	proxy := v.poisoned(t)
	reached, release := v.at(t, nth)
	v.leaves(t, "acme", rows)
	p := v.serves(t)
	<-reached
	proxy.Stop()
	release()
	v.eventually(t, `SELECT count(*) > 0 FROM rows WHERE lost > 0`)
	require.NoError(t, proxy.Start())
	v.loaded(t, rows)
	v.eventually(t, `SELECT count(*) = 1 FROM files WHERE ended IS NOT NULL`)

	proxy.Stop()
	v.leaves(t, "acme", rows+20)
	v.eventually(t, `SELECT count(*) > 1 FROM runs WHERE finished IS NOT NULL AND error LIKE '%the connection was refused%'`)
	require.Equal(t, rows, v.dialer.Len())
	require.NoError(t, proxy.Start())
	v.loaded(t, rows+20)
	v.eventually(t, `SELECT count(*) = 2 FROM files WHERE ended IS NOT NULL`)
	failed := v.ask(t, `SELECT id::text FROM runs WHERE error LIKE '%the connection was refused%'`)
	p.terminate(t)
	require.Contains(t, v.does(t, "show", failed[0]).out.String(), "the connection was refused")
	v.requireEachLeadOnce(t, rows+20)
	v.requireEverySlot(t, time.Second)
}

func TestADaemonOutlivesAnSFTPServerThatIsAway(t *testing.T) {
	t.Parallel()
	login := sourcetest.SSHD(t)
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), t.Name(), free(t), net.JoinHostPort(login.Host, strconv.Itoa(login.Port)))
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	_, port, err := net.SplitHostPort(proxy.Listen)
	require.NoError(t, err)
	login.Host = "127.0.0.1"
	login.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
	v := newServed(t, "")
	before, _, _ := strings.Cut(v.config(t), "      directory:")
	v.write(t, "importer.yaml", strings.Replace(before, "    source:", everySecond+"    source:", 1)+v.sftp(t, login))

	v.leaves(t, "acme", 10)
	p := v.serves(t)
	v.loaded(t, 10)
	proxy.Stop()
	v.leaves(t, "acme", 20)
	v.eventually(t, `SELECT count(*) > 1 FROM runs WHERE finished IS NOT NULL AND error <> ''`)
	require.NoError(t, proxy.Start())
	v.loaded(t, 20)
	v.eventually(t, `SELECT count(*) = 2 AND bool_and(ended IS NOT NULL) FROM files`)
	for _, why := range v.ask(t, `SELECT DISTINCT error FROM runs WHERE error <> ''`) { // before one is left for the next start
		require.Contains(t, why, "127.0.0.1")
	}
	p.terminate(t)
	v.requireEachLeadOnce(t, 20)
	v.requireEverySlot(t, time.Second)
}
