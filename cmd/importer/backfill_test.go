package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/config"
	"importer/internal/nonagent/dialersim"
	"importer/internal/source/sourcetest"
)

const backfilledDays = 60

// newBackfill is a vendor's site with a file for each of many days, every other
// one of them in the archive. Each has three people, and one of the day before.
func newBackfill(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{site: newSite(t, ""), place: sourcetest.Dir(t), ends: map[string]string{}}
	v.write(t, "importer.yaml", hasty+"    source:"+eager+fmt.Sprintf("      directory: {path: %q, pattern: 'leads-{{.Date \"20060102\"}}.csv'}\n", v.place))
	all := manyContacts(3*backfilledDays + 1)
	require.NoError(t, os.Mkdir(filepath.Join(v.place, "imported"), 0o750))
	for day := range backfilledDays {
		name := time.Date(2026, 9, 1+day, 0, 0, 0, 0, time.UTC).Format("leads-20060102.csv")
		content := v.people(name, slices.Concat(all[:1], all[1+3*day:5+3*day]))
		if day%2 == 0 {
			v.lay(t, name, content)
			continue
		}
		v.ends["imported/"+name] = string(content)
		require.NoError(t, os.WriteFile(filepath.Join(v.place, "imported", name), content, 0o600))
	}
	return v
}

func (v *vendor) backfill(t *testing.T) *process {
	t.Helper()
	return v.start(t, "backfill", "acme", "--since", "2026-09-01", "--until", "2026-10-30", "--json")
}

// end is what has become of each row and each file.
func (v *vendor) end(t *testing.T) []string {
	t.Helper()
	v.requireEachLeadOnce(t, 3*backfilledDays+1)
	v.requireOracle(t)
	v.requireTidy(t)
	rows := v.ask(t, `SELECT concat_ws(' ', name, record, rows.state) FROM rows JOIN drops ON drops.id = drop_id`)
	slices.Sort(rows)
	require.Len(t, rows, 4*backfilledDays)
	return rows
}

func TestABackfillKilledTwiceEndsAsOneThatWasNot(t *testing.T) {
	t.Parallel()
	clean := newBackfill(t)
	p := clean.backfill(t)
	require.Equal(t, exitDone, p.ends(t), &p.err)
	require.Equal(t, backfilledDays, p.result(t).Files)
	require.Equal(t, 3*backfilledDays+1, p.result(t).Calls)

	killed := newBackfill(t)
	for _, nth := range []int{50, 120} {
		reached, release := killed.at(t, nth)
		p := killed.backfill(t)
		<-reached
		p.kill()
		require.Equal(t, -1, p.ends(t))
		release()
		killed.awaitDialer(t)
	}
	p = killed.backfill(t)
	require.Equal(t, exitDone, p.ends(t), &p.err)
	require.Less(t, p.result(t).Files, backfilledDays/2, "what was imported before the second kill is not fetched again")
	require.Equal(t, clean.end(t), killed.end(t))

	calls := killed.dialer.Calls("")
	p = killed.backfill(t)
	require.Equal(t, exitDone, p.ends(t), &p.err)
	again := p.result(t)
	require.Zero(t, again.Files)
	require.Zero(t, again.Calls)
	require.Equal(t, backfilledDays, again.Known)
	require.Equal(t, calls, killed.dialer.Calls(""), "nothing was asked either")
	killed.end(t)
}

func TestABackfillAsksForAQuarterOfTheCallsAndForTwoAtLeast(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]int{1: 1, 3: 2, 8: 2, 40: 10} {
		got, err := backfilling{}.share(limit)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, err := backfilling{calls: 8}.share(8)
	require.NoError(t, err)
	require.Equal(t, 8, got)
}

// lane is one list's way through a dialer that holds calls back.
type lane struct {
	mu           sync.Mutex
	gate         chan struct{} // not nil: calls wait until it is closed
	flying, made int
}

