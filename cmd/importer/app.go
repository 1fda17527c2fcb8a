package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/sys/unix"

	"importer/internal/config"
	"importer/internal/daemon"
	"importer/internal/daemon/health"
	"importer/internal/dropfile"
	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/ledger"
	"importer/internal/localpg"
	"importer/internal/nonagent"
	"importer/internal/schedule"
	"importer/internal/source"
)

// app is a command's view of the rooms, opened as far as it needs them.
type app struct {
	*shell
	cfg    *config.Config
	log    *slog.Logger
	keys   importer.Keyring
	ledger *ledger.Ledger
	server *localpg.Server // nil with a configured ledger.dsn
	health *health.Health  // the daemon's; nil for a command
}

// load reads the configuration.
func (sh *shell) load() (*app, error) {
	cfg, err := config.Load(sh.config, config.Knowledge{
		Fields: lead.Fields(), Region: lead.IsRegion, CustomField: nonagent.IsCustomField, Template: dropfile.CheckTemplate,
		Encoding:  func(name string) error { return dropfile.Options{Encoding: name}.Check() },
		Delimiter: func(text string) error { return dropfile.Options{Delimiter: text}.Check() },
		Pattern: func(pattern, marker string) error {
			return source.Choice{Pattern: pattern, Marker: marker}.Check()
		},
		Schedule:   schedule.Check,
		Clock:      func(text string) error { _, err := schedule.ParseClock(text); return err },
		Window:     func(text string) error { _, err := schedule.ParseWindow(text); return err },
		Date:       func(text string) error { _, err := schedule.ParseDate(text); return err },
		PrivateKey: source.CheckPrivateKey,
	})
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		sh.tell(fmt.Sprint("warning: ", w))
	}
	a := &app{shell: sh, cfg: cfg, log: sh.log}
	if a.log == nil { // what a command did is in its result
		a.log = sh.logger(slog.LevelWarn)
	}
	return a, nil
}

// needs is an error when what a feed's source or key, a target or a dialer cannot
// be used without is not there. Its name is that in config.Config.Lacks.
func (a *app) needs(what string) error {
	if lacks, found := a.cfg.Lacks[what]; found {
		return lacks
	}
	return nil
}

// tellLacks tells of all that is not there. A command that needs it says so itself.
func (a *app) tellLacks() {
	for _, lack := range a.cfg.Lacking() {
		a.tell(fmt.Sprint("warning: ", lack))
	}
}

// logger writes text on a terminal, and JSON elsewhere.
func (sh *shell) logger(level slog.Level) *slog.Logger {
	if isTerminal(sh.errOut) {
		return slog.New(tint.NewTextHandler(sh.errOut, &tint.Options{Level: level, TimeFormat: time.DateTime}))
	}
	return slog.New(slog.NewJSONHandler(sh.errOut, &slog.HandlerOptions{Level: level}))
}

// tell says something beside the result: to a person, or in the daemon's log.
func (sh *shell) tell(text string) {
	if sh.log != nil {
		sh.log.Info(text)
		return
	}
	fmt.Fprintln(sh.errOut, "importer:", text)
}

// open loads the configuration and opens the ledger, bringing it up to date.
func (sh *shell) open(ctx context.Context) (*app, error) {
	a, err := sh.load()
	if err != nil {
		return nil, err
	}
	if err := a.openLedger(ctx); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *app) openLedger(ctx context.Context) error {
	if err := a.connect(ctx); err != nil {
		return err
	}
	if _, err := a.migrate(ctx); err != nil {
		return err
	}
	secret, err := a.secret(ctx)
	if err != nil {
		return err
	}
	// A key's line end belongs to it where it was in the key file, but not where the
	// key was copied into the configuration.
	bare := bytes.TrimRight(secret, "\r\n")
	keys := []importer.Keyring{importer.NewKeyring(secret), importer.NewKeyring(bare), importer.NewKeyring(append(bytes.Clone(bare), '\n'))}
	which, err := a.ledger.Unlock(ctx, keys[0].Fingerprint(), keys[1].Fingerprint(), keys[2].Fingerprint())
	a.keys = keys[which]
	return err
}

// migrate brings the ledger's schema and the job engine's up to date; of many
// starters one does.
func (a *app) migrate(ctx context.Context) (steps int, err error) {
	const within = 5 * time.Minute // as goose waits for a lock of its own
	err = a.ledger.Alone(ctx, within, func() error {
		if steps, err = a.ledger.Migrate(ctx); err != nil {
			return err
		}
		return daemon.Migrate(ctx, a.ledger)
	})
	return steps, err
}

