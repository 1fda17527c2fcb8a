package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
)

// ErrNoRun is returned for a run number that the ledger does not know.
var ErrNoRun = errors.New("the ledger has no such run, see importer runs")

// RunFilter chooses runs; zero fields choose all.
type RunFilter struct {
	ID    int64
	Feed  string
	Since time.Time // of the moment at which a run began
	Until time.Time // before which it began
	Limit int
}

// chosen is a condition on runs, with the filter's args.
const chosen = `($1 = 0 OR runs.id = $1) AND ($2 = '' OR runs.feed = $2) AND runs.started >= $3 AND ($4::timestamptz IS NULL OR runs.started < $4)`

func (f RunFilter) args() []any {
	var until *time.Time
	if !f.Until.IsZero() {
		until = &f.Until
	}
	return []any{f.ID, f.Feed, f.Since, until}
}

// ListRuns returns the chosen runs, newest first, each with its drops as it
// left them. For a run that has not ended its drops are counted now.
func (l *Ledger) ListRuns(ctx context.Context, f RunFilter) (runs []importer.RunInfo, err error) {
	const query = `
		SELECT id, feed, kind, started, finished, calls, seconds, error, alarms,
			finished IS NULL AND (coalesce(runs.leased_until > clock_timestamp(), false) OR EXISTS (SELECT FROM drops d WHERE d.feed = runs.feed AND leased_until > clock_timestamp())
				OR NOT EXISTS (SELECT FROM run_drops WHERE run_id = id))
		FROM runs
		WHERE ` + chosen + `
		ORDER BY id DESC LIMIT nullif($5, 0)`
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, append(f.args(), f.Limit)...)
		if err != nil {
			return err
		}
		runs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r importer.RunInfo, err error) {
			var finished *time.Time
			err = row.Scan(&r.ID, &r.Feed, &r.Kind, &r.Started, &finished, &r.Calls, &r.Seconds, &r.Error, &r.Alarms, &r.Going)
			if finished != nil {
				r.Finished = *finished
			}
			return r, err
		})
		if err != nil {
			return err
		}
		for i := range runs {
			if runs[i].Drops, err = runDrops(ctx, tx, runs[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && f.ID != 0 && len(runs) == 0 {
		return nil, ErrNoRun
	}
	return runs, err
}

func runDrops(ctx context.Context, tx pgx.Tx, run int64) ([]importer.DropSummary, error) {
	const query = `SELECT already, counts, ` + dropColumns + ` FROM run_drops JOIN drops ON id = drop_id WHERE run_id = $1 ORDER BY id`
	rows, err := tx.Query(ctx, query, run)
	if err != nil {
		return nil, err
	}
	var open []int // drops that the run has not counted
	drops, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (importer.DropSummary, error) {
		var s importer.DropSummary
		var text []byte
		d, err := scanDrop(prefixed{row, []any{&s.Already, &text}})
		s.Drop = d
		if err != nil || text == nil {
			return s, err
		}
		var c counts
		if err := json.Unmarshal(text, &c); err != nil {
			return s, fmt.Errorf("reading a run's counts: %w", err)
		}
		s.Counts = c.load()
		return s, nil
	})
	if err != nil {
		return nil, err
	}
	for i, s := range drops {
		switch {
		case s.Counts == nil && s.Already:
			drops[i].Counts = s.Drop.AsDuplicates()
		case s.Counts == nil:
			open = append(open, i)
		}
	}
	for _, i := range open {
		if drops[i].Counts, err = tally(ctx, tx, drops[i].Drop); err != nil {
			return nil, err
		}
	}
	return drops, nil
}

// Changes counts what was done to the rows of a run's drops, the most frequent
// first. Drops that the run met done are left out.
func (l *Ledger) Changes(ctx context.Context, run int64) (changed []importer.Changed, err error) {
	const query = `
		SELECT change ->> 'field', change ->> 'why', count(*)
		FROM run_drops JOIN drops d ON d.id = drop_id
		JOIN row_data w ON w.month = d.month AND w.drop_id = d.id
		CROSS JOIN LATERAL json_array_elements(w.changes) AS change
		WHERE run_id = $1 AND NOT already
		GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2`
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, run)
		if err != nil {
			return err
		}
		changed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c importer.Changed, err error) {
			return c, row.Scan(&c.Field, &c.Why, &c.Rows)
		})
		return err
	})
	return changed, err
}

// prefixed scans the columns that stand before those of a drop.
type prefixed struct {
	pgx.Row
	first []any
}

func (p prefixed) Scan(dest ...any) error { return p.Row.Scan(append(p.first, dest...)...) }

// DropCounts counts the rows of the drops on which the chosen runs worked, as
// they stand now, each drop once.
func (l *Ledger) DropCounts(ctx context.Context, f RunFilter) (drops []importer.DropSummary, err error) {
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		found, err := dropsOf(ctx, tx, f)
		if err != nil {
			return err
		}
		drops = nil
		for _, d := range found {
			c, err := tally(ctx, tx, d)
			if err != nil {
				return err
			}
			drops = append(drops, importer.DropSummary{Drop: d, Counts: c})
		}
		return nil
	})
	return drops, err
}

// dropsOf are the drops on which the chosen runs worked, oldest first.
func dropsOf(ctx context.Context, tx pgx.Tx, f RunFilter) ([]importer.Drop, error) {
	const query = `
		SELECT ` + dropColumns + ` FROM drops
		WHERE id IN (SELECT drop_id FROM run_drops JOIN runs ON runs.id = run_id WHERE ` + chosen + `)
		ORDER BY id`
	rows, err := tx.Query(ctx, query, f.args()...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (importer.Drop, error) { return scanDrop(row) })
}

// Rejects calls give for every row of the drops that stands in one of the
// states, and (incomplete) for every row whose lead was added without all that
// was asked for, in the order of the files. The rows are read as they are given:
// they are never all in memory.
func (l *Ledger) Rejects(ctx context.Context, drops []importer.Drop, states []importer.State, incomplete bool, give func(importer.Reject) error) error {
	for _, d := range drops {
		if err := l.dropRejects(ctx, d, states, incomplete, give); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) dropRejects(ctx context.Context, d importer.Drop, states []importer.State, incomplete bool, give func(importer.Reject) error) error {
	const query = `
		SELECT r.record, r.line, r.state, r.reason, r.note, w.cells,
			CASE WHEN w.changes -> 0 ->> 'field' = 'record' THEN w.changes -> 0 ->> 'from' ELSE '' END
		FROM rows r JOIN row_data w USING (month, drop_id, record)
		WHERE r.month = $1 AND r.drop_id = $2 AND (r.state = ANY ($3::text[]::row_state[])
			OR $4 AND r.state = 'succeeded' AND r.reason <> $5 AND r.note <> '')
		ORDER BY r.record`
	rows, err := l.pool.Query(ctx, query, d.Month, d.ID, stateNames(states), incomplete, string(importer.ReasonAdded))
	if err != nil {
		return classify(ctx, err)
	}
	rej := importer.Reject{Drop: d}
	var state importer.State
	_, err = pgx.ForEachRow(rows, []any{&rej.Record, &rej.Line, &state, &rej.Reason, &rej.Note, &rej.Cells, &rej.Text}, func() error {
		rej.Outcome = state.Outcome()
		return give(rej)
	})
	return classify(ctx, err)
}

// stateNames are states as PostgreSQL's row_state takes them.
func stateNames(states []importer.State) []string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	return names
}
