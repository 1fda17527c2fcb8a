package nonagent_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/nonagent"
	"importer/internal/nonagent/dialersim"
)

func TestVersionTellsTheDialersTimeFromTheNetworks(t *testing.T) {
	t.Parallel()
	const latency = 50 * time.Millisecond
	_, c := simulated(t, dialersim.Options{Latency: latency})
	first, err := c.Version(t.Context())
	require.NoError(t, err)
	require.Positive(t, first.Connect)
	require.GreaterOrEqual(t, first.Answer, latency)
	second, err := c.Version(t.Context())
	require.NoError(t, err)
	require.Zero(t, second.Connect, "the connection is open")
	require.GreaterOrEqual(t, second.Answer, latency)
}

// user is the API user without some of its rights.
func user(change func(*dialersim.User)) dialersim.Options {
	u := dialersim.APIUser("importer", "secret1")
	change(&u)
	return dialersim.Options{Users: []dialersim.User{u}}
}

func TestRightsToWriteAreAskedForWithoutWriting(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		dialer      dialersim.Options
		list        string
		add, update importer.Reason // "": allowed
	}{
		"all rights":          {dialersim.Options{}, "101", "", ""},
		"no such list":        {dialersim.Options{}, "555", nonagent.ReasonListNotDefined, ""},
		"search only":         {user(func(u *dialersim.User) { u.ModifyLeads = 5 }), "101", nonagent.ReasonNotPermitted, nonagent.ReasonNotPermitted},
		"no API access":       {user(func(u *dialersim.User) { u.APIAccess = false }), "101", nonagent.ReasonNotPermitted, nonagent.ReasonNotPermitted},
		"limited functions":   {user(func(u *dialersim.User) { u.Functions = []string{"update_lead"} }), "101", nonagent.ReasonFunctionNotAllowed, ""},
		"limited to campaign": {limitedTo("OTHER"), "101", nonagent.ReasonListNotAllowed, ""},
		"old PHP":             {dialersim.Options{Settings: dialersim.Settings{PHP: dialersim.PHP7}}, "101", "", ""},
		"a log that fails":    {dialersim.Options{Settings: dialersim.Settings{LogFails: true}}, "101", "", ""},
		"inserts that fail":   {dialersim.Options{Settings: dialersim.Settings{InsertFails: true}}, "101", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, c := simulated(t, k.dialer)
			sim.AddLead(time.Now(), map[string]string{"list_id": "101", "phone_number": "3055550101"})
			requireReason(t, k.add, c.MayAdd(t.Context(), k.list))
			requireReason(t, k.update, c.MayUpdate(t.Context()))
			require.Empty(t, sim.Inserts())
			require.Equal(t, 1, sim.Len())
		})
	}
}

// requireReason requires an error for a reason, or none.
func requireReason(t *testing.T, want importer.Reason, err error) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	var e *nonagent.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want, e.Reason)
}

func limitedTo(campaign string) dialersim.Options {
	o := user(func(u *dialersim.User) { u.ListRestrict = true })
	o.Groups = []dialersim.Group{{ID: "ADMIN", Campaigns: []string{campaign}}}
	return o
}

func TestRightsBeyondTheNeedAreFound(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		dialer dialersim.Options
		excess []string
	}{
		"all functions":   {dialersim.Options{}, []string{"check_phone_number", "lead_all_info"}},
		"those needed":    {user(func(u *dialersim.User) { u.Functions = nonagent.Functions() }), nil},
		"without reports": {user(func(u *dialersim.User) { u.ViewReports = false }), []string{"check_phone_number"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, c := simulated(t, k.dialer)
			excess, err := c.Excess(t.Context())
			require.NoError(t, err)
			require.Equal(t, k.excess, excess)
		})
	}
}

func TestARefusedLoginIsTriedOnceForAllRights(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, dialersim.Options{})
	sim.SetUser(dialersim.APIUser("importer", "another"))
	_, err := c.Excess(t.Context())
	var known importer.LookupError
	require.ErrorAs(t, err, &known)
	_, final := known.Final()
	require.True(t, final)
	require.Equal(t, 1, sim.Calls(""))
}

func TestARightIsNotBelievedFromAnAnswerThatIsNoRefusal(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"SUCCESS: add_lead LEAD HAS BEEN ADDED - 0|101|1|-5|importer\n",
		"ERROR: add_lead SOMETHING NEW - 0|importer\n",
		"ERROR: add_lead INVALID PHONE NUMBER LENGTH", // cut off
		"<html>hello</html>\n",
		"",
	} {
		sim, c := simulated(t, dialersim.Options{})
		sim.SetFault(func(*dialersim.Request) dialersim.Fault {
			return dialersim.Fault{Skip: true, Answer: func(r *dialersim.Response) { r.Body = []byte(body) }}
		})
		require.Error(t, c.MayAdd(t.Context(), "101"), body)
		require.Error(t, c.MayUpdate(t.Context()), body)
		excess, err := c.Excess(t.Context())
		require.NoError(t, err)
		require.Empty(t, excess, body)
	}
	_, c := simulated(t, dialersim.Options{})
	require.ErrorContains(t, c.MayAdd(t.Context(), "1"), "nothing was sent")
}
