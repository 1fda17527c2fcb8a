package nonagent

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
)

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	good := Options{
		URL: "https://dialer.example.com" + apiPath, User: "u", Password: func() string { return passwordCanary },
		Source: "importer", Timeout: time.Second, Concurrency: 1,
	}
	_, err := New(good)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*Options){
		"no url":              func(o *Options) { o.URL = "" },
		"no scheme":           func(o *Options) { o.URL = "dialer.example.com/x.php" },
		"another scheme":      func(o *Options) { o.URL = "ftp://dialer.example.com/x.php" },
		"a password in it":    func(o *Options) { o.URL = "https://u:" + passwordCanary + "@dialer.example.com/x.php" },
		"a query in it":       func(o *Options) { o.URL += "?pass=" + passwordCanary },
		"the Agent API":       func(o *Options) { o.URL = "https://dialer.example.com/agc/api.php" },
		"no user":             func(o *Options) { o.User = "" },
		"no password":         func(o *Options) { o.Password = nil },
		"a short source":      func(o *Options) { o.Source = "x" },
		"a long source":       func(o *Options) { o.Source = strings.Repeat("x", 21) },
		"a source with signs": func(o *Options) { o.Source = "my source" },
		"no timeout":          func(o *Options) { o.Timeout = 0 },
		"no concurrency":      func(o *Options) { o.Concurrency = 0 },
	} {
		o := good
		spoil(&o)
		_, err := New(o)
		require.Error(t, err, name)
		requireClean(t, err.Error())
	}
}

func TestRequestIsInOneOrderAndEndsHarmlessly(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1", nil, time.Second)
	call := aCall()
	call.Lead.SourceID = "VENDORS"
	require.Equal(t, "function=add_lead&source=importer&user=apiuser&pass="+passwordCanary+
		"&phone_code=1&phone_number="+phoneCanary+"&list_id=101&vendor_lead_code="+vendorCanary+"&source_id=RABCDEFGHIJKLMNOP-1"+
		"&first_name="+nameCanary+"&last_name=O%27Brien&comments="+commentCanary+"+%26+more"+
		"&campaign_id=TESTCAMP&duplicate_check=DUPLIST&dnc_check=Y&campaign_dnc_check=Y&list_exists_check=Y&end=1",
		string(c.addLeadForm(&call).bytes()))
	plain := importer.Call{Lead: lead.Lead{PhoneNumber: phoneCanary, ListID: "101"}}
	require.Equal(t, "function=add_lead&source=importer&user=apiuser&pass="+passwordCanary+
		"&phone_number="+phoneCanary+"&list_id=101&list_exists_check=Y&end=1",
		string(c.addLeadForm(&plain).bytes()))
}

func TestEveryFieldOfALeadIsSentUnderItsName(t *testing.T) {
	t.Parallel()
	var l lead.Lead
	v := reflect.ValueOf(&l).Elem()
	columns := v.NumField() - 1 // the last one is Extras
	for i := range columns {
		v.Field(i).SetString("value of " + v.Type().Field(i).Name)
	}
	for i, f := range leadFields(&l) {
		require.Equal(t, v.Type().Field(i).Tag.Get("csv"), f.name)
		require.Equal(t, "value of "+v.Type().Field(i).Name, f.value)
	}
	require.Len(t, leadFields(&l), columns)
}

