package source_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/source"
)

// sixAM is when the tests below look at a place.
var sixAM = time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC)

// old are files of the day before.
func old(names ...string) (files []source.File) {
	for _, n := range names {
		files = append(files, source.File{Path: n, Size: 7, Modified: sixAM.Add(-24 * time.Hour)})
	}
	return files
}

// choose returns what is to be taken, in its order, and why the others are not.
func choose(t *testing.T, c source.Choice, files []source.File, days ...time.Time) (take []string, left map[string]string) {
	t.Helper()
	if days == nil {
		days = []time.Time{sixAM}
	}
	require.NoError(t, c.Check())
	verdicts, err := c.Choose(files, func(source.File) (time.Time, bool) { return time.Time{}, false }, days, sixAM)
	require.NoError(t, err)
	require.Len(t, verdicts, len(files), "each file gets a verdict")
	left = map[string]string{}
	for _, v := range verdicts {
		if require.Equal(t, v.Take, v.Why == "", v.File.Path); v.Take {
			require.Empty(t, left, "what is taken comes first")
			take = append(take, v.File.Path)
		} else {
			left[v.File.Path] = v.Why
		}
	}
	return take, left
}

func TestFilesAreChosenByTheirNames(t *testing.T) {
	t.Parallel()
	files := old("a.csv", "in/b.csv", "b1.CSV", "leads_1.csv", "leads_12.csv", "leads.csv.zip", "M\xfcller.csv")
	for pattern, want := range map[string][]string{
		"*":                  {"M\xfcller.csv", "a.csv", "b1.CSV", "in/b.csv", "leads.csv.zip", "leads_1.csv", "leads_12.csv"},
		"*.csv":              {"M\xfcller.csv", "a.csv", "in/b.csv", "leads_1.csv", "leads_12.csv"},
		"?.csv":              {"a.csv", "in/b.csv"},
		"M?ller.csv":         {"M\xfcller.csv"},
		"leads_?.csv":        {"leads_1.csv"},
		"[ab]*":              {"a.csv", "b1.CSV", "in/b.csv"},
		`/^leads_\d+\.csv$/`: {"leads_1.csv", "leads_12.csv"},
		`/(?i)^.\d?\.csv$/`:  {"a.csv", "b1.CSV", "in/b.csv"},
		`/leads/`:            {"leads.csv.zip", "leads_1.csv", "leads_12.csv"},
		`/^M.ller/`:          {"M\xfcller.csv"},
	} {
		if want == nil {
			require.Error(t, source.Choice{Pattern: pattern}.Check())
			continue
		}
		take, left := choose(t, source.Choice{Pattern: pattern}, files)
		require.Equal(t, want, take, pattern)
		for name, why := range left {
			require.Equal(t, "its name does not match "+pattern, why, name)
		}
	}
}

func TestADayInANameIsTheDayInTheFeedsZone(t *testing.T) {
	t.Parallel()
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	auckland, err := time.LoadLocation("Pacific/Auckland")
	require.NoError(t, err)
	files := old("leads_20261125.csv", "leads_20261126.csv", "leads_20261127.csv")
	midnight := time.Date(2026, 11, 26, 0, 0, 0, 0, newYork)
	for _, k := range []struct {
		zone *time.Location
		at   time.Time
		want string
	}{
		{time.UTC, sixAM, "leads_20261126.csv"},
		{newYork, midnight.Add(-time.Nanosecond), "leads_20261125.csv"},
		{newYork, midnight, "leads_20261126.csv"},
		{time.UTC, midnight.Add(-time.Nanosecond), "leads_20261126.csv"}, // five o'clock there
		{auckland, time.Date(2026, 11, 26, 10, 59, 59, 0, time.UTC), "leads_20261126.csv"},
		{auckland, time.Date(2026, 11, 26, 11, 0, 0, 0, time.UTC), "leads_20261127.csv"},
	} {
		for _, pattern := range []string{`leads_{{.Date "20060102"}}.csv`, `/^leads_{{.Date "20060102"}}\.csv$/`} {
			take, _ := choose(t, source.Choice{Pattern: pattern, Zone: k.zone}, files, k.at)
			require.Equal(t, []string{k.want}, take, "%s at %s in %s", pattern, k.at, k.zone)
		}
	}
	several := source.Choice{Pattern: `leads_{{.Date "20060102"}}.csv`, Zone: time.UTC}
	take, left := choose(t, several, files, sixAM, sixAM.AddDate(0, 0, -1), sixAM)
	require.Equal(t, []string{"leads_20261125.csv", "leads_20261126.csv"}, take)
	require.Equal(t, `its name does not match leads_{{.Date "20060102"}}.csv`, left["leads_20261127.csv"])
}

