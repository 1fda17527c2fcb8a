package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// mishap is a row of which the first add_lead's answer is lost.
const mishap = 7

// Fault 34.
func TestALeadThatIsInsertedLateButWithinTheWindowIsFoundNotResent(t *testing.T) {
	t.Parallel()
	const rows = 12
	s := faultySite(t, rows, with(brisk, "timeout: 500ms", "quiescence: 10s"))
	s.firstCalls(func(row int) dialersim.Fault {
		if row == mishap { // it is inserted when lookups have said that it is not there
			s.eventually(t, fmt.Sprintf(`SELECT lost > 0 FROM rows WHERE record = %d`, mishap+1))
			before := s.dialer.Calls("lead_search")
			waitFor(t, func() bool { return s.dialer.Calls("lead_search") >= before+2 })
		}
		return dialersim.Fault{}
	})
	p := s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	s.requireAllLoaded(t, rows)
	require.Equal(t, "reconciled", s.fates(t)[mishap].reason)
	require.Equal(t, rows, p.result(t).Calls)
}

// Fault 34.
func TestALeadThatIsInsertedAfterTheWindowIsReported(t *testing.T) {
	t.Parallel()
	const rows = 12
	s := faultySite(t, rows, with(brisk, "timeout: 300ms", "quiescence: 2500ms"))
	times := func() (n int) {
		for _, i := range s.dialer.Inserts() {
			if strings.HasSuffix(i.Phone, "5550107") {
				n++
			}
		}
		return n
	}
	var first atomic.Bool
	audited := make(chan struct{})
	audit := sync.OnceFunc(func() { close(audited) })
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		switch {
		case r.Function == "add_lead" && row(r) == mishap && first.CompareAndSwap(false, true):
			<-audited // the client has long given up, asked, and sent another
		case r.Function == "lead_search" && times() == 1:
			audit()
			waitFor(t, func() bool { return times() == 2 })
		}
		return dialersim.Fault{}
	})
	p := s.imports(t)
	require.Equal(t, exitPerson, p.ends(t), &p.err)
	r := p.result(t)
	require.Equal(t, rows, r.Outcomes["SUCCESS"])
	require.Len(t, r.Alarms, 1)
	require.Regexp(t, `^drop 1, record 8: the dialer has this lead twice: \d+, \d+$`, r.Alarms[0])
	require.Contains(t, p.err.String(), r.Alarms[0])
	require.Equal(t, rows+1, s.dialer.Len())
}

// lookupFaults are lookups that say nothing, or nothing that is true.
var lookupFaults = map[string]func(*dialersim.Request) dialersim.Fault{
	"an empty 500":                      changed(func(set *dialersim.Settings) { set.PHP, set.LookupsFail = dialersim.PHP81, true }),
	"failed, but says NO MATCHES FOUND": changed(func(set *dialersim.Settings) { set.PHP, set.LookupsFail = dialersim.PHP7, true }),
	"too few records":                   changed(func(set *dialersim.Settings) { set.MaxRecords = 1 }),
	"an unknown ERROR":                  spoilt(instead(200, "ERROR: lead_search TRY TOMORROW - importer\n")),
	"a web page":                        spoilt(instead(200, "<html>maintenance</html>")),
	"an empty answer":                   spoilt(instead(200, "")),
	"an answer that breaks off":         spoilt(func(a *dialersim.Response) { a.Truncate = 9 }),
	"no answer":                         spoilt(lose),
}

func changed(settings func(*dialersim.Settings)) func(*dialersim.Request) dialersim.Fault {
	return func(*dialersim.Request) dialersim.Fault { return dialersim.Fault{Settings: settings} }
}

func spoilt(spoil func(*dialersim.Response)) func(*dialersim.Request) dialersim.Fault {
	return func(*dialersim.Request) dialersim.Fault { return dialersim.Fault{Answer: spoil} }
}

// lookupsFail loses the answers to two rows' first calls, one of which is
// executed, and lets a search meet a fault while failing says so of its number.
func (s *site) lookupsFail(fault func(*dialersim.Request) dialersim.Fault, failing func(nth int) bool) {
	s.firstCalls(func(row int) dialersim.Fault {
		if row == mishap || row == mishap+1 {
			return dialersim.Fault{Skip: row == mishap, Answer: lose}
		}
		return dialersim.Fault{}
	})
	s.others(func(r *dialersim.Request) dialersim.Fault {
		if r.Function == "lead_search" && failing(r.Nth) {
			return fault(r)
		}
		return dialersim.Fault{}
	})
}

// Faults 35 and 55. Later lookups are answered: the rows come right.
func TestALookupThatFailsIsNeverTakenForAbsent(t *testing.T) {
	t.Parallel()
	for name, fault := range lookupFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 12
			s := faultySite(t, rows, with(brisk, "timeout: 500ms", "quiescence: 2s"))
			// Past the time at which an absence may be believed, and some.
			began := time.Now()
			var late atomic.Int32
			s.lookupsFail(fault, func(int) bool {
				if time.Since(began) < 3500*time.Millisecond {
					return true
				}
				return late.Add(1) < 3
			})
			p := s.imports(t)
			require.Zero(t, p.ends(t), &p.err)
			require.GreaterOrEqual(t, s.requireAllLoaded(t, rows), 1)
			require.Equal(t, rows+1, p.result(t).Calls, "only what was never inserted is sent again")
		})
	}
}

