package dropfile_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
)

// written is a text's table as CSV and as JSON.
func written(t *testing.T, text string, o dropfile.Options) (asCSV, asJSON string) {
	t.Helper()
	var b bytes.Buffer
	table, err := dropfile.OpenTable(strings.NewReader(text), o)
	require.NoError(t, err)
	require.NoError(t, dropfile.WriteCSV(&b, table))
	asCSV = b.String()
	b.Reset()
	table, err = dropfile.OpenTable(strings.NewReader(text), o)
	require.NoError(t, err)
	require.NoError(t, dropfile.WriteJSON(&b, table))
	return asCSV, b.String()
}

func TestATableIsWrittenAsItIsRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, csv, json string }{
		{"", "", `{"header":null,"records":[]}`},
		{"name,phone\n", "name,phone\n", `{"header":["name","phone"],"records":[]}`},
		{"Rosa,3055550101\nAda,3055550102\n", "Rosa,3055550101\nAda,3055550102\n", `{"header":null,"records":[["Rosa","3055550101"],["Ada","3055550102"]]}`},
		{
			"phone\n3055550101\n\"\"\n\n3055550102\n", // a line without content is no record
			"phone\n3055550101\n3055550102\n", `{"header":["phone"],"records":[["3055550101"],["3055550102"]]}`,
		},
		{
			"name,phone\n\" a\",3055550101\n\"b\nc\",3055550102\n\"d\r\ne\",3055550103\n\"f\"\"g\"\"\",3055550104\n,3055550105\n",
			"name,phone\n\" a\",3055550101\n\"b\nc\",3055550102\n\"d\r\ne\",3055550103\n\"f\"\"g\"\"\",3055550104\n,3055550105\n",
			`{"header":["name","phone"],"records":[[" a","3055550101"],["b\nc","3055550102"],["d\r\ne","3055550103"],["f\"g\"","3055550104"],["","3055550105"]]}`,
		},
		{
			"name,phone\na\x00b,3055550101\nc\xe9d,3055550102\né,3055550103\nè,3055550104\n", // neither can be stored
			"name,phone\na\ufffdb,3055550101\ncéd,3055550102\né,3055550103\nè,3055550104\n",
			`{"header":["name","phone"],"records":[["a` + "\ufffd" + `b","3055550101"],["céd","3055550102"],["é","3055550103"],["è","3055550104"]]}`,
		},
		{
			container.SheetMark + "\"name\",\"phone\"\n\"a\rb\",\"3055550101\"\n\n\"007\",\"2.17623E+09\"\n",
			"name,phone\n\"a\rb\",3055550101\n007,2.17623E+09\n",
			`{"header":["name","phone"],"records":[["a\rb","3055550101"],["007","2.17623E+09"]]}`,
		},
	} {
		asCSV, asJSON := written(t, tc.text, dropfile.Options{})
		require.Equal(t, tc.csv, asCSV, "%q", tc.text)
		require.JSONEq(t, tc.json, asJSON, "%q", tc.text)
		require.True(t, json.Valid([]byte(asJSON)))
		again, _ := written(t, asCSV, dropfile.Options{})
		require.Equal(t, asCSV, again, "what is written is read as it was: %q", tc.text)
	}
}
