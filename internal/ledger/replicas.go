package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Live tells that a process which serves lives, and for how long it is to be
// believed (0: it ends now), and returns the number by which the ledger knows it.
// Number 0 is one that has not told before. Those that ended a week ago are
// forgotten.
func (l *Ledger) Live(ctx context.Context, replica int64, host string, ttl time.Duration) (known int64, err error) {
	const (
		renew  = `UPDATE replicas SET until = clock_timestamp() + $2 WHERE id = $1`
		forget = `DELETE FROM replicas WHERE until < clock_timestamp() - interval '7 days'`
		tell   = `INSERT INTO replicas (host, until) VALUES ($1, clock_timestamp() + $2) RETURNING id`
	)
	// It is told again soon: nobody need wait for the disk.
	err = l.txWith(ctx, answerWithin, `SET LOCAL synchronous_commit = off`, func(ctx context.Context, tx pgx.Tx) error {
		known = replica
		tag, err := tx.Exec(ctx, renew, replica, ttl)
		if err != nil || tag.RowsAffected() > 0 {
			return err
		}
		if _, err := tx.Exec(ctx, forget); err != nil {
			return err
		}
		return tx.QueryRow(ctx, tell, storable(host), ttl).Scan(&known)
	})
	return known, err
}
