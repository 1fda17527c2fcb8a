package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"importer/internal/importer"
)

// Slot is a moment at which a run of a feed is to begin.
type Slot struct {
	Feed string
	At   time.Time
}

// SlotState is what is known of a feed's schedule when its slots are judged.
type SlotState struct {
	Since   time.Time // when the feed was known first
	Last    time.Time // the last slot that was judged; for a new feed, Since
	Says    string    // the schedule by which it was, empty for a new feed
	Paused  time.Time // since when a person keeps it from beginning runs; zero: nobody does
	Running bool      // the run of a slot is going
	Queued  bool      // a slot waits for it
	Overlap bool      // the last slot was left out for it, or for the one before
	Awaits  bool      // a drop was late, and nobody was told yet that one has come since
}

// JudgedSlot is a slot of a schedule, or a stretch of them, and what becomes of it.
type JudgedSlot struct {
	At      time.Time
	Until   time.Time // zero: it is one slot
	Verdict string
	Runs    bool // a run is to begin, now or when the one before has ended
}

// Enqueue adds jobs in the transaction of what they are about.
type Enqueue func(ctx context.Context, tx pgx.Tx) error

// Schedules tells how far the schedules were judged of the feeds that whoever asks has
// in its configuration. A feed that was not known is known from now on.
func (l *Ledger) Schedules(ctx context.Context, feeds []string, now time.Time) (states map[string]SlotState, err error) {
	const (
		look = `
			SELECT feed, since, last, coalesce(says, ''), coalesce(paused, '0001-01-01 00:00:00Z'),
				EXISTS (SELECT FROM expected_drops WHERE expected_drops.feed = schedules.feed AND ` + awaited + `), seen < clock_timestamp() - interval '1 hour'
			FROM schedules WHERE feed = ANY ($1)`
		know = `INSERT INTO schedules (feed, since, last) SELECT unnest($1::text[]), $2, $2 ON CONFLICT DO NOTHING`
	)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		states = map[string]SlotState{}
		rows, err := tx.Query(ctx, look, feeds)
		if err != nil {
			return err
		}
		var feed string
		var s SlotState
		var long bool
		seen := len(feeds) > 0 // lately, all of them
		_, err = pgx.ForEachRow(rows, []any{&feed, &s.Since, &s.Last, &s.Says, &s.Paused, &s.Awaits, &long}, func() error {
			states[feed] = s
			seen = seen && !long
			return nil
		})
		if err != nil {
			return err
		}
		if !seen {
			if err := see(ctx, tx, feeds); err != nil {
				return err
			}
		}
		if len(states) == len(feeds) {
			return nil
		}
		var fresh []string
		for _, feed := range feeds {
			if _, known := states[feed]; !known {
				fresh = append(fresh, feed)
				states[feed] = SlotState{Since: now, Last: now}
			}
		}
		_, err = tx.Exec(ctx, know, fresh, now)
		return err
	})
	return states, err
}

// see notes that these feeds stand in a configuration. Others, that have stood in none
// for a day, are forgotten: when they come back, they have missed nothing. While nobody
// serves none is forgotten, and what a person has paused stays so.
func see(ctx context.Context, tx pgx.Tx, feeds []string) error {
	const (
		note = `
			UPDATE schedules SET seen = clock_timestamp() WHERE feed IN (
				SELECT feed FROM schedules WHERE feed = ANY ($1) AND seen < clock_timestamp() - interval '1 hour' FOR UPDATE SKIP LOCKED)`
		forget = `
			DELETE FROM schedules WHERE feed IN (
				SELECT feed FROM schedules WHERE NOT coalesce(feed = ANY ($1), false) AND paused IS NULL AND seen < clock_timestamp() - interval '1 day'
				FOR UPDATE SKIP LOCKED)`
	)
	if _, err := tx.Exec(ctx, note, feeds); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, forget, feeds)
	return err
}

// openSlots is a condition on schedule_slots: a run is to begin or to end.
const openSlots = `ended IS NULL AND verdict IN ('run', 'queue', 'asked', 'again')`

// overtake ends the slots of a feed that were to try again what another one now does,
// or a pause forbids.
const overtake = `UPDATE schedule_slots SET ended = now() WHERE feed = $1 AND verdict = 'again' AND run_id IS NULL AND ended IS NULL`

