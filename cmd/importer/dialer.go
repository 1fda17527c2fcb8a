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
	"importer/internal/nonagent"
)

func dialerCommand(sh *shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dialer",
		Short: "Ask a dialer read-only questions",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var name string
	cmd.PersistentFlags().StringVarP(&name, "dialer", "d", "", "which dialer, needed when several are configured")
	ask := func(use, short string, question func(context.Context, *app, *nonagent.Client, string) error) {
		cmd.AddCommand(&cobra.Command{
			Use: use, Short: short, Args: args(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				a, err := sh.load()
				if err != nil {
					return err
				}
				name, d, err := a.dialer(name)
				if err != nil {
					return err
				}
				client, err := dialerClient(d)
				if err != nil {
					return usagef("dialers.%s: %w", name, err)
				}
				defer client.Close()
				return question(cmd.Context(), a, client, name)
			},
		})
	}
	ask("version", "What answers, and how fast", dialerVersion)
	ask("check", "Is the address right, does the login work, has the user the permissions that importing needs", dialerCheck)
	return cmd
}

// dialer finds a configured dialer; an empty name is the only one.
func (a *app) dialer(name string) (string, config.Dialer, error) {
	var known []string
	for n := range a.cfg.Dialers {
		known = append(known, n)
	}
	slices.Sort(known)
	if name == "" && len(known) == 1 {
		name = known[0]
	}
	d, ok := a.cfg.Dialers[name]
	if !ok {
		return "", d, usagef("say which dialer: --dialer with one of %s", strings.Join(known, ", "))
	}
	return name, d, nil
}

func dialerVersion(ctx context.Context, a *app, c *nonagent.Client, name string) error {
	v, err := c.Version(ctx)
	if err != nil {
		return err
	}
	return a.say(map[string]any{
		"dialer": name, "version": v.Version, "build": v.Build, "clock": v.Time.UTC(), "seconds": v.Latency.Seconds(),
	}, "%s", versionSentence(name, v))
}

func versionSentence(name string, v nonagent.Version) string {
	return fmt.Sprintf("Dialer %s: Non-Agent API %s, build %s, clock %s, answered in %s",
		name, v.Version, v.Build, v.Time.UTC().Format(time.RFC3339), v.Latency.Round(100*time.Microsecond))
}

// question is one harmless thing to ask a dialer, and what it answered.
type question struct {
	What string `json:"question"`
	OK   bool   `json:"ok"`
	Why  string `json:"why,omitempty"`

	ask func() error
}

// dialerCheck asks one harmless question for each right that importing needs.
// It stops at a refused login: every further try would bring the account
// nearer to its lock.
func dialerCheck(ctx context.Context, a *app, c *nonagent.Client, name string) error {
	v, err := c.Version(ctx)
	if err != nil {
		return err
	}
	questions := a.questions(ctx, c, name)
	failed := 0
	for i := range questions {
		q := &questions[i]
		err := q.ask()
		if q.OK = err == nil; q.OK {
			continue
		}
		failed++
		q.Why = err.Error()
		var stop *nonagent.Error
		if errors.As(err, &stop) && (stop.Reason == nonagent.ReasonLoginRefused || stop.Reason == nonagent.ReasonLoginLocked) {
			questions = questions[:i+1]
			break
		}
	}
	text := versionSentence(name, v)
	for _, q := range questions {
		if q.OK {
			text += "\n  ok      " + q.What
		} else {
			text += "\n  FAILED  " + q.What + ": " + q.Why
		}
	}
	if failed == 0 {
		text += "\nThe right to add leads shows with the first lead: importing sends one row alone before the others."
	}
	if err := a.say(map[string]any{"dialer": name, "version": v.Version, "build": v.Build, "ready": failed == 0, "questions": questions}, "%s", text); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("dialer %s is not ready: %d of %d questions failed", name, failed, len(questions))
	}
	return nil
}

func (a *app) questions(ctx context.Context, c *nonagent.Client, name string) []question {
	questions := []question{
		{What: "login (campaigns_list)", ask: func() error { _, err := c.CampaignsList(ctx); return err }},
		{What: "finding leads (lead_search)", ask: func() error { _, err := c.Search(ctx, "999", []string{"1000000000"}); return err }},
		{What: "reading leads back (lead_field_info)", ask: func() error { _, err := c.Field(ctx, 1, "source_id"); return absentIsFine(err) }},
	}
	for _, feed := range a.feedsOf(name) {
		if list := a.cfg.Feeds[feed].ListID.Number; list != "" {
			questions = append(questions, question{
				What: "list " + list + " of feed " + feed + " (list_info)",
				ask:  func() error { return checkList(ctx, c, list) },
			})
		}
	}
	return questions
}

func absentIsFine(err error) error {
	var e *nonagent.Error
	if errors.As(err, &e) && e.Kind == nonagent.KindNotFound {
		return nil
	}
	return err
}

func checkList(ctx context.Context, c *nonagent.Client, list string) error {
	l, err := c.ListInfo(ctx, list)
	if err == nil && !l.Active {
		return fmt.Errorf("the list is inactive: its leads will not be dialled until it is switched on (campaign %s)", l.Campaign)
	}
	return err
}

func (a *app) feedsOf(dialer string) []string {
	var names []string
	for n, f := range a.cfg.Feeds {
		if f.Dialer == dialer {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}
