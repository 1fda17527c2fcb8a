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
	Yields bool      // it makes way for those who do not
	Count  int       // how many it keeps others from using
	Until  time.Time // its lease's end
}

// rank is who of two that want as much has what cannot be divided.
func (b Block) rank() int {
	if b.Yields {
		return 0
	}
	return 1
}

// LeaseSlots implements importer.Slots.
func (l *Ledger) LeaseSlots(ctx context.Context, dialer string, holder int64, want importer.SlotWant, ttl time.Duration) (g importer.SlotGrant, err error) {
	const (
		expire = `DELETE FROM slots WHERE dialer = $1 AND (until < clock_timestamp() OR holder = $2 AND $3 = 0)`
		read   = `SELECT holder, want, most, yields, count, until FROM slots WHERE dialer = $1 AND holder <> $2`
		write  = `
			INSERT INTO slots (dialer, holder, want, most, yields, count, until) VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7)
			ON CONFLICT (dialer, holder) DO UPDATE
			SET want = excluded.want, most = excluded.most, yields = excluded.yields, count = excluded.count, until = excluded.until`
	)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		g = importer.SlotGrant{}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('importer.slots.' || $1, 0))`, dialer); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, expire, dialer, holder, want.Calls); err != nil || want.Calls == 0 {
			return err
		}
		rows, err := tx.Query(ctx, read, dialer, holder)
		if err != nil {
			return err
		}
		others, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b Block, err error) {
			return b, row.Scan(&b.Holder, &b.Want, &b.Most, &b.Yields, &b.Count, &b.Until)
		})
		if err != nil {
			return err
		}
		g = Share(Block{Holder: holder, Want: want.Calls, Most: want.Limit, Yields: want.Yields}, others)
		_, err = tx.Exec(ctx, write, dialer, holder, want.Calls, want.Limit, want.Yields, max(g.Count, want.InUse), ttl)
		return err
	})
	return g, err
}

// Share is what a holder may have: its fair part of the lowest limit, as far
// as the others have left it free. A holder that has more in use lets it run
// out, and keeps others from using it meanwhile. Those who yield want one call
// each while there is somebody who does not.
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
	if slices.ContainsFunc(all, func(b Block) bool { return !b.Yields }) {
		for i := range all {
			if all[i].Yields {
				all[i].Want = min(all[i].Want, 1)
			}
		}
	}
	// Who wants little gets it, who wants much shares the rest evenly; what
	// cannot be divided goes to those who do not yield, of them to those who have
	// been there longest.
	slices.SortFunc(all, func(a, b Block) int {
		return cmp.Or(cmp.Compare(a.Want, b.Want), cmp.Compare(a.rank(), b.rank()), cmp.Compare(b.Holder, a.Holder))
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
