// Package ledger remembers every row's fate in PostgreSQL.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/sethvargo/go-retry"

	"importer/internal/importer"
	"importer/migrations"
)

// Ledger is safe for use by many goroutines and many processes at once. Its
// errors wrap importer.ErrUnavailable when the ledger did not answer; making
// the same call again is always safe.
type Ledger struct {
	pool   *pgxpool.Pool
	rested rested
	took   func(time.Duration) // see Observe
}

// How long the ledger may take. Rows are few in most calls; some look at a
// whole drop.
const (
	connectWithin = 5 * time.Second
	answerWithin  = 30 * time.Second
	scanWithin    = 10 * time.Minute
)

// oldest is the PostgreSQL that the schema needs.
const oldest = 15

// Open connects to the ledger's database. dsn is a PostgreSQL connection
// string or URL.
func Open(ctx context.Context, dsn string) (*Ledger, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// pgx's own error quotes the connection string.
		return nil, errors.New("ledger.dsn is not a PostgreSQL connection string, for example postgres://user@host/database")
	}
	cfg.ConnConfig.ConnectTimeout = connectWithin
	cfg.ConnConfig.RuntimeParams["application_name"] = "importer"
	cfg.AfterConnect = prepare
	cfg.MaxConns = max(cfg.MaxConns, 8)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, classify(ctx, err)
	}
	l := &Ledger{pool: pool}
	var server int
	err = pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int / 10000`).Scan(&server)
	switch {
	case err != nil:
		err = fmt.Errorf("cannot connect to the ledger at %s:%d, check ledger.dsn and that PostgreSQL is running: %w",
			cfg.ConnConfig.Host, cfg.ConnConfig.Port, classify(ctx, err))
	case server < oldest:
		err = fmt.Errorf("the ledger at %s:%d is on PostgreSQL %d: the importer needs %d or newer", cfg.ConnConfig.Host, cfg.ConnConfig.Port, server, oldest)
	default:
		return l, nil
	}
	pool.Close()
	return nil, err
}

// prepare sets up a session. Commits wait for the disk even where the database
// or the role is set up not to: what is recorded and armed must outlive a
// crash. Statements (but see planOnce) are planned for the tables as they are now,
// and for their indexes: a young ledger's tables grow by orders of magnitude before
// PostgreSQL gets to analyse them, and a plan made for an empty table reads all
// of a full one. And a process that is frozen in the middle of a transaction
// keeps its locks for no longer than a moment.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	const query = `
		SELECT set_config('synchronous_commit', CASE v WHEN 'off' THEN 'on' ELSE v END, false),
			set_config('plan_cache_mode', 'force_custom_plan', false),
			set_config('enable_seqscan', 'off', false),
			set_config('jit', 'off', false),
			set_config('idle_in_transaction_session_timeout', '5s', false)
		FROM current_setting('synchronous_commit') v`
	_, err := conn.Exec(ctx, query)
	return err
}

// Observe has took told how long each transaction took that was committed, with its
// repetitions, from many goroutines at once. It is called before the ledger is used.
func (l *Ledger) Observe(took func(time.Duration)) { l.took = took }

// Close gives the connections back. A PostgreSQL that hangs is not waited for: it
// would be for as long as its last statements may take.
func (l *Ledger) Close() {
	closed := make(chan struct{})
	go func() { l.pool.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(connectWithin):
	}
}

// Version tells the schema's version and the one that this program brings.
func (l *Ledger) Version(ctx context.Context) (current, wanted int64, err error) {
	err = l.migrations(func(p *goose.Provider) error {
		current, wanted, err = p.GetVersions(ctx)
		return err
	})
	return current, wanted, err
}

// Alone does work while no other process does any under the same lock, which is
// waited for no longer than within.
func (l *Ledger) Alone(ctx context.Context, within time.Duration, work func() error) error {
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return classify(ctx, err)
	}
	defer conn.Release()
	const unlock = `SELECT pg_advisory_unlock(hashtextextended('importer.migrate', 0))`
	lock := fmt.Sprintf(`SET lock_timeout = %d; SELECT pg_advisory_lock(hashtextextended('importer.migrate', 0)); RESET lock_timeout`, within.Milliseconds())
	if _, err := conn.Exec(ctx, lock); err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "55P03" {
			err = fmt.Errorf("another importer has been bringing the ledger's schema up to date for %s: see that it ends, then try again", within)
		}
		return errors.Join(classify(ctx, err), conn.Conn().Close(context.WithoutCancel(ctx))) // its settings are not the pool's
	}
	worked := work()
	if _, err := conn.Exec(context.WithoutCancel(ctx), unlock); err != nil {
		return errors.Join(worked, classify(ctx, err), conn.Conn().Close(context.WithoutCancel(ctx)))
	}
	return worked
}

// Migrate brings the schema up to date and returns how many steps it took.
// Many processes may do so at once. A schema newer than this program is
// refused.
func (l *Ledger) Migrate(ctx context.Context) (steps int, err error) {
	err = l.migrations(func(p *goose.Provider) error {
		current, wanted, err := p.GetVersions(ctx)
		if err != nil {
			return err
		}
		if current > wanted {
			return fmt.Errorf("the ledger's schema is at version %d, this program knows up to %d: use a newer importer", current, wanted)
		}
		done, err := p.Up(ctx)
		steps = len(done)
		return err
	})
	if err != nil {
		return steps, err
	}
	return steps, l.partitions(ctx)
}

func (l *Ledger) migrations(use func(*goose.Provider) error) error {
	db := stdlib.OpenDBFromPool(l.pool)
	defer db.Close()
	return withProvider(db, use)
}

func withProvider(db *sql.DB, use func(*goose.Provider) error) error {
	// Asked every second, for five minutes: another starter may be migrating.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files, goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if err := use(p); err != nil {
		return fmt.Errorf("migrating the ledger: %w", classify(context.Background(), err))
	}
	return nil
}

// partitions makes this month's and the next month's, so that they exist
// before they are needed.
func (l *Ledger) partitions(ctx context.Context) error {
	return l.tx(ctx, answerWithin, makePartitions)
}

func makePartitions(ctx context.Context, tx pgx.Tx) error {
	const query = `
		SELECT make_partitions(m::date)
		FROM (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AS this) t,
		     LATERAL (VALUES (this), (this + interval '1 month')) v (m)
		WHERE to_regclass('attempts_' || to_char(m, 'YYYY_MM')) IS NULL`
	_, err := tx.Exec(ctx, query)
	return err
}

// Fingerprint is that of the key with which the ledger's claims were made, empty
// for a new ledger.
func (l *Ledger) Fingerprint(ctx context.Context) (fingerprint string, err error) {
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT coalesce(max(fingerprint), '') FROM ledger`).Scan(&fingerprint)
	})
	return fingerprint, err
}

