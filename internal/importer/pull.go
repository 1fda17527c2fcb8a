package importer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// File is a file as its place lists it: when any of this is another, so is the
// file.
type File struct {
	Path     string    // below the place's folder, with slashes
	Size     int64     // -1: the place does not tell
	Modified time.Time // zero: the place does not tell
	Version  string    // what else tells contents apart, such as an ETag
}

// TakenFile is a file that was taken from its place.
type TakenFile struct {
	ID     int64
	File   File
	Drops  []int64
	Failed bool // a drop of it could not be read
}

// ErrNotYet is wrapped by a source's error for a file that is not complete or
// was replaced meanwhile: a later run takes it.
var ErrNotYet = errors.New("not complete yet")

// Source is where a feed's files come from.
type Source interface {
	// Place names it, the same in each run.
	Place() string
	// Look lists the files that are to be taken now, in that order. taken tells
	// which of some files were taken before.
	Look(ctx context.Context, taken func([]File) (map[File]time.Time, error)) ([]File, error)
	// Take brings a file's drops into the spool. A file that cannot be unpacked
	// is one drop, which cannot be opened.
	Take(ctx context.Context, f File) ([]Incoming, error)
	// PutAway does with a file whose drops have ended what the feed wants, and
	// tells whether it is gone from its place. Doing it again is harmless.
	PutAway(ctx context.Context, f TakenFile) (gone bool, err error)
}

// Pull takes a feed's new files, one after the other, imports them, and puts
// them away when all of their rows have an outcome.
func (im *Importer) Pull(ctx context.Context, feed Feed, src Source) (Summary, error) {
	return im.carry(ctx, feed, "run", func(ctx context.Context, r *run) error {
		files, err := src.Look(ctx, func(listed []File) (taken map[File]time.Time, err error) {
			err = r.patiently(ctx, func(ctx context.Context) error {
				taken, err = r.Ledger.Taken(ctx, feed.Name, src.Place(), listed)
				return err
			})
			return taken, err
		})
		if err != nil {
			return errors.Join(err, r.resume(ctx))
		}
		var failed error
		for _, f := range files {
			err := r.take(ctx, src, f)
			var unreadable *UnreadableError
			switch {
			case errors.Is(err, ErrNotYet):
				r.Log.Warn("a file is left for the next run", "file", f.Path, "err", err)
			case errors.As(err, &unreadable):
				failed = errors.Join(failed, err)
			case err != nil:
				return errors.Join(failed, err)
			}
		}
		return errors.Join(failed, r.resume(ctx), r.putAway(ctx, src))
	})
}

// take imports one file.
func (r *run) take(ctx context.Context, src Source, f File) error {
	drops, err := src.Take(ctx, f)
	if err != nil {
		return err
	}
	ids := make([]int64, len(drops))
	for i, in := range drops {
		err := r.patiently(ctx, func(ctx context.Context) error {
			d, err := r.Ledger.OpenDrop(ctx, in.Drop)
			ids[i] = d.ID
			return err
		})
		if err != nil {
			return err
		}
	}
	// From here on the ledger knows what lies in the spool, and that the file
	// need not be fetched again.
	err = r.patiently(ctx, func(ctx context.Context) error {
		return r.Ledger.TakeFile(ctx, r.feed.Name, src.Place(), f, ids)
	})
	if err != nil {
		return err
	}
	var failed error
	for _, in := range drops {
		err := r.importDrop(ctx, in)
		var unreadable *UnreadableError
		switch {
		case errors.As(err, &unreadable):
			failed = errors.Join(failed, fmt.Errorf("%s: %w", f.Path, err))
		case err != nil:
			return errors.Join(failed, err)
		}
	}
	return errors.Join(failed, r.putAway(ctx, src))
}

// putAway puts the files away whose drops have ended, those of earlier runs too.
func (r *run) putAway(ctx context.Context, src Source) error {
	var ended []TakenFile
	err := r.patiently(ctx, func(ctx context.Context) (err error) {
		ended, err = r.Ledger.Ended(ctx, r.feed.Name, src.Place())
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range ended {
		gone, err := src.PutAway(ctx, f)
		if err != nil {
			// The import stands; the next run tries again.
			r.Log.Warn("a file could not be put away, the next run tries again", "file", f.File.Path, "err", err)
			continue
		}
		err = r.patiently(ctx, func(ctx context.Context) error { return r.Ledger.EndFile(ctx, f.ID, gone) })
		if err != nil {
			return err
		}
	}
	return nil
}
