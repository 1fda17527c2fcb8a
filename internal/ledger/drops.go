package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/crashpoint"
	"importer/internal/importer"
)

const dropColumns = `id, month, feed, dialer, name, sha256, bytes, header, fields, state, settings, recorded, complete, outside, first_seen, finished, why`

func scanDrop(row pgx.Row) (importer.Drop, error) {
	var d importer.Drop
	var sha []byte
	var finished *time.Time
	err := row.Scan(&d.ID, &d.Month, &d.Feed, &d.Dialer, &d.Name, &sha, &d.Bytes, &d.Header, &d.Fields, &d.State, &d.Settings,
		&d.Recorded, &d.Complete, &d.Outside, &d.FirstSeen, &finished, &d.Why)
	copy(d.SHA256[:], sha)
	if finished != nil {
		d.Finished = *finished
	}
	return d, err
}

// OpenDrop implements importer.Drops.
func (l *Ledger) OpenDrop(ctx context.Context, d importer.Drop) (opened importer.Drop, err error) {
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) (err error) {
		opened, err = openDrop(ctx, tx, d)
		return err
	})
	crashpoint.Reach(crashpoint.DropOpened)
	return opened, err
}

func openDrop(ctx context.Context, tx pgx.Tx, d importer.Drop) (importer.Drop, error) {
	const (
		find   = `SELECT ` + dropColumns + ` FROM drops WHERE feed = $1 AND sha256 = $2`
		insert = `
			INSERT INTO drops (month, feed, dialer, name, sha256, bytes, settings)
			VALUES (date_trunc('month', now() AT TIME ZONE 'UTC'), $1, $2, $3, $4, $5, $6)
			ON CONFLICT (feed, sha256) DO NOTHING`
	)
	known, err := scanDrop(tx.QueryRow(ctx, find, d.Feed, d.SHA256[:]))
	if !errors.Is(err, pgx.ErrNoRows) {
		return known, err
	}
	if err := makePartitions(ctx, tx); err != nil {
		return d, err
	}
	if _, err := tx.Exec(ctx, insert, d.Feed, d.Dialer, storable(d.Name), d.SHA256[:], d.Bytes, d.Settings); err != nil {
		return d, err
	}
	return scanDrop(tx.QueryRow(ctx, find, d.Feed, d.SHA256[:]))
}

// LeaseDrop implements importer.Drops.
func (l *Ledger) LeaseDrop(ctx context.Context, id, holder int64, ttl time.Duration) (d importer.Drop, err error) {
	const take = `
		UPDATE drops SET holder = $2, leased_until = clock_timestamp() + $3
		WHERE id = $1 AND (holder IS NULL OR holder = $2 OR leased_until < clock_timestamp())
		RETURNING ` + dropColumns
	var leased importer.LeasedError
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		leased = importer.LeasedError{}
		d, err = scanDrop(tx.QueryRow(ctx, take, id, holder, ttl))
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return tx.QueryRow(ctx, `SELECT coalesce(leased_until, now()) FROM drops WHERE id = $1`, id).Scan(&leased.Until)
	})
	if err == nil && !leased.Until.IsZero() {
		return d, &leased
	}
	crashpoint.Reach(crashpoint.DropLeased)
	return d, err
}

