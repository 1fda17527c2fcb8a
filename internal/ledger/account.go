package ledger

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
)

// Account counts the rows of the drops on which the chosen runs worked, as they
// stand now, each once: by drop, run, state and reason, and (lists) by the list
// of their leads.
func (l *Ledger) Account(ctx context.Context, f RunFilter, lists bool) (a importer.Account, err error) {
	const (
		slim = `
			SELECT drop_id, run_id, '', state, reason, count(*) FROM rows
			WHERE month = $1 AND drop_id = ANY ($2) GROUP BY 1, 2, 4, 5`
		listed = `
			SELECT r.drop_id, r.run_id, coalesce(w.lead ->> 'list_id', ''), r.state, r.reason, count(*)
			FROM rows r JOIN row_data w USING (month, drop_id, record)
			WHERE r.month = $1 AND r.drop_id = ANY ($2) GROUP BY 1, 2, 3, 4, 5`
	)
	query := slim
	if lists {
		query = listed
	}
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		a = importer.Account{Drops: map[int64]importer.Drop{}}
		drops, err := dropsOf(ctx, tx, f)
		if err != nil {
			return err
		}
		for _, d := range drops {
			a.Drops[d.ID] = d
		}
		last := map[int64]bool{}
		var c importer.Counted
		err = byMonth(ctx, tx, drops, query, []any{&c.Drop, &c.Run, &c.ListID, &c.State, &c.Reason, &c.Rows}, func() {
			a.Rows = append(a.Rows, c)
			last[c.Run] = true
		})
		if err != nil {
			return err
		}
		a.Runs, err = workingRuns(ctx, tx, f, slices.Collect(maps.Keys(last)))
		return err
	})
	if err == nil && f.ID != 0 && len(a.Runs) == 0 {
		err = ErrNoRun
	}
	return a, err
}

// Origins counts the duplicates among the rows of the drops on which the chosen
// runs worked by where their leads came from first.
func (l *Ledger) Origins(ctx context.Context, f RunFilter) (origins []importer.Origin, err error) {
	const query = `
		SELECT drop_id, CASE WHEN reason = $3 THEN 0 ELSE coalesce(dup_drop, 0) END, count(*) FROM rows
		WHERE month = $1 AND drop_id = ANY ($2) AND state = 'duplicate' GROUP BY 1, 2`
	type origin struct {
		holder int64
		dialer string
	}
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		drops, err := dropsOf(ctx, tx, f)
		if err != nil {
			return err
		}
		dialer := map[int64]string{}
		for _, d := range drops {
			dialer[d.ID] = d.Dialer
		}
		counted := map[origin]importer.Origin{}
		var drop, holder int64
		var n int
		err = byMonth(ctx, tx, drops, query, []any{&drop, &holder, &n}, func() {
			at := origin{holder, dialer[drop]}
			o := counted[at]
			o.Rows += n
			if drop == holder {
				o.Within = n
			}
			counted[at] = o
		}, string(importer.ReasonDialerDuplicate))
		if err != nil {
			return err
		}
		var holders []int64
		for at := range counted {
			holders = append(holders, at.holder)
		}
		known, err := dropsByID(ctx, tx, holders)
		if err != nil {
			return err
		}
		origins = nil
		for at, o := range counted {
			o.Drop, o.Dialer = known[at.holder], at.dialer
			origins = append(origins, o)
		}
		return nil
	})
	return origins, err
}

// byMonth makes a query about each month's drops, so that it looks into the
// tables of that month alone. Its arguments are the month, the drops, and more.
func byMonth(ctx context.Context, tx pgx.Tx, drops []importer.Drop, query string, into []any, give func(), more ...any) error {
	months := map[time.Time][]int64{}
	for _, d := range drops {
		months[d.Month] = append(months[d.Month], d.ID)
	}
	for _, month := range slices.SortedFunc(maps.Keys(months), time.Time.Compare) {
		rows, err := tx.Query(ctx, query, append([]any{month, months[month]}, more...)...)
		if err != nil {
			return err
		}
		if _, err := pgx.ForEachRow(rows, into, func() error { give(); return nil }); err != nil {
			return err
		}
	}
	return nil
}

// workingRuns are the chosen runs and those with these numbers, newest first,
// without their drops.
func workingRuns(ctx context.Context, tx pgx.Tx, f RunFilter, ids []int64) ([]importer.RunInfo, error) {
	const query = `
		SELECT id, feed, kind, started, coalesce(finished, '0001-01-01 00:00:00Z'), calls, seconds FROM runs
		WHERE ` + chosen + ` OR id = ANY ($5)
		ORDER BY id DESC`
	rows, err := tx.Query(ctx, query, append(f.args(), ids)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r importer.RunInfo, err error) {
		return r, row.Scan(&r.ID, &r.Feed, &r.Kind, &r.Started, &r.Finished, &r.Calls, &r.Seconds)
	})
}

func dropsByID(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]importer.Drop, error) {
	rows, err := tx.Query(ctx, `SELECT `+dropColumns+` FROM drops WHERE id = ANY ($1)`, ids)
	if err != nil {
		return nil, err
	}
	drops := map[int64]importer.Drop{}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (importer.Drop, error) { return scanDrop(row) })
	for _, d := range found {
		drops[d.ID] = d
	}
	return drops, err
}
