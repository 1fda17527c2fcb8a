package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/config"
	"importer/internal/daemon"
	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/nonagent"
	"importer/internal/notify"
	"importer/internal/report"
)

// tellWithin is how long a target has to take a message.
const tellWithin = 30 * time.Second

// target is somebody who can be told.
type target interface {
	// Where names who takes the messages, without a secret.
	Where() string
	// Send delivers a message. A *notify.Error says whether waiting helps.
	Send(ctx context.Context, m notify.Message) error
}

// target is somebody under notify.
func (a *app) target(name string) (t target, err error) {
	if err := a.needs("notify." + name); err != nil {
		return nil, err
	}
	c := a.cfg.Notify[name]
	switch way(c) {
	case "webhook":
		o := notify.WebOptions{URL: c.Webhook.URL.Reveal(), Token: c.Webhook.Token.Reveal, AllowHTTP: c.Webhook.AllowHTTP}
		t, err = webTarget(o, c.Webhook.CAFile, notify.NewWebhook)
	case "chat":
		t, err = webTarget(notify.WebOptions{URL: c.Chat.URL.Reveal(), AllowHTTP: c.Chat.AllowHTTP}, c.Chat.CAFile, notify.NewChat)
	default:
		t, err = mailTarget(*c.Mail)
	}
	if err != nil {
		return nil, usagef("notify.%s.%s: %w", name, way(c), err)
	}
	return t, nil
}

// way is how a target is told: it has one of the three, as the configuration was
// checked for.
func way(t config.Target) string {
	switch {
	case t.Webhook != nil:
		return "webhook"
	case t.Chat != nil:
		return "chat"
	}
	return "mail"
}

func webTarget(o notify.WebOptions, caFile string, from func(notify.WebOptions) (*notify.Web, error)) (_ target, err error) {
	if o.RootCAs, err = rootsOf(caFile); err != nil {
		return nil, err
	}
	o.Timeout, o.UserAgent = tellWithin, "importer/"+version()
	return from(o)
}

func mailTarget(m config.Mail) (target, error) {
	roots, err := rootsOf(m.CAFile)
	if err != nil {
		return nil, err
	}
	return notify.NewMail(notify.MailOptions{
		Host: m.Host, Port: m.Port, TLS: m.TLS, User: m.User, Password: m.Password.Reveal, From: m.From, To: m.To, RootCAs: roots, Timeout: tellWithin,
	})
}

// message is what a target gets of a notice. id is the message's own.
func message(id string, n report.Notice) notify.Message {
	return notify.Message{ID: id, Subject: n.Subject, Text: n.Text, Data: n.Data}
}

// runNotice is what there is to tell of a run that brought what was awaited since a
// time, if it did. That numbers are on a do-not-call list is no trouble.
func runNotice(r importer.RunInfo, late time.Time) report.Notice {
	return report.RunNotice(r, late, nonagent.ReasonDNC, nonagent.ReasonCampaignDNC)
}

// tellOf tells a target of what has happened to a feed, if it wants to hear that.
// An error comes with whether to try again.
func (a *app) tellOf(ctx context.Context, feed string, zone *time.Location, id, name, when string, e daemon.Event) (again bool, err error) {
	var n report.Notice
	switch e.What {
	case daemon.EventLate:
		n = report.LateNotice(feed, e.At.In(zone), e.Paused.In(zone))
	case daemon.EventMissed:
		until := e.Until
		if !until.IsZero() {
			until = until.In(zone)
		}
		n = report.MissedNotice(feed, e.At.In(zone), until)
	case daemon.EventOverlap:
		n = report.OverlapNotice(feed, e.At.In(zone))
	default:
		runs, err := a.ledger.ListRuns(ctx, ledger.RunFilter{ID: e.Run})
		if err != nil {
			return true, err
		}
		n = runNotice(runs[0], e.Late.In(zone))
		if !n.Trouble && e.Tries == 0 && e.Late.IsZero() && (when == daemon.TellTrouble || len(runs[0].Drops) == 0) { // nothing has happened
			return false, nil
		}
		if !e.Again.IsZero() {
			n.Text += "\nimporter serve tries again at " + e.Again.In(zone).Format("15:04 MST") + ", and for as long as catch_up says.\n"
		}
		if e.Tries > 0 {
			n.Text += "\nBefore that, " + report.Some(e.Tries, "run") + " had failed, see importer runs --feed " + feed + "\n"
		}
	}
	t, err := a.target(name)
	if err != nil {
		return false, err
	}
	// Two installations that tell the same people have different keys.
	err = t.Send(ctx, message(a.keys.Fingerprint()[:12]+"-"+id, n))
	var refused *notify.Error
	return !errors.As(err, &refused) || !refused.Final, err
}

func notifyCommand(sh *shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Look after those who are told how runs went",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "test [TARGET...]",
		Short: "Send a test message, and say who took it",
		Long: `Sends a test message to all who stand under notify in the configuration, or to
those named, as importer serve tells them of runs: one after the other, and without
trying again. Exit status 1: somebody did not take it.`,
		RunE: func(cmd *cobra.Command, names []string) error {
			a, err := sh.load()
			if err != nil {
				return err
			}
			defer a.close()
			return a.testTargets(cmd.Context(), names)
		},
	})
	return cmd
}

// tested is a target that got a test message, or did not.
type tested struct {
	Target string `json:"target"`
	Way    string `json:"way"`
	Where  string `json:"where"`
	Took   bool   `json:"took"`
	Why    string `json:"why,omitempty"` // it did not
}

func (a *app) testTargets(ctx context.Context, names []string) error {
	known := sortedKeys(a.cfg.Notify)
	if len(known) == 0 {
		return usagef("there is nobody under notify in %s: configs/importer.example.yaml shows how to write whom to tell", a.config)
	}
	for _, name := range names {
		if _, ok := a.cfg.Notify[name]; !ok {
			return usagef("there is no %q under notify in %s, it has: %s", name, a.config, strings.Join(known, ", "))
		}
	}
	if len(names) == 0 {
		names = known
	}
	var all []tested
	failed := 0
	for _, name := range names {
		one := tested{Target: name, Way: way(a.cfg.Notify[name]), Took: true}
		t, err := a.target(name)
		if err == nil {
			one.Where = t.Where()
			err = t.Send(ctx, message("test-"+rand.Text(), report.TestNotice(name)))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			one.Took, one.Why = false, err.Error()
			failed++
		}
		all = append(all, one)
	}
	err := report.List(a.out, a.format(), all, []any{"target", "by", "at", "took it", "why not"}, func(o tested) []any {
		return []any{o.Target, o.Way, o.Where, yesNo(o.Took), o.Why}
	})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %s did not take the message", failed, report.Some(len(all), "target"))
	}
	return err
}
