package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// dayConfig has three feeds whose drops are expected at six, in a zone where it is
// nine or ten whenever the test runs.
const dayConfig = `state_dir: ./state
ledger: {dsn: "${LEDGER}", lease: 6s}
serve: {listen: ""}
dialers:
  main:
    url: ${DIALER_URL}
    user: importer
    password: ${DIALER_PASSWORD}
    concurrency: 4
notify:
  monitor: {webhook: {url: "${WEB}/monitor/${WEB_KEY}", token: "${WEB_TOKEN}"}}
  team: {chat: {url: "${WEB}/team/${WEB_KEY}"}}
  manager: {mail: {host: 127.0.0.1, port: MAIL_PORT, tls: none, from: importer@example.com, to: manager@example.com}}
  pager: {webhook: {url: "${WEB}/pager"}}
  former: {webhook: {url: "${WEB}/former"}}
feeds:
  acme: {list_id: 101, ACME, notify: {monitor: always, team: trouble, manager: late, pager: always, former: always}}
  bravo: {list_id: 102, BRAVO, notify: {monitor: always, team: trouble, manager: late}}
  charlie: {list_id: 101, CHARLIE, notify: {monitor: always, team: trouble, manager: late}}
`

// each is what the feeds have in common: a source, slots and a zone.
const each = `dialer: main, source: {directory: {path: ./%s}, min_age: 0, settle: 0, after: archive, rejects: rejects},
    schedule: %s, time_zone: %s, expect_by: "07:30"`

// atNine is a zone in which it is nine now, and the last midnight there.
func atNine() (zone string, midnight time.Time) {
	now := time.Now().UTC()
	ahead := 9 - now.Hour()
	if ahead < -12 {
		ahead += 24
	}
	local := now.In(time.FixedZone("", ahead*60*60))
	return fmt.Sprintf("Etc/GMT%+d", -ahead), time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, local.Location())
}

// day is a site on a morning.
type day struct {
	*site
	*audience

	midnight time.Time // the last one of the feeds' zone
}

func newDay(t *testing.T) *day {
	t.Helper()
	d := &day{site: newSite(t, "")}
	d.audience = newAudience(t, d.site)
	_, port, err := net.SplitHostPort(d.mail)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, p := range d.watch.processes {
			if t.Failed() {
				t.Logf("%q said:\n%s%s", p.Args, &p.out, &p.err)
			}
		}
	})
	zone, midnight := atNine()
	d.midnight = midnight
	config := strings.Replace(dayConfig, "MAIL_PORT", port, 1)
	for feed, slots := range map[string]string{"acme": `"0 6 * * *"`, "bravo": `["0 5 * * *", "0 6 * * *"]`, "charlie": `"0 6 * * *"`} {
		require.NoError(t, os.Mkdir(filepath.Join(d.dir, feed), 0o700))
		config = strings.Replace(config, strings.ToUpper(feed), fmt.Sprintf(each, feed, slots, zone), 1)
	}
	d.write(t, "importer.yaml", config)
	d.env = append(d.env, "WEB="+d.web.URL, "WEB_KEY=Key-In-An-Address_1", "WEB_TOKEN=Token-Of-Monitor_1")
	d.watch.secrets = append(d.watch.secrets, "Key-In-An-Address_1", "Token-Of-Monitor_1")
	return d
}

// does runs an importer to its end, and returns what it wrote.
func (d *day) does(t *testing.T, status int, args ...string) string {
	t.Helper()
	p := d.start(t, args...)
	require.Equal(t, status, p.ends(t), "%q: %s%s", args, &p.out, &p.err)
	return p.out.String()
}

// waits is what waits for a person, without the zone's name.
func (d *day) waits(t *testing.T, status int) []string {
	t.Helper()
	var s struct {
		NeedsPerson []string `json:"needs_person"`
	}
	require.NoError(t, json.Unmarshal([]byte(d.does(t, status, "status", "--json")), &s))
	for i, sentence := range s.NeedsPerson {
		s.NeedsPerson[i] = regexp.MustCompile(`07:30 [+-]?\w+`).ReplaceAllString(sentence, "07:30")
	}
	return s.NeedsPerson
}

// event is what programs are told.
type event struct {
	Event, Subject, Feed string
	Trouble              bool
	Outcomes             map[string]int
}

func (p post) event(t *testing.T) (e event) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(p.body), &e))
	return e
}

// untold are messages that are still to be told.
const untold = `SELECT kind FROM river_job WHERE kind = 'tell' AND state NOT IN ('completed', 'cancelled')`

const patience = 2 * time.Minute // far more than what is waited for takes

