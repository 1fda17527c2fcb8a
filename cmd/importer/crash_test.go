package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// hasty is a configuration whose waits are as short as a crowded machine
// allows: the quiescence is still by a multiple longer than the dialer's moods
// are late, and as long as the dialer may have to wait for its turn.
const hasty = `state_dir: ./state
ledger: {dsn: "${LEDGER}", lease: 300ms}
dialers:
  main:
    url: ${DIALER_URL}
    user: importer
    password: ${DIALER_PASSWORD}
    concurrency: 4
    timeout: 500ms
    send_within: 300ms
    quiescence: 3s
    stop_after: 20s
feeds:
  acme:
    dialer: main
    list_id: 101
`

// newCrashSite is a site with two files that have the same people in them,
// some of them more than once, some unusable, and some that must not be called.
func newCrashSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t, hasty)
	s.program = crashable(t)
	s.contacts(t, "contacts.csv", crowd(contacts()))
	s.contacts(t, "again.csv", shuffled(crowd(contacts())))
	for _, phone := range dnc {
		s.dialer.AddDNC("SYSTEM_INTERNAL", phone)
	}
	return s
}

// dnc are numbers of the contacts that must not be called.
var dnc = []string{"3055550100", "3055550150", "2125550120"}

// crowd adds to contacts: people who are there already, those that must not be
// called among them, and rows that cannot become leads.
func crowd(rows [][]string) [][]string {
	const phone = 8
	rows = slices.Clone(rows)
	for i := 1; i < contactRows; i += 10 {
		rows = append(rows, rows[i], rows[i])
	}
	for i := range 5 {
		bad := slices.Clone(rows[1+i])
		bad[phone] = "555-01"
		rows = slices.Insert(rows, 20*i+7, bad)
	}
	return rows
}

// finish heals the dialer, but for a block of its table, and lets importers
// bring everything to its end.
func (s *site) finish(t *testing.T) {
	t.Helper()
	require.NoError(t, s.dialer.SetRules(0))
	s.dialer.SetFault(nil)
	rows, files := 0, []string{}
	for name, n := range s.files {
		rows += n
		files = append(files, name)
	}
	slices.Sort(files)
	var p *process
	// A claim that passed to a file of the same run is the next one's business.
	for range 2 {
		p = s.start(t, slices.Concat([]string{"import"}, files, []string{"--feed", "acme", "--json"})...)
		require.Contains(t, []int{exitDone, exitPerson}, p.ends(t), &p.err)
	}
	r := p.result(t)
	// A person gives another chance to rows whose lookups were in vain for too
	// long, until the table takes writes again.
	for s.states(t)["review"] > 0 {
		p = s.start(t, "retry", strconv.FormatInt(r.Run, 10), "--outcome", "review")
		require.Contains(t, []int{exitDone, exitPerson}, p.ends(t), &p.err)
	}
	require.Zero(t, r.Pending, &p.out)
	// What one of these was refused may have passed to a file that was done.
	p = s.start(t, slices.Concat([]string{"import"}, files, []string{"--feed", "acme"})...)
	require.Contains(t, []int{exitDone, exitPerson}, p.ends(t), &p.err)
	sum := 0
	for _, n := range r.Outcomes {
		sum += n
	}
	require.Equal(t, rows, r.Rows)
	require.Equal(t, rows, sum)
	p = s.start(t, "reconcile")
	require.Contains(t, []int{exitDone, exitPerson}, p.ends(t), &p.err)
	s.awaitDialer(t) // what it has still to carry out counts too
}

// shortKills is how many importers the short form kills at random moments.
// IMPORTER_CRASH_KILLS makes it so many, IMPORTER_CRASH_FOR as many as so long
// a time allows, and IMPORTER_CRASH_SEED repeats the round of one seed.
const shortKills = 18

// How many rounds go on at once: they mostly wait.
const (
	shortLanes = 4 // other tests run beside them
	longLanes  = 8
)

// Importers of two files, alone and side by side, are killed at random moments
// while the dialer loses requests and answers, is late, blocked and broken.
// Healed, the same commands load every lead once, and the ledger says what the
// dialer's log says.
func TestKilledAtRandomMoments(t *testing.T) { //nolint:tparallel // the lanes are one step, counted when all have ended
	t.Parallel()
	crashable(t)
	c := newCrashes(t)
	began := time.Now()
	t.Run("lanes", func(t *testing.T) {
		for range c.lanes {
			t.Run("lane", func(t *testing.T) {
				t.Parallel()
				for {
					seed, ok := c.next()
					if !ok {
						return
					}
					if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { c.round(t, seed) }) {
						c.fail(seed)
					}
				}
			})
		}
	})
	t.Logf("%d kills in %d rounds of %d rows in %s: %d missing, %d twice, %d otherwise wrong; failed: %v",
		c.kills, c.rounds, c.rows, time.Since(began).Round(time.Second), c.missing, c.twice, c.wrong, c.failed)
	require.Positive(t, c.kills, "no importer was killed at work")
}

// crashes are the rounds of one test.
type crashes struct {
	lanes int

	mu    sync.Mutex
	seed  uint64 // the only one, if it is not 0
	goal  int    // kills, if it is not 0
	until time.Time

	kills, rounds, rows, missing, twice, wrong int
	failed                                     []uint64
}

