package main

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFileThatMayNotBeReadIsSaidAndNothingBegins(t *testing.T) {
	t.Parallel()
	s := newSite(t, impatient)
	s.contacts(t, "contacts.csv", contacts())
	require.NoError(t, os.Chmod(filepath.Join(s.dir, "contacts.csv"), 0))

	p := &process{Cmd: exec.Command("importer", "import", "contacts.csv", "--feed", "acme")}
	if os.Geteuid() == 0 { // whom no mode keeps out
		p = s.asNobody(t, "import", "contacts.csv", "--feed", "acme")
	}
	p.Dir, p.Env, p.Stdout, p.Stderr = s.dir, s.env, &p.out, &p.err
	require.NoError(t, p.Start())
	require.Equal(t, exitFailed, p.ends(t))
	require.Equal(t, "importer: opening the file: open contacts.csv: permission denied\n", p.err.String())
	require.Empty(t, p.out.String())
	require.Empty(t, s.states(t))
	require.Zero(t, s.dialer.Calls(""))
}

// asNobody is an importer run by the user nobody, who is given the site.
func (s *site) asNobody(t *testing.T, args ...string) *process {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(nobody.Gid)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Dir(s.dir), 0o711))
	require.NoError(t, os.Chown(s.dir, uid, gid))
	require.NoError(t, os.Chown(filepath.Join(s.dir, "importer.yaml"), uid, gid))

	// The program itself lies where nobody may not go.
	program, err := exec.LookPath("importer")
	require.NoError(t, err)
	copied := filepath.Join(s.dir, "importer")
	// By cp: another test's child may hold what this process writes for a moment, and
	// what is open for writing cannot be executed.
	require.NoError(t, exec.Command("cp", program, copied).Run())

	p := &process{Cmd: exec.Command(copied, args...)}
	p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return p
}
