package main

import (
	"context"
	"strconv"

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
		Long: `Shows what a run did: how it read its drops, rows by outcome and reason as it left
them, what was changed before rows were sent, the ten commonest reasons with the
first row that stands so now (the person's data masked), and the slowest minute:
of the full minutes since its first call the one in which the fewest calls began,
by the limits that the dialer is configured with now.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			run, err := runNumber(a[0])
			if err != nil {
				return err
			}
			return sh.withLedger(cmd.Context(), func(a *app) error { return a.show(cmd.Context(), run) })
		},
	}
}

func (a *app) show(ctx context.Context, run int64) error {
	runs, err := a.ledger.ListRuns(ctx, ledger.RunFilter{ID: run})
	if err != nil {
		return err
	}
	shown := report.Shown{Run: runs[0]}
	if shown.Changed, err = a.ledger.Changes(ctx, run); err != nil {
		return err
	}
	var drops []importer.Drop // on which it worked
	for _, d := range shown.Run.Drops {
		if !d.Already {
			drops = append(drops, d.Drop)
		}
	}
	if shown.Examples, err = a.ledger.Examples(ctx, drops); err != nil {
		return err
	}
	if feed, ok := a.cfg.Feeds[shown.Run.Feed]; ok {
		d := a.cfg.Dialers[feed.Dialer]
		slowest, ok, err := a.ledger.SlowestMinute(ctx, run, drops, d.SendWithin.Std()+d.Timeout.Std())
		if err != nil {
			return err
		}
		if ok {
			shown.Slowest = &slowest
		}
	}
	return report.Show(a.out, a.format(), shown)
}
