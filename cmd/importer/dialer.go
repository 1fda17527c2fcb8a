package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/config"
	"importer/internal/nonagent"
	"importer/internal/report"
)

// asked is a dialer that a command asks.
type asked struct {
	*app
	*nonagent.Client

	name string
	conf config.Dialer
}

func dialerCommand(sh *shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dialer",
		Short: "Ask a dialer questions that change nothing",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var name string
	cmd.PersistentFlags().StringVarP(&name, "dialer", "d", "", "which dialer, needed when several are configured")
	ask := func(question *cobra.Command, count cobra.PositionalArgs, answer func(ctx context.Context, d asked, words []string) error) {
		question.Args = args(count)
		question.RunE = func(cmd *cobra.Command, words []string) error {
			a, err := sh.load()
			if err != nil {
				return err
			}
			defer a.close()
			name, d, err := a.dialer(name)
			if err != nil {
				return err
			}
			client, err := dialerClient(d)
			if err != nil {
				return usagef("dialers.%s: %w", name, err)
			}
			defer client.Close()
			return answer(cmd.Context(), asked{a, client, name, d}, words)
		}
		cmd.AddCommand(question)
	}
	ask(&cobra.Command{Use: "version", Short: "What answers, and how fast"}, cobra.NoArgs, dialerVersion)
	ask(&cobra.Command{
		Use: "check", Short: "Is the address right, does the login work, has the user the rights that importing needs",
		Long: `Asks the dialer, without changing anything, whether importing will work: the
address, the login, each right that the importer needs and those that it does
not, the lists of the feeds, and the speed. It stops at a refused login: ten of
them lock the account.

A lead that the ledger says was loaded is found and read back by its token, as
after a lost answer. Without one that question stays "unproven": import one
lead, then check again. Exit status 1: something failed.`,
	}, cobra.NoArgs, dialerCheck)
	ask(&cobra.Command{Use: "campaigns", Short: "List the campaigns that the API user may see"}, cobra.NoArgs, dialerCampaigns)
	ask(&cobra.Command{
		Use: "lists [LIST_ID...]", Short: "Describe lists and count their leads",
		Long: `Describes the lists that the dialer's feeds load into, and those given. The
dialer's API can describe a list, but not list its lists: others must be given
by their id. Counting takes the dialer a third of a second for a million leads.`,
	}, cobra.ArbitraryArgs, dialerLists)
	ask(&cobra.Command{
		Use: "hopper CAMPAIGN", Short: "List the leads that a campaign dials next",
		Long: `Lists the leads in a campaign's hopper in the order of dialling. Of phone
numbers only the last four digits are shown.`,
	}, cobra.ExactArgs(1), dialerHopper)
	ask(&cobra.Command{Use: "sounds", Short: "List the audio store"}, cobra.NoArgs, dialerSounds)
	return cmd
}

// dialer finds a configured dialer; an empty name is the only one.
func (a *app) dialer(name string) (string, config.Dialer, error) {
	known := sortedKeys(a.cfg.Dialers)
	if name == "" && len(known) == 1 {
		name = known[0]
	}
	d, ok := a.cfg.Dialers[name]
	if !ok {
		return "", d, usagef("say which dialer: --dialer with one of %s", strings.Join(known, ", "))
	}
	return name, d, a.needs("dialers." + name)
}

func dialerVersion(ctx context.Context, d asked, _ []string) error {
	v, err := d.Version(ctx)
	if err != nil {
		return err
	}
	return d.say(map[string]any{
		"dialer": d.name, "version": v.Version, "build": v.Build, "clock": v.Time.UTC(), "seconds": v.Latency.Seconds(),
	}, "%s, answered in %s", versionSentence(d.name, v), short(v.Latency))
}

func versionSentence(name string, v nonagent.Version) string {
	return fmt.Sprintf("Dialer %s: Non-Agent API %s, build %s, clock %s", name, v.Version, v.Build, v.Time.UTC().Format(time.RFC3339))
}