func TestAFileWithAMarkerWaitsForIt(t *testing.T) {
	t.Parallel()
	const mark = "it only says that another file is complete"
	for marker, k := range map[string]struct {
		there []string
		take  []string
		left  map[string]string
	}{
		"{{.Name}}.done": {
			[]string{"a.csv", "a.csv.done", "b.csv", "in/b.csv.done", "in/c.csv", "in/c.csv.done"},
			[]string{"a.csv", "in/c.csv"},
			map[string]string{"a.csv.done": mark, "in/c.csv.done": mark, "b.csv": "its marker b.csv.done is not there yet", "in/b.csv.done": "its marker in/b.csv.done.done is not there yet"},
		},
		"{{.Stem}}.ok": {
			[]string{"a.csv", "a.ok", "b.tar.gz", "b.tar.ok", "c.csv", "d.ok"},
			[]string{"a.csv", "b.tar.gz"},
			map[string]string{"a.ok": mark, "b.tar.ok": mark, "c.csv": "its marker c.ok is not there yet", "d.ok": mark},
		},
		"COMPLETE": {
			[]string{"COMPLETE", "a.csv", "in/b.csv"},
			[]string{"a.csv"},
			map[string]string{"COMPLETE": mark, "in/b.csv": "its marker in/COMPLETE is not there yet"},
		},
	} {
		take, left := choose(t, source.Choice{Pattern: "*", Marker: marker}, old(k.there...))
		require.Equal(t, k.take, take, marker)
		require.Equal(t, k.left, left, marker)
	}
	_, left := choose(t, source.Choice{Pattern: "*.csv", Marker: "{{.Name}}.done"}, old("a.csv.done"))
	require.Equal(t, "its name does not match *.csv", left["a.csv.done"], "it may be another feed's")
}

func TestFilesInTheMakingAreLeft(t *testing.T) {
	t.Parallel()
	files := old(".a.csv", ".importer-X.part", "~$a.xlsx", "a.csv~", "a.csv.tmp", "a.csv.filepart", "a.csv.PART", "a.crdownload", "in/.a.csv", "in/a.swp")
	take, left := choose(t, source.Choice{Pattern: "*"}, files)
	require.Empty(t, take)
	for _, f := range files {
		require.Equal(t, "its name is that of a file in the making", left[f.Path])
	}
}

func TestAFileThatWasJustWrittenToIsLeft(t *testing.T) {
	t.Parallel()
	at := func(ago time.Duration) []source.File {
		return []source.File{{Path: "a.csv", Modified: sixAM.Add(-ago)}}
	}
	c := source.Choice{Pattern: "*", MinAge: time.Minute}
	for ago, why := range map[time.Duration]string{
		time.Minute:                     "",
		time.Hour:                       "",
		time.Minute - time.Nanosecond:   "it was written to less than 1m ago",
		0:                               "it was written to less than 1m ago",
		-time.Second:                    "its place says that it was written to at " + sixAM.Add(time.Second).Local().Format(time.DateTime) + ", which is still to come: correct the clock there, or wait until 1m after that",
		-24 * time.Hour:                 "its place says that it was written to at " + sixAM.AddDate(0, 0, 1).Local().Format(time.DateTime) + ", which is still to come: correct the clock there, or wait until 1m after that",
		-24*time.Hour - time.Nanosecond: "", // nobody waits for years
		-100 * 365 * 24 * time.Hour:     "",
	} {
		_, left := choose(t, c, at(ago))
		require.Equal(t, why, left["a.csv"], ago)
	}
	_, left := choose(t, c, []source.File{{Path: "a.csv"}})
	require.Empty(t, left, "its place tells no times")
	_, left = choose(t, source.Choice{Pattern: "*"}, at(-time.Second))
	require.Empty(t, left, "where no age is asked for, no clock counts")
}

func TestTheOldestFilesComeFirst(t *testing.T) {
	t.Parallel()
	files := []source.File{
		{Path: "a.csv", Modified: sixAM.Add(-1 * time.Hour)},
		{Path: "b.csv", Modified: sixAM.Add(-3 * time.Hour)},
		{Path: "c.txt", Modified: sixAM.Add(-9 * time.Hour)},
		{Path: "d.csv", Modified: sixAM.Add(-2 * time.Hour)},
		{Path: "e.csv", Modified: sixAM.Add(-3 * time.Hour)},
	}
	take, _ := choose(t, source.Choice{Pattern: "*.csv"}, files)
	require.Equal(t, []string{"b.csv", "e.csv", "d.csv", "a.csv"}, take)
}

