package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"importer/internal/importer"
	"importer/internal/ledger"
)

func retryCommand(sh *shell) *cobra.Command {
	var names []string
	var resend bool
	cmd := &cobra.Command{
		Use:   "retry RUN [--outcome error,review]",
		Short: "Give a run's ERROR and REVIEW rows another chance",
		Long: `Sends the rows of a run's drops that ended as ERROR once more, unless another
row has loaded their lead since, which makes them DUPLICATE. Rows in REVIEW
are asked about first and sent again only when the dialer is proven not to
have them.

With --resend-unproven rows whose absence cannot be proven are sent again too.
All that keeps a lead from being there twice then is the dialer's own duplicate
check by number within the list: use it when you have looked at the dialer
yourself.

Interrupted or killed, the same command goes on where it was, and so does the
feed's next start.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			run, err := runNumber(a[0])
			if err != nil {
				return err
			}
			outcomes, err := retriedOutcomes(names, resend)
			if err != nil {
				return err
			}
			return sh.withLedger(cmd.Context(), func(a *app) error {
				return a.retry(cmd.Context(), run, outcomes, resend)
			})
		},
	}
	cmd.Flags().StringSliceVar(&names, "outcome", []string{"error", "review"}, "which rows: error, review or both")
	cmd.Flags().BoolVar(&resend, "resend-unproven", false, "also send rows in REVIEW again that cannot be proven absent")
	return cmd
}

func retriedOutcomes(names []string, resend bool) ([]importer.Outcome, error) {
	var outcomes []importer.Outcome
	review := false
	for _, name := range names {
		switch o := importer.Outcome(strings.ToUpper(name)); o {
		case importer.OutcomeError, importer.OutcomeReview:
			outcomes = append(outcomes, o)
			review = review || o == importer.OutcomeReview
		default:
			return nil, usagef("rows with the outcome %q are not retried: use error, review or both", name)
		}
	}
	if resend && !review {
		return nil, usagef("--resend-unproven is about rows in REVIEW: add review to --outcome")
	}
	return outcomes, nil
}

func (a *app) retry(ctx context.Context, run int64, outcomes []importer.Outcome, resend bool) error {
	runs, err := a.ledger.ListRuns(ctx, ledger.RunFilter{ID: run})
	if err != nil {
		return err
	}
	name := runs[0].Feed
	feed, err := a.feed(name)
	if err != nil {
		return err
	}
	var drops []int64
	for _, d := range runs[0].Drops {
		if d.Drop.Dialer != feed.Dialer {
			return usagef("run %d loaded into dialer %s, and feed %s is now configured for dialer %s: retry it with the configuration of then", run, d.Drop.Dialer, name, feed.Dialer)
		}
		drops = append(drops, d.Drop.ID)
	}
	if nothing, err := a.nothingToRetry(ctx, run, outcomes); err != nil || nothing && !a.json {
		if err == nil {
			_, err = fmt.Fprintf(a.out, "Run %d has no rows that ended so (%s): there is nothing to retry\n", run, joinOutcomes(outcomes))
		}
		return err
	}
	return a.carry(name, feed, false, func(im *importer.Importer, f importer.Feed) (importer.Summary, error) {
		return im.Retry(ctx, f, drops, outcomes, resend)
	})
}

// nothingToRetry tells that none of the run's rows has one of the outcomes, or
// waits for the end of an earlier retry.
func (a *app) nothingToRetry(ctx context.Context, run int64, outcomes []importer.Outcome) (bool, error) {
	drops, err := a.ledger.DropCounts(ctx, ledger.RunFilter{ID: run})
	if err != nil {
		return false, err
	}
	counts := importer.Summary{Drops: drops}.Counts()
	waiting := counts.Outcome(importer.OutcomePending)
	for _, o := range outcomes {
		waiting += counts.Outcome(o)
	}
	return waiting == 0, nil
}

func joinOutcomes(outcomes []importer.Outcome) string {
	words := make([]string, len(outcomes))
	for i, o := range outcomes {
		words[i] = string(o)
	}
	return strings.Join(words, ", ")
}
