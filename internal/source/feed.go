package source

import (
	"cmp"
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
	"unicode/utf8"

	"github.com/sethvargo/go-retry"

	"importer/internal/crashpoint"
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
	Spool    Spool         // entered by the caller
	Unpack   Unpack        // returns *importer.UnreadableError for a file that cannot be unpacked
	Incoming func(Spooled) importer.Incoming
	After    After
	Archive  string // folder at the place
	Failed   string // folder at the place for files that cannot be read; empty: they stay
	// Rejects is the folder at the place that rejects are written to; empty: they
	// are not. WriteRejects writes those of some drops, if there are any.
	Rejects      string
	WriteRejects func(ctx context.Context, drops []int64, to io.Writer) (some bool, err error)
	Now          func() time.Time
	Since        time.Time // when the place was last looked at with success; zero: never
	Left         []Verdict // the files that the last Look left for a later one

	listed  map[importer.File]File   // what the last Look saw; nil: nothing was seen
	markers map[string]File          // of files, by their paths, that it saw beside them
	names   map[importer.File]string // of files that had other ones before they were put away
}

var _ importer.Source = (*Feed)(nil)

// Place implements importer.Source.
func (f *Feed) Place() string { return f.Name }

// Judge lists the place, once, and says what becomes of each file.
func (f *Feed) Judge(ctx context.Context, taken func([]importer.File) (map[importer.File]time.Time, error)) ([]Verdict, error) {
	days := f.days()
	files, before, err := f.look(ctx, taken, days)
	if err != nil {
		return nil, err
	}
	choice := f.Choice
	choice.Ours = f.isOurs
	return choice.Choose(files, before, days, f.Now())
}

