package dropfile

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/lead"
)

func TestNoNameStandsForTwoFields(t *testing.T) {
	t.Parallel()
	of := map[string]string{}
	for entry, names := range usual {
		for _, name := range names {
			require.NotEmpty(t, name, entry)
			require.Empty(t, of[name], "%q stands for %s, too", name, entry)
			of[name] = entry
		}
	}
}

func TestEveryFieldHasItsNamesInEveryLanguage(t *testing.T) {
	t.Parallel()
	// These are the dialer's own notions, and nobody translates them.
	dialers := map[string]bool{"entry_list_id": true, "source_id": true, "security_phrase": true, "rank": true, "owner": true}
	languages := map[string][]string{}
	entry := ""
	for line := range strings.Lines(dictionaryText) {
		switch {
		case strings.TrimSpace(line) == "" || line[0] == '#':
		case line[0] != ' ':
			entry = strings.TrimSpace(line)
			require.NotContains(t, languages, entry, "a second block")
			languages[entry] = nil
		default:
			languages[entry] = append(languages[entry], strings.Fields(line)[0])
		}
	}
	for _, field := range lead.Fields() {
		switch field {
		case "phone_number":
			field = "phone.main"
		case "alt_phone":
			field = "phone.alt"
		case "list_id": // only the feed says to which list leads go
			require.NotContains(t, languages, field)
			continue
		}
		want := []string{"en", "es", "fr", "de", "pt"}
		if dialers[field] {
			want = want[:1]
		}
		require.Equal(t, want, languages[field], field)
	}
	for entry := range languages {
		known := entry == fullName || entry == eitherOne || entry == noField || strings.HasPrefix(entry, phoneKind)
		for _, field := range lead.Fields() {
			known = known || entry == field
		}
		require.True(t, known, "%s is no field of a lead", entry)
	}
}

func TestATableWithoutAHeaderIsKnownByItsContent(t *testing.T) {
	t.Parallel()
	var sample [][]string
	for line := range strings.Lines(strings.TrimSpace(`
Ann|Lee|(305) 555-0101|ann@example.com|33101|FL|12 Main St|Miami
John|Brown|305.555.0102|john@example.com|08014|NJ|7 Oak Ave|Trenton
Maria|Smith|+1 305 555 0103|maria@example.com|10001|NY|99 Elm Rd|Albany`)) {
		sample = append(sample, strings.Split(strings.TrimSpace(line), "|"))
	}
	m, err := newMapper(nil, nil, sample, Options{Region: "US"})
	require.NoError(t, err)
	var got []string
	for _, c := range m.mapped {
		got = append(got, c.Field)
	}
	require.Equal(t, "first_name last_name phone_number email postal_code state address1 city", strings.Join(got, " "))
	require.Equal(t, "column 3", m.mapped[2].Header)

	m, err = newMapper(nil, nil, sample, Options{Region: "US", Columns: map[string]string{"last_name": "1", "first_name": "Column 2"}})
	require.NoError(t, err)
	require.Equal(t, "last_name", m.mapped[0].Field)
	require.Equal(t, "first_name", m.mapped[1].Field)

	_, err = newMapper(nil, nil, [][]string{{"Ann", "3055550101", "3055550102"}}, Options{Region: "US"})
	require.ErrorContains(t, err, `2 columns could be the phone_number: "column 2" (such as 30########), "column 3" (such as 30########)`)
}

func TestOnlyOurOwnGuardIsTakenAway(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"'=1+1": "=1+1", "'+1": "+1", "'-5": "-5", "'@x": "@x", "''=1": "'=1", "'tis": "'tis", "'": "'", "x": "x", "": "",
	} {
		require.Equal(t, want, unguarded(cell), cell)
	}
}
