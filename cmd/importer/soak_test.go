package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// soak is a site with several dialers and many feeds, which three hosts share
// that have nothing but the ledger and the vendors' folders in common.
type soak struct {
	*site
	soakSize
	random *rand.Rand

	hosts      []*process
	kills      int
	terminated int
	callable   []map[string]bool // by dialer: the numbers that are to be called
}

// soakSize is how much there is to do, and for how long it is disturbed.
type soakSize struct {
	feeds, dialers, rows int
	filesEach            int           // of each feed
	every                time.Duration // between two slots of a feed
	disturbed            time.Duration // how long replicas are killed
	between              time.Duration // two of these, at most
}

// The short form, and the long one, which IMPORTER_SOAK_FOR starts and says the
// length of. IMPORTER_SOAK_SEED repeats the choices of an earlier one.
var (
	shortSoak = soakSize{feeds: 6, dialers: 2, rows: 2000, filesEach: 2, every: 2 * time.Second, disturbed: 10 * time.Second, between: 1500 * time.Millisecond}
	longSoak  = soakSize{feeds: 20, dialers: 4, rows: 20_000, filesEach: 5, every: 5 * time.Second, between: 3 * time.Second}
)

const (
	soakHosts = 3
	// recovers is how long after the last kill all must have come to its end.
	recovers = 5 * time.Minute
)

// Three replicas share many feeds of several dialers, which lose answers and are
// slow. Replicas are killed at random moments, some are told to end, and each is
// started again. Each slot has one run, each lead is loaded once, no dialer has
// more calls than it may, and all that was begun comes to its end.
func TestReplicasKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	s := newSoak(t)
	s.disturb(t)
	lastKill := s.now(t)
	began := time.Now()
	s.heal(t)
	s.within(t, recovers, `SELECT count(*) FILTER (WHERE ended IS NULL) = 0 AND count(*) = `+strconv.Itoa(s.feeds*s.filesEach)+` FROM files`)
	s.within(t, recovers-time.Since(began), `SELECT count(*) = 0 FROM schedule_slots
		WHERE verdict IN ('run', 'queue', 'again') AND ended IS NULL AND judged < '`+lastKill+`'`)
	recovered := time.Since(began)
	s.end(t)
	s.requireSlots(t)
	s.requireCounts(t)
	s.requireLoaded(t)
	t.Logf("%d kills and %d orders to end in %s, over %s after the last one; %s slots, %s runs of which %s went from hand to hand",
		s.kills, s.terminated, s.disturbed, recovered.Round(time.Second),
		s.ask(t, `SELECT count(*)::text FROM schedule_slots`), s.ask(t, `SELECT count(*)::text FROM runs`), s.ask(t, `SELECT count(*)::text FROM runs WHERE carriers > 1`))
	require.Positive(t, s.kills)
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	size, seed := shortSoak, rand.Uint64()
	if text := os.Getenv("IMPORTER_SOAK_FOR"); text != "" {
		d, err := time.ParseDuration(text)
		require.NoError(t, err)
		size = longSoak
		size.disturbed = d
	}
	if text := os.Getenv("IMPORTER_SOAK_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("IMPORTER_SOAK_SEED=%d", seed)
	s := &soak{site: newSite(t, ""), soakSize: size, random: rand.New(rand.NewPCG(seed, 0))}
	for n := range s.dialers {
		d := s.dialer
		if n > 0 {
			var err error
			d, err = dialersim.Start(dialersim.Options{Password: dialerPassword})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, d.Close()) })
			s.more = append(s.more, d)
		}
		s.env = append(s.env, fmt.Sprintf("DIALER_%d=%s", n, d.URL()))
		s.callable = append(s.callable, map[string]bool{})
	}
	s.key = strings.Repeat("shared-by-all-hosts-", 2)
	s.env = append(s.env, "LEDGER_KEY="+s.key)
	s.watch.secrets = append(s.watch.secrets, s.key)
	for host := range soakHosts {
		s.write(t, s.config(host), s.configuration(host))
	}
	for feed := range s.feeds {
		require.NoError(t, os.MkdirAll(s.folder(feed), 0o700))
	}
	s.upsetAll(t, seed)
	return s
}

