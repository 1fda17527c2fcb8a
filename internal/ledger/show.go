package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
	"importer/internal/lead"
)

// Examples returns the first row of the drops for each state and reason, as
// they stand now.
func (l *Ledger) Examples(ctx context.Context, drops []importer.Drop) (examples []importer.Example, err error) {
	const query = `
		WITH first AS (SELECT state, reason, min(record) AS record FROM rows WHERE month = $1 AND drop_id = $2 GROUP BY 1, 2)
		SELECT r.record, r.line, r.state, r.reason, r.note, w.lead, w.cells
		FROM first f
		JOIN rows r ON r.month = $1 AND r.drop_id = $2 AND r.record = f.record
		JOIN row_data w ON w.month = $1 AND w.drop_id = $2 AND w.record = f.record
		ORDER BY r.record`
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		examples = nil
		known := map[importer.StateReason]bool{}
		for _, d := range drops {
			rows, err := tx.Query(ctx, query, d.Month, d.ID)
			if err != nil {
				return err
			}
			first, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (importer.Example, error) { return scanExample(row, d) })
			if err != nil {
				return err
			}
			for _, e := range first {
				if !known[e.StateReason] {
					known[e.StateReason] = true
					examples = append(examples, e)
				}
			}
		}
		return nil
	})
	return examples, err
}

func scanExample(row pgx.Row, d importer.Drop) (importer.Example, error) {
	e := importer.Example{Drop: d}
	var text []byte
	if err := row.Scan(&e.Record, &e.Line, &e.State, &e.Reason, &e.Note, &text, &e.Cells); err != nil || text == nil {
		return e, err
	}
	e.Lead = &lead.Lead{}
	return e, loadLead(text, e.Lead)
}

// SlowestMinute returns the full minute, counted from a run's first call, in
// which the fewest calls began, and false for a run that made calls for less
// than a minute. When calls began is not kept, only by when they were answered
// at the latest: within is how long they had.
func (l *Ledger) SlowestMinute(ctx context.Context, run int64, drops []importer.Drop, within time.Duration) (m importer.Minute, ok bool, err error) {
	// A holder is one run's. Attempts that were superseded know theirs alone.
	const query = `
		WITH mine AS (
			SELECT holder, answer_by FROM rows WHERE month = ANY ($2) AND drop_id = ANY ($3) AND run_id = $1 AND attempt > 0
		), calls AS (
			SELECT answer_by FROM mine
			UNION ALL
			SELECT answer_by FROM attempts WHERE month = ANY ($2) AND drop_id = ANY ($3) AND holder IN (SELECT holder FROM mine)
		), span AS (
			SELECT min(answer_by) AS first, max(answer_by) AS last FROM calls
		), minutes AS (
			SELECT floor(extract(epoch FROM answer_by - first) / 60)::int AS n, count(*) AS calls FROM calls, span GROUP BY 1
		)
		SELECT first + n * interval '1 minute' - $4::interval, coalesce(calls, 0)
		FROM span CROSS JOIN generate_series(0, floor(extract(epoch FROM last - first) / 60)::int - 1) n LEFT JOIN minutes USING (n)
		ORDER BY 2, n LIMIT 1`
	var months []time.Time
	var ids []int64
	for _, d := range drops {
		months, ids = append(months, d.Month), append(ids, d.ID)
	}
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, query, run, months, ids, within).Scan(&m.From, &m.Calls)
		ok = err == nil
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return m, ok, err
}
