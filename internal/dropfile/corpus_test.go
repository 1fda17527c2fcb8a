package dropfile_test

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
	"importer/internal/lead"
)

const corpusDir = "testdata/corpus"

// TestTheCorpusIsReadAsAPersonWould reads each file of testdata/corpus, whose
// README.md says how a case is added. A case without expected outcomes fails;
// with IMPORTER_CORPUS=write what is made of it is written down, to be read
// and corrected by a person.
func TestTheCorpusIsReadAsAPersonWould(t *testing.T) {
	t.Parallel()
	cases := corpusCases(t)
	require.GreaterOrEqual(t, len(cases), 190)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := c.read(t)
			if !c.exists("outcomes") && os.Getenv("IMPORTER_CORPUS") == "write" {
				got.write(t, c)
			}
			require.Equal(t, c.expected(t, "want"), got.table, "the table")
			require.Equal(t, c.expected(t, "facts"), got.facts, "what is unusual about the file")
			require.Equal(t, c.expected(t, "outcomes"), got.outcomes, "what becomes of each record")
		})
	}
}

// TestTheCorpusCoversWhatItSays holds the list of the corpus' README to its
// files.
func TestTheCorpusCoversWhatItSays(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(corpusDir + "/README.md")
	require.NoError(t, err)
	_, list, ok := strings.Cut(string(readme), "## What is covered")
	require.True(t, ok)
	cases := corpusCases(t)
	for line := range strings.Lines(list) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[2], -1) {
			require.True(t, slices.ContainsFunc(cases, func(c corpusCase) bool { return strings.HasPrefix(c.name, name[1]) }), "no case is called %s", name[1])
		}
	}
}

// corpusCase is a file of the corpus; what is expected of it stands beside it.
type corpusCase struct {
	name string // of the file, up to its first dot
	path string
	feed corpusFeed
}

// corpusFeed is what a feed's configuration says of a file, for those few that
// are not read rightly, or not wanted so, without it.
type corpusFeed struct {
	Region       string                   `yaml:"region"`
	Columns      map[string]string        `yaml:"columns"`
	Made         map[string]dropfile.Made `yaml:"made"`
	CustomFields map[string]string        `yaml:"custom_fields"`
	AltPhones    []string                 `yaml:"alt_phones"`
	DateOrder    lead.DateOrder           `yaml:"date_order"`
	CalmCapitals bool                     `yaml:"calm_capitals"`
	NonLatin     bool                     `yaml:"non_latin"`
	Fatal        map[string]bool          `yaml:"fatal"`
	Encoding     string                   `yaml:"encoding"`
	Delimiter    string                   `yaml:"delimiter"`
	HeaderLine   int                      `yaml:"header_line"`
	PGPKeyFile   string                   `yaml:"pgp_key_file"`
}

func corpusCases(t testing.TB) []corpusCase {
	t.Helper()
	files, err := filepath.Glob(corpusDir + "/*.*")
	require.NoError(t, err)
	var cases []corpusCase
	for _, path := range files {
		switch filepath.Ext(path) {
		case ".want", ".facts", ".outcomes", ".feed", ".key", ".md":
			continue
		}
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		c := corpusCase{name: name, path: path}
		require.NoError(t, yaml.UnmarshalWithOptions([]byte(c.expected(t, "feed")), &c.feed, yaml.Strict()), name)
		c.feed.Region = cmp.Or(c.feed.Region, "US") // as in the configuration
		require.False(t, slices.ContainsFunc(cases, func(other corpusCase) bool { return other.name == name }), "two files are called %s", name)
		cases = append(cases, c)
	}
	return cases
}

// corpus lists the files that are plain text and are read without options.
func corpus(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, c := range corpusCases(t) {
		if !c.exists("feed") && c.exists("want") && !strings.Contains(c.expected(t, "facts"), "out of ") {
			files = append(files, c.path)
		}
	}
	return files
}

