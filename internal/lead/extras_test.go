package lead_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"importer/internal/lead"
)

// with is a valid lead that brings extras.
func with(x lead.Extras) lead.Lead {
	l := valid()
	l.AltPhone = "3055550199"
	l.Extras = &x
	return l
}

func TestCustomFieldsAreMadeFitForTheDialer(t *testing.T) {
	t.Parallel()
	in := with(lead.Extras{Custom: map[string]string{"color": " blue ", "note": `5" & "José"; a\b`, "empty": "  ", "gone": "山田"}})
	out, changes, refused := us.Clean(in)
	require.Nil(t, refused)
	require.Equal(t, &lead.Extras{Custom: map[string]string{"color": "blue", "note": "5 & Jose a b"}}, out.Extras)
	require.Equal(t, []string{"custom_fields.gone", "custom_fields.note"}, []string{changes[0].Field, changes[1].Field})
	require.Equal(t, " blue ", in.Extras.Custom["color"], "the lead as it came is not touched")
}

func TestFurtherNumbersAreReadAsPhoneNumbers(t *testing.T) {
	t.Parallel()
	out, changes, refused := us.Clean(with(lead.Extras{AltPhones: []lead.AltPhone{
		{Number: "(727) 555-1212", Note: "Work_Phone!"},
		{Number: ""},
		{Number: "12345", Note: "Home"},
		{Number: "+44 20 7946 0123", Note: strings.Repeat("m", 40)},
		{Number: "305 555 0123", Note: "the lead's own"},
		{Number: "3055550199", Note: "alt_phone's"},
		{Number: "7275551212", Note: "again"},
	}}))
	require.Nil(t, refused)
	require.Equal(t, []lead.AltPhone{
		{Code: "1", Number: "7275551212", Note: "Work Phone"},
		{Code: "44", Number: "2079460123", Note: strings.Repeat("m", 30)},
	}, out.Extras.AltPhones)
	var told []string
	for _, c := range changes {
		told = append(told, c.Field+": "+c.Why)
	}
	require.Equal(t, []string{
		"alt_phones[0]: written as digits alone",
		"alt_phones[2]: dropped: the phone number has too few digits for its country",
		"alt_phones[3]: written as digits alone, country code and trunk prefix apart",
		"alt_phones[4]: dropped: the lead has this number already",
		"alt_phones[5]: dropped: the lead has this number already",
		"alt_phones[6]: dropped: the lead has this number already",
	}, told)
}

func TestCallbackIsWrittenAsTheDialerReadsIt(t *testing.T) {
	t.Parallel()
	german := lead.Rules{Region: "DE", ListID: "101"}
	for _, c := range []struct {
		rules    lead.Rules
		from, to string
	}{
		{us, "2026-12-01 10:00:00", "2026-12-01 10:00:00"},
		{us, "2026-12-01T09:30", "2026-12-01 09:30:00"},
		{us, "12/01/2026 3:05 pm", "2026-12-01 15:05:00"},
		{us, "12/1/2026 3PM", "2026-12-01 15:00:00"},
		{german, "01.12.2026 8:15", "2026-12-01 08:15:00"},
		{us, "2026-12-01", "2026-12-01 00:00:00"},
		{us, "2026-12-01 10:00:00.250", "2026-12-01 10:00:00"},
		{us, "now", "NOW"},
		{us, "3days", "3DAYS"},
	} {
		out, changes, refused := c.rules.Clean(with(lead.Extras{Callback: &lead.Callback{At: c.from, User: " agent7 ", Comments: "it's \"urgent\""}}))
		require.Nil(t, refused, c.from)
		require.Equal(t, &lead.Callback{At: c.to, User: "agent7", Comments: "it's urgent"}, out.Extras.Callback, c.from)
		require.Equal(t, c.from != c.to, changes[0].Field == "callback.datetime", c.from)
	}
	out, _, refused := us.Clean(with(lead.Extras{Callback: &lead.Callback{At: " ", User: "agent7", Comments: "x"}}))
	require.Nil(t, refused)
	require.Nil(t, out.Extras, "no time, no callback")
}

func TestCallbackThatTheDialerWouldMisreadIsRefused(t *testing.T) {
	t.Parallel()
	for _, at := range []string{
		"tomorrow", "2026-02-30 10:00:00", "12/01/26 10:00", "2026-12-01 25:00", "2026-12-01 10:00:00Z", "2026-12-01T10:00:00+02:00", "10:00", "DAYS", "-3DAYS", "1000DAYS",
	} {
		in := with(lead.Extras{Callback: &lead.Callback{At: at}})
		out, changes, refused := us.Clean(in)
		require.NotNil(t, refused, at)
		require.Equal(t, lead.CallbackInvalid, refused.Reason, at)
		require.NotContains(t, refused.Detail, at)
		require.Equal(t, in, out)
		require.Empty(t, changes)
	}
	for _, user := range []string{"Ann Lee", "a&b", strings.Repeat("a", 21), "Jörg"} {
		_, _, refused := us.Clean(with(lead.Extras{Callback: &lead.Callback{At: "NOW", User: user}}))
		require.NotNil(t, refused, user)
		require.Equal(t, lead.CallbackInvalid, refused.Reason, user)
	}
}

func TestCleaningCleanedExtrasChangesNothing(t *testing.T) {
	t.Parallel()
	numbers := rapid.OneOf(rapid.StringMatching(`[+0-9() ./x-]{0,16}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		rules := lead.Rules{Region: rapid.SampledFrom([]string{"US", "GB", "DE"}).Draw(t, "region"), NonLatin: rapid.Bool().Draw(t, "unicode"), ListID: "101"}
		in := valid()
		in.Extras = &lead.Extras{
			Custom: map[string]string{"color": rapid.String().Draw(t, "custom")},
			AltPhones: []lead.AltPhone{
				{Number: numbers.Draw(t, "one"), Note: rapid.String().Draw(t, "note")}, {Number: numbers.Draw(t, "two")},
			},
			Callback: &lead.Callback{
				At:       rapid.StringMatching(`(2026-1[0-2]-[0-3][0-9])?[ T]?([0-2]?[0-9]:[0-5][0-9]( ?[ap]m)?)?|NOW|[0-9]days`).Draw(t, "at"),
				User:     rapid.StringMatching(`[a-z0-9]{0,6}`).Draw(t, "user"),
				Comments: rapid.String().Draw(t, "comments"),
			},
		}
		out, _, refused := rules.Clean(in)
		if refused != nil {
			return
		}
		again, changes, refused := rules.Clean(out)
		require.Nil(t, refused)
		require.Empty(t, changes)
		require.Equal(t, out, again)
	})
}