// look lists the place, and says which of its files were taken before.
func (f *Feed) look(ctx context.Context, taken func([]importer.File) (map[importer.File]time.Time, error), days []time.Time) ([]File, func(File) (time.Time, bool), error) {
	f.listed = nil
	var files []File
	err := f.patiently(ctx, func(ctx context.Context) (err error) {
		files, err = f.At.List(ctx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	asked := make([]importer.File, len(files))
	f.listed = make(map[importer.File]File, len(files))
	for i, file := range files {
		asked[i] = file.known()
		f.listed[asked[i]] = file
	}
	before, err := taken(asked)
	if err != nil {
		return nil, nil, err
	}
	if f.markers, err = f.Choice.markers(files, days); err != nil {
		return nil, nil, err
	}
	return files, func(file File) (time.Time, bool) {
		at, ok := before[file.known()]
		return at, ok
	}, nil
}

// days are those that the date in a pattern may stand for: today, and those since
// the last look. A file may come late at night, and a run fail.
func (f *Feed) days() []time.Time {
	const most = 7
	days := []time.Time{f.Now()}
	for !f.Since.IsZero() && len(days) < most && days[len(days)-1].After(f.Since) {
		days = append(days, days[len(days)-1].AddDate(0, 0, -1))
	}
	return days
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

// known is what the ledger knows a file by: text, and times in microseconds.
func (f File) known() importer.File {
	return importer.File{
		Path: asText(f.Path), Size: f.Size,
		Modified: f.Modified.Round(time.Microsecond).UTC(), Version: asText(f.Version),
	}
}

// asText writes bytes that are no UTF-8 as addresses do, such as M%FCller.csv:
// two names that differ in them alone are not to become one.
func asText(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var text strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&text, "%%%02X", name[i])
		} else {
			text.WriteString(name[i : i+n])
		}
		i += n
	}
	return text.String()
}

// Look implements importer.Source.
func (f *Feed) Look(ctx context.Context, taken func([]importer.File) (map[importer.File]time.Time, error)) ([]importer.File, error) {
	verdicts, err := f.Judge(ctx, taken)
	if err != nil {
		return nil, err
	}
	return f.choose(ctx, verdicts)
}

// choose returns the files to take, when they had the time to change.
func (f *Feed) choose(ctx context.Context, verdicts []Verdict) ([]importer.File, error) {
	var files []importer.File
	f.Left = nil
	for _, v := range verdicts {
		switch {
		case v.Take:
			files = append(files, v.File.known())
		case v.Wait:
			f.Left = append(f.Left, v)
		}
	}
	if _, growing := f.At.(Keeper); growing && len(files) > 0 {
		// Fetch takes the second look.
		return files, pause(ctx, f.Settle)
	}
	return files, nil
}

// Take implements importer.Source.
func (f *Feed) Take(ctx context.Context, known importer.File) ([]importer.Incoming, error) {
	file := f.listed[known]
	if err := f.admit(file, known.Path); err != nil {
		return nil, err
	}
	tmp, err := f.Spool.create(known.Path)
	if err != nil {
		return nil, err
	}
	drops, err := f.take(ctx, file, cmp.Or(f.names[known], known.Path), tmp)
	return drops, errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
}

// admit refuses a file for which the spool has no room. Its copy and its drops
// are there side by side for a moment. Of a size that is not known at least some
// must be free.
func (f *Feed) admit(file File, name string) error {
	size := max(file.Size, 1)
	if size > math.MaxInt64/2 || f.Spool.Quota > 0 && 2*size > f.Spool.Quota {
		return fmt.Errorf("%w: %w: %s has %d bytes, of which spool.quota must hold twice as many: raise spool.quota", importer.ErrRefused, ErrNoRoom, name, size)
	}
	_, err := f.Spool.admit(name, 2*size)
	return err
}

func (f *Feed) take(ctx context.Context, file File, name string, tmp *os.File) ([]importer.Incoming, error) {
	err := f.patiently(ctx, func(ctx context.Context) error {
		if err := errors.Join(tmp.Truncate(0), rewind(tmp)); err != nil {
			return f.Spool.failed(name, err)
		}
		return f.At.Fetch(ctx, file, tmp)
	})
	switch {
	case errors.Is(err, ErrChanged), errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", importer.ErrNotYet, err)
	case isFull(err):
		return nil, f.Spool.failed(name, err)
	case errors.Is(err, errTooLarge): // for the room in the spool
		if _, full := f.Spool.admit(name, math.MaxInt64); full != nil {
			err = full
		}
		return nil, fmt.Errorf("%w: %w", importer.ErrRefused, err)
	case err != nil:
		return nil, ofFile(err)
	}
	crashpoint.Reach(crashpoint.FileFetched)
	info, err := tmp.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at the copy of %s: %w", name, err)
	}
	spooled, err := f.Spool.put(ctx, tmp, info.Size(), name, f.Unpack, func() error { return nil })
	var unreadable *importer.UnreadableError
	switch {
	case errors.As(err, &unreadable):
		whole, err := f.whole(ctx, tmp, name)
		if err != nil {
			return nil, err
		}
		in := f.Incoming(whole)
		in.Open = func() (importer.Reader, error) { return nil, unreadable }
		return []importer.Incoming{in}, nil
	case errors.Is(err, ErrNoRoom): // what comes out of others may fit
		return nil, fmt.Errorf("%w: %w", importer.ErrRefused, err)
	case err != nil:
		return nil, err
	}
	drops := make([]importer.Incoming, len(spooled))
	for i, s := range spooled {
		drops[i] = f.Incoming(s)
	}
	return drops, nil
}

