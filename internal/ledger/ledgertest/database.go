package ledgertest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/peterldowns/pgtestdb"

	"importer/internal/ledger"
	"importer/internal/localpg"
	"importer/migrations"
)

// superviseCommand makes a test binary the supervisor of the tests' server.
const superviseCommand = "supervise-postgres"

// server is this process's hold on the tests' server.
var server struct {
	sync.Mutex
	*localpg.Server
}

// Main runs the tests of a package that calls Database and returns the exit
// code for its TestMain.
func Main(m interface{ Run() int }) int {
	if len(os.Args) > 1 && os.Args[1] == superviseCommand {
		return localpg.Supervise(os.Args[2:])
	}
	code := m.Run()
	if server.Server == nil {
		return code
	}
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the tests' PostgreSQL:", err)
		return 1
	}
	return code
}

// prepared is what a package's tests need of a database beside the ledger's schema.
var prepared struct {
	name string
	do   func(context.Context, *ledger.Ledger) error
}

// Prepare has whatever is named so be done to the databases of a package's tests. It
// is called before they run, and done once: it is part of the template.
func Prepare(name string, do func(context.Context, *ledger.Ledger) error) {
	prepared.name, prepared.do = name, do
}

// Database makes a fresh migrated ledger database for a test of a package
// whose TestMain calls Main, and returns its connection string. The database
// goes with the test, unless the test fails; whoever connects to it must have
// closed by then.
func Database(t testing.TB) string {
	t.Helper()
	dsn, err := start()
	if err != nil {
		t.Fatalf("the tests' PostgreSQL: %v", err)
	}
	config := pgtestdb.Custom(t, dsn, steps{})
	return config.URL()
}

// Open opens a ledger on a fresh database for the length of a test.
func Open(t testing.TB) *ledger.Ledger {
	t.Helper()
	return OpenAt(t, Database(t))
}

// OpenAt opens a ledger for the length of a test.
func OpenAt(t testing.TB, dsn string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), dsn)
	if err != nil {
		t.Fatalf("opening the ledger: %v", err)
	}
	t.Cleanup(l.Close)
	return l
}

// start starts the server, or finds it started: test binaries that run at the
// same time share one, and its data stay in the folder for temporary files so
// that the next ones start warm.
func start() (pgtestdb.Config, error) {
	server.Lock()
	defer server.Unlock()
	if server.Server == nil {
		dir := filepath.Join(os.TempDir(), "importer-test-"+strconv.Itoa(os.Getuid()))
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return pgtestdb.Config{}, err
		}
		// The user that the server runs as when root tests must get through.
		if err := os.Chmod(dir, 0o711); err != nil {
			return pgtestdb.Config{}, err
		}
		self, err := os.Executable()
		if err != nil {
			return pgtestdb.Config{}, err
		}
		server.Server, err = localpg.Start(context.Background(), localpg.Options{StateDir: dir, Command: []string{self, superviseCommand}})
		if err != nil {
			return pgtestdb.Config{}, err
		}
	}
	dsn, err := url.Parse(server.DSN())
	if err != nil {
		return pgtestdb.Config{}, err
	}
	q := dsn.Query()
	user := q.Get("user")
	q.Del("user") // pgtestdb says as whom
	return pgtestdb.Config{
		DriverName: "pgx",
		Host:       "localhost", // the socket's folder, in the options, overrules it
		Port:       q.Get("port"),
		User:       user,
		Database:   filepath.Base(dsn.Path),
		Options:    q.Encode(),
	}, nil
}

// steps are the ledger's migrations, for pgtestdb.
type steps struct{}

// Hash names the schema; it changes with the month, since the ledger makes its
// partitions by month.
func (steps) Hash() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, time.Now().UTC().Format("2006-01"), prepared.name)
	err := fs.WalkDir(migrations.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := migrations.Files.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%s %x\n", path, sha256.Sum256(text))
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// Migrate makes the schema as the importer does.
func (steps) Migrate(ctx context.Context, _ *sql.DB, c pgtestdb.Config) error {
	l, err := ledger.Open(ctx, c.URL())
	if err != nil {
		return err
	}
	defer l.Close()
	if _, err = l.Migrate(ctx); err != nil || prepared.do == nil {
		return err
	}
	return prepared.do(ctx, l)
}
