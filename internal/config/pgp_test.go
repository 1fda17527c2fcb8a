package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/config"
)

// withKey is a configuration whose feed has a key file and more keys.
func withKey(t *testing.T, mode os.FileMode, more string) (*config.Config, error) {
	t.Helper()
	key := write(t, "key", "a private key", mode)
	return load(t, edit(t, "    list_id: 101\n", "    list_id: 101\n    pgp_key_file: "+key+"\n"+more))
}

func TestThePassphraseOfAKeyIsReadFromItsFile(t *testing.T) {
	t.Parallel()
	cfg, err := withKey(t, 0o600, "    pgp_passphrase_file: "+write(t, "passphrase", "correct hunter2\n", 0o600)+"\n")
	require.NoError(t, err)
	require.Equal(t, "correct hunter2", cfg.Feeds["acme"].PGPPassphrase.Reveal())
	require.True(t, filepath.IsAbs(cfg.Feeds["acme"].PGPKeyFile))
	shown, err := cfg.Redacted()
	require.NoError(t, err)
	require.NotContains(t, string(shown), "hunter2")
}

func TestAKeyThatOthersMayReadIsRefused(t *testing.T) {
	t.Parallel()
	_, err := withKey(t, 0o640, "")
	require.ErrorContains(t, err, "may be read by others (mode 0640): run chmod 600 ")
	_, err = withKey(t, 0o600, "    pgp_passphrase_file: "+write(t, "passphrase", "hunter2", 0o644)+"\n")
	require.ErrorContains(t, err, "may be read by others (mode 0644): run chmod 600 ")
	require.NotContains(t, err.Error(), "hunter2")
	_, err = withKey(t, 0o600, "    pgp_passphrase: one\n    pgp_passphrase_file: two\n")
	require.ErrorContains(t, err, "has both pgp_passphrase and pgp_passphrase_file: keep one of them")
	_, err = load(t, edit(t, "    list_id: 101\n", "    list_id: 101\n    pgp_passphrase: one\n"))
	require.ErrorContains(t, err, "has a passphrase, but no pgp_key_file that it opens")
}
