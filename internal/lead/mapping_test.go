package lead_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/lead"
)

func TestFullNamesAreSplit(t *testing.T) {
	t.Parallel()
	us, mx := lead.Rules{Region: "US"}, lead.Rules{Region: "MX"}
	for _, c := range []struct {
		rules                      lead.Rules
		full                       string
		title, first, middle, last string
	}{
		{us, "John Public", "", "John", "", "Public"},
		{us, "Mr. John Q. Public Jr.", "Mr.", "John", "Q.", "Public Jr."},
		{us, "John Quincy Adams Public", "", "John", "Quincy Adams", "Public"},
		{us, "Public, John", "", "John", "", "Public"},
		{us, "Public, Dr. John Q.", "Dr.", "John", "Q.", "Public"},
		{us, "Public, Jr., John", "", "John", "", "Public Jr."},
		{us, "John Public, Jr.", "", "John", "", "Public Jr."},
		{us, "PUBLIC, MARY ANN", "", "MARY", "ANN", "PUBLIC"},
		{us, "Ludwig van Beethoven", "", "Ludwig", "", "van Beethoven"},
		{us, "Maria de la Cruz", "", "Maria", "", "de la Cruz"},
		{us, "John and Mary Public", "", "John and Mary", "", "Public"},
		{us, "Frau Anna Müller", "Frau", "Anna", "", "Müller"},
		{us, "Cher", "", "Cher", "", ""},
		{us, "Smith Jr", "", "Smith", "", ""},
		{us, " , ", "", "", "", ""},
		{us, "", "", "", "", ""},
		{mx, "Juan García López", "", "Juan", "", "García López"},
		{mx, "Juan Carlos García López", "", "Juan", "Carlos", "García López"},
		{mx, "Juan de la Fuente", "", "Juan", "", "de la Fuente"},
	} {
		var l lead.Lead
		split, done := c.rules.SplitName(c.full, &l)
		require.Equal(t, lead.Lead{Title: c.title, FirstName: c.first, MiddleInitial: c.middle, LastName: c.last}, l, c.full)
		require.Equal(t, c.first != "" && c.first != c.full, done)
		if done {
			require.Equal(t, "full_name", split.Field)
			require.Equal(t, c.full, split.From)
			require.Contains(t, split.To, c.last)
		}
	}
	l := lead.Lead{Title: "Ms", FirstName: " "}
	split, done := us.SplitName(" Mr John Public", &l)
	require.True(t, done)
	require.Equal(t, lead.Change{Field: "full_name", From: "Mr John Public", To: "John | Public", Why: "split into first_name, last_name"}, split)
	require.Equal(t, lead.Lead{Title: "Ms", FirstName: "John", LastName: "Public"}, l, "only what is empty is filled")
}

func TestDatesAreReadAsTheirColumnShows(t *testing.T) {
	t.Parallel()
	for want, dates := range map[lead.DateOrder][]string{
		lead.DayFirst:   {"", "03/04/1980", " 25/04/1980", "1980-12-25", "5/6/1980"},
		lead.MonthFirst: {"03/04/1980", "04/25/1980 00:00", "x"},
		lead.MixedOrder: {"25/04/1980", "04/25/1980", "25/04/1980"},
		"":              {"03/04/1980", "1980-12-25", "25 Apr 1980", "99/99/1980", "80/03/04", "12", "305"},
	} {
		shown := lead.DateOrder("")
		for _, date := range dates {
			shown = shown.With(date)
		}
		require.Equal(t, want, shown, dates)
	}

	for _, c := range []struct {
		region           string
		said, shown      lead.DateOrder
		date, want, note string
	}{
		{"US", "", "", "03/04/1980", "1980-03-04", "read as month, day, year, as is usual in US"},
		{"GB", "", "", "03/04/1980", "1980-04-03", "read as day, month, year, as is usual in GB"},
		{"CA", "", "", "03/04/1980", "", "dropped: day and month could be exchanged, and no date of the column shows how it is written"},
		{"US", "", lead.DayFirst, "03/04/1980", "1980-04-03", "read as day, month, year, as other dates of the column can only be read"},
		{"GB", "", lead.MonthFirst, "03.04.1980", "1980-03-04", "read as month, day, year, as other dates of the column can only be read"},
		{"US", "", lead.MixedOrder, "03/04/1980", "", "dropped: day and month could be exchanged, and the column has dates of both kinds"},
		{"US", lead.DayFirst, lead.MonthFirst, "03/04/1980", "1980-04-03", "read as day, month, year"},
		{"US", lead.MonthFirst, "", "25/04/1980", "1980-04-25", "read as day, month, year"},
		{"US", "", lead.DayFirst, "03.03.1980", "1980-03-03", "written as YYYY-MM-DD"},
		{"CA", "", lead.MixedOrder, "03/03/1980", "1980-03-03", "written as YYYY-MM-DD"},
		{"CA", lead.YearFirst, "", "80/03/04", "1980-03-04", "written as YYYY-MM-DD"},
	} {
		rules := lead.Rules{Region: c.region, ListID: "101", DateOrder: c.said, Dates: map[string]lead.DateOrder{"date_of_birth": c.shown}}
		out, changes, refused := rules.Clean(lead.Lead{PhoneCode: "1", PhoneNumber: "3055550123", DateOfBirth: c.date})
		require.Nil(t, refused)
		require.Equal(t, c.want, out.DateOfBirth, "%+v", c)
		require.Equal(t, []lead.Change{{Field: "date_of_birth", From: c.date, To: c.want, Why: c.note}}, changes)
	}
}

