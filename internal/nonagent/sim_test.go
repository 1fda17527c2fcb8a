package nonagent_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/nonagent"
	"importer/internal/nonagent/dialersim"
)

func simulated(t *testing.T, o dialersim.Options) (*dialersim.Server, *nonagent.Client) {
	t.Helper()
	o.Password = "secret1"
	sim, err := dialersim.Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	c, err := nonagent.New(nonagent.Options{
		URL: sim.URL(), User: "importer", Password: func() string { return "secret1" },
		Source: "importer", Timeout: 10 * time.Second, Concurrency: 2,
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return sim, c
}

func someone() importer.Call {
	return importer.Call{
		Lead:  lead.Lead{PhoneCode: "1", PhoneNumber: "3055551001", ListID: "101", FirstName: "D'Arcy", LastName: "O'Brien"},
		Token: "RABCDEFGHIJKLMNOP-1", TokenField: "source_id", DNC: true, Campaign: "TESTCAMP",
	}
}

func TestLeadIsAddedFoundReadAndTouched(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, dialersim.Options{})
	ctx := t.Context()
	a := c.AddLead(ctx, someone())
	require.NoError(t, a.Err)
	require.Equal(t, importer.VerdictAdded, a.Verdict)
	require.Len(t, sim.Inserts(), 1)
	require.Equal(t, a.LeadID, sim.Inserts()[0].LeadID)

	found, err := c.Search(ctx, "101", []string{"3055551001", "3055559999"})
	require.NoError(t, err)
	require.Equal(t, map[string][]int64{"3055551001": {a.LeadID}, "3055559999": nil}, found)
	found, err = c.Search(ctx, "101", []string{"3055559999"})
	require.NoError(t, err)
	require.Equal(t, map[string][]int64{"3055559999": nil}, found)

	token, err := c.Field(ctx, a.LeadID, "source_id")
	require.NoError(t, err)
	require.Equal(t, "RABCDEFGHIJKLMNOP-1", token)
	empty, err := c.Field(ctx, a.LeadID, "comments")
	require.NoError(t, err)
	require.Empty(t, empty)
	_, err = c.Field(ctx, 4711, "source_id")
	var e *nonagent.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, nonagent.KindNotFound, e.Kind)

	require.NoError(t, c.Touch(ctx, a.LeadID, "source_id", token))
	require.ErrorAs(t, c.Touch(ctx, 4711, "source_id", token), &e)
	require.Equal(t, nonagent.KindNotFound, e.Kind)

	again := someone()
	again.Duplicate = "DUPLIST"
	dup := c.AddLead(ctx, again)
	require.Equal(t, importer.VerdictDuplicate, dup.Verdict)
	require.Equal(t, a.LeadID, dup.DuplicateOf)
	require.Len(t, sim.Inserts(), 1)
}

func TestReadOnlyQuestions(t *testing.T) {
	t.Parallel()
	_, c := simulated(t, dialersim.Options{})
	ctx := t.Context()
	require.NoError(t, c.AddLead(ctx, someone()).Err)
	_, err := c.Version(ctx)
	require.NoError(t, err)
	l, err := c.ListInfo(ctx, "101")
	require.NoError(t, err)
	require.Equal(t, "TESTCAMP", l.Campaign)
	require.Equal(t, 1, l.Leads)
	require.True(t, l.Active)
	_, err = c.ListInfo(ctx, "4711")
	var e *nonagent.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, nonagent.ReasonListNotDefined, e.Reason)
	campaigns, err := c.CampaignsList(ctx)
	require.NoError(t, err)
	require.Equal(t, "TESTCAMP", campaigns[0].ID)
	hopper, err := c.HopperList(ctx, "TESTCAMP")
	require.NoError(t, err)
	require.Empty(t, hopper)
	_, err = c.SoundsList(ctx)
	require.NoError(t, err)
}

func TestCustomFieldsGoInByASecondCall(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, dialersim.Options{Lists: []dialersim.List{{ID: 101, Name: "Test", Campaign: "TESTCAMP", CustomFields: []string{"color"}}}})
	sim.Configure(func(s *dialersim.Settings) { s.CustomFields = true })
	a := c.AddLead(t.Context(), someone())
	require.NoError(t, a.Err)
	require.Equal(t, importer.VerdictAdded, c.UpdateCustomFields(t.Context(), a.LeadID, "101", map[string]string{"color": "blue"}).Verdict)
	require.Equal(t, map[string]string{"color": "blue"}, sim.CustomValues(a.LeadID))
}

