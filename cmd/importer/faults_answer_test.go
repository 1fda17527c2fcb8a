package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// every faults the first of so many rows, the very first excepted: while few
// answers are lost, the dialer passes for well.
func every(nth int, faults []dialersim.Fault) func(row int) dialersim.Fault {
	return func(row int) dialersim.Fault {
		if row%nth != 1 || row/nth >= len(faults) {
			return dialersim.Fault{}
		}
		return faults[row/nth]
	}
}

// Fault 24. What the status says does not count, the API's own line does.
func TestAServerErrorIsUnknownUnlessTheAnswerHoldsAKnownLine(t *testing.T) {
	t.Parallel()
	var faults []dialersim.Fault
	for _, status := range []int{500, 502, 503, 504} {
		faults = append(faults,
			dialersim.Fault{Answer: func(a *dialersim.Response) { a.Status = status }},
			dialersim.Fault{Answer: instead(status, "<html><h1>"+http.StatusText(status)+"</h1></html>")},
			dialersim.Fault{Skip: true, Answer: instead(status, "<html><h1>"+http.StatusText(status)+"</h1></html>")},
		)
	}
	const rows = 60
	s := faultySite(t, rows, brisk)
	s.firstCalls(every(3, faults))
	p := s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	require.GreaterOrEqual(t, s.requireAllLoaded(t, rows), 4, "what was inserted without a word is looked up")
	require.GreaterOrEqual(t, p.result(t).Calls, rows+4, "what was never inserted is sent again")
}

// Fault 24. A dialer that goes on failing is left alone, and nothing is burnt
// through meanwhile.
func TestADialerThatGoesOnFailingIsLeftAlone(t *testing.T) {
	t.Parallel()
	const rows = 250
	s := faultySite(t, rows, with(brisk, "stop_after: 1500ms"))
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		if r.Function == "add_lead" && r.Nth > 20 {
			return dialersim.Fault{Skip: true, Answer: instead(503, "overloaded")}
		}
		return dialersim.Fault{}
	})
	p := s.imports(t)
	require.Equal(t, exitFailed, p.ends(t), &p.err)
	require.Contains(t, p.err.String(), "the dialer has not been well for 1.5s, the other rows stay pending")
	require.Less(t, s.dialer.Calls("add_lead"), rows/2)
	require.Len(t, s.dialer.Inserts(), 20)
	require.Equal(t, rows-20, s.states(t)["pending"]+s.states(t)["unknown"])

	s.dialer.SetFault(nil)
	p = s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	s.requireAllLoaded(t, rows)
}

// Fault 25.
func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after func() string
		pause time.Duration
	}{
		"in seconds": {func() string { return "5" }, 5 * time.Second},
		// An HTTP date has no fractions: between five and six seconds from now.
		"as a date":    {func() string { return time.Now().UTC().Add(6 * time.Second).Format(http.TimeFormat) }, 5 * time.Second},
		"as a joke":    {func() string { return "99999999999999999999" }, 0},
		"not at all":   {func() string { return "" }, 0},
		"in the past":  {func() string { return "-5" }, 0},
		"in sentences": {func() string { return "when we are open again" }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows, busy = 24, 8
			s := faultySite(t, rows, with(brisk, "send_within: 5s", "timeout: 10s"))
			var asked atomic.Int64 // when the dialer asked for the pause
			var early atomic.Int32
			heard := make(chan struct{})
			s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
				switch {
				case r.Function != "add_lead" || r.Nth < busy:
				case r.Nth == busy:
					return dialersim.Fault{Skip: true, Answer: func(a *dialersim.Response) {
						instead(http.StatusTooManyRequests, "slow down")(a)
						a.Header = http.Header{"Retry-After": {c.after()}}
						asked.Store(time.Now().UnixNano())
					}}
				case r.Nth < busy+4: // in flight when the pause was asked for
					<-heard
				case time.Since(time.Unix(0, asked.Load())) < c.pause:
					early.Add(1)
				}
				return dialersim.Fault{}
			})
			p := s.imports(t)
			if c.pause > 0 {
				s.eventually(t, `SELECT count(*) = 1 FROM rows WHERE state = 'pending' AND reason = 'dialer_busy'`)
			}
			close(heard)
			require.Zero(t, p.ends(t), &p.err)
			require.Zero(t, s.requireAllLoaded(t, rows))
			require.Equal(t, rows+1, p.result(t).Calls)
			require.Zero(t, early.Load())
		})
	}
}