func (c corpusCase) beside(ext string) string { return filepath.Join(corpusDir, c.name+"."+ext) }

func (c corpusCase) exists(ext string) bool {
	_, err := os.Stat(c.beside(ext))
	return err == nil
}

// expected is what stands beside the file; nothing when there is no such file.
func (c corpusCase) expected(t testing.TB, ext string) string {
	t.Helper()
	text, err := os.ReadFile(c.beside(ext))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
	}
	return string(text)
}

// reading is what was made of a file, as it is written beside it.
type reading struct{ table, facts, outcomes string }

func (r reading) write(t *testing.T, c corpusCase) {
	t.Helper()
	for ext, text := range map[string]string{"want": r.table, "facts": r.facts, "outcomes": r.outcomes} {
		if text != "" || ext == "want" && !strings.HasPrefix(r.outcomes, "failed") {
			require.NoError(t, os.WriteFile(c.beside(ext), []byte(text), 0o644))
		}
	}
}

// read reads the file as an import would. Of a file with several texts each
// stands below its name.
func (c corpusCase) read(t *testing.T) reading {
	t.Helper()
	file, err := os.ReadFile(c.path)
	require.NoError(t, err)
	var names []string
	var texts []reading
	var within []string
	var said strings.Builder
	o := container.Options{
		TempDir: t.TempDir(),
		Say:     func(s string) { fmt.Fprintf(&said, "said %s\n", s) },
		Within:  func(containers []string) { within = slices.Clone(containers) },
	}
	if c.feed.PGPKeyFile != "" {
		key, err := os.ReadFile(filepath.Join(corpusDir, c.feed.PGPKeyFile))
		require.NoError(t, err)
		o.Keys, err = container.ReadKeys(key, "")
		require.NoError(t, err)
	}
	err = container.Unpack(bytes.NewReader(file), int64(len(file)), filepath.Base(c.path), o, func(name string, r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		names = append(names, name)
		texts = append(texts, c.readText(t, text))
		if len(within) > 0 {
			texts[len(texts)-1].facts += "out of " + strings.Join(within, ", ") + "\n"
		}
		return nil
	})
	if err != nil {
		return reading{outcomes: "failed: " + err.Error() + "\n"}
	}
	var all reading
	for i, r := range texts {
		title := ""
		if len(texts) > 1 {
			title = "== " + names[i] + "\n"
		}
		all.table += title + r.table
		all.facts += title + r.facts
		all.outcomes += title + r.outcomes
	}
	all.facts += said.String()
	return all
}

func (c corpusCase) options() dropfile.Options {
	f := c.feed
	return dropfile.Options{
		Region: f.Region, Columns: f.Columns, Made: f.Made,
		Extras:   dropfile.Extras{Custom: f.CustomFields, AltPhones: f.AltPhones},
		Encoding: f.Encoding, Delimiter: f.Delimiter, HeaderLine: f.HeaderLine,
	}
}

func (c corpusCase) readText(t *testing.T, text []byte) reading {
	t.Helper()
	table, err := dropfile.OpenTable(bytes.NewReader(text), c.options())
	if err != nil {
		return reading{outcomes: "failed: " + err.Error() + "\n"}
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	if table.Header() != nil {
		require.NoError(t, w.Write(table.Header()))
	}
	for {
		r, err := table.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, w.Write(r.Cells))
	}
	w.Flush()
	return reading{table: out.String(), facts: factsOf(table.Explain()), outcomes: c.outcomesOf(t, text)}
}

