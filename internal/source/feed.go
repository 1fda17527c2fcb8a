package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"strings"
	"time"

	"importer/internal/importer"
)

// After says what becomes of a file at its place when its drops have ended.
type After string

// What may become of a file. Where nothing can be put away it stays.
const (
	Leave   After = "leave"
	Archive After = "archive" // moved into a folder
	Rename  After = "rename"  // renamedSuffix is added to its name
	Delete  After = "delete"
)

const renamedSuffix = ".imported"

// Feed pulls a feed's files from the place where they are left.
type Feed struct {
	At       Place
	Name     string // of the place, the same in each run
	Choice   Choice
	Settle   time.Duration // between the two looks in which a file must be the same
	Days     []time.Time   // that the choice's date may stand for; none: today
	Spool    Spool
	Unpack   Unpack // returns *importer.UnreadableError for a file that cannot be unpacked
	Incoming func(Spooled) importer.Incoming
	After    After
	Archive  string // folder at the place
	Failed   string // folder at the place for files that cannot be read; empty: as After says
	// Rejects is the folder at the place that rejects are written to; empty: they
	// are not. WriteRejects writes those of some drops, if there are any.
	Rejects      string
	WriteRejects func(ctx context.Context, drops []int64, to io.Writer) (some bool, err error)
	Now          func() time.Time

	listed map[importer.File]File // what the last Look chose
}

var _ importer.Source = (*Feed)(nil)

// Place implements importer.Source.
func (f *Feed) Place() string { return f.Name }

// Judge lists the place and says what becomes of each file.
func (f *Feed) Judge(ctx context.Context, taken func([]importer.File) (map[importer.File]time.Time, error)) ([]Verdict, error) {
	files, err := f.At.List(ctx)
	if err != nil {
		return nil, err
	}
	asked := make([]importer.File, len(files))
	for i, file := range files {
		asked[i] = file.known()
	}
	before, err := taken(asked)
	if err != nil {
		return nil, err
	}
	days := f.Days
	if len(days) == 0 {
		days = []time.Time{f.Now()}
	}
	choice := f.Choice
	choice.Ours = f.isOurs
	return choice.Choose(files, func(file File) (time.Time, bool) {
		at, ok := before[file.known()]
		return at, ok
	}, days, f.Now())
}

// isOurs tells the files that were put away.
func (f *Feed) isOurs(name string) bool {
	if f.After == Rename && strings.HasSuffix(name, renamedSuffix) {
		return true
	}
	for _, folder := range []string{f.Archive, f.Failed, f.Rejects} {
		if folder != "" && strings.HasPrefix(name, path.Clean(folder)+"/") {
			return true
		}
	}
	return false
}

// known is what the ledger knows a file by.
func (f File) known() importer.File {
	return importer.File{Path: f.Path, Size: f.Size, Modified: f.Modified.Round(time.Microsecond), Version: f.Version}
}

// fileOf is a file as its place may still have it.
func fileOf(f importer.File) File {
	return File{Path: f.Path, Size: f.Size, Modified: f.Modified, Version: f.Version}
}

// Look implements importer.Source.
func (f *Feed) Look(ctx context.Context, taken func([]importer.File) (map[importer.File]time.Time, error)) ([]importer.File, error) {
	verdicts, err := f.Judge(ctx, taken)
	if err != nil {
		return nil, err
	}
	f.listed = map[importer.File]File{}
	var files []importer.File
	for _, v := range verdicts {
		if v.Take {
			files = append(files, v.File.known())
			f.listed[v.File.known()] = v.File
		}
	}
	if _, growing := f.At.(Keeper); growing && len(files) > 0 {
		// Fetch takes the second look.
		return files, pause(ctx, f.Settle)
	}
	return files, nil
}

// Take implements importer.Source.
func (f *Feed) Take(ctx context.Context, file importer.File) ([]importer.Incoming, error) {
	name := path.Base(file.Path)
	tmp, err := f.Spool.create(name)
	if err != nil {
		return nil, err
	}
	drops, err := f.take(ctx, f.listed[file], name, tmp)
	return drops, errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
}

func (f *Feed) take(ctx context.Context, file File, name string, tmp *os.File) ([]importer.Incoming, error) {
	err := f.At.Fetch(ctx, file, tmp)
	switch {
	case errors.Is(err, ErrChanged), errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", importer.ErrNotYet, err)
	case err != nil:
		return nil, err
	}
	info, err := tmp.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at the copy of %s: %w", name, err)
	}
	spooled, err := f.Spool.put(ctx, tmp, info.Size(), name, f.Unpack, func() error { return nil })
	var unreadable *importer.UnreadableError
	if errors.As(err, &unreadable) {
		whole, err := f.whole(ctx, tmp, name)
		if err != nil {
			return nil, err
		}
		in := f.Incoming(whole)
		in.Open = func() (importer.Reader, error) { return nil, unreadable }
		return []importer.Incoming{in}, nil
	}
	if err != nil {
		return nil, err
	}
	drops := make([]importer.Incoming, len(spooled))
	for i, s := range spooled {
		drops[i] = f.Incoming(s)
	}
	return drops, nil
}

// whole is a file that holds no drops as a drop that cannot be read.
func (f *Feed) whole(ctx context.Context, tmp *os.File, name string) (Spooled, error) {
	hash := sha256.New()
	n, err := io.Copy(stoppable{ctx, hash}, io.NewSectionReader(tmp, 0, math.MaxInt64))
	if err != nil {
		return Spooled{}, f.Spool.failed(name, err)
	}
	return Spooled{Name: name, SHA256: [32]byte(hash.Sum(nil)), Bytes: n}, nil
}

// PutAway implements importer.Source.
func (f *Feed) PutAway(ctx context.Context, file importer.TakenFile) (gone bool, err error) {
	keeper, ok := f.At.(Keeper)
	if !ok {
		return false, nil
	}
	if f.Rejects != "" {
		if err := f.writeRejects(ctx, keeper, file); err != nil {
			return false, err
		}
	}
	name := file.File.Path
	switch {
	case file.Failed && f.Failed != "":
		err = f.move(ctx, keeper, file, path.Join(f.Failed, name))
	case f.After == Archive:
		err = f.move(ctx, keeper, file, path.Join(f.Archive, name))
	case f.After == Rename:
		err = f.move(ctx, keeper, file, name+renamedSuffix)
	case f.After == Delete && !file.Failed:
		err = keeper.Remove(ctx, fileOf(file.File))
	default:
		return false, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil, err
}

// move gives a file a name that nothing has yet.
func (f *Feed) move(ctx context.Context, keeper Keeper, file importer.TakenFile, to string) error {
	err := keeper.Move(ctx, fileOf(file.File), to)
	for n := 2; n < 100 && errors.Is(err, fs.ErrExist); n++ {
		err = keeper.Move(ctx, fileOf(file.File), numbered(to, n))
	}
	return err
}

// numbered tells a name apart from one that is taken.
func numbered(name string, n int) string {
	ext := path.Ext(name)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
}

// writeRejects writes a file's rejects beside it, once.
func (f *Feed) writeRejects(ctx context.Context, keeper Keeper, file importer.TakenFile) error {
	var text bytes.Buffer
	some, err := f.WriteRejects(ctx, file.Drops, &text)
	if err != nil || !some {
		return err
	}
	name := path.Join(f.Rejects, file.File.Path+".rejects.csv")
	err = keeper.Write(ctx, name, &text)
	if errors.Is(err, fs.ErrExist) { // by a run that was killed, or for an earlier file of this name
		err = nil
	}
	return err
}
