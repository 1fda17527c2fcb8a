package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"importer/internal/crashpoint"
	"importer/internal/source/sourcetest"
)

// broken stands in a site's files for one that cannot be read.
const broken = -1

// vendor is a site with a place where a vendor leaves files for its feed.
type vendor struct {
	*site
	place string            // the vendor's folder
	ends  map[string]string // where each file is to end, with its content
	has   []string          // the files with rows that are rejected, without their endings
}

// eager takes files as they are, and puts them away.
const eager = `
      min_age: 0
      settle: 0
      after: archive
      failed: failed
      rejects: rejects
`

// The places that a vendor's files are pulled from.
var places = map[string]func(*testing.T, *vendor) string{
	"directory": func(_ *testing.T, v *vendor) string { return fmt.Sprintf("      directory: {path: %q}\n", v.place) },
	"sftp":      func(t *testing.T, v *vendor) string { return v.sftp(t, sourcetest.SSHD(t)) },
}

// newVendor is a vendor's site, whose importers can be stopped at points.
func newVendor(t *testing.T, at func(*testing.T, *vendor) string, how string) *vendor {
	t.Helper()
	v := &vendor{site: newSite(t, ""), place: sourcetest.Dir(t), ends: map[string]string{}}
	v.program = crashable(t)
	v.write(t, "importer.yaml", hasty+"    source:"+how+at(t, v))
	return v
}

// waitsLong lets the dialer take its time: no answer is lost.
func (v *vendor) waitsLong(t *testing.T) {
	t.Helper()
	v.write(t, "importer.yaml", with(v.config(t), "    timeout: 1m"))
}

// sftp makes an SFTP server the vendor's place, with a password that it does
// not ask for beside the key.
func (v *vendor) sftp(t *testing.T, login sourcetest.Login) string {
	t.Helper()
	v.secret("VENDOR_PASSWORD", "never-asked-for")
	v.write(t, "vendor_key", login.Key)
	v.watch.secrets = append(v.watch.secrets, strings.Split(login.Key, "\n")[2])
	return fmt.Sprintf(`      sftp:
        host: %s
        port: %d
        user: %s
        password: ${VENDOR_PASSWORD}
        key_file: ./vendor_key
        fingerprint: %q
        path: %q
        timeout: 10s
`, login.Host, login.Port, login.User, login.Fingerprint(), v.place)
}

// lockedSFTP is an SFTP server whose key needs a passphrase, which takes its
// time to unlock.
func lockedSFTP(t *testing.T, v *vendor) string {
	t.Helper()
	login := sourcetest.SSHD(t)
	key, err := ssh.ParseRawPrivateKey([]byte(login.Key))
	require.NoError(t, err)
	v.secret("VENDOR_PASSPHRASE", "correct-horse-battery-staple")
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("correct-horse-battery-staple"))
	require.NoError(t, err)
	login.Key = string(pem.EncodeToMemory(locked))
	return v.sftp(t, login) + "        key_passphrase: ${VENDOR_PASSPHRASE}\n"
}

// secret gives importers what nobody may be shown.
func (v *vendor) secret(name, value string) {
	v.env = append(v.env, name+"="+value)
	v.watch.secrets = append(v.watch.secrets, value)
}

// onAnotherHost writes other.yaml, by which importers work as on a machine of
// their own, with nothing but the ledger in common.
func (v *vendor) onAnotherHost(t *testing.T) {
	t.Helper()
	v.key = strings.Repeat("shared-by-all-hosts-", 2)
	v.secret("LEDGER_KEY", v.key)
	shared := strings.Replace(v.config(t), `{dsn: "${LEDGER}"`, `{dsn: "${LEDGER}", hmac_key: "${LEDGER_KEY}"`, 1)
	v.write(t, "importer.yaml", shared)
	v.write(t, "other.yaml", strings.Replace(shared, "state_dir: ./state", "state_dir: ./state-of-another", 1))
}

func (v *vendor) config(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(v.dir, "importer.yaml"))
	require.NoError(t, err)
	return string(text)
}

// lay leaves a whole file at the place, younger than those before it.
func (v *vendor) lay(t *testing.T, name string, content []byte) {
	t.Helper()
	file := filepath.Join(v.place, name)
	making := file + ".part" // nobody takes half of it
	require.NoError(t, os.WriteFile(making, content, 0o600))
	written := time.Now().Add(time.Duration(len(v.ends))*time.Minute - time.Hour)
	require.NoError(t, os.Chtimes(making, written, written))
	require.NoError(t, os.Chmod(making, 0o666)) // the server is another user
	require.NoError(t, os.Rename(making, file))
	v.ends["imported/"+name] = string(content)
}

// people notes what a file's drop is to have.
func (v *vendor) people(name string, rows [][]string) []byte {
	v.watch.people(rows)
	v.files[name] = len(rows) - 1
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		panic(err) // into memory
	}
	return b.Bytes()
}

