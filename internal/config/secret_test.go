package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"importer/internal/config"
)

const hidden = "hunter2"

func TestASecretIsToldOnlyByReveal(t *testing.T) {
	t.Parallel()
	secret := config.NewSecret(hidden)
	holder := struct {
		Open  config.Secret
		inner config.Secret
	}{secret, secret}

	require.Equal(t, hidden, secret.Reveal())
	require.Equal(t, "[redacted]", secret.String())
	require.Equal(t, `config.Secret([redacted])`, fmt.Sprintf("%#v", secret))
	require.Equal(t, `"[redacted]"`, fmt.Sprintf("%q", secret))

	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%t"} {
		for _, value := range []any{secret, &secret, holder, &holder, []config.Secret{secret}, map[string]any{"k": secret}} {
			requireHidden(t, verb, fmt.Sprintf(verb, value))
		}
	}
	requireHidden(t, "an error", fmt.Errorf("refused %v: %w", secret, errors.New("x")).Error())

	text, err := secret.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "[redacted]", string(text))
	for name, marshal := range map[string]func(any) ([]byte, error){
		"JSON": json.Marshal, "YAML": yaml.Marshal,
	} {
		text, err := marshal(holder)
		require.NoError(t, err)
		require.Contains(t, string(text), "[redacted]")
		requireHidden(t, name, string(text))
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Info("m", "secret", secret, "holder", holder)
		require.Contains(t, out.String(), "secret")
		require.Contains(t, out.String(), "[redacted]")
		requireHidden(t, name, out.String())
	}
}

func TestAnUnsetSecretShowsAsEmpty(t *testing.T) {
	t.Parallel()
	require.Equal(t, config.Secret{}, config.NewSecret(""))
	require.Empty(t, config.Secret{}.Reveal())
	require.Empty(t, fmt.Sprint(config.Secret{}))
}

func TestAConfigurationNeverShowsItsSecrets(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, edit(t, "secret-1", hidden)+`ledger:
  dsn: postgres://importer:hunter2@db.example.com/importer
  hmac_key: hunter2hunter2hunter2hunter2hunter2
`)
	require.NoError(t, err)
	require.Equal(t, hidden, cfg.Dialers["main"].Password.Reveal())

	redacted, err := cfg.Redacted()
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(string(redacted), "[redacted]"))
	asJSON, err := json.Marshal(cfg)
	require.NoError(t, err)
	for name, text := range map[string]string{
		"Redacted": string(redacted), "JSON": string(asJSON),
		"%v": fmt.Sprintf("%v", cfg), "%+v": fmt.Sprintf("%+v", *cfg), "%#v": fmt.Sprintf("%#v", cfg),
	} {
		requireHidden(t, name, text)
	}
}

// requireHidden fails when the text holds the secret, also in hexadecimal.
func requireHidden(t *testing.T, how, text string) {
	t.Helper()
	for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden)} {
		require.NotContains(t, text, form, how)
	}
}
