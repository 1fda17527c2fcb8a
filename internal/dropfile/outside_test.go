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