// JudgeSlots records what becomes of a feed's due slots. judge is given how things
// stand while nobody else can judge, and returns the slots and the last of them;
// follows adds what follows of those that are new. All is one transaction.
func (l *Ledger) JudgeSlots(ctx context.Context, feed string, judge func(SlotState) ([]JudgedSlot, time.Time), follows func(context.Context, pgx.Tx, []JudgedSlot) error) error {
	const (
		lock = `SELECT last, coalesce(paused, '0001-01-01 00:00:00Z') FROM schedules WHERE feed = $1 FOR UPDATE`
		open = `
			SELECT count(*) FILTER (WHERE verdict IN ('run', 'asked') OR run_id IS NOT NULL) > 0, count(*) FILTER (WHERE verdict = 'queue' AND run_id IS NULL) > 0
			FROM schedule_slots WHERE feed = $1 AND ` + openSlots
		before = `
			SELECT coalesce((SELECT verdict = 'overlap' FROM schedule_slots
				WHERE feed = $1 AND slot <= $2 AND verdict NOT IN ('asked', 'again') ORDER BY slot DESC LIMIT 1), false)`
		// What a wrong clock passed over is judged again when it comes, see Rewind.
		record = `
			INSERT INTO schedule_slots (feed, slot, until, verdict) VALUES ($1, $2, $3, $4)
			ON CONFLICT (feed, slot) DO UPDATE SET until = excluded.until, verdict = excluded.verdict, judged = excluded.judged
			WHERE schedule_slots.verdict = 'missed' AND excluded.verdict <> 'missed'
				OR schedule_slots.verdict NOT IN ('run', 'queue', 'asked', 'again') AND schedule_slots.slot > schedule_slots.judged`
		move = `UPDATE schedules SET last = $2 WHERE feed = $1`
	)
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		var s SlotState
		if err := tx.QueryRow(ctx, lock, feed).Scan(&s.Last, &s.Paused); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, open, feed).Scan(&s.Running, &s.Queued); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, before, feed, s.Last).Scan(&s.Overlap); err != nil {
			return err
		}
		slots, last := judge(s)
		if len(slots) == 0 && last.Equal(s.Last) { // somebody was faster
			return nil
		}
		var fresh []JudgedSlot
		for _, slot := range slots {
			tag, err := tx.Exec(ctx, record, feed, slot.At, told(slot.Until), slot.Verdict)
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 0 {
				continue
			}
			fresh = append(fresh, slot)
			if slot.Runs {
				if _, err := tx.Exec(ctx, overtake, feed); err != nil {
					return err
				}
			}
		}
		if _, err := tx.Exec(ctx, move, feed, last); err != nil {
			return err
		}
		return follows(ctx, tx, fresh)
	})
}