// Faults 21 and 35. The dialer dies with calls under way, and stays dead for
// longer than anybody waits. No person need look: the next run asks.
func TestADialerThatDiesIsAskedWhenItIsThereAgain(t *testing.T) {
	t.Parallel()
	for name, dies := range map[string]func(*testing.T, *site) (back func()){
		"connections are refused": func(t *testing.T, s *site) func() {
			p := s.poisoned(t)
			stop := sync.OnceFunc(p.Stop)
			s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
				if r.Function == "add_lead" && r.Nth >= 9 {
					stop()
				}
				return dialersim.Fault{}
			})
			return func() { require.NoError(t, p.Start()) }
		},
		"answers stay away": func(_ *testing.T, s *site) func() {
			var dead, lost atomic.Bool
			s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
				if r.Function == "add_lead" && r.Nth == 9 {
					dead.Store(true)
				}
				if !dead.Load() {
					return dialersim.Fault{}
				}
				// One of the calls under way is carried out.
				return dialersim.Fault{Skip: lost.Swap(true), Answer: lose}
			})
			return func() { s.dialer.SetFault(nil) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 24
			s := faultySite(t, rows, with(brisk, "timeout: 300ms", "quiescence: 2500ms", "stop_after: 8s"))
			back := dies(t, s)
			p := s.imports(t)
			require.Equal(t, exitFailed, p.ends(t), &p.err)
			require.Regexp(t, `(?m)^importer: the dialer has (not been well|answered nothing) for 8s, `, p.err.String())
			require.Zero(t, s.states(t)["review"])
			require.Positive(t, s.states(t)["unknown"])

			back()
			p = s.imports(t)
			require.Zero(t, p.ends(t), &p.err)
			require.Positive(t, s.requireAllLoaded(t, rows))
			s.requireEachLeadOnce(t, rows)
		})
	}
}

// Faults 35 and 55. No lookup is ever answered: a person must look, and nothing
// is sent again.
func TestRowsWhoseLookupsNeverAnswerEndInReview(t *testing.T) {
	t.Parallel()
	for name, fault := range lookupFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 12
			// No question waits for the slots that those before it keep.
			s := faultySite(t, rows, with(brisk, "concurrency: 16", "timeout: 5s", "quiescence: 300ms"))
			s.lookupsFail(fault, func(int) bool { return true })
			p := s.imports(t)
			require.Equal(t, exitPerson, p.ends(t), &p.err)
			fates := s.requireTruth(t, rows)
			if name == "too few records" {
				// It keeps the youngest leads, and the row's own may be the youngest yet.
				fates["review unproven"] += fates["succeeded reconciled"]
				delete(fates, "succeeded reconciled")
			}
			require.Equal(t, map[string]int{"succeeded added": rows - 2, "review unproven": 2}, fates)
			require.Equal(t, rows, p.result(t).Calls, "nothing was sent again")
		})
	}
}

