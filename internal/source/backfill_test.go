package source_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/source"
)

// shelf is a place that has these files.
type shelf struct {
	source.Place

	files []source.File
}

func (s shelf) List(context.Context) ([]source.File, error) { return s.files, nil }

// on is a day at six o'clock.
func on(day int) time.Time { return time.Date(2026, 11, day, 6, 0, 0, 0, time.UTC) }

// newBackfill is for the 20th to the 22nd.
func newBackfill(t *testing.T, files []source.File, pattern string) *source.Backfill {
	t.Helper()
	f := newFeed(t, shelf{files: files})
	f.Choice.Pattern, f.Choice.Zone, f.After, f.Archive = pattern, time.UTC, source.Archive, "imported"
	return &source.Backfill{Feed: f, First: on(20), Last: on(22), FirstTaken: func(context.Context, []string) (map[string]time.Time, error) {
		return nil, nil
	}}
}

// judged returns the days of what is to be taken, in its order, and why the others
// are not.
func judged(t *testing.T, b *source.Backfill, imported ...source.File) (take [][2]string, left map[string]string) {
	t.Helper()
	verdicts, err := b.Judge(t.Context(), func(asked []importer.File) (map[importer.File]time.Time, error) {
		done := map[importer.File]time.Time{}
		for _, f := range asked {
			for _, i := range imported {
				if f.Path == i.Path {
					done[f] = sixAM
				}
			}
		}
		return done, nil
	})
	require.NoError(t, err)
	left = map[string]string{}
	for _, v := range verdicts {
		if require.Equal(t, v.Take, v.Why == "", v.File.Path); !v.Take {
			left[v.File.Path] = v.Why
			continue
		}
		require.Empty(t, left, "what is taken comes first")
		take = append(take, [2]string{v.File.Path, v.Day.Format(time.DateOnly)})
	}
	return take, left
}

func TestABackfillGoesByTheDayInTheName(t *testing.T) {
	t.Parallel()
	for pattern, write := range map[string]string{
		`leads-{{.Date "20060102"}}.csv`:                        "leads-20060102.csv",
		`/^leads-{{.Date "2006-01-02"}}\.csv$/`:                 "leads-2006-01-02.csv",
		`{{.Date "Jan_2006"}}_{{.Date "02"}}_leads.csv`:         "Jan_2006_02_leads.csv",
		`{{.Date "2006"}}{{.Date "01"}}{{.Date "02"}}leads.csv`: "20060102leads.csv",
	} {
		names := map[int]string{}
		var files []source.File
		for _, day := range []int{23, 22, 20, 19} {
			names[day] = on(day).Format(write)
			files = append(files, old(names[day])...)
		}
		take, left := judged(t, newBackfill(t, files, pattern))
		require.Equal(t, [][2]string{{names[20], "2026-11-20"}, {names[22], "2026-11-22"}}, take)
		no := "its name does not match " + pattern
		require.Equal(t, map[string]string{names[19]: no, names[23]: no}, left)
	}
}

func TestABackfillGoesByTheDayOfWritingInTheFeedsZone(t *testing.T) {
	t.Parallel()
	at := func(name string, day, hour, minute int) source.File {
		return source.File{Path: name, Size: 7, Modified: time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC)}
	}
	b := newBackfill(t, []source.File{
		at("before.csv", 20, 4, 59), at("first.csv", 20, 5, 0), at("last.csv", 23, 4, 59), at("after.csv", 23, 5, 0), at("note.txt", 21, 6, 0),
	}, "*.csv")
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	b.Choice.Zone = zone
	b.First, b.Last = time.Date(2026, 11, 20, 0, 0, 0, 0, zone), time.Date(2026, 11, 22, 23, 59, 0, 0, zone)
	take, left := judged(t, b)
	require.Equal(t, [][2]string{{"first.csv", "2026-11-20"}, {"last.csv", "2026-11-22"}}, take)
	require.Equal(t, map[string]string{
		"before.csv": "it is of 2026-11-19, which is not asked for",
		"after.csv":  "it is of 2026-11-23, which is not asked for",
		"note.txt":   "its name does not match *.csv",
	}, left)
}

func TestABackfillGoesByTheLedgerWhereThePlaceTellsNoTime(t *testing.T) {
	t.Parallel()
	b := newBackfill(t, []source.File{{Path: "a.csv", Size: 7}, {Path: "b.csv", Size: 7}, {Path: "c.csv", Size: 7}, {Path: "M\xfc.csv", Size: 7}}, "*.csv")
	b.FirstTaken = func(_ context.Context, paths []string) (map[string]time.Time, error) {
		require.ElementsMatch(t, []string{"a.csv", "b.csv", "c.csv", "M%FC.csv"}, paths)
		return map[string]time.Time{"a.csv": on(21), "b.csv": on(24), "M%FC.csv": on(20)}, nil
	}
	take, left := judged(t, b)
	require.Equal(t, [][2]string{{"M\xfc.csv", "2026-11-20"}, {"a.csv", "2026-11-21"}}, take)
	require.Equal(t, map[string]string{
		"b.csv": "it is of 2026-11-24, which is not asked for",
		"c.csv": "nobody knows its day: its place tells no time, and it was never taken",
	}, left)
}

