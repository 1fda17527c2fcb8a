package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"importer/internal/config"
	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/report"
)

func checkCommand(sh *shell) *cobra.Command {
	var feed string
	cmd := &cobra.Command{
		Use:   "check FILE... --feed F",
		Short: "Say what would happen to each row (- is standard input); sends nothing, claims nothing",
		Long: `Reads files as a feed would and tells how their columns are read, what would
become of their rows (sent to the dialer, DUPLICATE or INVALID), why and on which
lines, and what cleaning would change. People's data is shown masked. The dialer
is not asked: its own checks (do-not-call lists, for example) may refuse more.
To tell leads that stand twice it remembers each of them: ten million rows take
about 400 MB of memory, where an import takes no more for them than for ten.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			if feed == "" {
				return usagef("say which feed the files belong to: --feed F")
			}
			a, err := sh.load()
			if err != nil {
				return err
			}
			f, err := a.feed(feed)
			if err != nil {
				return err
			}
			o, err := a.unpacking(feed, f, "")
			if err != nil {
				return err
			}
			for _, file := range files { // before PostgreSQL is started for nothing
				if file == "-" {
					continue
				}
				if info, err := os.Stat(file); err == nil && info.IsDir() {
					return fmt.Errorf("%s is a directory: name the files in it", file)
				}
				f, err := openFile(file)
				if err != nil {
					return err
				}
				if err := f.Close(); err != nil {
					return fmt.Errorf("cannot read the file: %w", err)
				}
			}
			defer a.close()
			if err := a.openLedger(cmd.Context()); err != nil {
				return err
			}
			person, all := false, checked{seen: map[importer.ClaimKey]bool{}}
			for _, file := range files {
				needed, err := a.checkFile(file, o, func(name string, within []string, r io.Reader) error {
					c := newChecker(a, feed, f, &all)
					c.within = within
					err := c.check(cmd.Context(), name, r)
					person = person || c.held || c.rows > 0 && c.counts.Outcome(importer.OutcomeInvalid) == c.rows
					return err
				}, dropOptions(f))
				if err != nil {
					return err
				}
				person = person || needed
			}
			if person {
				return &personError{}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&feed, "feed", "f", "", "the feed that the files belong to (required)")
	return cmd
}

// checkFile checks each text in a file, and tells whether one would be held.
// What holds no contacts is left out beside others that do.
func (a *app) checkFile(file string, o container.Options, check func(name string, within []string, r io.Reader) error, read dropfile.Options) (person bool, err error) {
	in, err := a.openInput(file)
	if err != nil {
		return false, err
	}
	defer in.Close()
	s := sorting(&o, read)
	failed := map[int]error{} // of those that hold no contacts
	err = container.Unpack(in, in.size, in.name, o, func(name string, r io.Reader) error {
		r = s.look(name, r)
		err := check(name, s.within, r)
		var hold *personError
		var none *dropfile.FormatError
		switch {
		case !s.holds() && (errors.As(err, &hold) || errors.As(err, &none)):
			failed[len(s.texts)-1] = err
			return nil
		case errors.As(err, &hold):
			fmt.Fprintln(a.errOut, "importer:", err)
			person = true
			return nil
		}
		return err
	})
	if err != nil {
		return false, err
	}
	for _, i := range s.leftOut() {
		if failed[i] != nil {
			a.sayLeftOut(s.texts[i])
			delete(failed, i)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(failed)) {
		var hold *personError
		if !errors.As(failed[i], &hold) {
			return false, failed[i]
		}
		fmt.Fprintln(a.errOut, "importer:", failed[i])
		person = true
	}
	return person, nil
}

// checker follows one text's rows as an import would, without its deeds.
type checker struct {
	*app
	name   string
	feed   config.Feed
	within []string // the text's containers, from the outermost inwards
	*checked
	held    bool // it would be held
	rows    int
	counts  importer.Counts
	told    map[importer.StateReason]*told
	changes map[change]*told
}

// checked is what is known of the texts before.
type checked struct {
	shown int // of them
	seen  map[importer.ClaimKey]bool
	drops []importer.Drop // what an import would have made of them by then
}

// told is what is said of rows that have something in common.
type told struct {
	rows  int
	lines []string // the first
	text  string   // about the first
}

// change is what cleaning does to a field, whatever its value.
type change struct{ field, why string }

func newChecker(a *app, name string, feed config.Feed, all *checked) *checker {
	return &checker{
		app: a, name: name, feed: feed, checked: all,
		counts: importer.Counts{}, told: map[importer.StateReason]*told{}, changes: map[change]*told{},
	}
}

// checkRows is how many rows the ledger is asked about at once.
const checkRows = 1000

// wouldBeSent is the reason under which rows are counted that would be sent.
const wouldBeSent importer.Reason = "would_be_sent"

func (c *checker) check(ctx context.Context, file string, text io.Reader) error {
	in := c.incoming(c.name, c.feed, importer.Drop{Name: file})
	hash := sha256.New()
	kept, err := keep(io.TeeReader(text, hash)) // it may have to be read twice
	if err != nil {
		return err
	}
	defer kept.Close()
	if done, err := c.wasImported(ctx, file, [sha256.Size]byte(hash.Sum(nil)), in.Drop.Settings); done || err != nil {
		return err
	}
	r, err := dropfile.Open(kept, dropOptions(c.feed))
	var hold *dropfile.HoldError
	switch {
	case errors.Is(err, dropfile.ErrEmpty):
		if c.json {
			return report.Counts(c.out, report.JSON, c.counts)
		}
		c.part()
		_, err = fmt.Fprintf(c.out, "%s has no rows\n", file)
		return err
	case errors.As(err, &hold):
		return &personError{fmt.Sprintf("%s would be held: %v", file, err)}
	case err != nil:
		return fmt.Errorf("%s: %w", file, err)
	}
	in.Rules.Dates = r.Dates()
	if err := c.header(ctx, file, r); err != nil {
		return err
	}
	feed := feedOf(c.name, c.feed, c.cfg.Dialers[c.feed.Dialer])
	for more := true; more; {
		var keys []importer.ClaimKey // of the rows at lines
		var lines []int
		for range checkRows {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				more = false
				break
			}
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			c.rows++
			if key, ok := c.clean(in, feed, row); ok {
				keys, lines = append(keys, key), append(lines, row.Line)
			}
		}
		held, err := c.ledger.Claimed(ctx, keys, feed.Window)
		if err != nil {
			return err
		}
		for i, key := range keys {
			_, known := held[key]
			switch {
			case known:
				c.count(importer.Duplicate, importer.ReasonAlreadyLoaded, lines[i], "it was loaded before")
			case c.seen[key]:
				c.count(importer.Duplicate, importer.ReasonAlreadyLoaded, lines[i], "the same lead stands above")
			default:
				c.count(importer.Pending, wouldBeSent, lines[i], "new leads for dialer "+c.feed.Dialer)
			}
			c.seen[key] = true
		}
	}
	if err := c.size(file, kept, feed.Expect); err != nil {
		return err
	}
	if c.rows > 0 && !c.held && !slices.Contains(r.Header(), "import_reason") {
		c.drops = append(c.drops, importer.Drop{Name: file, Header: r.Header(), Fields: r.Fields()})
	}
	return c.report(file, r)
}

// wasImported tells what an import makes of a text that was imported before.
func (c *checker) wasImported(ctx context.Context, file string, hash [sha256.Size]byte, settings string) (bool, error) {
	d, err := c.ledger.KnownDrop(ctx, c.name, hash)
	if err != nil || d.State != importer.DropDone || d.Recorded == 0 {
		return false, err
	}
	if d.Settings != settings { // read anew, unless rows have reached the dialer
		counts, err := c.ledger.Tally(ctx, d)
		if err != nil || counts.Outcome(importer.OutcomeInvalid) == d.Recorded {
			return false, err
		}
	}
	c.rows = d.Recorded
	c.counts[importer.StateReason{State: importer.Duplicate, Reason: importer.ReasonAlreadyImported}] = d.Recorded
	if !c.json {
		c.part()
		fmt.Fprintf(c.out, "%s: %s\nimported before, at %s, as drop %d (%s): nothing would be sent\n", file, report.Some(d.Recorded, "row"), report.When(d.Finished), d.ID, d.Name)
	}
	return true, report.Counts(c.out, c.format(), c.counts)
}

// header tells what an import would make of a changed header.
func (c *checker) header(ctx context.Context, file string, r *dropfile.Reader) error {
	last, err := c.ledger.LastDone(ctx, c.name, r.Header())
	if err != nil {
		return err
	}
	last = c.lastOf(last, r.Header())
	if last.Fields == nil {
		return nil
	}
	what, lost := r.Changed(last.Header, last.Fields)
	switch {
	case what == "":
	case lost && c.feed.OnHeader == "stop":
		c.held = true
		fmt.Fprintf(c.errOut, "importer: %s would be held, unless it is imported with --again: not all columns are there that were used in the feed's last file (%s): %s\n", file, last.Name, what)
	default:
		fmt.Fprintf(c.errOut, "importer: warning: %s: the columns are others than in the feed's last file (%s): %s\n", file, last.Name, what)
	}
	return nil
}

// size tells that a text is larger or smaller than the feed's are to be.
func (c *checker) size(file string, text *os.File, expect importer.Expect) error {
	info, err := text.Stat()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	why, err := expect.Judge(info.Size(), func(int) (int, error) { return c.rows, nil })
	if err == nil && why != "" {
		c.held = true
		fmt.Fprintf(c.errOut, "importer: %s would be held, unless it is imported with --again: %s\n", file, why)
	}
	return err
}

// lastOf is the drop with which an import would compare a header: one with the
// same, otherwise the one that would be done last.
func (c *checker) lastOf(last importer.Drop, header []string) importer.Drop {
	for _, d := range slices.Backward(c.drops) {
		if slices.Equal(d.Header, header) {
			return d
		}
	}
	if len(c.drops) > 0 && !slices.Equal(last.Header, header) {
		return c.drops[len(c.drops)-1]
	}
	return last
}

// clean cleans a row and returns the key that it would claim.
func (c *checker) clean(in importer.Incoming, feed importer.Feed, row importer.Row) (importer.ClaimKey, bool) {
	refusal := row.Refusal
	var l lead.Lead
	if refusal == nil {
		var changes []lead.Change
		l, changes, refusal = in.Rules.Clean(row.Lead)
		for _, ch := range append(row.Changes, changes...) {
			c.changed(ch, row.Line)
		}
	}
	if refusal != nil {
		c.count(importer.Invalid, refusal.Reason, row.Line, refusal.Detail)
		return importer.ClaimKey{}, false
	}
	key, ok := feed.Identity(c.keys, l)
	if !ok {
		c.count(importer.Invalid, importer.ReasonIdentityMissing, row.Line, "the fields that tell leads apart are empty")
	}
	return key, ok
}

func (c *checker) count(s importer.State, why importer.Reason, line int, text string) {
	of := importer.StateReason{State: s, Reason: why}
	c.counts[of]++
	note(c.told, of, line, text)
}

func (c *checker) changed(ch lead.Change, line int) {
	text, to := dropfile.Mask(ch.From), dropfile.Mask(ch.To)
	if to != "" && to != text {
		text += " → " + to
	}
	note(c.changes, change{ch.Field, ch.Why}, line, text)
}

// note counts a row among those that have something in common.
func note[K comparable](of map[K]*told, what K, line int, text string) {
	const shown = 5
	t := of[what]
	if t == nil {
		t = &told{text: text}
		of[what] = t
	}
	if t.rows++; t.rows <= shown {
		t.lines = append(t.lines, strconv.Itoa(line))
	}
}

// where names the first lines.
func (t *told) where() string {
	word := "line "
	if len(t.lines) > 1 {
		word = "lines "
	}
	where := word + strings.Join(t.lines, ", ")
	if t.rows > len(t.lines) {
		where += ", …"
	}
	return where
}

func (c *checker) report(file string, r *dropfile.Reader) error {
	if c.json {
		return report.Counts(c.out, report.JSON, c.counts)
	}
	c.part()
	e := r.Explain()
	read := fmt.Sprintf("%s, %s, ", e.Encoding, delimiterWords(e.Dialect.Delimiter))
	if isSheet(c.within) {
		read = "a sheet of a workbook, "
	}
	fmt.Fprintf(c.out, "%s: %s\nread as %s%s, phone numbers as in %s\n", file, report.Some(c.rows, "row"), read, headerWords(e.HeaderLines), c.feed.Region)
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	c.columns(w, r.Mapping())
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the columns: %w", err)
	}
	if c.rows > 0 {
		how := ""
		if c.held {
			how = " with --again, without which the file is held"
		}
		fmt.Fprintf(c.out, "\nWhat would become of the rows%s; nothing was sent\n", how)
	}
	if err := report.Counts(c.out, report.Table, c.counts); err != nil {
		return err
	}
	c.reasons(w)
	c.outside(w, e.Outside)
	c.listChanges(w)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing what would happen: %w", err)
	}
	return nil
}

// part parts what is said of a text from what was said of the one before.
func (c *checker) part() {
	if c.shown++; c.shown > 1 {
		fmt.Fprintln(c.out)
	}
}

func delimiterWords(d string) string {
	if d == "" {
		return "one column"
	}
	return "parted by " + signWords(d)
}

// columns shows how each column is read, why, and what its cells are like.
func (c *checker) columns(w io.Writer, mapping []dropfile.Mapped) {
	fmt.Fprintln(w, "\ncolumn\tbecomes\tbecause\tsuch as (masked)")
	for _, m := range mapping {
		field, why := m.Field, "of its name"
		switch m.By {
		case dropfile.ByFeed:
			why = "the feed says so"
		case dropfile.ByName:
		case dropfile.ByContent:
			why = fmt.Sprintf("its cells look so (%d %%)", m.Confidence)
		default:
			field, why = "-", "not used"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", oneLine(m.Header), field, why, m.Sample)
	}
}

// reasons explains the counts.
func (c *checker) reasons(w io.Writer) {
	for _, of := range slices.SortedFunc(maps.Keys(c.told), func(a, b importer.StateReason) int {
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Reason, b.Reason))
	}) {
		t := c.told[of]
		where := t.where()
		if of.Reason == wouldBeSent {
			where = ""
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", of.Reason, t.text, where)
	}
}

// outside tells of lines that are no rows.
func (c *checker) outside(w io.Writer, out importer.Outside) {
	if out.Count == 0 {
		return
	}
	fmt.Fprintln(w, "\nLines that are no rows, and are left out")
	lines := map[string]*told{}
	for _, l := range out.First {
		note(lines, l.Kind, l.Line, "")
	}
	for _, kind := range slices.Sorted(maps.Keys(lines)) {
		lines[kind].rows = out.ByKind[kind]
		fmt.Fprintf(w, "%s\t%d\t%s\n", kind, out.ByKind[kind], lines[kind].where())
	}
}

// listChanges tells what would be sent otherwise than it stands in the file.
func (c *checker) listChanges(w io.Writer) {
	if len(c.changes) == 0 {
		return
	}
	fmt.Fprintln(w, "\nWhat would be sent otherwise than it stands in the file\nfield\trows\twhat is done\tsuch as (masked)")
	for _, ch := range slices.SortedFunc(maps.Keys(c.changes), func(a, b change) int {
		return cmp.Or(cmp.Compare(a.field, b.field), cmp.Compare(c.changes[b].rows, c.changes[a].rows), cmp.Compare(a.why, b.why))
	}) {
		t := c.changes[ch]
		fmt.Fprintf(w, "%s\t%d\t%s\t%s (%s)\n", ch.field, t.rows, oneLine(ch.why), t.text, t.where())
	}
}
