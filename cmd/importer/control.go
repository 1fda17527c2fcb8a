package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/daemon"
	"importer/internal/daemon/health"
)

// ask has the daemon carry a run.
func (a *app) ask(ctx context.Context, name string) error {
	feed, err := a.feed(name)
	if err != nil {
		return err
	}
	if noSource(feed) {
		return usagef("feeds.%s has no source to pull from: add one (see configs/importer.example.yaml), or import files with importer import", name)
	}
	at, fresh, err := daemon.Ask(ctx, a.ledger, name)
	if err != nil {
		return err
	}
	text := "importer serve is asked for a run of %s, see importer status"
	if !fresh {
		text = "importer serve was asked for a run of %s before, which has not begun yet: see importer status"
	}
	return a.say(map[string]any{"feed": name, "asked": at.UTC().Format(time.RFC3339Nano), "new": fresh}, text, name)
}

func pauseCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "pause FEED",
		Short: "Keep a feed's schedule from beginning runs",
		Long: `From now on the slots of the feed's schedule are recorded as paused, and begin no
run, in every importer serve that shares the ledger, until importer unpause FEED.
None of them is made up for later. A drop that has not come by expect_by is late all
the same, and people are told that the feed is paused. A run that is going goes on;
importer cancel RUN stops it. What a person asks for by hand is done all the same.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return sh.pause(cmd.Context(), a[0], true) },
	}
}

func unpauseCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "unpause FEED",
		Short: "Let a feed's schedule begin runs again",
		Args:  args(cobra.ExactArgs(1)),
		RunE:  func(cmd *cobra.Command, a []string) error { return sh.pause(cmd.Context(), a[0], false) },
	}
}

func (sh *shell) pause(ctx context.Context, name string, paused bool) error {
	return sh.withLedger(ctx, func(a *app) error {
		if _, err := a.feed(name); err != nil {
			return err
		}
		if err := a.ledger.PauseFeed(ctx, name, paused); err != nil {
			return err
		}
		text := "The schedule of %s begins no runs until importer unpause %[1]s"
		if !paused {
			text = "The schedule of %s begins runs again"
		}
		return a.say(map[string]any{"feed": name, "paused": paused}, text, name)
	})
}

func cancelCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN",
		Short: "Stop a run of importer serve",
		Long: `Has the importer serve that carries the run stop it within seconds: nothing more is
sent, calls under way are waited for and settled, and the other rows stay pending.
The feed's next run goes on with them; importer pause FEED keeps its schedule from
beginning one.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			run, err := strconv.ParseInt(a[0], 10, 64)
			if err != nil || run < 1 {
				return usagef("%q is no run number, see importer runs", a[0])
			}
			return sh.withLedger(cmd.Context(), func(a *app) error {
				if err := a.ledger.CancelRun(cmd.Context(), run); err != nil {
					return err
				}
				return a.say(map[string]any{"run": run, "cancelled": true}, "Run %d is being stopped, see importer show %[1]d", run)
			})
		},
	}
}

func reloadCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have importer serve read its configuration again",
		Long: `Asks the importer serve on this machine, at serve.listen, to read its configuration
again, and says what is wrong with it if anything is: then all stays as it is. Runs
that are going go on as they began. What stands under state_dir, ledger and serve
needs a restart instead. Where serve.listen is empty, send the process a SIGHUP.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := sh.load()
			if err != nil {
				return err
			}
			defer a.close()
			return a.askReload(cmd.Context())
		},
	}
}

func (a *app) askReload(ctx context.Context) error {
	listen := a.cfg.Serve.Listen
	if listen == "" {
		return usagef("serve.listen is empty, so importer serve cannot be asked: send it a SIGHUP (systemctl reload importer, or kill -HUP PID)")
	}
	status, said, err := askServe(ctx, listen, http.MethodPost, health.ReloadPath, time.Minute)
	if err != nil {
		return err
	}
	if status != http.StatusNoContent {
		return fmt.Errorf("importer serve goes on with its old configuration: %s", said)
	}
	return a.say(map[string]bool{"reloaded": true}, "The configuration was read again")
}
