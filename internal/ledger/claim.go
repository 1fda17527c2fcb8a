package ledger

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
)

// claims tells whether a row claims an identity.
func claims(row importer.NewRow) bool {
	return row.Refusal == nil && row.Claim != importer.ClaimKey{}
}

// claiming takes a batch's keys, or finds out who holds them.
type claiming struct {
	tx      pgx.Tx
	drop    int64
	window  time.Duration
	wanted  map[importer.ClaimKey]int             // the batch's first record with each key
	holders map[importer.ClaimKey]importer.RowRef // of these, those of which it is settled who holds them
	kept    map[int64]bool                        // drops that release no claim before our commit
}

// claimed is a claim as it was found.
type claimed struct {
	importer.RowRef
	at      time.Time
	expired bool // and its row is not under way
}

// claim returns who holds each key of a batch, which are the batch's own rows
// where they could have it. Keys go to PostgreSQL in sorted order: batches that
// take the same keys in different orders would deadlock.
func (l *Ledger) claim(ctx context.Context, tx pgx.Tx, d importer.Drop, batch []importer.NewRow, window time.Duration) (map[importer.ClaimKey]importer.RowRef, error) {
	c := claiming{
		tx: tx, drop: d.ID, window: window,
		wanted: map[importer.ClaimKey]int{}, holders: map[importer.ClaimKey]importer.RowRef{}, kept: map[int64]bool{},
	}
	// A drop's batches mostly rest on the same drops: with these kept from the
	// start, one look is enough.
	if err := c.keep(ctx, l.rested.before(d.ID)); err != nil {
		return nil, err
	}
	defer func() { l.rested.now(d.ID, c.kept) }()
	for _, row := range batch {
		if _, twice := c.wanted[row.Claim]; claims(row) && !twice {
			c.wanted[row.Claim] = row.Record
		}
	}
	// Claims may be taken, released and handed over while we look.
	const looks = 5
	for look := 0; len(c.holders) < len(c.wanted); look++ {
		if look == looks {
			return nil, errors.New("claims are being released as fast as they are taken")
		}
		keys := make([]importer.ClaimKey, 0, len(c.wanted)-len(c.holders))
		for key := range c.wanted {
			if _, ok := c.holders[key]; !ok {
				keys = append(keys, key)
			}
		}
		slices.SortFunc(keys, func(a, b importer.ClaimKey) int { return bytes.Compare(a[:], b[:]) })
		free, err := c.rest(ctx, keys)
		if err != nil {
			return nil, err
		}
		if err := c.take(ctx, free); err != nil {
			return nil, err
		}
	}
	return c.holders, nil
}

// The claims of a drop are kept by those who rest on them and released by the
// drop's holder: one or the other at a time, by PostgreSQL's advisory locks. To
// lock each claim instead would write to each, and to the log. Drops may share
// a lock, so that a batch never needs more of them than there is room for.
const (
	keepClaims = `
		SELECT pg_advisory_xact_lock_shared(hashtext('importer.claims'), l)
		FROM (SELECT DISTINCT (d % 64)::int FROM unnest($1::bigint[]) u (d)) v (l)`
	releaseClaims = `SELECT pg_advisory_xact_lock(hashtext('importer.claims'), ($1::bigint % 64)::int)`
)

func (c *claiming) keep(ctx context.Context, drops []int64) error {
	if len(drops) == 0 {
		return nil
	}
	for _, drop := range drops {
		c.kept[drop] = true
	}
	_, err := c.tx.Exec(ctx, keepClaims, drops)
	return err
}

// rested remembers on which drops the latest batch of a drop rested.
type rested struct {
	mu   sync.Mutex
	drop int64
	on   []int64
}

func (r *rested) before(drop int64) []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.drop != drop {
		return nil
	}
	return r.on
}

func (r *rested) now(drop int64, on map[int64]bool) {
	const most = 16 // more would be guessing
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop, r.on = drop, nil
	if len(on) <= most {
		r.on = slices.Collect(maps.Keys(on))
	}
}

