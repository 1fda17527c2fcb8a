package main

import (
	"context"
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
	"importer/internal/report"
)

func checkCommand(sh *shell) *cobra.Command {
	var feed string
	cmd := &cobra.Command{
		Use:   "check FILE... --feed F",
		Short: "Say what would happen to each row (- is standard input); sends nothing, claims nothing",
		Long: `Reads files as a feed would and counts what would become of their rows: sent
to the dialer, DUPLICATE, or INVALID, with reasons, the lines of the first
few, and what cleaning would change. The dialer is not asked: its own checks
(do-not-call lists, for example) may refuse more.`,
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
				if info, err := os.Stat(file); err != nil {
					return fmt.Errorf("cannot read the file: %w", err)
				} else if info.IsDir() {
					return fmt.Errorf("%s is a directory: name the files in it", file)
				}
			}
			defer a.close()
			if err := a.openLedger(cmd.Context()); err != nil {
				return err
			}
			person := false
			seen := map[importer.ClaimKey]bool{}
			for _, file := range files {
				needed, err := a.checkFile(file, o, func(name string, r io.Reader) error {
					c := &checker{app: a, name: feed, feed: f, seen: seen, firstLines: map[string][]string{}, changes: map[string]int{}}
					err := c.check(cmd.Context(), name, r)
					person = person || c.rows > 0 && c.counts.Outcome(importer.OutcomeInvalid) == c.rows
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
func (a *app) checkFile(file string, o container.Options, check func(name string, r io.Reader) error, read dropfile.Options) (person bool, err error) {
	in, err := a.openInput(file)
	if err != nil {
		return false, err
	}
	defer in.Close()
	s := sorting(&o, read)
	failed := map[int]error{} // of those that hold no contacts
	err = container.Unpack(in, in.size, in.name, o, func(name string, r io.Reader) error {
		r = s.look(name, r)
		err := check(name, r)
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

// checker follows one file's rows as an import would, without its deeds.
type checker struct {
	*app
	name       string
	feed       config.Feed
	seen       map[importer.ClaimKey]bool
	rows       int
	counts     importer.Counts
	firstLines map[string][]string // by reason
	changes    map[string]int      // by field and kind
}

// checkRows is how many rows the ledger is asked about at once.
const checkRows = 1000

func (c *checker) check(ctx context.Context, file string, text io.Reader) error {
	in := c.incoming(c.name, c.feed, importer.Drop{Name: file})
	r, err := dropfile.Open(text, dropOptions(c.feed))
	c.counts = importer.Counts{}
	var hold *dropfile.HoldError
	switch {
	case errors.Is(err, dropfile.ErrEmpty):
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
		lines := map[importer.ClaimKey][]int{}
		var keys []importer.ClaimKey
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
				if len(lines[key]) == 0 {
					keys = append(keys, key)
				}
				lines[key] = append(lines[key], row.Line)
			}
		}
		held, err := c.ledger.Claimed(ctx, keys, feed.Window)
		if err != nil {
			return err
		}
		for _, key := range keys {
			_, known := held[key]
			for _, line := range lines[key] {
				if known || c.seen[key] {
					c.count(importer.Duplicate, importer.ReasonAlreadyLoaded, line)
				} else {
					c.count(importer.Pending, "would_be_sent", 0)
				}
				c.seen[key] = true
			}
		}
	}
	return c.report(file, r.Mapping())
}

// header tells what an import would make of a changed header.
func (c *checker) header(ctx context.Context, file string, r *dropfile.Reader) error {
	last, err := c.ledger.LastDone(ctx, c.name)
	if err != nil || last.ID == 0 {
		return err
	}
	what, lost := r.Changed(last.Header)
	switch {
	case what == "":
	case lost && c.feed.OnHeader == "stop":
		fmt.Fprintf(c.errOut, "importer: %s would be held, unless it is imported with --new-header: since drop %d of this feed %s\n", file, last.ID, what)
	default:
		fmt.Fprintf(c.errOut, "importer: warning: since drop %d of this feed %s\n", last.ID, what)
	}
	return nil
}

// clean cleans a row and returns the key that it would claim.
func (c *checker) clean(in importer.Incoming, feed importer.Feed, row importer.Row) (importer.ClaimKey, bool) {
	refusal := row.Refusal
	var key importer.ClaimKey
	if refusal == nil {
		l, changes, why := in.Rules.Clean(row.Lead)
		refusal = why
		for _, ch := range changes {
			c.changes[ch.Field+": "+ch.Why]++
		}
		if refusal == nil {
			var ok bool
			if key, ok = feed.Identity(c.keys, l); ok {
				return key, true
			}
			c.count(importer.Invalid, importer.ReasonIdentityMissing, row.Line)
			return key, false
		}
	}
	c.count(importer.Invalid, refusal.Reason, row.Line)
	return key, false
}

func (c *checker) count(s importer.State, why importer.Reason, line int) {
	const shown = 5
	c.counts[importer.StateReason{State: s, Reason: why}]++
	if line > 0 && len(c.firstLines[string(why)]) < shown {
		c.firstLines[string(why)] = append(c.firstLines[string(why)], strconv.Itoa(line))
	}
}

// columns shows how each column is read, why, and what its cells are like.
func (c *checker) columns(mapping []dropfile.Mapped) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "column\tbecomes\tbecause\tsuch as")
	for _, m := range mapping {
		field, why := m.Field, ""
		switch m.By {
		case dropfile.ByFeed:
			why = "the feed says so"
		case dropfile.ByName:
			why = "of its name"
		case dropfile.ByContent:
			why = fmt.Sprintf("its cells look so (%d %%)", m.Confidence)
		default:
			field = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", oneLine(m.Header), field, why, m.Sample)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the columns: %w", err)
	}
	return nil
}

func (c *checker) report(file string, mapping []dropfile.Mapped) error {
	if c.json {
		return report.Counts(c.out, report.JSON, c.counts)
	}
	var used, unused []string
	for _, m := range mapping {
		if m.Field == "" {
			unused = append(unused, m.Header)
		} else {
			used = append(used, m.Header+" → "+m.Field)
		}
	}
	fmt.Fprintf(c.out, "%s: %d rows\nColumns: %s\n", file, c.rows, strings.Join(used, ", "))
	if len(unused) > 0 {
		fmt.Fprintf(c.out, "Not used: %s\n", strings.Join(unused, ", "))
	}
	if err := c.columns(mapping); err != nil {
		return err
	}
	if err := report.Counts(c.out, report.Table, c.counts); err != nil {
		return err
	}
	for _, why := range sortedKeys(c.firstLines) {
		fmt.Fprintf(c.out, "%s: first on line %s\n", why, strings.Join(c.firstLines[why], ", "))
	}
	for _, change := range sortedKeys(c.changes) {
		fmt.Fprintf(c.out, "Would change %s (rows: %d)\n", change, c.changes[change])
	}
	return nil
}
