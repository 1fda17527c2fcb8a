package localpg_test

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"importer/internal/localpg"

	"github.com/stretchr/testify/require"
)

// PostgreSQL's user cannot enter a folder of root's; everybody else's server
// runs as themselves and stays where it is.
func TestStateDirectoryOutOfReachIsLeftAndSaidOnce(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	require.NoError(t, os.Chmod(stateDir, 0o700))

	said := []string{}
	o, err := options(stateDir, func(s string) { said = append(said, s) })
	require.NoError(t, err)
	var dir string
	for range 2 {
		s, err := localpg.Start(t.Context(), o)
		require.NoError(t, err)
		dir = s.Dir()
		ask(t, connect(t, s.DSN()), "SELECT 'here'")
		require.NoError(t, s.Close())
	}

	if os.Geteuid() != 0 {
		require.Equal(t, filepath.Join(stateDir, "postgres"), dir)
		require.Empty(t, said)
		return
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.Equal(t, "/var/lib/importer", filepath.Dir(dir))
	require.Len(t, said, 1)
	require.Contains(t, said[0], stateDir)
	require.Contains(t, said[0], dir)

	// A ledger that is gone is never silently replaced by an empty one.
	require.NoError(t, os.Rename(dir, dir+"-away"))
	require.ErrorContains(t, startError(t, stateDir), "points to a ledger that is not there")
	require.NoError(t, os.Rename(dir+"-away", dir))

	// A state directory that was deleted begins anew, and the old data are named.
	require.NoError(t, os.Remove(filepath.Join(stateDir, "postgres")))
	anew := start(t, stateDir)
	t.Cleanup(func() {
		require.NoError(t, anew.Close())
		require.NoError(t, os.RemoveAll(anew.Dir()))
	})
	require.NotEqual(t, dir, anew.Dir())
}

func TestLedgerThatBecameUnreachableIsNotReplaced(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	require.NoError(t, start(t, stateDir).Close())
	require.NoError(t, os.Chmod(stateDir, 0o700))
	if os.Geteuid() != 0 {
		require.NoError(t, start(t, stateDir).Close(), "nobody else has to reach it")
		return
	}
	require.ErrorContains(t, startError(t, stateDir), "chmod o+x "+stateDir)
}

func TestOrdinaryUserRunsTheServerAsThemselves(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	attr, uid := &syscall.SysProcAttr{}, os.Geteuid()
	if uid == 0 {
		u, err := user.Lookup("nobody")
		require.NoError(t, err)
		uid, err = strconv.Atoi(u.Uid)
		require.NoError(t, err)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
		require.NoError(t, os.Chown(stateDir, uid, uid))
	}
	require.NoError(t, os.Chmod(stateDir, 0o700))

	p := begin(t, attr, copyOfSelf(t), stateDir).hear(t)
	require.Empty(t, p.Err)
	require.Empty(t, p.Said)
	info, err := os.Stat(filepath.Join(stateDir, "postgres", "data"))
	require.NoError(t, err)
	require.EqualValues(t, uid, info.Sys().(*syscall.Stat_t).Uid)

	// root, if we are, shares the user's server and leaves it usable to them.
	s := start(t, stateDir)
	require.Equal(t, p.DSN, s.DSN())
	p.end(t)
	require.NoError(t, s.Close())
	require.NoError(t, start(t, stateDir).Close())
	p = begin(t, attr, copyOfSelf(t), stateDir).hear(t)
	require.Empty(t, p.Err)
	p.end(t)
	requireStopped(t, filepath.Join(stateDir, "postgres"))
}

// copyOfSelf is the test binary where every user can run it.
func copyOfSelf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	copied := filepath.Join(dir, "importer")
	// By cp: another test's child may hold what this process writes for a moment, and
	// what is open for writing cannot be executed.
	require.NoError(t, exec.Command("cp", self(t), copied).Run())
	return copied
}

// sleepAs starts a process of that user's and returns its number.
func sleepAs(t *testing.T, uid uint32) string {
	t.Helper()
	cmd := exec.Command("sleep", "300")
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	})
	return strconv.Itoa(cmd.Process.Pid)
}
