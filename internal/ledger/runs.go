package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"importer/internal/crashpoint"
	"importer/internal/importer"
)

// StartRun implements importer.Runs.
func (l *Ledger) StartRun(ctx context.Context, feed, kind string) (run, holder int64, err error) {
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `INSERT INTO runs (feed, kind) VALUES ($1, $2) RETURNING id, nextval('holders')`, feed, kind).Scan(&run, &holder)
	})
	return run, holder, err
}

// JoinDrop implements importer.Runs.
func (l *Ledger) JoinDrop(ctx context.Context, run int64, d importer.Drop, already bool) error {
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO run_drops (run_id, drop_id, already) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, run, d.ID, already)
		return err
	})
}

// counts is how run_drops keeps importer.Counts.
type counts map[importer.State]map[importer.Reason]int

func storeCounts(c importer.Counts) counts {
	m := counts{}
	for sr, n := range c {
		if m[sr.State] == nil {
			m[sr.State] = map[importer.Reason]int{}
		}
		m[sr.State][sr.Reason] = n
	}
	return m
}

func (c counts) load() importer.Counts {
	m := importer.Counts{}
	for state, reasons := range c {
		for reason, n := range reasons {
			m[importer.StateReason{State: state, Reason: reason}] = n
		}
	}
	return m
}

// FinishRun implements importer.Runs. Its commit is durable, and with it all
// commits before.
func (l *Ledger) FinishRun(ctx context.Context, run int64, s importer.Summary, cause error) error {
	text := ""
	if cause != nil {
		text = storable(cause.Error())
	}
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		for _, d := range s.Drops {
			counted, err := json.Marshal(storeCounts(d.Counts))
			if err != nil {
				return fmt.Errorf("storing a run's counts: %w", err)
			}
			if _, err := tx.Exec(ctx, `UPDATE run_drops SET counts = $3 WHERE run_id = $1 AND drop_id = $2`, run, d.Drop.ID, counted); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE runs SET finished = now(), calls = $2, seconds = $3, error = $4, alarms = $5 WHERE id = $1`,
			run, s.Calls, s.Seconds, text, clean(s.Alarms))
		crashpoint.Reach(crashpoint.FinishWritten)
		return err
	})
}
