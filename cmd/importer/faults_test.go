package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"os/exec"
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

// The faults of docs/faults.md, done to the real program: each test's name is
// the promise, and its outcome is held against what the dialer was made to
// insert.

// brisk is a configuration whose waits are as short as a crowded machine allows,
// where anybody may have to wait for his turn for two seconds: an answer that is
// on its way is not taken for lost meanwhile. with changes some of them.
const brisk = `state_dir: ./state
ledger: {dsn: "${LEDGER}", lease: 1s, wait: 2m}
dialers:
  main:
    url: ${DIALER_URL}
    user: importer
    password: ${DIALER_PASSWORD}
    concurrency: 4
    timeout: 3s
    send_within: 2s
    quiescence: 1s
    stop_after: 30s
feeds:
  acme: {dialer: main, list_id: 101}
`

// with changes keys of a configuration: "timeout: 2s" takes the place of
// whatever timeout was.
func with(config string, changes ...string) string {
	for _, c := range changes {
		key, value, _ := strings.Cut(c, ": ")
		before, rest, ok := strings.Cut(config, key+": ")
		if !ok {
			panic("the configuration has no " + key)
		}
		end := strings.IndexAny(rest, ",}\n")
		config = before + key + ": " + value + rest[end:]
	}
	return config
}

// faultySite is a site with a file of so many contacts.
func faultySite(t *testing.T, rows int, config string) *site {
	t.Helper()
	s := newSite(t, config)
	s.contacts(t, "contacts.csv", contacts()[:rows+1])
	return s
}

// imports starts the import of the site's file.
func (s *site) imports(t *testing.T, more ...string) *process {
	t.Helper()
	return s.start(t, append([]string{"import", "contacts.csv", "--feed", "acme", "--json"}, more...)...)
}

// row is the place in the file, from 0, of the contact that an add_lead is about.
func row(r *dialersim.Request) int {
	phone := r.Get("phone_number")
	n, err := strconv.Atoi(phone[len(phone)-4:])
	if err != nil {
		return -1
	}
	return n - 100 + map[string]int{"305": 0, "212": 100, "415": 200}[phone[:3]]
}

// firstCalls lets choose say what goes wrong with the first add_lead of each
// row. Nothing goes wrong with later ones.
func (s *site) firstCalls(choose func(row int) dialersim.Fault) {
	var mu sync.Mutex
	seen := map[int]bool{}
	s.adds = func(r *dialersim.Request) dialersim.Fault {
		n := row(r)
		mu.Lock()
		again := seen[n]
		seen[n] = true
		mu.Unlock()
		if again {
			return dialersim.Fault{}
		}
		return choose(n)
	}
	s.others(func(*dialersim.Request) dialersim.Fault { return dialersim.Fault{} })
}

// others lets choose say what goes wrong with everything but add_lead, beside
// what firstCalls has said.
func (s *site) others(choose func(*dialersim.Request) dialersim.Fault) {
	adds := s.adds
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		if r.Function == "add_lead" && adds != nil {
			return adds(r)
		}
		return choose(r)
	})
}

// instead makes a fault of what takes an answer's place.
func instead(status int, body string) func(*dialersim.Response) {
	return func(a *dialersim.Response) { a.Status, a.Body = status, []byte(body) }
}

func lose(a *dialersim.Response) { a.Drop = true }

// A fate is how a row stands in the ledger.
type fate struct {
	record, attempt, lost int
	state, reason, phone  string
	leadID                int64
}

// fates are the ledger's rows, in the order of the file.
func (s *site) fates(t *testing.T) []fate {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	rows, err := conn.Query(t.Context(), `
		SELECT r.record, r.attempt, r.lost, r.state::text, r.reason, coalesce(w.lead ->> 'phone_number', ''), coalesce(r.lead_id, 0)
		FROM rows r JOIN row_data w USING (month, drop_id, record) ORDER BY r.drop_id, r.record`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f fate, err error) {
		return f, row.Scan(&f.record, &f.attempt, &f.lost, &f.state, &f.reason, &f.phone, &f.leadID)
	})
	require.NoError(t, err)
	return list
}

