package dropfile

import (
	"slices"
	"strings"
)

// delimiters that are tried, the likelier first, and how much less likely each
// is than a comma when both explain a file as well. A blank is not among them:
// it is tried when nothing else explains the file.
var delimiters = []struct {
	text   string
	weight float64
}{
	{",", 1},
	{";", 1},
	{"\t", 1},
	{"|", 1},
	{"^", 0.95},
	{"~", 0.95},
	{"\x01", 1},
	{"\x1f", 1},
	{"\x1e", 0.9},
	{"\x1c", 0.9},
	{"\x02", 0.9},
	{"¦", 0.95},
	{"§", 0.95},
	{"¬", 0.95},
	{"¤", 0.95},
	{"þ", 0.8},
	{":", 0.8},
	{"#", 0.7},
	{"*", 0.7},
	{"!", 0.7},
	{"=", 0.6},
	{" ", 0.5},
	{"|~|", 1},
	{"~|~", 1},
	{"^|^", 1},
	{"|^|", 1},
	{"<|>", 1},
	{"@|@", 1},
	{"#|#", 1},
	{`\t`, 0.9},
}

// candidate is a dialect that may explain a sample.
type candidate struct {
	dialect
	fields int // cells that most records have
	share  float64
	types  float64
	score  float64
}

// findDialect tells the dialect of a sample's lines, those without content left
// out. Settings that are configured are taken as they are.
func findDialect(lines []string, said settings) candidate {
	var rt rater
	if said.hasDelimiter {
		best := candidate{}
		for _, d := range dialectsFor(lines, said.delimiter, said) {
			if c := rt.rate(lines, d, 1, 0); c.score > best.score || best.delimiter == "" {
				best = c
			}
		}
		return best
	}
	sample := strings.Join(lines, "\n")
	best := rateSingle(lines, said)
	for _, d := range delimiters {
		if !strings.Contains(sample, d.text) {
			continue
		}
		for _, text := range longer(lines, d.text) {
			for _, try := range dialectsFor(lines, text, said) {
				c := rt.rate(lines, try, d.weight, best.score/mostWeight(d.text))
				if d.text == " " {
					c.score *= blankWeight(lines, c)
				}
				if c.score > best.score {
					best = c
				}
			}
		}
	}
	return best
}

// longer returns a delimiter, and before it a longer one that has it in most of
// its places: ", " or "||" or " | ".
func longer(lines []string, d string) []string {
	if len(d) != 1 || d == " " {
		return []string{d}
	}
	var places, doubled, blankBehind, blankAround int
	in := false
	for n, line := range lines {
		if in && !closesWithin(lines[n:]) {
			in = false
		}
		for i := 0; i < len(line); i++ {
			if line[i] == '"' {
				in = !in
			}
			if line[i] != d[0] || in {
				continue
			}
			run := 1
			for i+run < len(line) && line[i+run] == d[0] {
				run++
			}
			places++
			if run%2 == 0 {
				doubled++
			}
			end := i + run
			if run == 1 && (end == len(line) || line[end] == ' ') {
				blankBehind++
				if i > 0 && line[i-1] == ' ' {
					blankAround++
				}
			}
			i = end - 1
		}
	}
	switch {
	case places == 0:
		return []string{d}
	case doubled*5 >= places*4:
		return []string{d + d, d}
	case blankAround*20 >= places*13:
		return []string{" " + d + " ", d}
	case blankBehind*20 >= places*13:
		return []string{d + " ", d}
	}
	return []string{d}
}

// closesWithin tells whether a quotation mark that the line before left open
// may be closed on these: a line that has an odd number of them comes soon.
func closesWithin(lines []string) bool {
	for _, line := range lines[:min(len(lines), 30)] {
		if strings.Count(line, `"`)%2 == 1 {
			return true
		}
	}
	return false
}

// dialectsFor finds the quotes and escapes that a sample has around cells with
// a delimiter, the likeliest first.
func dialectsFor(lines []string, delimiter string, said settings) (all []dialect) {
	if said.hasQuote {
		d := dialect{delimiter: delimiter}
		if said.quote != "" {
			d.quote = said.quote[0]
		}
		return escapesFor(lines, d, wraps(lines, delimiter, d.quote), said)
	}
	double, single := wraps(lines, delimiter, '"'), wraps(lines, delimiter, '\'')
	apostrophes := single.lines > double.lines && single.lines > 1 && single.lines*50 >= len(lines) ||
		single.lines == 1 && double.lines == 0 && len(lines) < 5 && single.closed > 1
	if apostrophes {
		all = escapesFor(lines, dialect{delimiter: delimiter, quote: '\''}, single, said)
	}
	if !apostrophes || double.lines > 0 { // apostrophes may stand around lines of a quoted text
		all = append(all, escapesFor(lines, dialect{delimiter: delimiter, quote: '"'}, double, said)...)
	}
	return all
}

