package ledger

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
)

// block is one holder's share of a dialer's calls in flight.
type block struct {
	holder            int64
	want, most, count int
	until             time.Time
}

// LeaseSlots implements importer.Slots.
func (l *Ledger) LeaseSlots(ctx context.Context, dialer string, holder int64, want, inUse, limit int, ttl time.Duration) (g importer.SlotGrant, err error) {
	const (
		expire = `DELETE FROM slots WHERE dialer = $1 AND (until < clock_timestamp() OR holder = $2 AND $3 = 0)`
		read   = `SELECT holder, want, most, count, until FROM slots WHERE dialer = $1 AND holder <> $2`
		write  = `
			INSERT INTO slots (dialer, holder, want, most, count, until) VALUES ($1, $2, $3, $4, $5, clock_timestamp() + $6)
			ON CONFLICT (dialer, holder) DO UPDATE
			SET want = excluded.want, most = excluded.most, count = excluded.count, until = excluded.until`
	)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		g = importer.SlotGrant{}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('importer.slots.' || $1, 0))`, dialer); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, expire, dialer, holder, want); err != nil || want == 0 {
			return err
		}
		rows, err := tx.Query(ctx, read, dialer, holder)
		if err != nil {
			return err
		}
		others, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b block, err error) {
			return b, row.Scan(&b.holder, &b.want, &b.most, &b.count, &b.until)
		})
		if err != nil {
			return err
		}
		g.Count = share(block{holder: holder, want: want, most: limit}, inUse, others)
		if g.Count == 0 {
			for _, o := range others {
				if o.until.After(g.Until) {
					g.Until = o.until
				}
			}
		}
		_, err = tx.Exec(ctx, write, dialer, holder, want, limit, g.Count, ttl)
		return err
	})
	return g, err
}

// share is what a holder may have: its fair part of the lowest limit, as far
// as the others have left it free, and never less than what it has in use.
func share(mine block, inUse int, others []block) int {
	limit, taken := mine.most, 0
	all := append([]block{mine}, others...)
	for _, o := range others {
		limit = min(limit, o.most)
		taken += o.count
	}
	// Who wants little gets it, who wants much shares the rest evenly; what
	// cannot be divided goes to those who have been there longest.
	slices.SortFunc(all, func(a, b block) int {
		return cmp.Or(cmp.Compare(a.want, b.want), cmp.Compare(b.holder, a.holder))
	})
	left := limit
	for i, b := range all {
		part := min(b.want, left/(len(all)-i))
		if b.holder == mine.holder {
			return max(inUse, min(part, limit-taken))
		}
		left -= part
	}
	return inUse
}
