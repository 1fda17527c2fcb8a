package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"importer/internal/importer"
)

// Taken implements importer.Files.
func (l *Ledger) Taken(ctx context.Context, feed, place string, files []importer.File) (taken map[importer.File]time.Time, err error) {
	const query = `
		SELECT n, taken FROM files
		JOIN unnest($3::text[], $4::bigint[], $5::timestamptz[], $6::text[]) WITH ORDINALITY AS listed (path, size, modified, version, n)
			ON files.path = listed.path AND files.size = listed.size AND files.version = listed.version
				AND files.modified IS NOT DISTINCT FROM listed.modified
		WHERE feed = $1 AND place = $2 AND NOT gone AND (files.modified IS NOT NULL OR files.version <> '')`
	paths, sizes, modified, versions := fileColumns(files)
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, feed, place, paths, sizes, modified, versions)
		if err != nil {
			return err
		}
		taken, err = timesOf(rows, files)
		return err
	})
	return taken, err
}

// Imported implements importer.Files.
func (l *Ledger) Imported(ctx context.Context, feed, place, settings string, files []importer.File) (imported map[importer.File]time.Time, err error) {
	const query = `
		SELECT n, max(taken)
		FROM unnest($4::text[], $5::bigint[], $6::timestamptz[], $7::text[]) WITH ORDINALITY AS listed (path, size, modified, version, n)
		JOIN (
			SELECT id, path, size, modified, version, taken FROM files WHERE feed = $1 AND place = $2 AND NOT gone
			UNION ALL
			SELECT id, put_as, size, modified, version, taken FROM files WHERE feed = $1 AND place = $2 AND put_as <> ''
		) known ON known.path = listed.path AND known.size = listed.size AND known.version = listed.version
			AND known.modified IS NOT DISTINCT FROM listed.modified
		WHERE (known.modified IS NOT NULL OR known.version <> '') AND NOT EXISTS (
			SELECT FROM file_drops JOIN drops ON drop_id = drops.id
			WHERE file_id = known.id AND (state <> 'done' OR settings <> $3))
		GROUP BY n`
	paths, sizes, modified, versions := fileColumns(files)
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, feed, place, settings, paths, sizes, modified, versions)
		if err != nil {
			return err
		}
		imported, err = timesOf(rows, files)
		return err
	})
	return imported, err
}

// fileColumns writes files as the columns of a table.
func fileColumns(files []importer.File) (paths []string, sizes []int64, modified []*time.Time, versions []string) {
	paths, sizes, versions = make([]string, len(files)), make([]int64, len(files)), make([]string, len(files))
	modified = make([]*time.Time, len(files))
	for i, f := range files {
		paths[i], sizes[i], modified[i], versions[i] = storable(f.Path), f.Size, told(f.Modified), storable(f.Version)
	}
	return paths, sizes, modified, versions
}

// timesOf reads rows of a file's number, counted from 1, and a time.
func timesOf(rows pgx.Rows, files []importer.File) (map[importer.File]time.Time, error) {
	times := map[importer.File]time.Time{}
	var n int
	var at time.Time
	_, err := pgx.ForEachRow(rows, []any{&n, &at}, func() error {
		times[files[n-1]] = at
		return nil
	})
	return times, err
}

// FirstTaken tells when files were first taken from a feed's place, by the paths
// that they lie at now.
func (l *Ledger) FirstTaken(ctx context.Context, feed, place string, paths []string) (first map[string]time.Time, err error) {
	const query = `
		SELECT name, min(taken)
		FROM (SELECT path AS name, taken FROM files WHERE feed = $1 AND place = $2
			UNION ALL SELECT put_as, taken FROM files WHERE feed = $1 AND place = $2) known
		WHERE name = ANY ($3) GROUP BY name`
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		first = map[string]time.Time{}
		rows, err := tx.Query(ctx, query, feed, place, paths)
		if err != nil {
			return err
		}
		var name string
		var at time.Time
		_, err = pgx.ForEachRow(rows, []any{&name, &at}, func() error {
			first[name] = at
			return nil
		})
		return err
	})
	return first, err
}

// LastTaken is the file that was last taken from a feed's place, the zero File
// when there is none.
func (l *Ledger) LastTaken(ctx context.Context, feed, place string) (last importer.File, err error) {
	const query = `
		SELECT path, size, coalesce(modified, '0001-01-01 00:00:00Z'), version
		FROM files WHERE feed = $1 AND place = $2 ORDER BY taken DESC, id DESC LIMIT 1`
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		last = importer.File{}
		err := tx.QueryRow(ctx, query, feed, place).Scan(&last.Path, &last.Size, &last.Modified, &last.Version)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return last, err
}

