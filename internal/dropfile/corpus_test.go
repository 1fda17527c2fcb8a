package dropfile_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
)

// TestTheCorpusIsReadAsAPersonWould reads each file of testdata/corpus. Beside
// NAME.csv (or .txt) stand NAME.want, the table as CSV, and NAME.facts, what is
// to be said about the file beside the usual: UTF-8, commas, doubled quotation
// marks, line feeds, a header on line 1, each line of it a sound record.
func TestTheCorpusIsReadAsAPersonWould(t *testing.T) {
	t.Parallel()
	files := corpus(t)
	require.GreaterOrEqual(t, len(files), 60)
	for _, path := range files {
		base := strings.TrimSuffix(path, filepath.Ext(path))
		t.Run(filepath.Base(base), func(t *testing.T) {
			t.Parallel()
			file, err := os.ReadFile(path)
			require.NoError(t, err)
			table, err := dropfile.OpenTable(bytes.NewReader(file), dropfile.Options{})
			require.NoError(t, err)
			var got [][]string
			if table.Header() != nil {
				got = append(got, table.Header())
			}
			for {
				r, err := table.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
				got = append(got, r.Cells)
			}
			want, err := os.ReadFile(base + ".want")
			require.NoError(t, err)
			wanted := csv.NewReader(bytes.NewReader(want))
			wanted.FieldsPerRecord = -1
			rows, err := wanted.ReadAll()
			require.NoError(t, err)
			require.Equal(t, rows, got)
			facts, err := os.ReadFile(base + ".facts")
			if !errors.Is(err, os.ErrNotExist) {
				require.NoError(t, err)
			}
			told := factsOf(table.Explain())
			expected := strings.Split(strings.TrimSuffix(string(facts), "\n"), "\n")
			slices.Sort(expected)
			slices.Sort(told)
			require.Equal(t, strings.TrimSpace(strings.Join(expected, "\n")), strings.TrimSpace(strings.Join(told, "\n")))
		})
	}
}

// corpus lists the corpus' files.
func corpus(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, ext := range []string{"csv", "txt"} {
		found, err := filepath.Glob("testdata/corpus/*." + ext)
		require.NoError(t, err)
		files = append(files, found...)
	}
	return files
}

// factsOf lists what is unusual about a file.
func factsOf(e dropfile.Explanation) []string {
	var facts []string
	unless := func(usual, is, fact string) {
		if is != usual {
			facts = append(facts, fact+" "+is)
		}
	}
	unless("utf-8", e.Encoding, "encoding")
	if e.ByteOrderMark {
		facts = append(facts, "byte-order mark")
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
	if header == "" {
		header = "none"
	}
	unless("1", header, "header")
	for _, l := range e.Outside.First {
		facts = append(facts, fmt.Sprintf("outside %d %s", l.Line, l.Kind))
	}
	for _, o := range e.Oddities {
		if o.Refused != "" {
			facts = append(facts, fmt.Sprintf("refused %d %s", o.Line, o.Refused))
		} else {
			facts = append(facts, fmt.Sprintf("repaired %d", o.Line))
		}
	}
	return facts
}
