package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
	"importer/internal/lead"
)

// Find lists the rows of all drops, oldest first, whose lead has one of the
// numbers, given by phone code and number. Of rows that became no lead it lists
// those with a cell that consists of one of the numbers or of digits, signs
// between them apart.
func (l *Ledger) Find(ctx context.Context, numbers []lead.Lead, digits string) (found []importer.Found, err error) {
	const (
		query = `
			WITH hit AS (
				SELECT w.month, w.drop_id, w.record, coalesce(w.lead ->> 'list_id', '') AS list
				FROM unnest($1::text[], $2::text[]) AS n (code, number)
				JOIN row_data w ON w.lead ->> 'phone_number' = n.number AND w.lead ->> 'phone_code' = n.code
				UNION ALL
				SELECT w.month, w.drop_id, w.record, '' FROM row_data w
				WHERE w.lead IS NULL AND EXISTS (SELECT FROM unnest(w.cells) AS c WHERE regexp_replace(c, '\D', '', 'g') = ANY ($3))
			)
			SELECT r.drop_id, r.record, r.line, r.state, r.reason, r.note, hit.list, coalesce(r.lead_id, 0), r.attempt, r.run_id,
				coalesce(r.dup_drop, 0), coalesce(r.dup_record, 0),
				array(SELECT a.reason FROM attempts a WHERE a.month = r.month AND a.drop_id = r.drop_id AND a.record = r.record ORDER BY a.attempt),
				(SELECT w.changes FROM row_data w WHERE w.month = r.month AND w.drop_id = r.drop_id AND w.record = r.record)
			FROM hit JOIN rows r USING (month, drop_id, record)
			ORDER BY r.drop_id, r.record`
	)
	var codes, phones []string
	written := []string{digits}
	for _, n := range numbers {
		codes, phones = append(codes, n.PhoneCode), append(phones, n.PhoneNumber)
		written = append(written, n.PhoneNumber, n.PhoneCode+n.PhoneNumber)
	}
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, codes, phones, written)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (f importer.Found, err error) {
			return f, row.Scan(&f.Drop.ID, &f.Record, &f.Line, &f.State, &f.Reason, &f.Note, &f.ListID, &f.LeadID, &f.Attempt, &f.Run,
				&f.HeldBy.Drop, &f.HeldBy.Record, &f.Superseded, &f.Changes)
		})
		if err != nil {
			return err
		}
		var ids []int64
		for _, f := range found {
			ids = append(ids, f.Drop.ID)
		}
		drops, err := dropsByID(ctx, tx, ids)
		for i := range found {
			found[i].Drop = drops[found[i].Drop.ID]
		}
		return err
	})
	return found, err
}