// Fault 25. The cap itself is TestRetryAfterIsHonouredAndCapped's.
func TestAnAbsurdRetryAfterKeepsNobodyFromStopping(t *testing.T) {
	t.Parallel()
	const rows = 12
	s := faultySite(t, rows, brisk)
	busy := make(chan struct{}, rows)
	s.dialer.SetFault(func(*dialersim.Request) dialersim.Fault {
		return dialersim.Fault{Skip: true, Answer: func(a *dialersim.Response) {
			instead(http.StatusTooManyRequests, "")(a)
			a.Header = http.Header{"Retry-After": {"999999999"}}
			busy <- struct{}{}
		}}
	})
	p := s.imports(t)
	<-busy
	s.eventually(t, `SELECT count(*) = 1 FROM rows WHERE state = 'pending' AND reason = 'dialer_busy'`)
	require.NoError(t, p.Process.Signal(sigterm))
	require.Equal(t, exitInterrupted, p.ends(t), &p.err)
	require.Equal(t, 1, s.dialer.Calls("add_lead"))
	s.requireNothingSent(t, rows)
}

// Fault 26.
func TestAWebPageSaysNothingAboutTheLead(t *testing.T) {
	t.Parallel()
	pages := []string{
		"<!DOCTYPE html><html><body>Welcome to the guest network</body></html>",
		"<br />\n<b>Fatal error</b>:  Uncaught mysqli_sql_exception: gone away in non_agent_api.php:1\nStack trace:\n#0 {main}\n  thrown in <b>non_agent_api.php</b> on line <b>1</b><br />\n",
		"PHP Parse error:  syntax error, unexpected end of file in non_agent_api.php on line 9\n",
	}
	var faults []dialersim.Fault
	for _, page := range pages {
		faults = append(faults,
			dialersim.Fault{Answer: instead(200, page)},
			dialersim.Fault{Skip: true, Answer: instead(200, page)},
		)
	}
	const rows = 30
	s := faultySite(t, rows, brisk)
	s.firstCalls(every(3, faults))
	p := s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	require.GreaterOrEqual(t, s.requireAllLoaded(t, rows), len(pages), "inserted before the page: found")
	require.GreaterOrEqual(t, p.result(t).Calls, rows+len(pages), "not inserted: sent again")
}

// Fault 27.
func TestOnlyACompleteSuccessLineCounts(t *testing.T) {
	t.Parallel()
	whole := len("SUCCESS: add_lead LEAD HAS BEEN ADDED - 3055550100|101|100|-5.00|importer\n")
	const parts, nth = 3, 8
	for part := range parts {
		t.Run(fmt.Sprintf("broken off after %d mod %d bytes", part, parts), func(t *testing.T) {
			t.Parallel()
			faults := []dialersim.Fault{{Answer: lose}}
			for n := part; n <= whole; n += parts {
				faults = append(faults, dialersim.Fault{Answer: func(a *dialersim.Response) {
					if a.Truncate = n; n == 0 {
						a.Body = nil // an empty answer, and a complete one
					}
				}})
			}
			const rows = contactRows
			require.Less(t, nth*len(faults), rows)
			s := faultySite(t, rows, brisk)
			s.firstCalls(every(nth, faults))
			p := s.imports(t)
			require.Zero(t, p.ends(t), &p.err)
			// The zones' offsets differ in length, so that a few answers were whole.
			require.Greater(t, s.requireAllLoaded(t, rows), whole/parts-4)
			require.Equal(t, rows, p.result(t).Calls, "nothing was sent again")
		})
	}
}

// Fault 27.
func TestAWrongContentLengthHidesNoSuccess(t *testing.T) {
	t.Parallel()
	announce := func(more int) dialersim.Fault {
		return dialersim.Fault{Answer: func(a *dialersim.Response) {
			a.Header = http.Header{"Content-Length": {strconv.Itoa(len(a.Body) + more)}}
		}}
	}
	const rows = 24
	s := faultySite(t, rows, brisk)
	s.firstCalls(every(6, []dialersim.Fault{announce(-5), announce(5), {Skip: true, Answer: instead(200, "")}}))
	p := s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	require.GreaterOrEqual(t, s.requireAllLoaded(t, rows), 1, "too short: the line's end never came")
	require.Equal(t, rows+1, p.result(t).Calls, "only the one that was not inserted is sent again")
}

// Fault 28. The golden answers and the fuzzing are package nonagent's.
func TestASuccessLineIsFoundAmongNoticesAndWarnings(t *testing.T) {
	t.Parallel()
	around := func(before, after string) dialersim.Fault {
		return dialersim.Fault{Answer: func(a *dialersim.Response) {
			a.Body = []byte(before + string(a.Body) + after)
		}}
	}
	faults := []dialersim.Fault{
		around("NOTICE: add_lead NANPA options disabled, NANPA prefix data not loaded - 0|importer\n", ""),
		around("<br />\n<b>Warning</b>:  Undefined variable $x in <b>non_agent_api.php</b> on line <b>7</b><br />\n", ""),
		around("PHP Deprecated:  something old in non_agent_api.php on line 7\n\n", "<br />\n<b>Notice</b>:  late in <b>x.php</b> on line <b>9</b><br />\n"),
		around("", "5045550100|1|work5045550101|1|homeNOTICE: add_lead MULTI-ALT-PHONE NUMBERS LOADED - 2|1|importer\n"),
		around("", "NOTICE: add_lead ADDED TO HOPPER - 3055550100|1|1|importer\nERROR: add_lead SOMETHING LATER - x\n"),
	}
	const rows = 18
	s := faultySite(t, rows, with(brisk, "timeout: 1m"))
	s.firstCalls(every(3, faults))
	p := s.imports(t)
	require.Zero(t, p.ends(t), &p.err)
	require.Zero(t, s.requireAllLoaded(t, rows), "no answer was taken for lost")
	require.Equal(t, rows, p.result(t).Calls)
}

