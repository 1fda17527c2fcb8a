package ledger

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/crashpoint"
	"importer/internal/importer"
)

// Settle implements importer.Attempts. It does not wait for the disk: a settle
// that is lost in a crash leaves its rows armed, to be asked about, and what
// rests on a released claim (its heir's arming, another drop's record) waits
// for the disk after it.
func (l *Ledger) Settle(ctx context.Context, d importer.Drop, run, holder int64, calls int, list []importer.Settlement) (missed []int, err error) {
	err = l.txWith(ctx, answerWithin, planOnce+`SET LOCAL synchronous_commit = off`, func(ctx context.Context, tx pgx.Tx) error {
		missed = nil
		settled, ended := 0, map[importer.ClaimKey]int{}
		for part := range stretches(list, func(s importer.Settlement) int { return s.Record }) {
			rest, err := settle(ctx, tx, d, holder, part, ended)
			if err != nil {
				return err
			}
			settled += len(part) - len(rest)
			if rest, err = missing(ctx, tx, d, rest); err != nil {
				return err
			}
			for _, s := range rest {
				missed = append(missed, s.Record)
			}
		}
		if err := release(ctx, tx, d, ended); err != nil {
			return err
		}
		crashpoint.Reach(crashpoint.SettleWritten)
		first, last := leadIDs(list)
		if calls == 0 && first == nil || settled == 0 {
			return nil
		}
		_, err := tx.Exec(ctx, `UPDATE runs SET calls = calls + $2, first_lead = least(first_lead, $3), last_lead = greatest(last_lead, $4) WHERE id = $1`,
			run, calls, first, last)
		return err
	})
	crashpoint.Reach(crashpoint.Settled)
	return missed, err
}

