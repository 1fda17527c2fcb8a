package localpg

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldest is the first major version that takes the ledger's schema (NULLS NOT
// DISTINCT came with 15), and it has every setting that keeps people's data out of
// the log.
const oldest = 15

// usualFolders is where distributions and Homebrew put the binaries of each
// major version.
var usualFolders = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
}

var (
	majorInPath    = regexp.MustCompile(`\d+`)
	majorInVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)
)

// findBinaries returns the folder of the first initdb and postgres that the
// account may run, of major version need (0: any that is not too old).
func findBinaries(ctx context.Context, configured string, need int, acct account) (string, error) {
	folders := []string{configured}
	if configured == "" {
		folders = candidateFolders(ctx)
	}
	var found []string
	for _, dir := range folders {
		major, err := majorOf(ctx, dir, acct)
		if err != nil {
			// Not there, or not for us: the next one may be.
			continue
		}
		if major == need || need == 0 && major >= oldest {
			return dir, nil
		}
		found = append(found, fmt.Sprintf("PostgreSQL %d in %s", major, dir))
	}
	if err := ctx.Err(); err != nil {
		return "", context.Cause(ctx)
	}

	switch {
	case len(found) > 0 && need != 0:
		return "", fmt.Errorf("the ledger was made by PostgreSQL %d and only that version can open it, but this machine has %s: install PostgreSQL %d, or move the ledger with pg_upgrade", need, strings.Join(found, " and "), need)
	case len(found) > 0:
		return "", fmt.Errorf("the ledger needs PostgreSQL %d or newer, but this machine has %s: install a newer one, or set ledger.dsn to a server that runs", oldest, strings.Join(found, " and "))
	case configured != "":
		return "", fmt.Errorf("the configured folder %s has no postgres and initdb that the user %s may run: correct the path, or leave it empty and they are looked for", configured, acct.name())
	case need != 0:
		return "", fmt.Errorf("the ledger was made by PostgreSQL %d and this machine has no PostgreSQL: install that version", need)
	default:
		return "", fmt.Errorf("the ledger needs PostgreSQL and this machine has none that the user %s may run: install it (Debian, Ubuntu: `apt-get install postgresql`; Fedora, Red Hat: `dnf install postgresql-server`; macOS: `brew install postgresql@17`), or set ledger.dsn to a server that runs", acct.name())
	}
}

// candidateFolders lists where binaries may be: what pg_config says, the
// PATH, then the usual folders with the newest version first.
func candidateFolders(ctx context.Context) []string {
	var folders []string
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		folders = append(folders, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	var usual []string
	for _, pattern := range usualFolders {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			panic(err) // a malformed pattern in this file
		}
		usual = append(usual, matches...)
	}
	number := func(path string) int {
		n, _ := strconv.Atoi(majorInPath.FindString(path)) // no number: 0, the oldest
		return n
	}
	slices.SortStableFunc(usual, func(a, b string) int { return cmp.Compare(number(b), number(a)) })
	return append(folders, usual...)
}

// majorOf asks the binaries in dir, as the account that will run them.
func majorOf(ctx context.Context, dir string, acct account) (int, error) {
	major := 0
	for _, name := range []string{"initdb", "postgres"} {
		cmd := exec.CommandContext(ctx, filepath.Join(dir, name), "--version")
		cmd.Dir = "/"
		cmd.Env = environment()
		cmd.SysProcAttr = acct.attr()
		out, err := cmd.Output()
		if err != nil {
			return 0, err
		}
		m := majorInVersion.FindSubmatch(out)
		if m == nil {
			return 0, fmt.Errorf("%s does not say which version it is", cmd.Path)
		}
		if major, err = strconv.Atoi(string(m[1])); err != nil {
			return 0, err
		}
	}
	return major, nil
}
