package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/daemon"
	"importer/internal/report"
)

func statusCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell what is running, what comes next, what is late",
		Long: `Tells which importer serve live, which runs go now, whoever carries them, and how
each feed stands that has a schedule or that importer serve was asked to run:

  running   a run of it goes
  waiting   a slot has come, and its run has not begun or was left by who carried it
  queued    a slot waits for the run before it
  tries again   its run has failed for a reason that may pass
  paused    importer pause keeps its schedule from beginning runs
  late      no drop has come today by expect_by
  holiday, blackout   no slot runs today, or now
  idle      it waits for its next slot

Beside it stand the last run that pulled or imported it, when the last one without
an error ended, its next slot and the hour by which today's drop is expected, both
in its time zone, and how many slots were missed in the last seven days. What is
late is found out here, whether importer serve was there to see it or not.

Exit status 3, for monitoring, means that something waits for a person now, and
what it is stands at the end: no importer serve lives although feeds have
schedules, or it does not look at one; a feed is late; a feed's last run was
stopped, could load none of its rows, or brought an alarm; drops are held; rows are
in REVIEW. It is 0 as soon as that is dealt with. Single ERROR rows do not count
here: the run that they are of has told of them. Messages that somebody under notify
did not take, so that they were given up, are shown for a day and do not count.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.withLedger(cmd.Context(), func(a *app) error { return a.status(cmd.Context()) })
		},
	}
}

func (a *app) status(ctx context.Context) error {
	feeds, err := a.pulledFeeds()
	if err != nil {
		return err
	}
	s, err := daemon.Status(ctx, a.ledger, feeds, time.Now())
	if err != nil {
		return err
	}
	if err := report.WriteStatus(a.out, a.format(), s); err != nil {
		return err
	}
	if len(s.NeedsPerson) > 0 {
		return &personError{}
	}
	return nil
}
