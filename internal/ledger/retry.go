package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
)

// Retry implements importer.Retries. Locks are taken in the order of those who
// settle: rows, claims, drop. Made again after a commit whose answer was lost,
// it goes on with the rows that come next.
func (l *Ledger) Retry(ctx context.Context, d importer.Drop, holder int64, which importer.Retried, after, limit int, window time.Duration) (last int, err error) {
	const (
		choose = `
			SELECT record, claim, state FROM rows
			WHERE month = $1 AND drop_id = $2 AND record > $3 AND state = ANY ($4::text[]::row_state[]) AND state IN ('rejected', 'failed', 'review')
				AND ($5 = '' OR reason = $5)
			ORDER BY record LIMIT $6 FOR NO KEY UPDATE`
		fence  = `SELECT FROM drops WHERE id = $1 AND holder = $2 FOR NO KEY UPDATE`
		reopen = `UPDATE drops SET state = 'importing', finished = NULL WHERE id = $1 AND state IN ('done', 'failed')`
	)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		last = 0
		rows, err := tx.Query(ctx, choose, d.Month, d.ID, after, stateNames(which.States), string(which.Reason), limit)
		if err != nil {
			return err
		}
		chosen, err := pgx.CollectRows(rows, scanRetried)
		if err != nil {
			return err
		}
		var again []importer.NewRow // that must claim as new rows do
		for _, r := range chosen {
			if r.state != importer.Review {
				again = append(again, importer.NewRow{Record: r.record, Claim: r.claim})
			}
		}
		holders, err := l.claim(ctx, tx, d, again, window)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, fence, d.ID, holder).Scan()
		if errors.Is(err, pgx.ErrNoRows) {
			return importer.ErrLeaseLost
		}
		if err != nil || len(chosen) == 0 {
			return err
		}
		last = chosen[len(chosen)-1].record
		opened, err := moveRetried(ctx, tx, d, chosen, holders)
		if err != nil || !opened {
			return err
		}
		_, err = tx.Exec(ctx, reopen, d.ID)
		return err
	})
	return last, err
}

// Retriable lists the drops, oldest first, on which the chosen runs worked and
// that have such rows, or are unfinished without anybody working on them, as a
// retry that was killed leaves them.
func (l *Ledger) Retriable(ctx context.Context, f RunFilter, which importer.Retried) (drops []importer.Drop, err error) {
	const query = `
		SELECT ` + dropColumns + ` FROM drops d
		WHERE id IN (SELECT drop_id FROM run_drops JOIN runs ON runs.id = run_id WHERE ` + chosen + `)
			AND (state = 'importing' AND coalesce(leased_until < clock_timestamp(), true)
				OR EXISTS (SELECT FROM rows r WHERE r.month = d.month AND r.drop_id = d.id
					AND r.state = ANY ($5::text[]::row_state[]) AND ($6 = '' OR r.reason = $6)))
		ORDER BY id`
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, append(f.args(), stateNames(which.States), string(which.Reason))...)
		if err != nil {
			return err
		}
		drops, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (importer.Drop, error) { return scanDrop(row) })
		return err
	})
	return drops, err
}

// retried is a row that gets another chance.
type retried struct {
	record int
	claim  importer.ClaimKey
	state  importer.State
}

func scanRetried(row pgx.CollectableRow) (r retried, err error) {
	var key *[16]byte
	err = row.Scan(&r.record, &key, &r.state)
	if key != nil {
		r.claim = *key
	}
	return r, err
}

// moveRetried moves the chosen rows, keeping the attempts that have failed, and tells
// whether any of them may be sent again.
func moveRetried(ctx context.Context, tx pgx.Tx, d importer.Drop, chosen []retried, holders map[importer.ClaimKey]importer.RowRef) (opened bool, err error) {
	const (
		keep = `
			INSERT INTO attempts (month, drop_id, record, attempt, holder, answer_by, reason)
			SELECT month, drop_id, record, attempt, holder, answer_by, reason FROM rows
			WHERE month = $1 AND drop_id = $2 AND record BETWEEN $3 AND $4 AND record = ANY ($5) AND state <> 'review'
			ON CONFLICT DO NOTHING`
		move = `
			UPDATE rows r SET state = u.state::row_state, reason = u.reason, note = '', lost = least(r.lost, 1),
				dup_drop = nullif(u.dup_drop, 0), dup_record = nullif(u.dup_record, 0)
			FROM unnest($5::int[], $6::text[], $7::text[], $8::bigint[], $9::int[]) AS u (record, state, reason, dup_drop, dup_record)
			WHERE r.month = $1 AND r.drop_id = $2 AND r.record BETWEEN $3 AND $4 AND r.record = u.record`
	)
	var records, dupRecords []int
	var states, reasons []string
	var dupDrops []int64
	for _, r := range chosen {
		state, reason, dup := importer.Pending, importer.Reason(""), importer.RowRef{}
		by, claims := holders[r.claim]
		switch {
		case r.state == importer.Review:
			state = importer.Unknown
		case claims && by != importer.RowRef{Drop: d.ID, Record: r.record}:
			state, reason, dup = importer.Duplicate, importer.ReasonAlreadyLoaded, by
		}
		opened = opened || state != importer.Duplicate
		records, states, reasons = append(records, r.record), append(states, string(state)), append(reasons, string(reason))
		dupDrops, dupRecords = append(dupDrops, dup.Drop), append(dupRecords, dup.Record)
	}
	first, last := records[0], records[len(records)-1]
	if _, err := tx.Exec(ctx, `SET LOCAL enable_nestloop = off`); err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, keep, d.Month, d.ID, first, last, records); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, move, d.Month, d.ID, first, last, records, states, reasons, dupDrops, dupRecords)
	return opened, err
}