// awaits waits until an importer has done something.
func (d *day) awaits(t *testing.T, what string, done func() bool) {
	t.Helper()
	require.Eventually(t, done, patience, 50*time.Millisecond, what)
}

// Three feeds have slots at six, one of them also at five, and drops that must be
// there at half past seven: one drop has 5 % bad rows, one has lost a column, one has
// not come. Two replicas come back at nine and do what is to be done; people do the
// rest.
func TestADayInTheLife(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	d.answers("pager", http.StatusServiceUnavailable)
	d.answers("former", http.StatusGone)
	d.layTheMorning(t)

	replicas := []*process{d.start(t, "serve"), d.start(t, "serve")}
	d.awaits(t, "all is told", func() bool {
		return len(d.got("monitor")) >= 4 && len(d.got("team")) >= 3 && len(d.mailed()) >= 1 && len(d.got("pager")) > 0 && len(d.got("former")) > 0
	})
	require.Equal(t, []string{
		"charlie: late, no drop has come by 07:30: importer source check charlie shows what lies at its source",
		"1 drop held: importer drops --state held tells why; importer release DROP imports one, importer discard DROP does not",
	}, d.waits(t, exitPerson))
	// Somebody calls charlie's vendor.
	late := slices.Concat(contacts()[:1], contacts()[161:201], contacts()[1:11])
	d.contacts(t, "charlie/late.csv", late)
	d.does(t, exitDone, "run", "charlie", "--detach")
	// Somebody has bravo pulled again, which helps nothing and tells nobody, then looks
	// at the drop and finds it right.
	d.does(t, exitDone, "run", "bravo", "--detach")
	d.awaits(t, "what was asked for is done", func() bool {
		return len(d.ask(t, `SELECT feed FROM schedule_slots WHERE verdict = 'asked' AND ended IS NOT NULL`)) == 2
	})
	d.does(t, exitDone, "release", d.ask(t, `SELECT id::text FROM drops WHERE state = 'held'`)[0])
	d.does(t, exitDone, "run", "bravo", "--detach")
	d.awaits(t, "all files are put away", func() bool { return len(d.ask(t, `SELECT path FROM files WHERE ended IS NULL`)) == 0 })
	// The pager is there again, and the time comes to try it once more.
	d.answers("pager", 0)
	d.awaits(t, "everything is done", func() bool {
		d.exec(t, `UPDATE river_job SET scheduled_at = now() WHERE state = 'retryable' AND scheduled_at > now()`)
		return len(d.ask(t, `SELECT feed FROM schedule_slots WHERE ended IS NULL AND verdict <> 'missed'`)) == 0 && len(d.ask(t, untold)) == 0
	})
	require.Empty(t, d.waits(t, exitDone))
	require.Contains(t, d.does(t, exitDone, "status"), "\n1 message to former given up since ")
	for _, p := range replicas {
		require.NoError(t, p.Process.Signal(syscall.SIGTERM))
		require.Equal(t, exitDone, p.ends(t), &p.err)
	}

	d.requireEachLeadOnce(t, 20+95+40+40)
	d.requireTold(t)
	d.requireReported(t)
	d.requirePutAway(t)
	d.requireLogged(t, replicas)
}

// layTheMorning has bravo's drop of yesterday imported, and leaves those of today
// that are there at six.
func (d *day) layTheMorning(t *testing.T) {
	t.Helper()
	rows := func(from, to int) [][]string { return slices.Concat(contacts()[:1], contacts()[from:to]) }
	d.contacts(t, "bravo/monday.csv", rows(101, 121))
	d.does(t, exitDone, "run", "bravo")
	d.exec(t, fmt.Sprintf(`INSERT INTO schedules (feed, since, last)
		SELECT unnest('{acme,bravo,charlie}'::text[]), at - interval '1 day', at FROM (SELECT timestamptz '%s' AS at) a`, d.midnight.Format(time.RFC3339)))
	bad := rows(1, 101)
	for i := 20; i <= 100; i += 20 {
		bad[i][8] = "555-01"
	}
	d.contacts(t, "acme/leads.csv", bad)
	less := rows(121, 161)
	for i, row := range less {
		less[i] = slices.Delete(row, 10, 11) // email
	}
	d.contacts(t, "bravo/tuesday.csv", less)
}

