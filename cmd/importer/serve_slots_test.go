package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/source/sourcetest"
)

// punctual is a configuration whose waits are short, but for calls: those that a
// test holds back are waited for.
const punctual = `state_dir: ./state
serve: {listen: "", stop_timeout: 10m}
ledger: {dsn: "${LEDGER}", lease: 1s}
dialers:
  main:
    url: ${DIALER_URL}
    user: importer
    password: ${DIALER_PASSWORD}
    concurrency: 4
    timeout: 2m
    send_within: 2s
    quiescence: 1s
    stop_after: 5s
feeds:
`

// feedOf is a feed of a configuration that is pulled from a folder.
func (v *vendor) fedBy(name, settings string) string {
	return fmt.Sprintf("  %s:\n    dialer: main\n    list_id: 101\n    time_zone: UTC\n%s    source:%s      directory: {path: %q, pattern: \"%[1]s*.csv\"}\n", name, settings, eager, v.place)
}

// newServed is a vendor's site whose feed has these settings.
func newServed(t *testing.T, settings string) *vendor {
	t.Helper()
	v := &vendor{site: newSite(t, ""), place: sourcetest.Dir(t), ends: map[string]string{}}
	v.write(t, "importer.yaml", punctual+v.fedBy("acme", settings))
	return v
}

// leaves lays a file with so many contacts for a feed.
func (v *vendor) leaves(t *testing.T, feed string, rows int) {
	t.Helper()
	name := fmt.Sprintf("%s-%d.csv", feed, len(v.ends))
	v.lay(t, name, v.people(name, contacts()[:rows+1]))
}

// says waits until a process has said something.
func (p *process) says(t *testing.T, text string) {
	t.Helper()
	waitFor(t, func() bool { return strings.Contains(p.err.String(), text) })
}

func (p *process) said(text string) int { return strings.Count(p.err.String(), text) }

// serves starts an importer that serves, and waits until it does.
func (s *site) serves(t *testing.T) *process {
	t.Helper()
	p := s.start(t, "serve")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("importer serve: %s", &p.err)
		}
	})
	p.says(t, "importer serve has started")
	return p
}

// does runs a command that succeeds.
func (s *site) does(t *testing.T, args ...string) *process {
	t.Helper()
	p := s.start(t, args...)
	require.Zero(t, p.ends(t), &p.err)
	return p
}

// loaded waits until the ledger says that so many rows are at the dialer.
func (s *site) loaded(t *testing.T, rows int) {
	t.Helper()
	s.eventually(t, fmt.Sprintf(`SELECT count(*) = %d FROM rows WHERE state = 'succeeded'`, rows))
}

// verdicts counts the slots of a feed by what became of them.
func (s *site) verdicts(t *testing.T, feed string) []string {
	t.Helper()
	return s.ask(t, `SELECT DISTINCT verdict FROM schedule_slots WHERE feed = '`+feed+`' ORDER BY 1`)
}

// Issue 5, proof 3: it was down over two slots.
func TestTheLatestOfTheSlotsThatWereMissedRuns(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	cron := func(ago time.Duration) string { return now.Add(-ago).Format(`"4 15 * * *"`) }
	v := newServed(t, fmt.Sprintf("    schedule: [%s, %s]\n    catch_up: 5h\n", cron(4*time.Hour), cron(2*time.Hour)))
	v.does(t, "migrate")
	v.exec(t, `INSERT INTO schedules (feed, since, last) VALUES ('acme', now() - interval '9 days', now() - interval '6 hours')`)
	v.leaves(t, "acme", 20)
	p := v.serves(t)
	v.loaded(t, 20)
	v.eventually(t, `SELECT count(*) = 1 FROM schedule_slots WHERE ended IS NOT NULL`)
	require.Equal(t, []string{"missed", "run 1"}, v.ask(t, `SELECT concat_ws(' ', verdict, run_id) FROM schedule_slots ORDER BY slot`))
	p.terminate(t)
	require.Equal(t, 1, p.said(`"verdict":"missed"`))

	// Nothing of this is made up for once more.
	const aged, looked = `UPDATE schedules SET seen = now() - interval '2 hours'`, `SELECT seen > now() - interval '1 hour' FROM schedules`
	v.exec(t, aged)
	p = v.serves(t)
	v.eventually(t, looked)
	v.exec(t, aged)
	require.NoError(t, p.Process.Signal(sighup)) // it looks once more, after the first look
	v.eventually(t, looked)
	p.terminate(t)
	require.Equal(t, []string{"missed", "run 1"}, v.ask(t, `SELECT concat_ws(' ', verdict, run_id) FROM schedule_slots ORDER BY slot`))
	v.requireEachLeadOnce(t, 20)
}

