package importer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"importer/internal/crashpoint"
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
	Away   Away // once it has ended
}

// Away is what became of a file at its place.
type Away struct {
	Gone bool   // it does not lie there any more under its own name
	As   string // the name that it was given; empty: none
}

// Errors of a source that are about one file alone: the others can be taken.
var (
	// ErrNotYet is for a file that is not complete or was replaced meanwhile: a
	// later run takes it.
	ErrNotYet = errors.New("not complete yet")
	// ErrRefused is for a file that its place does not give, mostly until a
	// person has changed something there.
	ErrRefused = errors.New("cannot be taken")
)

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
	// PutAway does with a file whose drops have ended what the feed wants. Doing it
	// again is harmless.
	PutAway(ctx context.Context, f TakenFile) (Away, error)
	// Return gives a file that was put away its old name back if it has grown:
	// whoever wrote it still had it open, and went on.
	Return(ctx context.Context, f TakenFile) (back bool, err error)
}

// Pull goes on with what earlier runs of the feed left unfinished, also when the
// place is out of reach. Then it takes the new files, one after the other, imports
// them, and puts them away when all of their rows have an outcome.
func (im *Importer) Pull(ctx context.Context, feed Feed, src Source) (Summary, error) {
	return im.carry(ctx, feed, "run", func(ctx context.Context, r *run) error {
		return pull{run: r, src: src, tried: map[int64]bool{}, known: im.Ledger.Taken}.whole(ctx)
	})
}

// Backfill is Pull for a source that tells of older files. All are taken, however
// many, but for those that are imported to their end: what is in a file that was
// taken before is told by its bytes, and leads that are known make no call.
func (im *Importer) Backfill(ctx context.Context, feed Feed, src Source) (Summary, error) {
	feed.AtMost = 0
	return im.carry(ctx, feed, "backfill", func(ctx context.Context, r *run) error {
		return pull{run: r, src: src, tried: map[int64]bool{}, known: func(ctx context.Context, feed, place string, files []File) (map[File]time.Time, error) {
			return im.Ledger.Imported(ctx, feed, place, r.feed.Settings, files)
		}}.whole(ctx)
	})
}

// pull is a run that takes files from a source.
type pull struct {
	*run
	src   Source
	tried map[int64]bool                                                                          // which files were to be put away
	known func(ctx context.Context, feed, place string, files []File) (map[File]time.Time, error) // files that are not taken
}

func (p pull) whole(ctx context.Context) error {
	faults, err := p.steps(ctx)
	return errors.Join(faults, p.stillMissing(), err)
}

// steps are those of a pull. The first error is about files or the place, and
// keeps no other drop back; the second ends the run.
func (p pull) steps(ctx context.Context) (faults, err error) {
	faults, err = p.resume(ctx, isUnfinished)
	if err == nil && len(p.missing) > 0 {
		err = p.patiently(ctx, func(ctx context.Context) error {
			return p.Ledger.LoseFiles(ctx, p.feed.Name, p.src.Place(), slices.Collect(maps.Keys(p.missing)))
		})
	}
	if err != nil {
		return faults, err
	}
	files, away, err := p.look(ctx)
	if err != nil || away != nil {
		return errors.Join(faults, away), err
	}
	back, err := p.returned(ctx)
	if err == nil && back {
		files, away, err = p.look(ctx)
	}
	if err != nil || away != nil {
		return errors.Join(faults, away), err
	}
	more, err := p.take(ctx, files)
	faults = errors.Join(faults, more)
	if err == nil { // what this run's rows have reopened; others are taken by somebody else just now
		more, err = p.resume(ctx, isRecorded)
		faults = errors.Join(faults, more)
	}
	if err == nil {
		err = p.putAway(ctx, anyFile)
	}
	return faults, err
}

// A writer who goes on in a file that was put away is looked for in the files
// that were put away not long ago, the last ones of them.
const (
	notLong  = 24 * time.Hour
	lastOnes = 100
)

