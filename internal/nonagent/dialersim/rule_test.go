package dialersim_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

func TestARuleReadsAsItIsWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"lost-answer",
		"lost-answer add_lead p=0.02 from=10 to=20 every=3 after=5s for=10s",
		"busy add_lead every=2 value=Thu, 15 Jan 2026 12:00:05 GMT",
		"insert-fails update_lead value=7",
		"early-500 version",
	} {
		r, err := dialersim.ParseRule(text)
		require.NoError(t, err)
		require.Equal(t, text, r.String())
	}
	r, err := dialersim.ParseRule("  slow   lead_search  every=2 from=3 value=1s ")
	require.NoError(t, err)
	require.Equal(t, dialersim.Rule{Fault: "slow", Function: "lead_search", From: 3, Every: 2, Value: "1s"}, r)
}

func TestAWrongRuleIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                              "cannot be read",
		"lost-reply":                    `no fault "lost-reply", only lost-request, lost-answer, `,
		"lost-answer add_lead p=often":  `cannot be read at "p=often"`,
		"lost-answer p=0":               `cannot be read at "p=0"`,
		"lost-answer p=0.1 add_lead":    `cannot be read at "add_lead"`,
		"lost-answer when=now":          `cannot be read at "when=now"`,
		"lost-answer add_leads":         `no function "add_leads"`,
		"lost-answer p=1.5":             "a probability p from 0 to 1",
		"lost-answer p=NaN":             "a probability p from 0 to 1",
		"lost-answer from=3 to=2":       "a from that is not behind its to",
		"lost-answer every=-1":          "numbers and times of 0 or more",
		"lost-answer value=5s":          "a value to a fault that takes none",
		"lookup-fails add_lead":         "lookup-fails is no fault of add_lead, only of lead_search",
		"slow value=5":                  "needs another value (a duration, else 5s)",
		"late value=0s":                 "needs another value (a duration, else 10s): 0s is not more than 0",
		"error-after value=404":         "404 is none of [500 502 503 504]",
		"insert-fails value=5.3":        `there is no PHP "5.3" here`,
		"huge value=1TB":                "needs another value (a size, else 1GB)",
		"lookup-short value=0":          "0 is less than 1",
		"truncated add_lead value=half": "needs another value (a number of bytes, else by chance)",
	} {
		_, err := dialersim.ParseRule(text)
		require.ErrorContains(t, err, says, text)
	}
	d := dialersim.New(dialersim.Options{Password: "secret"})
	rule(t, d, "empty-before")
	require.Error(t, d.SetRules(0, dialersim.Rule{Fault: "lost-answer"}, dialersim.Rule{Fault: "lost-reply"}))
	require.Equal(t, []dialersim.Rule{{Fault: "empty-before"}}, d.Rules())
}

// struck sends add_leads and draws x for each that met the fault empty-before.
func struck(d *dialersim.Dialer, n int) string {
	var drawn strings.Builder
	for range n {
		if ask(d, add(phone)).Body.Len() == 0 {
			drawn.WriteString("x")
		} else {
			drawn.WriteString("-")
		}
	}
	return drawn.String()
}

func TestARuleStrikesByNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"empty-before":                              "xxxxxxxxxx",
		"empty-before from=3":                       "--xxxxxxxx",
		"empty-before to=2":                         "xx--------",
		"empty-before from=2 to=8 every=3":          "-x--x--x--",
		"empty-before add_lead every=4":             "x---x---x-",
		"empty-before lead_search":                  "----------",
		"empty-before add_lead p=0.0000000001":      "----------",
		"empty-before add_lead from=5 to=5 p=1":     "----x-----",
		"empty-before add_lead to=9 from=9 for=10h": "--------x-",
	} {
		d := dialersim.New(dialersim.Options{Password: "secret"})
		struck(d, 3) // numbers count since the rules were set
		rule(t, d, text)
		require.Equal(t, want, struck(d, 10), text)
	}
}

func TestARuleCountsTheRequestsThatItIsAbout(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{Password: "secret"})
	rule(t, d, "empty-before add_lead from=2")
	require.NotEmpty(t, ask(d, add(phone)).Body.String())
	ask(d, "function=lead_search&phone_number="+phone)
	ask(d, "function=version")
	require.Empty(t, ask(d, add(phone)).Body.String())

	rule(t, d, "lookup-fails from=2") // of several functions, but not of all
	ask(d, add(phone))
	require.Equal(t, "ERROR: NO FUNCTION SPECIFIED\n", ask(d, "").Body.String())
	require.Equal(t, 200, ask(d, "function=lead_search&phone_number="+phone).Code)
	require.Equal(t, 500, ask(d, "function=lead_field_info&lead_id=1&field_name=status").Code)
}

