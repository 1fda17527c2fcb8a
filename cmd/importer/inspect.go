package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
)

func inspectCommand(sh *shell) *cobra.Command {
	var as string
	var o dropfile.Options
	var noHeader bool
	cmd := &cobra.Command{
		Use:   "inspect FILE [--as csv|json]",
		Short: "Say how a file is read: encoding, delimiter, header, columns, oddities",
		Long: `Reads a file (- is standard input) as an import would, unpacks it, and explains
what was found, for each text in it. With --as the table as it is read goes to
standard output, as RFC 4180 CSV or as JSON, with the values as they stand in
the file, and the explanation to standard error. Each setting that is found can
be given instead.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, files []string) error {
			if as != "" && as != "csv" && as != "json" {
				return usagef("--as %q is neither csv nor json", as)
			}
			if noHeader {
				o.HeaderLine = -1
			}
			if err := o.Check(); err != nil {
				return usageError{err}
			}
			return sh.inspect(files[0], as, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&as, "as", "", "write the table as it is read to standard output: csv or json")
	f.StringVar(&o.Encoding, "encoding", "", "character set, such as utf-8, utf-16le, windows-1252, iso-8859-2, macintosh")
	f.StringVar(&o.Delimiter, "delimiter", "", "what stands between cells: itself, or comma, semicolon, tab, pipe, space, caret, colon")
	f.StringVar(&o.Quote, "quote", "", "what stands around cells: double, single or none")
	f.StringVar(&o.Escape, "escape", "", "how a quote within quotes is written: doubled, backslash or none")
	f.StringVar(&o.RecordEnd, "record-end", "", "what ends a record: lf, crlf, cr or mixed")
	f.IntVar(&o.HeaderLine, "header-line", 0, "the header's line, from 1")
	f.BoolVar(&noHeader, "no-header", false, "the table has no header")
	cmd.MarkFlagsMutuallyExclusive("header-line", "no-header")
	return cmd
}

func (sh *shell) inspect(file, as string, o dropfile.Options) error {
	var within []string
	unpacking := container.Options{
		Say:    func(s string) { fmt.Fprintln(sh.errOut, "importer:", s) },
		Within: func(containers []string) { within = containers },
	}
	return sh.eachText(file, unpacking, func(name string, r io.Reader) error {
		t, err := dropfile.OpenTable(r, o)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		table, explanation := io.Discard, sh.out
		if as != "" {
			table, explanation = sh.out, sh.errOut
		}
		write := dropfile.WriteCSV
		if as == "json" {
			write = dropfile.WriteJSON
		}
		if err := write(table, t); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if sh.json {
			return json.NewEncoder(explanation).Encode(inspected{name, within, t.Explain()})
		}
		return explain(explanation, name, within, t.Explain())
	})
}

// inspected is what is told about one text.
type inspected struct {
	Name       string   `json:"name"`
	Containers []string `json:"containers,omitempty"` // from the outermost inwards
	dropfile.Explanation
}

// explain tells people how a text is read.
func explain(to io.Writer, file string, within []string, e dropfile.Explanation) error {
	if e.Records == 0 && len(e.Columns) == 0 {
		fmt.Fprintf(to, "%s has no table\n", file)
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %d records in %d columns, %s\n", file, e.Records, len(e.Columns), headerWords(e.HeaderLines))
	if len(within) > 0 {
		fmt.Fprintf(w, "taken out of %s\n", strings.Join(within, ", then "))
	}
	mark := ""
	if e.ByteOrderMark {
		mark = " with a byte-order mark"
	}
	fmt.Fprintf(w, "%s%s; delimiter %s, quote %s, escape %s, record end %s\n", e.Encoding, mark,
		signWords(e.Dialect.Delimiter), signWords(e.Dialect.Quote), escapeWords(e.Dialect), e.Dialect.RecordEnd)
	if len(e.Columns) > 0 {
		fmt.Fprintln(w, "\ncolumn\tname\tfield\tlooks like\tempty\tfor example")
	}
	for i, c := range e.Columns {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d%%\t%s\n", i+1, oneLine(c.Name), c.Field, c.Looks, c.Empty, oneLine(strings.Join(c.Samples, " | ")))
	}
	if e.Outside.Count > 0 {
		fmt.Fprintf(w, "\n%d lines are not part of the table:\n", e.Outside.Count)
		for _, l := range e.Outside.First {
			fmt.Fprintf(w, "line %d\t%s\t%s\n", l.Line, l.Kind, oneLine(l.Text))
		}
		more(w, e.Outside.Count-len(e.Outside.First))
	}
	if len(e.Oddities) > 0 {
		fmt.Fprintf(w, "\n%d records were repaired, %d could not be read:\n", e.Repaired, e.Refused)
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
	if name, ok := map[string]string{"": "none", ",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space", "^": "caret", ":": "colon"}[s]; ok {
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

// oneLine keeps a value's line breaks and tabs from breaking a table.
func oneLine(s string) string {
	return strings.NewReplacer("\n", "⏎", "\r", "", "\t", " ").Replace(s)
}
