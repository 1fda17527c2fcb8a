package source

import (
	"cmp"
	"context"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"importer/internal/importer"
)

// Backfill pulls a feed's files of some days, those that were put away among
// them. Its place lists the archive too.
type Backfill struct {
	*Feed
	First, Last time.Time // moments of the first and the last of the days
	// FirstTaken tells when files, by their paths, were taken from the place
	// first: of one without a time that is its day.
	FirstTaken func(ctx context.Context, paths []string) (map[string]time.Time, error)
	Imported   int // the files of these days that the last Look found imported
}

var _ importer.Source = (*Backfill)(nil)

// Judge lists the place, once, and says what becomes of each file, those to take
// first and the oldest days of them first. imported tells when a file was taken
// whose drops are done.
func (b *Backfill) Judge(ctx context.Context, imported func([]importer.File) (map[importer.File]time.Time, error)) ([]Verdict, error) {
	days := b.asked()
	files, before, err := b.look(ctx, imported, days)
	if err != nil {
		return nil, err
	}
	d, err := b.dating(ctx, files, days)
	if err != nil {
		return nil, err
	}
	there, markers := make(map[string]File, len(files)), map[string]bool{}
	for _, f := range files {
		there[f.Path] = f
		if marker := d.matcher.markerOf(b.original(f.Path)); marker != "" {
			markers[marker] = true
		}
	}
	b.Imported, b.names = 0, map[importer.File]string{}
	out := make([]Verdict, 0, len(files))
	for _, f := range files {
		v := Verdict{File: f}
		name := d.nameOf(f, b.original(f.Path))
		if v.Why = b.Choice.unfit(d.matcher, f, name, markers); v.Why == "" {
			v.Day, v.Why = d.of(f, path.Base(name))
		}
		at, done := before(f)
		switch {
		case v.Why != "":
		case done:
			b.Imported++
			v.Why = "it is imported, and was taken at " + at.Local().Format(time.DateTime)
		case !b.isOurs(f.Path):
			v.Why = b.Choice.unripe(d.matcher, f, there, b.Now())
			v.Wait = v.Why != ""
		}
		if v.Take = v.Why == ""; v.Take {
			b.names[f.known()] = asText(name)
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Verdict) int {
		return cmp.Or(compareBools(b.Take, a.Take), a.Day.Compare(b.Day), a.File.Modified.Compare(b.File.Modified), cmp.Compare(a.File.Path, b.File.Path))
	})
	return out, nil
}

// Look implements importer.Source.
func (b *Backfill) Look(ctx context.Context, imported func([]importer.File) (map[importer.File]time.Time, error)) ([]importer.File, error) {
	verdicts, err := b.Judge(ctx, imported)
	if err != nil {
		return nil, err
	}
	return b.choose(ctx, verdicts)
}

// asked are the backfill's days, each at noon, when no clock is set to another time.
func (b *Backfill) asked() []time.Time {
	var days []time.Time
	last := noon(b.Last, b.Choice.zone(), 0)
	for n := 0; ; n++ {
		day := noon(b.First, b.Choice.zone(), n)
		if day.After(last) {
			return days
		}
		days = append(days, day)
	}
}

// noon is that of some days after t.
func noon(t time.Time, zone *time.Location, after int) time.Time {
	y, m, d := t.In(zone).Date()
	return time.Date(y, m, d+after, 12, 0, 0, 0, zone)
}

// original is the path that a file had before it was put away, but for a number
// that may have been added.
func (b *Backfill) original(name string) string {
	switch {
	case !b.isOurs(name):
		return name
	case b.After == Rename:
		return strings.TrimSuffix(name, renamedSuffix)
	default:
		return strings.TrimPrefix(name, path.Clean(b.Archive)+"/")
	}
}

// number is what move adds to a name that is taken, once or twice.
var number = regexp.MustCompile(`-\d+(\.[^.]*)?$`)

// dating finds the days of files.
type dating struct {
	days    []time.Time
	zone    *time.Location
	matcher *matcher
	each    []*matcher           // one for each day; nil where the names tell none
	taken   map[string]time.Time // by path: when files without a time were taken first
	ours    func(string) bool
}

func (b *Backfill) dating(ctx context.Context, files []File, days []time.Time) (*dating, error) {
	d := &dating{days: days, zone: b.Choice.zone(), ours: b.isOurs}
	var err error
	if d.matcher, err = b.Choice.compile(days); err != nil {
		return nil, err
	}
	dated, err := b.Choice.isDated()
	if err != nil {
		return nil, err
	}
	if dated {
		for _, day := range days {
			m, err := b.Choice.compile([]time.Time{day})
			if err != nil {
				return nil, err
			}
			d.each = append(d.each, m)
		}
		return d, nil
	}
	var timeless []string
	for _, f := range files {
		if f.Odd == "" && f.Modified.IsZero() {
			timeless = append(timeless, f.known().Path)
		}
	}
	if len(timeless) > 0 {
		d.taken, err = b.FirstTaken(ctx, timeless)
	}
	return d, err
}

// nameOf is the name by which a file is judged: where it got a number when it was
// put away, and matches without it alone, that is its old name.
func (d *dating) nameOf(f File, name string) string {
	if !d.ours(f.Path) || d.matcher.matches(path.Base(name)) {
		return name
	}
	put := path.Base(f.Path)
	for range 2 {
		put = number.ReplaceAllString(put, "$1")
		if base := strings.TrimSuffix(put, renamedSuffix); d.matcher.matches(base) {
			return path.Join(path.Dir(name), base)
		}
	}
	return name
}

// of is a file's day, the zero time and why when it is none of the backfill's.
func (d *dating) of(f File, name string) (time.Time, string) {
	for i, m := range d.each {
		if m.matches(name) {
			return d.days[i], ""
		}
	}
	at := f.Modified
	if at.IsZero() {
		at = d.taken[f.known().Path]
	}
	if at.IsZero() {
		return at, "nobody knows its day: its place tells no time, and it was never taken"
	}
	day := noon(at, d.zone, 0)
	if len(d.days) == 0 || day.Before(d.days[0]) || day.After(d.days[len(d.days)-1]) {
		return time.Time{}, "it is of " + day.Format(time.DateOnly) + ", which is not asked for"
	}
	return day, ""
}

// isDated tells whether a name that matches tells its day.
func (c Choice) isDated() (bool, error) {
	one, err := c.compile([]time.Time{time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)})
	if err != nil {
		return false, err
	}
	both, err := c.compile([]time.Time{time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(2012, 11, 14, 4, 5, 6, 0, time.UTC)})
	if err != nil {
		return false, err
	}
	return len(both.globs)+len(both.expressions) > len(one.globs)+len(one.expressions), nil
}

func (c Choice) zone() *time.Location {
	if c.Zone == nil {
		return time.Local
	}
	return c.Zone
}