// leadIDs are the lowest and the highest of the dialer's lead ids, nil when
// there are none.
func leadIDs(list []importer.Settlement) (first, last *int64) {
	var ids []int64
	for _, s := range list {
		if s.LeadID != 0 {
			ids = append(ids, s.LeadID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	low, high := slices.Min(ids), slices.Max(ids)
	return &low, &high
}

// settle moves the rows that may be moved so, returns the settlements of the
// others, and notes the claims of rows that have ended without a lead at the
// dialer.
func settle(ctx context.Context, tx pgx.Tx, d importer.Drop, holder int64, part []importer.Settlement, ended map[importer.ClaimKey]int) (rest []importer.Settlement, err error) {
	// The states that a row may go to: from armed, from unknown, and from
	// unknown by its own call's late answer. An armed row is its holder's until
	// its call has ended.
	const query = `
		UPDATE rows r SET state = u.state::row_state, reason = u.reason, note = u.note,
			lead_id = nullif(u.lead_id, 0), lost = r.lost + u.lost::int
		FROM unnest($5::int[], $6::smallint[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::bool[])
			AS u (record, attempt, was, state, reason, lead_id, note, lost)
		WHERE r.month = $1 AND r.drop_id = $2 AND r.record BETWEEN $3 AND $4 AND r.record = u.record AND r.attempt = u.attempt
			AND (r.state = 'armed' AND u.was = 'armed'
					AND u.state IN ('succeeded', 'rejected', 'failed', 'duplicate', 'unknown', 'pending')
					AND (r.holder = $13 OR u.state = 'unknown' AND r.answer_by < clock_timestamp())
				OR r.state = 'unknown' AND u.was = 'unknown'
					AND u.state IN ('succeeded', 'rejected', 'failed', 'duplicate', 'pending', 'review')
				OR r.state = 'unknown' AND u.was = 'armed' AND r.holder = $13
					AND u.state IN ('succeeded', 'rejected', 'duplicate'))
		RETURNING r.record, r.claim, r.state IN ('rejected', 'failed')`
	u := columnsOf(part)
	rows, err := tx.Query(ctx, query, d.Month, d.ID, u.records[0], u.records[len(part)-1],
		u.records, u.attempts, u.from, u.to, u.reasons, u.leads, u.notes, u.lost, holder)
	if err != nil {
		return nil, err
	}
	moved := make(map[int]bool, len(part))
	var record int
	var key *[16]byte
	var over bool
	_, err = pgx.ForEachRow(rows, []any{&record, &key, &over}, func() error {
		moved[record] = true
		if over && key != nil {
			ended[*key] = record
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(part), func(s importer.Settlement) bool { return moved[s.Record] }), nil
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

// missing leaves the settlements that were not applied by an earlier commit
// either, whose answer was lost.
func missing(ctx context.Context, tx pgx.Tx, d importer.Drop, rest []importer.Settlement) ([]importer.Settlement, error) {
	if len(rest) == 0 {
		return nil, nil
	}
	const query = `
		SELECT record, attempt, state FROM rows
		WHERE month = $1 AND drop_id = $2 AND record BETWEEN $3 AND $4`
	rows, err := tx.Query(ctx, query, d.Month, d.ID, rest[0].Record, rest[len(rest)-1].Record)
	if err != nil {
		return nil, err
	}
	type place struct {
		attempt int
		state   importer.State
	}
	places := map[int]place{}
	var record int
	var p place
	_, err = pgx.ForEachRow(rows, []any{&record, &p.attempt, &p.state}, func() error {
		places[record] = p
		return nil
	})
	return slices.DeleteFunc(rest, func(s importer.Settlement) bool { return places[s.Record] == place{s.Attempt, s.To} }), err
}

// release gives up the claims of rows that ended without a lead at the dialer.
// Each goes to the oldest row that was judged a duplicate because of it.
func release(ctx context.Context, tx pgx.Tx, d importer.Drop, ended map[importer.ClaimKey]int) error {
	const (
		// Whoever rests on a claim, takes it over, or forgets the rows that rest on
		// it, comes before these two locks, and the next statement sees it, or
		// after our commit.
		lock  = `SELECT key, drop_id, record FROM claims WHERE key = ANY ($1::uuid[]) ORDER BY key FOR UPDATE`
		heirs = `
			SELECT k.key, h.month, h.drop_id, h.record
			FROM unnest($1::uuid[], $3::int[]) AS k (key, record), LATERAL (
				SELECT month, drop_id, record FROM rows
				WHERE claim = k.key AND state = 'duplicate' AND reason = 'already_loaded' AND dup_drop = $2 AND dup_record = k.record
				ORDER BY drop_id, record LIMIT 1
			) h`
		promote = `
			UPDATE rows SET state = 'pending', reason = '', note = '', dup_drop = NULL, dup_record = NULL
			WHERE month = $1 AND drop_id = $2 AND record = $3`
		// The other duplicates rest on the heir now.
		repoint = `
			UPDATE rows SET dup_drop = $2, dup_record = $3
			WHERE claim = $1 AND state = 'duplicate' AND reason = 'already_loaded' AND dup_drop = $4 AND dup_record = $5`
		handOver = `UPDATE claims SET drop_id = $2, record = $3, claimed_at = now() WHERE key = $1`
		// Whoever closes the drop comes before this lock, and reopen sees it
		// done, or after our commit, and sees the pending row. Recording and
		// leases go on beside it.
		lockDrops = `SELECT FROM drops WHERE id = ANY ($1) ORDER BY id FOR KEY SHARE`
		reopen    = `UPDATE drops SET state = 'importing', finished = NULL WHERE id = ANY ($1) AND state IN ('done', 'failed')`
		drop      = `DELETE FROM claims WHERE key = ANY ($1::uuid[])`
	)
	if len(ended) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, releaseClaims, d.ID); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, lock, slices.Collect(maps.Keys(ended)))
	if err != nil {
		return err
	}
	var keys [][16]byte // those that our rows hold
	var key [16]byte
	var by importer.RowRef
	_, err = pgx.ForEachRow(rows, []any{&key, &by.Drop, &by.Record}, func() error {
		if by == (importer.RowRef{Drop: d.ID, Record: ended[key]}) {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	records := make([]int, len(keys))
	for i, key := range keys {
		records[i] = ended[key]
	}
	if rows, err = tx.Query(ctx, heirs, keys, d.ID, records); err != nil {
		return err
	}
	var month time.Time
	var reopened []int64
	var batch pgx.Batch
	_, err = pgx.ForEachRow(rows, []any{&key, &month, &by.Drop, &by.Record}, func() error {
		batch.Queue(promote, month, by.Drop, by.Record)
		batch.Queue(repoint, key, by.Drop, by.Record, d.ID, ended[key])
		batch.Queue(handOver, key, by.Drop, by.Record)
		reopened = append(reopened, by.Drop)
		inherited := key
		keys = slices.DeleteFunc(keys, func(k [16]byte) bool { return k == inherited })
		return nil
	})
	if err != nil {
		return err
	}
	if len(reopened) > 0 {
		crashpoint.Reach(crashpoint.ClaimPassing)
		batch.Queue(lockDrops, reopened)
		batch.Queue(reopen, reopened)
	}
	batch.Queue(drop, keys)
	return tx.SendBatch(ctx, &batch).Close()
}
