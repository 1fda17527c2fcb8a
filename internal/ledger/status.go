package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
)

// Status is how everything stands now, by the ledger.
type Status struct {
	Replicas []Replica // that serve now, the oldest first
	Served   time.Time // until when the last one did; zero: none has for a week
	Going    []Going   // runs that somebody carries now
	Open     []OpenSlot
	Feeds    map[string]FeedStatus // of the feeds that were asked for, and of those with open slots
	// Unfinished counts the drops that are not at their end and on which nobody
	// works.
	Unfinished int
	Held       int // drops that wait for a person
	Review     []Waiting
}

// Replica is a process that serves.
type Replica struct {
	Host    string
	Started time.Time
}

// Going is a run that somebody carries.
type Going struct {
	Run       int64
	Feed      string
	Kind      string
	Started   time.Time
	Rows      int // recorded so far, of the drops that it works or has worked on
	Settled   int // of these, those with an outcome
	Calls     int
	Cancelled bool // a person has told it to stop
}

// OpenSlot is a slot whose run is to begin or to end.
type OpenSlot struct {
	Feed    string
	At      time.Time
	Verdict string    // run, queue, asked or again
	Run     int64     // 0: it has not begun
	Since   time.Time // for again: the slot whose run failed first; else At
}

// Waiting is how many rows of a feed wait for a person.
type Waiting struct {
	Feed  string
	Rows  int
	Drops int
}

// FeedStatus is what a feed has behind it.
type FeedStatus struct {
	Known     bool // how far its schedule was judged is recorded
	SlotState      // but for Running and Queued
	LastRun   *LastRun
	Alarmed   int64     // the last run that had an alarm, of those since LastRun; 0: none
	Succeeded time.Time // when a run that pulled or imported ended without an error; zero: none has
	Missed    int       // slots that were missed, a long stretch counted as one
	Stretch   bool      // there is one among them
	Came      time.Time // when the first drop came since the asked moment; zero: none has
	MayCome   bool      // as JudgeDay does not judge a day yet
	Late      bool      // the asked day was judged to be late
}

// LastRun is the last run that pulled or imported a feed.
type LastRun struct {
	Run       int64
	Kind      string
	Started   time.Time
	Finished  time.Time // zero: it has not ended
	Error     string
	Cancelled bool
	Counts    importer.Counts // as it left its drops
}

// Expected is a feed that is asked for.
type Expected struct {
	Feed string
	Day  time.Time // on which a drop is expected, zero for none
	From time.Time // when that day begins
	By   time.Time // the hour
}

// Status tells how everything stands, of these feeds and of others with open
// slots. Slots are counted as missed since a moment; patience is that of JudgeDay.
// Rows on which nobody works are not looked at: it takes no longer when the ledger
// grows.
func (l *Ledger) Status(ctx context.Context, feeds []Expected, since time.Time, patience time.Duration) (s Status, err error) {
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		s = Status{}
		for _, look := range []func(context.Context, pgx.Tx) error{s.replicas, s.going, s.open, s.waiting} {
			if err := look(ctx, tx); err != nil {
				return err
			}
		}
		return s.feeds(ctx, tx, feeds, since, patience)
	})
	return s, err
}

func (s *Status) replicas(ctx context.Context, tx pgx.Tx) error {
	const (
		live = `SELECT host, started FROM replicas WHERE until > clock_timestamp() ORDER BY id`
		last = `SELECT coalesce(max(until), '0001-01-01 00:00:00Z') FROM replicas WHERE until <= clock_timestamp()`
	)
	rows, err := tx.Query(ctx, live)
	if err != nil {
		return err
	}
	if s.Replicas, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Replica]); err != nil {
		return err
	}
	return tx.QueryRow(ctx, last).Scan(&s.Served)
}

// going finds the runs that are carried: by the lease that serve has of them, or
// by the calls in flight that whoever works on a dialer leases from the beginning.
func (s *Status) going(ctx context.Context, tx pgx.Tx) error {
	const query = `
		WITH going AS (
			SELECT * FROM runs r WHERE finished IS NULL
				AND coalesce(leased_until > clock_timestamp(), EXISTS (SELECT FROM slots WHERE slots.holder = r.holder AND until > clock_timestamp()))
		)
		SELECT id, feed, kind, started, coalesce(rows, 0), coalesce(settled, 0), calls, cancelled IS NOT NULL
		FROM going LEFT JOIN LATERAL (
			SELECT sum(d.recorded) AS rows, sum(CASE WHEN d.state = 'done' THEN d.recorded ELSE (
				SELECT count(*) FROM rows r WHERE r.month = d.month AND r.drop_id = d.id AND r.state NOT IN ('pending', 'armed', 'unknown')) END) AS settled
			FROM run_drops JOIN drops d ON d.id = drop_id WHERE run_id = going.id AND NOT already) counted ON true
		ORDER BY id`
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	s.Going, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Going])
	return err
}

func (s *Status) open(ctx context.Context, tx pgx.Tx) error {
	const query = `SELECT feed, slot, verdict, coalesce(run_id, 0), coalesce(origin, slot) FROM schedule_slots WHERE ` + openSlots + ` ORDER BY feed, slot`
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	s.Open, err = pgx.CollectRows(rows, pgx.RowToStructByPos[OpenSlot])
	return err
}

