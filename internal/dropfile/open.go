package dropfile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	sampled       = 256 << 10 // bytes by which a file is judged
	sampledLines  = 400
	peeked        = 600      // records by which a table is judged
	peekedBytes   = 16 << 20 // unless they take more memory than this
	defaultRecord = 1 << 20
	defaultFields = 20_000
)

// OpenTable finds a file's table. A file without content has a table without
// header and records. Of a workbook's sheet the dialect is known, whatever the
// options say. Returns *FormatError for what is no text.
func OpenTable(r io.Reader, o Options) (*Table, error) {
	said, err := o.settings()
	if err != nil {
		return nil, err
	}
	limit := o.MaxRecord
	if limit <= 0 {
		limit = defaultRecord
	}
	raw := window{r: r, max: limit}
	block, err := raw.peek(sampled)
	if err != nil {
		return nil, err
	}
	if isSheet(block) {
		return openSheetTable(raw, o)
	}
	cs, err := findCharset(block, o.Encoding, raw.err != nil)
	if err != nil {
		return nil, err
	}
	if bad := recognise(block, cs); bad != nil {
		return nil, bad
	}
	raw.start += cs.mark
	w := raw
	if cs.decoder != nil {
		w = window{r: cs.reader(io.MultiReader(strings.NewReader(string(raw.buf[raw.start:raw.end])), &rest{raw.r, raw.err})), max: limit}
		if block, err = w.peek(sampled); err != nil {
			return nil, err
		}
	} else {
		block = block[cs.mark:]
	}
	var called RecordEnd
	w.ends, called = findEnds(block)
	if said.end != "" {
		w.ends, called = said.end, said.end
	}
	lines := sampleLines(block, w.ends, w.err != nil)
	found, wrapped := findDialect(lines, said), false
	if bare := withoutWraps(lines); found.fields < 2 && bare != nil {
		if inner := findDialect(bare, said); inner.fields > 1 {
			found, wrapped = inner, true
		}
	}
	src := &textSource{w: w, dialect: found.dialect, fields: max(1, found.fields), line: 1, marks: true, wrapped: wrapped}
	t := &Table{src: src, dialect: found.dialect, text: true}
	t.found = Explanation{
		Encoding: cs.name, ByteOrderMark: cs.mark > 0,
		Dialect: found.exported(called),
	}
	if err := t.begin(o, found.fields); err != nil {
		return nil, err
	}
	src.marks, src.fields = false, t.shape.fields
	return t, nil
}

func openSheetTable(w window, o Options) (*Table, error) {
	src := openSheet(w)
	t := &Table{src: src, dialect: sheetDialect}
	t.found = Explanation{Encoding: utf8Name, Dialect: sheetDialect.exported(LF)}
	if err := t.begin(o, src.width); err != nil {
		return nil, err
	}
	return t, nil
}

// rest is what was not yet read of a file, with the error that ended it.
type rest struct {
	r   io.Reader
	err error
}

func (r *rest) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	return r.r.Read(p)
}

// sampleLines parts the sample into lines, those without content left out. A
// line that the sample's end cuts is none.
func sampleLines(sample []byte, ends RecordEnd, whole bool) []string {
	var lines []string
	for len(sample) > 0 && len(lines) < sampledLines {
		n := breakAfter(sample, ends, whole)
		if n == 0 {
			if !whole && len(lines) > 0 {
				break
			}
			n = len(sample)
		}
		if line, _ := fixed(withoutBreak(sample[:n])); strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
		sample = sample[n:]
	}
	return lines
}

// withoutWraps returns the lines without the quotation marks around each of
// them, nil when not all have them.
func withoutWraps(lines []string) []string {
	var bare []string
	for _, line := range lines {
		inner, ok := unwrapLine(line)
		if !ok {
			return nil
		}
		bare = append(bare, inner)
	}
	return bare
}

// unwrapLine takes off the quotation marks around a line that is one cell.
func unwrapLine(line string) (string, bool) {
	inner, quoted, n, f := nextCell(dialect{quote: '"', escape: '"'}, line)
	return inner, quoted && n == len(line) && f == sound
}

// begin reads the first records and finds the table among them.
func (t *Table) begin(o Options, fields int) error {
	for size := 0; len(t.queue) < peeked && size < peekedBytes && t.ahead == nil; {
		if t.pull(); t.ahead == nil {
			size += t.queue[len(t.queue)-1].size()
		}
	}
	t.shape.fields = fields
	for i := range t.queue {
		if recs := t.partsAtCR(&t.queue[i]); recs != nil {
			t.queue = slices.Replace(t.queue, i, i+1, recs...)
			break
		}
	}
	var long *RecordError
	if len(t.queue) == 0 && errors.As(t.ahead, &long) {
		return t.ahead
	}
	limit := o.MaxColumns
	if limit <= 0 {
		limit = defaultFields
	}
	t.shape = findShape(t.queue, fields, t.dialect.delimiter, o.HeaderLine, t.resplit)
	if t.shape.fields > limit {
		return &FormatError{Looks: fmt.Sprintf("a table of %d columns", t.shape.fields), Cure: fmt.Sprintf("at most %d are read: the file is damaged or is no CSV", limit)}
	}
	header := map[int]bool{}
	for _, line := range t.shape.lines {
		header[line] = true
	}
	for i := range t.queue[:t.shape.first] {
		if r := t.queue[i]; !header[r.line] {
			t.leaveOut(&r, kindAbove(&r))
		}
	}
	t.queue = t.queue[t.shape.first:]
	t.head = distinct(t.shape.header())
	if t.shape.mended {
		why := "the header was repaired"
		if t.shape.broken {
			why = fmt.Sprintf("the header has %d names for %d columns", len(t.head), t.shape.fields)
		}
		t.odd.first = append(t.odd.first, Oddity{Line: t.shape.lines[0], Why: why})
	}
	if !t.shape.broken {
		t.mapper, t.unmapped = newMapper(t.head, t.shape.names(), t.sample(), o)
	}
	t.found.learn(t)
	return nil
}

func kindAbove(r *record) string {
	if r.isBlank() {
		return Blank
	}
	return Preamble
}

// distinct numbers names that a header has twice.
func distinct(header []string) []string {
	taken := map[string]bool{}
	for _, h := range header {
		taken[h] = true
	}
	seen := map[string]int{}
	out := slices.Clone(header)
	for i, h := range out {
		if seen[h]++; seen[h] == 1 || h == "" {
			continue
		}
		name := fmt.Sprintf("%s (%d)", h, seen[h])
		for taken[name] {
			seen[h]++
			name = fmt.Sprintf("%s (%d)", h, seen[h])
		}
		taken[name] = true
		out[i] = name
	}
	return out
}
