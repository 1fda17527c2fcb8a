package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"importer/internal/importer"
)

// SlotState is what is known of a feed's schedule when its slots are judged.
type SlotState struct {
	Last    time.Time // the last slot that was judged; for a new feed, since when it is known
	Paused  bool
	Running bool // the run of a slot is going
	Queued  bool // a slot waits for it
}

// JudgedSlot is a slot of a schedule, or a stretch of them, and what becomes of it.
type JudgedSlot struct {
	At      time.Time
	Until   time.Time // zero: it is one slot
	Verdict string
	Runs    bool // a run is to begin, now or when the one before has ended
}

// SlotRun is a slot whose run was begun, or is to begin.
type SlotRun struct {
	Feed string
	At   time.Time
	Run  int64 // 0: it has not begun
}

// Schedules tells how far the feeds' schedules were judged. A feed that was not
// known is known from now on.
func (l *Ledger) Schedules(ctx context.Context, feeds []string) (states map[string]SlotState, err error) {
	const (
		know = `INSERT INTO schedules (feed) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING`
		look = `SELECT feed, last, paused FROM schedules WHERE feed = ANY ($1)`
	)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		states = map[string]SlotState{}
		if _, err := tx.Exec(ctx, know, feeds); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, look, feeds)
		if err != nil {
			return err
		}
		var feed string
		var s SlotState
		_, err = pgx.ForEachRow(rows, []any{&feed, &s.Last, &s.Paused}, func() error {
			states[feed] = s
			return nil
		})
		return err
	})
	return states, err
}

// JudgeSlots records what becomes of a feed's due slots. judge is given how things
// stand while nobody else can judge, and returns the slots and the last of them;
// enqueue is called for each that runs. All is one transaction.
func (l *Ledger) JudgeSlots(ctx context.Context, feed string, judge func(SlotState) ([]JudgedSlot, time.Time), enqueue func(context.Context, pgx.Tx, time.Time) error) error {
	const (
		lock   = `SELECT last, paused FROM schedules WHERE feed = $1 FOR UPDATE`
		open   = `SELECT count(*) FILTER (WHERE verdict = 'run' OR run_id IS NOT NULL) > 0, count(*) FILTER (WHERE verdict = 'queue' AND run_id IS NULL) > 0 FROM schedule_slots WHERE feed = $1 AND ended IS NULL AND verdict IN ('run', 'queue')`
		record = `INSERT INTO schedule_slots (feed, slot, until, verdict) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
		move   = `UPDATE schedules SET last = $2 WHERE feed = $1`
	)
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		var s SlotState
		if err := tx.QueryRow(ctx, lock, feed).Scan(&s.Last, &s.Paused); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, open, feed).Scan(&s.Running, &s.Queued); err != nil {
			return err
		}
		slots, last := judge(s)
		for _, slot := range slots {
			tag, err := tx.Exec(ctx, record, feed, slot.At, told(slot.Until), slot.Verdict)
			if err != nil {
				return err
			}
			if slot.Runs && tag.RowsAffected() == 1 {
				if err := enqueue(ctx, tx, slot.At); err != nil {
					return err
				}
			}
		}
		_, err := tx.Exec(ctx, move, feed, last)
		return err
	})
}

// BeginSlot begins the run of a slot, or goes on with it when whoever carried it
// has died. Not ok: somebody carries it, an earlier slot of the feed is still
// going, or it has ended.
func (l *Ledger) BeginSlot(ctx context.Context, feed string, at time.Time, ttl time.Duration) (begun importer.Begun, ok bool, err error) {
	const (
		lock = `
			SELECT run_id FROM schedule_slots s WHERE feed = $1 AND slot = $2 AND ended IS NULL
				AND NOT EXISTS (SELECT FROM schedule_slots WHERE feed = $1 AND slot < $2 AND ended IS NULL AND verdict IN ('run', 'queue'))
			FOR UPDATE`
		start = `INSERT INTO runs (feed, kind, holder, leased_until) VALUES ($1, 'run', nextval('holders'), clock_timestamp() + $2) RETURNING id, holder`
		note  = `UPDATE schedule_slots SET run_id = $3 WHERE feed = $1 AND slot = $2`
		goOn  = `
			UPDATE runs SET holder = nextval('holders'), leased_until = clock_timestamp() + $2
			WHERE id = $1 AND (leased_until IS NULL OR leased_until < clock_timestamp()) RETURNING id, holder`
	)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		var run *int64
		if err := tx.QueryRow(ctx, lock, feed, at).Scan(&run); err != nil {
			return err
		}
		if run != nil {
			return tx.QueryRow(ctx, goOn, *run, ttl).Scan(&begun.Run, &begun.Holder)
		}
		if err := tx.QueryRow(ctx, start, feed, ttl).Scan(&begun.Run, &begun.Holder); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, note, feed, at, begun.Run)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return begun, false, nil
	}
	return begun, err == nil, err
}

// EndSlot records that a slot's run has ended.
func (l *Ledger) EndSlot(ctx context.Context, feed string, at time.Time) error {
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE schedule_slots SET ended = now() WHERE feed = $1 AND slot = $2 AND ended IS NULL`, feed, at)
		return err
	})
}

// RenewRun prolongs the right to carry a run. Returns importer.ErrLeaseLost when
// holder has it no more.
func (l *Ledger) RenewRun(ctx context.Context, b importer.Begun, ttl time.Duration) error {
	const renew = `UPDATE runs SET leased_until = clock_timestamp() + $3 WHERE id = $1 AND holder = $2`
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, renew, b.Run, b.Holder, ttl)
		if err == nil && tag.RowsAffected() == 0 {
			return importer.ErrLeaseLost
		}
		return err
	})
}

// LeaveRun gives up the right to carry a run, so that somebody else may at once.
func (l *Ledger) LeaveRun(ctx context.Context, b importer.Begun) error {
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE runs SET leased_until = NULL WHERE id = $1 AND holder = $2`, b.Run, b.Holder)
		return err
	})
}

// PauseFeed keeps a feed's schedule from beginning runs, or lets it again.
func (l *Ledger) PauseFeed(ctx context.Context, feed string, paused bool) error {
	const set = `INSERT INTO schedules (feed, paused) VALUES ($1, $2) ON CONFLICT (feed) DO UPDATE SET paused = excluded.paused`
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, set, feed, paused)
		return err
	})
}

// River is the pool that the job engine works on.
func (l *Ledger) River() *pgxpool.Pool { return l.pool }
