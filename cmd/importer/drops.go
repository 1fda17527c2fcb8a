package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/report"
)

func dropsCommand(sh *shell) *cobra.Command {
	f := ledger.DropFilter{Limit: 20}
	var since, state string
	cmd := &cobra.Command{
		Use:   "drops",
		Short: "List what was taken, when, and what became of it, newest first",
		Long: `Lists drops, newest first: a drop is one table of contacts, known by the SHA-256
of its bytes; each file in an archive and each sheet of a workbook is a drop of
its own. Rows are counted as they stand now.

  spooled    safe on this machine, no row is recorded
  importing  rows are being recorded, or have no outcome yet
  done       every row has an outcome
  held       a person must decide, nothing was imported; why stands below
  failed     could not be read, or not to its end; why stands below

Drops that a feed's source has brought tell their place and their path there,
those of imported files do not. With --json the hash is whole, and each file
that brought the same bytes is there with its times.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if f.Since, err = parseSince(since, time.Now()); err != nil {
				return err
			}
			if f.State, err = dropState(state); err != nil {
				return err
			}
			return sh.withLedger(cmd.Context(), func(a *app) error { return a.listDrops(cmd.Context(), f) })
		},
	}
	cmd.Flags().StringVarP(&f.Feed, "feed", "f", "", "only drops of this feed")
	cmd.Flags().StringVar(&since, "since", "", "only drops first seen since then: 2026-11-24, yesterday, or 7d ago")
	cmd.Flags().StringVar(&state, "state", "", "only drops in this state: spooled, importing, done, held or failed")
	cmd.Flags().IntVarP(&f.Limit, "limit", "n", f.Limit, "how many at most, 0: all")
	return cmd
}

// dropState reads a state, empty for any.
func dropState(name string) (importer.DropState, error) {
	s := importer.DropState(name)
	known := []importer.DropState{"", importer.DropSpooled, importer.DropImporting, importer.DropDone, importer.DropHeld, importer.DropFailed}
	if !slices.Contains(known, s) {
		return "", usagef("a drop has no state %q: use spooled, importing, done, held or failed", name)
	}
	return s, nil
}

func (a *app) listDrops(ctx context.Context, f ledger.DropFilter) error {
	if err := a.knowFeed(ctx, f.Feed); err != nil {
		return err
	}
	found, err := a.ledger.ListDrops(ctx, f)
	if err != nil {
		return err
	}
	return report.Drops(a.out, a.format(), found)
}