func (l *lane) pass() {
	l.mu.Lock()
	l.flying++
	l.made++
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

func (l *lane) left() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying--
}

// now is how many calls are in flight, and how many there have been.
func (l *lane) now() (flying, made int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flying, l.made
}

// hold keeps the lane's calls until the returned function is called.
func (l *lane) hold(t *testing.T) (release func()) {
	t.Helper()
	gate := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = gate
	release = sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.gate = nil
		close(gate)
	})
	t.Cleanup(release)
	return release
}

func (l *lane) await(t *testing.T, is func(flying, made int) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return is(l.now()) }, time.Minute, 5*time.Millisecond)
}

func TestABackfillMakesWayForAMorningAndGoesOn(t *testing.T) {
	t.Parallel()
	const limit = 6
	v := &vendor{site: newSite(t, ""), place: sourcetest.Dir(t), ends: map[string]string{}}
	v.limit = limit
	config := strings.NewReplacer("concurrency: 4", fmt.Sprint("concurrency: ", limit), "timeout: 500ms", "timeout: 30s").Replace(hasty)
	v.write(t, "importer.yaml", config+"    source:"+eager+fmt.Sprintf("      directory: {path: %q, pattern: 'leads-{{.Date \"20060102\"}}.csv'}\n", v.place)+
		"  morning: {dialer: main, list_id: 102}\n")
	people := manyContacts(1200)
	v.lay(t, "leads-20260901.csv", v.people("leads-20260901.csv", people[:1001]))
	v.write(t, "morning.csv", string(v.people("morning.csv", slices.Concat(people[:1], people[1001:]))))

	lanes := map[string]*lane{"101": {}, "102": {}}
	v.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		l := lanes[r.Get("list_id")]
		if r.Function != "add_lead" || l == nil {
			return dialersim.Fault{}
		}
		l.pass()
		return dialersim.Fault{Delay: 50 * time.Millisecond, Answer: func(*dialersim.Response) { l.left() }}
	})
	older, fresh := lanes["101"], lanes["102"]
	some := func(_, made int) bool { return made > 20 }
	all := func(flying, _ int) bool { return flying == limit }

	backfill := v.start(t, "backfill", "acme", "--since", "2026-09-01", "--until", "2026-09-01", "--concurrency", fmt.Sprint(limit))
	older.await(t, some)
	release := older.hold(t)
	older.await(t, all)
	morning := v.start(t, "import", "morning.csv", "--feed", "morning")
	v.eventually(t, `SELECT count(*) = 2 FROM slots`) // both want calls
	release()
	fresh.await(t, some)
	release = fresh.hold(t)
	fresh.await(t, func(flying, _ int) bool { return flying == limit-1 })
	_, before := older.now()
	older.await(t, func(_, made int) bool { return made > before+5 })
	release()
	require.Zero(t, morning.ends(t), &morning.err)
	release = older.hold(t)
	older.await(t, all)
	release()
	backfill.kill()
	backfill.ends(t)
	require.LessOrEqual(t, v.dialer.MaxInFlight(""), limit)
}

func TestTheDaysOfABackfillAreThoseOfTheFeed(t *testing.T) {
	t.Parallel()
	// It is the 26th in UTC, and still the 25th in New York.
	now := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct{ zone, since, until, first, last string }{
		{"America/New_York", "yesterday", "", "2026-11-24", "2026-11-24"},
		{"America/New_York", "7d", "today", "2026-11-18", "2026-11-25"},
		{"UTC", "7d", "", "2026-11-19", "2026-11-25"},
		{"Pacific/Kiritimati", "2026-11-01", "", "2026-11-01", "2026-11-25"},
	} {
		first, last, err := backfilling{since: c.since, until: c.until}.days(config.Feed{TimeZone: c.zone}, now)
		require.NoError(t, err)
		require.Equal(t, c.first, first.Format(time.DateOnly), c)
		require.Equal(t, c.last, last.Format(time.DateOnly), c)
	}
}
