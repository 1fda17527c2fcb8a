package dropfile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/lead"
)

var withExtras = dropfile.Options{Extras: dropfile.Extras{
	Custom:    map[string]string{"color": "Favorite Color", "size": "Size"},
	AltPhones: []string{"Phone 3", "Work"},
	Callback: &dropfile.Callback{
		At: dropfile.Value{Header: "call at"}, User: dropfile.Value{Text: "agent7"},
		Comments: dropfile.Value{Header: "Notes"}, Status: "CALLBK",
	},
}}

func TestExtrasAreReadFromTheirColumns(t *testing.T) {
	t.Parallel()
	text := "Phone,Phone 2,Phone 3,Work,Favorite Color,Size,Call At,Notes\n" +
		"3055550123,3055550124,3055550125,,blue,,NOW,hello\n" +
		"3055550126,,,,,,,\n"
	r, err := dropfile.Open(strings.NewReader(text), withExtras)
	require.NoError(t, err)
	var fields []string
	for _, m := range r.Mapping() {
		fields = append(fields, m.Field)
	}
	// What is configured as an extra is nothing else besides.
	require.Equal(t, []string{
		"phone_number", "alt_phone", "alt_phones[0]", "alt_phones[1]", "custom_fields.color", "custom_fields.size", "callback.datetime", "callback.comments",
	}, fields)
	rows, err := rest(r)
	require.NoError(t, err)
	require.Equal(t, lead.Lead{
		PhoneNumber: "3055550123", AltPhone: "3055550124",
		Extras: &lead.Extras{
			Custom:    map[string]string{"color": "blue"},
			AltPhones: []lead.AltPhone{{Number: "3055550125", Note: "Phone 3"}, {Note: "Work"}},
			Callback:  &lead.Callback{At: "NOW", User: "agent7", Comments: "hello", Status: "CALLBK"},
		},
	}, rows[0].Lead)

	// Nothing is left of extras without content.
	out, changes, refused := lead.Rules{Region: "US", ListID: "101"}.Clean(rows[1].Lead)
	require.Nil(t, refused)
	require.Empty(t, changes)
	require.Nil(t, out.Extras)
}

func TestFeedWithoutExtrasReadsNone(t *testing.T) {
	t.Parallel()
	rows := readAll(t, "Phone,Favorite Color\n3055550123,blue\n", dropfile.Options{})
	require.Nil(t, rows[0].Lead.Extras)
}

func TestMissingColumnOfAnExtraHoldsTheFile(t *testing.T) {
	t.Parallel()
	_, err := dropfile.Open(strings.NewReader("Phone,Phone 3,Work,Size,Call At,Notes\n"), withExtras)
	require.EqualError(t, err, `no column has the header "Favorite Color" that the feed's configuration names for custom_fields.color; the header has "Phone", "Phone 3", "Work", "Size", "Call At", "Notes"`)
}
