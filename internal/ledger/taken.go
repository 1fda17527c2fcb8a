package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
)

// ErrNoDrop is returned for a drop number that the ledger does not know.
var ErrNoDrop = errors.New("the ledger has no such drop, see importer drops")

// DropFilter chooses drops; zero fields choose all.
type DropFilter struct {
	ID    int64
	Feed  string
	State importer.DropState
	Since time.Time // of the moment at which a drop was first seen
	Limit int
}

// ListDrops returns the chosen drops, newest first.
func (l *Ledger) ListDrops(ctx context.Context, f DropFilter) (drops []importer.DropInfo, err error) {
	const query = `
		SELECT ` + dropColumns + ` FROM drops
		WHERE ($1 = 0 OR id = $1) AND ($2 = '' OR feed = $2) AND ($3 = '' OR state = $3) AND first_seen >= $4
		ORDER BY id DESC LIMIT nullif($5, 0)`
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, f.ID, f.Feed, f.State, f.Since, f.Limit)
		if err != nil {
			return err
		}
		drops, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d importer.DropInfo, err error) {
			d.Drop, err = scanDrop(row)
			return d, err
		})
		if err != nil {
			return err
		}
		for i := range drops {
			if drops[i].Counts, err = tally(ctx, tx, drops[i].Drop); err != nil {
				return err
			}
		}
		return takenFrom(ctx, tx, drops)
	})
	if err == nil && f.ID != 0 && len(drops) == 0 {
		return nil, ErrNoDrop
	}
	return drops, err
}

// takenFrom gives drops the files that they came from.
func takenFrom(ctx context.Context, tx pgx.Tx, drops []importer.DropInfo) error {
	const query = `
		SELECT drop_id, id, place, path, taken, coalesce(ended, '0001-01-01 00:00:00Z'), gone
		FROM files JOIN file_drops ON file_id = id WHERE drop_id = ANY ($1) ORDER BY id`
	ids, at := make([]int64, len(drops)), map[int64]*importer.DropInfo{}
	for i := range drops {
		ids[i] = drops[i].Drop.ID
		at[ids[i]] = &drops[i]
	}
	rows, err := tx.Query(ctx, query, ids)
	if err != nil {
		return err
	}
	var drop int64
	var f importer.FileInfo
	_, err = pgx.ForEachRow(rows, []any{&drop, &f.ID, &f.Place, &f.Path, &f.Taken, &f.Ended, &f.Gone}, func() error {
		at[drop].Files = append(at[drop].Files, f)
		return nil
	})
	return err
}