func TestABackfillLeavesWhatIsImportedAndWhatIsWritten(t *testing.T) {
	t.Parallel()
	files := []source.File{
		{Path: "done.csv", Modified: on(20)},
		{Path: "imported/a.csv", Modified: on(20)},
		{Path: "imported/a.csv.done", Modified: on(20)},
		{Path: "imported/b.csv", Modified: on(21)},
		{Path: "in.csv", Modified: on(22)},
		{Path: "in.csv.done", Modified: on(22)},
		{Path: "sub", Odd: "a folder"},
		{Path: "unmarked.csv", Modified: on(22)},
		{Path: "young.csv", Modified: on(22).Add(time.Hour)},
		{Path: "young.csv.done", Modified: on(22).Add(time.Hour)},
	}
	b := newBackfill(t, files, "*")
	b.Choice.Marker, b.Choice.MinAge = "{{.Name}}.done", time.Hour
	b.Now = func() time.Time { return on(22).Add(90 * time.Minute) }
	take, left := judged(t, b, files[0], files[3], files[6])
	require.Equal(t, [][2]string{{"imported/a.csv", "2026-11-20"}, {"in.csv", "2026-11-22"}}, take)
	only := "it only says that another file is complete"
	done := "it is imported, and was taken at " + sixAM.Local().Format(time.DateTime)
	require.Equal(t, map[string]string{
		"done.csv": done, "imported/b.csv": done, "imported/a.csv.done": only, "in.csv.done": only, "young.csv.done": only,
		"sub": "it is a folder", "unmarked.csv": "its marker unmarked.csv.done is not there yet", "young.csv": "it was written to less than 1h ago",
	}, left)
	require.Equal(t, 2, b.Imported)
}

func TestABackfillKnowsAFileByTheNameThatItHadBefore(t *testing.T) {
	t.Parallel()
	const pattern = `leads-{{.Date "20060102"}}.csv`
	b := newBackfill(t, old("imported/leads-20261120.csv", "imported/leads-20261121-7.csv", "imported/in/leads-20261122-7-2.csv", "leads-20261122-7.csv"), pattern)
	take, left := judged(t, b)
	require.Equal(t, [][2]string{
		{"imported/leads-20261120.csv", "2026-11-20"}, {"imported/leads-20261121-7.csv", "2026-11-21"}, {"imported/in/leads-20261122-7-2.csv", "2026-11-22"},
	}, take)
	require.Len(t, left, 1, "nothing was added to the name of a file that was not put away")

	b = newBackfill(t, old("leads-20261120.csv.imported", "leads-20261121.csv-7.imported", "leads-20261122.csv"), pattern)
	b.After = source.Rename
	take, left = judged(t, b)
	require.Len(t, take, 3)
	require.Empty(t, left)
}

func TestABackfillTakesFromTheArchiveAndLeavesItThere(t *testing.T) {
	t.Parallel()
	onEveryKeeper(t, func(t *testing.T, dir string, open func(view) source.Keeper) {
		content := lay(t, dir, "imported/in/leads-12.csv", "Olive")
		f := newFeed(t, open(view{folder: dir, also: "imported"}))
		f.Choice.Pattern, f.After, f.Archive = "leads.csv", source.Archive, "imported"
		b := &source.Backfill{Feed: f, First: time.Now(), Last: time.Now()}
		files, err := b.Look(t.Context(), nothingTaken)
		require.NoError(t, err)
		require.Empty(t, files, "a folder in the archive is looked into where folders are")

		b.At = open(view{folder: dir, also: "imported", except: []string{"imported"}, recursive: true})
		files, err = b.Look(t.Context(), nothingTaken)
		require.NoError(t, err)
		require.Len(t, files, 1)
		drops, err := b.Take(t.Context(), files[0])
		require.NoError(t, err)
		require.Len(t, drops, 1)
		require.Equal(t, "in/leads.csv", drops[0].Drop.Name, "as it was called")
		require.EqualValues(t, len(content), drops[0].Drop.Bytes)
		for range 2 {
			away, err := b.PutAway(t.Context(), importer.TakenFile{ID: 7, File: files[0]})
			require.NoError(t, err)
			require.Zero(t, away)
		}
		require.FileExists(t, dir+"/imported/in/leads-12.csv")
		there, err := os.ReadDir(dir + "/imported")
		require.NoError(t, err)
		require.Len(t, there, 1)
	})
}
