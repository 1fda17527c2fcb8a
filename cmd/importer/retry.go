package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/config"
	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/nonagent"
)

// retrying is what importer retry was asked for.
type retrying struct {
	drops    ledger.RunFilter // those of these runs
	outcomes []importer.Outcome
	reason   importer.Reason // empty: any
	resend   bool
}

func retryCommand(sh *shell) *cobra.Command {
	var r retrying
	var names []string
	var since, reason string
	cmd := &cobra.Command{
		Use:   "retry RUN | --since D | --feed F",
		Short: "Give ERROR and REVIEW rows another chance",
		Long: `Sends rows that ended as ERROR once more, unless another row has loaded their
lead since, which makes them DUPLICATE. Rows in REVIEW are asked about first and
sent again only when the dialer is proven not to have them.

Which rows: those of the drops of one RUN; or, without a run, of all drops on
which runs of --feed F worked, or runs that began since D. --reason CODE takes
only rows that ended with that reason, such as dialer_dnc; docs/reasons.md lists
them. The drops of several feeds are several runs, one for each feed.

With --resend-unproven rows whose absence cannot be proven are sent again too.
All that keeps a lead from being there twice then is the dialer's own duplicate
check by number within the list: use it when you have looked at the dialer
yourself.

Interrupted or killed, the same command goes on where it was, and so does the
feed's next start.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) (err error) {
			if r.drops.Since, err = parseSince(since, time.Now()); err != nil {
				return err
			}
			if err := r.choose(a); err != nil {
				return err
			}
			if r.outcomes, err = retriedOutcomes(names, r.resend); err != nil {
				return err
			}
			if r.reason, err = retriedReason(reason); err != nil {
				return err
			}
			return sh.withLedger(cmd.Context(), func(a *app) error { return a.retry(cmd.Context(), r) })
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "without RUN: rows of the drops of runs since then: 2026-11-24, yesterday, or 7d ago")
	cmd.Flags().StringVarP(&r.drops.Feed, "feed", "f", "", "without RUN: rows of the drops of this feed")
	cmd.Flags().StringVar(&reason, "reason", "", "only rows that ended with this reason")
	cmd.Flags().StringSliceVar(&names, "outcome", []string{"error", "review"}, "which rows: error, review or both")
	cmd.Flags().BoolVar(&r.resend, "resend-unproven", false, "also send rows in REVIEW again that cannot be proven absent")
	return cmd
}

// choose reads which drops are meant: those of a run, or those that the flags
// tell.
func (r *retrying) choose(run []string) (err error) {
	told := r.drops.Feed != "" || !r.drops.Since.IsZero()
	switch {
	case len(run) == 0 && !told:
		return usagef("say which rows: those of a run (see importer runs), of a feed (--feed F), or of the runs since a day (--since D)")
	case len(run) == 0:
		return nil
	case told:
		return usagef("a run's number says which rows: leave out --feed and --since")
	}
	r.drops.ID, err = runNumber(run[0])
	return err
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

func retriedReason(code string) (importer.Reason, error) {
	known := append(nonagent.Refusals(), importer.GivenUp()...)
	if code != "" && !slices.Contains(known, importer.Reason(code)) {
		return "", usagef("no row ends as ERROR or REVIEW with the reason %q, only with: %s", code, join(known))
	}
	return importer.Reason(code), nil
}

func (a *app) retry(ctx context.Context, r retrying) error {
	if r.drops.ID != 0 {
		return a.retryRun(ctx, r)
	}
	if err := a.knowFeed(ctx, r.drops.Feed); err != nil {
		return err
	}
	waiting, err := a.ledger.Retriable(ctx, r.drops, r.which())
	if err != nil {
		return err
	}
	if len(waiting) == 0 && !a.json {
		_, err := fmt.Fprintf(a.out, "No rows of these drops ended so (%s): there is nothing to retry\n", r.how())
		return err
	}
	byFeed := map[string][]importer.Drop{}
	for _, d := range waiting {
		byFeed[d.Feed] = append(byFeed[d.Feed], d)
	}
	return a.eachFeed(ctx, sortedKeys(byFeed), func(feed string) error { return a.retryDrops(ctx, feed, byFeed[feed], r) })
}

// retryRun retries the rows of one run's drops. For programs there is a new run
// even when there is nothing to do.
func (a *app) retryRun(ctx context.Context, r retrying) error {
	runs, err := a.ledger.ListRuns(ctx, r.drops)
	if err != nil {
		return err
	}
	var drops []importer.Drop
	for _, d := range runs[0].Drops {
		drops = append(drops, d.Drop)
	}
	if _, err := a.sameDialer(runs[0].Feed, drops); err != nil {
		return err
	}
	waiting, err := a.ledger.Retriable(ctx, r.drops, r.which())
	if err != nil {
		return err
	}
	if len(waiting) == 0 && !a.json {
		_, err := fmt.Fprintf(a.out, "Run %d has no rows that ended so (%s): there is nothing to retry\n", r.drops.ID, r.how())
		return err
	}
	return a.retryDrops(ctx, runs[0].Feed, drops, r)
}

// sameDialer finds the feed of some drops, unless it has another dialer than when
// they were loaded.
func (a *app) sameDialer(name string, drops []importer.Drop) (config.Feed, error) {
	feed, err := a.feed(name)
	for _, d := range drops {
		if err == nil && d.Dialer != feed.Dialer {
			err = usagef("drop %d was loaded into dialer %s, and feed %s is now configured for dialer %s: retry it with the configuration of then", d.ID, d.Dialer, name, feed.Dialer)
		}
	}
	return feed, err
}

// retryDrops retries rows of a feed's drops, in one run.
func (a *app) retryDrops(ctx context.Context, name string, drops []importer.Drop, r retrying) error {
	feed, err := a.sameDialer(name, drops)
	if err != nil {
		return err
	}
	var ids []int64
	for _, d := range drops {
		ids = append(ids, d.ID)
	}
	return a.carry(name, feed, false, func(im *importer.Importer, f importer.Feed) (importer.Summary, error) {
		return im.Retry(ctx, f, ids, r.which(), r.resend)
	})
}

func (r retrying) which() importer.Retried { return importer.RowsThatEnded(r.outcomes, r.reason) }

// how says how the rows that are meant have ended.
func (r retrying) how() string {
	how := join(r.outcomes)
	if r.reason != "" {
		how += " with the reason " + string(r.reason)
	}
	return how
}

func join[S ~string](words []S) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

// eachFeed does a run for each of some feeds. One that fails keeps no other
// back; the worst of their ends is told.
func (a *app) eachFeed(ctx context.Context, feeds []string, do func(feed string) error) error {
	var errs []error
	var person *personError
	for _, feed := range feeds {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		err := do(feed)
		var needed *personError
		if errors.As(err, &needed) {
			person = needed
			continue
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil || person == nil {
		return err
	}
	return person
}