// makeState makes the state directory. The user that PostgreSQL runs as may
// have to pass through it; what is in it is closed to others.
func (a *app) makeState() error {
	if err := os.MkdirAll(a.cfg.StateDir, 0o711); err != nil { //nolint:gosec // passing through shows nothing
		return fmt.Errorf("making state_dir: %w", err)
	}
	return nil
}

// connect finds the configured PostgreSQL, or starts the private one.
func (a *app) connect(ctx context.Context) error {
	if err := a.makeState(); err != nil {
		return err
	}
	dsn := a.cfg.Ledger.DSN.Reveal()
	if dsn == "" {
		var err error
		if a.server, err = a.startPostgres(ctx); err != nil {
			return err
		}
		dsn = a.server.DSN()
	}
	var err error
	a.ledger, err = ledger.Open(ctx, dsn)
	return err
}

func (a *app) startPostgres(ctx context.Context) (*localpg.Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program to start the private PostgreSQL with: %w", err)
	}
	return localpg.Start(ctx, localpg.Options{
		StateDir: a.cfg.StateDir,
		BinDir:   a.cfg.Ledger.PostgresBin,
		Command:  []string{self, superviseCommand},
		Say:      a.tell,
	})
}

func (a *app) close() {
	if a.ledger != nil {
		a.ledger.Close()
	}
	if a.server != nil {
		if err := a.server.Close(); err != nil {
			a.log.Warn("the private PostgreSQL was not left in order", "err", err)
		}
	}
}

// secret is what claims and tokens are made with: configured, or kept in the
// state directory. For a new ledger it is made.
func (a *app) secret(ctx context.Context) ([]byte, error) {
	if k := a.cfg.Ledger.HMACKey.Reveal(); k != "" {
		return []byte(k), nil
	}
	path := filepath.Join(a.cfg.StateDir, "hmac.key")
	for {
		text, err := os.ReadFile(path)
		if err == nil {
			return checkSecret(path, text)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the key of the dedupe identities: %w", err)
		}
		known, err := a.ledger.Fingerprint(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(path); err == nil { // another process has made it just now
			continue
		}
		if known != "" {
			return nil, fmt.Errorf("%s is missing, and the ledger's claims were made with it (%s): restore it from the backup of the state directory, or every known lead would be loaded again", path, known)
		}
		if err := makeSecret(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("making the key of the dedupe identities: %w", err)
		}
	}
}

func checkSecret(path string, text []byte) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key of the dedupe identities: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: chmod 600 %s", path, path)
	}
	if len(text) < 32 {
		return nil, fmt.Errorf("%s is damaged: restore it from the backup of the state directory, or every known lead would be loaded again", path)
	}
	return text, nil
}