func TestWhatWasAskedForWithALeadIsDoneOrTold(t *testing.T) {
	t.Parallel()
	withAll := func() importer.Call {
		c := someone()
		c.Hopper = &importer.Hopper{Priority: 50}
		c.Lead.Extras = &lead.Extras{
			AltPhones: []lead.AltPhone{{Code: "1", Number: "7275551212", Note: "work"}, {Code: "44", Number: "2079460123", Note: "mother"}},
			Callback:  &lead.Callback{At: "2026-12-01 10:00:00", User: "importer", Status: "CBK2", Comments: "it's urgent"},
		}
		return c
	}
	for name, k := range map[string]struct {
		trouble func(*dialersim.Settings)
		spoil   func(*importer.Call)
		reason  importer.Reason
		notes   []string
	}{
		"all is done": {reason: "", notes: []string{"alternate numbers added", "added to hopper", "callback added"}},
		"no such agent": {
			spoil:  func(c *importer.Call) { c.Lead.Extras.Callback.User = "nobody" },
			reason: importer.ReasonCallbackRefused,
			notes:  []string{"alternate numbers added", "added to hopper", "callback not added: user not valid, the lead is on hold"},
		},
		"no such campaign": {
			spoil:  func(c *importer.Call) { c.Campaign = "OTHER" },
			reason: importer.ReasonCallbackRefused,
			notes:  []string{"alternate numbers added", "added to hopper", "callback not added: campaign not valid, the lead is on hold"},
		},
		"the script dies behind its SUCCESS line": {
			trouble: func(s *dialersim.Settings) { s.LogFails = true },
			reason:  importer.ReasonCallbackRefused,
			notes:   []string{"hopper not confirmed", "alternate numbers not confirmed", "callback not confirmed, the lead may be on hold"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, c := simulated(t, dialersim.Options{})
			if k.trouble != nil {
				sim.Configure(k.trouble)
			}
			call := withAll()
			if k.spoil != nil {
				k.spoil(&call)
			}
			a := c.AddLead(t.Context(), call)
			require.NoError(t, a.Err)
			require.Equal(t, importer.VerdictAdded, a.Verdict)
			require.Equal(t, k.reason, a.Reason)
			require.Equal(t, k.notes, a.Notes)
			if k.reason != "" {
				require.Empty(t, sim.Callbacks())
				return
			}
			require.Equal(t, []dialersim.AltPhone{
				{LeadID: a.LeadID, Phone: "7275551212", Code: "1", Note: "work"},
				{LeadID: a.LeadID, Phone: "2079460123", Code: "44", Note: "mother"},
			}, sim.AltPhones())
			require.Equal(t, []dialersim.Callback{{
				LeadID: a.LeadID, ListID: 101, Campaign: "TESTCAMP", When: "2026-12-01 10:00:00",
				Type: "USERONLY", User: "importer", Status: "CBK2", Comments: "it's urgent",
			}}, sim.Callbacks())
			hopper, err := c.HopperList(t.Context(), "TESTCAMP")
			require.NoError(t, err)
			require.Len(t, hopper, 1)
		})
	}
}

func TestEachCheckIsTheDialersOwn(t *testing.T) {
	t.Parallel()
	sim, c := simulated(t, dialersim.Options{})
	sim.AddDNC("SYSTEM_INTERNAL", "305XXXXXXX")
	for name, k := range map[string]struct {
		phone  string
		ask    func(*importer.Call)
		reason importer.Reason
	}{
		"an area code on the DNC list, the number asked for":    {"3055551001", func(*importer.Call) {}, ""},
		"an area code on the DNC list, the area code asked for": {"3055551001", func(c *importer.Call) { c.DNCAreaCode = true }, nonagent.ReasonDNC},
		"a prefix":                       {"2120551001", func(c *importer.Call) { c.PhoneChecks = []string{"prefix"} }, nonagent.ReasonPhonePrefix},
		"an area code that there is not": {"2115551001", func(c *importer.Call) { c.PhoneChecks = []string{"area_code"} }, nonagent.ReasonPhoneAreaCode},
		"without NANPA data":             {"2125551001", func(c *importer.Call) { c.PhoneChecks = []string{"nanpa"} }, ""},
	} {
		call := someone()
		call.Lead.PhoneNumber = k.phone
		k.ask(&call)
		require.Equal(t, k.reason, c.AddLead(t.Context(), call).Reason, name)
	}
	old := sim.AddLead(time.Now().AddDate(0, 0, -40), map[string]string{"list_id": "101", "phone_number": "2125551777"})
	call := someone()
	call.Lead.PhoneNumber, call.Duplicate, call.DuplicateDays = "2125551777", "DUPSYS", 60
	require.Equal(t, old, c.AddLead(t.Context(), call).DuplicateOf)
	call.DuplicateDays = 30
	require.Equal(t, importer.VerdictAdded, c.AddLead(t.Context(), call).Verdict)
}

func TestDialerInTrouble(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		trouble func(*dialersim.Settings)
		verdict importer.Verdict
		reason  importer.Reason
	}{
		"log fails, PHP 8":      {func(s *dialersim.Settings) { s.PHP, s.LogFails = dialersim.PHP81, true }, importer.VerdictAdded, ""},
		"log fails, PHP 7":      {func(s *dialersim.Settings) { s.PHP, s.LogFails = dialersim.PHP7, true }, importer.VerdictAdded, ""},
		"insert fails, PHP 8":   {func(s *dialersim.Settings) { s.PHP, s.InsertFails = dialersim.PHP81, true }, importer.VerdictUnknown, nonagent.ReasonServerError},
		"insert fails, PHP 7":   {func(s *dialersim.Settings) { s.PHP, s.InsertFails = dialersim.PHP7, true }, importer.VerdictRetry, nonagent.ReasonInsertFailed},
		"no connection, PHP 8":  {func(s *dialersim.Settings) { s.PHP, s.ConnectError = dialersim.PHP81, "down" }, importer.VerdictRetry, nonagent.ReasonDatabaseDown},
		"no connection, PHP 7":  {func(s *dialersim.Settings) { s.PHP, s.ConnectError = dialersim.PHP7, "down" }, importer.VerdictRetry, nonagent.ReasonDatabaseDown},
		"two factor everywhere": {func(s *dialersim.Settings) { s.TwoFactor = true }, importer.VerdictStop, nonagent.ReasonTwoFactor},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, c := simulated(t, dialersim.Options{})
			sim.Configure(k.trouble)
			a := c.AddLead(t.Context(), someone())
			require.Equal(t, k.verdict, a.Verdict, "%v", a.Err)
			require.Equal(t, k.reason, a.Reason)
			want := 0
			if k.verdict == importer.VerdictAdded {
				want = 1
			}
			require.Len(t, sim.Inserts(), want)
		})
	}
}