// LastPull is when the feed's last run began that has taken from its place what it
// should, the zero time when there was none.
func (l *Ledger) LastPull(ctx context.Context, feed string) (last time.Time, err error) {
	const query = `SELECT coalesce(max(started), '0001-01-01 00:00:00Z') FROM runs WHERE feed = $1 AND kind = 'run' AND finished IS NOT NULL AND error = ''`
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error { return tx.QueryRow(ctx, query, feed).Scan(&last) })
	return last, err
}

// told is a time as it is stored: NULL when it is not known.
func told(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// TakeFile implements importer.Files.
func (l *Ledger) TakeFile(ctx context.Context, feed, place string, f importer.File, drops []importer.Drop) (id int64, err error) {
	const (
		take = `
			INSERT INTO files (feed, place, path, size, modified, version) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (feed, place, path, size, modified, version) DO UPDATE SET taken = now(), ended = NULL, gone = false, put_as = ''
			RETURNING id`
		// What it held when it was taken before is no concern of it any more.
		unlink = `DELETE FROM file_drops WHERE file_id = $1 AND drop_id <> ALL ($2)`
		link   = `INSERT INTO file_drops (file_id, drop_id) SELECT $1, unnest($2::bigint[]) ON CONFLICT DO NOTHING`
	)
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		ids := make([]int64, len(drops))
		for i, d := range drops {
			opened, err := openDrop(ctx, tx, d)
			if err != nil {
				return err
			}
			ids[i] = opened.ID
		}
		if err := tx.QueryRow(ctx, take, feed, place, storable(f.Path), f.Size, told(f.Modified), storable(f.Version)).Scan(&id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, unlink, id, ids); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, link, id, ids)
		return err
	})
	return id, err
}

// LoseFiles implements importer.Files.
func (l *Ledger) LoseFiles(ctx context.Context, feed, place string, drops []int64) error {
	const lose = `
		UPDATE files SET gone = true
		WHERE feed = $1 AND place = $2 AND id IN (SELECT file_id FROM file_drops WHERE drop_id = ANY ($3))`
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, lose, feed, place, drops)
		return err
	})
}

// Ended implements importer.Files.
func (l *Ledger) Ended(ctx context.Context, feed, place string) (ended []importer.TakenFile, err error) {
	const query = `
		SELECT files.id, path, size, coalesce(modified, '0001-01-01 00:00:00Z'), version, array_agg(drops.id ORDER BY drops.id), bool_or(state = 'failed')
		FROM files JOIN file_drops ON file_id = files.id JOIN drops ON drop_id = drops.id
		WHERE files.feed = $1 AND place = $2 AND ended IS NULL
		GROUP BY files.id
		HAVING bool_and(state IN ('done', 'failed'))
		ORDER BY files.id`
	err = l.tx(ctx, scanWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, feed, place)
		if err != nil {
			return err
		}
		ended, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (f importer.TakenFile, err error) {
			err = row.Scan(&f.ID, &f.File.Path, &f.File.Size, &f.File.Modified, &f.File.Version, &f.Drops, &f.Failed)
			return f, err
		})
		return err
	})
	return ended, err
}

// EndFile implements importer.Files.
func (l *Ledger) EndFile(ctx context.Context, id int64, away importer.Away) error {
	return l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE files SET ended = now(), gone = $2, put_as = $3 WHERE id = $1`, id, away.Gone, storable(away.As))
		return err
	})
}

// PutAway implements importer.Files.
func (l *Ledger) PutAway(ctx context.Context, feed, place string, within time.Duration, limit int) (files []importer.TakenFile, err error) {
	const query = `
		SELECT id, path, size, coalesce(modified, '0001-01-01 00:00:00Z'), version, gone, put_as
		FROM (
			SELECT DISTINCT ON (put_as) * FROM files
			WHERE feed = $1 AND place = $2 AND put_as <> '' AND ended > now() - $3::interval
			ORDER BY put_as, ended DESC
		) latest
		ORDER BY ended DESC LIMIT $4`
	err = l.tx(ctx, answerWithin, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, feed, place, within, limit)
		if err != nil {
			return err
		}
		files, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (f importer.TakenFile, err error) {
			err = row.Scan(&f.ID, &f.File.Path, &f.File.Size, &f.File.Modified, &f.File.Version, &f.Away.Gone, &f.Away.As)
			return f, err
		})
		return err
	})
	return files, err
}