func TestWhatWasTakenOrPutAwayOrCanBeNoDropIsLeft(t *testing.T) {
	t.Parallel()
	files := append(old("a.csv", "b.csv", "done/c.csv"), source.File{Path: "d.csv", Size: -1, Odd: "a symbolic link"}, source.File{Path: "deep", Size: -1, Odd: "a folder"})
	c := source.Choice{Pattern: "*", Ours: func(name string) bool { return name == "done/c.csv" }}
	verdicts, err := c.Choose(files, func(f source.File) (time.Time, bool) { return sixAM, f.Path == "a.csv" }, []time.Time{sixAM}, sixAM)
	require.NoError(t, err)
	whys := map[string]string{}
	for _, v := range verdicts {
		whys[v.File.Path] = v.Why
	}
	require.Equal(t, map[string]string{
		"a.csv":      "it was taken at " + sixAM.Local().Format(time.DateTime),
		"b.csv":      "",
		"done/c.csv": "it was put away here",
		"d.csv":      "it is a symbolic link",
		"deep":       "it is a folder",
	}, whys)
}

func TestAMarkerThatIsOlderThanItsFileIsThatOfAnEarlierOne(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]string{
		0:           "",
		-time.Hour:  "",
		time.Second: "its marker a.csv.done is older than the file, and may be that of an earlier one",
	} {
		at := sixAM.Add(-2 * time.Hour)
		files := []source.File{{Path: "a.csv", Modified: at}, {Path: "a.csv.done", Modified: at.Add(-age)}}
		verdicts, err := source.Choice{Pattern: "*.csv", Marker: "{{.Name}}.done"}.Choose(files, func(source.File) (time.Time, bool) { return time.Time{}, false }, []time.Time{sixAM}, sixAM)
		require.NoError(t, err)
		for _, v := range verdicts {
			if v.File.Path == "a.csv" {
				require.Equal(t, source.Verdict{File: files[0], Take: want == "", Wait: want != "", Why: want}, v)
			}
		}
	}
}

func TestAChoiceThatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	const (
		noPattern  = `is no pattern of file names: write one such as "*.csv", or a regular expression between two slashes`
		noTemplate = `is no template: in braces nothing but {{.Date "2006-01-02"}} may stand`
		aSlash     = "has a /, but it is compared with file names alone: move the folder to path, or write a regular expression between two slashes"
		noMarker   = "has a marker that is no template: in braces {{.Name}} or {{.Stem}} may stand"
	)
	for _, k := range []struct {
		c    source.Choice
		says string
	}{
		{source.Choice{Pattern: ""}, noPattern},
		{source.Choice{Pattern: "[a"}, noPattern},
		{source.Choice{Pattern: "a["}, noPattern},
		{source.Choice{Pattern: "in/*.csv"}, aSlash},
		{source.Choice{Pattern: "//"}, aSlash},
		{source.Choice{Pattern: `{{.Date "2006/01/02"}}.csv`}, aSlash},
		{source.Choice{Pattern: "/(/"}, `is no regular expression between its slashes: correct it, for example '/^leads_\d+\.csv$/'`},
		{source.Choice{Pattern: "{{.Date}}.csv"}, noTemplate},
		{source.Choice{Pattern: "{{.Day}}.csv"}, noTemplate},
		{source.Choice{Pattern: "{{"}, noTemplate},
		{source.Choice{Pattern: "*", Marker: "{{.Path}}"}, noMarker},
		{source.Choice{Pattern: "*", Marker: "{{"}, noMarker},
		{source.Choice{Pattern: "*", Marker: "{{.Name}}"}, "has a marker that is the file's own name: add what its marker has more, for example {{.Name}}.done"},
		{source.Choice{Pattern: "*", Marker: "{{.Stem}}.{{.Name}}"}, ""},
	} {
		if k.says == "" {
			require.NoError(t, k.c.Check())
			continue
		}
		require.EqualError(t, k.c.Check(), k.says)
		_, err := k.c.Choose(nil, nil, []time.Time{sixAM}, sixAM)
		require.EqualError(t, err, k.says)
	}
}
