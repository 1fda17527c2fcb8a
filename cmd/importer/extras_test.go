package main

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/config"
	"importer/internal/nonagent/dialersim"
)

// newCustomSite is a site whose list has custom fields that the feed fills.
func newCustomSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t, strings.Replace(with(impatient, "timeout: 6s"), "list_id: 101}", "list_id: 101, custom_fields: {contact: email, website: web}}", 1))
	s.dialer.Configure(func(set *dialersim.Settings) { set.CustomFields = true })
	s.dialer.SetList(dialersim.List{ID: 101, Name: "List", Campaign: "TESTCAMP", CustomFields: []string{"contact", "website"}})
	s.contacts(t, "contacts.csv", contacts())
	return s
}

// requireCustomFields checks that each lead has the custom fields of its row.
func (s *site) requireCustomFields(t *testing.T) {
	t.Helper()
	header, want := contacts()[0], map[string]map[string]string{}
	column := func(row []string, name string) string {
		for i, h := range header {
			if h == name {
				return row[i]
			}
		}
		t.Fatalf("the contacts have no column %s", name)
		return ""
	}
	for _, row := range contacts()[1:] {
		values := map[string]string{}
		for label, name := range map[string]string{"contact": "email", "website": "web"} {
			if v := column(row, name); v != "" {
				values[label] = v
			}
		}
		want[strings.ReplaceAll(column(row, "phone1"), "-", "")] = values
	}
	for _, l := range s.dialer.Leads() {
		require.Equal(t, want[l.Get("phone_number")], s.dialer.CustomValues(l.ID))
	}
}

// A drop that has not reached the dialer is recorded afresh when these change.
func TestSettingsTellHowExtrasBecomeLeads(t *testing.T) {
	t.Parallel()
	plain := config.Feed{Dialer: "main"}
	known := map[string]string{settingsOf(plain, config.Dialer{}): "none"}
	for name, change := range map[string]func(*config.Feed){
		"a custom field":     func(f *config.Feed) { f.CustomFields = map[string]config.Column{"color": {Header: "Color"}} },
		"another header":     func(f *config.Feed) { f.CustomFields = map[string]config.Column{"color": {Header: "Colour"}} },
		"a further number":   func(f *config.Feed) { f.AltPhones = config.Strings{"Work"} },
		"a callback":         func(f *config.Feed) { f.Callback = &config.Callback{Datetime: config.Value{Text: "NOW"}} },
		"a callback's time":  func(f *config.Feed) { f.Callback = &config.Callback{Datetime: config.Value{Column: "NOW"}} },
		"a callback's agent": func(f *config.Feed) { f.Callback = &config.Callback{User: config.Value{Text: "NOW"}} },
	} {
		feed := plain
		change(&feed)
		settings := settingsOf(feed, config.Dialer{})
		require.Empty(t, known[settings], name)
		known[settings] = name
	}
}

func TestKilledBetweenALeadAndItsCustomFields(t *testing.T) {
	t.Parallel()
	s := newCustomSite(t)
	killed, reached := make(chan struct{}), make(chan struct{}, contactRows)
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		if r.Function != "update_lead" || r.Nth < 60 {
			return dialersim.Fault{}
		}
		reached <- struct{}{}
		<-killed
		return dialersim.Fault{Skip: true}
	})
	end := sync.OnceFunc(func() { close(killed) })
	t.Cleanup(end)
	first := s.start(t, "import", "contacts.csv", "--feed", "acme")
	<-reached
	require.NoError(t, first.Process.Kill())
	require.Equal(t, -1, first.ends(t))
	end()
	s.dialer.SetFault(nil)

	again := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
	require.Zero(t, again.ends(t), &again.err)
	r := again.result(t)
	require.Equal(t, contactRows, r.Outcomes["SUCCESS"], "%+v", r)
	require.Positive(t, r.Reasons["SUCCESS reconciled"], "the kill left no lead without its custom fields")
	s.requireEachLeadOnce(t, contactRows)
	s.requireCustomFields(t)
}

// Some leads' first updates are carried out and not answered, some are answered
// by a script that died behind its first line. (Among all updates, a lead could
// have such luck three times, after which it goes without its custom fields.)
func TestCustomFieldsSurviveLostAnswersAndDeadScripts(t *testing.T) {
	t.Parallel()
	s := newCustomSite(t)
	var mu sync.Mutex
	updated := map[string]bool{}
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		mu.Lock()
		defer mu.Unlock()
		lead := r.Get("lead_id")
		if r.Function != "update_lead" || updated[lead] {
			return dialersim.Fault{}
		}
		updated[lead] = true
		switch n := len(updated); {
		case n%100 == 50:
			return dialersim.Fault{Answer: func(a *dialersim.Response) { a.Drop = true }}
		case n%10 == 3:
			return dialersim.Fault{Answer: func(a *dialersim.Response) {
				a.Status = http.StatusInternalServerError
				a.Body = a.Body[:bytes.IndexByte(a.Body, '\n')+1]
			}}
		}
		return dialersim.Fault{}
	})
	p := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
	require.Zero(t, p.ends(t), "%s%s", &p.out, &p.err)
	require.Equal(t, map[string]int{"SUCCESS added": contactRows}, p.result(t).Reasons)
	s.requireEachLeadOnce(t, contactRows)
	s.requireCustomFields(t)
}