// vendorLeads are the leads in the files that layAll lays.
const vendorLeads = 80

// layAll leaves an archive with two members, a file that shares people with
// neither, and, if it is to be, one that cannot be read, in this order or the
// other way round.
func (v *vendor) layAll(t *testing.T, alsoBroken, turned bool) {
	t.Helper()
	all := contacts()
	some := func(from, to int) [][]string { return slices.Concat(all[:1], all[from:to]) }
	bad := slices.Clone(all[1])
	bad[8] = "555-01"
	pair := zipOf(t,
		"first.csv", v.people("pair.zip/first.csv", append(some(1, 41), bad)),
		"second.csv", v.people("pair.zip/second.csv", shuffled(some(21, 61))))
	steps := []func(){
		func() { v.lay(t, "pair.zip", pair) },
		func() { v.lay(t, "contacts.csv", v.people("contacts.csv", append(some(61, 81), bad))) },
	}
	v.has = append(v.has, "pair", "contacts")
	if alsoBroken {
		steps = append(steps, func() {
			v.lay(t, "broken.zip", pair[:len(pair)-5])
			v.ends["failed/broken.zip"] = v.ends["imported/broken.zip"]
			delete(v.ends, "imported/broken.zip")
			v.files["broken.zip"] = broken
		})
	}
	if turned {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		step()
	}
}

func zipOf(t *testing.T, first string, one []byte, second string, two []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range []struct {
		name string
		text []byte
	}{{first, one}, {second, two}} {
		w, err := z.Create(m.name)
		require.NoError(t, err)
		_, err = w.Write(m.text)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

// pull runs an importer to its end.
func (v *vendor) pull(t *testing.T, status int, args ...string) result {
	t.Helper()
	p := v.start(t, slices.Concat([]string{"run", "acme", "--json"}, args)...)
	require.Equal(t, status, p.ends(t), &p.err)
	return p.result(t)
}

// killedAt kills an importer at a point, and tells whether it got there.
func (v *vendor) killedAt(t *testing.T, point crashpoint.Point, args ...string) bool {
	t.Helper()
	p := v.startTo(t, point, slices.Concat([]string{"run", "acme"}, args)...)
	if !p.stops(t) {
		return false
	}
	v.awaitDialer(t)
	p.kill()
	require.Equal(t, -1, p.ends(t))
	return true
}

// goesOn lets an importer that has stopped go on to its end.
func (p *process) goesOn(t *testing.T) {
	t.Helper()
	p.wake(t)
	require.Equal(t, exitDone, p.ends(t), &p.err)
}

func (p *process) wake(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Process.Signal(syscall.SIGCONT))
}

// requireNothingLeft requires that everything has come to its end, here and at
// the place, and that one more run finds nothing to do.
func (v *vendor) requireNothingLeft(t *testing.T) {
	t.Helper()
	again := v.pull(t, exitDone)
	require.Zero(t, again.Files)
	require.Zero(t, again.Calls)
	v.requireOracle(t)
	require.ElementsMatch(t, slices.Collect(maps.Keys(v.files)), v.ask(t, `SELECT name FROM drops`))
	var taken []string
	for name := range v.ends {
		taken = append(taken, filepath.Base(name))
	}
	require.ElementsMatch(t, taken, v.ask(t, `SELECT path FROM files`))
	require.Empty(t, v.ask(t, `SELECT path FROM files WHERE ended IS NULL`))
	v.requireTidy(t)
}

// requireTidy requires each file to lie where it is to end, once and whole, the
// rejects beside them, and nothing in any spool.
func (v *vendor) requireTidy(t *testing.T) {
	t.Helper()
	rejects := regexp.MustCompile(`^rejects/(\w+)\.rejects-\d+\.csv$`)
	there, rejected := map[string]string{}, []string{}
	require.NoError(t, filepath.WalkDir(v.place, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		name, err := filepath.Rel(v.place, path)
		require.NoError(t, err)
		if m := rejects.FindStringSubmatch(name); m != nil {
			rejected = append(rejected, m[1])
			require.Contains(t, string(text), ",INVALID,", name)
			return nil
		}
		there[name] = string(text)
		return nil
	}))
	require.Equal(t, v.ends, there)
	require.ElementsMatch(t, v.has, rejected)
	v.requireEmptySpools(t)
}

func (s *site) requireEmptySpools(t *testing.T) {
	t.Helper()
	copies, err := filepath.Glob(filepath.Join(s.dir, "state*", "spool", "*", "*"))
	require.NoError(t, err)
	for _, file := range copies {
		require.Equal(t, ".lock", filepath.Base(file))
	}
}

// ask lists what the ledger says.
func (s *site) ask(t *testing.T, query string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	rows, err := conn.Query(t.Context(), query)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}
