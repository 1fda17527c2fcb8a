package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

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
