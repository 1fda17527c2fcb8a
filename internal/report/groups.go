package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"importer/internal/importer"
)

// By is what a report's rows are counted by.
type By string

// What rows are counted by.
const (
	ByReason     By = "reason" // and outcome
	ByRun        By = "run"
	ByDay        By = "day"
	ByFeed       By = "feed"
	ByList       By = "list"
	ByDialer     By = "dialer"
	ByDuplicates By = "duplicates" // those alone, by where their leads came from first
)

// ParseBy reads what rows are counted by.
func ParseBy(name string) (By, error) {
	switch by := By(name); by {
	case ByReason, ByRun, ByDay, ByFeed, ByList, ByDialer, ByDuplicates:
		return by, nil
	}
	return "", fmt.Errorf("rows are not counted by %q: use reason, run, day, feed, list, dialer or duplicates", name)
}

// RunGroup is a run with the rows that it recorded or sent last.
type RunGroup struct {
	Run     int64  `csv:"run" json:"run"`
	Feed    string `csv:"feed" json:"feed"`
	Kind    string `csv:"kind" json:"kind"`
	Started string `csv:"started" json:"started"`
	Work
	started time.Time
}

func (g RunGroup) cells() []any {
	return append([]any{g.Run, g.Feed, g.Kind, When(g.started)}, g.Work.cells()...)
}

// DayGroup is a day with the rows of the drops that were first seen on it, and
// the effort of the runs that began on it.
type DayGroup struct {
	Day string `csv:"day" json:"day"`
	Work
}

func (g DayGroup) cells() []any { return append([]any{g.Day}, g.Work.cells()...) }

// FeedGroup is a feed with its rows.
type FeedGroup struct {
	Feed string `csv:"feed" json:"feed"`
	Sums
}

func (g FeedGroup) cells() []any { return append([]any{g.Feed}, g.Sums.cells()...) }

// DialerGroup is a dialer with the rows that were for it.
type DialerGroup struct {
	Dialer string `csv:"dialer" json:"dialer"`
	Sums
}

func (g DialerGroup) cells() []any { return append([]any{g.Dialer}, g.Sums.cells()...) }

// ListGroup is a dialer's list with the leads for it. Rows that became no lead
// have none.
type ListGroup struct {
	Dialer string `csv:"dialer" json:"dialer"`
	List   string `csv:"list_id" json:"list_id"`
	Sums
}

func (g ListGroup) cells() []any {
	return append([]any{g.Dialer, cmp.Or(g.List, "no lead")}, g.Sums.cells()...)
}

// Groups writes how many rows of an account had which outcome, by anything but
// reason and duplicates.
func Groups(w io.Writer, f Format, by By, a importer.Account) error {
	rows := map[int64]int{}
	for _, c := range a.Rows {
		rows[c.Run] += c.Rows
	}
	all := sumsOf(a.Counts())
	work := Work{all, effortOf(a.Runs, rows)}
	switch by {
	case ByRun:
		return writeGroups(w, f, by, append([]any{"run", "feed", "kind", "started"}, workHeader...), runGroups(a, rows), work)
	case ByDay:
		return writeGroups(w, f, by, append([]any{"day"}, workHeader...), dayGroups(a, rows), work)
	case ByFeed:
		return writeGroups(w, f, by, append([]any{"feed"}, sumsHeader...), feedGroups(a), all)
	case ByDialer:
		return writeGroups(w, f, by, append([]any{"dialer"}, sumsHeader...), dialerGroups(a), all)
	case ByList:
		return writeGroups(w, f, by, append([]any{"dialer", "list"}, sumsHeader...), listGroups(a), all)
	default:
		return fmt.Errorf("an account has no groups by %s", by)
	}
}

// counted adds an account's rows up by a key.
func counted[K comparable](a importer.Account, key func(importer.Counted) K) map[K]importer.Counts {
	sums := map[K]importer.Counts{}
	for _, c := range a.Rows {
		k := key(c)
		if sums[k] == nil {
			sums[k] = importer.Counts{}
		}
		sums[k][c.StateReason] += c.Rows
	}
	return sums
}

func runGroups(a importer.Account, rows map[int64]int) (groups []RunGroup) {
	by := counted(a, func(c importer.Counted) int64 { return c.Run })
	for _, r := range a.Runs {
		work := Work{sumsOf(by[r.ID]), effortOf([]importer.RunInfo{r}, rows)}
		groups = append(groups, RunGroup{r.ID, r.Feed, r.Kind, r.Started.Format(time.RFC3339), work, r.Started})
	}
	return groups
}

func dayGroups(a importer.Account, rows map[int64]int) (groups []DayGroup) {
	day := func(t time.Time) string { return t.Local().Format(time.DateOnly) }
	by := counted(a, func(c importer.Counted) string { return day(a.Drops[c.Drop].FirstSeen) })
	began := map[string][]importer.RunInfo{}
	for _, r := range a.Runs {
		began[day(r.Started)] = append(began[day(r.Started)], r)
	}
	days := slices.AppendSeq(slices.Collect(maps.Keys(by)), maps.Keys(began))
	slices.Sort(days)
	for _, d := range slices.Backward(slices.Compact(days)) {
		groups = append(groups, DayGroup{d, Work{sumsOf(by[d]), effortOf(began[d], rows)}})
	}
	return groups
}

func feedGroups(a importer.Account) (groups []FeedGroup) {
	by := counted(a, func(c importer.Counted) string { return a.Drops[c.Drop].Feed })
	for _, feed := range slices.Sorted(maps.Keys(by)) {
		groups = append(groups, FeedGroup{feed, sumsOf(by[feed])})
	}
	return groups
}

func dialerGroups(a importer.Account) (groups []DialerGroup) {
	by := counted(a, func(c importer.Counted) string { return a.Drops[c.Drop].Dialer })
	for _, dialer := range slices.Sorted(maps.Keys(by)) {
		groups = append(groups, DialerGroup{dialer, sumsOf(by[dialer])})
	}
	return groups
}

func listGroups(a importer.Account) (groups []ListGroup) {
	type list struct{ dialer, id string }
	by := counted(a, func(c importer.Counted) list { return list{a.Drops[c.Drop].Dialer, c.ListID} })
	for l, counts := range by {
		groups = append(groups, ListGroup{l.dialer, l.id, sumsOf(counts)})
	}
	slices.SortFunc(groups, func(a, b ListGroup) int {
		// Of numbers without leading zeros the longer is the greater.
		return cmp.Or(cmp.Compare(a.Dialer, b.Dialer), cmp.Compare(len(a.List), len(b.List)), cmp.Compare(a.List, b.List))
	})
	return groups
}

// celled is what stands in a line of a table.
type celled interface{ cells() []any }

// writeGroups writes groups and, for people and in JSON, what they add up to.
func writeGroups[G, T celled](w io.Writer, f Format, by By, header []any, groups []G, total T) error {
	switch f {
	case CSV:
		return writeCSV(w, groups)
	case JSON:
		if groups == nil {
			groups = []G{}
		}
		return writeJSON(w, map[string]any{"by": by, "groups": groups, "total": total})
	case Table:
	}
	if len(groups) == 0 {
		_, err := fmt.Fprintln(w, "no rows")
		return err
	}
	t := newTable(header...)
	for _, g := range groups {
		t.AppendRow(table.Row(g.cells()))
	}
	t.AppendSeparator()
	sums := total.cells()
	last := table.Row{"all"}
	for range len(header) - len(sums) - 1 {
		last = append(last, "")
	}
	t.AppendRow(append(last, sums...))
	_, err := fmt.Fprintln(w, t.Render())
	return err
}