// requireTold checks what each of those who are told was told.
func (d *day) requireTold(t *testing.T) {
	t.Helper()
	const drop = "bravo: 1 drop held"
	const late = "charlie: no file by 07:30"
	const come = "charlie: the file has come, 40 of 50 rows loaded"
	const missed = "bravo: a slot was missed"
	told := map[string]event{}
	for _, p := range d.got("monitor") {
		require.Equal(t, "Bearer Token-Of-Monitor_1", p.login)
		e := p.event(t)
		told[e.Subject] = e
	}
	outcomes := func(success, duplicate, invalid int) map[string]int {
		return map[string]int{"SUCCESS": success, "ERROR": 0, "DUPLICATE": duplicate, "INVALID": invalid, "REVIEW": 0}
	}
	require.Equal(t, map[string]event{
		"acme: 95 of 100 rows loaded": {Event: "run", Subject: "acme: 95 of 100 rows loaded", Feed: "acme", Outcomes: outcomes(95, 0, 5)},
		drop:                          {Event: "run", Subject: drop, Feed: "bravo", Trouble: true, Outcomes: outcomes(0, 0, 0)},
		missed:                        {Event: "slot_missed", Subject: missed, Feed: "bravo", Trouble: true},
		late:                          {Event: "late_drop", Subject: late, Feed: "charlie", Trouble: true},
		come:                          {Event: "run", Subject: come, Feed: "charlie", Outcomes: outcomes(40, 10, 0)},
	}, told)
	require.Len(t, d.got("monitor"), len(told), "each of it once")

	var team []string
	for _, p := range d.got("team") {
		var said struct{ Text string }
		require.NoError(t, json.Unmarshal([]byte(p.body), &said))
		subject, _, _ := strings.Cut(said.Text, "\n")
		team = append(team, subject)
	}
	require.ElementsMatch(t, []string{drop, late, come, missed}, team)
	require.Equal(t, []string{"<manager@example.com> " + late, "<manager@example.com> " + come}, d.mailed())

	pager := d.got("pager")
	require.Greater(t, len(pager), 1)
	for _, p := range pager {
		require.Equal(t, pager[0], p, "it is the same message")
	}
	require.Equal(t, "acme: 95 of 100 rows loaded", pager[0].event(t).Subject)
	require.Len(t, d.got("former"), 1)
}

// requireReported checks what is found in the ledger.
func (d *day) requireReported(t *testing.T) {
	t.Helper()
	type sums struct {
		Feed                                                      string
		Rows, Success, Error, Duplicate, Invalid, Review, Pending int
	}
	var report struct {
		Groups []sums
		Total  sums
	}
	require.NoError(t, json.Unmarshal([]byte(d.does(t, exitDone, "report", "--by", "feed", "--json")), &report))
	require.Equal(t, []sums{
		{Feed: "acme", Rows: 100, Success: 95, Invalid: 5},
		{Feed: "bravo", Rows: 60, Success: 60},
		{Feed: "charlie", Rows: 50, Success: 40, Duplicate: 10},
	}, report.Groups)
	require.Equal(t, sums{Rows: 210, Success: 195, Duplicate: 10, Invalid: 5}, report.Total)

	run := d.ask(t, `SELECT run_id::text FROM schedule_slots WHERE feed = 'acme'`)
	require.Len(t, run, 1)
	var shown struct {
		Reasons map[string]int
		History struct{ Kind, State string }
	}
	require.NoError(t, json.Unmarshal([]byte(d.does(t, exitDone, "show", run[0], "--json")), &shown))
	require.Equal(t, map[string]int{"SUCCESS added": 95, "INVALID phone_too_short": 5}, shown.Reasons)
	require.Equal(t, "run", shown.History.Kind)
	require.Equal(t, "done", shown.History.State)
}

// requirePutAway checks where files lie.
func (d *day) requirePutAway(t *testing.T) {
	t.Helper()
	var there []string
	for _, feed := range []string{"acme", "bravo", "charlie"} {
		for _, pattern := range []string{"*.*", "*/*"} {
			files, err := filepath.Glob(filepath.Join(d.dir, feed, pattern))
			require.NoError(t, err)
			there = append(there, files...)
		}
	}
	for i, file := range there {
		name, err := filepath.Rel(d.dir, file)
		require.NoError(t, err)
		there[i] = name
	}
	number := d.ask(t, `SELECT id::text FROM files WHERE feed = 'acme'`)
	require.ElementsMatch(t, []string{
		"acme/imported/leads.csv", "acme/rejects/leads.rejects-" + number[0] + ".csv",
		"bravo/imported/monday.csv", "bravo/imported/tuesday.csv", "charlie/imported/late.csv",
	}, there)
	d.requireEmptySpools(t)
}

