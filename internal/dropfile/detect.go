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
	if said.hasDelimiter {
		best := candidate{}
		for _, d := range dialectsFor(lines, said.delimiter, said) {
			if c := rate(lines, d, 1); c.score > best.score || best.delimiter == "" {
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
				c := rate(lines, try, d.weight)
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

// longer returns a delimiter, and in its place a longer one that has it in all
// of its places: ", " or "||" or " | ".
func longer(lines []string, d string) []string {
	if len(d) != 1 || d == " " {
		return []string{d}
	}
	var places, doubled, blankBehind, blankAround int
	for _, line := range lines {
		in := false
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
	case blankAround*20 >= places*19:
		return []string{" " + d + " ", d}
	case blankBehind*20 >= places*19:
		return []string{d + " ", d}
	}
	return []string{d}
}

// dialectsFor finds the quotes and escapes that a sample has around cells with
// a delimiter: the likeliest, and where a backslash may stand before delimiters,
// that as well.
func dialectsFor(lines []string, delimiter string, said settings) []dialect {
	d := dialect{delimiter: delimiter, quote: '"'}
	double, single := wraps(lines, delimiter, '"'), wraps(lines, delimiter, '\'')
	q := double
	if single.closed > double.closed && single.closed > 1 && single.closed*50 >= len(lines) {
		d.quote, q = '\'', single
	}
	if said.hasQuote {
		d.quote = 0
		if said.quote != "" {
			d.quote = said.quote[0]
			q = wraps(lines, delimiter, d.quote)
		}
	}
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
	case d.escape != '\\' && delimiter != "" && strings.Contains(strings.Join(lines, "\n"), `\`+delimiter):
		escaped := d
		escaped.escape = '\\'
		return []dialect{d, escaped}
	}
	return []dialect{d}
}

// wrapped counts quotes that stand around cells, and escaped ones within.
type wrapped struct{ closed, doubled, backslashed int }

func wraps(lines []string, delimiter string, quote byte) wrapped {
	var w wrapped
	for _, line := range lines {
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
	}
	return w
}

func endsCell(behind, delimiter string) bool {
	return behind == "" || delimiter != "" && strings.HasPrefix(behind, delimiter)
}

// rated is how many of a sample's records are looked at.
const rated = 200

// rate tells how well a dialect explains a sample: how many records have the
// same number of cells, and how many cells look like something.
func rate(lines []string, d dialect, weight float64) (c candidate) {
	c = candidate{dialect: d}
	counts := map[int]int{}
	records, cells := 0, 0
	looks := 0.0
	var split splitter
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
		records++
		counts[len(got)]++
		for j, cell := range got {
			cells++
			looks += plausible(cell, split.quoted[j])
		}
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
	if names, _ := split.split(d, lines[0]); isTrusted(names, d, c.fields) && counts[len(names)] > 2 && counts[len(names)]*10 > records {
		defer func(n int) { c.fields = n }(len(names))
	}
	c.share = float64(counts[c.fields]) / float64(records)
	c.types = looks / float64(cells)
	c.score = c.share * c.types * c.types * (1 - 1/float64(c.fields+1)) * weight
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
		return 1.6
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