// Fault 35. What is not answered is the token, not the search.
func TestALeadThatCannotBeReadBackIsNeverTakenForAbsentOrOurs(t *testing.T) {
	t.Parallel()
	for name, dialer := range map[string]func(*site){
		"the user may search but not read": func(s *site) {
			u := dialersim.APIUser("importer", dialerPassword)
			u.Functions = []string{"add_lead", "lead_search", "update_lead"}
			s.dialer.SetUser(u)
		},
		"the user is limited to other campaigns": func(s *site) {
			s.dialer.SetGroup(dialersim.Group{ID: "ADMIN", Campaigns: []string{"OTHER"}})
		},
		"the table is not read": func(s *site) {
			s.others(func(r *dialersim.Request) dialersim.Fault {
				if r.Function == "lead_field_info" {
					return dialersim.Fault{Skip: true, Answer: instead(500, "")}
				}
				return dialersim.Fault{}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 12
			s := faultySite(t, rows, with(brisk, "quiescence: 300ms"))
			s.firstCalls(func(row int) dialersim.Fault {
				if row == mishap {
					return dialersim.Fault{Answer: lose}
				}
				return dialersim.Fault{}
			})
			dialer(s)
			p := s.imports(t)
			require.Equal(t, exitPerson, p.ends(t), &p.err)
			require.Equal(t, map[string]int{"succeeded added": rows - 1, "review unproven": 1}, s.requireTruth(t, rows))
			require.Equal(t, rows, p.result(t).Calls, "nothing was sent again")
		})
	}
}

// A user whose rights allow searching but not reading back is found before the
// first lead is lost.
func TestDialerCheckNamesAMissingRight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit func(*dialersim.User)
		says  string
	}{
		"functions": {func(u *dialersim.User) {
			u.Functions = []string{"add_lead", "lead_search", "list_info", "campaigns_list"}
		}, `FAILED +reading leads.* \(lead_field_info\)`},
		"modify leads": {func(u *dialersim.User) { u.ModifyLeads = 5 }, `FAILED +reading leads.* \(lead_field_info\)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, brisk)
			u := dialersim.APIUser("importer", dialerPassword)
			c.limit(&u)
			s.dialer.SetUser(u)
			p := s.start(t, "dialer", "check")
			require.Equal(t, exitFailed, p.ends(t), &p.err)
			require.Regexp(t, c.says, p.out.String())
			require.Regexp(t, `ok +finding leads \(lead_search\)`, p.out.String())
		})
	}
}

// With modify_leads=5 a user may search, but neither read back nor add: the
// first call says so, and it is the only one.
func TestAUserWhoMayOnlySearchStopsTheRunAtTheFirstCall(t *testing.T) {
	t.Parallel()
	const rows = 12
	s := faultySite(t, rows, brisk)
	u := dialersim.APIUser("importer", dialerPassword)
	u.ModifyLeads = 5
	s.dialer.SetUser(u)
	p := s.imports(t)
	require.Equal(t, exitFailed, p.ends(t), &p.err)
	require.Contains(t, p.err.String(), "rights do not reach for add_lead")
	require.Equal(t, 1, s.dialer.Calls(""))
	s.requireNothingSent(t, rows)
}

// An operator whose file has a column for the field that carries the token.
func TestAFeedThatMapsTheTokensFieldIsToldBothCures(t *testing.T) {
	t.Parallel()
	s := faultySite(t, 12, strings.Replace(brisk, "list_id: 101", "list_id: 101, columns: {source_id: web}", 1))
	p := s.imports(t)
	require.Equal(t, exitUsage, p.ends(t))
	require.Contains(t, p.err.String(), "feeds.acme.columns.source_id is the field that carries the importer's token: map another field, or set another token_field in dialers.main")
	require.Zero(t, s.dialer.Calls(""))

	s.write(t, "importer.yaml", strings.Replace(with(brisk, "stop_after: 30s\n    token_field: vendor_lead_code"), "list_id: 101", "list_id: 101, columns: {source_id: web}", 1))
	s.firstCalls(func(row int) dialersim.Fault {
		return dialersim.Fault{Answer: map[bool]func(*dialersim.Response){true: lose}[row == mishap]}
	})
	p = s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	require.Equal(t, 1, s.requireAllLoaded(t, 12), "found by its token")
	require.Equal(t, "http://www.example.com", s.dialer.Inserts()[0].SourceID)
}

// Fault 53.
func TestNothingIsSentAgainBeforeAWriteGotThrough(t *testing.T) {
	t.Parallel()
	const rows, nth = 24, 12
	const quiescence = 3 * time.Second
	s := faultySite(t, rows, with(brisk, "timeout: 300ms", "quiescence: 3s"))
	var mu sync.Mutex
	calls := map[int]int{}
	block := sync.OnceValue(s.dialer.Block)
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		if r.Function == "add_lead" {
			if r.Nth == nth {
				block()
			}
			mu.Lock()
			calls[row(r)]++
			mu.Unlock()
		}
		return dialersim.Fault{}
	})
	p := s.imports(t)
	s.eventually(t, `SELECT count(*) >= 3 FROM rows WHERE state = 'unknown'`)
	// Lookups go on saying that they are not there, past the time until which a
	// call may still take effect. (After ten more questions, in five seconds, a
	// person is asked.)
	time.Sleep(quiescence)
	searches := s.dialer.Calls("lead_search")
	waitFor(t, func() bool { return s.dialer.Calls("lead_search") > searches+1 })
	mu.Lock()
	for n, times := range calls {
		require.Equal(t, 1, times, "row %d was sent again although no write had got through", n)
	}
	mu.Unlock()
	block()()
	require.Zero(t, p.ends(t), &p.err)
	require.Positive(t, s.requireLoadedOnce(t, rows))
}

// Fault 54.
func TestAbandonedCallsNeverExceedTheLimitAtTheDialer(t *testing.T) {
	t.Parallel()
	const rows = 16
	s := faultySite(t, rows, with(brisk, "timeout: 4500ms", "quiescence: 500ms"))
	// The answers to 12 rows, and to the first questions about them, are lost at
	// once, while the dialer is busy with the calls for a while longer.
	stalled := dialersim.Fault{Late: time.Second, Answer: lose}
	s.firstCalls(func(row int) dialersim.Fault {
		if row%4 == 0 {
			return dialersim.Fault{}
		}
		return stalled
	})
	s.others(func(r *dialersim.Request) dialersim.Fault {
		if r.Function == "lead_search" && r.Nth <= 4 {
			return stalled
		}
		return dialersim.Fault{}
	})
	p := s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	require.Equal(t, 12, s.requireLoadedOnce(t, rows))
	require.Equal(t, rows, p.result(t).Calls)
	require.Equal(t, 4, s.dialer.MaxInFlight(""), "lookups and abandoned calls included")
}