// Rewind has a feed's slots judged again from now on, although later ones were
// judged: those that were missed, or judged before they came, and have not run.
// What was recorded of them stays until then, since now may be what is wrong.
func (l *Ledger) Rewind(ctx context.Context, feed string, now time.Time) error {
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE schedules SET last = $2 WHERE feed = $1 AND last > $2`, feed, now)
		return err
	})
}

// Reschedule has a feed's slots judged by another schedule, which begins at a moment,
// and returns the last slot that counts as judged. What came before by it was no
// slot of the feed. A schedule that is the same, or the first, takes nothing away.
func (l *Ledger) Reschedule(ctx context.Context, feed, says string, begins time.Time) (last time.Time, err error) {
	const query = `
		UPDATE schedules SET says = $2, last = CASE WHEN says <> $2 THEN greatest(last, $3) ELSE last END
		WHERE feed = $1 RETURNING last`
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, query, feed, says, begins).Scan(&last)
	})
	return last, err
}

// AskRun records that a person wants a run of a feed now, as a slot of its own,
// and returns its moment. Not ok: one that was asked for has not begun yet.
func (l *Ledger) AskRun(ctx context.Context, feed string, enqueue func(context.Context, pgx.Tx, time.Time) error) (at time.Time, ok bool, err error) {
	const (
		lock  = `SELECT pg_advisory_xact_lock(hashtextextended('importer.asked.' || $1, 0))`
		asked = `SELECT slot FROM schedule_slots WHERE feed = $1 AND verdict = 'asked' AND run_id IS NULL AND ended IS NULL`
		ask   = `INSERT INTO schedule_slots (feed, slot, verdict) VALUES ($1, clock_timestamp(), 'asked') RETURNING slot`
	)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lock, feed); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, asked, feed).Scan(&at)
		if ok = errors.Is(err, pgx.ErrNoRows); !ok {
			return err
		}
		if err := tx.QueryRow(ctx, ask, feed).Scan(&at); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, overtake, feed); err != nil {
			return err
		}
		return enqueue(ctx, tx, at)
	})
	return at, ok, err
}

// SlotStanding is how a slot stands for whoever would begin its run.
type SlotStanding int

// How a slot may stand.
const (
	SlotEnded SlotStanding = iota // there is nothing left to do
	SlotBusy                      // somebody carries it, or it waits for another one of its feed
	SlotBegun                     // it is the caller's to carry
)

// BeginSlot begins the run of a slot, or goes on with it when whoever carried it
// has died or left it.
func (l *Ledger) BeginSlot(ctx context.Context, feed string, at time.Time, ttl time.Duration) (begun importer.Begun, standing SlotStanding, err error) {
	const (
		first = `SELECT pg_advisory_xact_lock(hashtextextended('importer.begins.' || $1, 0))` // no two of a feed begin at once
		lock  = `
			SELECT run_id, run_id IS NULL AND (slot > clock_timestamp() AND verdict = 'again' OR EXISTS (
				SELECT FROM schedule_slots WHERE feed = $1 AND (slot < $2 OR run_id IS NOT NULL) AND ` + openSlots + `))
			FROM schedule_slots WHERE feed = $1 AND slot = $2 AND ` + openSlots + ` FOR UPDATE`
		start = `INSERT INTO runs (feed, kind, started, holder, leased_until) VALUES ($1, 'run', clock_timestamp(), nextval('holders'), clock_timestamp() + $2) RETURNING id, holder`
		note  = `UPDATE schedule_slots SET run_id = $3 WHERE feed = $1 AND slot = $2`
		goOn  = `
			UPDATE runs SET holder = nextval('holders'), leased_until = clock_timestamp() + $2, carriers = carriers + 1,
				deaths = deaths + (leased_until IS NOT NULL)::int, finished = NULL, error = ''
			WHERE id = $1 AND (leased_until IS NULL OR leased_until < clock_timestamp()) RETURNING id, holder, deaths`
		recount = `UPDATE run_drops SET counts = NULL WHERE run_id = $1 AND NOT already`
	)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		var run *int64
		var waits bool
		standing = SlotEnded
		if _, err := tx.Exec(ctx, first, feed); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, lock, feed, at).Scan(&run, &waits); err != nil {
			return err
		}
		standing = SlotBusy
		switch {
		case waits:
			return nil
		case run != nil:
			if err := tx.QueryRow(ctx, goOn, *run, ttl).Scan(&begun.Run, &begun.Holder, &begun.Deaths); err != nil {
				return err
			}
			begun.Continued = true
			if _, err := tx.Exec(ctx, recount, *run); err != nil {
				return err
			}
		default:
			if err := tx.QueryRow(ctx, start, feed, ttl).Scan(&begun.Run, &begun.Holder); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, note, feed, at, begun.Run); err != nil {
				return err
			}
		}
		standing = SlotBegun
		return nil
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return begun, standing, nil
	}
	return begun, standing, err
}

// LeftSlots lists the feeds' slots whose runs nobody has carried for a while: they
// were left, their carriers have died, or nobody has begun them.
func (l *Ledger) LeftSlots(ctx context.Context, feeds []string, while time.Duration) (left []Slot, err error) {
	const query = `
		SELECT s.feed, slot FROM schedule_slots s LEFT JOIN runs ON runs.id = run_id
		WHERE s.feed = ANY ($1) AND greatest(judged, slot) < clock_timestamp() - $2::interval AND ` + openSlots + `
			AND (leased_until IS NULL OR leased_until < clock_timestamp())
		ORDER BY slot`
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, feeds, while)
		if err != nil {
			return err
		}
		left, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Slot])
		return err
	})
	return left, err
}

// EndSlot records that a slot's run, which has been finished, has ended, once, and
// adds what follows. Returns importer.ErrLeaseLost when somebody else carries the
// run, or will, since it was not finished.
func (l *Ledger) EndSlot(ctx context.Context, feed string, at time.Time, b importer.Begun, follows func(context.Context, pgx.Tx, Tried) error) error {
	const (
		lock = `
			SELECT ended IS NOT NULL, run_id = $3 AND holder = $4 AND finished IS NOT NULL, coalesce(origin, slot), tries
			FROM schedule_slots JOIN runs ON runs.id = run_id WHERE schedule_slots.feed = $1 AND slot = $2 FOR UPDATE`
		end = `UPDATE schedule_slots SET ended = now() WHERE feed = $1 AND slot = $2`
	)
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		var ended, ours bool
		var tried Tried
		err := tx.QueryRow(ctx, lock, feed, at, b.Run, b.Holder).Scan(&ended, &ours, &tried.Since, &tried.Times)
		switch {
		case err != nil || ended:
			return err
		case !ours:
			return importer.ErrLeaseLost
		}
		if _, err := tx.Exec(ctx, end, feed, at); err != nil {
			return err
		}
		return follows(ctx, tx, tried)
	})
}

// Tried is how often something was tried in vain, and since which slot.
type Tried struct {
	Since time.Time
	Times int
}

// TryAgain has a feed run at a moment, in the transaction in which a slot ends
// whose run has failed. A slot that comes before overtakes it.
func TryAgain(ctx context.Context, tx pgx.Tx, feed string, at time.Time, t Tried) error {
	const query = `INSERT INTO schedule_slots (feed, slot, verdict, origin, tries) VALUES ($1, $2, 'again', $3, $4) ON CONFLICT DO NOTHING`
	_, err := tx.Exec(ctx, query, feed, at, t.Since, t.Times)
	return err
}

// RenewRun prolongs the right to carry a run. Returns importer.ErrLeaseLost when
// holder has it no more, and importer.ErrCancelled when nobody is to carry it.
func (l *Ledger) RenewRun(ctx context.Context, b importer.Begun, ttl time.Duration) error {
	const renew = `UPDATE runs SET leased_until = clock_timestamp() + $3 WHERE id = $1 AND holder = $2 RETURNING cancelled IS NOT NULL`
	var cancelled bool
	err := l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, renew, b.Run, b.Holder, ttl).Scan(&cancelled)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return importer.ErrLeaseLost
	case err == nil && cancelled:
		return importer.ErrCancelled
	default:
		return err
	}
}

// LeaveRun gives up the right to carry a run, so that somebody else may at once,
// and adds what follows. Nothing follows when holder has it no more.
func (l *Ledger) LeaveRun(ctx context.Context, b importer.Begun, follows Enqueue) error {
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE runs SET leased_until = NULL WHERE id = $1 AND holder = $2`, b.Run, b.Holder)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return follows(ctx, tx)
	})
}

