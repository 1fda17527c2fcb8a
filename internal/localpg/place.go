package localpg

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What lies in the home folder beside the locks.
const (
	homeName = "postgres"   // in the state directory: the home folder, or a link to it
	dataDir  = "data"       // PostgreSQL's data directory
	initDir  = "init-"      // begins the name of a data directory that initdb has not finished
	runDir   = "run"        // the unix socket's folder
	logFile  = "server.log" // PostgreSQL's log, emptied at each start
)

// elsewhere holds the data of state directories that the server's account
// cannot reach.
const elsewhere = "/var/lib/importer"

// The socket's name is PostgreSQL's, after its port. 103 bytes are what every
// system takes as a socket's path (Linux takes 107).
const (
	socketName    = ".s.PGSQL.5432"
	longestSocket = 103
)

// place says where one private PostgreSQL lives, and as whom.
type place struct {
	home    string
	socket  string // the folder of its unix socket
	account account
}

func (p place) path(name string) string { return filepath.Join(p.home, name) }

// findPlace finds the home folder of a state directory's server, or makes it.
// It calls say when it makes it outside of the state directory.
func findPlace(stateDir string, say func(string)) (place, error) {
	home, err := findHome(stateDir, say)
	if err != nil {
		return place{}, err
	}
	acct, err := findAccount(home)
	if err != nil {
		return place{}, err
	}
	if os.Geteuid() == 0 {
		owner, err := ownerOf(home)
		if err != nil {
			return place{}, err
		}
		if owner.uid == 0 {
			// Others may pass, not look; whatever the umask was.
			if err := os.Chmod(home, 0o711); err != nil { //nolint:gosec // passing through shows nothing
				return place{}, err
			}
		}
		closed, err := acct.barrier(home)
		if err != nil {
			return place{}, err
		}
		if closed != "" {
			return place{}, fmt.Errorf("the ledger in %s is out of reach for the user %s that its PostgreSQL runs as: let it pass with `chmod o+x %s`", home, acct.name(), closed)
		}
	}
	socket, err := socketDir(home, acct)
	if err != nil {
		return place{}, err
	}
	return place{home: home, socket: socket, account: acct}, nil
}

func findHome(stateDir string, say func(string)) (string, error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return "", fmt.Errorf("the state directory cannot be made: %w", err)
	}
	stateDir, err := filepath.Abs(stateDir)
	if err != nil {
		return "", err
	}
	if stateDir, err = filepath.EvalSymlinks(stateDir); err != nil {
		return "", fmt.Errorf("the state directory cannot be reached: %w", err)
	}
	link := filepath.Join(stateDir, homeName)
	if _, err := os.Lstat(link); errors.Is(err, fs.ErrNotExist) {
		if err := makeHome(stateDir, link, say); err != nil {
			return "", err
		}
	}
	home, err := filepath.EvalSymlinks(link)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s points to a ledger that is not there: restore it, or remove the link to begin an empty one: %w", link, err)
	}
	if err != nil {
		return "", fmt.Errorf("the ledger cannot be reached: %w", err)
	}
	return home, nil
}

// makeHome makes the home folder at link, or, where the server's account could
// not reach it, elsewhere with a link to it. The link is what counts: it
// follows a state directory that is moved, and a state directory that was
// deleted begins anew.
func makeHome(stateDir, link string, say func(string)) error {
	acct, err := findAccount(link)
	if err != nil {
		return err
	}
	closed := ""
	if os.Geteuid() == 0 {
		if closed, err = acct.barrier(stateDir); err != nil {
			return err
		}
	}
	if closed == "" {
		if err := os.Mkdir(link, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("the ledger's folder cannot be made: %w", err)
		}
		return nil
	}

	if err := os.MkdirAll(elsewhere, 0o711); err != nil { //nolint:gosec // passing through shows nothing
		return fmt.Errorf("the ledger cannot stay in %s, which the user %s that PostgreSQL runs as cannot reach, and its folder elsewhere cannot be made: %w", stateDir, acct.name(), err)
	}
	name := digest(stateDir) + "-"
	older, err := filepath.Glob(filepath.Join(elsewhere, name+"*"))
	if err != nil {
		return err
	}
	home, err := os.MkdirTemp(elsewhere, name)
	if err != nil {
		return fmt.Errorf("the ledger's folder cannot be made: %w", err)
	}
	if err := os.Symlink(home, link); err != nil {
		err = errors.Join(err, os.Remove(home))
		if errors.Is(err, fs.ErrExist) {
			return nil // another importer was faster
		}
		return fmt.Errorf("the link to the ledger's folder cannot be made: %w", err)
	}
	text := fmt.Sprintf("PostgreSQL does not run as root, and the user %s that it runs as may not pass %s: the ledger's data are in %s.", acct.name(), closed, home)
	if len(older) > 0 {
		text += fmt.Sprintf(" Data of an earlier state directory of this name are still in %s.", strings.Join(older, ", "))
	}
	say(text)
	return nil
}

// socketDir makes the folder of the unix socket, which only the server's
// account (and root) may enter: that is what keeps others out of the ledger.
// It lies in home unless the socket's path would be too long there, or could
// not be written as one entry of a list.
func socketDir(home string, acct account) (string, error) {
	dir := filepath.Join(home, runDir)
	if len(filepath.Join(dir, socketName)) > longestSocket || strings.ContainsAny(dir, `,"`) {
		dir = filepath.Join("/tmp", "importer-"+digest(home))
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("the folder of the private PostgreSQL's socket cannot be made: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	owner, err := ownerOf(dir)
	if err != nil {
		return "", err
	}
	ours := owner.uid == acct.uid || int(owner.uid) == os.Geteuid()
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ours {
		return "", fmt.Errorf("%s must be a folder that belongs to the user %s alone (mode 0700), since the private PostgreSQL's socket goes there: remove it", dir, acct.name())
	}
	if err := acct.own(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// digest is a short name for a path.
func digest(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:8])
}
