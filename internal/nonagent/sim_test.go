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
	require.NoError(t, c.UpdateCustomFields(t.Context(), a.LeadID, "101", map[string]string{"color": "blue"}))
	require.Equal(t, map[string]string{"color": "blue"}, sim.CustomValues(a.LeadID))
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