func (s *soak) config(host int) string { return fmt.Sprintf("host-%d.yaml", host) }

func (s *soak) folder(feed int) string { return filepath.Join(s.dir, "drops", feedName(feed)) }

func feedName(feed int) string { return fmt.Sprintf("feed%02d", feed) }

// configuration is a host's: its state directory is its own.
func (s *soak) configuration(host int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `state_dir: ./state-%d
ledger: {dsn: "${LEDGER}", hmac_key: "${LEDGER_KEY}", lease: 1s}
serve: {listen: "", runs: 3, stop_timeout: 30s}
dialers:
`, host)
	for n := range s.dialers {
		fmt.Fprintf(&b, `  dialer%d:
    url: ${DIALER_%d}
    user: importer
    password: ${DIALER_PASSWORD}
    concurrency: %d
    timeout: 2s
    send_within: 1s
    quiescence: 3s
    stop_after: 1m
`, n, n, s.limit)
	}
	b.WriteString("feeds:\n")
	for feed := range s.feeds {
		fmt.Fprintf(&b, `  %s:
    dialer: dialer%d
    list_id: 101
    schedule: "@every %s"
    overlap: %s
    source:
      directory: {path: ./drops/%[1]s, pattern: "*.csv"}
      min_age: 0
      settle: 0
      after: archive
`, feedName(feed), feed%s.dialers, s.every, []string{"skip", "queue"}[feed%2])
	}
	return b.String()
}

// soakMoods are what goes wrong at the dialers.
var soakMoods = []string{
	"lost-answer add_lead p=0.02", "reset-answer add_lead p=0.01", "lost-request add_lead p=0.01", "late add_lead p=0.005 value=200ms",
	"slow add_lead p=0.02 value=600ms", "lost-answer lead_search p=0.05", "slow lead_search p=0.05 value=300ms", "lost-answer lead_field_info p=0.05",
}

// upsetAll puts all dialers into their moods. Every call takes its time, so that
// replicas are killed at work.
func (s *soak) upsetAll(t *testing.T, seed uint64) {
	t.Helper()
	var rules []dialersim.Rule
	for _, mood := range soakMoods {
		rule, err := dialersim.ParseRule(mood)
		require.NoError(t, err)
		rules = append(rules, rule)
	}
	for n, d := range s.everyDialer() {
		require.NoError(t, d.SetRules(seed+uint64(n), rules...))
		d.SetFault(func(q *dialersim.Request) dialersim.Fault {
			if q.Function != "add_lead" {
				return dialersim.Fault{}
			}
			return dialersim.Fault{Delay: 25 * time.Millisecond}
		})
		d.AddDNC("SYSTEM_INTERNAL", s.number(n, 0))
		d.AddDNC("SYSTEM_INTERNAL", s.number(n, 77))
	}
}

func (s *soak) heal(t *testing.T) {
	t.Helper()
	for _, d := range s.everyDialer() {
		require.NoError(t, d.SetRules(0))
	}
}

// number is one of the invented ones of a dialer's people.
func (s *soak) number(dialer, n int) string {
	n += dialer * s.rows / s.dialers
	return fmt.Sprintf("%s555%04d", soakAreas[n/100], 100+n%100)
}

// soakAreas are area codes: each has a hundred numbers that nobody has.
var soakAreas = strings.Fields(`
	201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240
	248 251 252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314
	315 316 317 318 319 320 321 323 325 330 334 336 337 339 347 351 352 360 361 386 401 402 404 405 406
	407 408 409 410 412 413 414 415 417 419 423 425 432 434 435 440 443 469 478 479 480 484 501 502 503
	504 505 507 508 509 510 512 513 515 516 517 518 520 530 540 541 551 559 561 562 563 567 570 571 573
	574 580 585 586 601 602 603 605 606 607 608 609 610 612 614 615 616 617 618 619 620 623 626 630 631
	636 641 646 650 651 660 661 662 678 682 701 702 703 704 706 707 708 712 713 714 715 716 717 718 719
	720 724 727 731 732 734 740 754 757 760 763 765 770 772 773 774 775 781 785 786 801 802 803 804 805`)