func (s *Status) waiting(ctx context.Context, tx pgx.Tx) error {
	const (
		drops = `
			SELECT (SELECT count(*) FROM drops WHERE (state = 'importing' OR state = 'spooled' AND EXISTS (SELECT FROM file_drops WHERE drop_id = drops.id))
					AND coalesce(leased_until < clock_timestamp(), true)),
				(SELECT count(*) FROM drops WHERE state = 'held')`
		review = `
			SELECT feed, sum(review), count(*) FROM drops
			WHERE review > 0 AND coalesce(leased_until < clock_timestamp(), true) GROUP BY 1 ORDER BY 1`
	)
	if err := tx.QueryRow(ctx, drops).Scan(&s.Unfinished, &s.Held); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, review)
	if err != nil {
		return err
	}
	s.Review, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Waiting])
	return err
}

// feeds looks at each feed by itself, in the order of its indexes: joined, or in the
// order of the runs' numbers, all that there ever was might be read.
func (s *Status) feeds(ctx context.Context, tx pgx.Tx, feeds []Expected, since time.Time, patience time.Duration) error {
	const query = `
		SELECT f.feed, s.feed IS NOT NULL, coalesce(s.since, '0001-01-01 00:00:00Z'), coalesce(s.last, '0001-01-01 00:00:00Z'), coalesce(s.paused, '0001-01-01 00:00:00Z'),
			r.id, r.kind, r.started, r.finished, r.error, r.cancelled IS NOT NULL,
			coalesce((SELECT id FROM runs WHERE feed = f.feed AND started >= r.started AND alarms <> '{}' ORDER BY started DESC LIMIT 1), 0),
			coalesce(g.finished, '0001-01-01 00:00:00Z'), coalesce(m.missed, 0), coalesce(m.stretch, false),
			coalesce(least(
				(SELECT min(first_seen) FROM drops WHERE feed = f.feed AND first_seen >= f.from),
				(SELECT min(taken) FROM files WHERE feed = f.feed AND taken >= f.from)), '0001-01-01 00:00:00Z'),
			` + mayBring + `,
			EXISTS (SELECT FROM expected_drops e WHERE e.feed = f.feed AND e.day = f.day AND e.late)
		FROM unnest($1::text[], $2::date[], $5::timestamptz[], $6::timestamptz[]) f (feed, day, "from", by)
		LEFT JOIN schedules s ON s.feed = f.feed
		LEFT JOIN LATERAL (
			SELECT * FROM runs WHERE feed = f.feed AND kind IN ('run', 'import') ORDER BY started DESC LIMIT 1) r ON true
		LEFT JOIN LATERAL (
			SELECT finished FROM runs WHERE feed = f.feed AND kind IN ('run', 'import') AND error = '' AND finished IS NOT NULL
			ORDER BY finished DESC LIMIT 1) g ON true
		LEFT JOIN LATERAL (
			SELECT count(*) AS missed, bool_or(until IS NOT NULL) AS stretch FROM schedule_slots
			WHERE feed = f.feed AND verdict = 'missed' AND coalesce(until, slot) >= $4) m ON true`
	// What is looked for stands first in an index, and is not to be sorted out of
	// all, as might seem quick while PostgreSQL takes the tables for small.
	if _, err := tx.Exec(ctx, `SET LOCAL enable_sort = off`); err != nil {
		return err
	}
	names, days, from, by := s.asked(feeds)
	rows, err := tx.Query(ctx, query, names, days, patience, since, from, by)
	if err != nil {
		return err
	}
	s.Feeds = map[string]FeedStatus{}
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (feed string, err error) {
		var st FeedStatus
		var run *int64
		var kind, failure *string
		var started, finished *time.Time
		var cancelled bool
		err = row.Scan(&feed, &st.Known, &st.Since, &st.Last, &st.Paused, &run, &kind, &started, &finished, &failure, &cancelled,
			&st.Alarmed, &st.Succeeded, &st.Missed, &st.Stretch, &st.Came, &st.MayCome, &st.Late)
		if run != nil {
			st.LastRun = &LastRun{Run: *run, Kind: *kind, Started: *started, Error: *failure, Cancelled: cancelled, Counts: importer.Counts{}}
			if finished != nil {
				st.LastRun.Finished = *finished
			}
		}
		s.Feeds[feed] = st
		return feed, err
	})
	if err != nil {
		return err
	}
	return s.counts(ctx, tx)
}

// asked are the feeds to look at, as PostgreSQL takes them.
func (s *Status) asked(feeds []Expected) (names []string, days, from, by []*time.Time) {
	known := map[string]bool{}
	for _, f := range feeds {
		known[f.Feed] = true
		names, days, from, by = append(names, f.Feed), append(days, told(f.Day)), append(from, told(f.From)), append(by, told(f.By))
	}
	for _, o := range s.Open {
		if !known[o.Feed] {
			known[o.Feed] = true
			names, days, from, by = append(names, o.Feed), append(days, nil), append(from, nil), append(by, nil)
		}
	}
	return names, days, from, by
}

// counts adds up what the last runs have left.
func (s *Status) counts(ctx context.Context, tx pgx.Tx) error {
	const query = `SELECT run_id, counts FROM run_drops WHERE run_id = ANY ($1) AND counts IS NOT NULL`
	of := map[int64]importer.Counts{}
	var runs []int64
	for _, st := range s.Feeds {
		if st.LastRun != nil {
			runs = append(runs, st.LastRun.Run)
			of[st.LastRun.Run] = st.LastRun.Counts
		}
	}
	rows, err := tx.Query(ctx, query, runs)
	if err != nil {
		return err
	}
	var run int64
	var text []byte
	_, err = pgx.ForEachRow(rows, []any{&run, &text}, func() error {
		var c counts
		if err := json.Unmarshal(text, &c); err != nil {
			return err
		}
		of[run].Add(c.load())
		return nil
	})
	return err
}
