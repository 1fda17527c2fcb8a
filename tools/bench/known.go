package main

import (
	"context"
	"fmt"
	"path/filepath"

	"importer/internal/importer"
	"importer/internal/ledger"
)

// few is the number of rows, and of claims, that the many are compared with.
const few = 10_000

// stride brings a file's people into another order than that in which they
// were loaded. It is a prime, which no number of people is a multiple of.
const stride = 7_368_787

// known measures drops of people who were all loaded before, by another feed.
func known(ctx context.Context, s *site, t *table) error {
	l, err := ledger.Open(ctx, s.server.DSN())
	if err != nil {
		return err
	}
	defer l.Close()
	if _, err := l.Migrate(ctx); err != nil {
		return err
	}
	w, err := begin(ctx, l, "earlier")
	if err != nil {
		return err
	}
	t.title("%d rows in a new drop, all known", s.rows)
	// Numbers that deliver has not used.
	const first = 5_000_000
	keys := s.keys()
	earlier, err := s.record(ctx, w, s.rows, importer.Pending, func(record int) importer.NewRow { return newRow(keys, record, first+record-1) })
	if err != nil {
		return err
	}
	t.told("recorded before by the ledger alone", "%.0f rows/s", earlier.rate())
	t.told("  PostgreSQL", "%.0f µs/row", earlier.perRow(earlier.ledger))
	little, err := s.importKnown(ctx, first, few)
	if err != nil {
		return err
	}
	much, err := s.importKnown(ctx, first, s.rows)
	if err != nil {
		return err
	}
	t.atLeast("import", "%.0f rows/s", much.rate(), 25_000)
	costs(t, much)
	t.told("memory of the importer, at most", "%.1f MiB", mib(much.memory))
	t.told("  with 10,000 rows", "%.1f MiB", mib(little.memory))
	t.atMost("more memory than with 10,000 rows", "%.1f MiB", mib(much.memory-little.memory), 64)
	return nil
}

func (s *site) importKnown(ctx context.Context, first, rows int) (measured, error) {
	file := filepath.Join(s.dir, "known.csv")
	if err := writePeople(file, first, rows, stride); err != nil {
		return measured{}, err
	}
	if err := s.checkpoint(ctx); err != nil {
		return measured{}, err
	}
	m, err := s.importFile(ctx, file, rows, 8)
	if err == nil && (m.result.Outcomes["DUPLICATE"] != rows || m.result.Calls > 0) {
		err = fmt.Errorf("of %d known rows, %d are duplicates, and %d calls were made", rows, m.result.Outcomes["DUPLICATE"], m.result.Calls)
	}
	return m, err
}