func rewind(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
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
func (f *Feed) PutAway(ctx context.Context, taken importer.TakenFile) (away importer.Away, err error) {
	keeper, ok := f.At.(Keeper)
	if !ok {
		return away, nil
	}
	if f.isOurs(taken.File.Path) { // a backfill took it from where it was put away
		return away, nil
	}
	if f.listed == nil {
		return away, fmt.Errorf("%s could not be looked at: what is in it is not known", f.Name)
	}
	if f.Rejects != "" {
		if err := f.writeRejects(ctx, keeper, taken); err != nil {
			return away, err
		}
	}
	known := taken.File
	known.Modified = known.Modified.UTC() // as in the listing
	file, ok := f.listed[known]
	if !ok { // it was put away before, or is another one now
		return importer.Away{Gone: true}, nil
	}
	if f.stays(taken) {
		return away, nil
	}
	// First, since nobody knows whose it was when the file is gone. It would say
	// of the next file of that name that it is complete.
	if marker, ok := f.markers[file.Path]; ok {
		if _, err := f.away(ctx, keeper, marker, taken); err != nil && !isGone(err) {
			return away, ofFile(err)
		}
	}
	as, err := f.away(ctx, keeper, file, taken)
	if err == nil || isGone(err) {
		return importer.Away{Gone: true, As: asText(as)}, nil
	}
	return away, ofFile(err)
}

// Return implements importer.Source.
func (f *Feed) Return(ctx context.Context, taken importer.TakenFile) (back bool, err error) {
	keeper, ok := f.At.(Keeper)
	if !ok || taken.File.Size < 0 {
		return false, nil
	}
	var size int64
	err = f.patiently(ctx, func(ctx context.Context) (err error) {
		size, err = keeper.Size(ctx, taken.Away.As)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist): // whoever has it now
		return false, nil
	case err != nil || size <= taken.File.Size:
		return false, ofFile(err)
	}
	err = f.patiently(ctx, func(ctx context.Context) error {
		return keeper.Move(ctx, File{Path: taken.Away.As, Size: -1}, taken.File.Path)
	})
	return err == nil, ofFile(err)
}

// ofFile marks an error that is one file's.
func ofFile(err error) error {
	var place *Error
	if errors.As(err, &place) && (place.ofOneFile() || errors.Is(err, fs.ErrExist)) {
		return fmt.Errorf("%w: %w", importer.ErrRefused, err)
	}
	return err
}

func (f *Feed) stays(taken importer.TakenFile) bool {
	if taken.Failed {
		return f.Failed == ""
	}
	return f.After != Archive && f.After != Rename && f.After != Delete
}

// away puts something where the file taken is to go, and returns the name that
// it has there.
func (f *Feed) away(ctx context.Context, keeper Keeper, file File, taken importer.TakenFile) (as string, err error) {
	switch {
	case taken.Failed:
		return f.move(ctx, keeper, file, path.Join(f.Failed, file.Path), taken.ID)
	case f.After == Archive:
		return f.move(ctx, keeper, file, path.Join(f.Archive, file.Path), taken.ID)
	case f.After == Rename:
		return f.move(ctx, keeper, file, file.Path+renamedSuffix, taken.ID)
	default:
		return "", f.patiently(ctx, func(ctx context.Context) error { return keeper.Remove(ctx, file) })
	}
}

// isGone tells that something is not there any more, or is something else.
func isGone(err error) bool {
	return (errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrChanged)) && !errors.Is(err, errAstray)
}

// move gives a file another name, with the number that it has in the ledger if
// something has that name already, and with more if the same file was put away
// before: a vendor may leave it again and again.
func (f *Feed) move(ctx context.Context, keeper Keeper, file File, to string, number int64) (as string, err error) {
	const most = 100
	err = f.patiently(ctx, func(ctx context.Context) error {
		as = to
		err := keeper.Move(ctx, file, as)
		for n := int64(1); errors.Is(err, fs.ErrExist) && n <= most; n++ {
			if as = numbered(to, number); n > 1 {
				as = numbered(as, n)
			}
			err = keeper.Move(ctx, file, as)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return as, nil
}

// numbered adds a number to a name, before its last ending.
func numbered(name string, n int64) string {
	ext := path.Ext(name)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
}

// writeRejects writes a file's rejects to the place, once.
func (f *Feed) writeRejects(ctx context.Context, keeper Keeper, taken importer.TakenFile) error {
	tmp, err := f.Spool.create(taken.File.Path)
	if err != nil {
		return err
	}
	some, err := f.WriteRejects(ctx, taken.Drops, tmp)
	if err == nil && some {
		// The number keeps the rejects of two files of one name apart.
		stem := strings.TrimSuffix(taken.File.Path, path.Ext(taken.File.Path))
		name := path.Join(f.Rejects, numbered(stem+".rejects.csv", taken.ID))
		err = f.patiently(ctx, func(ctx context.Context) error {
			if err := rewind(tmp); err != nil {
				return err
			}
			return keeper.Write(ctx, name, tmp)
		})
		if errors.Is(err, fs.ErrExist) { // written by a run that was killed
			err = nil
		}
	}
	return errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
}

// patiently tries again what a place may do better in a moment.
func (f *Feed) patiently(ctx context.Context, step func(context.Context) error) error {
	const first, longest, times = time.Second, time.Minute, 3
	var asked time.Duration // what the place wants us to wait
	backoff := retry.WithMaxRetries(times, retry.WithJitterPercent(20, retry.NewExponential(first)))
	waits := retry.BackoffFunc(func() (time.Duration, bool) {
		d, stop := backoff.Next()
		return min(longest, max(d, asked)), stop
	})
	var last error
	err := retry.Do(ctx, waits, func(ctx context.Context) error {
		last = step(ctx)
		var e *Error
		if errors.As(last, &e) && e.mayPass() {
			asked = e.RetryAfter
			return retry.RetryableError(last)
		}
		return last
	})
	if err != nil && last != nil { // go-retry wraps it, and forgets it when ctx ends
		return errors.Join(ctx.Err(), last)
	}
	return err
}