// short is a time as people need it.
func short(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

func dialerCampaigns(ctx context.Context, d asked, _ []string) error {
	type campaign struct {
		ID       string `json:"campaign_id"`
		Name     string `json:"name"`
		Active   bool   `json:"active"`
		Group    string `json:"user_group"`
		Method   string `json:"dial_method"`
		Statuses string `json:"dial_statuses"`
	}
	found, err := d.CampaignsList(ctx)
	if err != nil {
		return err
	}
	var out []campaign
	for _, c := range found {
		out = append(out, campaign{c.ID, c.Name, c.Active, c.UserGroup, c.DialMethod, c.DialStatuses})
	}
	return report.List(d.out, d.format(), out, []any{"campaign", "name", "active", "user group", "dial method", "dial statuses"},
		func(c campaign) []any { return []any{c.ID, c.Name, yesNo(c.Active), c.Group, c.Method, c.Statuses} })
}

var listText = regexp.MustCompile(`^[1-9][0-9]{2,18}$`)

func dialerLists(ctx context.Context, d asked, ids []string) error {
	type list struct {
		ID         string   `json:"list_id"`
		Exists     bool     `json:"exists"`
		Name       string   `json:"name"`
		Campaign   string   `json:"campaign_id"`
		Active     bool     `json:"active"`
		Leads      int      `json:"leads"`
		NewLeads   int      `json:"new_leads"`
		LastCalled string   `json:"last_called,omitempty"`
		Feeds      []string `json:"feeds"`
	}
	feeds := d.listsOf(d.name)
	for _, id := range ids {
		if !listText.MatchString(id) {
			return usagef("%q is no list id: write its number, which has at least three digits and does not begin with 0", id)
		}
		if _, ok := feeds[id]; !ok {
			feeds[id] = []string{}
		}
	}
	var out []list
	for _, id := range sortedKeys(feeds) {
		l, err := d.ListInfo(ctx, id)
		var e *nonagent.Error
		missing := errors.As(err, &e) && e.Reason == nonagent.ReasonListNotDefined
		if err != nil && !missing {
			return err
		}
		out = append(out, list{id, !missing, l.Name, l.Campaign, l.Active, l.Leads, l.NewLeads, l.LastCalled, feeds[id]})
	}
	return report.List(d.out, d.format(), out, []any{"list", "name", "campaign", "active", "leads", "new", "last called", "feeds"},
		func(l list) []any {
			active := yesNo(l.Active)
			if !l.Exists {
				active = "there is none"
			}
			return []any{l.ID, l.Name, l.Campaign, active, l.Leads, l.NewLeads, l.LastCalled, strings.Join(l.Feeds, ", ")}
		})
}

func dialerHopper(ctx context.Context, d asked, words []string) error {
	type waiting struct {
		Order    int    `json:"order"`
		Priority int    `json:"priority"`
		Lead     int64  `json:"lead_id"`
		List     string `json:"list_id"`
		Phone    string `json:"phone"`
		State    string `json:"state"`
		Status   string `json:"status"`
		Called   int    `json:"called"`
		Offset   string `json:"gmt_offset"`
		Source   string `json:"source"`
	}
	leads, err := d.HopperList(ctx, words[0])
	if err != nil {
		return err
	}
	var out []waiting
	for _, l := range leads {
		out = append(out, waiting{l.Order, l.Priority, l.LeadID, l.ListID, maskPhone(l.PhoneNumber), l.State, l.Status, l.Called, l.Offset, l.Source})
	}
	return report.List(d.out, d.format(), out, []any{"order", "priority", "lead", "list", "phone", "state", "status", "called", "gmt offset", "source"},
		func(w waiting) []any {
			return []any{w.Order, w.Priority, w.Lead, w.List, w.Phone, w.State, w.Status, w.Called, w.Offset, w.Source}
		})
}

func dialerSounds(ctx context.Context, d asked, _ []string) error {
	type sound struct {
		Name     string `json:"name"`
		Bytes    int64  `json:"bytes"`
		Modified string `json:"modified"`
	}
	sounds, err := d.SoundsList(ctx)
	if err != nil {
		return err
	}
	var out []sound
	for _, s := range sounds {
		out = append(out, sound{s.Name, s.Size, s.Modified})
	}
	return report.List(d.out, d.format(), out, []any{"name", "bytes", "modified"},
		func(s sound) []any { return []any{s.Name, s.Bytes, s.Modified} })
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// maskPhone leaves of a number what tells it from its neighbours.
func maskPhone(phone string) string {
	const shown = 4
	hidden := max(0, len(phone)-shown)
	return strings.Repeat("*", hidden) + phone[hidden:]
}

// listsOf are the fixed lists of a dialer's feeds, with the feeds of each.
func (a *app) listsOf(dialer string) map[string][]string {
	lists := map[string][]string{}
	for _, name := range sortedKeys(a.cfg.Feeds) {
		f := a.cfg.Feeds[name]
		if id := f.ListID.Number; f.Dialer == dialer && id != "" {
			lists[id] = append(lists[id], name)
		}
	}
	return lists
}
