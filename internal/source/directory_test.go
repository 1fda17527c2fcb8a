package source_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

func openDirectory(t *testing.T, dir string) *source.Directory {
	t.Helper()
	d, err := source.OpenDirectory(source.DirectoryOptions{Path: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func TestNothingLeadsOutOfADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, dir, "secret/a.csv", "1")
	lay(t, dir, "in/b.csv", "1")
	require.NoError(t, os.Symlink("../secret", filepath.Join(dir, "in", "out")))
	d := openDirectory(t, filepath.Join(dir, "in"))
	_, err := fetch(t, d, source.File{Path: "out/a.csv", Size: -1})
	require.Error(t, err)
	require.Error(t, d.Move(t.Context(), named("out/a.csv"), "a.csv"))
	require.Error(t, d.Move(t.Context(), named("b.csv"), "out/b.csv"))
	require.Error(t, d.Remove(t.Context(), named("out/a.csv")))
	require.Error(t, d.Write(t.Context(), "out/c.csv", strings.NewReader("1")))
	require.Equal(t, []string{"in/b.csv", "in/out", "secret/a.csv"}, tree(t, dir))
}

// What a vendor puts in a file's place while it is moved stays there: the file
// that was taken has its new name by then.
func TestNewFileInThePlaceOfOneThatIsHalfWayMoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, dir, "a.csv", "1")
	f := listed(t, dir, "a.csv")
	lay(t, dir, "done/other.csv", "1")
	require.NoError(t, os.Rename(filepath.Join(dir, "a.csv"), filepath.Join(dir, "done", "a.csv")))
	lay(t, dir, "a.csv", "new")
	d := openDirectory(t, dir)
	require.ErrorIs(t, d.Move(t.Context(), f, "done/a.csv"), source.ErrChanged)
	require.Equal(t, []string{"a.csv", "done/a.csv", "done/other.csv"}, tree(t, dir))
	left, err := os.ReadFile(filepath.Join(dir, "a.csv"))
	require.NoError(t, err)
	require.Equal(t, "new", string(left))
}

// A Move that was killed between its two steps is finished by the next one.
func TestMoveThatWasKilledHalfWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, dir, "a.csv", "1")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "done"), 0o700))
	require.NoError(t, os.Link(filepath.Join(dir, "a.csv"), filepath.Join(dir, "done", "a.csv")))
	d := openDirectory(t, dir)
	require.NoError(t, d.Move(t.Context(), named("a.csv"), "done/a.csv"))
	require.Equal(t, []string{"done/a.csv"}, tree(t, dir))
	require.ErrorIs(t, d.Move(t.Context(), named("done/a.csv"), "done/a.csv"), fs.ErrExist)
	require.Equal(t, []string{"done/a.csv"}, tree(t, dir))
}

func TestFileOfADirectoryThatChangesIsNotTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, dir, "a.csv", random(1000))
	d := openDirectory(t, dir)
	files, err := d.List(t.Context())
	require.NoError(t, err)
	// Another file of the same size and time, in its place since it was listed,
	// is what is fetched: nothing tells them apart, and it is whole.
	content := lay(t, dir, "b.csv", random(1000))
	require.NoError(t, os.Chtimes(filepath.Join(dir, "b.csv"), files[0].Modified, files[0].Modified))
	require.NoError(t, os.Rename(filepath.Join(dir, "b.csv"), filepath.Join(dir, "a.csv")))
	got, err := fetch(t, d, files[0])
	require.NoError(t, err)
	require.Equal(t, content, got)

	lay(t, dir, "a.csv", random(1001))
	_, err = fetch(t, d, files[0])
	require.ErrorIs(t, err, source.ErrChanged)
}

func TestOpenedDirectoryThatIsGone(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	d := openDirectory(t, dir)
	require.NoError(t, os.Remove(dir))
	_, err := d.List(t.Context())
	require.ErrorContains(t, err, "there is no such folder: check the feed's path, and that the drive is mounted")
	require.Error(t, d.Write(t.Context(), "a.csv", strings.NewReader("1")))
	require.NoError(t, os.Mkdir(dir, 0o700))
}
