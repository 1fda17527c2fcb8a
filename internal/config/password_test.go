package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/config"
)

func TestAPasswordFileIsReadFromThere(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"secret-1", "secret-1\n", "secret-1\r\n"} {
		cfg, err := withPasswordFile(t, content, 0o600)
		require.NoError(t, err)
		require.Equal(t, "secret-1", cfg.Dialers["main"].Password.Reveal())
		require.True(t, filepath.IsAbs(cfg.Dialers["main"].PasswordFile))
		require.Empty(t, cfg.Warnings)
	}
}

func TestAPasswordFileThatCannotBeTrustedIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"readable by the group":       {"secret-1", 0o640, "(mode 0640): run chmod 600 "},
		"readable by the world":       {"secret-1", 0o604, "(mode 0604): run chmod 600 "},
		"writable by the group":       {"secret-1", 0o620, "(mode 0620): run chmod 600 "},
		"empty":                       {"\n", 0o600, "is empty: write the password into it"},
		"a password that can't match": {"hunter2 !", 0o600, "the API drops them before it compares"},
		"two lines":                   {"hunter2\nhunter2\n", 0o600, "the API drops them before it compares"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := withPasswordFile(t, tc.content, tc.mode)
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "secret-1")
		})
	}
}

func TestACredentialOfTheServiceManagerMayHaveAnAccessList(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "dialer")
	require.NoError(t, os.WriteFile(file, []byte("secret-1"), 0o440))
	text := edit(t, "password: secret-1", "password_file: ${CREDENTIALS_DIRECTORY}/dialer")

	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	cfg, err := load(t, text)
	require.NoError(t, err)
	require.Equal(t, "secret-1", cfg.Dialers["main"].Password.Reveal())

	require.NoError(t, os.Chmod(file, 0o444))
	_, err = load(t, text)
	require.ErrorContains(t, err, "may be read by others (mode 0444)")

	require.NoError(t, os.Chmod(file, 0o440))
	t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir())
	_, err = load(t, edit(t, "password: secret-1", "password_file: "+file))
	require.ErrorContains(t, err, "may be read by others (mode 0440)")
}

func TestAFolderIsNoPasswordFile(t *testing.T) {
	t.Parallel()
	_, err := load(t, edit(t, "password: secret-1", "password_file: "+t.TempDir()))
	require.ErrorContains(t, err, "is no regular file: name the file that holds the password")
}

func TestAPasswordInAnOpenConfigurationIsAWarning(t *testing.T) {
	t.Parallel()
	path := write(t, "importer.yaml", smallest+`ledger:
  dsn: postgres://importer:hunter2@db.example.com/importer
`, 0o644)
	cfg, err := config.Load(path, knowledge)
	require.NoError(t, err)
	advice := " stands here in clear and others may read this file (mode 0644): run chmod 600 " + path + ", or take it from the environment with ${NAME}"
	require.Equal(t, []config.Problem{
		{File: path, Line: 5, Column: 15, Message: "dialers.main.password" + advice},
		{File: path, Line: 11, Column: 8, Message: "ledger.dsn" + advice},
	}, cfg.Warnings)
}

func TestAnOpenConfigurationWithoutPasswordsIsFine(t *testing.T) {
	t.Setenv("IMPORTER_TEST_PASSWORD", "secret-1")
	path := write(t, "importer.yaml", edit(t, "secret-1", "${IMPORTER_TEST_PASSWORD}")+`ledger:
  dsn: postgres://importer@db.example.com/importer
`, 0o644)
	cfg, err := config.Load(path, knowledge)
	require.NoError(t, err)
	require.Equal(t, "secret-1", cfg.Dialers["main"].Password.Reveal())
	require.Empty(t, cfg.Warnings)
}

func TestARehearsalsPasswordIsNoSecret(t *testing.T) {
	t.Parallel()
	path := write(t, "importer.yaml", edit(t, "https://dialer.example.com", "http://127.0.0.1:8090"), 0o644)
	cfg, err := config.Load(path, knowledge)
	require.NoError(t, err)
	require.Empty(t, cfg.Warnings)
}

func TestTheEnvironmentCannotWriteYAML(t *testing.T) {
	t.Setenv("IMPORTER_TEST_FOLDER", "a\nledger: {wait: 1s} # \"'${HOME}")
	t.Setenv("IMPORTER_TEST_NUMBER", "4")
	t.Setenv("IMPORTER_TEST_EMPTY", "")
	cfg, err := load(t, `state_dir: /x/${IMPORTER_TEST_FOLDER}/$y/$${z}/${IMPORTER_TEST_EMPTY}$$
ledger: {wait: "${IMPORTER_TEST_NUMBER}m"}
`)
	require.NoError(t, err)
	require.Equal(t, "/x/a\nledger: {wait: 1s} # \"'${HOME}/$y/${z}/$$", cfg.StateDir)
	require.Equal(t, "4m", cfg.Ledger.Wait.String())
}

func TestAnErrorQuotesTheVariableNotItsValue(t *testing.T) {
	t.Setenv("IMPORTER_TEST_SECRET", "hunter2")
	got := complaint(t, edit(t, "    user: importer\n", "    user: importer\n    rate: ${IMPORTER_TEST_SECRET}\n"))
	require.Equal(t, `importer.yaml:5:11: dialers.main.rate must be a number, not "${IMPORTER_TEST_SECRET}"`, got)
}

func withPasswordFile(t *testing.T, content string, mode os.FileMode) (*config.Config, error) {
	t.Helper()
	return load(t, edit(t, "password: secret-1", "password_file: "+write(t, "password", content, mode)))
}