func TestARuleStrikesByChanceAsItsSeedSays(t *testing.T) {
	t.Parallel()
	const rules = "empty-before add_lead p=0.3"
	r, err := dialersim.ParseRule(rules)
	require.NoError(t, err)
	draw := func(seed uint64, other ...dialersim.Rule) string {
		d := dialersim.New(dialersim.Options{Password: "secret"})
		require.NoError(t, d.SetRules(seed, append([]dialersim.Rule{r}, other...)...))
		return struck(d, 1000)
	}
	seven := draw(7)
	require.InDelta(t, 300, strings.Count(seven, "x"), 60)
	require.Equal(t, seven, draw(7))
	require.NotEqual(t, seven, draw(8))
	require.Equal(t, seven, draw(7, dialersim.Rule{Fault: "other-list", Probability: 0.5}), "each rule has dice of its own")
}

func TestATruncationByChanceComesToEveryByte(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{Password: "secret"})
	withTwoLeads(d)
	rule(t, d, "truncated lead_search")
	whole := "3055550101|1|1\n3055550102|1|2\n"
	lengths := map[int]bool{}
	for range 1000 {
		w := httptest.NewRecorder()
		func() {
			defer func() { _ = recover() }()
			d.ServeHTTP(w, build(login+both+"&zz=1", false))
		}()
		require.True(t, strings.HasPrefix(whole, w.Body.String()))
		lengths[w.Body.Len()] = true
	}
	require.Len(t, lengths, len(whole))
}

func TestARuleStrikesByTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := dialersim.New(dialersim.Options{Password: "secret", Latency: time.Second})
		rule(t, d, "empty-before after=2s for=3s") // what it hits takes no time
		require.Equal(t, "--xxx", struck(d, 5))
		time.Sleep(3 * time.Second)
		require.Equal(t, "---", struck(d, 3))
		rule(t, d, "empty-before after=2s")
		require.Equal(t, "--x", struck(d, 3), "times count since the rules were set")
	})
}

func TestARequestMeetsAllRulesThatHitIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := dialersim.New(dialersim.Options{Password: "secret", Now: winter})
		slow, lost := dialersim.Rule{Fault: "slow", Value: "1s"}, dialersim.Rule{Fault: "log-fails"}
		require.NoError(t, d.SetRules(0, slow, lost, slow))
		d.SetFault(func(*dialersim.Request) dialersim.Fault { return dialersim.Fault{Delay: time.Second} })
		begun := time.Now()
		w := ask(d, add(phone))
		require.Equal(t, 500, w.Code)
		require.Contains(t, w.Body.String(), "SUCCESS: add_lead")
		require.Equal(t, 3*time.Second, time.Since(begun))
		require.Equal(t, map[string]int{"slow": 2, "log-fails": 1}, d.Hits())
	})
}

func TestOtherRulesEndWhatTheOnesBeforeHeldUp(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"stall-after", "slow value=1h", "trickle value=1h", "frozen-database", "blocked-table"} {
		synctest.Test(t, func(t *testing.T) {
			d := dialersim.New(dialersim.Options{Password: "secret"})
			rule(t, d, fault)
			begun, ended := time.Now(), make(chan time.Time)
			go func() {
				try(d, add(phone))
				ended <- time.Now()
			}()
			time.Sleep(time.Minute)
			rule(t, d, "warnings lead_search")
			require.Equal(t, time.Minute, (<-ended).Sub(begun), fault)
			require.Len(t, d.Inserts(), 1)
		})
	}
}

func TestHealUndoesEverythingThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := dialersim.New(dialersim.Options{Password: "secret", Now: winter})
		d.Block()
		d.Configure(func(s *dialersim.Settings) { s.ConnectError = "Connection refused" })
		d.SetFault(func(*dialersim.Request) dialersim.Fault { return dialersim.Fault{Skip: true} })
		d.Heal()
		require.Equal(t, strings.Replace(success, "|3|", "|1|", 1), ask(d, add(phone)).Body.String())

		for _, fail := range []func(*dialersim.Settings){
			func(s *dialersim.Settings) { s.InsertFails = true },
			func(s *dialersim.Settings) { s.LogFails = true },
			func(s *dialersim.Settings) { s.PasswordChanged = true },
			func(s *dialersim.Settings) { s.AccountLocked = true },
		} {
			d.Configure(fail)
			w := ask(d, add(phone))
			require.False(t, w.Code == 200 && strings.HasPrefix(w.Body.String(), "SUCCESS"))
			d.Heal()
			w = ask(d, add(phone))
			require.True(t, w.Code == 200 && strings.HasPrefix(w.Body.String(), "SUCCESS"))
		}
		d.Configure(func(s *dialersim.Settings) { s.LookupsFail, s.MaxRecords = true, 1 })
		require.Equal(t, 500, ask(d, "function=lead_search&phone_number="+phone).Code)
		d.Heal()
		require.Contains(t, ask(d, "function=lead_search&phone_number="+phone).Body.String(), phone+"|6|")
		rule(t, d, "wrong-password")
		for range 10 {
			ask(d, add(phone))
		}
		require.Contains(t, ask(d, add(phone)).Body.String(), "|LOCK|", "refused logins count")
		d.Heal()
		require.Contains(t, ask(d, add(phone)).Body.String(), "SUCCESS", "failed logins are forgotten")
	})
}
