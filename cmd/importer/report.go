package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/ledger"
	"importer/internal/report"
)

func reportCommand(sh *shell) *cobra.Command {
	var f ledger.RunFilter
	var since, until, format, by string
	cmd := &cobra.Command{
		Use:   "report [--run N | --feed F | --since D]",
		Short: "Count rows by outcome and reason, or by run, day, feed, list or dialer",
		Long: `Counts the rows of the drops on which the chosen runs worked, as they stand
now, each drop once however often it came: whatever they are counted by, they add
up to the same.

  reason      outcome and reason
  run         the run that recorded or sent a row last, with its calls and duration
  day         the local day on which the row's drop was first seen; calls and
              durations are those of the runs that began on that day
  feed        the row's feed
  list        the list of the row's lead
  dialer      the dialer that the row was for
  duplicates  DUPLICATE rows only, by where their leads came from first: the drop
              that holds them, or the dialer itself`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			as, err := report.ParseFormat(format)
			if err != nil {
				return usageError{err}
			}
			if sh.json {
				as = report.JSON
			}
			group, err := report.ParseBy(by)
			if err != nil {
				return usageError{err}
			}
			if f.Since, err = parseSince(since, time.Now()); err != nil {
				return err
			}
			if f.Until, err = parseUntil(until, time.Now()); err != nil {
				return err
			}
			return sh.withLedger(cmd.Context(), func(a *app) error { return a.report(cmd.Context(), f, group, as) })
		},
	}
	cmd.Flags().Int64Var(&f.ID, "run", 0, "only this run")
	cmd.Flags().StringVarP(&f.Feed, "feed", "f", "", "only this feed")
	cmd.Flags().StringVar(&since, "since", "", "only runs since then: 2026-11-24, yesterday, or 7d ago")
	cmd.Flags().StringVar(&until, "until", "", "only runs until the end of that day, or until 7d ago")
	cmd.Flags().StringVar(&by, "by", "reason", "what to count by: reason, run, day, feed, list, dialer or duplicates")
	cmd.Flags().StringVar(&format, "format", "table", "table, csv or json")
	return cmd
}

func (a *app) report(ctx context.Context, f ledger.RunFilter, by report.By, as report.Format) error {
	if err := a.knowFeed(ctx, f.Feed); err != nil {
		return err
	}
	if by == report.ByDuplicates {
		origins, err := a.ledger.Origins(ctx, f)
		if err != nil {
			return err
		}
		return report.Origins(a.out, as, origins)
	}
	account, err := a.ledger.Account(ctx, f, by == report.ByList)
	switch {
	case err != nil:
		return err
	case by == report.ByReason:
		return report.Counts(a.out, as, account.Counts())
	}
	return report.Groups(a.out, as, by, account)
}

// parseSince reads a day, "today", "yesterday" or a number of days as 7d.
func parseSince(text string, now time.Time) (time.Time, error) {
	t, _, err := parseDay(text, now)
	return t, err
}

// parseUntil reads the same as a moment before which something was: a day's is
// its end.
func parseUntil(text string, now time.Time) (time.Time, error) {
	t, day, err := parseDay(text, now)
	if day {
		t = t.AddDate(0, 0, 1)
	}
	return t, err
}

// parseDay tells whether what it has read is a day, of which it returns the
// beginning.
func parseDay(text string, now time.Time) (t time.Time, day bool, err error) {
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	var days int
	switch _, err := fmt.Sscanf(text+"\n", "%dd\n", &days); {
	case text == "":
		return time.Time{}, false, nil
	case text == "today":
		return today, true, nil
	case text == "yesterday":
		return today.AddDate(0, 0, -1), true, nil
	case err == nil && days >= 0:
		return now.AddDate(0, 0, -days), false, nil
	}
	if t, err = time.ParseInLocation(time.DateOnly, text, now.Location()); err != nil {
		return t, false, usagef("%q is no day: write 2026-11-24, today, yesterday, or 7d", text)
	}
	return t, true, nil
}
