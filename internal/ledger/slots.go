package ledger

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
)

// Block is one holder's share of a dialer's calls in flight.
type Block struct {
	Holder int64
	Want   int       // how many it would use
	Most   int       // its own configured limit for the dialer
	Count  int       // how many it keeps others from using
	Until  time.Time // its lease's end
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
		others, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b Block, err error) {
			return b, row.Scan(&b.Holder, &b.Want, &b.Most, &b.Count, &b.Until)
		})
		if err != nil {
			return err
		}
		g = Share(Block{Holder: holder, Want: want, Most: limit}, others)
		_, err = tx.Exec(ctx, write, dialer, holder, want, limit, max(g.Count, inUse), ttl)
		return err
	})
	return g, err
}

// Share is what a holder may have: its fair part of the lowest limit, as far
// as the others have left it free. A holder that has more in use lets it run
// out, and keeps others from using it meanwhile.
func Share(mine Block, others []Block) (g importer.SlotGrant) {
	limit, taken := mine.Most, 0
	all := append([]Block{mine}, others...)
	for _, o := range others {
		limit = min(limit, o.Most)
		taken += o.Count
		if o.Until.After(g.Until) {
			g.Until = o.Until
		}
	}
	// Who wants little gets it, who wants much shares the rest evenly; what
	// cannot be divided goes to those who have been there longest.
	slices.SortFunc(all, func(a, b Block) int {
		return cmp.Or(cmp.Compare(a.Want, b.Want), cmp.Compare(b.Holder, a.Holder))
	})
	left := limit
	for i, b := range all {
		part := min(b.Want, left/(len(all)-i))
		if b.Holder == mine.Holder {
			g.Count = max(0, min(part, limit-taken))
			break
		}
		left -= part
	}
	if g.Count > 0 {
		g.Until = time.Time{}
	}
	return g
}
