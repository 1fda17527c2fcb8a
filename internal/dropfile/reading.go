package dropfile

import (
	"container/heap"
	"hash/maphash"
	"slices"
	"strings"
	"unicode"
)

// reading is the way to a place in a record's text.
type reading struct {
	cost          float64 // so far
	bound         float64 // what it will cost in all, at least
	place, column int
	hash          uint64 // of the cells
	did           repairs
	gap           bool
	cell          string
	from          *reading
}

// cells walks back to the record's beginning.
func (r *reading) cells(n int) []string {
	out := make([]string, n)
	for at := r; at.from != nil; at = at.from {
		if at.hash != at.from.hash { // a stray delimiter adds no cell
			n--
			out[n] = at.cell
		}
	}
	return out
}

// readings is a heap, the likeliest first.
type readings []*reading

func (r readings) Len() int           { return len(r) }
func (r readings) Less(i, j int) bool { return r[i].bound < r[j].bound }
func (r readings) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *readings) Push(x any)        { *r = append(*r, x.(*reading)) }
func (r *readings) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// repairer looks for readings of one text in one dialect.
type repairer struct {
	d      dialect
	text   string
	model  *model
	left   []float64 // what the columns from each one on cost at least
	splits bool
	steps  *int // that are left
	seed   maphash.Seed
	open   readings
	done   map[[2]int][]uint64 // by place and column, the hashes of what was there
}

// end is the place behind the last cell.
func (r *repairer) end() int { return len(r.text) + 1 }

// find returns the likeliest readings, the best first, and those that come
// near it: the search goes on with what may still be the best.
func (r *repairer) find(base repairs) []*reading {
	n := len(r.model.columns)
	r.done = map[[2]int][]uint64{}
	cost := 0.0
	for did, c := range map[repairs]float64{didDelimiter: costDelimiter, didQuote: costQuote, didEscape: costEscape} {
		if base&did != 0 {
			cost += c
		}
	}
	r.push(&reading{did: base, cost: cost})
	var found []*reading
	for len(r.open) > 0 && *r.steps > 0 {
		at := heap.Pop(&r.open).(*reading)
		if len(found) > 0 && at.bound > found[0].cost+margin {
			return found
		}
		key := [2]int{at.place, at.column}
		if known := r.done[key]; len(known) == maxReached || slices.Contains(known, at.hash) {
			continue
		} else {
			r.done[key] = append(known, at.hash)
		}
		switch {
		case at.place == r.end() && at.column == n:
			if found = append(found, at); len(found) == maxReached {
				return found
			}
		case at.place == r.end():
			r.blank(at)
		case at.column == n:
			r.tail(at)
		default:
			r.step(at)
		}
	}
	if *r.steps <= 0 {
		return nil
	}
	return found
}

func (r *repairer) push(to *reading) {
	to.place = min(to.place, r.end())
	to.bound = to.cost + r.left[to.column]
	heap.Push(&r.open, to)
}

// add appends a cell to a reading. seen is what the column judges: the cell
// without stray quotes.
func (r *repairer) add(from *reading, place int, cell, seen string, cost float64, did repairs) {
	*r.steps--
	r.push(&reading{
		cost:   from.cost + cost + r.model.cost(seen, from.column),
		place:  place,
		column: from.column + 1,
		hash:   r.hashed(from.hash, cell),
		did:    from.did | did,
		cell:   cell,
		from:   from,
	})
}

func (r *repairer) hashed(before uint64, cell string) uint64 {
	return (before+1)*0x9E3779B97F4A7C15 ^ maphash.String(r.seed, cell)
}

// blank leaves a column empty whose cell is missing.
func (r *repairer) blank(from *reading) {
	cost := costGap
	if from.gap {
		cost = costGapMore
	}
	r.push(&reading{
		cost:   from.cost + cost + r.model.cost("", from.column),
		place:  from.place,
		column: from.column + 1,
		hash:   r.hashed(from.hash, ""),
		did:    from.did | didGap,
		gap:    true,
		from:   from,
	})
}

// stray passes over a delimiter too many.
func (r *repairer) stray(from *reading, place int) {
	r.push(&reading{
		cost: from.cost + costStray, place: place, column: from.column,
		hash: from.hash, did: from.did | didStray, from: from,
	})
}

// tail takes what stands behind the last column, if it is empty.
func (r *repairer) tail(from *reading) {
	if strings.Trim(r.text[from.place:], r.d.delimiter+" ") == "" {
		r.stray(from, r.end())
	}
}

// step tries all cells that may begin at a reading's place.
func (r *repairer) step(from *reading) {
	rest := r.text[from.place:]
	if r.d.delimiter != "" && strings.HasPrefix(rest, r.d.delimiter) {
		r.stray(from, from.place+len(r.d.delimiter))
	}
	r.blank(from)
	opened := 0.0
	if r.d.quote != 0 && rest != "" && rest[0] == r.d.quote {
		r.quotedCells(from)
		if cell, quoted, _, f := nextCell(r.d, rest); quoted && f == sound && strings.Contains(cell, r.d.delimiter) {
			opened = costUnlikely // a cell that needs its quotes, and has them
		}
	}
	r.bareCells(from, opened)
	if r.splits {
		r.gluedCells(from)
	}
}

