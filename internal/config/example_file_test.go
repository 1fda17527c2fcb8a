package config_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"importer/internal/config"
)

const examplePath = "../../configs/importer.example.yaml"

func TestTheExampleLoadsAsItStands(t *testing.T) {
	t.Setenv("DIALER_PASSWORD", "secret-1")
	cfg, err := config.Load(examplePath, knowledge)
	require.NoError(t, err)
	require.Empty(t, cfg.Warnings)
	require.Equal(t, "secret-1", cfg.Dialers["main"].Password.Reveal())
	require.NotNil(t, cfg.Feeds["acme"].Source.Directory)
	require.NotNil(t, cfg.Feeds["bravo"].Source.SFTP)
	require.NotNil(t, cfg.Feeds["charlie"].Source.HTTPS)
}

func TestTheExamplesOtherLoginsLoadAsTheirCommentsSay(t *testing.T) {
	t.Setenv("DIALER_PASSWORD", "secret-1")
	t.Setenv("BRAVO_PASSWORD", "secret-2")
	t.Setenv("CHARLIE_KEY", "secret-3")
	text, err := os.ReadFile(examplePath)
	require.NoError(t, err)
	acme, others, found := strings.Cut(string(text), "  bravo:\n")
	require.True(t, found)

	path := write(t, "importer.yaml", acme+"  bravo:\n"+commentedKey.ReplaceAllString(others, "$1$2"), 0o644)
	cfg, err := config.Load(path, knowledge)
	require.NoError(t, err)
	require.Empty(t, cfg.Warnings)
	require.Equal(t, "secret-2", cfg.Feeds["bravo"].Source.SFTP.Password.Reveal())
	require.Equal(t, "secret-3", cfg.Feeds["charlie"].Source.HTTPS.Headers["X-Api-Key"].Reveal())
}

func TestTheExamplesTargetsLoadAsTheirCommentsSay(t *testing.T) {
	t.Setenv("DIALER_PASSWORD", "secret-1")
	t.Setenv("MONITOR_URL", "https://hooks.example.com/importer")
	t.Setenv("TEAM_CHAT_URL", "https://chat.example.com/hooks/secret-2")
	text, err := os.ReadFile(examplePath)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), "#notify:\n")
	require.True(t, found)
	targets, after, found := strings.Cut(rest, "\nfeeds:\n")
	require.True(t, found)
	after = strings.Replace(after, "    #notify: {", "    notify: {", 1)

	path := write(t, "importer.yaml", before+"notify:\n"+commentedKey.ReplaceAllString(targets, "$1$2")+"\nfeeds:\n"+after, 0o644)
	cfg, err := config.Load(path, knowledge)
	require.NoError(t, err)
	require.Empty(t, cfg.Warnings)
	require.Equal(t, "https://hooks.example.com/importer", cfg.Notify["monitor"].Webhook.URL.Reveal())
	require.Equal(t, "https://chat.example.com/hooks/secret-2", cfg.Notify["team"].Chat.URL.Reveal())
	require.Equal(t, config.Strings{"manager@example.com"}, cfg.Notify["manager"].Mail.To)
	require.Equal(t, map[string]string{"team": "always", "manager": "trouble"}, cfg.Feeds["acme"].Notify)
}

func TestTheExampleNamesEveryKeyAndNoOther(t *testing.T) {
	t.Parallel()
	_, properties := schema(t)
	delete(properties, "feeds.*.list_id.column") // these two exclude the number, so they stand in a comment
	delete(properties, "feeds.*.list_id.file_name")
	delete(properties, "feeds.*.callback.datetime") // a text or a column, and the example shows one of them
	delete(properties, "feeds.*.callback.user.column")
	delete(properties, "feeds.*.callback.comments.column")
	require.Equal(t, slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(example(t))))
}

func TestTheExampleShowsEveryDefault(t *testing.T) {
	t.Parallel()
	defaults, _ := schema(t)
	values := example(t)
	delete(defaults, "feeds.*.source.sftp.agent") // the one login for which nothing else must be set
	for path, value := range defaults {
		require.Equal(t, fmt.Sprint(value), fmt.Sprint(values[path]), path)
	}
}