// returned has files taken again that have grown since they were put away, and
// tells whether there are any.
func (p pull) returned(ctx context.Context) (some bool, err error) {
	var away []TakenFile
	err = p.patiently(ctx, func(ctx context.Context) (err error) {
		away, err = p.Ledger.PutAway(ctx, p.feed.Name, p.src.Place(), notLong, lastOnes)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, f := range away {
		back, err := p.src.Return(ctx, f)
		switch {
		case ctx.Err() != nil:
			return some, errors.Join(err, context.Cause(ctx))
		case back:
			some = true
			p.Log.Warn("a file was written to after it was put away, and is taken again with what came", "file", f.File.Path, "from", f.Away.As)
			err := p.patiently(ctx, func(ctx context.Context) error { return p.Ledger.EndFile(ctx, f.ID, Away{Gone: true}) })
			if err != nil {
				return some, err
			}
		case err != nil:
			p.Log.Warn("a file that was put away could not be looked at again", "file", f.Away.As, "err", err)
			if !errors.Is(err, ErrRefused) {
				return some, nil // the others would fare no better
			}
		}
	}
	return some, nil
}

// look lists the new files. The first error is the place's.
func (p pull) look(ctx context.Context) (files []File, away, err error) {
	files, away = p.src.Look(ctx, func(listed []File) (taken map[File]time.Time, _ error) {
		taken, err = p.taken(ctx, listed)
		return taken, err
	})
	if err != nil || ctx.Err() != nil {
		return nil, nil, errors.Join(err, context.Cause(ctx))
	}
	return files, away, nil
}

// take takes and imports files.
func (p pull) take(ctx context.Context, files []File) (faults, err error) {
	crashpoint.Reach(crashpoint.FilesListed)
	for _, f := range files {
		if most := p.feed.AtMost; most > 0 && p.summary.Files >= most {
			break
		}
		// Another importer may have been faster.
		if taken, err := p.taken(ctx, []File{f}); err != nil || len(taken) > 0 {
			if err != nil {
				return faults, err
			}
			continue
		}
		drops, err := p.src.Take(ctx, f)
		switch {
		case ctx.Err() != nil:
			return faults, errors.Join(err, context.Cause(ctx))
		case errors.Is(err, ErrNotYet):
			p.Log.Warn("a file is left for the next run", "file", f.Path, "err", err)
			continue
		case errors.Is(err, ErrRefused):
			faults = errors.Join(faults, fmt.Errorf("%s %w", f.Path, err))
			continue
		case err != nil: // the next file would fare no better
			return errors.Join(faults, err), nil
		}
		fault, err := p.importFile(ctx, f, drops)
		faults = errors.Join(faults, fault)
		if err != nil {
			return faults, err
		}
	}
	return faults, nil
}

func (p pull) taken(ctx context.Context, listed []File) (taken map[File]time.Time, err error) {
	err = p.patiently(ctx, func(ctx context.Context) error {
		taken, err = p.known(ctx, p.feed.Name, p.src.Place(), listed)
		return err
	})
	return taken, err
}

// importFile imports a file's drops and puts the file away.
func (p pull) importFile(ctx context.Context, f File, drops []Incoming) (fault, err error) {
	opened := make([]Drop, len(drops))
	for i, in := range drops {
		opened[i] = in.Drop
	}
	// From here on the ledger knows what lies in the spool, and that the file
	// need not be fetched again.
	var id int64
	err = p.patiently(ctx, func(ctx context.Context) (err error) {
		id, err = p.Ledger.TakeFile(ctx, p.feed.Name, p.src.Place(), f, opened)
		return err
	})
	if err != nil {
		return nil, err
	}
	crashpoint.Reach(crashpoint.FileTaken)
	p.summary.Files++
	for _, in := range drops {
		switch err := p.importDrop(ctx, in); {
		case isFileFault(err):
			fault = errors.Join(fault, err)
		case err != nil:
			return fault, err
		}
	}
	return fault, p.putAway(ctx, id)
}

const anyFile = 0

// putAway puts the files away whose drops have ended, those of earlier runs too,
// or only one of them.
func (p pull) putAway(ctx context.Context, only int64) error {
	var ended []TakenFile
	err := p.patiently(ctx, func(ctx context.Context) (err error) {
		ended, err = p.Ledger.Ended(ctx, p.feed.Name, p.src.Place())
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range ended {
		if only != anyFile && f.ID != only || p.tried[f.ID] {
			continue
		}
		p.tried[f.ID] = true
		away, err := p.src.PutAway(ctx, f)
		if ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if err != nil {
			// The import stands.
			p.Log.Warn("a file could not be put away, the next run tries again", "file", f.File.Path, "err", err)
			if errors.Is(err, ErrRefused) {
				continue
			}
			return nil // the next file would fare no better
		}
		crashpoint.Reach(crashpoint.FilePutAway)
		err = p.patiently(ctx, func(ctx context.Context) error { return p.Ledger.EndFile(ctx, f.ID, away) })
		if err != nil {
			return err
		}
		crashpoint.Reach(crashpoint.FileEnded)
	}
	return nil
}

// Release imports a drop that was held: a person has looked at it.
func (im *Importer) Release(ctx context.Context, feed Feed, drop int64) (Summary, error) {
	return im.carry(ctx, feed, "release", func(ctx context.Context, r *run) error {
		d, err := r.leaseHeld(ctx, drop)
		if err != nil {
			return err
		}
		in, err := r.Reopen(d)
		if err != nil {
			return errors.Join(err, r.leaveLease(ctx, d, d.State, d.Why))
		}
		r.released = true
		return r.work(ctx, d, &in)
	})
}

// Discard ends a drop that was held, without importing it: a person does not want
// it.
func (im *Importer) Discard(ctx context.Context, feed Feed, drop int64) (Summary, error) {
	return im.carry(ctx, feed, "discard", func(ctx context.Context, r *run) error {
		d, err := r.leaseHeld(ctx, drop)
		if err != nil {
			return err
		}
		return r.leave(ctx, d, DropFailed, "discarded by a person; it was held because "+d.Why)
	})
}

// leaseHeld takes the right to work on a drop that is held.
func (r *run) leaseHeld(ctx context.Context, drop int64) (Drop, error) {
	d, err := r.lease(ctx, drop)
	if err == nil && d.State != DropHeld {
		err = errors.Join(fmt.Errorf("drop %d (%s) is %s, not held: nothing was done", d.ID, d.Name, d.State), r.leaveLease(ctx, d, d.State, d.Why))
	}
	return d, err
}