func newCrashes(t *testing.T) *crashes {
	t.Helper()
	c := &crashes{lanes: shortLanes, goal: shortKills}
	if text := os.Getenv("IMPORTER_CRASH_SEED"); text != "" {
		var err error
		c.seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	if text := os.Getenv("IMPORTER_CRASH_FOR"); text != "" {
		d, err := time.ParseDuration(text)
		require.NoError(t, err)
		c.lanes, c.goal, c.until = longLanes, 0, time.Now().Add(d)
	}
	if text := os.Getenv("IMPORTER_CRASH_KILLS"); text != "" {
		var err error
		c.lanes = longLanes
		c.goal, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	return c
}

// next is the seed of the next round, if there shall be one.
func (c *crashes) next() (seed uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.seed != 0:
		ok = c.rounds == 0
		seed = c.seed
	case c.goal > 0:
		ok = c.kills < c.goal
		seed = rand.Uint64()
	default:
		ok = time.Now().Before(c.until)
		seed = rand.Uint64()
	}
	if ok {
		c.rounds++
	}
	return seed, ok
}

func (c *crashes) killed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kills++
}

func (c *crashes) fail(seed uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, seed)
}

func (c *crashes) judged(v verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows += v.rows
	c.missing += len(v.missing)
	c.twice += len(v.twice)
	c.wrong += len(v.wrong)
}

// round kills some importers of a new site and judges what comes of it.
func (c *crashes) round(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	s := newCrashSite(t)
	s.upset(t, r)
	block := 300 * time.Millisecond
	if r.IntN(3) == 0 {
		// Longer than all waits for a lost call. What is promised of the calls
		// in flight ends with a killed importer's lease.
		block, s.limit = 5*time.Second, math.MaxInt
	}
	var blocking sync.WaitGroup
	defer blocking.Wait()
	for range 3 + r.IntN(6) {
		if r.IntN(4) == 0 {
			long := block/2 + time.Duration(r.Int64N(int64(block/2)))
			blocking.Go(func() {
				release := s.dialer.Block()
				time.Sleep(long)
				release()
			})
		}
		var ps []*process
		for _, command := range commandsAt(r) {
			ps = append(ps, s.start(t, strings.Fields(command)...))
		}
		s.awaitMoment(r)
		for _, p := range ps {
			p.kill()
			if p.ends(t) == -1 {
				c.killed()
			}
		}
	}
	s.finish(t)
	v := s.judge(t)
	c.judged(v)
	v.require(t)
}

// commandsAt are the importers that work at once.
func commandsAt(r *rand.Rand) []string {
	const both, first, second = "import contacts.csv again.csv --feed acme", "import contacts.csv --feed acme", "import again.csv --feed acme"
	choices := [][]string{
		{both},
		{first},
		{second},
		{first, second},
		{both, both},
		{first + " --no-wait"},
		{second, "reconcile"},
	}
	return choices[r.IntN(len(choices))]
}

// awaitMoment waits for a random moment: half of them by the clock, half a
// moment after so many more calls, since an importer waits more than it works.
func (s *site) awaitMoment(r *rand.Rand) {
	const longest = 1200 * time.Millisecond
	if r.IntN(2) == 0 {
		time.Sleep(time.Duration(r.Int64N(int64(longest))))
		return
	}
	calls := s.dialer.Calls("") + 1 + r.IntN(120)
	for began := time.Now(); s.dialer.Calls("") < calls && time.Since(began) < 2*longest; {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(r.Int64N(int64(5 * time.Millisecond))))
}

// moods are what a round's dialer may be like.
var moods = []string{
	"lost-request add_lead p=0.02", "lost-answer add_lead p=0.02", "reset-request add_lead p=0.02", "reset-answer add_lead p=0.02",
	"late add_lead p=0.02 value=200ms", "slow add_lead p=0.02 value=600ms", "truncated add_lead p=0.02", "busy add_lead p=0.02 value=0",
	"error-before add_lead p=0.02", "error-after add_lead p=0.02", "page-before add_lead p=0.02", "page-after add_lead p=0.02",
	"fatal-before add_lead p=0.02", "fatal-after add_lead p=0.02", "empty-before add_lead p=0.02", "empty-after add_lead p=0.02",
	"connect-error add_lead p=0.02", "early-500 add_lead p=0.02", "insert-fails add_lead p=0.02", "log-fails add_lead p=0.02",
	"warnings add_lead p=0.1", "notices add_lead p=0.1", "lost-answer update_lead p=0.2", "lookup-fails update_lead p=0.2",
	"lost-answer lead_search p=0.1", "truncated lead_search p=0.1", "lookup-error lead_search p=0.1", "lookup-mixed lead_search p=0.1",
	"lookup-lies lead_search p=0.1", "lookup-lies lead_field_info p=0.1", "lookup-fails lead_field_info p=0.1", "lookup-short lead_search p=0.1",
}

// upset puts the dialer into some of its moods. It says of some numbers that
// they must not be called, and the next time that they may: who has the same
// number is added then.
func (s *site) upset(t *testing.T, r *rand.Rand) {
	t.Helper()
	const some = 10
	var rules []dialersim.Rule
	for _, i := range r.Perm(len(moods))[:some] {
		rule, err := dialersim.ParseRule(moods[i])
		require.NoError(t, err)
		rules = append(rules, rule)
	}
	require.NoError(t, s.dialer.SetRules(r.Uint64(), rules...))
	var mu sync.Mutex
	refuse := map[string]bool{"3055550110": true, "3055550140": true, "2125550150": true}
	s.dialer.SetFault(func(q *dialersim.Request) dialersim.Fault {
		mu.Lock()
		defer mu.Unlock()
		if phone := q.Get("phone_number"); q.Function == "add_lead" && refuse[phone] {
			delete(refuse, phone)
			return dialersim.Fault{Skip: true, Answer: func(a *dialersim.Response) {
				a.Body = []byte("ERROR: add_lead PHONE NUMBER IN DNC - " + phone + "|importer\n")
			}}
		}
		return dialersim.Fault{Delay: 2 * time.Millisecond}
	})
}