// CancelRun has a slot's run stopped by whoever carries it. One that nobody carries
// has ended with that.
func (l *Ledger) CancelRun(ctx context.Context, run int64) error {
	const (
		known  = `SELECT EXISTS (SELECT FROM schedule_slots WHERE run_id = runs.id), EXISTS (SELECT FROM schedule_slots WHERE run_id = runs.id AND ended IS NULL) FROM runs WHERE id = $1`
		cancel = `UPDATE runs SET cancelled = coalesce(cancelled, clock_timestamp()) WHERE id = $1 RETURNING coalesce(leased_until > clock_timestamp(), false)`
		finish = `UPDATE runs SET finished = now(), error = $2 WHERE id = $1`
		end    = `UPDATE schedule_slots SET ended = now() WHERE run_id = $1`
	)
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		var served, open bool
		err := tx.QueryRow(ctx, known, run).Scan(&served, &open)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return ErrNoRun
		case err != nil:
			return err
		case !served:
			return fmt.Errorf("run %d is not one of importer serve's: interrupt the command that carries it", run)
		case !open:
			return fmt.Errorf("run %d has ended already", run)
		}
		var carried bool
		if err := tx.QueryRow(ctx, cancel, run).Scan(&carried); err != nil || carried {
			return err
		}
		if _, err := tx.Exec(ctx, finish, run, importer.ErrCancelled.Error()); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, end, run)
		return err
	})
}

// PauseFeed keeps a feed's schedule from beginning runs, or lets it again.
func (l *Ledger) PauseFeed(ctx context.Context, feed string, paused bool) error {
	const set = `
		INSERT INTO schedules (feed, since, last, paused) VALUES ($1, now(), now(), CASE WHEN $2 THEN now() END)
		ON CONFLICT (feed) DO UPDATE SET paused = CASE WHEN $2 THEN coalesce(schedules.paused, now()) END`
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, set, feed, paused)
		if err == nil && paused {
			_, err = tx.Exec(ctx, overtake, feed)
		}
		return err
	})
}

// mayBring is a condition on a feed f and the hour by which a drop of it is expected:
// a slot was judged within the interval $3, and its run, the first to end since that
// hour, may bring one in.
const mayBring = `EXISTS (SELECT FROM schedule_slots WHERE feed = f.feed AND judged > clock_timestamp() - $3::interval AND ` + openSlots + `)
	AND NOT EXISTS (SELECT FROM schedule_slots WHERE feed = f.feed AND slot > f.by - interval '1 day' AND ended >= f.by)`