// requireTruth holds the ledger against the dialer: so many rows, each of them
// settled; what is SUCCESS is there once, under the lead id that the ledger
// says; what is REVIEW at most once, everything else not at all. It counts the
// rows by state and reason.
func (s *site) requireTruth(t *testing.T, rows int) map[string]int {
	t.Helper()
	inserted := map[string][]int64{}
	for _, i := range s.dialer.Inserts() {
		inserted[i.Phone] = append(inserted[i.Phone], i.LeadID)
	}
	counts := map[string]int{}
	list := s.fates(t)
	for _, f := range list {
		counts[f.state+" "+f.reason]++
		said := fmt.Sprintf("%+v", f)
		switch f.state {
		case "succeeded":
			require.Equal(t, []int64{f.leadID}, inserted[f.phone], said)
		case "review":
			require.LessOrEqual(t, len(inserted[f.phone]), 1, said)
		case "rejected", "failed", "invalid":
			require.Empty(t, inserted[f.phone], said)
		default:
			require.Fail(t, "a row has no outcome", said)
		}
	}
	require.Len(t, list, rows)
	return counts
}

// requireAllLoaded says that each row is SUCCESS, once at the dialer, and was
// brought there within the limit of calls in flight. It returns how many of
// them are known by a lookup.
func (s *site) requireAllLoaded(t *testing.T, rows int) (reconciled int) {
	t.Helper()
	require.LessOrEqual(t, s.dialer.MaxInFlight(""), 4)
	return s.requireLoadedOnce(t, rows)
}

// requireLoadedOnce is requireAllLoaded after more calls were abandoned for
// longer than the quiescence: their slots have been given to others.
func (s *site) requireLoadedOnce(t *testing.T, rows int) (reconciled int) {
	t.Helper()
	counts := s.requireTruth(t, rows)
	require.Equal(t, rows, counts["succeeded added"]+counts["succeeded reconciled"], "%v", counts)
	return counts["succeeded reconciled"]
}

// requireNothingSent says that no row has gone anywhere.
func (s *site) requireNothingSent(t *testing.T, rows int) {
	t.Helper()
	require.Empty(t, s.dialer.Inserts())
	require.Equal(t, map[string]int{"pending": rows}, s.states(t))
}

// eventually asks the ledger until it says true.
func (s *site) eventually(t *testing.T, question string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	waitFor(t, func() bool {
		var yes bool
		require.NoError(t, conn.QueryRow(t.Context(), question).Scan(&yes))
		return yes
	})
}

// waitFor asks until the answer is yes.
func waitFor(t *testing.T, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !yes(); time.Sleep(5 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "it never came about")
	}
}

// host is where the site's dialer listens.
func (s *site) host(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(s.dialer.URL())
	require.NoError(t, err)
	return u.Host
}

// through sends the site's importers to another address.
func (s *site) through(base string) {
	s.env = append(s.env, "DIALER_URL="+base+dialersim.APIPath)
}

// journal keeps every add_lead that reached the dialer.
type journal struct {
	mu      sync.Mutex
	entries []entry
}

// entry is one attempt at a row. Each attempt carries a token of its own, which
// ends with the attempt's number.
type entry struct {
	row, attempt int
}

func (j *journal) note(r *dialersim.Request) {
	if r.Function != "add_lead" {
		return
	}
	_, text, _ := strings.Cut(r.Get("source_id"), "-")
	attempt, err := strconv.Atoi(text)
	if err != nil {
		attempt = -1
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, entry{row(r), attempt})
}

func (j *journal) all() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

// requireEachAttemptOnce says that no attempt reached the dialer twice.
func (j *journal) requireEachAttemptOnce(t *testing.T) {
	t.Helper()
	seen := map[entry]bool{}
	for _, e := range j.all() {
		require.Positive(t, e.attempt, "%+v", e)
		require.False(t, seen[e], "sent twice: %+v", e)
		seen[e] = true
	}
}

// quiet swallows what a test's own web servers complain of.
var quiet = log.New(io.Discard, "", 0)

// peakMemory is the most memory that a process has held so far, in bytes; where
// the system does not tell that, what it holds now.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err == nil {
		_, text, _ = bytes.Cut(text, []byte("VmHWM:"))
	} else {
		text, err = exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
		require.NoError(t, err)
	}
	var kB int
	_, err = fmt.Sscan(string(text), &kB)
	require.NoError(t, err)
	return kB << 10
}
