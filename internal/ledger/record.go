package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/crashpoint"
	"importer/internal/importer"
)

// claimed is who holds a key.
type claimed struct {
	importer.RowRef
	at time.Time
}

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
		holders, err := claim(ctx, tx, d, rows, window)
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

// claims tells whether a row claims an identity.
func claims(row importer.NewRow) bool {
	return row.Refusal == nil && row.Claim != importer.ClaimKey{}
}

// claim takes the batch's keys, or finds out who holds them: every key of the
// batch is in the answer. Keys go to PostgreSQL in sorted order: batches that
// lock the same keys in different orders would deadlock.
func claim(ctx context.Context, tx pgx.Tx, d importer.Drop, batch []importer.NewRow, window time.Duration) (map[importer.ClaimKey]claimed, error) {
	wanted := map[importer.ClaimKey]int{} // the batch's first row with each key
	for _, row := range batch {
		if _, twice := wanted[row.Claim]; claims(row) && !twice {
			wanted[row.Claim] = row.Record
		}
	}
	holders := make(map[importer.ClaimKey]claimed, len(wanted))
	// A key may be released between our two looks at it; it is free then.
	const looks = 5
	for look := 0; len(holders) < len(wanted); look++ {
		if look == looks {
			return nil, errors.New("claims are being released as fast as they are taken")
		}
		keys := make([]importer.ClaimKey, 0, len(wanted)-len(holders))
		for key := range wanted {
			if _, ok := holders[key]; !ok {
				keys = append(keys, key)
			}
		}
		slices.SortFunc(keys, func(a, b importer.ClaimKey) int { return bytes.Compare(a[:], b[:]) })
		if err := take(ctx, tx, d, keys, wanted, holders); err != nil {
			return nil, err
		}
		if err := whoHolds(ctx, tx, d, keys, wanted, window, holders); err != nil {
			return nil, err
		}
	}
	return holders, nil
}

// take claims the keys that are free.
func take(ctx context.Context, tx pgx.Tx, d importer.Drop, keys []importer.ClaimKey, wanted map[importer.ClaimKey]int, holders map[importer.ClaimKey]claimed) error {
	const query = `
		INSERT INTO claims (key, drop_id, record)
		SELECT k, $2, r FROM unnest($1::uuid[], $3::int[]) AS u (k, r)
		ON CONFLICT (key) DO NOTHING
		RETURNING key`
	records := make([]int, len(keys))
	for i, key := range keys {
		records[i] = wanted[key]
	}
	rows, err := tx.Query(ctx, query, uuids(keys), d.ID, records)
	if err != nil {
		return err
	}
	var key [16]byte
	_, err = pgx.ForEachRow(rows, []any{&key}, func() error {
		holders[key] = claimed{RowRef: importer.RowRef{Drop: d.ID, Record: wanted[key]}}
		return nil
	})
	return err
}

// whoHolds reads the holders of the other keys, takes over expired claims, and
// keeps the claims from being released before this batch is committed: a
// released claim goes to its oldest duplicate, which must be there to see.
func whoHolds(ctx context.Context, tx pgx.Tx, d importer.Drop, keys []importer.ClaimKey, wanted map[importer.ClaimKey]int, window time.Duration, holders map[importer.ClaimKey]claimed) error {
	const (
		read = `
			SELECT key, drop_id, record, claimed_at, $2::interval > '0' AND claimed_at < now() - $2::interval
				AND NOT EXISTS (SELECT FROM rows r WHERE r.claim = key AND r.drop_id = claims.drop_id AND r.record = claims.record
					AND r.state IN ('pending', 'armed', 'unknown', 'review')) -- it may yet be sent, or be there
			FROM claims WHERE key = ANY ($1::uuid[]) ORDER BY key FOR KEY SHARE`
		takeOver = `UPDATE claims SET drop_id = $3, record = $4, claimed_at = now() WHERE key = $1 AND claimed_at = $2`
	)
	keys = slices.DeleteFunc(keys, func(k importer.ClaimKey) bool { _, ok := holders[k]; return ok })
	if len(keys) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, read, uuids(keys), window)
	if err != nil {
		return err
	}
	expired := map[importer.ClaimKey]time.Time{}
	var key [16]byte
	var c claimed
	var old bool
	_, err = pgx.ForEachRow(rows, []any{&key, &c.Drop, &c.Record, &c.at, &old}, func() error {
		if old {
			expired[key] = c.at
		} else {
			holders[key] = c
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		at, ok := expired[key]
		if !ok {
			continue
		}
		tag, err := tx.Exec(ctx, takeOver, [16]byte(key), at, d.ID, wanted[key])
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 1 { // otherwise somebody was faster: look again
			holders[key] = claimed{RowRef: importer.RowRef{Drop: d.ID, Record: wanted[key]}}
		}
	}
	return nil
}

// insert writes the rows and what they are made of.
func insert(ctx context.Context, tx pgx.Tx, d importer.Drop, run int64, batch []importer.NewRow, holders map[importer.ClaimKey]claimed) ([]importer.Recorded, error) {
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

func uuids(keys []importer.ClaimKey) [][16]byte {
	out := make([][16]byte, len(keys))
	for i, k := range keys {
		out[i] = k
	}
	return out
}

// Claimed implements importer.Claims.
func (l *Ledger) Claimed(ctx context.Context, keys []importer.ClaimKey, window time.Duration) (held map[importer.ClaimKey]importer.RowRef, err error) {
	const query = `
		SELECT key, drop_id, record FROM claims
		WHERE key = ANY ($1::uuid[]) AND ($2::interval = '0' OR claimed_at >= now() - $2::interval)`
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		held = map[importer.ClaimKey]importer.RowRef{}
		rows, err := tx.Query(ctx, query, uuids(keys), window)
		if err != nil {
			return err
		}
		var key [16]byte
		var ref importer.RowRef
		_, err = pgx.ForEachRow(rows, []any{&key, &ref.Drop, &ref.Record}, func() error {
			held[key] = ref
			return nil
		})
		return err
	})
	return held, err
}
