package nonagent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVersionIsAskedWithoutALogin(t *testing.T) {
	t.Parallel()
	c, s := asked(t, page("200 OK", "VERSION: 2.14-194|BUILD: 241004-1518|DATE: 2026-11-23 15:13:12|EPOCH: 1795446792|DST: 0|TZ: -5.00|TZNOW: -4.00|\n"))
	v, err := c.Version(t.Context())
	require.NoError(t, err)
	require.Positive(t, v.Latency)
	require.Positive(t, v.Connect)
	require.Positive(t, v.Answer)
	require.LessOrEqual(t, v.Connect+v.Answer, v.Latency)
	v.Latency, v.Connect, v.Answer = 0, 0, 0
	require.Equal(t, Version{Version: "2.14-194", Build: "241004-1518", Time: time.Unix(1795446792, 0), TimeZone: "-5.00", Offset: "-4.00"}, v)
	require.Equal(t, map[string][]string{"function": {"version"}, "source": {"importer"}, "end": {"1"}}, map[string][]string(s.seen()[0]))
}

func TestVersionFindsAWrongAddress(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"the Agent API": "VERSION: 2.14-72|BUILD: 240830-1040|DATE: 2026-11-23 15:13:12|EPOCH: 1795446792\n",
		"prose":         "hello\n",
		"a login page":  "<html><input type=password></html>\n",
	} {
		c, _ := asked(t, page("200 OK", body))
		_, err := c.Version(t.Context())
		require.Equal(t, ReasonNotTheAPI, requireKind(t, err, KindStop, name).Reason)
	}
}

func TestListInfo(t *testing.T) {
	t.Parallel()
	c, s := asked(t, page("200 OK", "101|Test list 101|TESTCAMP|Y|2026-01-02 03:04:05||2099-12-31|0|5|2|\n"))
	l, err := c.ListInfo(t.Context(), "101")
	require.NoError(t, err)
	require.Equal(t, List{
		ID: "101", Name: "Test list 101", Campaign: "TESTCAMP", Active: true,
		Changed: "2026-01-02 03:04:05", Expires: "2099-12-31", Leads: 5, NewLeads: 2,
	}, l)
	require.Equal(t, "Y", s.seen()[0].Get("leads_counts"))
	for body, kind := range map[string]Kind{
		"ERROR: list_info LIST DOES NOT EXIST: |apiuser|101\n":                        KindNotFound,
		"ERROR: list_info NOT AN ALLOWED LIST ID: |apiuser|101\n":                     KindStop,
		"ERROR: list_info USER DOES NOT HAVE PERMISSION TO MODIFY LISTS: |apiuser|\n": KindStop,
		"102|Test list 102|TESTCAMP|Y|||2099-12-31|0|5|2|\n":                          KindInconclusive,
		"101|Test|list|101|TESTCAMP|Y|||2099-12-31|0|5|2|\n":                          KindInconclusive,
		"101|Test list 101|TESTCAMP|Y|||2099-12-31|0|\n":                              KindInconclusive,
		"101|Test list 101|TESTCAMP|Y|||2099-12-31|0|many|2|\n":                       KindInconclusive,
		"": KindInconclusive,
	} {
		c, _ := asked(t, page("200 OK", body))
		_, err := c.ListInfo(t.Context(), "101")
		requireKind(t, err, kind, body)
	}
}

func TestCampaignsList(t *testing.T) {
	t.Parallel()
	c, _ := asked(t, page("200 OK", "TESTCAMP|Test campaign|Y|---ALL---|MANUAL|0||NEW B - |60|9||\nOLD|Old|N|G|RATIO|1|DOWN|NEW -\n"))
	campaigns, err := c.CampaignsList(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Campaign{
		{ID: "TESTCAMP", Name: "Test campaign", Active: true, UserGroup: "---ALL---", DialMethod: "MANUAL", DialStatuses: "NEW B"},
		{ID: "OLD", Name: "Old", UserGroup: "G", DialMethod: "RATIO", DialStatuses: "NEW"},
	}, campaigns)

	none, _ := asked(t, page("200 OK", "ERROR: campaigns_list THIS USER HAS NO VIEWABLE CAMPAIGNS: |apiuser|\n"))
	campaigns, err = none.CampaignsList(t.Context())
	require.NoError(t, err)
	require.Empty(t, campaigns)

	short, _ := asked(t, page("200 OK", "TESTCAMP|Test campaign\n"))
	_, err = short.CampaignsList(t.Context())
	requireKind(t, err, KindInconclusive, "short")
}

func TestHopperList(t *testing.T) {
	t.Parallel()
	c, s := asked(t, page("200 OK", "0|5|796292|107|"+phoneCanary+"|1|NY|PDROP|7|-4.00|0||S|1001095|A321|2681|1 YEARS\n"))
	leads, err := c.HopperList(t.Context(), "TESTCAMP")
	require.NoError(t, err)
	require.Equal(t, []HopperLead{{
		Priority: 5, LeadID: 796292, ListID: "107", PhoneNumber: phoneCanary, PhoneCode: "1",
		State: "NY", Status: "PDROP", Called: 7, Offset: "-4.00", Source: "S",
	}}, leads)
	require.Equal(t, "TESTCAMP", s.seen()[0].Get("campaign_id"))

	none, _ := asked(t, page("200 OK", "ERROR: hopper_list THERE ARE NO LEADS IN THE HOPPER FOR THIS CAMPAIGN: apiuser|OTHER\n"))
	leads, err = none.HopperList(t.Context(), "OTHER")
	require.NoError(t, err)
	require.Empty(t, leads)

	for body, kind := range map[string]Kind{
		"ERROR: hopper_list THIS CAMPAIGN DOES NOT EXIST: apiuser|X\n":             KindNotFound,
		"0|5|" + nameCanary + "|107|" + phoneCanary + "|1|NY|PDROP|7|-4.00|0||S\n": KindInconclusive,
		"0|5\n": KindInconclusive,
	} {
		c, _ := asked(t, page("200 OK", body))
		_, err := c.HopperList(t.Context(), "OTHER")
		requireKind(t, err, kind, body)
	}
	_, err = c.HopperList(t.Context(), "A&B")
	requireKind(t, err, KindInconclusive, "an odd campaign")
}

func TestSoundsList(t *testing.T) {
	t.Parallel()
	c, _ := asked(t, page("200 OK", "0\tbeep.wav\t2026-01-02 03:04:05.\t1024\t1795446792\n1\tgo.gsm\t2026-01-02 03:04:05\t9\n"))
	sounds, err := c.SoundsList(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Sound{
		{Name: "beep.wav", Size: 1024, Modified: "2026-01-02 03:04:05"},
		{Name: "go.gsm", Size: 9, Modified: "2026-01-02 03:04:05"},
	}, sounds)

	empty, _ := asked(t, page("200 OK", ""))
	sounds, err = empty.SoundsList(t.Context())
	require.NoError(t, err)
	require.Empty(t, sounds)

	for body, kind := range map[string]Kind{
		"ERROR: sounds_list CENTRAL SOUND CONTROL IS NOT ACTIVE: |apiuser|0|\n":                      KindNotFound,
		"ERROR: audio store web directory does not exist: |apiuser|sounds_list|/srv/www/htdocs/1|\n": KindNotFound,
		"0\tbeep.wav\n":                          KindInconclusive,
		"0\tbeep.wav\tdate\tlarge\t1795446792\n": KindInconclusive,
	} {
		c, _ := asked(t, page("200 OK", body))
		_, err := c.SoundsList(t.Context())
		requireKind(t, err, kind, body)
	}
}
