package localpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the operating system's user that PostgreSQL runs as.
type account struct {
	uid, gid uint32
}

// findAccount says who runs the server: whoever runs the importer, except for
// root, which PostgreSQL refuses. Then it is the owner of the data that is
// there already, else the user postgres, else nobody.
func findAccount(home string) (account, error) {
	if os.Geteuid() != 0 {
		return account{uint32(os.Geteuid()), uint32(os.Getegid())}, nil
	}
	for _, dir := range []string{filepath.Join(home, dataDir), home} {
		owner, err := ownerOf(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return account{}, err
		}
		if owner.uid != 0 {
			return owner, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return parseAccount(u.Uid, u.Gid)
		}
	}
	return account{}, errors.New("PostgreSQL refuses to run as root, and this machine has neither a user postgres nor a user nobody: create one, or run the importer as an ordinary user")
}

func parseAccount(uid, gid string) (account, error) {
	u, uidErr := strconv.ParseUint(uid, 10, 32)
	g, gidErr := strconv.ParseUint(gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return account{}, fmt.Errorf("user id %s, group id %s: %w", uid, gid, err)
	}
	return account{uint32(u), uint32(g)}, nil
}

func ownerOf(path string) (account, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return account{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return account{st.Uid, st.Gid}, nil
}

// attr makes a child process run as the account.
func (a account) attr() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.uid, Gid: a.gid}}
}

// own makes the account the owner of a folder that root has just made.
func (a account) own(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(dir, int(a.uid), int(a.gid))
}

// give makes the owner of home the owner of a file that root has opened in it.
func (a account) give(home string, f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := ownerOf(home)
	if err != nil {
		return err
	}
	return f.Chown(int(owner.uid), int(owner.gid))
}

// barrier is the first folder on the way to dir, dir included, that the
// account may not pass; empty when it gets there.
func (a account) barrier(dir string) (string, error) {
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return "", err
		}
		st := info.Sys().(*syscall.Stat_t)
		pass := fs.FileMode(0o001)
		switch {
		case st.Uid == a.uid:
			pass = 0o100
		case st.Gid == a.gid:
			pass = 0o010
		}
		if info.Mode()&pass == 0 {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", nil
		}
		dir = filepath.Dir(dir)
	}
}

// name is the account as people know it.
func (a account) name() string {
	id := strconv.FormatUint(uint64(a.uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}