// RenewDrop implements importer.Drops.
func (l *Ledger) RenewDrop(ctx context.Context, id, holder int64, ttl time.Duration) error {
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE drops SET leased_until = clock_timestamp() + $3 WHERE id = $1 AND holder = $2`, id, holder, ttl)
		if err == nil && tag.RowsAffected() == 0 {
			return importer.ErrLeaseLost
		}
		return err
	})
}

// CloseDrop implements importer.Drops.
func (l *Ledger) CloseDrop(ctx context.Context, id, holder int64, to importer.DropState, why string) (importer.DropState, error) {
	const stand = `
		SELECT count(*) FILTER (WHERE state IN ('pending', 'armed', 'unknown')) > 0, count(*) FILTER (WHERE state = 'review')
		FROM rows WHERE month = $1 AND drop_id = $2`
	err := l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		// The lock makes whoever reopens the drop, because a row of it inherits
		// a claim, come before or after us.
		d, err := scanDrop(tx.QueryRow(ctx, `SELECT `+dropColumns+` FROM drops WHERE id = $1 AND holder = $2 FOR UPDATE`, id, holder))
		if errors.Is(err, pgx.ErrNoRows) {
			// Closed before, by a commit whose answer was lost, or taken over.
			return tx.QueryRow(ctx, `SELECT state FROM drops WHERE id = $1`, id).Scan(&to)
		}
		if err != nil {
			return err
		}
		var open bool
		var review int
		if err := tx.QueryRow(ctx, stand, d.Month, id).Scan(&open, &review); err != nil {
			return err
		}
		if to == importer.DropDone && (open || !d.Complete) || to == importer.DropFailed && open {
			to = importer.DropImporting
		}
		if d.Recorded == 0 && !d.Complete && to == importer.DropImporting {
			to = importer.DropSpooled
		}
		_, err = tx.Exec(ctx, `
			UPDATE drops SET state = $2, why = $3, review = $4, holder = NULL, leased_until = NULL,
				finished = CASE WHEN $2 = 'done' THEN coalesce(finished, now()) END
			WHERE id = $1`, id, to, storable(why), review)
		crashpoint.Reach(crashpoint.CloseWritten)
		return err
	})
	crashpoint.Reach(crashpoint.Closed)
	return to, err
}

// ForgetRows implements importer.Drops.
func (l *Ledger) ForgetRows(ctx context.Context, d importer.Drop, holder int64, settings string) (bool, error) {
	const (
		// Nobody may rest on these claims, or inherit one, while we look. Locked
		// before the drop, as by those who hand a claim over.
		lock = `
			SELECT c.key FROM claims c JOIN rows r ON r.claim = c.key
			WHERE r.month = $1 AND r.drop_id = $2 ORDER BY c.key FOR UPDATE OF c`
		restedOn = `
			SELECT EXISTS (
				SELECT FROM rows mine
				JOIN claims c ON c.key = mine.claim AND c.drop_id = mine.drop_id AND c.record = mine.record
				JOIN rows other ON other.claim = mine.claim AND other.drop_id <> mine.drop_id AND other.state = 'duplicate'
				WHERE mine.month = $1 AND mine.drop_id = $2)`
		unclaim = `DELETE FROM claims c USING rows r WHERE r.month = $1 AND r.drop_id = $2 AND c.key = r.claim AND c.drop_id = r.drop_id AND c.record = r.record`
		forget  = `
			DELETE FROM rows WHERE month = $1 AND drop_id = $2 AND lost = 0
				AND (state IN ('pending', 'invalid') OR state = 'duplicate' AND reason = 'already_loaded')`
	)
	errReached := errors.New("a row has reached the dialer")
	err := l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, releaseClaims, d.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, lock, d.Month, d.ID); err != nil {
			return err
		}
		var recorded int64
		err := tx.QueryRow(ctx, `SELECT recorded FROM drops WHERE id = $1 AND holder = $2 FOR UPDATE`, d.ID, holder).Scan(&recorded)
		if errors.Is(err, pgx.ErrNoRows) {
			return importer.ErrLeaseLost
		}
		if err != nil {
			return err
		}
		var rested bool
		if err := tx.QueryRow(ctx, restedOn, d.Month, d.ID).Scan(&rested); err != nil {
			return err
		}
		if rested {
			return errReached
		}
		if _, err := tx.Exec(ctx, unclaim, d.Month, d.ID); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, forget, d.Month, d.ID)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != recorded { // the others have reached the dialer
			return errReached
		}
		for _, table := range []string{"row_data", "attempts"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE month = $1 AND drop_id = $2`, d.Month, d.ID); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `UPDATE drops SET state = 'spooled', finished = NULL, recorded = 0, complete = false, settings = $2 WHERE id = $1`, d.ID, settings)
		crashpoint.Reach(crashpoint.RowsForgotten)
		return err
	})
	if errors.Is(err, errReached) {
		return false, nil
	}
	return err == nil, err
}

// KnownDrop returns a feed's drop by its hash, the zero Drop when there is none.
func (l *Ledger) KnownDrop(ctx context.Context, feed string, hash [sha256.Size]byte) (d importer.Drop, err error) {
	const find = `SELECT ` + dropColumns + ` FROM drops WHERE feed = $1 AND sha256 = $2`
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		d, err = scanDrop(tx.QueryRow(ctx, find, feed, hash[:]))
		if errors.Is(err, pgx.ErrNoRows) {
			d, err = importer.Drop{}, nil
		}
		return err
	})
	return d, err
}

// LastDone implements importer.Drops.
func (l *Ledger) LastDone(ctx context.Context, feed string, header []string) (last importer.Drop, err error) {
	const query = `
		SELECT ` + dropColumns + ` FROM drops
		WHERE feed = $1 AND state = 'done' AND recorded > 0 AND NOT 'import_reason' = ANY (header)
		ORDER BY header = $2 DESC, finished DESC, id DESC LIMIT 1`
	if header == nil {
		header = []string{} // NULL equals nothing
	}
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		last, err = scanDrop(tx.QueryRow(ctx, query, feed, header))
		if errors.Is(err, pgx.ErrNoRows) {
			last, err = importer.Drop{}, nil
		}
		return err
	})
	return last, err
}

// Unfinished implements importer.Drops.
func (l *Ledger) Unfinished(ctx context.Context, feed string) (drops []importer.Drop, err error) {
	const query = `
		SELECT ` + dropColumns + ` FROM drops
		WHERE (state = 'importing' OR state = 'spooled' AND EXISTS (SELECT FROM file_drops WHERE drop_id = drops.id))
			AND ($1 = '' OR feed = $1)
		ORDER BY id`
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, feed)
		if err != nil {
			return err
		}
		drops, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (importer.Drop, error) { return scanDrop(row) })
		return err
	})
	return drops, err
}
