package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
	"importer/internal/lead"
)

// Open implements importer.Attempts.
func (l *Ledger) Open(ctx context.Context, d importer.Drop, after, limit int) (items []importer.Item, err error) {
	const query = `
		SELECT r.record, r.state, r.attempt, r.lost, r.answer_by - clock_timestamp(), w.lead
		FROM rows r JOIN row_data w USING (month, drop_id, record)
		WHERE r.month = $1 AND r.drop_id = $2 AND r.record > $3 AND r.state IN ('pending', 'armed', 'unknown')
		ORDER BY r.record LIMIT $4`
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, d.Month, d.ID, after, limit)
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (importer.Item, error) {
			var it importer.Item
			var in *time.Duration
			var text []byte
			if err := row.Scan(&it.Record, &it.State, &it.Attempt, &it.Lost, &in, &text); err != nil {
				return it, err
			}
			if in != nil {
				it.AnswerIn = *in
			}
			return it, loadLead(text, &it.Lead)
		})
		return err
	})
	return items, err
}

func loadLead(text []byte, into *lead.Lead) error {
	if json.Unmarshal(text, into) != nil { // its error may quote the lead
		return errors.New("a recorded lead is not as this program writes it")
	}
	return nil
}

// Arm implements importer.Attempts. A row that this holder has armed already,
// by a commit whose answer was lost, is armed once more.
func (l *Ledger) Arm(ctx context.Context, d importer.Drop, run, holder int64, items []importer.Item, sendWithin, timeout time.Duration) (armed []int, err error) {
	const (
		keep = `
			INSERT INTO attempts (month, drop_id, record, attempt, holder, answer_by, reason)
			SELECT month, drop_id, record, attempt, holder, answer_by, reason FROM rows
			WHERE month = $1 AND drop_id = $2 AND record = ANY ($3) AND state = 'pending' AND attempt > 0
			ON CONFLICT DO NOTHING`
		arm = `
			UPDATE rows r SET state = 'armed', attempt = u.attempt + 1, reason = '', holder = $3, run_id = $4,
				answer_by = clock_timestamp() + $5::interval
			FROM unnest($6::int[], $7::smallint[]) AS u (record, attempt)
			WHERE r.month = $1 AND r.drop_id = $2 AND r.record = ANY ($6) AND r.record = u.record
				AND (r.state = 'pending' AND r.attempt = u.attempt
					OR r.state = 'armed' AND r.attempt = u.attempt + 1 AND r.holder = $3)
			RETURNING r.record`
	)
	items = slices.Clone(items)
	slices.SortFunc(items, func(a, b importer.Item) int { return a.Record - b.Record })
	records, attempts, again := make([]int, len(items)), make([]int, len(items)), false
	for i, it := range items {
		records[i], attempts[i] = it.Record, it.Attempt
		again = again || it.Attempt > 0
	}
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		if again {
			if _, err := tx.Exec(ctx, keep, d.Month, d.ID, records); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, arm, d.Month, d.ID, holder, run, sendWithin+timeout, records, attempts)
		if err != nil {
			return err
		}
		armed, err = pgx.CollectRows(rows, pgx.RowTo[int])
		return err
	})
	return armed, err
}

