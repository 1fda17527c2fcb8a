package storm_test

import (
	"context"
	"time"

	"importer/internal/importer"
)

var _ importer.Ledger = (*process)(nil)

type none = struct{}

func (p *process) StartRun(ctx context.Context, feed, kind string) (run, holder int64, err error) {
	ids, err := book(p, "start run", func() (ids [2]int64, err error) {
		ids[0], ids[1], err = p.ledger.StartRun(ctx, feed, kind)
		return ids, err
	})
	return ids[0], ids[1], err
}

func (p *process) JoinDrop(ctx context.Context, run int64, d importer.Drop, already bool) error {
	_, err := book(p, "join drop", func() (none, error) { return none{}, p.ledger.JoinDrop(ctx, run, d, already) })
	return err
}

func (p *process) FinishRun(ctx context.Context, run, holder int64, s importer.Summary, cause error) error {
	_, err := book(p, "finish run", func() (none, error) { return none{}, p.ledger.FinishRun(ctx, run, holder, s, cause) })
	return err
}

func (p *process) OpenDrop(ctx context.Context, d importer.Drop) (importer.Drop, error) {
	return book(p, "open drop", func() (importer.Drop, error) { return p.ledger.OpenDrop(ctx, d) })
}

func (p *process) LeaseDrop(ctx context.Context, id, holder int64, ttl time.Duration) (importer.Drop, error) {
	return book(p, "lease drop", func() (importer.Drop, error) { return p.ledger.LeaseDrop(ctx, id, holder, ttl) })
}

func (p *process) RenewDrop(ctx context.Context, id, holder int64, ttl time.Duration) error {
	_, err := book(p, "renew drop", func() (none, error) { return none{}, p.ledger.RenewDrop(ctx, id, holder, ttl) })
	return err
}

func (p *process) CloseDrop(ctx context.Context, id, holder int64, to importer.DropState, why string) (importer.DropState, error) {
	return book(p, "close drop", func() (importer.DropState, error) { return p.ledger.CloseDrop(ctx, id, holder, to, why) })
}

func (p *process) ForgetRows(ctx context.Context, d importer.Drop, holder int64, settings string) (bool, error) {
	return book(p, "forget rows", func() (bool, error) { return p.ledger.ForgetRows(ctx, d, holder, settings) })
}

func (p *process) LastDone(ctx context.Context, feed string, header []string) (importer.Drop, error) {
	return book(p, "last done", func() (importer.Drop, error) { return p.ledger.LastDone(ctx, feed, header) })
}

func (p *process) Taken(ctx context.Context, feed, place string, files []importer.File) (map[importer.File]time.Time, error) {
	return book(p, "taken", func() (map[importer.File]time.Time, error) { return p.ledger.Taken(ctx, feed, place, files) })
}

func (p *process) Imported(ctx context.Context, feed, place, settings string, files []importer.File) (map[importer.File]time.Time, error) {
	return book(p, "imported", func() (map[importer.File]time.Time, error) {
		return p.ledger.Imported(ctx, feed, place, settings, files)
	})
}

func (p *process) TakeFile(ctx context.Context, feed, place string, f importer.File, drops []importer.Drop) (int64, error) {
	return book(p, "take file", func() (int64, error) { return p.ledger.TakeFile(ctx, feed, place, f, drops) })
}

func (p *process) LoseFiles(ctx context.Context, feed, place string, drops []int64) error {
	_, err := book(p, "lose files", func() (none, error) { return none{}, p.ledger.LoseFiles(ctx, feed, place, drops) })
	return err
}

func (p *process) PutAway(ctx context.Context, feed, place string, within time.Duration, limit int) ([]importer.TakenFile, error) {
	return book(p, "put away", func() ([]importer.TakenFile, error) { return p.ledger.PutAway(ctx, feed, place, within, limit) })
}

