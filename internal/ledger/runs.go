package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"importer/internal/crashpoint"
	"importer/internal/importer"
)

// StartRun implements importer.Runs.
func (l *Ledger) StartRun(ctx context.Context, feed, kind string) (run, holder int64, err error) {
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `INSERT INTO runs (feed, kind, holder) VALUES ($1, $2, nextval('holders')) RETURNING id, holder`, feed, kind).Scan(&run, &holder)
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
// commits before. The calls of those who carried the run before are known from
// what they settled, and what they left uncounted is counted now; their alarms stay.
func (l *Ledger) FinishRun(ctx context.Context, run, holder int64, s importer.Summary, cause error) error {
	const (
		finish = `
			UPDATE runs SET finished = now(), calls = greatest(calls, $3), error = $5,
				alarms = CASE WHEN carriers > 1 THEN alarms || ARRAY(SELECT a FROM unnest($6::text[]) a WHERE a <> ALL (alarms)) ELSE $6 END,
				seconds = CASE WHEN carriers > 1 THEN extract(epoch FROM clock_timestamp() - started) ELSE $4 END
			WHERE id = $1 AND (holder IS NULL OR holder = $2) RETURNING carriers > 1`
		count = `UPDATE run_drops SET counts = $3 WHERE run_id = $1 AND drop_id = $2`
	)
	text := ""
	if cause != nil {
		text = storable(cause.Error())
	}
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		var shared bool
		err := tx.QueryRow(ctx, finish, run, holder, s.Calls, s.Seconds, text, clean(s.Alarms)).Scan(&shared)
		if errors.Is(err, pgx.ErrNoRows) {
			return importer.ErrLeaseLost
		}
		if err != nil {
			return err
		}
		store := func(drops []importer.DropSummary) error {
			for _, d := range drops {
				counted, err := json.Marshal(storeCounts(d.Counts))
				if err != nil {
					return fmt.Errorf("storing a run's counts: %w", err)
				}
				if _, err := tx.Exec(ctx, count, run, d.Drop.ID, counted); err != nil {
					return err
				}
			}
			return nil
		}
		if err := store(s.Drops); err != nil {
			return err
		}
		if shared {
			drops, err := runDrops(ctx, tx, run)
			if err := errors.Join(err, store(drops)); err != nil {
				return err
			}
		}
		crashpoint.Reach(crashpoint.FinishWritten)
		return nil
	})
}