// JudgeDay records, once, whether a drop of a feed has come on a day, which begins
// with from, when it must have by now; when none has, it is late, and adds what
// follows. Not judged: a slot was judged no longer ago than patience, and its run,
// the first to end since that hour, may bring the drop in.
func (l *Ledger) JudgeDay(ctx context.Context, feed string, day, from, by time.Time, patience time.Duration, follows Enqueue) (judged, late bool, err error) {
	const (
		known  = `SELECT EXISTS (SELECT FROM expected_drops WHERE feed = $1 AND day = $2)`
		going  = `SELECT ` + mayBring + ` FROM (SELECT $1::text AS feed, $2::timestamptz AS by) f`
		record = `
			INSERT INTO expected_drops (feed, day, by, late)
			SELECT $1, $2, $4, NOT EXISTS (SELECT FROM drops WHERE feed = $1 AND first_seen >= $3)
				AND NOT EXISTS (SELECT FROM files WHERE feed = $1 AND taken >= $3)
			ON CONFLICT DO NOTHING RETURNING late`
	)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		judged, late = true, false
		var before bool
		if err := tx.QueryRow(ctx, known, feed, day).Scan(&before); err != nil || before {
			return err
		}
		var busy bool
		if err := tx.QueryRow(ctx, going, feed, by, patience).Scan(&busy); err != nil || busy {
			judged = false
			return err
		}
		err = tx.QueryRow(ctx, record, feed, day, from, by).Scan(&late)
		if errors.Is(err, pgx.ErrNoRows) { // another replica was faster
			return nil
		}
		if err != nil || !late {
			return err
		}
		return follows(ctx, tx)
	})
	return judged, late, err
}

// awaited is a condition on expected_drops: people were told that no drop had come,
// and not yet that one has.
const awaited = `late AND expected_drops.run_id IS NULL`

// brought is a condition on runs and expected_drops: the run has worked on a drop
// that came since the day's hour.
const brought = `EXISTS (
	SELECT FROM run_drops JOIN drops ON drops.id = drop_id WHERE run_drops.run_id = runs.id AND (first_seen >= by
		OR EXISTS (SELECT FROM file_drops JOIN files ON files.id = file_id WHERE file_drops.drop_id = drops.id AND taken >= by)))`

// BroughtLate records, once, that a run of a feed which has ended brought what was
// late, and returns since when that was awaited; the zero time: the run did not, or
// another has.
func BroughtLate(ctx context.Context, tx pgx.Tx, feed string, run int64) (since time.Time, err error) {
	const query = `
		WITH come AS (
			UPDATE expected_drops SET run_id = $2 FROM runs
			WHERE expected_drops.feed = $1 AND runs.id = $2 AND ` + awaited + ` AND ` + brought + ` RETURNING by)
		SELECT coalesce(min(by), '0001-01-01 00:00:00Z') FROM come`
	err = tx.QueryRow(ctx, query, feed, run).Scan(&since)
	return since, err
}

// FindLate looks for a run that brought what was late of a feed and is nobody's to
// tell of, since a person typed its command, and adds what follows, once. It looks at
// the runs of the week after the latest late day: a vendor may never deliver again, and
// what came before that day was looked for then.
func (l *Ledger) FindLate(ctx context.Context, feed string, follows func(ctx context.Context, tx pgx.Tx, run int64, since time.Time) error) error {
	const query = `
		SELECT runs.id FROM expected_drops JOIN runs USING (feed)
		WHERE feed = $1 AND by = (SELECT max(by) FROM expected_drops WHERE feed = $1 AND ` + awaited + `)
			AND started BETWEEN by - interval '1 day' AND by + interval '1 week' AND finished >= by AND leased_until IS NULL
			AND kind IN ('run', 'import', 'backfill') AND ` + brought + `
			AND NOT EXISTS (SELECT FROM schedule_slots WHERE feed = $1 AND run_id = runs.id AND ` + openSlots + `)
		ORDER BY started LIMIT 1`
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		var run int64
		err := tx.QueryRow(ctx, query, feed).Scan(&run)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		since, err := BroughtLate(ctx, tx, feed, run)
		if err != nil || since.IsZero() {
			return err
		}
		return follows(ctx, tx, run, since)
	})
}

// Within makes a transaction of its own for work.
func (l *Ledger) Within(ctx context.Context, work Enqueue) error {
	return l.tx(ctx, answerWithin, work)
}

// River is the pool that the job engine works on.
func (l *Ledger) River() *pgxpool.Pool { return l.pool }