// quotedCells tries each quote that may close the one at a reading's place.
func (r *repairer) quotedCells(from *reading) {
	rest := r.text[from.place:]
	closers := 0
	for i := 1; i < len(rest) && closers < 12; i++ {
		if rest[i] != r.d.quote {
			continue
		}
		ends := endsCell(rest[i+1:], r.d.delimiter)
		if !ends && !r.splits {
			continue
		}
		closers++
		content := unescape(r.d, rest[1:i])
		seen := content
		cost, did := r.unpaired(rest[1:i]), repairs(0)
		if cost > 0 {
			did = didInner
			seen = strings.ReplaceAll(content, string(r.d.quote), "")
		}
		if ends {
			r.add(from, from.place+i+1+len(r.d.delimiter), content, seen, cost, did)
		} else {
			r.add(from, from.place+i+1, content, seen, cost+costSplit, did|didSplit)
		}
	}
}

// unpaired is what quotes within quotes cost that are not escaped.
func (r *repairer) unpaired(content string) float64 {
	cost := 0.0
	for i := 0; i < len(content); i++ {
		switch {
		case content[i] == '\\' && r.d.escape == '\\':
			i++
		case content[i] != r.d.quote:
		case r.d.escape == r.d.quote && i+1 < len(content) && content[i+1] == r.d.quote:
			i++
		case i > 0 && content[i-1] == '\\':
			cost += 2 * costInner // it is escaped, if in another way
		default:
			cost += costInner
		}
	}
	return cost
}

// bareCells tries cells up to the next delimiter and to later ones; opened is
// what each of them costs for a quote that it takes as text.
func (r *repairer) bareCells(from *reading, opened float64) {
	rest := r.text[from.place:]
	merged := 0.0
	for i, n := 0, 0; i <= maxMerged; i++ {
		n += indexDelimiter(r.d, rest[n:])
		r.bareCell(from, rest[:n], opened, merged, i)
		if n == len(rest) || r.d.delimiter == "" {
			return
		}
		if n += len(r.d.delimiter); n > len(rest) {
			return
		}
		if r.d.delimiter == " " || n < len(rest) && rest[n] == ' ' {
			merged += costMergeSoft
		} else {
			merged += costMerge
		}
	}
}

// bareCell tries a cell that no pair of quotes encloses; so many delimiters
// are in it.
func (r *repairer) bareCell(from *reading, cell string, opened, merged float64, delimiters int) {
	did, edge := repairs(0), false
	if delimiters > 0 {
		did = didMerge
		edge = strings.HasPrefix(cell, r.d.delimiter) || strings.HasSuffix(cell, r.d.delimiter)
		if edge { // then it is the delimiter that is too many
			merged += costMerge
		}
	}
	next := from.place + len(cell) + len(r.d.delimiter)
	quotedColumn := r.d.quote != 0 && r.model.mostlyQuoted(from.column)
	plain := cell
	if r.d.escape == '\\' {
		plain = unescape(r.d, cell)
	}
	q := r.d.quote
	opens, closes := q != 0 && len(cell) > 0 && cell[0] == q, q != 0 && len(cell) > 0 && cell[len(cell)-1] == q
	if !opens && !closes {
		if quotedColumn && cell != "" {
			merged += costLikely
		}
		if n := len(cell); n > 1 && q == '"' && cell[0] == '\'' && cell[n-1] == '\'' {
			merged += costUnlikely // than quotes of another kind
		}
		if q != 0 && strings.Count(cell, string(q))%2 == 1 {
			merged += costInner
		}
		r.add(from, next, plain, plain, merged, did)
		return
	}
	seen := strings.Trim(plain, string(q))
	if opens && closes && len(cell) > 1 {
		r.add(from, next, plain, seen, merged+costUnlikely, did|didQuoteText)
		return
	}
	content := cell[:len(cell)-1]
	if opens {
		content = cell[1:]
	}
	inner := r.unpaired(content)
	content = unescape(r.d, content)
	asText, asQuote := costLikely, costUnlikely
	inner += opened
	if quotedColumn || unescape(r.d, seen) != seen {
		asText, asQuote = costUnlikely, costLikely
	}
	switch {
	case edge:
		r.add(from, next, plain, seen, merged+costUnlikely, did|didQuoteText)
		return
	case delimiters == 0:
		r.add(from, next, plain, seen, merged+asText+opened, did|didQuoteText)
	default: // which is what quotes are for
		r.add(from, next, plain, seen, merged+costUnlikely, did|didQuoteText)
		merged, asQuote = costMergeSoft, costLikely
	}
	r.add(from, next, content, seen, merged+asQuote+inner, did&^didMerge|didQuoteAdded)
}

// gluedCells tries cells whose delimiter is missing: where the kind of sign
// changes, and between any two digits.
func (r *repairer) gluedCells(from *reading) {
	rest := r.text[from.place:]
	if r.d.quote != 0 && strings.HasPrefix(rest, string(r.d.quote)) {
		return
	}
	n := min(indexDelimiter(r.d, rest), 120)
	before := rune(0)
	for i, c := range rest[:n] {
		if i > 0 && splitsAt(before, c) {
			r.add(from, from.place+i, rest[:i], rest[:i], costSplit, didSplit)
		}
		before = c
	}
}

func splitsAt(a, b rune) bool {
	switch {
	case unicode.IsDigit(b):
		return true
	case unicode.IsDigit(a):
		return true
	case unicode.IsUpper(b):
		return !unicode.IsSpace(a)
	case unicode.IsLower(b):
		return !unicode.IsLetter(a) && !unicode.IsSpace(a)
	}
	return !unicode.IsSpace(b)
}