func TestTheSchemasDefaultsAreTheLoaders(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, smallest+`    source: {directory: {path: drops}}
    campaign_id: TESTCAMP
    callback: {datetime: NOW}
  bravo:
    dialer: main
    list_id: 102
    source: {sftp: {host: sftp.example.com, user: callcentre, password: secret-2, path: leads}}
  charlie:
    dialer: main
    list_id: 103
    source: {https: {url: https://files.example.com/leads.csv}}
notify:
  monitor: {webhook: {url: https://hooks.example.com/importer}}
  team: {chat: {url: https://chat.example.com/hooks/1}}
  manager: {mail: {host: smtp.example.com, from: importer@example.com, to: manager@example.com}}
`)
	require.NoError(t, err)
	redacted, err := cfg.Redacted()
	require.NoError(t, err)
	values := flatten(t, redacted)
	values["state_dir"] = "./state" // it was made absolute

	defaults, _ := schema(t)
	require.NotEmpty(t, defaults)
	for path, value := range defaults {
		require.EqualValues(t, value, values[path], path)
		delete(values, path)
	}
	for path, value := range values {
		if text := fmt.Sprint(value); text != "" && text != "[]" && text != "map[]" {
			require.Contains(t, []string{
				"dialers.*.url", "dialers.*.user", "dialers.*.password",
				"feeds.*.dialer", "feeds.*.list_id", "feeds.*.source.directory.path",
				"feeds.*.campaign_id", "feeds.*.callback.datetime",
				"feeds.*.source.sftp.host", "feeds.*.source.sftp.user", "feeds.*.source.sftp.password",
				"feeds.*.source.sftp.path", "feeds.*.source.sftp.known_hosts", "feeds.*.source.https.url",
				"notify.*.webhook.url", "notify.*.chat.url", "notify.*.mail.host", "notify.*.mail.from", "notify.*.mail.to",
			}, path, "a default that the schema does not tell")
		}
	}
}

// keyedByUser are mappings whose keys are the user's choice.
var keyedByUser = map[string]bool{"feeds.*.columns": true, "feeds.*.custom_fields": true, "feeds.*.on_bad": true, "feeds.*.notify": true, "feeds.*.source.https.headers": true}

// commentedKey matches the start of a line of the example whose key is
// commented out: a # directly before the key.
var commentedKey = regexp.MustCompile(`(?m)^( *)#([a-z_]+:)`)

// example returns the example's values by path, those in comments included;
// the names of dialers and feeds are *.
func example(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(examplePath)
	require.NoError(t, err)
	return flatten(t, commentedKey.ReplaceAll(text, []byte("$1$2")))
}

func flatten(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var tree map[string]any
	require.NoError(t, yaml.Unmarshal(text, &tree))
	values := map[string]any{}
	var walk func(path string, node any)
	walk = func(path string, node any) {
		branch, ok := node.(map[string]any)
		if !ok || keyedByUser[path] {
			values[path] = node
			return
		}
		for key, value := range branch {
			if path == "dialers" || path == "notify" || path == "feeds" {
				key = "*"
			}
			walk(join(path, key), value)
		}
	}
	walk("", tree)
	return values
}

// schema returns the defaults and the leaf properties of the schema by path.
func schema(t *testing.T) (defaults, properties map[string]any) {
	t.Helper()
	text, err := config.Schema()
	require.NoError(t, err)
	type node struct {
		Ref                  string          `json:"$ref"`
		Defs                 map[string]node `json:"$defs"`
		Properties           map[string]node `json:"properties"`
		AdditionalProperties json.RawMessage `json:"additionalProperties"`
		OneOf                []node          `json:"oneOf"`
		Description          string          `json:"description"`
		Default              any             `json:"default"`
	}
	var root node
	require.NoError(t, json.Unmarshal(text, &root))

	defaults, properties = map[string]any{}, map[string]any{}
	var walk func(path string, n node)
	walk = func(path string, n node) {
		if n.Default != nil {
			defaults[path] = n.Default
		}
		if path != "" && !strings.HasSuffix(path, ".*") {
			require.NotEmpty(t, n.Description, "the description of %s", path)
		}
		if n.Ref != "" {
			n = root.Defs[n.Ref[len("#/$defs/"):]]
		}
		for _, form := range n.OneOf {
			for key, property := range form.Properties {
				walk(join(path, key), property)
			}
		}
		for key, property := range n.Properties {
			walk(join(path, key), property)
		}
		var values node
		if err := json.Unmarshal(n.AdditionalProperties, &values); err == nil && values.Ref != "" && !keyedByUser[path] {
			walk(join(path, "*"), values)
			return
		}
		if len(n.Properties) == 0 {
			properties[path] = true
		}
	}
	walk("", root)
	return defaults, properties
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