// escapesFor finds the escapes that a sample has within quotes.
func escapesFor(lines []string, d dialect, q wrapped, said settings) []dialect {
	d.escape = d.quote
	if q.backslashed > max(1, q.doubled) {
		d.escape = '\\'
		if !said.hasEscape { // or a backslash stands at the end of a quoted text
			doubled := d
			doubled.escape = d.quote
			return []dialect{d, doubled}
		}
	}
	switch {
	case said.hasEscape && said.escape == "doubled":
		d.escape = d.quote
	case said.hasEscape && said.escape == "":
		d.escape = 0
	case said.hasEscape:
		d.escape = said.escape[0]
	case d.escape != '\\' && d.delimiter != "" && strings.Contains(strings.Join(lines, "\n"), `\`+d.delimiter):
		escaped := d
		escaped.escape = '\\'
		return []dialect{d, escaped}
	}
	return []dialect{d}
}

// wrapped counts quotes that stand around cells, and escaped ones within.
type wrapped struct {
	closed, doubled, backslashed int
	lines                        int // with a pair of quotes
}

func wraps(lines []string, delimiter string, quote byte) wrapped {
	var w wrapped
	most := -1 // delimiters on a line
	for n := 0; n < len(lines); n++ {
		line, before := lines[n], w.closed
		open := w.of(line, delimiter, quote)
		if w.closed > before {
			w.lines++
		}
		if open < 0 || delimiter == "" {
			continue
		}
		if most < 0 {
			for _, l := range lines {
				most = max(most, strings.Count(l, delimiter))
			}
		}
		if strings.Count(line, delimiter) == most {
			continue
		}
		// The cell may go on below, unless the line has all its cells already or
		// another line of them follows.
		text := line[open:]
		for more := 1; more <= 30 && n+more < len(lines); more++ {
			next := lines[n+more]
			if strings.Count(next, delimiter) >= strings.Count(line, delimiter) && strings.IndexByte(next, quote) < 0 {
				break
			}
			text += "\n" + next
			whole := wrapped{}
			if whole.of(text, delimiter, quote) < 0 && whole.closed > 0 {
				w.closed, w.doubled, w.backslashed = w.closed+whole.closed, w.doubled+whole.doubled, w.backslashed+whole.backslashed
				w.lines++
				n += more
				break
			}
		}
	}
	return w
}

// of counts in one text. Returns where a quote stands that is not closed, or -1.
func (w *wrapped) of(line, delimiter string, quote byte) int {
	open := -1
	for i := 0; i < len(line); i++ {
		if line[i] != quote {
			continue
		}
		behind := line[i+1:]
		switch {
		case open < 0:
			if i == 0 || delimiter != "" && strings.HasSuffix(line[:i], delimiter) {
				open = i
			}
		case len(behind) > 0 && behind[0] == quote && (i == 0 || line[i-1] != '\\' || !endsCell(behind[1:], delimiter)):
			w.doubled++
			i++
		case i > open+1 && line[i-1] == '\\' && !endsCell(behind, delimiter):
			w.backslashed++
		case endsCell(behind, delimiter):
			w.closed++
			open = -1
		}
	}
	return open
}

func endsCell(behind, delimiter string) bool {
	return behind == "" || delimiter != "" && strings.HasPrefix(behind, delimiter)
}

// rated is how many of a sample's records are looked at.
const rated = 200

// rater rates dialects by a sample, and takes no longer for one than is needed
// to know that it is not the best. Its slices are used again.
type rater struct {
	split  splitter
	cells  []string
	quoted []bool
}

// rate tells how well a dialect explains a sample: how many records have the
// same number of cells, and how many cells look like something. The score is 0
// when it is not more than atLeast.
func (rt *rater) rate(lines []string, d dialect, weight, atLeast float64) (c candidate) {
	c = candidate{dialect: d}
	counts := map[int]int{}
	records, flawed := 0, 0
	rt.cells, rt.quoted = rt.cells[:0], rt.quoted[:0]
	split := &rt.split
	for i := 0; i < len(lines) && records < rated; i++ {
		text := lines[i]
		got, flaw := split.split(d, text)
		for more := 1; flaw == unclosed && more <= 30 && i+more < len(lines); more++ {
			text += "\n" + lines[i+more]
			whole, whatNow := split.split(d, text)
			if whatNow == sound {
				got, flaw = whole, whatNow
				i += more
				break
			}
			if whatNow != unclosed {
				break
			}
		}
		if flaw == unclosed {
			got, _ = split.split(d, lines[i])
		}
		if flaw > literal {
			flawed++
		}
		records++
		counts[len(got)]++
		rt.cells, rt.quoted = append(rt.cells, got...), append(rt.quoted, split.quoted...)
	}
	if records == 0 {
		return c
	}
	sizes := make([]int, 0, len(counts))
	for n := range counts {
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	for _, n := range sizes {
		if n > 1 && counts[n] >= counts[c.fields] {
			c.fields = n
		}
	}
	if c.fields < 2 {
		return c
	}
	c.share = float64(counts[c.fields]) / float64(records)
	sounds := 1 - 0.3*float64(flawed)/float64(records)
	most := c.share * (1 - 1/float64(c.fields+1)) * sounds * weight
	if names, _ := split.split(d, lines[0]); len(names) < c.fields &&
		(isTrusted(names, d, c.fields) && counts[len(names)] > 2 && counts[len(names)]*10 > records || isTight(lines, d, slices.Clone(names))) {
		c.fields = len(names)
	}
	if most <= atLeast {
		return c
	}
	looks := 0.0
	for j, cell := range rt.cells {
		p := plausible(cell, rt.quoted[j])
		if cell != "" && cell[0] == ' ' {
			p *= 0.9
		}
		looks += p
	}
	c.types = looks / float64(len(rt.cells))
	c.score = most * c.types * c.types
	return c
}

// isTrusted tells a header that knows better than most of the records how many
// columns there are: texts in them have delimiters that are not quoted.
func isTrusted(names []string, d dialect, fields int) bool {
	if len(names) < 3 || len(names) >= fields {
		return false
	}
	for _, c := range names {
		if k := kindOf(c); k == empty || k.strong() {
			return false
		}
	}
	return d.delimiter == " " || knownNames(names)*2 >= len(names)
}

// isTight tells records that have as many cells as the header names once a
// delimiter with a blank behind it is taken as text, nearly all of them.
func isTight(lines []string, d dialect, names []string) bool {
	if len(d.delimiter) != 1 || d.delimiter == " " || len(names) < 3 || knownNames(names) == 0 {
		return false
	}
	var split splitter
	n := 0
	for _, line := range lines[1:] {
		if cells, flaw := split.split(d, line); flaw == sound && len(tight(cells, split.quoted, d.delimiter, len(names))) == len(names) {
			n++
		}
	}
	return n > 1 && n*10 >= (len(lines)-1)*9
}

// tight joins cells that begin with a blank to those before them, if there are
// more than there should be.
func tight(cells []string, quoted []bool, delimiter string, fields int) []string {
	if len(cells) <= fields {
		return cells
	}
	var out []string
	for i, c := range cells {
		if len(out) > 0 && len(c) > 1 && c[0] == ' ' && !quoted[i] && !quoted[i-1] {
			out[len(out)-1] += delimiter + c
			continue
		}
		out = append(out, c)
	}
	return out
}

// rateSingle rates a file of one column.
func rateSingle(lines []string, said settings) candidate {
	c := candidate{dialect: dialectsFor(lines, "", said)[0], fields: 1, share: 1}
	strong := 0.0
	for _, line := range lines[:min(len(lines), rated)] {
		line = strings.Trim(line, `"`)
		k := kindOf(line)
		switch {
		case k.strong():
			strong++
		case k == words || k == odd:
			strong += 0.5 * plausible(line, false)
		default:
			strong += 0.7
		}
	}
	c.types = strong / float64(max(1, min(len(lines), rated)))
	c.score = 0.45 * c.types
	return c
}

// mostWeight is the most by which a delimiter's score is multiplied later.
func mostWeight(delimiter string) float64 {
	if delimiter == " " {
		return trustedBlank
	}
	return 1
}

const trustedBlank = 1.6

// blankWeight says how far blanks may be believed to be delimiters: columns of
// one kind or quotes must speak for it, since all text has blanks.
func blankWeight(lines []string, c candidate) float64 {
	if c.fields < 3 {
		return 0.5
	}
	var split splitter
	kindsOf := make([][kinds]int, c.fields)
	records, quoted := 0, 0
	for _, line := range lines[:min(len(lines), rated)] {
		cells, _ := split.split(c.dialect, line)
		if len(cells) != c.fields {
			continue
		}
		records++
		for j, cell := range cells {
			kindsOf[j][kindOf(cell)]++
			if split.quoted[j] {
				quoted++
			}
		}
	}
	strong := 0
	for _, column := range kindsOf {
		for k, n := range column {
			if kind(k).strong() && n*10 >= (records-1)*8 {
				strong++
				break
			}
		}
	}
	if records > 1 && (strong > 0 || quoted > records) {
		return trustedBlank
	}
	return 0.5
}

// plausible says how likely somebody meant a text to be one cell, from 0 to 1.
func plausible(cell string, quoted bool) float64 {
	if quoted {
		return 1
	}
	k := kindOf(cell)
	switch {
	case k == empty:
		return 0.7
	case k.strong(), k == word:
		return 1
	}
	p := 0.9
	if k == odd {
		p = 0.5
	}
	if cell[len(cell)-1] == ',' || cell[len(cell)-1] == ';' {
		p *= 0.5
	}
	for i := range len(cell) {
		switch c := cell[i]; c {
		case ';', '|', '\t', '^', '~', '\x01', '\x1f':
			p *= 0.4
		case ',':
			if i+1 == len(cell) || cell[i+1] != ' ' {
				p *= 0.4
			}
		case '"':
			p *= 0.5
		}
		if p < 0.05 {
			return 0.05
		}
	}
	return p
}