func TestUnsafeCallIsRefusedWithoutBeingMade(t *testing.T) {
	t.Parallel()
	s := answering(t, page("200 OK", success))
	c := newClient(t, s.url, nil, 10*time.Second)
	for name, k := range map[string]struct {
		spoil  func(*importer.Call)
		reason importer.Reason
	}{
		"a trailing backslash": {func(c *importer.Call) { c.Lead.Comments = nameCanary + `\` }, ReasonUnsafeText},
		"a quote":              {func(c *importer.Call) { c.Lead.VendorLeadCode = nameCanary + `"` }, ReasonUnsafeText},
		"a semicolon":          {func(c *importer.Call) { c.Lead.Owner = nameCanary + ";" }, ReasonUnsafeText},
		"a hash":               {func(c *importer.Call) { c.Lead.Address1 = nameCanary + "#" }, ReasonUnsafeText},
		"a line end":           {func(c *importer.Call) { c.Lead.Comments = nameCanary + "\nSUCCESS" }, ReasonUnsafeText},
		"a NUL":                {func(c *importer.Call) { c.Lead.Comments = nameCanary + "\x00" }, ReasonUnsafeText},
		"a C1 control":         {func(c *importer.Call) { c.Lead.Comments = nameCanary + "\u0085" }, ReasonUnsafeText},
		"a stray byte":         {func(c *importer.Call) { c.Lead.FirstName = "Jos\xe9" }, ReasonUnsafeText},
		"a short list id":      {func(c *importer.Call) { c.Lead.ListID = "99" }, ReasonUnsafeList},
		"no list id":           {func(c *importer.Call) { c.Lead.ListID = "" }, ReasonUnsafeList},
		"a list id of letters": {func(c *importer.Call) { c.Lead.ListID = "1O1" }, ReasonUnsafeList},
		"two numbers":          {func(c *importer.Call) { c.Lead.PhoneNumber = "3055551001,3055551002" }, ReasonUnsafePhone},
		"no number":            {func(c *importer.Call) { c.Lead.PhoneNumber = "" }, ReasonUnsafePhone},
		"a number with a plus": {func(c *importer.Call) { c.Lead.PhoneNumber = "+13055551001" }, ReasonUnsafePhone},
		"another token field":  {func(c *importer.Call) { c.TokenField = "pass" }, ReasonBadCall},
		"a token without place": {
			func(c *importer.Call) { c.TokenField = "" }, ReasonBadCall,
		},
		"a place without token": {func(c *importer.Call) { c.Token = "" }, ReasonBadCall},
		"an unsafe token":       {func(c *importer.Call) { c.Token = `R"` }, ReasonBadCall},
		"another check":         {func(c *importer.Call) { c.Duplicate = "DUPNAMEPHONELIST" }, ReasonBadCall},
		"other days":            {func(c *importer.Call) { c.DuplicateDays = 5 }, ReasonBadCall},
		"another phone check":   {func(c *importer.Call) { c.PhoneChecks = []string{"all"} }, ReasonBadCall},
		"a custom parameter": {
			func(c *importer.Call) { c.Lead.Extras = &lead.Extras{Custom: map[string]string{"function": "x"}} }, ReasonBadCall,
		},
		"an unsafe custom field": {
			func(c *importer.Call) {
				c.Lead.Extras = &lead.Extras{Custom: map[string]string{"color": nameCanary + `"`}}
			}, ReasonUnsafeText,
		},
		"an alternate number of letters": {
			func(c *importer.Call) {
				c.Lead.Extras = &lead.Extras{AltPhones: []lead.AltPhone{{Number: "305555O123"}}}
			}, ReasonUnsafePhone,
		},
		"an alternate number's note that parts": {
			func(c *importer.Call) {
				c.Lead.Extras = &lead.Extras{AltPhones: []lead.AltPhone{{Number: "3055550123", Note: "a!1_2"}}}
			}, ReasonUnsafeText,
		},
		"an unsafe callback": {
			func(c *importer.Call) {
				c.Lead.Extras = &lead.Extras{Callback: &lead.Callback{At: "NOW", Comments: nameCanary + `\`}}
			}, ReasonUnsafeText,
		},
		"a callback without campaign": {
			func(c *importer.Call) {
				c.Campaign, c.Lead.Extras = "", &lead.Extras{Callback: &lead.Callback{At: "NOW"}}
			}, ReasonBadCall,
		},
		"an odd campaign": {func(c *importer.Call) { c.Campaign = "A&B" }, ReasonBadCall},
	} {
		call := aCall()
		k.spoil(&call)
		a := c.AddLead(t.Context(), call)
		require.Equal(t, k.reason, a.Reason, name)
		require.False(t, a.Written, name)
		want := importer.VerdictRejected
		if k.reason == ReasonBadCall {
			want = importer.VerdictStop
		}
		require.Equal(t, want, a.Verdict, name)
		requireClean(t, a.Err.Error())
	}
	require.Empty(t, s.seen())
}

func FuzzNothingIsSmuggledIntoARequest(f *testing.F) {
	f.Add("a&function=delete", "user=x", "'")
	f.Add("Zoë", "%00", "+")
	f.Fuzz(func(t *testing.T, name, comment, owner string) {
		call := aCall()
		call.Lead.FirstName, call.Lead.Comments, call.Lead.Owner = name, comment, owner
		if refuse(&call) != nil {
			return
		}
		c := Client{user: "apiuser", source: "importer", password: func() string { return passwordCanary }}
		body := string(c.addLeadForm(&call).bytes())
		got, err := url.ParseQuery(body)
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(body, "&end=1"))
		require.Equal(t, []string{"add_lead"}, got["function"])
		require.Equal(t, []string{"apiuser"}, got["user"])
		require.Equal(t, name, got.Get("first_name"))
		require.Equal(t, comment, got.Get("comments"))
		require.Equal(t, owner, got.Get("owner"))
		for field, values := range got {
			require.Len(t, values, 1)
			require.Regexp(t, "^[a-z0-9_]+$", field)
		}
	})
}

func BenchmarkBuildAndClassify(b *testing.B) {
	c := Client{user: "apiuser", source: "importer", password: func() string { return passwordCanary }}
	call := aCall()
	r := answered(200, success)
	b.ReportAllocs()
	for b.Loop() {
		if refuse(&call) != nil || len(c.addLeadForm(&call).bytes()) == 0 || classify(r, &call).LeadID != 1 {
			b.Fatal("not added")
		}
	}
}
