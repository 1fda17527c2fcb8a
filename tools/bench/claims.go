package main

import (
	"context"
	"crypto/md5" //nolint:gosec // as PostgreSQL's md5, which fills the ledger
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
	"importer/internal/ledger"
)

// claimRows is how many rows are recorded for each figure.
const claimRows = 200_000

// claims measures what it costs to record rows and claim their leads, new and
// known, in a ledger of few claims and in one of many.
func claims(ctx context.Context, s *site, t *table) error {
	t.title("%d rows recorded by the ledger alone, in batches of %d", claimRows, batchRows)
	little, err := s.claims(ctx, t, few)
	if err != nil {
		return err
	}
	much, err := s.claims(ctx, t, s.held)
	if err != nil {
		return err
	}
	for i, m := range much {
		t.atLeast(m.what, "%.0f rows/s", m.rate(), 25_000)
		t.atMost("  times the cost", "%.2f", m.wall.Seconds()/little[i].wall.Seconds(), 2.5)
	}
	return nil
}

// claims measures a ledger that holds a number of claims already.
func (s *site) claims(ctx context.Context, t *table, held int) (all []measured, err error) {
	l, err := s.filledLedger(ctx, held)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	for _, c := range []struct {
		what  string
		lead  func(record int) int // which one a record brings
		state importer.State
	}{
		{"known", func(record int) int { return 1 + record*stride%held }, importer.Duplicate},
		{"new", func(record int) int { return held + record }, importer.Pending},
	} {
		w, err := begin(ctx, l, c.what)
		if err != nil {
			return nil, err
		}
		if err := s.checkpoint(ctx); err != nil {
			return nil, err
		}
		m, err := s.record(ctx, w, claimRows, c.state, func(record int) importer.NewRow {
			r := newRow(importer.Keyring{}, record, c.lead(record))
			r.Claim = md5.Sum([]byte(strconv.Itoa(c.lead(record)))) //nolint:gosec // as in filledLedger
			return r
		})
		if err != nil {
			return nil, err
		}
		m.what = fmt.Sprintf("%s leads among %d claims", c.what, held)
		all = append(all, m)
		t.told(m.what, "%.0f rows/s", m.rate())
		t.told("  PostgreSQL", "%.0f µs/row", m.perRow(m.ledger))
	}
	return all, nil
}

// filledLedger makes a database with claims of an earlier drop, as they are
// when it has grown to this size: in no order, the index's pages filled as
// splitting leaves them, all of it on disk.
func (s *site) filledLedger(ctx context.Context, held int) (*ledger.Ledger, error) {
	name := "held_" + strconv.Itoa(held)
	if err := s.do(ctx, s.server.DSN(), `CREATE DATABASE `+name); err != nil {
		return nil, err
	}
	dsn, err := url.Parse(s.server.DSN())
	if err != nil {
		return nil, err
	}
	dsn.Path = "/" + name
	l, err := ledger.Open(ctx, dsn.String())
	if err != nil {
		return nil, err
	}
	if _, err := l.Migrate(ctx); err != nil {
		l.Close()
		return nil, err
	}
	err = s.do(ctx, dsn.String(),
		`ALTER TABLE claims DROP CONSTRAINT claims_pkey`,
		fmt.Sprintf(`INSERT INTO claims (key, drop_id, record) SELECT md5(n::text)::uuid, 0, n FROM generate_series(1, %d) n`, held),
		`ALTER TABLE claims ADD PRIMARY KEY (key) WITH (fillfactor = 70)`,
		`VACUUM ANALYZE claims`,
		`CHECKPOINT`)
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (s *site) checkpoint(ctx context.Context) error {
	return s.do(ctx, s.server.DSN(), `CHECKPOINT`)
}

func (s *site) do(ctx context.Context, dsn string, statements ...string) (err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// work is a run's work on one drop, without an importer around it.
type work struct {
	*ledger.Ledger

	d      importer.Drop
	run    int64
	holder int64
}

// batchRows is how many rows the importer records at once.
const batchRows = 1000

func begin(ctx context.Context, l *ledger.Ledger, feed string) (*work, error) {
	w := &work{Ledger: l}
	d := importer.Drop{Feed: feed, Dialer: "main", Name: feed + ".csv", Header: columns, Settings: "bench"}
	if _, err := rand.Read(d.SHA256[:]); err != nil {
		return nil, err
	}
	var err error
	if w.run, w.holder, err = l.StartRun(ctx, feed, "import"); err != nil {
		return nil, err
	}
	if w.d, err = l.OpenDrop(ctx, d); err != nil {
		return nil, err
	}
	w.d, err = l.LeaseDrop(ctx, w.d.ID, w.holder, time.Hour)
	return w, err
}

// record records a drop and measures the ledger's part of it. Every row must
// end as it should.
func (s *site) record(ctx context.Context, w *work, rows int, state importer.State, row func(record int) importer.NewRow) (m measured, err error) {
	m.rows = rows
	before, err := spentByAll(s.postgres)
	if err != nil {
		return m, err
	}
	batch := make([]importer.NewRow, 0, batchRows)
	for done := 0; done < rows; done += len(batch) {
		batch = batch[:0]
		for i := range min(batchRows, rows-done) {
			batch = append(batch, row(done+i+1))
		}
		began := time.Now()
		recorded, err := w.Record(ctx, w.d, w.run, w.holder, done, batch, done+len(batch) == rows, 0)
		if err != nil {
			return m, err
		}
		m.wall += time.Since(began)
		for _, r := range recorded {
			if r.State != state {
				return m, fmt.Errorf("a row became %s instead of %s", r.State, state)
			}
		}
	}
	after, err := spentByAll(s.postgres)
	m.ledger = after - before
	return m, err
}
