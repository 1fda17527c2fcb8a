package ledgertest

import (
	"context"
	"slices"
	"time"

	"importer/internal/importer"
)

type fakeFile struct {
	importer.TakenFile
	feed, place string
	taken       time.Time
	endedAt     time.Time
	ended, gone bool
}

// Taken implements importer.Files.
func (f *Fake) Taken(_ context.Context, feed, place string, files []importer.File) (map[importer.File]time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := map[importer.File]time.Time{}
	for _, t := range f.files {
		for _, asked := range files {
			tells := !asked.Modified.IsZero() || asked.Version != ""
			if tells && t.feed == feed && t.place == place && !t.gone && same(t.File, asked) {
				taken[asked] = t.taken
			}
		}
	}
	return taken, nil
}

// Imported implements importer.Files.
func (f *Fake) Imported(_ context.Context, feed, place, settings string, files []importer.File) (map[importer.File]time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	imported := map[importer.File]time.Time{}
	for _, t := range f.files {
		done := !slices.ContainsFunc(t.Drops, func(id int64) bool {
			d := f.drops[id-1]
			return d.State != importer.DropDone || d.Settings != settings
		})
		put := t.File
		put.Path = t.Away.As
		for _, asked := range files {
			tells := !asked.Modified.IsZero() || asked.Version != ""
			there := !t.gone && same(t.File, asked) || t.Away.As != "" && same(put, asked)
			if done && tells && there && t.feed == feed && t.place == place {
				imported[asked] = t.taken
			}
		}
	}
	return imported, nil
}

func same(a, b importer.File) bool {
	return a.Path == b.Path && a.Size == b.Size && a.Version == b.Version && a.Modified.Equal(b.Modified)
}

// TakeFile implements importer.Files.
func (f *Fake) TakeFile(_ context.Context, feed, place string, file importer.File, drops []importer.Drop) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []int64
	for _, d := range drops {
		ids = append(ids, f.open(d).ID)
	}
	for _, t := range f.files {
		if t.feed == feed && t.place == place && same(t.File, file) {
			t.ended, t.gone, t.Drops, t.taken = false, false, ids, time.Now()
			return t.ID, nil
		}
	}
	t := &fakeFile{feed: feed, place: place, taken: time.Now()}
	t.ID, t.File, t.Drops = int64(len(f.files)+1), file, ids
	f.files = append(f.files, t)
	return t.ID, nil
}

// LoseFiles implements importer.Files.
func (f *Fake) LoseFiles(_ context.Context, feed, place string, drops []int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.files {
		if t.feed == feed && t.place == place && slices.ContainsFunc(t.Drops, func(id int64) bool { return slices.Contains(drops, id) }) {
			t.gone = true
		}
	}
	return nil
}

// Ended implements importer.Files.
func (f *Fake) Ended(_ context.Context, feed, place string) (ended []importer.TakenFile, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.files {
		if t.feed != feed || t.place != place || t.ended || len(t.Drops) == 0 {
			continue
		}
		out, all := t.TakenFile, true
		for _, id := range t.Drops {
			state := f.drops[id-1].State
			all = all && (state == importer.DropDone || state == importer.DropFailed)
			out.Failed = out.Failed || state == importer.DropFailed
		}
		if all {
			ended = append(ended, out)
		}
	}
	return ended, nil
}

// EndFile implements importer.Files.
func (f *Fake) EndFile(_ context.Context, id int64, away importer.Away) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.files[id-1]
	t.ended, t.gone, t.endedAt, t.Away = true, away.Gone, time.Now(), away
	return nil
}

// PutAway implements importer.Files.
func (f *Fake) PutAway(_ context.Context, feed, place string, within time.Duration, limit int) (files []importer.TakenFile, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.files {
		if t.feed == feed && t.place == place && t.ended && t.Away.As != "" && time.Since(t.endedAt) < within {
			files = append(files, t.TakenFile)
		}
	}
	slices.SortFunc(files, func(a, b importer.TakenFile) int { return f.files[b.ID-1].endedAt.Compare(f.files[a.ID-1].endedAt) })
	seen := map[string]bool{}
	files = slices.DeleteFunc(files, func(t importer.TakenFile) bool {
		again := seen[t.Away.As]
		seen[t.Away.As] = true
		return again
	})
	return files[:min(limit, len(files))], nil
}

func (f *Fake) wasTaken(drop int64) bool {
	return slices.ContainsFunc(f.files, func(t *fakeFile) bool { return slices.Contains(t.Drops, drop) })
}
