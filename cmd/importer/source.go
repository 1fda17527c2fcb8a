package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"importer/internal/config"
	"importer/internal/importer"
	"importer/internal/report"
	"importer/internal/source"
)

func sourceCommand(sh *shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "source",
		Short: "Look at where a feed's files come from",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sourceCheckCommand(sh), sourceTrustCommand(sh))
	return cmd
}

func sourceCheckCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "check FEED",
		Short: "Connect, list, and tell why each file would be taken or left",
		Long: `Looks at the feed's source as importer run does, and tells of each file whether
it would be taken now, or why not. Nothing is fetched, moved or recorded.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			return sh.withLedger(cmd.Context(), func(app *app) error { return app.checkSource(cmd.Context(), a[0]) })
		},
	}
}

func (a *app) checkSource(ctx context.Context, name string) error {
	return a.withSource(ctx, name, func(feed config.Feed, src *source.Feed) error {
		verdicts, err := src.Judge(ctx, func(listed []importer.File) (map[importer.File]time.Time, error) {
			return a.ledger.Taken(ctx, name, src.Place(), listed)
		})
		if err != nil {
			return err
		}
		take, most := 0, feed.Source.AtMost
		for i, v := range verdicts {
			if v.Take {
				take++
			}
			if v.Take && most > 0 && take > most {
				verdicts[i].Take, verdicts[i].Why = false, fmt.Sprintf("%d files are enough for one run (at_most)", most)
			}
		}
		return a.sayVerdicts(name, src, verdicts)
	})
}

// sayVerdicts tells what becomes of a source's files.
func (a *app) sayVerdicts(name string, src *source.Feed, verdicts []source.Verdict) error {
	look := report.Look{Feed: name, Place: src.Place(), Files: []report.Judged{}}
	for _, v := range verdicts {
		j := report.Judged{Path: v.File.Path, Bytes: v.File.Size, Modified: v.File.Modified, Take: v.Take, Why: v.Why}
		if !v.Day.IsZero() {
			j.Day = v.Day.In(src.Choice.Zone).Format(time.DateOnly)
		}
		look.Files = append(look.Files, j)
	}
	return report.Source(a.out, a.format(), look)
}

func sourceTrustCommand(sh *shell) *cobra.Command {
	var fingerprint string
	cmd := &cobra.Command{
		Use:   "trust FEED [--fingerprint SHA256:...]",
		Short: "Store the host key of a feed's SFTP server",
		Long: `Asks the server for its host keys, without a login, shows their fingerprints, and
stores them in the feed's known_hosts file when you say that they are right. Compare
them with what the vendor has told you: whoever has another key is not the vendor.

With --fingerprint nobody is asked: the key that has it is stored, and only that.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return sh.trust(cmd.Context(), a[0], fingerprint) },
	}
	cmd.Flags().StringVar(&fingerprint, "fingerprint", "", "the fingerprint that the vendor has told you, as SHA256:...")
	return cmd
}

func (sh *shell) trust(ctx context.Context, name, fingerprint string) error {
	a, err := sh.load()
	if err != nil {
		return err
	}
	feed, err := a.feed(name)
	if err != nil {
		return err
	}
	switch s := feed.Source.SFTP; {
	case s == nil:
		return usagef("feeds.%s has no sftp source: other places have no host key", name)
	case len(s.Fingerprint) > 0:
		return usagef("feeds.%s.source.sftp.fingerprint says which host key is right: change it there", name)
	}
	if err := a.needs("feeds." + name + ".source"); err != nil {
		return err
	}
	place, err := a.sftp(name, feed.Source, "")
	if err != nil {
		return err
	}
	defer place.Close()
	known, err := place.Known()
	if err != nil {
		return err
	}
	keys, err := place.HostKeys(ctx)
	if err != nil {
		return err
	}
	if len(known) > 0 && !slices.ContainsFunc(keys, func(k source.HostKey) bool { return isAmong(known, k.Fingerprint) }) {
		fmt.Fprintf(sh.errOut, "importer: warning: until now this server had another key, %s: it was set up anew, or somebody is listening in between; ask the vendor\n", fingerprintsOf(known))
	}
	s := feed.Source.SFTP
	keys, err = sh.confirm(net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), keys, fingerprint)
	if err != nil {
		return err
	}
	if err := a.makeState(); err != nil { // where known_hosts is, usually
		return err
	}
	if err := place.Trust(keys...); err != nil {
		return err
	}
	stored := make([]string, len(keys))
	for i, k := range keys {
		stored[i] = k.Fingerprint
	}
	return sh.say(map[string]any{"feed": name, "known_hosts": s.KnownHosts, "fingerprints": stored}, "Stored in %s: %s", s.KnownHosts, fingerprintsOf(keys))
}

func fingerprintsOf(keys []source.HostKey) string {
	var all []string
	for _, k := range keys {
		all = append(all, k.Fingerprint)
	}
	return strings.Join(all, ", ")
}

func isAmong(keys []source.HostKey, fingerprint string) bool {
	return slices.ContainsFunc(keys, func(k source.HostKey) bool { return k.Fingerprint == fingerprint })
}

// confirm tells which of a server's keys are to be trusted.
func (sh *shell) confirm(host string, keys []source.HostKey, fingerprint string) ([]source.HostKey, error) {
	var shown []string
	for _, k := range keys {
		if k.Fingerprint == fingerprint {
			return []source.HostKey{k}, nil
		}
		shown = append(shown, k.Type+" "+k.Fingerprint)
	}
	if fingerprint != "" {
		return nil, fmt.Errorf("%s has no host key with that fingerprint, it showed %s: ask the vendor which is right; nothing was stored", host, strings.Join(shown, ", "))
	}
	in, ok := sh.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, usagef("%s showed %s: compare that with what the vendor has told you, and give the right one with --fingerprint", host, strings.Join(shown, ", "))
	}
	fmt.Fprintf(sh.errOut, "%s has these host keys:\n  %s\nAre they what the vendor has told you? Type yes to trust this server: ", host, strings.Join(shown, "\n  "))
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return nil, errors.New("not confirmed: nothing was stored")
	}
	return keys, nil
}