// Settle implements importer.Attempts. It does not wait for the disk: a settle
// that is lost in a crash leaves its rows armed, to be asked about.
func (l *Ledger) Settle(ctx context.Context, d importer.Drop, run, holder int64, calls int, list []importer.Settlement) (missed []int, err error) {
	// The states that a row may go to, from armed, from unknown, and from
	// unknown by its own call's late answer. An armed row is its holder's until
	// its call has ended. The records stand there twice so that the index is
	// searched for them whatever PostgreSQL believes about the table.
	const settle = `
		UPDATE rows r SET state = u.state::row_state, reason = u.reason, note = u.note,
			lead_id = nullif(u.lead_id, 0), lost = r.lost + u.lost::int
		FROM unnest($3::int[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::bool[])
			AS u (record, attempt, was, state, reason, lead_id, note, lost)
		WHERE r.month = $1 AND r.drop_id = $2 AND r.record = ANY ($3) AND r.record = u.record AND r.attempt = u.attempt
			AND (r.state = 'armed' AND u.was = 'armed'
					AND u.state IN ('succeeded', 'rejected', 'failed', 'duplicate', 'unknown', 'pending')
					AND (r.holder = $11 OR u.state = 'unknown' AND r.answer_by < clock_timestamp())
				OR r.state = 'unknown' AND u.was = 'unknown'
					AND u.state IN ('succeeded', 'rejected', 'failed', 'duplicate', 'pending', 'review')
				OR r.state = 'unknown' AND u.was = 'armed' AND r.holder = $11
					AND u.state IN ('succeeded', 'rejected', 'duplicate'))
		RETURNING r.record`
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b importer.Settlement) int { return a.Record - b.Record })
	u := columnsOf(list)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL synchronous_commit = off`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, settle, d.Month, d.ID, u.records, u.attempts, u.from, u.to, u.reasons, u.leads, u.notes, u.lost, holder)
		if err != nil {
			return err
		}
		settled, err := pgx.CollectRows(rows, pgx.RowTo[int])
		if err != nil {
			return err
		}
		if missed, err = missing(ctx, tx, d, list, settled); err != nil {
			return err
		}
		if err := release(ctx, tx, d, list, settled); err != nil {
			return err
		}
		if calls == 0 || len(settled) == 0 {
			return nil
		}
		_, err = tx.Exec(ctx, `UPDATE runs SET calls = calls + $2 WHERE id = $1`, run, calls)
		return err
	})
	return missed, err
}

// settlementColumns are settlements as PostgreSQL's unnest takes them.
type settlementColumns struct {
	records, attempts        []int
	from, to, reasons, notes []string
	leads                    []int64
	lost                     []bool
}

func columnsOf(list []importer.Settlement) (u settlementColumns) {
	for _, s := range list {
		u.records = append(u.records, s.Record)
		u.attempts = append(u.attempts, s.Attempt)
		u.from = append(u.from, string(s.From))
		u.to = append(u.to, string(s.To))
		u.reasons = append(u.reasons, string(s.Reason))
		u.leads = append(u.leads, s.LeadID)
		u.notes = append(u.notes, storable(s.Note))
		u.lost = append(u.lost, s.Lost)
	}
	return u
}

// missing lists the settlements that were not applied, now or by an earlier
// commit whose answer was lost.
func missing(ctx context.Context, tx pgx.Tx, d importer.Drop, list []importer.Settlement, settled []int) ([]int, error) {
	if len(settled) == len(list) {
		return nil, nil
	}
	var rest []importer.Settlement
	for _, s := range list {
		if !slices.Contains(settled, s.Record) {
			rest = append(rest, s)
		}
	}
	const query = `
		SELECT u.record
		FROM unnest($3::int[], $4::smallint[], $5::text[]) AS u (record, attempt, state)
		LEFT JOIN rows r ON r.month = $1 AND r.drop_id = $2 AND r.record = ANY ($3) AND r.record = u.record AND r.attempt = u.attempt AND r.state = u.state::row_state
		WHERE r.record IS NULL`
	u := columnsOf(rest)
	rows, err := tx.Query(ctx, query, d.Month, d.ID, u.records, u.attempts, u.to)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// release gives up the claims of rows that ended without a lead at the dialer.
// Each goes to the oldest row that was judged a duplicate because of it.
func release(ctx context.Context, tx pgx.Tx, d importer.Drop, list []importer.Settlement, settled []int) error {
	const (
		lock = `
			SELECT c.key FROM claims c JOIN rows r ON r.claim = c.key
			WHERE r.month = $1 AND r.drop_id = $2 AND r.record = ANY ($3) AND c.drop_id = $2 AND c.record = r.record
			ORDER BY c.key FOR UPDATE OF c`
		promote = `
			UPDATE rows r SET state = 'pending', reason = '', note = '', dup_drop = NULL, dup_record = NULL
			FROM (
				SELECT DISTINCT ON (claim) month, drop_id, record FROM rows
				WHERE claim = ANY ($1::uuid[]) AND state = 'duplicate' AND reason = 'already_loaded'
				ORDER BY claim, drop_id, record
			) heir
			WHERE r.month = heir.month AND r.drop_id = heir.drop_id AND r.record = heir.record AND r.state = 'duplicate'
			RETURNING r.claim, r.drop_id, r.record`
		handOver = `UPDATE claims SET drop_id = $2, record = $3, claimed_at = now() WHERE key = $1`
		// Whoever closes the drop comes before this lock, and reopen sees it
		// done, or after our commit, and sees the pending row. Recording and
		// leases go on beside it.
		lockDrops = `SELECT id FROM drops WHERE id = ANY ($1) ORDER BY id FOR KEY SHARE`
		reopen    = `UPDATE drops SET state = 'importing', finished = NULL WHERE id = ANY ($1) AND state = 'done'`
		drop      = `DELETE FROM claims WHERE key = ANY ($1::uuid[])`
	)
	var ended []int
	for _, s := range list {
		if (s.To == importer.Rejected || s.To == importer.Failed) && slices.Contains(settled, s.Record) {
			ended = append(ended, s.Record)
		}
	}
	if len(ended) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, lock, d.Month, d.ID, ended)
	if err != nil {
		return err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
	if err != nil || len(keys) == 0 {
		return err
	}
	if rows, err = tx.Query(ctx, promote, keys); err != nil {
		return err
	}
	type heir struct {
		key    [16]byte
		drop   int64
		record int
	}
	heirs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h heir, err error) {
		return h, row.Scan(&h.key, &h.drop, &h.record)
	})
	if err != nil {
		return err
	}
	var drops []int64
	for _, h := range heirs {
		if _, err := tx.Exec(ctx, handOver, h.key, h.drop, h.record); err != nil {
			return err
		}
		drops = append(drops, h.drop)
		keys = slices.DeleteFunc(keys, func(k [16]byte) bool { return k == h.key })
	}
	for _, q := range []string{lockDrops, reopen} {
		if _, err := tx.Exec(ctx, q, drops); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, drop, keys)
	return err
}

// Ours implements importer.Attempts.
func (l *Ledger) Ours(ctx context.Context, dialer, listID string, limit int) ([]importer.OwnLead, error) {
	// Drop by drop from the newest on, so that it ends with the first rows that fit.
	const query = `
		SELECT d.id, d.sha256, d.feed, o.record, o.lead_id, o.attempt, o.lead
		FROM drops d, LATERAL (
			SELECT r.record, r.lead_id, r.attempt, w.lead
			FROM rows r JOIN row_data w USING (month, drop_id, record)
			WHERE r.month = d.month AND r.drop_id = d.id AND r.state = 'succeeded' AND w.lead ->> 'list_id' = $2
			ORDER BY r.record DESC LIMIT $3
		) o
		WHERE d.dialer = $1
		ORDER BY d.id DESC, o.record DESC LIMIT $3`
	return l.ownLeads(ctx, query, dialer, listID, limit)
}

// Doubtful implements importer.Audits.
func (l *Ledger) Doubtful(ctx context.Context, d importer.Drop, after, limit int) ([]importer.OwnLead, error) {
	const query = `
		SELECT d.id, d.sha256, d.feed, r.record, r.lead_id, r.attempt, w.lead
		FROM drops d
		JOIN rows r ON r.month = d.month AND r.drop_id = d.id
		JOIN row_data w ON w.month = r.month AND w.drop_id = r.drop_id AND w.record = r.record
		WHERE d.id = $1 AND r.month = $2 AND r.record > $3 AND r.state = 'succeeded' AND r.lost > 0
		ORDER BY r.record LIMIT $4`
	return l.ownLeads(ctx, query, d.ID, d.Month, after, limit)
}

func (l *Ledger) ownLeads(ctx context.Context, query string, args ...any) (own []importer.OwnLead, err error) {
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		own, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (importer.OwnLead, error) {
			var o importer.OwnLead
			var sha, text []byte
			if err := row.Scan(&o.Drop, &sha, &o.Feed, &o.Record, &o.LeadID, &o.Attempt, &text); err != nil {
				return o, err
			}
			copy(o.SHA256[:], sha)
			var l lead.Lead
			err := loadLead(text, &l)
			o.Phone, o.ListID = l.PhoneNumber, l.ListID
			return o, err
		})
		return err
	})
	return own, err
}

// NoteRow implements importer.Audits.
func (l *Ledger) NoteRow(ctx context.Context, d importer.Drop, record int, note string) error {
	const query = `
		UPDATE rows SET note = CASE WHEN note = '' THEN $4 WHEN strpos(note, $4) > 0 THEN note ELSE note || '; ' || $4 END
		WHERE month = $1 AND drop_id = $2 AND record = $3`
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, query, d.Month, d.ID, record, storable(note))
		return err
	})
}

// Tally implements importer.Audits.
func (l *Ledger) Tally(ctx context.Context, d importer.Drop) (c importer.Counts, err error) {
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		c, err = tally(ctx, tx, d)
		return err
	})
	return c, err
}

func tally(ctx context.Context, tx pgx.Tx, d importer.Drop) (importer.Counts, error) {
	const query = `SELECT state, reason, count(*) FROM rows WHERE month = $1 AND drop_id = $2 GROUP BY 1, 2`
	rows, err := tx.Query(ctx, query, d.Month, d.ID)
	if err != nil {
		return nil, err
	}
	c := importer.Counts{}
	var sr importer.StateReason
	var n int
	_, err = pgx.ForEachRow(rows, []any{&sr.State, &sr.Reason, &n}, func() error {
		c[sr] = n
		return nil
	})
	return c, err
}
