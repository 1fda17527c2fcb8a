package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/crashpoint"
	"importer/internal/importer"
)

// Record implements importer.Claims.
func (l *Ledger) Record(ctx context.Context, d importer.Drop, run, holder int64, first int, rows []importer.NewRow, last bool, window time.Duration) (out []importer.Recorded, err error) {
	const fence = `
		UPDATE drops SET recorded = recorded + $4, complete = $5, state = 'importing', why = '', finished = NULL,
			header = CASE WHEN recorded = 0 THEN $6::text[] ELSE header END, skipped = $7
		WHERE id = $1 AND holder = $2 AND recorded = $3 AND NOT complete`
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		out = nil
		tag, err := tx.Exec(ctx, fence, d.ID, holder, first, len(rows), last, clean(d.Header), d.Skipped)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			out, err = recordedBefore(ctx, tx, d, holder, first, rows, last)
			return err
		}
		holders, err := l.claim(ctx, tx, d, rows, window)
		if err != nil {
			return err
		}
		out, err = insert(ctx, tx, d, run, rows, holders)
		crashpoint.Reach(crashpoint.RecordWritten)
		return err
	})
	crashpoint.Reach(crashpoint.Recorded)
	return out, err
}

// recordedBefore recognises a batch whose commit was made although its answer
// was lost, and returns what became of its rows.
func recordedBefore(ctx context.Context, tx pgx.Tx, d importer.Drop, holder int64, first int, batch []importer.NewRow, last bool) ([]importer.Recorded, error) {
	var ours bool
	err := tx.QueryRow(ctx, `SELECT coalesce(holder = $2, false) AND recorded = $3 AND complete = $4 FROM drops WHERE id = $1`,
		d.ID, holder, first+len(batch), last).Scan(&ours)
	if err != nil {
		return nil, err
	}
	if !ours {
		return nil, importer.ErrLeaseLost
	}
	if len(batch) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `SELECT record, state FROM rows WHERE month = $1 AND drop_id = $2 AND record BETWEEN $3 AND $4 ORDER BY record`,
		d.Month, d.ID, batch[0].Record, batch[len(batch)-1].Record)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r importer.Recorded, err error) {
		return r, row.Scan(&r.Record, &r.State)
	})
}

// insert writes the rows and what they are made of.
func insert(ctx context.Context, tx pgx.Tx, d importer.Drop, run int64, batch []importer.NewRow, holders map[importer.ClaimKey]importer.RowRef) ([]importer.Recorded, error) {
	out := make([]importer.Recorded, len(batch))
	slim := make([][]any, len(batch))
	wide := make([][]any, len(batch))
	for i, row := range batch {
		state, reason, note := importer.Pending, importer.Reason(""), ""
		var key, dupDrop, dupRecord, lead, changes any
		switch {
		case row.Refusal != nil:
			state, reason, note = importer.Invalid, row.Refusal.Reason, row.Refusal.Detail
		default:
			if claims(row) {
				key = [16]byte(row.Claim)
				if by := holders[row.Claim]; by.Drop != d.ID || by.Record != row.Record {
					state, reason, dupDrop, dupRecord = importer.Duplicate, importer.ReasonAlreadyLoaded, by.Drop, by.Record
				}
			}
			text, err := json.Marshal(row.Lead)
			if err != nil {
				return nil, fmt.Errorf("storing a lead: %w", err)
			}
			lead = string(text)
		}
		if len(row.Changes) > 0 {
			text, err := json.Marshal(row.Changes)
			if err != nil {
				return nil, fmt.Errorf("storing a lead's changes: %w", err)
			}
			changes = string(text)
		}
		out[i] = importer.Recorded{Record: row.Record, State: state}
		slim[i] = []any{d.Month, d.ID, key, run, dupDrop, dupRecord, row.Record, row.Line, string(state), string(reason), storable(note)}
		wide[i] = []any{d.Month, d.ID, row.Record, clean(row.Cells), lead, changes}
	}
	columns := []string{"month", "drop_id", "claim", "run_id", "dup_drop", "dup_record", "record", "line", "state", "reason", "note"}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"rows"}, columns, pgx.CopyFromRows(slim)); err != nil {
		return nil, err
	}
	columns = []string{"month", "drop_id", "record", "cells", "lead", "changes"}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"row_data"}, columns, pgx.CopyFromRows(wide))
	return out, err
}

// clean makes texts storable.
func clean(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = storable(c)
	}
	return out
}

// storable replaces what PostgreSQL's text cannot hold.
func storable(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}