func (p *process) Ended(ctx context.Context, feed, place string) ([]importer.TakenFile, error) {
	return book(p, "ended", func() ([]importer.TakenFile, error) { return p.ledger.Ended(ctx, feed, place) })
}

func (p *process) EndFile(ctx context.Context, id int64, away importer.Away) error {
	_, err := book(p, "end file", func() (struct{}, error) { return struct{}{}, p.ledger.EndFile(ctx, id, away) })
	return err
}

func (p *process) Unfinished(ctx context.Context, feed string) ([]importer.Drop, error) {
	return book(p, "unfinished", func() ([]importer.Drop, error) { return p.ledger.Unfinished(ctx, feed) })
}

func (p *process) Record(ctx context.Context, d importer.Drop, run, holder int64, first int, rows []importer.NewRow, last bool, window time.Duration) ([]importer.Recorded, error) {
	return book(p, "record", func() ([]importer.Recorded, error) {
		return p.ledger.Record(ctx, d, run, holder, first, rows, last, window)
	})
}

func (p *process) Claimed(ctx context.Context, keys []importer.ClaimKey, window time.Duration) (map[importer.ClaimKey]importer.RowRef, error) {
	return book(p, "claimed", func() (map[importer.ClaimKey]importer.RowRef, error) { return p.ledger.Claimed(ctx, keys, window) })
}

func (p *process) Open(ctx context.Context, d importer.Drop, after, limit int) ([]importer.Item, error) {
	return book(p, "open", func() ([]importer.Item, error) { return p.ledger.Open(ctx, d, after, limit) })
}

func (p *process) Arm(ctx context.Context, d importer.Drop, run, holder int64, items []importer.Item, sendWithin, timeout time.Duration) ([]int, error) {
	return book(p, "arm", func() ([]int, error) { return p.ledger.Arm(ctx, d, run, holder, items, sendWithin, timeout) })
}

func (p *process) Settle(ctx context.Context, d importer.Drop, run, holder int64, calls int, s []importer.Settlement) ([]int, error) {
	return book(p, "settle", func() ([]int, error) {
		missed, err := p.ledger.Settle(ctx, d, run, holder, calls, s)
		for _, s := range s {
			p.w.tell("%s settles row %d of drop %d: %s to %s, missed %v", p.name, s.Record, d.ID, s.From, s.To, missed)
		}
		return missed, err
	})
}

func (p *process) Retry(ctx context.Context, d importer.Drop, holder int64, which importer.Retried, after, limit int, window time.Duration) (int, error) {
	return book(p, "retry", func() (int, error) { return p.ledger.Retry(ctx, d, holder, which, after, limit, window) })
}

func (p *process) Ours(ctx context.Context, dialer, list string, limit int) ([]importer.OwnLead, error) {
	return book(p, "ours", func() ([]importer.OwnLead, error) { return p.ledger.Ours(ctx, dialer, list, limit) })
}

func (p *process) Doubtful(ctx context.Context, d importer.Drop, after, limit int) ([]importer.OwnLead, error) {
	return book(p, "doubtful", func() ([]importer.OwnLead, error) { return p.ledger.Doubtful(ctx, d, after, limit) })
}

func (p *process) NoteRow(ctx context.Context, d importer.Drop, record int, note string) error {
	_, err := book(p, "note row", func() (none, error) { return none{}, p.ledger.NoteRow(ctx, d, record, note) })
	return err
}

func (p *process) Tally(ctx context.Context, d importer.Drop) (importer.Counts, error) {
	return book(p, "tally", func() (importer.Counts, error) { return p.ledger.Tally(ctx, d) })
}

func (p *process) LeaseSlots(ctx context.Context, dialer string, holder int64, want importer.SlotWant, ttl time.Duration) (importer.SlotGrant, error) {
	return book(p, "lease slots", func() (importer.SlotGrant, error) {
		return p.ledger.LeaseSlots(ctx, dialer, holder, want, ttl)
	})
}