// rest finds out who holds keys, takes over expired claims, and returns the
// keys that nobody holds. The other claims are not released before this batch
// is committed: a released claim goes to its oldest duplicate, which must be
// there to see.
func (c *claiming) rest(ctx context.Context, keys []importer.ClaimKey) (free []importer.ClaimKey, err error) {
	held, err := c.whoHolds(ctx, keys)
	if err != nil {
		return nil, err
	}
	more := map[int64]bool{}
	for _, by := range held {
		if !c.kept[by.Drop] {
			more[by.Drop] = true
		}
	}
	if len(more) > 0 {
		if err := c.keep(ctx, slices.Collect(maps.Keys(more))); err != nil {
			return nil, err
		}
		// Any of them may have been released while we waited.
		found := slices.DeleteFunc(slices.Clone(keys), func(k importer.ClaimKey) bool { _, ok := held[k]; return !ok })
		if held, err = c.whoHolds(ctx, found); err != nil {
			return nil, err
		}
	}
	for _, key := range keys {
		by, ok := held[key]
		switch {
		case !ok:
			free = append(free, key)
		case by.expired:
			if err := c.takeOver(ctx, key, by); err != nil {
				return nil, err
			}
		case c.kept[by.Drop]: // otherwise it was handed over while we waited: look again
			c.holders[key] = by.RowRef
		}
	}
	return free, nil
}

func (c *claiming) whoHolds(ctx context.Context, keys []importer.ClaimKey) (map[importer.ClaimKey]claimed, error) {
	const query = `
		SELECT key, drop_id, record, claimed_at, $2::interval > '0' AND claimed_at < now() - $2::interval
			AND NOT EXISTS (SELECT FROM rows r WHERE r.claim = key AND r.drop_id = claims.drop_id AND r.record = claims.record
				AND r.state IN ('pending', 'armed', 'unknown', 'review')) -- it may yet be sent, or be there
		FROM claims WHERE key = ANY ($1::uuid[])`
	rows, err := c.tx.Query(ctx, query, uuids(keys), c.window)
	if err != nil {
		return nil, err
	}
	held := make(map[importer.ClaimKey]claimed, len(keys))
	var key [16]byte
	var by claimed
	_, err = pgx.ForEachRow(rows, []any{&key, &by.Drop, &by.Record, &by.at, &by.expired}, func() error {
		held[key] = by
		return nil
	})
	return held, err
}

// takeOver takes an expired claim, unless somebody else was faster: then we
// look again.
func (c *claiming) takeOver(ctx context.Context, key importer.ClaimKey, by claimed) error {
	const query = `UPDATE claims SET drop_id = $3, record = $4, claimed_at = now() WHERE key = $1 AND claimed_at = $2`
	tag, err := c.tx.Exec(ctx, query, [16]byte(key), by.at, c.drop, c.wanted[key])
	if err == nil && tag.RowsAffected() == 1 {
		c.holders[key] = importer.RowRef{Drop: c.drop, Record: c.wanted[key]}
	}
	return err
}

// take claims free keys. One that somebody else was faster to claim is left
// out.
func (c *claiming) take(ctx context.Context, keys []importer.ClaimKey) error {
	const query = `
		INSERT INTO claims (key, drop_id, record)
		SELECT k, $2, r FROM unnest($1::uuid[], $3::int[]) AS u (k, r)
		ON CONFLICT (key) DO NOTHING
		RETURNING key`
	if len(keys) == 0 {
		return nil
	}
	records := make([]int, len(keys))
	for i, key := range keys {
		records[i] = c.wanted[key]
	}
	rows, err := c.tx.Query(ctx, query, uuids(keys), c.drop, records)
	if err != nil {
		return err
	}
	var key [16]byte
	_, err = pgx.ForEachRow(rows, []any{&key}, func() error {
		c.holders[key] = importer.RowRef{Drop: c.drop, Record: c.wanted[key]}
		return nil
	})
	return err
}

func uuids(keys []importer.ClaimKey) [][16]byte {
	out := make([][16]byte, len(keys))
	for i, k := range keys {
		out[i] = k
	}
	return out
}

// Claimed implements importer.Claims.
func (l *Ledger) Claimed(ctx context.Context, keys []importer.ClaimKey, window time.Duration) (held map[importer.ClaimKey]importer.RowRef, err error) {
	const query = `
		SELECT key, drop_id, record FROM claims
		WHERE key = ANY ($1::uuid[]) AND ($2::interval = '0' OR claimed_at >= now() - $2::interval)`
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		held = map[importer.ClaimKey]importer.RowRef{}
		rows, err := tx.Query(ctx, query, uuids(keys), window)
		if err != nil {
			return err
		}
		var key [16]byte
		var ref importer.RowRef
		_, err = pgx.ForEachRow(rows, []any{&key, &ref.Drop, &ref.Record}, func() error {
			held[key] = ref
			return nil
		})
		return err
	})
	return held, err
}