// Fault 30.
func TestASuccessForAnotherLeadIsUnknownAndAnAlarm(t *testing.T) {
	t.Parallel()
	swap := func(old, replacement string) func(*dialersim.Response) {
		return func(a *dialersim.Response) {
			a.Body = []byte(strings.Replace(string(a.Body), old, replacement, 1))
		}
	}
	foreign := instead(200, "SUCCESS: add_lead LEAD HAS BEEN ADDED - 2125550199|101|1|-5.00|importer\n")
	faults := []dialersim.Fault{
		{Answer: swap("305555", "212555")},
		{Answer: swap("|101|", "|102|")},
		{Skip: true, Answer: foreign},
	}
	const rows = 12
	s := faultySite(t, rows, brisk)
	s.firstCalls(every(3, faults))
	p := s.imports(t)
	require.Equal(t, exitPerson, p.ends(t), &p.err)
	require.GreaterOrEqual(t, s.requireAllLoaded(t, rows), 2)
	r := p.result(t)
	require.Len(t, r.Alarms, len(faults))
	for _, alarm := range r.Alarms {
		require.Contains(t, alarm, "answered for another number or list")
		require.NotContains(t, alarm, "5550")
	}
}

// Fault 31.
func TestARefusedLoginIsTriedOnceAndStopsTheRun(t *testing.T) {
	t.Parallel()
	for name, lock := range map[string]bool{"wrong password": false, "locked account": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 24
			s := faultySite(t, rows, with(brisk, "timeout: 1m"))
			right := s.env
			s.env = append(slices.Clip(s.env), "DIALER_PASSWORD=Wrong-Password_1")
			said := "it refused the API user's login"
			if lock {
				for range 10 {
					r, err := http.PostForm(s.dialer.URL(), map[string][]string{"function": {"add_lead"}, "source": {"test"}, "user": {"importer"}, "pass": {"guess"}})
					require.NoError(t, err)
					require.NoError(t, r.Body.Close())
				}
				s.env, said = right, "locked after ten failed logins"
			}
			before := s.dialer.Calls("")
			p := s.imports(t)
			require.Equal(t, exitFailed, p.ends(t), &p.err)
			require.Contains(t, p.err.String(), said)
			require.Equal(t, 1, s.dialer.Calls("")-before)
			s.requireNothingSent(t, rows)

			s.env = right
			s.dialer.SetUser(dialersim.APIUser("importer", dialerPassword)) // forgets the failed logins
			p = s.imports(t)
			require.Zero(t, p.ends(t), &p.err)
			require.Zero(t, s.requireAllLoaded(t, rows))
		})
	}
}

// Fault 32.
func TestADialerWithoutItsDatabaseIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, php := range map[string]dialersim.PHP{"MySQL connect ERROR with status 200": dialersim.PHP7, "an empty 500": dialersim.PHP81} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 40
			s := faultySite(t, rows, with(brisk, "timeout: 1m"))
			s.dialer.Configure(func(set *dialersim.Settings) { set.PHP = php })
			reached, release := s.at(t, 10)
			p := s.imports(t)
			<-reached
			s.dialer.Configure(func(set *dialersim.Settings) { set.ConnectError = "Too many connections" })
			release()
			s.eventually(t, `SELECT count(*) > 0 FROM rows WHERE state = 'pending' AND reason = 'dialer_database_down'`)
			s.dialer.Configure(func(set *dialersim.Settings) { set.ConnectError = "" })
			require.Zero(t, p.ends(t), &p.err)
			require.Zero(t, s.requireAllLoaded(t, rows), "none of them was in doubt")
			require.Greater(t, p.result(t).Calls, rows)
		})
	}
}

// Fault 33.
func TestARedirectIsRefusedAndThePasswordNotSentThere(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			elsewhere, err := dialersim.Start(dialersim.Options{Password: dialerPassword})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, elsewhere.Close()) })
			const rows = 12
			s := faultySite(t, rows, brisk)
			s.dialer.SetFault(func(*dialersim.Request) dialersim.Fault {
				return dialersim.Fault{Skip: true, Answer: func(a *dialersim.Response) {
					a.Status, a.Header = status, http.Header{"Location": {elsewhere.URL()}}
				}}
			})
			p := s.imports(t)
			require.Equal(t, exitFailed, p.ends(t), &p.err)
			require.Contains(t, p.err.String(), "the password will not be sent")
			require.Equal(t, 1, s.dialer.Calls(""))
			require.Zero(t, elsewhere.Calls(""))
			s.requireNothingSent(t, rows)
		})
	}
}
