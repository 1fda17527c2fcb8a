package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/report"
)

// withLedger runs what only reads the ledger.
func (sh *shell) withLedger(ctx context.Context, read func(*app) error) error {
	a, err := sh.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	return read(a)
}

// knowFeed refuses a feed that neither the configuration nor the ledger has.
func (a *app) knowFeed(ctx context.Context, name string) error {
	if _, configured := a.cfg.Feeds[name]; configured || name == "" {
		return nil
	}
	runs, err := a.ledger.ListRuns(ctx, ledger.RunFilter{Feed: name, Limit: 1})
	if err != nil || len(runs) > 0 {
		return err
	}
	_, err = a.feed(name)
	return err
}

func runsCommand(sh *shell) *cobra.Command {
	f := ledger.RunFilter{Limit: 20}
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List runs, newest first",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.withLedger(cmd.Context(), func(a *app) error {
				if err := a.knowFeed(cmd.Context(), f.Feed); err != nil {
					return err
				}
				runs, err := a.ledger.ListRuns(cmd.Context(), f)
				if err != nil {
					return err
				}
				return report.Runs(a.out, a.format(), runs)
			})
		},
	}
	cmd.Flags().StringVarP(&f.Feed, "feed", "f", "", "only runs of this feed")
	cmd.Flags().IntVarP(&f.Limit, "limit", "n", f.Limit, "how many at most, 0: all")
	return cmd
}

func runNumber(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, usagef("%q is no run number, see importer runs", text)
	}
	return n, nil
}

func showCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "show RUN",
		Short: "Show what a run did",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			run, err := runNumber(a[0])
			if err != nil {
				return err
			}
			return sh.withLedger(cmd.Context(), func(a *app) error {
				runs, err := a.ledger.ListRuns(cmd.Context(), ledger.RunFilter{ID: run})
				if err != nil {
					return err
				}
				changed, err := a.ledger.Changes(cmd.Context(), run)
				if err != nil {
					return err
				}
				return report.Show(a.out, a.format(), runs[0], changed)
			})
		},
	}
}

func reportCommand(sh *shell) *cobra.Command {
	var f ledger.RunFilter
	var since, format string
	cmd := &cobra.Command{
		Use:   "report [--run N | --feed F | --since D]",
		Short: "Count rows by outcome and reason",
		Long: `Counts the rows of the drops on which the chosen runs worked, as they stand
now, each drop once however often it came.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			as, err := report.ParseFormat(format)
			if err != nil {
				return usageError{err}
			}
			if sh.json {
				as = report.JSON
			}
			if f.Since, err = parseSince(since, time.Now()); err != nil {
				return err
			}
			return sh.withLedger(cmd.Context(), func(a *app) error {
				if err := a.knowFeed(cmd.Context(), f.Feed); err != nil {
					return err
				}
				drops, err := a.ledger.DropCounts(cmd.Context(), f)
				if err != nil {
					return err
				}
				return report.Counts(a.out, as, importer.Summary{Drops: drops}.Counts())
			})
		},
	}
	cmd.Flags().Int64Var(&f.ID, "run", 0, "only this run")
	cmd.Flags().StringVarP(&f.Feed, "feed", "f", "", "only this feed")
	cmd.Flags().StringVar(&since, "since", "", "only runs since then: 2026-11-24, yesterday, or 7d ago")
	cmd.Flags().StringVar(&format, "format", "table", "table, csv or json")
	return cmd
}

// parseSince reads a day, "today", "yesterday" or a number of days as 7d.
func parseSince(text string, now time.Time) (time.Time, error) {
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	var days int
	switch _, err := fmt.Sscanf(text+"\n", "%dd\n", &days); {
	case text == "":
		return time.Time{}, nil
	case text == "today":
		return today, nil
	case text == "yesterday":
		return today.AddDate(0, 0, -1), nil
	case err == nil && days >= 0:
		return now.AddDate(0, 0, -days), nil
	}
	day, err := time.ParseInLocation(time.DateOnly, text, now.Location())
	if err != nil {
		return day, usagef("%q is no day: write 2026-11-24, today, yesterday, or 7d", text)
	}
	return day, nil
}
