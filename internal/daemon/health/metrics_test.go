package health_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"importer/internal/daemon/health"
	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/ledger/ledgertest"
	"importer/internal/nonagent"
	"importer/internal/nonagent/dialersim"
	"importer/internal/schedule"
)

// dialer is a simulated one, and the way to it.
func dialer(t *testing.T) (*dialersim.Server, *nonagent.Client) {
	t.Helper()
	sim, err := dialersim.Start(dialersim.Options{Password: "secret1"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	c, err := nonagent.New(nonagent.Options{
		URL: sim.URL(), User: "importer", Password: func() string { return "secret1" },
		Source: "importer", Timeout: 10 * time.Second, Concurrency: 8,
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return sim, c
}

// numbers is a drop of rows that have these phone numbers.
type numbers struct {
	phones []string
	at     int
}

func (n *numbers) Next() (importer.Row, error) {
	if n.at == len(n.phones) {
		return importer.Row{}, io.EOF
	}
	n.at++
	phone := n.phones[n.at-1]
	return importer.Row{Record: n.at, Line: n.at + 1, Cells: []string{phone}, Lead: lead.Lead{PhoneNumber: phone}}, nil
}

func (*numbers) Header() []string                            { return []string{"phone"} }
func (*numbers) Fields() []string                            { return []string{"phone_number"} }
func (*numbers) Dates() map[string]lead.DateOrder            { return nil }
func (*numbers) Changed(_, _ []string) (what string, _ bool) { return "", false }
func (*numbers) Outside() importer.Outside                   { return importer.Outside{} }
func (*numbers) Close() error                                { return nil }

// began is when the importers' clock stood at 1.
var began = time.Now()

func TestARunIsShownRowByRow(t *testing.T) {
	t.Parallel()
	h, _ := setup()
	url := serve(t, h)
	sim, client := dialer(t)
	l := ledgertest.Open(t)
	l.Observe(h.Transaction)
	h.Feeds(map[string]schedule.Schedule{"acme": {}})
	require.Equal(t, []string{`{feed="acme"} 0`}, shown(t, url, "importer_run_going"))

	w, end := h.Run("acme")
	im := &importer.Importer{
		Ledger: l, Dialer: h.Dialer("main", client), DialerKey: "main", Keys: importer.NewKeyring([]byte("secret")),
		Limits: importer.Limits{
			Concurrency: 2, Timeout: 10 * time.Second, SendWithin: 20 * time.Second, Quiescence: 100 * time.Millisecond,
			GiveUp: time.Minute, LedgerWait: time.Minute, Lease: 15 * time.Second, TokenField: "source_id",
		},
		Watcher: w, Log: slog.New(slog.DiscardHandler), Clock: func() time.Duration { return time.Since(began) + 1 },
		DropDone: func(context.Context, importer.Drop) error { return nil },
	}
	in := importer.Incoming{
		Drop:  importer.Drop{Feed: "acme", Dialer: "main", Name: "leads.csv", SHA256: sha256.Sum256([]byte("leads")), Settings: "v1"},
		Rules: lead.Rules{Region: "US", ListID: "101"},
		Open: func() (importer.Reader, error) {
			return &numbers{phones: []string{"3055551001", "3055551002", "3055551002", "1", "3055551003", "3055551004"}}, nil
		},
	}
	// The answer about a lead that is in gets lost, and another must not be called.
	sim.AddDNC("", "3055551003")
	sim.SetFault(func(r *dialersim.Request) dialersim.Fault {
		if r.Get("phone_number") == "3055551004" && r.Function == "add_lead" {
			return dialersim.Fault{Answer: func(r *dialersim.Response) { r.Drop = true }}
		}
		return dialersim.Fault{}
	})
	s, err := im.Run(t.Context(), importer.Feed{Name: "acme", Dialer: "main", By: []string{"phone_number"}, Scope: "dialer", DNC: true, Settings: "v1"},
		"run", []importer.Incoming{in})
	require.NoError(t, err)
	require.Equal(t, []string{`{feed="acme"} 1`}, shown(t, url, "importer_run_going"))
	end()
	require.Equal(t, []string{`{feed="acme"} 0`}, shown(t, url, "importer_run_going"))
	h.Ended(importer.RunInfo{Feed: "acme", Drops: s.Drops}) // with a row that the dialer refused
	h.Ended(importer.RunInfo{Feed: "acme", Alarms: []string{"two leads with our token"}})
	h.Ended(importer.RunInfo{Feed: "acme"})
	h.Ended(importer.RunInfo{Feed: "acme", Error: "login refused"})
	h.Ended(importer.RunInfo{Feed: "acme", Error: "login refused"})
	h.Ended(importer.RunInfo{Feed: "acme", Error: "login refused"})

	require.Equal(t, []string{
		`{feed="acme",outcome="DUPLICATE",reason="already_loaded"} 1`,
		`{feed="acme",outcome="ERROR",reason="dialer_dnc"} 1`,
		`{feed="acme",outcome="INVALID",reason="phone_too_short"} 1`,
		`{feed="acme",outcome="SUCCESS",reason="added"} 2`,
		`{feed="acme",outcome="SUCCESS",reason="reconciled"} 1`,
	}, shown(t, url, "importer_rows_total"))
	require.Equal(t, []string{
		`{feed="acme",result="done"} 1`, `{feed="acme",result="failed"} 3`, `{feed="acme",result="needs_person"} 2`,
	}, shown(t, url, "importer_runs_total"))
	require.Equal(t, []string{`{dialer="main"} 1`}, shown(t, url, "importer_answers_unknown_total"))
	require.Equal(t, []string{`{dialer="main"} 0`}, shown(t, url, "importer_calls_in_flight"))
	require.Equal(t, []string{`{version="v1"} 1`}, shown(t, url, "importer_build_info"))
	status, body := get(t, url+"/metrics")
	require.Equal(t, 200, status)
	calls := 0
	for _, n := range sim.Stats().Calls {
		calls += n
	}
	require.Contains(t, body, fmt.Sprintf("importer_call_duration_seconds_count{dialer=\"main\"} %d\n", calls))
	require.Regexp(t, `importer_ledger_seconds_count [1-9]`, body)
	require.NotContains(t, body, "305555")

	h.Feeds(map[string]schedule.Schedule{"other": {}})
	require.NotContains(t, strings.Join(append(shown(t, url, "importer_rows_total"), shown(t, url, "importer_runs_total")...), "\n"), "acme")
	require.Equal(t, []string{`{feed="other"} 0`}, shown(t, url, "importer_run_going"))
}

func TestCallsAreInFlightUntilTheyAreAnswered(t *testing.T) {
	t.Parallel()
	h, _ := setup()
	url := serve(t, h)
	sim, client := dialer(t)
	d := h.Dialer("main", client)
	require.Equal(t, []string{`{dialer="main"} 0`}, shown(t, url, "importer_calls_in_flight"))
	release := sim.Block()
	defer release()
	var calls sync.WaitGroup
	for _, phone := range []string{"3055551001", "3055551002", "3055551003"} {
		calls.Go(func() {
			d.AddLead(t.Context(), importer.Call{Lead: lead.Lead{PhoneCode: "1", PhoneNumber: phone, ListID: "101"}})
		})
	}
	require.Eventually(t, func() bool {
		return slices.Equal(shown(t, url, "importer_calls_in_flight"), []string{`{dialer="main"} 3`})
	}, 8*time.Second, 5*time.Millisecond)
	release()
	calls.Wait()
	require.Equal(t, []string{`{dialer="main"} 0`}, shown(t, url, "importer_calls_in_flight"))
	require.Len(t, sim.Inserts(), 3)
}

func TestEachCallIsMeasuredAndCarriedOut(t *testing.T) {
	t.Parallel()
	h, _ := setup()
	url := serve(t, h)
	_, client := dialer(t)
	d := h.Dialer("main", client)
	count := func() string {
		_, body := get(t, url+"/metrics")
		return regexp.MustCompile(`importer_call_duration_seconds_count{dialer="main"} (\d+)`).FindStringSubmatch(body)[1]
	}
	a := d.AddLead(t.Context(), importer.Call{Lead: lead.Lead{PhoneCode: "1", PhoneNumber: "no number", ListID: "101"}})
	require.Equal(t, importer.VerdictRejected, a.Verdict)
	require.Equal(t, "0", count(), "no call was made")
	a = d.AddLead(t.Context(), importer.Call{
		Lead: lead.Lead{PhoneCode: "1", PhoneNumber: "3055551001", ListID: "101"}, Token: "RABCDEFGHIJKLMNOP-1", TokenField: "source_id",
	})
	require.Equal(t, importer.VerdictAdded, a.Verdict)
	require.Equal(t, "1", count())
	found, err := d.Search(t.Context(), "101", []string{"3055551001"})
	require.NoError(t, err)
	require.Equal(t, map[string][]int64{"3055551001": {a.LeadID}}, found)
	require.Equal(t, "2", count())
	token, err := d.Field(t.Context(), a.LeadID, "source_id")
	require.NoError(t, err)
	require.Equal(t, "RABCDEFGHIJKLMNOP-1", token)
	require.Equal(t, "3", count())
	require.NoError(t, d.Touch(t.Context(), a.LeadID, "source_id", token))
	require.Equal(t, "4", count())
	require.Error(t, d.Touch(t.Context(), 4711, "source_id", token))
	require.Equal(t, "5", count())
	u := d.UpdateCustomFields(t.Context(), a.LeadID, "101", map[string]string{"policy": "P1"})
	require.Equal(t, importer.VerdictRejected, u.Verdict, "the list has none")
	require.Equal(t, "6", count())
}

// everything is the health of a daemon in which each metric has a sample.
func everything(t *testing.T) *health.Health {
	t.Helper()
	h, _ := setup()
	h.Targets([]string{"ops"})
	h.Feeds(daily(t, "acme"))
	l := ledgertest.Open(t)
	run, holder, err := l.StartRun(t.Context(), "acme", "run")
	require.NoError(t, err)
	require.NoError(t, l.FinishRun(t.Context(), run, holder, importer.Summary{}, nil))
	h.Ask(t.Context(), l)
	w, end := h.Run("acme")
	w.Settled(importer.StateReason{State: importer.Succeeded, Reason: importer.ReasonAdded}, 1)
	end()
	_, client := dialer(t)
	h.Dialer("main", client)
	return h
}

func TestTheMetricsAreAsPrometheusWantsThem(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(everything(t).Gatherer())
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestThePageOnMonitoringHasEveryMetric(t *testing.T) {
	t.Parallel()
	families, err := everything(t).Gatherer().Gather()
	require.NoError(t, err)
	var there []string
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "importer_") {
			there = append(there, name)
		}
	}
	page, err := os.ReadFile("../../../docs/monitoring.md")
	require.NoError(t, err)
	var told []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(importer_\\w+)").FindAllStringSubmatch(string(page), -1) {
		told = append(told, row[1])
	}
	require.ElementsMatch(t, there, told)
}

func TestMessagesThatNobodyTookAreCounted(t *testing.T) {
	t.Parallel()
	h, _ := setup()
	url := serve(t, h)
	h.Targets([]string{"ops", "team"})
	h.GivenUp("team")
	require.Equal(t, []string{`{target="ops"} 0`, `{target="team"} 1`}, shown(t, url, "importer_messages_given_up_total"))
}
