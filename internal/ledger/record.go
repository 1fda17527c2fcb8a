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
			header = CASE WHEN recorded = 0 THEN $6::text[] ELSE header END,
			fields = CASE WHEN recorded = 0 THEN $8::text[] ELSE fields END, outside = $7
		WHERE id = $1 AND holder = $2 AND recorded = $3 AND NOT complete`
	outside, err := json.Marshal(d.Outside)
	if err != nil {
		return nil, err
	}
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		out = nil
		tag, err := tx.Exec(ctx, fence, d.ID, holder, first, len(rows), last, clean(d.Header), outside, clean(d.Fields))
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
	rows, err := tx.Query(ctx, `SELECT record, state, reason FROM rows WHERE month = $1 AND drop_id = $2 AND record BETWEEN $3 AND $4 ORDER BY record`,
		d.Month, d.ID, batch[0].Record, batch[len(batch)-1].Record)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r importer.Recorded, err error) {
		return r, row.Scan(&r.Record, &r.State, &r.Reason)
	})
}

// insert writes the rows and what they are made of. Rows are made ready while
// PostgreSQL takes in those before them, and go to the month's own tables, which
// it need not look for row by row.
func insert(ctx context.Context, tx pgx.Tx, d importer.Drop, run int64, batch []importer.NewRow, holders map[importer.ClaimKey]importer.RowRef) ([]importer.Recorded, error) {
	out := make([]importer.Recorded, len(batch))
	table := pgx.Identifier{d.Month.Format("rows_2006_01")}
	columns := []string{"month", "drop_id", "claim", "run_id", "dup_drop", "dup_record", "record", "line", "state", "reason", "note"}
	_, err := tx.CopyFrom(ctx, table, columns, pgx.CopyFromSlice(len(batch), func(i int) (slim []any, _ error) {
		out[i], slim = slimRow(d, run, batch[i], holders)
		return slim, nil
	}))
	if err != nil {
		return nil, err
	}
	table = pgx.Identifier{d.Month.Format("row_data_2006_01")}
	columns = []string{"month", "drop_id", "record", "cells", "lead", "changes"}
	_, err = tx.CopyFrom(ctx, table, columns, pgx.CopyFromSlice(len(batch), func(i int) ([]any, error) {
		return wideRow(d, batch[i])
	}))
	return out, err
}

// slimRow decides what becomes of a row.
func slimRow(d importer.Drop, run int64, row importer.NewRow, holders map[importer.ClaimKey]importer.RowRef) (importer.Recorded, []any) {
	state, reason, note := importer.Pending, importer.Reason(""), ""
	var key, dupDrop, dupRecord any
	switch {
	case row.Refusal != nil:
		state, reason, note = importer.Invalid, row.Refusal.Reason, row.Refusal.Detail
	case claims(row):
		key = [16]byte(row.Claim)
		if by := holders[row.Claim]; by.Drop != d.ID || by.Record != row.Record {
			state, reason, dupDrop, dupRecord = importer.Duplicate, importer.ReasonAlreadyLoaded, by.Drop, by.Record
		}
	}
	return importer.Recorded{Record: row.Record, State: state, Reason: reason},
		[]any{d.Month, d.ID, key, run, dupDrop, dupRecord, row.Record, row.Line, string(state), string(reason), storable(note)}
}

// wideRow is what the vendor sent and what is posted.
func wideRow(d importer.Drop, row importer.NewRow) ([]any, error) {
	var lead, changes any
	if row.Refusal == nil {
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
	return []any{d.Month, d.ID, row.Record, clean(row.Cells), lead, changes}, nil
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
