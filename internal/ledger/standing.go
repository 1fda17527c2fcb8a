package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standing is what a feed has behind it.
type Standing struct {
	Succeeded time.Time      // when a run that pulled or imported last ended without an error; zero: none has
	Slots     map[string]int // its schedule's slots by their verdicts, those of a stretch counted as one
	Judged    time.Time      // up to where they are counted
}

// Standings tells how feeds stand. Of each feed only the slots behind the given
// moment are counted, so that whoever asks often need not have all of them counted
// anew: what was judged later is behind what was judged before, unless the clock was
// wrong, see Rewind.
func (l *Ledger) Standings(ctx context.Context, counted map[string]time.Time) (standings map[string]Standing, err error) {
	// Each feed's last run, and its latest slots, are looked for by themselves:
	// joined, all that there ever were would be read.
	const (
		runs = `
			SELECT f.feed, r.finished FROM unnest($1::text[]) f (feed), LATERAL (
				SELECT finished FROM runs
				WHERE feed = f.feed AND error = '' AND kind IN ('run', 'import') AND finished IS NOT NULL
				ORDER BY finished DESC LIMIT 1) r`
		slots = `
			SELECT f.feed, s.last, coalesce(v.verdict, ''), coalesce(v.slots, 0)
			FROM unnest($1::text[], $2::timestamptz[]) f (feed, counted) JOIN schedules s USING (feed) LEFT JOIN LATERAL (
				SELECT verdict, count(*) AS slots FROM schedule_slots
				WHERE feed = f.feed AND slot > f.counted AND slot <= s.last AND verdict <> 'asked' GROUP BY verdict) v ON true`
	)
	feeds, after := make([]string, 0, len(counted)), make([]time.Time, 0, len(counted))
	for feed, last := range counted {
		feeds, after = append(feeds, feed), append(after, last)
	}
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		standings = make(map[string]Standing, len(counted))
		for feed, last := range counted {
			standings[feed] = Standing{Slots: map[string]int{}, Judged: last}
		}
		rows, err := tx.Query(ctx, runs, feeds)
		if err != nil {
			return err
		}
		var feed, verdict string
		var at time.Time
		_, err = pgx.ForEachRow(rows, []any{&feed, &at}, func() error {
			s := standings[feed]
			s.Succeeded = at
			standings[feed] = s
			return nil
		})
		if err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, slots, feeds, after); err != nil {
			return err
		}
		var n int
		_, err = pgx.ForEachRow(rows, []any{&feed, &at, &verdict, &n}, func() error {
			s := standings[feed]
			s.Judged = at
			if n > 0 {
				s.Slots[verdict] = n
			}
			standings[feed] = s
			return nil
		})
		return err
	})
	return standings, err
}