// makeSecret puts a new key in place as a whole: it is linked to its name only
// when it is on disk, and only if no other process was faster.
func makeSecret(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "hmac.key.*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // the link has taken its place
	_, err = f.WriteString(rand.Text() + rand.Text() + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// spool is a feed's own: two feeds may have the same file under way.
func (a *app) spool(feed string) source.Spool {
	return source.Spool{Dir: filepath.Join(a.cfg.StateDir, "spool", feed), Quota: int64(a.cfg.Spool.Quota), KeepFree: int64(a.cfg.Spool.KeepFree)}
}

// feed finds a configured feed.
func (a *app) feed(name string) (config.Feed, error) {
	f, ok := a.cfg.Feeds[name]
	if !ok {
		known := make([]string, 0, len(a.cfg.Feeds))
		for n := range a.cfg.Feeds {
			known = append(known, n)
		}
		slices.Sort(known)
		return f, usagef("there is no feed %q in %s, it has: %s", name, a.config, strings.Join(known, ", "))
	}
	return f, nil
}

// importerFor wires a feed's importer. The caller closes the client.
func (a *app) importerFor(name string, f config.Feed, w importer.Watcher) (*importer.Importer, importer.Feed, *nonagent.Client, error) {
	if err := a.needs("dialers." + f.Dialer); err != nil {
		return nil, importer.Feed{}, nil, err
	}
	client, err := dialerClient(a.cfg.Dialers[f.Dialer])
	if err != nil {
		return nil, importer.Feed{}, nil, usagef("dialers.%s: %w", f.Dialer, err)
	}
	im, feed := a.importerWithout(name, f, w)
	im.Dialer = client
	return im, feed, client, nil
}

// importerWithout is a feed's importer for what needs no dialer.
func (a *app) importerWithout(name string, f config.Feed, w importer.Watcher) (*importer.Importer, importer.Feed) {
	d := a.cfg.Dialers[f.Dialer]
	im := &importer.Importer{
		Ledger:    a.ledger,
		DialerKey: dialerKey(d),
		Keys:      a.keys,
		Limits:    limitsOf(d, a.cfg.Ledger),
		Watcher:   w,
		Log:       a.log,
		Clock:     bootClock,
		DropDone: func(_ context.Context, drop importer.Drop) error {
			return a.spool(name).Remove(drop.SHA256)
		},
	}
	im.Reopen = func(drop importer.Drop) (importer.Incoming, error) {
		return a.incoming(name, f, drop), nil
	}
	return im, feedOf(name, f, d)
}

func dialerClient(d config.Dialer) (*nonagent.Client, error) {
	roots, err := rootsOf(d.CAFile)
	if err != nil {
		return nil, err
	}
	return nonagent.New(nonagent.Options{
		URL: d.URL, User: d.User, Password: d.Password.Reveal, Source: d.Source,
		Timeout: d.Timeout.Std(), Concurrency: d.Concurrency, RootCAs: roots, UserAgent: "importer/" + version(),
	})
}

// rootsOf is whom a ca_file has us believe; nil: whom this machine believes.
func rootsOf(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // what package tls takes for the system's authorities
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return roots, nil
}

// dialerKey is a dialer's address: whoever posts there shares its limit.
func dialerKey(d config.Dialer) string {
	u, err := url.Parse(d.URL)
	if err != nil {
		return d.URL
	}
	return strings.ToLower(u.Host) + u.Path
}

func feedOf(name string, f config.Feed, d config.Dialer) importer.Feed {
	checks := f.DialerChecks
	feed := importer.Feed{
		Name: name, Dialer: f.Dialer, Campaign: f.CampaignID,
		By: f.Dedupe.By, Scope: f.Dedupe.Scope, Window: f.Dedupe.Window.Std(),
		DNC: checks.DNC, DNCAreaCode: checks.DNCAreaCode, PhoneChecks: checks.Phone,
		Duplicate:      map[string]string{"list": "DUPLIST", "campaign": "DUPCAMP", "system": "DUPSYS"}[checks.Duplicate],
		DuplicateDays:  checks.DuplicateDays,
		Settings:       settingsOf(f, d),
		OnHeaderChange: f.OnHeader,
		AtMost:         f.Source.AtMost,
		Expect: importer.Expect{
			MinRows: f.Expect.MinRows, MaxRows: f.Expect.MaxRows, MinBytes: int64(f.Expect.MinBytes), MaxBytes: int64(f.Expect.MaxBytes),
		},
	}
	if f.Hopper.Add {
		feed.Hopper = &importer.Hopper{Priority: f.Hopper.Priority, LocalCallTime: f.Hopper.LocalCallTime}
	}
	return feed
}

// settingsOf identifies what decides how a file becomes leads.
func settingsOf(f config.Feed, d config.Dialer) string {
	text, err := json.Marshal([]any{
		f.Dialer, f.ListID, f.CampaignID, f.Region, f.Columns, f.CustomFields, f.AltPhones, f.Callback, f.File,
		f.DateOrder, f.CalmCapitals, f.OnBad,
		f.Dedupe.By, f.Dedupe.Scope, d.NonLatin, d.TokenField,
	})
	if err != nil {
		panic(err) // strings, maps and structs of strings, and a boolean
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func limitsOf(d config.Dialer, l config.Ledger) importer.Limits {
	token := d.TokenField
	if token == "none" {
		token = ""
	}
	return importer.Limits{
		Concurrency: d.Concurrency, Rate: d.Rate, Timeout: d.Timeout.Std(), SendWithin: d.SendWithin.Std(),
		Quiescence: d.Quiescence.Std(), GiveUp: d.StopAfter.Std(),
		LedgerWait: l.Wait.Std(), Lease: l.Lease.Std(), TokenField: token,
	}
}

// bootClock runs on while the machine is suspended, so that no call begins
// late after a nap.
func bootClock() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(clockID, &ts); err != nil {
		panic(err) // the clock exists on every system that this program is built for
	}
	return time.Duration(ts.Nano())
}

// listFromName finds the list id in a file's name, or in that of the archive or
// workbook that it came in.
func listFromName(pattern, name string) (string, error) {
	expression := regexp.MustCompile(pattern)
	parts := strings.Split(filepath.ToSlash(name), "/")
	for _, part := range slices.Backward(parts) {
		if m := expression.FindStringSubmatch(part); m != nil {
			return m[1], nil
		}
	}
	return "", &importer.HoldError{Why: "the file's name has no list id as list_id.file_name expects it: rename it, or correct the feed's list_id"}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
