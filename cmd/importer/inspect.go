package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"importer/internal/config"
	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
	"importer/internal/report"
)

func inspectCommand(sh *shell) *cobra.Command {
	var as, feed, text string
	var flags dropfile.Options
	var noHeader bool
	cmd := &cobra.Command{
		Use:   "inspect FILE [--as csv|json] [--feed F]",
		Short: "Say how a file is read: encoding, delimiter, header, columns, oddities",
		Long: `Reads a file (- is standard input) as an import would, unpacks it, and explains
what was found, for each text in it. With --as the table as it is read goes to
standard output, as RFC 4180 CSV or as JSON, with the values as they stand in
the file, and the explanation to standard error. JSON is one object: header, the
names of the columns or null, and records, a list of cells each.

With --feed the file is read as that feed's configuration says, and decrypted
with its key; without, no configuration is needed. Each setting that is found
can be given instead, and goes before the feed's. Of several texts, in an archive
or a workbook, --as writes the one that holds contacts, or the one of --text.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, files []string) error {
			if as != "" && as != "csv" && as != "json" {
				return usagef("--as %q is neither csv nor json", as)
			}
			if noHeader {
				flags.HeaderLine = -1
			}
			if err := flags.Check(); err != nil {
				return usageError{err}
			}
			in := inspection{shell: sh, file: files[0], feed: feed, as: as, text: text, read: flags}
			in.read.Region = config.DefaultRegion
			if feed != "" {
				if err := in.ask(feed, flags); err != nil {
					return err
				}
			}
			return in.run()
		},
	}
	f := cmd.Flags()
	f.StringVar(&as, "as", "", "write the table as it is read to standard output: csv or json")
	f.StringVarP(&feed, "feed", "f", "", "read the file as this feed would")
	f.StringVar(&text, "text", "", "of several texts in the file only this one")
	f.StringVar(&flags.Encoding, "encoding", "", "character set, such as utf-8, utf-16le, windows-1252, iso-8859-2, macintosh")
	f.StringVar(&flags.Delimiter, "delimiter", "", "what stands between cells: itself, or comma, semicolon, tab, pipe, space, caret, colon")
	f.StringVar(&flags.Quote, "quote", "", "what stands around cells: double, single or none")
	f.StringVar(&flags.Escape, "escape", "", "how a quote within quotes is written: doubled, backslash or none")
	f.StringVar(&flags.RecordEnd, "record-end", "", "what ends a record: lf, crlf, cr or mixed")
	f.IntVar(&flags.HeaderLine, "header-line", 0, "the header's line, from 1")
	f.BoolVar(&noHeader, "no-header", false, "the table has no header")
	cmd.MarkFlagsMutuallyExclusive("header-line", "no-header")
	return cmd
}

// inspection is what inspect does with a file.
type inspection struct {
	*shell
	file, feed, as, text string
	read                 dropfile.Options
	unpacking            container.Options
	shown                int // texts
}

// ask takes from a feed what no flag says.
func (in *inspection) ask(name string, flags dropfile.Options) error {
	a, err := in.load()
	if err != nil {
		return err
	}
	feed, err := a.feed(name)
	if err != nil {
		return err
	}
	if in.unpacking, err = a.unpacking(name, feed, ""); err != nil {
		return err
	}
	in.read = dropOptions(feed)
	for mine, flag := range map[*string]string{
		&in.read.Encoding: flags.Encoding, &in.read.Delimiter: flags.Delimiter, &in.read.Quote: flags.Quote,
		&in.read.Escape: flags.Escape, &in.read.RecordEnd: flags.RecordEnd,
	} {
		*mine = cmp.Or(flag, *mine)
	}
	in.read.HeaderLine = cmp.Or(flags.HeaderLine, in.read.HeaderLine)
	return nil
}

func (in *inspection) run() error {
	f, err := in.openInput(in.file)
	if err != nil {
		return err
	}
	defer f.Close()
	only := -1
	if in.as != "" || in.text != "" {
		if only, err = in.choose(f); err != nil {
			return err
		}
	}
	o := in.unpacking
	o.Say = func(s string) { fmt.Fprintln(in.errOut, "importer:", s) }
	s := sorting(&o, in.read)
	at, shown := 0, 0
	var unreadable []error
	err = container.Unpack(f, f.size, f.name, o, func(name string, r io.Reader) error {
		if at++; only >= 0 && at-1 != only {
			return nil
		}
		r = s.look(name, r)
		err := in.show(name, s.within, r)
		if none := (*dropfile.FormatError)(nil); errors.As(err, &none) {
			unreadable = append(unreadable, err)
			return nil
		}
		shown++
		return err
	})
	switch {
	case err != nil:
		return err
	case shown == 0:
		return errors.Join(unreadable...)
	}
	for _, err := range unreadable {
		fmt.Fprintln(in.errOut, "importer:", err)
	}
	for _, i := range s.leftOut() {
		fmt.Fprintf(in.errOut, "importer: %s holds no contacts, an import leaves it out\n", s.texts[i])
	}
	return nil
}

// choose returns the number of the text that is wanted.
func (in *inspection) choose(f input) (int, error) {
	o := in.unpacking
	s := sorting(&o, in.read)
	o.Say = nil
	err := container.Unpack(f, f.size, f.name, o, func(name string, r io.Reader) error {
		s.look(name, r)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if in.text != "" {
		at := slices.Index(s.texts, in.text)
		if at < 0 {
			at = slices.IndexFunc(s.texts, func(name string) bool { return strings.HasSuffix(name, "/"+in.text) })
		}
		if at < 0 {
			return 0, usagef("--text: %s has no %q, but %s", f.name, in.text, quotedList(s.texts))
		}
		return at, nil
	}
	left := s.leftOut()
	if len(s.texts)-len(left) > 1 {
		return 0, usagef("%s has %d texts, say which with --text: %s", f.name, len(s.texts), quotedList(s.texts))
	}
	for _, i := range left {
		in.sayLeftOut(s.texts[i])
	}
	at := 0
	for slices.Contains(left, at) {
		at++
	}
	return at, nil
}

// quotedList lists the first names of many.
func quotedList(names []string) string {
	const most = 20
	var quoted []string
	for _, name := range names[:min(len(names), most)] {
		quoted = append(quoted, strconv.Quote(name))
	}
	list := strings.Join(quoted, ", ")
	if more := len(names) - most; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// show shows a text.
func (in *inspection) show(name string, within []string, r io.Reader) error {
	t, err := dropfile.OpenTable(r, in.read)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	table, explanation := io.Discard, in.out
	if in.as != "" {
		table, explanation = in.out, in.errOut
	}
	write := dropfile.WriteCSV
	if in.as == "json" {
		write = dropfile.WriteJSON
	}
	if err := write(table, t); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if in.json {
		return json.NewEncoder(explanation).Encode(inspected{name, within, t.Explain()})
	}
	return in.explain(explanation, name, within, t.Explain())
}

// inspected is what is told about one text.
type inspected struct {
	Name       string   `json:"name"`
	Containers []string `json:"containers,omitempty"` // from the outermost inwards
	dropfile.Explanation
}

// explain tells people how a text is read.
func (in *inspection) explain(to io.Writer, file string, within []string, e dropfile.Explanation) error {
	if in.shown++; in.shown > 1 {
		fmt.Fprintln(to)
	}
	if e.Records == 0 && len(e.Columns) == 0 {
		fmt.Fprintf(to, "%s has no table\n", file)
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %s in %s, %s\n", file, report.Some(e.Records, "record"), report.Some(len(e.Columns), "column"), headerWords(e.HeaderLines))
	if len(within) > 0 {
		fmt.Fprintf(w, "taken out of %s\n", strings.Join(within, ", then "))
	}
	mark := ""
	if e.ByteOrderMark {
		mark = " with a byte-order mark"
	}
	if !isSheet(within) {
		fmt.Fprintf(w, "%s%s; delimiter %s, quote %s, escape %s, record end %s\n", e.Encoding, mark,
			signWords(e.Dialect.Delimiter), signWords(e.Dialect.Quote), escapeWords(e.Dialect), e.Dialect.RecordEnd)
	}
	if len(e.Columns) > 0 {
		fmt.Fprintln(w, "\ncolumn\tname\tfield\tlooks like\tempty\tfor example")
	}
	for i, c := range e.Columns {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d%%\t%s\n", i+1, oneLine(c.Name), c.Field, c.Looks, c.Empty, oneLine(strings.Join(c.Samples, " | ")))
	}
	if e.Held != "" {
		region := ""
		if in.feed == "" { // in another country another column may look like numbers
			region = " by a feed of region " + in.read.Region
		}
		fmt.Fprintf(w, "\nwould be held%s: %s\n", region, e.Held)
	}
	if e.Outside.Count > 0 {
		are := "are"
		if e.Outside.Count == 1 {
			are = "is"
		}
		fmt.Fprintf(w, "\n%s %s not part of the table:\n", report.Some(e.Outside.Count, "line"), are)
		for _, l := range e.Outside.First {
			fmt.Fprintf(w, "line %d\t%s\t%s\n", l.Line, l.Kind, oneLine(l.Text))
		}
		more(w, e.Outside.Count-len(e.Outside.First))
	}
	if len(e.Oddities) > 0 {
		were := "were"
		if e.Repaired == 1 {
			were = "was"
		}
		fmt.Fprintf(w, "\n%s %s repaired, %d could not be read:\n", report.Some(e.Repaired, "record"), were, e.Refused)
		for _, o := range e.Oddities {
			fmt.Fprintf(w, "line %d\t%s\t%s\n", o.Line, o.Refused, o.Why)
		}
		more(w, e.Repaired+e.Refused-len(e.Oddities))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the explanation: %w", err)
	}
	return nil
}

func more(w io.Writer, n int) {
	if n > 0 {
		fmt.Fprintf(w, "and %d more\n", n)
	}
}

// isSheet tells the text of a workbook's sheet, in which no signs part cells.
func isSheet(within []string) bool {
	return len(within) > 0 && within[len(within)-1] == "xlsx"
}

func headerWords(lines []int) string {
	switch len(lines) {
	case 0:
		return "no header"
	case 1:
		return fmt.Sprintf("header on line %d", lines[0])
	default:
		return fmt.Sprintf("header on lines %d to %d", lines[0], lines[len(lines)-1])
	}
}

// signWords names signs that are hard to see.
func signWords(s string) string {
	if name, ok := map[string]string{
		"": "none", ",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space", "^": "caret", ":": "colon", `"`: "double", "'": "single",
	}[s]; ok {
		return name
	}
	return strconv.Quote(s)
}

func escapeWords(d dropfile.Dialect) string {
	switch d.Escape {
	case "":
		return "none"
	case d.Quote:
		return "doubled"
	default:
		return "backslash"
	}
}

// oneLine keeps a value from breaking a table or steering a terminal.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n':
			return '⏎'
		case c == '\r':
			return -1
		case unicode.IsControl(c):
			return ' '
		}
		return c
	}, s)
}