// Fault 52.
func TestASlotThatComesWhileARunIsGoingIsSkippedOrWaits(t *testing.T) {
	t.Parallel()
	for overlap, while := range map[string][]string{"skip": {"overlap", "run"}, "queue": {"overlap", "queue", "run"}} {
		t.Run(overlap, func(t *testing.T) {
			t.Parallel()
			v := newServed(t, "    schedule: \"@every 1s\"\n    overlap: "+overlap+"\n")
			reached, release := v.at(t, 10)
			v.leaves(t, "acme", 30)
			p := v.serves(t)
			<-reached
			v.eventually(t, `SELECT count(*) > 2 FROM schedule_slots WHERE verdict = 'overlap'`)
			// A daemon that is held up itself for more than a second misses a slot.
			require.Equal(t, while, slices.DeleteFunc(v.verdicts(t, "acme"), func(verdict string) bool { return verdict == "missed" }))
			require.LessOrEqual(t, len(v.ask(t, `SELECT verdict FROM schedule_slots WHERE verdict = 'queue'`)), 1, "one waits at most")
			release()
			v.loaded(t, 30)
			v.eventually(t, `SELECT count(*) > 3 FROM schedule_slots WHERE ended IS NOT NULL`)
			p.terminate(t)
			require.Empty(t, v.ask(t, `SELECT id::text FROM (SELECT id, started, lag(finished) OVER (ORDER BY id) AS before FROM runs) r WHERE started < before`), "runs of one feed at once")
			if overlap == "queue" {
				require.Equal(t, []string{"queue"}, v.ask(t, `SELECT verdict FROM schedule_slots WHERE run_id = (SELECT min(run_id) + 1 FROM schedule_slots)`))
			}
			v.requireEachLeadOnce(t, 30)
		})
	}
}

// What keeps a schedule from running is recorded, and keeps no person from it.
func TestWhatKeepsAScheduleFromRunningKeepsNoPersonFromIt(t *testing.T) {
	t.Parallel()
	v := newServed(t, "")
	today := time.Now().UTC()
	const often = "    schedule: \"@every 1s\"\n"
	v.write(t, "importer.yaml", punctual+
		v.fedBy("paused", often)+
		v.fedBy("dark", often+"    blackouts: [\"00:00-24:00\"]\n")+
		v.fedBy("feast", often+fmt.Sprintf("    holidays: [%q, %q]\n", today.Format(time.DateOnly), today.AddDate(0, 0, 1).Format(time.DateOnly)))+
		v.fedBy("usual", often))
	v.does(t, "pause", "paused")
	p := v.serves(t)
	v.eventually(t, `SELECT count(*) = 4 FROM (SELECT FROM schedule_slots GROUP BY feed HAVING count(*) > 1) f`)
	require.Equal(t, []string{"paused"}, v.verdicts(t, "paused"))
	require.Equal(t, []string{"blackout"}, v.verdicts(t, "dark"))
	require.Equal(t, []string{"holiday"}, v.verdicts(t, "feast"))
	require.Contains(t, v.verdicts(t, "usual"), "run")

	for n, feed := range []string{"paused", "dark", "feast"} {
		v.leaves(t, feed, 10*(n+1)) // each has the people of the one before too
		v.does(t, "run", feed, "--detach")
		v.loaded(t, 10*(n+1))
	}
	v.eventually(t, `SELECT count(*) = 3 FROM schedule_slots WHERE verdict = 'asked' AND ended IS NOT NULL`)
	require.Equal(t, []string{"asked", "paused"}, v.verdicts(t, "paused"))
	v.does(t, "unpause", "paused")
	v.eventually(t, `SELECT count(*) > 0 FROM schedule_slots WHERE feed = 'paused' AND verdict = 'run' AND ended IS NOT NULL`)
	p.terminate(t)
	v.requireEachLeadOnce(t, 30)
}

func TestACancelledRunStopsAndTheNextGoesOnWithItsRows(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 12
	v := newServed(t, "")
	v.write(t, "importer.yaml", with(v.config(t), "lease: 1m")) // it is not to be taken for dead
	reached, release := v.at(t, nth)
	v.leaves(t, "acme", rows)
	p := v.serves(t)
	v.does(t, "run", "acme", "--detach")
	<-reached
	v.does(t, "cancel", "1")
	// Whoever carries it has noticed, and waits for what is on the wire.
	v.eventually(t, `SELECT leased_until - interval '1m' > cancelled FROM runs`)
	require.Equal(t, []string{"true"}, v.ask(t, `SELECT (finished IS NULL)::text FROM runs`))
	release()
	v.eventually(t, `SELECT ended IS NOT NULL FROM schedule_slots`)
	require.Equal(t, []string{"cancelled: its rows stay pending, and the feed's next run goes on with them"}, v.ask(t, `SELECT error FROM runs`))
	states := v.states(t)
	require.Equal(t, v.dialer.Len(), states["succeeded"])
	require.Equal(t, rows-v.dialer.Len(), states["pending"])
	require.Less(t, v.dialer.Len(), rows, "it was brought to its end all the same")
	over := v.start(t, "cancel", "1")
	require.Equal(t, exitFailed, over.ends(t))
	require.Contains(t, over.err.String(), "run 1 has ended already")

	v.does(t, "run", "acme", "--detach")
	v.eventually(t, `SELECT count(*) = 2 FROM schedule_slots WHERE ended IS NOT NULL`)
	p.terminate(t)
	require.Equal(t, map[string]int{"succeeded": rows}, v.states(t))
	require.Equal(t, rows, v.dialer.Calls("add_lead"))
	v.requireEachLeadOnce(t, rows)
}

func TestAConfigurationIsReadAgainAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	v := newServed(t, "    schedule: \"@every 1s\"\n")
	good := v.config(t)
	p := v.serves(t)
	v.eventually(t, `SELECT count(*) > 0 FROM schedule_slots`)
	for why, config := range map[string]string{
		"time_zone": good + strings.Replace(v.fedBy("other", "    schedule: \"@every 1s\"\n"), "UTC", "Mars/Olympus", 1),
		"restart":   strings.Replace(good, "lease: 1s", "lease: 2s", 1) + v.fedBy("other", "    schedule: \"@every 1s\"\n"),
		"nonsense":  good + v.fedBy("other", "    nonsense: 1\n"),
	} {
		before := p.said("all stays as it is")
		v.write(t, "importer.yaml", config)
		require.NoError(t, p.Process.Signal(sighup))
		waitFor(t, func() bool { return p.said("all stays as it is") > before })
		require.Contains(t, p.err.String(), why)
	}
	slots := len(v.ask(t, `SELECT feed FROM schedule_slots`))
	v.eventually(t, fmt.Sprintf(`SELECT count(*) > %d FROM schedule_slots`, slots+1))
	require.Equal(t, []string{"acme"}, v.ask(t, `SELECT DISTINCT feed FROM schedule_slots`))

	v.write(t, "importer.yaml", punctual+v.fedBy("other", "    schedule: \"@every 1s\"\n"))
	require.NoError(t, p.Process.Signal(sighup))
	v.eventually(t, `SELECT count(*) > 0 FROM schedule_slots WHERE feed = 'other' AND ended IS NOT NULL`)
	slots = len(v.ask(t, `SELECT feed FROM schedule_slots WHERE feed = 'acme'`))
	v.eventually(t, `SELECT count(*) > 3 FROM schedule_slots WHERE feed = 'other'`)
	require.Len(t, v.ask(t, `SELECT feed FROM schedule_slots WHERE feed = 'acme'`), slots)
	p.terminate(t)
}

func TestAStoppedDaemonDrainsAndTheNextStartGoesOnWithItsRun(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 12
	for name, another := range map[string]bool{"when it is started again": false, "and another replica at once": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newServed(t, "")
			// Nobody could take over a run for as long as this test may last.
			v.write(t, "importer.yaml", with(v.config(t), "lease: 10m"))
			reached, release := v.at(t, nth)
			v.leaves(t, "acme", rows)
			p := v.serves(t)
			v.does(t, "run", "acme", "--detach")
			<-reached
			next := p
			if another {
				next = v.serves(t)
			}
			require.NoError(t, p.Process.Signal(sigterm))
			release()
			require.Zero(t, p.ends(t), &p.err)
			if !another {
				sent := v.dialer.Len()
				require.Less(t, sent, rows)
				require.Equal(t, map[string]int{"succeeded": sent, "pending": rows - sent}, v.states(t), "it has drained")
				next = v.serves(t)
			}
			v.eventually(t, `SELECT ended IS NOT NULL FROM schedule_slots`)
			next.terminate(t)
			require.Equal(t, []string{"1: 2 carriers"}, v.ask(t, `SELECT id || ': ' || carriers || ' carriers' FROM runs WHERE finished IS NOT NULL AND error = ''`))
			require.Equal(t, map[string]int{"succeeded": rows}, v.states(t))
			require.Equal(t, rows, v.dialer.Calls("add_lead"))
			v.requireEachLeadOnce(t, rows)
		})
	}
}

func TestASecondSignalEndsADaemonAtOnce(t *testing.T) {
	t.Parallel()
	const rows, nth = 40, 12
	v := newServed(t, "")
	v.write(t, "importer.yaml", with(v.config(t), "    timeout: 5s"))
	reached, release := v.at(t, nth)
	v.leaves(t, "acme", rows)
	p := v.serves(t)
	v.does(t, "run", "acme", "--detach")
	<-reached
	ended, noticed := make(chan struct{}), time.NewTicker(20*time.Millisecond)
	defer noticed.Stop()
	var signals sync.WaitGroup
	signals.Go(func() {
		for { // until it has noticed the first one
			_ = p.Process.Signal(sigterm)
			select {
			case <-ended:
				return
			case <-noticed.C:
			}
		}
	})
	require.Equal(t, -1, p.ends(t), &p.err)
	close(ended)
	signals.Wait()
	release()
	p = v.serves(t)
	v.eventually(t, `SELECT ended IS NOT NULL FROM schedule_slots`)
	p.terminate(t)
	require.Equal(t, map[string]int{"succeeded": rows}, v.states(t))
	v.requireEachLeadOnce(t, rows)
}
