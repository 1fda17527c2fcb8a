package dropfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
)

// thirty is a table of thirty with a line of their own in the middle.
func thirty(line string) string {
	var file strings.Builder
	file.WriteString("Company,Name,Phone,Zip,Email\n")
	for i := range 30 {
		if i == 15 {
			file.WriteString(line + "\n")
		}
		fmt.Fprintf(&file, "Acme %c,Ann Ashgrove,305-555-%04d,33%03d,ann%d@example.com\n", 'A'+i%26, 100+i, i, i)
	}
	return file.String()
}

func TestWhatOnlyLooksLikeACommentOrATotalIsARecord(t *testing.T) {
	t.Parallel()
	for line, outside := range map[string]string{
		"--,Bo Barlowe,305-555-0199,33101,bo@example.com":                 "",
		"---,Bo Barlowe,305-555-0199,33101,bo@example.com":                "",
		"#1 Movers,Bo Barlowe,305-555-0199,33101,bo@example.com":          "",
		"Total 100 Solutions,,305-555-0199,,":                             "",
		"Count,,,,bo@example.com":                                         "",
		"#Acme,Bo Barlowe,305-555-0199,33101,bo@example.com":              dropfile.Comment,
		"-- taken out: Acme,Bo Barlowe,305-555-0199,33101,bo@example.com": dropfile.Comment,
		"//Acme,Bo Barlowe,305-555-0199,33101,bo@example.com":             dropfile.Comment,
		"# 3 of these are old":                                            dropfile.Comment,
		"#################":                                               dropfile.Comment,
		"-----------------":                                               dropfile.Comment,
		"Total,,31,,":                                                     dropfile.Total,
		"Total 31,,,,":                                                    dropfile.Total,
	} {
		table, err := dropfile.OpenTable(strings.NewReader(thirty(line)), dropfile.Options{Region: "US"})
		require.NoError(t, err, line)
		require.NoError(t, dropfile.WriteCSV(&strings.Builder{}, table), line)
		e := table.Explain()
		if outside == "" {
			require.Equal(t, 31, e.Records, line)
			require.Zero(t, e.Outside.Count, line)
			continue
		}
		require.Equal(t, 30, e.Records, line)
		require.Equal(t, map[string]int{outside: 1}, e.Outside.ByKind, line)
	}
}

func TestPeopleWhoGaveNothingAreNoSecondTable(t *testing.T) {
	t.Parallel()
	nothing := "Acme A,Jane Doe,none,none,none\nAcme B,Bob Roe,none,none,none"
	for name, file := range map[string]string{"in mid-file": thirty(nothing), "at the end": thirty("Acme,Cy Day,305-555-0199,33101,cy@example.com") + nothing + "\n"} {
		got := readTable(t, file, dropfile.Options{})
		require.Zero(t, got.outside.Count, name)
		require.GreaterOrEqual(t, len(got.rows), 32, name)
		require.Empty(t, got.refused, name)
	}
}

func TestAShiftedRecordIsNotTakenAsItStands(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	file.WriteString("Account,Phone,First,Zip,Email\n")
	for i := range 30 {
		if i == 15 {
			file.WriteString(",3055557777,3055550199,Jane,33101\n") // and has lost its last cell
		}
		fmt.Fprintf(&file, "%d,305555%04d,Ann%c,33%03d,ann%d@example.com\n", 3055557000+i, 100+i, 'a'+i%26, i, i)
	}
	got := readTable(t, file.String(), dropfile.Options{})
	require.Equal(t, []string{"3055557777", "3055550199", "Jane", "33101", ""}, got.rows[15])
	require.Contains(t, got.noted[15], "a delimiter too many was dropped")
}

func TestWhatIsReplacedInALaterLineOfARecordIsNoted(t *testing.T) {
	t.Parallel()
	got := readTable(t, thirty("Acme,\"Ann\nB\x00o\",305-555-0199,33101,bo@example.com"), dropfile.Options{})
	require.Equal(t, "Ann\nB\uFFFDo", got.rows[15][1])
	require.Equal(t, "NUL bytes were replaced by \uFFFD", got.noted[15])
}
