package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/crashpoint"
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
			WHERE month = $1 AND drop_id = $2 AND record BETWEEN $3 AND $4 AND record = ANY ($5) AND state = 'pending' AND attempt > 0
			ON CONFLICT DO NOTHING`
		arm = `
			UPDATE rows r SET state = 'armed', attempt = u.attempt + 1, reason = '', holder = $7, run_id = $8,
				answer_by = clock_timestamp() + $9::interval
			FROM unnest($5::int[], $6::smallint[]) AS u (record, attempt)
			WHERE r.month = $1 AND r.drop_id = $2 AND r.record BETWEEN $3 AND $4 AND r.record = u.record
				AND (r.state = 'pending' AND r.attempt = u.attempt
					OR r.state = 'armed' AND r.attempt = u.attempt + 1 AND r.holder = $7)
			RETURNING r.record`
	)
	err = l.txWith(ctx, answerWithin, planOnce, func(ctx context.Context, tx pgx.Tx) error {
		armed = nil
		var b pgx.Batch
		// Who has lost the drop arms nothing of it: its rows may have been
		// forgotten and recorded anew. The lock keeps a new holder waiting.
		b.Queue(`SELECT FROM drops WHERE id = $1 AND holder = $2 FOR SHARE`, d.ID, holder).QueryRow(func(row pgx.Row) error {
			err := row.Scan()
			if errors.Is(err, pgx.ErrNoRows) {
				return importer.ErrLeaseLost
			}
			return err
		})
		for part := range stretches(items, func(it importer.Item) int { return it.Record }) {
			var records, attempts []int
			for _, it := range part {
				records, attempts = append(records, it.Record), append(attempts, it.Attempt)
			}
			first, last := records[0], records[len(records)-1]
			if slices.Max(attempts) > 0 {
				b.Queue(keep, d.Month, d.ID, first, last, records)
			}
			b.Queue(arm, d.Month, d.ID, first, last, records, attempts, holder, run, sendWithin+timeout).Query(func(rows pgx.Rows) (err error) {
				armed, err = pgx.AppendRows(armed, rows, pgx.RowTo[int])
				return err
			})
		}
		err := tx.SendBatch(ctx, &b).Close()
		crashpoint.Reach(crashpoint.ArmWritten)
		return err
	})
	crashpoint.Reach(crashpoint.Armed)
	return armed, err
}

// planOnce is for transactions about a few of a drop's rows, which are many a
// second: to plan their statements anew each time took a third of PostgreSQL's
// time. They name month, drop and a stretch of records, and so the primary key
// is the way to the rows however many there were when the plan was made.
const planOnce = `SET LOCAL enable_nestloop = off; SET LOCAL plan_cache_mode = force_generic_plan;`

// stretches sorts a list by record and cuts it at wide gaps. A statement about
// a stretch names its first and last record: however wrong PostgreSQL is about
// how many rows a drop has, it reads no more than these.
func stretches[T any](list []T, record func(T) int) iter.Seq[[]T] {
	const wide = 64
	list = slices.SortedFunc(slices.Values(list), func(a, b T) int { return record(a) - record(b) })
	return func(yield func([]T) bool) {
		for start, i := 0, 1; i <= len(list); i++ {
			if i < len(list) && record(list[i])-record(list[i-1]) < wide {
				continue
			}
			if !yield(list[start:i]) {
				return
			}
			start = i
		}
	}
}

// Ours implements importer.Attempts.
func (l *Ledger) Ours(ctx context.Context, dialer, listID string, limit int) ([]importer.OwnLead, error) {
	// Drop by drop from the newest on, so that it ends with the first that fit.
	const query = `
		SELECT d.id, d.sha256, d.feed, o.record, o.lead_id, o.attempt, o.lead
		FROM (SELECT id, month, sha256, feed FROM drops WHERE dialer = $1 ORDER BY id DESC LIMIT 100) d, LATERAL (
			SELECT r.record, r.lead_id, r.attempt, w.lead
			FROM rows r JOIN row_data w USING (month, drop_id, record)
			WHERE r.month = d.month AND r.drop_id = d.id AND r.state = 'succeeded' AND ($2 = '' OR w.lead ->> 'list_id' = $2)
			ORDER BY r.record LIMIT 1
		) o
		ORDER BY d.id DESC LIMIT $3`
	return l.ownLeads(ctx, query, dialer, listID, limit)
}

// Doubtful implements importer.Audits.
func (l *Ledger) Doubtful(ctx context.Context, d importer.Drop, after, limit int) ([]importer.OwnLead, error) {
	const query = `
		SELECT d.id, d.sha256, d.feed, r.record, coalesce(r.lead_id, 0), r.attempt, w.lead
		FROM drops d
		JOIN rows r ON r.month = d.month AND r.drop_id = d.id
		JOIN row_data w ON w.month = r.month AND w.drop_id = r.drop_id AND w.record = r.record
		WHERE d.id = $1 AND r.month = $2 AND r.record > $3 AND r.lost > 0
			AND r.state IN ('succeeded', 'rejected', 'failed', 'duplicate')
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