// outcomesOf tells what becomes of each record: CSV with its line, its outcome,
// the fields of its lead as they are sent, and those that were changed or
// dropped, beside numbers, which are digits alone in any case.
func (c corpusCase) outcomesOf(t *testing.T, text []byte) string {
	t.Helper()
	r, err := dropfile.Open(bytes.NewReader(text), c.options())
	var hold *dropfile.HoldError
	switch {
	case errors.Is(err, dropfile.ErrEmpty):
		return "empty\n"
	case errors.As(err, &hold):
		return "held: " + err.Error() + "\n"
	case err != nil:
		return "failed: " + err.Error() + "\n"
	}
	rules := lead.Rules{
		Region: c.feed.Region, ListID: "101", NonLatin: c.feed.NonLatin, DateOrder: c.feed.DateOrder,
		Dates: r.Dates(), CalmCapitals: c.feed.CalmCapitals, Fatal: c.feed.Fatal,
	}
	var rows []map[string]string
	filled := map[string]bool{}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		is := map[string]string{"line": fmt.Sprint(row.Line), "outcome": "sent"}
		rows = append(rows, is)
		l, changes, refused := rules.Clean(row.Lead)
		if refused = cmp.Or(row.Refusal, refused); refused != nil {
			is["outcome"] = "INVALID " + string(refused.Reason)
			continue
		}
		for _, field := range lead.Fields() {
			if field != "list_id" {
				is[field] = l.Get(field)
			}
		}
		if l.Extras != nil {
			for label, value := range l.Extras.Custom {
				is["custom_fields."+label] = value
			}
			for i, alt := range l.Extras.AltPhones {
				is[fmt.Sprintf("alt_phones[%d]", i)] = alt.Code + " " + alt.Number + " " + alt.Note
			}
		}
		var changed []string
		for _, field := range lead.Fields() {
			isIt := func(ch lead.Change) bool { return ch.Field == field }
			if !strings.Contains(field, "phone") && (slices.ContainsFunc(row.Changes, isIt) || slices.ContainsFunc(changes, isIt)) {
				changed = append(changed, field)
			}
		}
		is["changed"] = strings.Join(changed, " ")
		for field, value := range is {
			filled[field] = filled[field] || value != ""
		}
	}
	return outcomesTable(t, rows, filled)
}

// outcomesTable writes the columns in which something stands.
func outcomesTable(t *testing.T, rows []map[string]string, filled map[string]bool) string {
	t.Helper()
	header := []string{"line", "outcome"}
	for _, field := range lead.Fields() {
		if filled[field] {
			header = append(header, field)
		}
	}
	var others []string
	for field := range filled {
		if strings.ContainsAny(field, ".[") {
			others = append(others, field)
		}
	}
	slices.Sort(others)
	header = append(header, others...)
	if filled["changed"] {
		header = append(header, "changed")
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	require.NoError(t, w.Write(header))
	for _, row := range rows {
		var cells []string
		for _, field := range header {
			cells = append(cells, row[field])
		}
		require.NoError(t, w.Write(cells))
	}
	w.Flush()
	return out.String()
}

// factsOf lists, a line each, what is unusual about a text.
func factsOf(e dropfile.Explanation) string {
	var facts strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&facts, format+"\n", args...) }
	unless := func(usual, is, fact string) {
		if is != usual {
			say("%s %s", fact, is)
		}
	}
	unless("utf-8", e.Encoding, "encoding")
	if e.ByteOrderMark {
		say("byte-order mark")
	}
	if len(e.Columns) > 0 {
		d := strings.NewReplacer("\t", `\t`, "\x01", `\x01`).Replace(e.Dialect.Delimiter)
		switch d {
		case "":
			d = "none"
		case " ":
			d = "blank"
		}
		unless(",", d, "delimiter")
		unless(`"`, e.Dialect.Quote, "quote")
		unless(`"`, e.Dialect.Escape, "escape")
		unless("LF", string(e.Dialect.RecordEnd), "record end")
	}
	header := strings.Trim(fmt.Sprint(e.HeaderLines), "[]")
	unless("1", cmp.Or(header, "none"), "header")
	for _, l := range e.Outside.First {
		say("outside %d %s", l.Line, l.Kind)
	}
	for _, o := range e.Oddities {
		if o.Refused != "" {
			say("refused %d %s", o.Line, o.Refused)
		} else {
			say("repaired %d", o.Line)
		}
	}
	return facts.String()
}