// requireLogged checks that there is a line for each run and each drop, and for
// whatever else a person may want to know; and none for a row.
func (d *day) requireLogged(t *testing.T, replicas []*process) {
	t.Helper()
	lines := map[string]int{}
	for _, p := range replicas {
		for line := range strings.Lines(p.err.String()) {
			var l struct {
				Level, Msg string
				Feed, Name string
			}
			require.NoError(t, json.Unmarshal([]byte(line), &l))
			if l.Feed == "" {
				require.Regexp(t, "^importer serve (has started|is stopping|has ended)", l.Msg)
				continue
			}
			lines[strings.TrimSpace(fmt.Sprintf("%s %s %s %s", l.Level, l.Msg, l.Feed, l.Name))]++
		}
	}
	require.Equal(t, map[string]int{
		"INFO a slot of the schedule acme":                                    1,
		"WARN a slot of the schedule bravo":                                   1,
		"INFO a slot of the schedule bravo":                                   1,
		"INFO a slot of the schedule charlie":                                 1,
		"INFO a drop acme leads.csv":                                          1,
		"WARN a drop bravo tuesday.csv":                                       1,
		"INFO a drop charlie late.csv":                                        1,
		"INFO a run has ended acme":                                           1,
		"WARN a run has ended bravo":                                          1,
		"INFO a run has ended bravo":                                          2,
		"INFO a run has ended charlie":                                        2,
		"WARN no drop has come by the time at which one was expected charlie": 1,
		"WARN a message was not taken, trying again acme":                     1,
		"ERROR a message was not taken, and is given up acme":                 1,
	}, lines)
}

// toldConfig is a feed that is pulled when a person asks for it, and of which one
// web address is told.
const toldConfig = `serve: {listen: ""}
notify: {monitor: {webhook: {url: "${WEB}/monitor"}}}
` + hasty + `    notify: {monitor: always}
    source: {directory: {path: ./acme}, min_age: 0, settle: 0, after: archive}
`

// A message is written in one transaction with the end of its run's slot, and told
// until it is taken. A replica that is killed before that commit has another one end
// the slot, and one that is killed while its message is taken has it told once more,
// as the same.
func TestAMessageIsNotLostWithItsReplica(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	d.write(t, "importer.yaml", toldConfig)
	d.does(t, exitDone, "migrate")
	gate := d.gate(t)
	first := d.start(t, "serve")
	d.contacts(t, "acme/leads.csv", contacts())
	d.does(t, exitDone, "run", "acme", "--detach")
	d.awaits(t, "the message is written", func() bool {
		return len(d.ask(t, `SELECT 'waits' FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted`)) == 1
	})
	require.Equal(t, []string{"acme"}, d.ask(t, `SELECT feed FROM runs WHERE finished IS NOT NULL`))
	first.kill()
	first.ends(t)
	gate()

	killed := make(chan struct{})
	over := sync.OnceFunc(func() { close(killed) })
	t.Cleanup(over)
	d.mu.Lock()
	d.taken = func() { <-killed }
	d.mu.Unlock()
	second := d.start(t, "serve")
	d.awaits(t, "the message is being taken", func() bool { return len(d.got("monitor")) == 1 })
	second.kill()
	second.ends(t)
	over()

	// An hour later.
	d.exec(t, `UPDATE river_job SET attempted_at = attempted_at - interval '1 hour' WHERE state = 'running'`)
	d.exec(t, `DELETE FROM river_leader`)
	third := d.start(t, "serve")
	d.awaits(t, "the message waits", func() bool { return len(d.ask(t, `SELECT kind FROM river_job WHERE state = 'retryable'`)) == 1 })
	d.exec(t, `UPDATE river_job SET scheduled_at = now() WHERE state = 'retryable'`)
	d.awaits(t, "all is told", func() bool { return len(d.ask(t, untold)) == 0 })
	require.NoError(t, third.Process.Signal(syscall.SIGTERM))
	require.Equal(t, exitDone, third.ends(t), &third.err)
	told := d.got("monitor")
	require.Len(t, told, 2)
	require.Equal(t, told[0], told[1])
	require.Equal(t, "acme: 250 of 250 rows loaded", told[0].event(t).Subject)
	require.Equal(t, []string{"run"}, d.ask(t, `SELECT kind FROM runs`))
	d.requireEachLeadOnce(t, contactRows)
}

// gate keeps messages from being written until open is called.
func (d *day) gate(t *testing.T) (open func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.ledger)
	require.NoError(t, err)
	for _, statement := range []string{
		`CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$`,
		`CREATE TRIGGER gate BEFORE INSERT ON river_job FOR EACH ROW WHEN (NEW.kind = 'tell') EXECUTE FUNCTION gate()`,
		`SELECT pg_advisory_lock(7)`,
	} {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	open = sync.OnceFunc(func() { conn.Close(context.Background()) })
	t.Cleanup(open)
	return open
}
