package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"importer/internal/config"
	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/report"
	"importer/internal/source"
)

func importCommand(sh *shell) *cobra.Command {
	var feed string
	var noWait, again bool
	cmd := &cobra.Command{
		Use:   "import FILE... --feed F",
		Short: "Import files now (- is standard input)",
		Long: `Imports files as drops of a feed: each row becomes a lead at the feed's
dialer once, or is told why not. Archives and workbooks are unpacked: each file
and each sheet in them is a drop of its own. Interrupted or killed, the same command goes
on where it was. Rows whose answers were lost are asked about until they are
settled, which can take as long as the dialer's quiescence; with --no-wait
they are left to importer reconcile.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			return sh.importFiles(cmd.Context(), files, feed, noWait, again)
		},
	}
	cmd.Flags().StringVarP(&feed, "feed", "f", "", "the feed that the files belong to (required)")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "leave rows whose answers were lost to a later importer reconcile")
	cmd.Flags().BoolVar(&again, "again", false, "import the files also if they were held: a person has looked at them")
	return cmd
}

func (sh *shell) importFiles(ctx context.Context, files []string, name string, noWait, again bool) (err error) {
	a, err := sh.load()
	if err != nil {
		return err
	}
	if name == "" {
		return usagef("say which feed the files belong to: --feed F")
	}
	feed, err := a.feed(name)
	if err != nil {
		return err
	}
	if err := a.needs("dialers." + feed.Dialer); err != nil {
		return err // before people's data is copied
	}
	// All files are safe in the spool before the first lead is sent.
	if err := a.makeState(); err != nil {
		return err
	}
	leave, err := a.spool(name).Enter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	drops, err := a.spoolFiles(ctx, name, feed, files)
	if err != nil {
		return err
	}
	defer a.close()
	if err := a.openLedger(ctx); err != nil {
		return err
	}
	return a.carry(name, feed, noWait, func(im *importer.Importer, f importer.Feed) (importer.Summary, error) {
		im.Again = again
		return im.Run(ctx, f, "import", drops)
	})
}

// carry does a run's work with a progress bar and reports it.
func (a *app) carry(name string, feed config.Feed, noWait bool, work func(*importer.Importer, importer.Feed) (importer.Summary, error)) error {
	p := newProgress(a.errOut)
	im, f, client, err := a.importerFor(name, feed, p)
	if err != nil {
		return err
	}
	defer client.Close()
	im.NoWait = noWait
	s, err := work(im, f)
	p.close()
	if s.Run == 0 { // it has not begun
		return err
	}
	if err := errors.Join(err, report.Run(a.out, a.format(), s)); err != nil {
		return err
	}
	if s.NeedsPerson() {
		return &personError{}
	}
	return nil
}

func (a *app) spoolFiles(ctx context.Context, name string, feed config.Feed, files []string) ([]importer.Incoming, error) {
	spool := a.spool(name)
	o, err := a.unpacking(name, feed, spool.Dir)
	if err != nil {
		return nil, err
	}
	unpack := a.unpack(o, feed)
	var drops []importer.Incoming
	for _, file := range files {
		var spooled []source.Spooled
		if file == "-" {
			spooled, err = spool.Put(ctx, "standard input", a.in, unpack)
		} else {
			spooled, err = spool.PutFile(ctx, file, unpack)
		}
		if err != nil {
			return nil, err
		}
		for _, s := range spooled {
			drops = append(drops, a.incoming(name, feed, importer.Drop{Name: s.Name, SHA256: s.SHA256, Bytes: s.Bytes}))
		}
	}
	return drops, nil
}

// unpack takes a feed's files apart into drops.
func (a *app) unpack(o container.Options, feed config.Feed) source.Unpack {
	return func(file io.ReaderAt, size int64, name string, put func(string, io.Reader) error) ([]int, error) {
		s := sorting(&o, dropOptions(feed))
		err := container.Unpack(file, size, name, o, func(name string, r io.Reader) error {
			return put(name, s.look(name, r))
		})
		var packed *container.Error
		if errors.As(err, &packed) {
			return nil, &importer.UnreadableError{Err: err}
		}
		if err != nil {
			return nil, err
		}
		for _, i := range s.leftOut() {
			a.sayLeftOut(s.texts[i])
		}
		return s.leftOut(), nil
	}
}

// incoming says how a spooled drop of a feed is read.
func (a *app) incoming(name string, feed config.Feed, d importer.Drop) importer.Incoming {
	dialer := a.cfg.Dialers[feed.Dialer]
	d.Feed, d.Dialer, d.Settings = name, feed.Dialer, settingsOf(feed, dialer)
	list, listErr := feed.ListID.Number, error(nil)
	if feed.ListID.FileName != "" {
		list, listErr = listFromName(feed.ListID.FileName, d.Name)
	}
	return importer.Incoming{
		Drop:  d,
		Rules: rulesOf(feed, dialer, list),
		Open: func() (importer.Reader, error) {
			if listErr != nil {
				return nil, listErr
			}
			f, err := a.spool(name).Open(d.SHA256)
			if err != nil {
				return nil, err
			}
			r, err := openDrop(f, d.Name, feed)
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return r, nil
		},
	}
}

// opened is a drop being read; its file is closed with it.
type opened struct {
	*dropfile.Reader
	name string
	file *os.File
}

// Next calls what it cannot go on from the drop's fault.
func (o opened) Next() (importer.Row, error) {
	row, err := o.Reader.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		err = unreadable(o.name, err)
	}
	return row, err
}

func (o opened) Close() error { return o.file.Close() }

// emptyDrop is a file without rows, not even a header.
type emptyDrop struct{ *os.File }

func (emptyDrop) Next() (importer.Row, error)                    { return importer.Row{}, io.EOF }
func (emptyDrop) Header() []string                               { return nil }
func (emptyDrop) Fields() []string                               { return nil }
func (emptyDrop) Dates() map[string]lead.DateOrder               { return nil }
func (emptyDrop) Changed(_, _ []string) (what string, lost bool) { return "", false }
func (emptyDrop) Outside() importer.Outside                      { return importer.Outside{} }

// openDrop reads a file as its feed's configuration says. An empty file is a
// drop without rows.
func openDrop(f *os.File, name string, feed config.Feed) (importer.Reader, error) {
	r, err := dropfile.Open(f, dropOptions(feed))
	var hold *dropfile.HoldError
	switch {
	case errors.Is(err, dropfile.ErrEmpty):
		return emptyDrop{f}, nil
	case errors.As(err, &hold):
		return nil, &importer.HoldError{Why: hold.Error()}
	case err != nil:
		return nil, unreadable(name, err)
	}
	return opened{r, name, f}, nil
}

// rulesOf says how a feed's rows become leads of a list.
func rulesOf(feed config.Feed, dialer config.Dialer, list string) lead.Rules {
	r := lead.Rules{
		Region: feed.Region, NonLatin: dialer.NonLatin, ListID: list,
		DateOrder: lead.DateOrder(feed.DateOrder), CalmCapitals: feed.CalmCapitals, Fatal: map[string]bool{},
	}
	for field, then := range feed.OnBad {
		r.Fatal[field] = then == "invalid"
	}
	return r
}

func dropOptions(feed config.Feed) dropfile.Options {
	f := feed.File
	o := dropfile.Options{
		Columns: map[string]string{}, Made: map[string]dropfile.Made{}, Region: feed.Region, DateOrder: lead.DateOrder(feed.DateOrder),
		Extras:   dropfile.Extras{Custom: map[string]string{}, AltPhones: feed.AltPhones},
		Encoding: f.Encoding, Delimiter: f.Delimiter, Quote: f.Quote, Escape: f.Escape,
		RecordEnd: f.RecordEnd, HeaderLine: f.HeaderLine,
	}
	for field, c := range feed.Columns {
		column(o, o.Columns, field, field, c)
	}
	for label, c := range feed.CustomFields {
		column(o, o.Extras.Custom, label, dropfile.CustomField(label), c)
	}
	if feed.ListID.Column != "" {
		o.Columns["list_id"] = feed.ListID.Column
	}
	if b := feed.Callback; b != nil {
		value := func(v config.Value) dropfile.Value { return dropfile.Value{Text: v.Text, Header: v.Column} }
		o.Extras.Callback = &dropfile.Callback{
			At: value(b.Datetime), User: value(b.User), Comments: value(b.Comments), Status: b.Status,
		}
	}
	return o
}

// column puts what a feed says of a field where it belongs.
func column(o dropfile.Options, headers map[string]string, name, target string, c config.Column) {
	if c.Header != "" {
		headers[name] = c.Header
		return
	}
	o.Made[target] = dropfile.Made{Value: c.Value, Template: c.Template, FirstOf: c.FirstOf}
}

func unreadable(name string, err error) error {
	return &importer.UnreadableError{Err: fmt.Errorf("%s: %w", name, err)}
}

func reconcileCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "reconcile",
		Short: "Settle rows whose answers were lost, now",
		Long: `Asks the dialers about rows whose answers were lost, of every feed, and sends
again what is proven absent. Rows that were never sent stay pending until
their feed's next start.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.reconcile(cmd.Context())
		},
	}
}

func (sh *shell) reconcile(ctx context.Context) error {
	a, err := sh.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	drops, err := a.ledger.Unfinished(ctx, "")
	if err != nil {
		return err
	}
	if len(drops) == 0 && !a.json {
		_, err := fmt.Fprintln(a.out, "No file is unfinished: there is nothing to settle")
		return err
	}
	var feeds []string // in the order of their oldest drops
	for _, d := range drops {
		if !slices.Contains(feeds, d.Feed) {
			feeds = append(feeds, d.Feed)
		}
	}
	return a.eachFeed(ctx, feeds, func(name string) error {
		feed, err := a.feed(name)
		if err != nil {
			return err
		}
		return a.carry(name, feed, false, func(im *importer.Importer, f importer.Feed) (importer.Summary, error) {
			return im.Reconcile(ctx, f)
		})
	})
}