// people are the rows of a file. Most are new, some are in its dialer's other
// files too, some have no usable number.
func (s *soak) people(f laid) [][]string {
	rows := [][]string{{"first_name", "last_name", "phone"}}
	each := s.rows / s.feeds / s.filesEach
	dialer := f.feed % s.dialers
	first := (f.feed/s.dialers*s.filesEach + f.number) * each
	for i := range each {
		phone := s.number(dialer, first+i)
		switch s.random.IntN(20) {
		case 0:
			phone = s.number(dialer, s.random.IntN(s.rows/s.dialers))
		case 1:
			phone = "555-01"
		}
		if len(phone) == 10 && phone != s.number(dialer, 0) && phone != s.number(dialer, 77) {
			s.callable[dialer][phone] = true
		}
		rows = append(rows, []string{"Ada", "Ashgrove", phone})
	}
	return rows
}

// disturb kills replicas for a while, in which the vendors leave their files.
func (s *soak) disturb(t *testing.T) {
	t.Helper()
	for host := range soakHosts {
		s.hosts = append(s.hosts, s.start(t, "serve", "--config", s.config(host)))
	}
	files := s.drawFiles()
	began := time.Now()
	for next := s.pause(); time.Since(began) < s.disturbed || len(files) > 0; {
		for len(files) > 0 && time.Since(began) > files[0].at {
			s.lay(t, files[0])
			files = files[1:]
		}
		if time.Since(began) > next {
			s.disturbOne(t)
			next = time.Since(began) + s.pause()
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.kill(t, s.random.IntN(soakHosts))
}

// laid is a file that is left at its feed's place so long after the beginning.
type laid struct {
	feed, number int
	at           time.Duration
	rows         [][]string
}

// drawFiles are all files, in their order.
func (s *soak) drawFiles() (files []laid) {
	for feed := range s.feeds {
		for n := range s.filesEach {
			f := laid{feed: feed, number: n, at: time.Duration(s.random.Int64N(int64(s.disturbed) * 3 / 4))}
			f.rows = s.people(f)
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b laid) int { return cmp.Compare(a.at, b.at) })
	return files
}

func (s *soak) pause() time.Duration { return time.Duration(s.random.Int64N(int64(s.between))) }

// lay leaves a file at its feed's place, whole.
func (s *soak) lay(t *testing.T, f laid) {
	t.Helper()
	name := fmt.Sprintf("%s-%d.csv", feedName(f.feed), f.number)
	path := filepath.Join("drops", feedName(f.feed), name)
	s.contacts(t, path, f.rows)
	s.files[name] = s.files[path]
	delete(s.files, path)
}

// disturbOne ends a replica, mostly as a power cut does, and starts another on
// its host.
func (s *soak) disturbOne(t *testing.T) {
	t.Helper()
	host := s.random.IntN(soakHosts)
	if s.random.IntN(5) != 0 {
		s.kill(t, host)
		return
	}
	s.hosts[host].terminate(t)
	s.terminated++
	s.hosts[host] = s.start(t, "serve", "--config", s.config(host))
}

func (s *soak) kill(t *testing.T, host int) {
	t.Helper()
	p := s.hosts[host]
	p.kill()
	require.Equal(t, -1, p.ends(t), &p.err)
	s.kills++
	s.hosts[host] = s.start(t, "serve", "--config", s.config(host))
}

// terminate orders a replica to end. One that was only just started may not have
// got as far as to listen for that.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Process.Signal(sigterm))
	if status := p.ends(t); status != -1 || strings.Contains(p.err.String(), "has started") {
		require.Zero(t, status, &p.err)
	}
}

// end lets no run begin any more, and ends the replicas when none is going.
func (s *soak) end(t *testing.T) {
	t.Helper()
	s.exec(t, `UPDATE schedules SET paused = now()`)
	s.within(t, time.Minute, `SELECT count(*) = 0 FROM schedule_slots WHERE verdict IN ('run', 'queue', 'again') AND ended IS NULL`)
	var all sync.WaitGroup
	for _, p := range s.hosts {
		all.Go(func() { p.terminate(t) })
	}
	all.Wait()
	for _, d := range s.everyDialer() {
		waitFor(t, func() bool { return d.InFlight("") == 0 })
	}
	// What killed hosts have left in their spools goes with their next run.
	for host := range soakHosts {
		for feed := range s.feeds {
			if copies, _ := filepath.Glob(filepath.Join(s.dir, fmt.Sprintf("state-%d", host), "spool", feedName(feed), "*")); len(copies) > 1 {
				p := s.start(t, "run", feedName(feed), "--config", s.config(host))
				require.Zero(t, p.ends(t), &p.err)
			}
		}
	}
}

// requireSlots requires each slot to have been judged once, none to be missing
// between the first and the last, and each that runs to have had one run.
func (s *soak) requireSlots(t *testing.T) {
	t.Helper()
	require.Empty(t, s.ask(t, `SELECT feed || ' ' || slot FROM schedule_slots WHERE ended IS NULL AND verdict IN ('run', 'queue', 'again') OR run_id IS NULL AND verdict IN ('run', 'queue')`))
	require.Empty(t, s.ask(t, `SELECT feed || ' ' || slot FROM schedule_slots WHERE verdict IN ('missed', 'overlap', 'paused') AND run_id IS NOT NULL`))
	require.Empty(t, s.ask(t, `SELECT run_id::text FROM schedule_slots WHERE run_id IS NOT NULL GROUP BY run_id HAVING count(*) > 1`))
	require.Empty(t, s.ask(t, `SELECT id::text FROM runs WHERE finished IS NULL`))
	s.requireEverySlot(t, s.every)
	require.Len(t, s.ask(t, `SELECT DISTINCT feed FROM schedule_slots`), s.feeds)
}

// requireCounts requires what the ledger says of the runs to add up.
func (s *soak) requireCounts(t *testing.T) {
	t.Helper()
	const counted = `
		WITH counted AS (
			SELECT run_id, drop_id, (SELECT sum(n.value::int) FROM jsonb_each(counts::jsonb) s, jsonb_each_text(s.value) n) AS n,
				run_id = max(run_id) OVER (PARTITION BY drop_id) AS last
			FROM run_drops WHERE NOT already)
		SELECT concat_ws(' ', 'run', run_id, 'drop', drop_id, 'counts', n, 'of', recorded) FROM counted JOIN drops ON id = drop_id
		WHERE n IS NULL OR n > recorded OR last AND n <> recorded`
	require.Empty(t, s.ask(t, counted))
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var calls, settled int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT (SELECT sum(calls) FROM runs), (SELECT count(*) FROM rows WHERE reason = 'added' OR state = 'rejected')`).Scan(&calls, &settled))
	made := 0
	for _, d := range s.everyDialer() {
		made += d.Calls("add_lead")
	}
	require.GreaterOrEqual(t, calls, settled)
	require.LessOrEqual(t, calls, made)
}

// requireLoaded requires whoever may be called to be at his dialer once, and the
// ledger to say so.
func (s *soak) requireLoaded(t *testing.T) {
	t.Helper()
	for n, d := range s.everyDialer() {
		require.Equal(t, len(s.callable[n]), d.Len())
		require.Empty(t, twice(d))
		require.LessOrEqual(t, d.MaxInFlight(""), s.limit)
	}
	v := s.judge(t)
	v.require(t)
	require.Equal(t, s.rows/s.feeds/s.filesEach*s.feeds*s.filesEach, v.rows)
}

// now is PostgreSQL's.
func (s *site) now(t *testing.T) string {
	t.Helper()
	return s.ask(t, `SELECT clock_timestamp()::text`)[0]
}

// within asks the ledger until it says true, for so long.
func (s *site) within(t *testing.T, limit time.Duration, question string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	require.Eventually(t, func() bool {
		var yes bool
		require.NoError(t, conn.QueryRow(t.Context(), question).Scan(&yes))
		return yes
	}, limit, 50*time.Millisecond, question)
}
