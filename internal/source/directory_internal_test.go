package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What changes after the first look is found by the second. Between the two is
// no moment that a test could use.
func TestFileThatChangesWhileItIsMovedIsMovedBack(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(file string) error{
		"grown": func(file string) error { return os.WriteFile(file, []byte("123456"), 0o600) },
		"replaced": func(file string) error {
			return errors.Join(os.Remove(file), os.WriteFile(file, []byte("123456"), 0o600))
		},
		"a link": func(file string) error { return errors.Join(os.Remove(file), os.Symlink("elsewhere", file)) },
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "a")
		require.NoError(t, os.WriteFile(file, []byte("12345"), 0o600))
		d, err := OpenDirectory(DirectoryOptions{Path: dir})
		require.NoError(t, err)
		files, err := d.List(t.Context())
		require.NoError(t, err)
		require.NoError(t, change(file))
		after, err := os.Lstat(file)
		require.NoError(t, err)

		require.ErrorIs(t, d.move(files[0], "b"), ErrChanged, name)
		left, err := d.List(t.Context())
		require.NoError(t, err)
		require.Len(t, left, 1, name)
		now, err := os.Lstat(file)
		require.NoError(t, err)
		require.True(t, os.SameFile(after, now), name)
		require.NoError(t, d.Close())
	}
}

// Which drives have no links is not for a test to choose.
func TestRenameOnDrivesWithoutLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"a": "1", "b": "2"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	d, err := OpenDirectory(DirectoryOptions{Path: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	require.ErrorIs(t, d.renameReserved("a", "b"), fs.ErrExist)
	require.NoError(t, d.renameReserved("a", "c"))
	require.ErrorIs(t, d.renameReserved("a", "d"), fs.ErrNotExist)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	content, err := os.ReadFile(filepath.Join(dir, "c"))
	require.NoError(t, err)
	require.Equal(t, "1", string(content))
}
