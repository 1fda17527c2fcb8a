package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/config"
	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/report"
	"importer/internal/source"
)

func runCommand(sh *shell) *cobra.Command {
	var noWait, detach bool
	cmd := &cobra.Command{
		Use:   "run FEED",
		Short: "Pull and import a feed now",
		Long: `Goes on with whatever earlier runs of the feed left unfinished. Then it takes the
feed's new files from its source, one after the other, imports them as importer
import does, and puts each away when all its rows have an outcome. What is
taken, and what is left and why, importer source check FEED tells beforehand.

With --detach it only asks for that: importer serve, wherever it runs, carries the
run as soon as none of the feed is going, also while the feed is paused, in a
blackout or on a holiday.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if detach {
				return sh.withLedger(cmd.Context(), func(app *app) error { return app.ask(cmd.Context(), a[0]) })
			}
			return sh.withLedger(cmd.Context(), func(app *app) error { return app.pull(cmd.Context(), a[0], noWait) })
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "leave rows whose answers were lost to a later importer reconcile")
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "have importer serve do it, and do not wait")
	cmd.MarkFlagsMutuallyExclusive("no-wait", "detach")
	return cmd
}

func (a *app) pull(ctx context.Context, name string, noWait bool) error {
	return a.withSource(ctx, name, func(feed config.Feed, src *source.Feed) error {
		return a.carry(name, feed, noWait, func(im *importer.Importer, f importer.Feed) (importer.Summary, error) {
			s, err := im.Pull(ctx, f, src)
			if s.Files == 0 && err == nil && !a.json {
				fmt.Fprintf(a.out, "There are no files to be taken at %s\n", src.Place())
			}
			a.sayLeft(src.Left)
			if err == nil {
				err = a.sayHeld(ctx, name)
			}
			return s, err
		})
	})
}

// withSource connects a feed to where its files come from.
func (a *app) withSource(ctx context.Context, name string, use func(config.Feed, *source.Feed) error) error {
	feed, err := a.feed(name)
	if err != nil {
		return err
	}
	return a.atSource(ctx, name, feed, "", use)
}

// atSource connects a feed to where its files come from, and to a folder there in
// which they are not looked for otherwise, if it has a name.
func (a *app) atSource(ctx context.Context, name string, feed config.Feed, also string, use func(config.Feed, *source.Feed) error) error {
	return a.inSpool(ctx, name, func() error {
		src, err := a.source(ctx, name, feed, also)
		if err != nil {
			return err
		}
		defer src.At.Close()
		return use(feed, src)
	})
}

// sayHeld tells that drops of a feed wait for a person.
func (a *app) sayHeld(ctx context.Context, feed string) error {
	held, err := a.ledger.ListDrops(ctx, ledger.DropFilter{Feed: feed, State: importer.DropHeld, Limit: 100})
	if err == nil && len(held) > 0 {
		fmt.Fprintf(a.errOut, "importer: held until a person has looked: %s, see importer drops --feed %s --state held\n", report.Some(len(held), "drop"), feed)
	}
	return err
}

// sayLeft tells which files a run has left for the next.
func (a *app) sayLeft(files []source.Verdict) {
	const most = 10
	for _, v := range files[:min(most, len(files))] {
		fmt.Fprintf(a.errOut, "importer: %s is left for a later run: %s\n", v.File.Path, v.Why)
	}
	if more := len(files) - most; more > 0 {
		fmt.Fprintf(a.errOut, "importer: and %d more, see importer source check\n", more)
	}
}

// inSpool uses a feed's spool, cleared of what nobody needs any more.
func (a *app) inSpool(ctx context.Context, feed string, use func() error) (err error) {
	leave, err := a.spool(feed).Enter(func(sha [sha256.Size]byte) (bool, error) {
		d, err := a.ledger.KnownDrop(ctx, feed, sha)
		if err != nil || d.State == importer.DropHeld {
			return true, err
		}
		unfinished, err := a.ledger.Unfinished(ctx, feed)
		return slices.ContainsFunc(unfinished, func(u importer.Drop) bool { return u.ID == d.ID }), err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	return use()
}

func releaseCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "release DROP",
		Short: "Import a drop that was held, or have a failed one taken again",
		Long: `Imports a held drop now, whatever made the importer hold it: its size, or a
header that has changed. What no person can wave through, such as a column that
could be two things, needs a line in the configuration first.

A drop that could not be read is taken again by its feed's next run, if its file
still lies where it was taken from.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			drop, err := dropNumber(a[0])
			if err != nil {
				return err
			}
			return sh.withLedger(cmd.Context(), func(a *app) error { return a.release(cmd.Context(), drop) })
		},
	}
}

func discardCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "discard DROP",
		Short: "End a drop that was held, without importing it",
		Long: `Has done with a held drop that nobody wants: nothing of it is imported, and the
feed's next run puts its file away as one that could not be read (source.failed).
importer release DROP takes it again all the same, if its file still lies where it
was taken from.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			id, err := dropNumber(a[0])
			if err != nil {
				return err
			}
			return sh.withLedger(cmd.Context(), func(a *app) error { return a.discard(cmd.Context(), id) })
		},
	}
}

func dropNumber(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("%q is no drop number, see importer drops", text)
	}
	return id, nil
}

func (a *app) discard(ctx context.Context, id int64) error {
	drops, err := a.ledger.ListDrops(ctx, ledger.DropFilter{ID: id})
	if err != nil {
		return err
	}
	d := drops[0].Drop
	feed, err := a.feed(d.Feed)
	if err != nil {
		return err
	}
	return a.inSpool(ctx, d.Feed, func() error {
		im, f := a.importerWithout(d.Feed, feed, newProgress(io.Discard))
		if _, err := im.Discard(ctx, f, id); err != nil {
			return err
		}
		return a.say(map[string]any{"drop": id, "feed": d.Feed, "state": importer.DropFailed}, "Drop %d (%s) is discarded: nothing of it was imported", id, d.Name)
	})
}

func (a *app) release(ctx context.Context, id int64) error {
	drops, err := a.ledger.ListDrops(ctx, ledger.DropFilter{ID: id})
	if err != nil {
		return err
	}
	d := drops[0]
	feed, err := a.feed(d.Drop.Feed)
	if err != nil {
		return err
	}
	if d.Drop.State != importer.DropFailed {
		return a.inSpool(ctx, d.Drop.Feed, func() error {
			return a.carry(d.Drop.Feed, feed, false, func(im *importer.Importer, f importer.Feed) (importer.Summary, error) {
				return im.Release(ctx, f, id)
			})
		})
	}
	if len(d.Files) == 0 {
		return fmt.Errorf("drop %d (%s) could not be read, and where its file lies is not known: put it where importer run finds it, or use importer import", id, d.Drop.Name)
	}
	for _, f := range d.Files {
		// What is gone from its place is new when it lies there.
		if err := a.ledger.EndFile(ctx, f.ID, importer.Away{Gone: true}); err != nil {
			return err
		}
	}
	return a.say(map[string]any{"drop": id, "feed": d.Drop.Feed, "state": d.Drop.State}, "Drop %d (%s) is taken again by the next importer run %s, if its file lies at %s", id, d.Drop.Name, d.Drop.Feed, d.Files[0].Place)
}

// source is where a feed's files come from. The caller closes its place.
func (a *app) source(ctx context.Context, name string, feed config.Feed, also string) (*source.Feed, error) {
	if err := a.needs("feeds." + name + ".source"); err != nil {
		return nil, err
	}
	o, err := a.unpacking(name, feed, a.spool(name).Dir)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(feed.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("feeds.%s.time_zone: %w", name, err)
	}
	since, err := a.ledger.LastPull(ctx, name)
	if err != nil {
		return nil, err
	}
	s := feed.Source
	f := &source.Feed{
		Choice:  source.Choice{Marker: s.Marker, MinAge: s.MinAge.Std(), Zone: zone},
		Settle:  s.Settle.Std(),
		Spool:   a.spool(name),
		Unpack:  a.unpack(o, feed),
		After:   source.After(s.After),
		Archive: s.Archive, Failed: s.Failed, Rejects: s.Rejects,
		WriteRejects: a.writeRejects,
		Now:          time.Now,
		Since:        since,
		Incoming: func(d source.Spooled) importer.Incoming {
			return a.incoming(name, feed, importer.Drop{Name: d.Name, SHA256: d.SHA256, Bytes: d.Bytes})
		},
	}
	switch {
	case s.Directory != nil:
		f.Name, f.Choice.Pattern = "directory:"+s.Directory.Path, s.Directory.Pattern
		f.At, err = source.OpenDirectory(source.DirectoryOptions{Path: s.Directory.Path, Recursive: s.Directory.Recursive, Except: putAwayIn(s), Also: also})
	case s.SFTP != nil:
		f.Choice.Pattern = s.SFTP.Pattern
		f.Name = (&url.URL{Scheme: "sftp", User: url.User(s.SFTP.User), Host: net.JoinHostPort(s.SFTP.Host, strconv.Itoa(s.SFTP.Port)), Path: "/" + s.SFTP.Path}).String()
		f.At, err = a.sftp(name, s, also)
	case s.HTTPS != nil:
		f.Choice.Pattern, f.Choice.MinAge = "*", 0 // a web server has a file whole, or not at all
		f.Name = source.PlaceOf(s.HTTPS.URL.Reveal())
		f.At, err = a.https(ctx, name, f.Name, *s.HTTPS)
	default:
		err = usagef("feeds.%s has no source to pull from: add one (see configs/importer.example.yaml), or import files with importer import", name)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// putAwayIn are the folders in which no drops are looked for.
func putAwayIn(s config.Source) (folders []string) {
	for _, folder := range []string{s.Archive, s.Failed, s.Rejects} {
		if folder != "" {
			folders = append(folders, folder)
		}
	}
	return folders
}

func (a *app) sftp(name string, s config.Source, also string) (*source.SFTP, error) {
	c := *s.SFTP
	o := source.SFTPOptions{
		Host: c.Host, Port: c.Port, User: c.User, Fingerprints: c.Fingerprint,
		Folder: c.Path, Recursive: c.Recursive, Except: putAwayIn(s), Also: also,
		Legacy: c.Legacy, Timeout: c.Timeout.Std(), Feed: name,
	}
	if len(c.Fingerprint) == 0 {
		o.KnownHosts = c.KnownHosts
	}
	if c.KeyFile != "" {
		key, err := os.ReadFile(c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading feeds.%s.source.sftp.key_file: %w", name, err)
		}
		o.Key, o.Passphrase = func() string { return string(key) }, c.KeyPassphrase.Reveal
	}
	if c.Agent {
		if o.AgentSocket = os.Getenv("SSH_AUTH_SOCK"); o.AgentSocket == "" {
			return nil, usagef("feeds.%s.source.sftp.agent: SSH_AUTH_SOCK is not set: start the importer where the agent is known, or use key_file", name)
		}
	}
	if c.Password.Reveal() != "" {
		o.Password = c.Password.Reveal
	}
	place, err := source.NewSFTP(o)
	if err != nil {
		return nil, usagef("feeds.%s.source.sftp: %w", name, err)
	}
	return place, nil
}

func (a *app) https(ctx context.Context, name, place string, c config.HTTPS) (*source.HTTPS, error) {
	o := source.HTTPSOptions{
		URL: c.URL.Reveal(), Name: c.Name,
		User: c.User, Password: c.Password.Reveal, Token: c.Token.Reveal, Headers: map[string]string{},
		AllowHTTP: c.AllowHTTP, AllowRedirectsTo: c.AllowRedirectsTo, Timeout: c.Timeout.Std(),
	}
	for header, value := range c.Headers {
		o.Headers[header] = value.Reveal()
	}
	var err error
	if o.RootCAs, err = rootsOf(c.CAFile); err != nil {
		return nil, fmt.Errorf("feeds.%s.source.https: %w", name, err)
	}
	last, err := a.ledger.LastTaken(ctx, name, place)
	if err != nil {
		return nil, err
	}
	o.Taken = source.File{Path: last.Path, Size: last.Size, Modified: last.Modified, Version: last.Version}
	room, err := a.spool(name).Room()
	if err != nil {
		return nil, err
	}
	o.MaxBytes = max(room/2, 1) // a copy and its drops are there side by side for a moment
	at, err := source.NewHTTPS(o)
	if err != nil {
		return nil, usagef("feeds.%s.source.https: %w", name, err)
	}
	return at, nil
}
