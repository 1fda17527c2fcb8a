package source_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// asSomebody runs f with the rights of a user without any, also as root: the
// rights to files are a thread's own on Linux, and this one ends with f.
func asSomebody(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			unix.SetfsgidRetGid(65534)
			unix.SetfsuidRetUid(65534)
		}
		f()
	}()
	<-done
}

func TestDirectoryWithoutTheRightsForIt(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	lay(t, dir, "open/a.csv", "1")
	lay(t, dir, "open/secret.csv", "1")
	lay(t, dir, "open/closed/b.csv", "1")
	require.NoError(t, os.Chmod(filepath.Join(dir, "open", "secret.csv"), 0))
	require.NoError(t, os.Chmod(filepath.Join(dir, "open", "closed"), 0))
	require.NoError(t, os.Chmod(filepath.Join(dir, "open"), 0o555))
	t.Cleanup(func() {
		os.Chmod(filepath.Join(dir, "open"), 0o755)
		os.Chmod(filepath.Join(dir, "open", "closed"), 0o755)
	})
	to := temporary(t)
	var files []source.File
	var listErr error
	refused := map[string]error{}
	asSomebody(func() {
		_, refused["folder"] = source.OpenDirectory(source.DirectoryOptions{Path: filepath.Join(dir, "open", "closed")})
		d, err := source.OpenDirectory(source.DirectoryOptions{Path: filepath.Join(dir, "open"), Recursive: true})
		if err != nil {
			listErr = err
			return
		}
		defer d.Close()
		files, listErr = d.List(t.Context())
		refused["fetch"] = d.Fetch(t.Context(), source.File{Path: "secret.csv", Size: -1}, to)
		refused["move"] = d.Move(t.Context(), named("a.csv"), "b.csv")
		refused["move to a folder"] = d.Move(t.Context(), named("a.csv"), "done/b.csv")
		refused["remove"] = d.Remove(t.Context(), named("a.csv"))
		refused["write"] = d.Write(t.Context(), "c.csv", strings.NewReader("1"))
	})
	require.NoError(t, listErr)
	require.Equal(t, []string{"a.csv", "closed", "secret.csv"}, paths(files))
	require.Equal(t, "a folder that this user may not look into", files[1].Odd)
	for what, err := range refused {
		require.ErrorIs(t, err, fs.ErrPermission, what)
		require.ErrorContains(t, err, "this user", what)
		require.True(t, isFinal(err), what)
	}
	require.Equal(t, []string{"a.csv", "closed/b.csv", "secret.csv"}, treeAsRoot(t, filepath.Join(dir, "open")))
}

func treeAsRoot(t *testing.T, dir string) []string {
	t.Helper()
	require.NoError(t, os.Chmod(filepath.Join(dir, "closed"), 0o755))
	return tree(t, dir)
}

// Links to other users' files are forbidden on most machines, and network
// drives may have none: files are moved all the same, and overwrite nothing.
func TestMoveWithoutLinks(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	lay(t, dir, "a.csv", "1")
	var moved, again error
	asSomebody(func() {
		d, err := source.OpenDirectory(source.DirectoryOptions{Path: dir})
		if err != nil {
			moved = err
			return
		}
		defer d.Close()
		moved = d.Move(t.Context(), named("a.csv"), "done/a.csv")
		again = d.Write(t.Context(), "done/a.csv", strings.NewReader("2"))
	})
	require.NoError(t, moved)
	require.ErrorIs(t, again, fs.ErrExist)
	require.Equal(t, []string{"done/a.csv"}, tree(t, dir))
}
