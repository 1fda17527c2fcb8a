package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
)

// place is where a row stands.
type place struct {
	month  time.Time
	drop   int64
	record int
}

// Find lists the rows of all drops, oldest first, whose lead is the one that is
// sought, and all other rows that are the same lead to their feed. Of rows that
// became no lead it lists those with a cell that consists of one of the numbers
// or of its digits, signs between them apart, or that have the code in its
// column.
func (l *Ledger) Find(ctx context.Context, s importer.Sought) (found []importer.Found, err error) {
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		hits, err := seek(ctx, tx, s)
		if err != nil {
			return err
		}
		found, err = histories(ctx, tx, hits)
		return err
	})
	return found, err
}

// seek finds the rows themselves.
func seek(ctx context.Context, tx pgx.Tx, s importer.Sought) ([]place, error) {
	const (
		byNumber = `
			SELECT w.month, w.drop_id, w.record
			FROM unnest($1::text[], $2::text[]) AS n (code, number)
			JOIN row_data w ON w.lead ->> 'phone_number' = n.number AND w.lead ->> 'phone_code' = n.code
			UNION ALL
			SELECT w.month, w.drop_id, w.record FROM row_data w
			WHERE w.lead IS NULL AND EXISTS (SELECT FROM unnest(w.cells) AS c WHERE regexp_replace(c, '\D', '', 'g') = ANY ($3))`
		byCode = `
			SELECT month, drop_id, record FROM row_data WHERE lead ->> 'vendor_lead_code' = ANY ($1)
			UNION ALL
			SELECT w.month, w.drop_id, w.record FROM row_data w JOIN drops d ON d.id = w.drop_id
			WHERE w.lead IS NULL AND btrim(w.cells[array_position(d.fields, 'vendor_lead_code')]) = ANY ($1)`
	)
	switch {
	case s.LeadID != 0:
		return seekLead(ctx, tx, s.LeadID)
	case len(s.Codes) > 0:
		return places(ctx, tx, byCode, s.Codes)
	}
	var codes, phones []string
	written := []string{s.Digits}
	for _, n := range s.Numbers {
		codes, phones = append(codes, n.PhoneCode), append(phones, n.PhoneNumber)
		written = append(written, n.PhoneNumber, n.PhoneCode+n.PhoneNumber)
	}
	return places(ctx, tx, byNumber, codes, phones, written)
}

// seekLead finds the rows with a dialer's id among those of runs that brought
// such ids in: no index of rows has it.
func seekLead(ctx context.Context, tx pgx.Tx, id int64) (hits []place, err error) {
	const (
		drops = `
			SELECT ` + dropColumns + ` FROM drops
			WHERE id IN (SELECT drop_id FROM run_drops JOIN runs ON runs.id = run_id WHERE $1 BETWEEN first_lead AND last_lead)`
		rows = `SELECT month, drop_id, record FROM rows WHERE month = $1 AND drop_id = ANY ($2) AND lead_id = $3`
	)
	found, err := tx.Query(ctx, drops, id)
	if err != nil {
		return nil, err
	}
	among, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (importer.Drop, error) { return scanDrop(row) })
	if err != nil {
		return nil, err
	}
	var p place
	err = byMonth(ctx, tx, among, rows, []any{&p.month, &p.drop, &p.record}, func() { hits = append(hits, p) }, id)
	return hits, err
}

func places(ctx context.Context, tx pgx.Tx, query string, args ...any) ([]place, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p place, err error) {
		return p, row.Scan(&p.month, &p.drop, &p.record)
	})
}

// histories tells all of rows, and of those that are the same leads.
func histories(ctx context.Context, tx pgx.Tx, hits []place) ([]importer.Found, error) {
	const (
		same = `
			SELECT month, drop_id, record FROM rows WHERE claim = ANY (ARRAY(
				SELECT claim FROM unnest($1::date[], $2::bigint[], $3::int[]) AS h (month, drop_id, record) JOIN rows USING (month, drop_id, record)))`
		all = `
			SELECT r.drop_id, r.record, r.line, r.state, r.reason, r.note, coalesce(w.lead ->> 'list_id', ''), coalesce(r.lead_id, 0), r.attempt, r.run_id,
				coalesce(r.dup_drop, 0), coalesce(r.dup_record, 0),
				coalesce(c.drop_id, 0), coalesce(c.record, 0), coalesce(c.claimed_at, '0001-01-01 00:00:00Z'), NOT h.sought,
				array(SELECT a.reason FROM attempts a WHERE a.month = r.month AND a.drop_id = r.drop_id AND a.record = r.record ORDER BY a.attempt),
				w.changes
			FROM unnest($1::date[], $2::bigint[], $3::int[], $4::bool[]) AS h (month, drop_id, record, sought)
			JOIN rows r USING (month, drop_id, record)
			JOIN row_data w USING (month, drop_id, record)
			LEFT JOIN claims c ON c.key = r.claim
			ORDER BY r.drop_id, r.record`
	)
	var months []time.Time
	var drops []int64
	var records []int
	var sought []bool
	known := map[place]bool{}
	add := func(list []place, found bool) {
		for _, p := range list {
			if !known[p] {
				known[p] = true
				months, drops, records, sought = append(months, p.month), append(drops, p.drop), append(records, p.record), append(sought, found)
			}
		}
	}
	add(hits, true)
	more, err := places(ctx, tx, same, months, drops, records)
	if err != nil {
		return nil, err
	}
	add(more, false)
	rows, err := tx.Query(ctx, all, months, drops, records, sought)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f importer.Found, err error) {
		err = row.Scan(&f.Drop.ID, &f.Record, &f.Line, &f.State, &f.Reason, &f.Note, &f.ListID, &f.LeadID, &f.Attempt, &f.Run,
			&f.HeldBy.Drop, &f.HeldBy.Record, &f.Claim.Drop, &f.Claim.Record, &f.Claim.Since, &f.SameLead, &f.Superseded, &f.Changes)
		if f.Claim.Drop == 0 {
			f.Claim = importer.Holding{}
		}
		return f, err
	})
	if err != nil {
		return nil, err
	}
	whole, err := dropsByID(ctx, tx, drops)
	for i := range found {
		found[i].Drop = whole[found[i].Drop.ID]
	}
	return found, err
}