// Unlock compares keys' fingerprints with the one that the ledger's claims were
// made with, and returns which it is. A new ledger's is the first one from now on.
func (l *Ledger) Unlock(ctx context.Context, fingerprints ...string) (which int, err error) {
	var known string
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO ledger (fingerprint) VALUES ($1) ON CONFLICT DO NOTHING`, fingerprints[0]); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT fingerprint FROM ledger`).Scan(&known)
	})
	if err != nil {
		return 0, err
	}
	which = slices.Index(fingerprints, known)
	if which < 0 {
		return 0, fmt.Errorf("this ledger's claims were made with another key (%s, not %s): restore the key file that belongs to it, or every known lead would be loaded again", known, fingerprints[0])
	}
	return which, nil
}

// tx runs work in a transaction, and again when PostgreSQL broke it off for
// the sake of another one. Whatever the database's default is, each statement
// must see what was committed before it began: after waiting for a lock we
// look again.
func (l *Ledger) tx(ctx context.Context, within time.Duration, work func(context.Context, pgx.Tx) error) error {
	return l.txWith(ctx, within, "", work)
}

// txWith is tx with settings of its own, which go along with its beginning:
// while a few calls are in flight, the ways to PostgreSQL and back cost more
// than what is done there.
func (l *Ledger) txWith(ctx context.Context, within time.Duration, settings string, work func(context.Context, pgx.Tx) error) error {
	const tries = 10
	backoff := retry.WithMaxRetries(tries, retry.WithJitterPercent(50, retry.NewConstant(20*time.Millisecond)))
	began := time.Now()
	err := retry.Do(ctx, backoff, func(outer context.Context) error {
		ctx, cancel := context.WithTimeout(outer, within)
		defer cancel()
		o := pgx.TxOptions{BeginQuery: `BEGIN ISOLATION LEVEL READ COMMITTED;` + settings}
		err := pgx.BeginTxFunc(ctx, l.pool, o, func(tx pgx.Tx) error { return work(ctx, tx) })
		var pg *pgconn.PgError
		if errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01") {
			return retry.RetryableError(classify(outer, err))
		}
		return classify(outer, err)
	})
	if err == nil && l.took != nil {
		l.took(time.Since(began))
	}
	return err
}

// classify turns the driver's errors into ours. The text of a PgError may hold
// people's data, so only what cannot is repeated.
func classify(ctx context.Context, err error) error {
	var pg *pgconn.PgError
	var network net.Error
	var connect *pgconn.ConnectError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pg):
		return classifyPg(pg)
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return context.Cause(ctx)
	case errors.As(err, &connect):
		return fmt.Errorf("%w: no connection", importer.ErrUnavailable)
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, context.DeadlineExceeded), pgconn.SafeToRetry(err), strings.Contains(err.Error(), "conn closed"):
		return fmt.Errorf("%w: the connection broke", importer.ErrUnavailable)
	default:
		return err
	}
}

func classifyPg(pg *pgconn.PgError) error {
	switch {
	case strings.HasPrefix(pg.Code, "28"), pg.Code == "3D000", pg.Code == "42501":
		// Login, database, permission: PostgreSQL's sentence is about the
		// configuration and names no lead.
		return fmt.Errorf("the ledger refuses: %s (SQLSTATE %s)", pg.Message, pg.Code)
	case strings.HasPrefix(pg.Code, "53"):
		return fmt.Errorf("%w: PostgreSQL is out of resources, such as disk space or connections (SQLSTATE %s)", importer.ErrUnavailable, pg.Code)
	case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "57"), pg.Code == "25006", pg.Code == "25P03":
		return fmt.Errorf("%w: PostgreSQL is stopping, starting or read-only, or has ended the session (SQLSTATE %s)", importer.ErrUnavailable, pg.Code)
	case strings.HasPrefix(pg.Code, "40"), pg.Code == "55P03":
		return fmt.Errorf("%w: too many transactions at once (SQLSTATE %s)", importer.ErrUnavailable, pg.Code)
	default:
		return fmt.Errorf("the ledger refused a statement (SQLSTATE %s, table %q, constraint %q)", pg.Code, pg.TableName, pg.ConstraintName)
	}
}
