package main

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/config"
	"importer/internal/importer"
	"importer/internal/report"
	"importer/internal/source"
)

// backfilling is what importer backfill was asked for.
type backfilling struct {
	since, until string
	calls        int // in flight; 0: the usual share
	dryRun       bool
	noWait       bool
}

func backfillCommand(sh *shell) *cobra.Command {
	var b backfilling
	cmd := &cobra.Command{
		Use:   "backfill FEED --since D [--until D]",
		Short: "Import a feed's files of some days, safe to repeat",
		Long: `Imports a feed's files of the days from --since to --until (yesterday, unless you
say another day), both included, the oldest first: those that lie at its source,
and those that were put away there (in the archive folder, or under the name
….imported), which stay where they are. Days are local days of the feed's
time_zone. A file's day is the one in its name, where the pattern has a
{{.Date}}; else the one on which it was written to, or, where the source does not
tell that, first taken.

Only what was never loaded is sent: a file whose drops are done is not even
fetched, and leads that are known end as DUPLICATE, whichever file they are in.
Rows that ended as ERROR or REVIEW are not sent again, that is what importer
retry --since is for. A file that was held or could not be read is looked at
anew. A file at the source that is still being written is left to importer run.

It leaves the dialer to others: no more than a quarter of its calls in flight are
asked for (two, where that is less), or --concurrency of them; and as long as
something else has leads for the same dialer, whichever feed's, one call at most.
at_most does not count here.

Interrupted or killed, the same command goes on where it was. As importer run, it
first brings in what earlier runs of the feed left unfinished in the spool.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			return sh.withLedger(cmd.Context(), func(app *app) error { return app.backfill(cmd.Context(), a[0], b) })
		},
	}
	cmd.Flags().StringVar(&b.since, "since", "", "the first day: 2026-11-24, yesterday, or 7d ago (required)")
	cmd.Flags().StringVar(&b.until, "until", "", "the last day (default: yesterday)")
	cmd.Flags().BoolVar(&b.dryRun, "dry-run", false, "only tell of each file whether it would be taken, or why not")
	cmd.Flags().IntVar(&b.calls, "concurrency", 0, "calls in flight (default: a quarter of the dialer's, at least two)")
	cmd.Flags().BoolVar(&b.noWait, "no-wait", false, "leave rows whose answers were lost to a later importer reconcile")
	return cmd
}

func (a *app) backfill(ctx context.Context, name string, b backfilling) error {
	feed, err := a.feed(name)
	if err != nil {
		return err
	}
	if feed.Source.HTTPS != nil {
		return usagef("feeds.%s comes from a web address, which has one file and no older ones: use importer run %s", name, name)
	}
	first, last, err := b.days(feed, time.Now())
	if err != nil {
		return err
	}
	share, err := b.share(a.cfg.Dialers[feed.Dialer].Concurrency)
	if err != nil {
		return err
	}
	archive := ""
	if feed.Source.After == string(source.Archive) {
		archive = path.Clean(feed.Source.Archive)
	}
	return a.atSource(ctx, name, feed, archive, func(feed config.Feed, src *source.Feed) error {
		older := &source.Backfill{Feed: src, First: first, Last: last, FirstTaken: func(ctx context.Context, paths []string) (map[string]time.Time, error) {
			return a.ledger.FirstTaken(ctx, name, src.Place(), paths)
		}}
		if b.dryRun {
			return a.rehearse(ctx, name, feed, older)
		}
		return a.carry(name, feed, b.noWait, func(im *importer.Importer, f importer.Feed) (importer.Summary, error) {
			im.Limits.Share, im.Limits.Yields = share, true
			s, err := im.Backfill(ctx, f, older)
			s.Known = older.Imported
			a.sayBackfilled(s, older, err)
			return s, err
		})
	})
}

// rehearse tells what a backfill would take.
func (a *app) rehearse(ctx context.Context, name string, feed config.Feed, src *source.Backfill) error {
	settings := settingsOf(feed, a.cfg.Dialers[feed.Dialer])
	verdicts, err := src.Judge(ctx, func(listed []importer.File) (map[importer.File]time.Time, error) {
		return a.ledger.Imported(ctx, name, src.Place(), settings, listed)
	})
	if err != nil {
		return err
	}
	return a.sayVerdicts(name, src.Feed, verdicts)
}

func (a *app) sayBackfilled(s importer.Summary, src *source.Backfill, err error) {
	if !a.json && s.Known > 0 {
		fmt.Fprintf(a.out, "Imported already: %s of these days\n", report.Some(s.Known, "file"))
	}
	if !a.json && s.Files == 0 && err == nil {
		fmt.Fprintf(a.out, "There are no files of these days to be taken at %s\n", src.Place())
	}
	a.sayLeft(src.Left)
}

// days are moments of the first and the last day, in the feed's time zone.
func (b backfilling) days(feed config.Feed, now time.Time) (first, last time.Time, err error) {
	const most = 3660
	zone, err := time.LoadLocation(feed.TimeZone)
	if err != nil {
		return first, last, err
	}
	now = now.In(zone)
	if b.since == "" {
		return first, last, usagef("say from which day on: --since 2026-11-24, yesterday, or 7d")
	}
	if first, _, err = parseDay(b.since, now); err != nil {
		return first, last, err
	}
	until := b.until
	if until == "" {
		until = "yesterday"
	}
	if last, _, err = parseDay(until, now); err != nil {
		return first, last, err
	}
	a, z := first.Format(time.DateOnly), last.Format(time.DateOnly)
	switch {
	case a > z && b.until == "":
		return first, last, usagef("--since is after yesterday, and the files of today are for importer run: give --until too if you mean it")
	case a > z:
		return first, last, usagef("--until (%s) is before --since (%s): exchange them", z, a)
	case last.Sub(first) > most*24*time.Hour:
		return first, last, usagef("from %s to %s are more than ten years: correct --since, or do it in parts", a, z)
	}
	return first, last, nil
}

// share is how many calls in flight a backfill asks for at most, of those that
// the dialer may have.
func (b backfilling) share(limit int) (int, error) {
	switch {
	case b.calls < 0 || b.calls > limit:
		return 0, usagef("--concurrency is between 1 and the dialer's own, %d", limit)
	case b.calls > 0:
		return b.calls, nil
	}
	return max(min(2, limit), limit/4), nil // one lost answer is not to stop it
}
