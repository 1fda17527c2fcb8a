package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/config"
	"importer/internal/dropfile"
	"importer/internal/lead"
	"importer/internal/schedule"
	"importer/internal/source"
)

// leadFields stands for the list that the command line passes in.
var leadFields = []string{
	"comments", "first_name", "list_id", "phone_code", "phone_number",
	"security_phrase", "source_id", "vendor_lead_code",
}

// isCustomField stands for the test that the command line passes in.
func isCustomField(label string) bool { return label != "" && label != "function" }

// knowledge stands for what the command line passes in.
var knowledge = config.Knowledge{
	Fields: leadFields, Region: lead.IsRegion, CustomField: isCustomField, Template: dropfile.CheckTemplate,
	Encoding: func(name string) error { return dropfile.Options{Encoding: name}.Check() }, Delimiter: func(text string) error { return dropfile.Options{Delimiter: text}.Check() },
	Pattern: func(pattern, marker string) error {
		return source.Choice{Pattern: pattern, Marker: marker}.Check()
	},
	Schedule:   schedule.Check,
	Clock:      func(text string) error { _, err := schedule.ParseClock(text); return err },
	Window:     func(text string) error { _, err := schedule.ParseWindow(text); return err },
	Date:       func(text string) error { _, err := schedule.ParseDate(text); return err },
	PrivateKey: source.CheckPrivateKey,
}

// smallest is a configuration with nothing but what has no default.
const smallest = `dialers:
  main:
    url: https://dialer.example.com/vicidial/non_agent_api.php
    user: importer
    password: secret-1
feeds:
  acme:
    dialer: main
    list_id: 101
`

// edit replaces a part of smallest that must be there.
func edit(t *testing.T, from, to string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(smallest, from), "%q must stand once in the smallest configuration", from)
	return strings.Replace(smallest, from, to, 1)
}

// write puts a file into a folder of its own and returns its path.
func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
	require.NoError(t, os.Chmod(path, mode)) // whatever the umask is
	return path
}

// load reads the text as a configuration file that only its owner may read.
func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	return config.Load(write(t, "importer.yaml", text, 0o600), knowledge)
}

// complaint loads the text, which must be refused, and returns the error
// without the folder of the file.
func complaint(t *testing.T, text string) string {
	t.Helper()
	path := write(t, "importer.yaml", text, 0o600)
	cfg, err := config.Load(path, knowledge)
	require.Error(t, err)
	require.Nil(t, cfg)
	var problems *config.Problems
	require.ErrorAs(t, err, &problems)
	return strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", "")
}
