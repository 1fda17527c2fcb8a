package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

func TestAKilledRetryGoesOnWithTheFeedsNextStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, impatient)
	s.contacts(t, "contacts.csv", contacts())
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		if r.Function != "add_lead" {
			return dialersim.Fault{}
		}
		body := []byte("ERROR: add_lead PHONE NUMBER IN DNC - " + r.Get("phone_number") + "|importer\n")
		return dialersim.Fault{Skip: true, Answer: func(a *dialersim.Response) { a.Body = body }}
	})
	refused := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
	require.Equal(t, exitPerson, refused.ends(t), &refused.err)
	require.Equal(t, contactRows, refused.result(t).Outcomes["ERROR"])

	reached, release := s.at(t, contactRows+60)
	retry := s.start(t, "retry", "1")
	<-reached
	require.NoError(t, retry.Process.Kill())
	require.Equal(t, -1, retry.ends(t))
	release()

	again := s.start(t, "import", "contacts.csv", "--feed", "acme", "--json")
	require.Zero(t, again.ends(t), &again.err)
	r := again.result(t)
	require.Equal(t, contactRows, r.Outcomes["SUCCESS"], "%+v", r)
	require.Zero(t, r.Pending)
	s.requireEachLeadOnce(t, contactRows)
}