func TestCapitalsAreCalmedDownOnRequest(t *testing.T) {
	t.Parallel()
	calm := lead.Rules{Region: "US", ListID: "101", CalmCapitals: true}
	for from, to := range map[string]string{
		"MARY": "Mary", "O'BRIEN-MCDONALD": "O'Brien-McDonald", "MCKAY JR": "McKay Jr", "VAN DER BERG": "Van Der Berg",
		"JOHN'S": "John's", "D'ANGELO": "D'Angelo", "J R": "J R", "PUBLIC III": "Public III", "JOSÉ": "Jose", "macdonald": "macdonald", "McDonald": "McDonald", "X": "X",
	} {
		out, changes, refused := calm.Clean(lead.Lead{PhoneNumber: "3055550123", LastName: from})
		require.Nil(t, refused)
		require.Equal(t, to, out.LastName)
		require.Equal(t, from != to, len(changes) == 1, from)
		again, changes, _ := calm.Clean(out)
		require.Equal(t, out, again)
		require.Empty(t, changes)
	}
	out, changes, _ := calm.Clean(lead.Lead{PhoneNumber: "3055550123", Address1: "12B 42ND ST. NW", FirstName: "JOSÉ"})
	require.Equal(t, "12B 42nd St. NW", out.Address1)
	require.Equal(t, "written in ASCII: the dialer would delete the rest; capitals calmed down", changes[0].Why)
	out, _, _ = us.Clean(lead.Lead{PhoneNumber: "3055550123", LastName: "O'BRIEN"})
	require.Equal(t, "O'BRIEN", out.LastName, "nobody asked for it")
}

func TestAFieldThatMustBeRightRefusesTheLead(t *testing.T) {
	t.Parallel()
	strict := lead.Rules{Region: "US", ListID: "101", Fatal: map[string]bool{"email": true, "alt_phone": true, "date_of_birth": false}}
	for field, value := range map[string]string{"email": "ann+tag@example.com", "alt_phone": "555-0123"} {
		in := lead.Lead{PhoneNumber: "3055550123"}
		in.Set(field, value)
		out, changes, refused := strict.Clean(in)
		require.Equal(t, in, out)
		require.Empty(t, changes)
		require.NotNil(t, refused, field)
		require.Equal(t, lead.FieldInvalid, refused.Reason)
		require.Contains(t, refused.Detail, "the "+field+" cannot be stored: ")
		require.NotContains(t, refused.Detail, value)
	}
	_, _, refused := strict.Clean(lead.Lead{PhoneNumber: "3055550123", DateOfBirth: "soon", Email: ""})
	require.Nil(t, refused)
}

func TestValuesLookLikeTheirFieldOnlyWhenTheyAreTelling(t *testing.T) {
	t.Parallel()
	for field, values := range map[string]map[string]bool{
		"phone_number": {
			"(305) 555-0123": true, "p:+13055550123": true, "305.555.0123 x22": true, "3055550123 / 3055550124": true,
			"+44 20 7946 0958": true, "33101": false, "1234567890": false, "2026-11-24": false, "Ann": false, "": false,
		},
		"email":         {"ann@example.com": true, "ann+tag@example.com": true, "@ann": false, "ann": false},
		"postal_code":   {"33101": true, "08014-1234": true, "3310": false, "M5V 2T6": false},
		"state":         {"FL": true, "Florida": true, "fl": false, "ZZ": false, "Nuevo León": true},
		"date_of_birth": {"12/31/1980": true, "31.12.1980": true, "1980-12-31": true, "2026-11-24": false, "3055550123": false, "12": false},
		"gender":        {"M": true, "female": true, "hombre": true, "weiblich": true, "yes": false, "x": false},
		"address1":      {"12 Main St": true, "1 Rue de la Paix": true, "Hauptstraße 7": true, "Boston": false, "12": false},
		"first_name":    {"Mary": true, "JOSÉ": true, "Main": false},
		"rank":          {"1": false},
	} {
		for value, want := range values {
			require.Equal(t, want, us.Looks(field, value), "%s %q", field, value)
		}
	}
	require.True(t, lead.Rules{Region: "CA"}.Looks("postal_code", "M5V 2T6"))
}
