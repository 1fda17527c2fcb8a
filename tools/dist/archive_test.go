package main

import (
	"archive/tar"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnArchiveIsTheSameWhereverAndWheneverItIsMade(t *testing.T) {
	t.Parallel()
	made := func(mode os.FileMode, age time.Duration, names ...string) (path, sum string) {
		dir := t.TempDir()
		var files []file
		for _, name := range names {
			at := filepath.Join(dir, filepath.Base(name))
			require.NoError(t, os.WriteFile(at, []byte("text of "+name), mode))
			require.NoError(t, os.Chtimes(at, time.Time{}, time.Now().Add(-age)))
			files = append(files, file{name: name, path: at, mode: 0o644})
		}
		path = filepath.Join(dir, "x.tar.gz")
		sum, err := pack(path, "importer_1", time.Unix(1_800_000_000, 0), files)
		require.NoError(t, err)
		return path, sum
	}
	path, first := made(0o644, 0, "README.md", "man/man1/importer.1")
	_, again := made(0o600, time.Hour, "man/man1/importer.1", "README.md")
	_, other := made(0o644, 0, "README.md", "man/man1/importer.7")
	require.Equal(t, first, again)
	require.NotEqual(t, first, other)

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, sumOf(text), first)
	require.Equal(t, []string{"importer_1/README.md", "importer_1/man/man1/importer.1"}, namesIn(t, path))
}

func namesIn(t *testing.T, path string) (names []string) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	gz, err := gzip.NewReader(f)
	require.NoError(t, err)
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if err != nil {
			return names
		}
		require.Equal(t, int64(1_800_000_000), h.ModTime.Unix())
		names = append(names, h.Name)
	}
}
