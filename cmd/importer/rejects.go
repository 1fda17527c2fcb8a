package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/report"
)

func rejectsCommand(sh *shell) *cobra.Command {
	var duplicates, incomplete bool
	var drop int64
	cmd := &cobra.Command{
		Use:   "rejects RUN",
		Short: "Write the rows that a run could not load, as CSV with their reasons",
		Long: `Writes the rows of a run's drops that ended as ERROR, INVALID or REVIEW to
standard output: the vendor's own columns in the vendor's order, then line,
outcome, reason and note. Correct them and import the file again as it is. Cells
that a spreadsheet would take for a formula begin with an apostrophe, which
import takes away again. A record that could not be taken apart stands in the
first column.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			run, err := runNumber(a[0])
			if err != nil {
				return err
			}
			states := rejectStates()
			if duplicates {
				states = append(states, importer.Duplicate)
			}
			return sh.withLedger(cmd.Context(), func(a *app) error {
				drops, err := a.rejectDrops(cmd.Context(), run, drop, func(c importer.StateReason) bool {
					return slices.Contains(states, c.State) || incomplete && c.State == importer.Succeeded && c.Reason != importer.ReasonAdded
				})
				if err != nil {
					return err
				}
				if len(drops) == 0 {
					fmt.Fprintf(a.errOut, "importer: run %d has no such rows\n", run)
				}
				out := report.NewRejects(a.out, drops)
				if err := a.ledger.Rejects(cmd.Context(), drops, states, incomplete, out.Add); err != nil {
					return err
				}
				return out.Close()
			})
		},
	}
	cmd.Flags().BoolVar(&incomplete, "incomplete", false, "also rows whose leads were added, but not with all that was asked for")
	cmd.Flags().BoolVar(&duplicates, "duplicates", false, "also rows that were loaded before")
	cmd.Flags().Int64Var(&drop, "drop", 0, "only the rows of this drop of the run")
	return cmd
}

// rejectDrops are the drops of a run, or the one of them, that have rejects.
func (a *app) rejectDrops(ctx context.Context, run, only int64, isReject func(importer.StateReason) bool) ([]importer.Drop, error) {
	if _, err := a.ledger.ListRuns(ctx, ledger.RunFilter{ID: run}); err != nil {
		return nil, err
	}
	counted, err := a.ledger.DropCounts(ctx, ledger.RunFilter{ID: run})
	if err != nil {
		return nil, err
	}
	var drops []importer.Drop
	var all, numbers []string
	known := only == 0
	for _, d := range counted {
		known = known || d.Drop.ID == only
		number := strconv.FormatInt(d.Drop.ID, 10)
		all = append(all, number)
		if (only == 0 || d.Drop.ID == only) && slices.ContainsFunc(slices.Collect(maps.Keys(d.Counts)), isReject) {
			drops, numbers = append(drops, d.Drop), append(numbers, number)
		}
	}
	switch {
	case !known:
		return nil, usagef("run %d has no drop %d, it has: %s", run, only, strings.Join(all, ", "))
	case !report.HaveOneTable(drops):
		fmt.Fprintf(a.errOut, "importer: warning: drops of run %d have different columns, and this table has all of them; to correct rows and import them again, "+
			"take one drop after the other: --drop %s\n", run, strings.Join(numbers, ", --drop "))
	}
	return drops, nil
}

// rejectStates are those of rows that did not become a lead and are no
// duplicates.
func rejectStates() []importer.State {
	return []importer.State{importer.Rejected, importer.Failed, importer.Invalid, importer.Review}
}

// writeRejects writes the rejects of drops for their vendor, whichever runs
// worked on them. Where there are none it writes nothing, and some is false.
func (a *app) writeRejects(ctx context.Context, drops []int64, to io.Writer) (some bool, err error) {
	states := rejectStates()
	var with []importer.Drop
	for _, id := range drops {
		found, err := a.ledger.ListDrops(ctx, ledger.DropFilter{ID: id})
		if err != nil {
			return false, err
		}
		isReject := func(c importer.StateReason) bool { return slices.Contains(states, c.State) }
		if slices.ContainsFunc(slices.Collect(maps.Keys(found[0].Counts)), isReject) {
			with = append(with, found[0].Drop)
		}
	}
	out := report.NewRejects(to, with)
	err = a.ledger.Rejects(ctx, with, states, false, func(r importer.Reject) error {
		some = true
		if r.Outcome != importer.OutcomeInvalid {
			r.Note = "" // the audit notes the dialer's lead ids, which are no business of a vendor
		}
		return out.Add(r)
	})
	if err != nil {
		return some, err
	}
	return some, out.Close()
}
