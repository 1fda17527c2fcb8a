package dropfile

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// shape is where a file's table is and what it looks like.
type shape struct {
	fields    int
	delimiter string     // of a text
	rows      [][]string // of the header, from the top; none: the table has no header
	lines     []int      // of the header's rows
	first     int        // the table's first record behind the header, among those looked at
	broken    bool       // the header has not as many names as the records have cells
	mended    bool       // it was repaired
	tail      int        // columns behind the last that the header has, all of them empty
	model     *model
	strong    []int                              // the columns whose cells are quick to judge first
	quick     []int                              // of them one of each family, the fullest
	own       []kindSet                          // by column
	resplit   func(record, int) ([]string, bool) // reads a header's line in another dialect
}

const (
	maxHeaderRows = 4
	headerFound   = 0
	headerNone    = -1
)

// findShape finds the first real table among a file's first records.
// headerLine is the configured one, or headerFound or headerNone.
func findShape(recs []record, fields int, delimiter string, headerLine int, resplit func(record, int) ([]string, bool)) shape {
	s := shape{fields: max(1, fields), delimiter: delimiter, resplit: resplit}
	start := s.findStart(recs)
	if headerLine > headerFound {
		start = slices.IndexFunc(recs, func(r record) bool { return r.line >= headerLine })
		if start < 0 {
			start = len(recs)
		}
		if start+1 < len(recs) && len(recs[start+1].cells) > 1 {
			s.fields = len(recs[start].cells)
		}
	}
	if start == len(recs) {
		s.first, s.model = start, newModel(s.fields)
		s.settle()
		return s
	}
	s.learn(recs, start+1)
	switch {
	case headerLine == headerNone:
		s.first = start
		s.learn(recs, start)
	case headerLine > headerFound:
		s.takeHeader(recs, start)
	case s.isHeader(recs[start].cells), s.isGroupRow(recs, start):
		s.takeHeader(recs, start)
	case start > 0 && s.isBrokenHeader(recs[start-1]):
		s.takeBrokenHeader(recs[start-1], start)
	default:
		s.first = start
		s.learn(recs, start)
	}
	return s
}

// findStart returns the index of the first record of the first real table,
// and settles how many fields it has.
func (s *shape) findStart(recs []record) int {
	for i := range recs {
		r := &recs[i]
		k, full := len(r.cells), filled(r.cells)
		if full == 0 || full == 1 && s.fields > 1 || s.fields > 1 && isTitle(r.cells) {
			continue
		}
		same, others := 0, 0
		for j := i + 1; j < len(recs) && same+others < 12; j++ {
			if recs[j].isBlank() {
				break
			}
			switch n := len(recs[j].cells); {
			case n == k:
				same++
			case k != s.fields || n*2 > k: // less is what damage may leave of a record
				others++
			}
		}
		switch {
		case k == s.fields && (same >= others && same+others > 0 || k > 2 && knownNames(r.cells)*2 >= k):
			return i
		case k != s.fields && same >= 9, k != s.fields && same > 0 && others == 0 && knownNames(r.cells) > 1 && knownNames(r.cells)*2 > k:
			s.fields = k
			return i
		}
	}
	for i := range recs {
		if len(recs[i].cells) == s.fields && !recs[i].isBlank() {
			return i
		}
	}
	return len(recs)
}

// isTitle tells a padded line above the header: a name and perhaps a value, and
// nothing in the other columns.
func isTitle(cells []string) bool {
	full := filled(cells)
	return full <= 2 && len(cells) > 2*full
}

// learn takes the records from an index on as examples, up to where another
// table begins. Lines with one cell at their beginning are none, unless they
// are frequent: they are titles and notes.
func (s *shape) learn(recs []record, from int) {
	s.model = newModel(s.fields)
	notes := s.fields > 2 && !s.isOftenShort(recs[min(from, len(recs)):])
	gap := false
	var strong []int
	for i := from; i < len(recs) && s.model.rows < learnedFrom; i++ {
		r := &recs[i]
		if r.isBlank() {
			gap = true
			continue
		}
		cells := r.cells
		if r.quoted != nil && s.delimiter != "" && r.flaw == sound {
			cells = tight(cells, r.quoted, s.delimiter, s.fields)
		}
		if len(cells) != s.fields || r.flaw > literal {
			if gap && s.model.rows > 3 && knownNames(r.cells) > 1 {
				break
			}
			continue
		}
		if gap && from > 0 && sharesName(cells, recs[from-1].cells) {
			break
		}
		if saysTotal(cells[0]) || notes && filled(cells) == 1 {
			continue
		}
		if s.model.rows > 5 {
			if s.model.rows%8 == 6 {
				strong = s.model.strong()
			}
			if yes, no := s.model.fits(cells, strong); yes == 0 && no > 1 || gap && no > yes {
				break
			}
		}
		if s.model.rows > 20 && len(strong) == 0 && s.areStrangers(recs[i:]) {
			break
		}
		gap = false
		s.model.learn(cells, quotedOf(r, cells))
	}
	s.model.dearest = 0
	s.settle()
}

// areStrangers tells five records that are not like those learned so far.
func (s *shape) areStrangers(recs []record) bool {
	if len(recs) < 5 || s.model.columns[0].hasPattern(recs[0].cells[0]) {
		return false
	}
	return !slices.ContainsFunc(recs[:5], func(r record) bool { return len(r.cells) == s.fields && !s.model.stranger(r.cells, 2) })
}

// quotedOf tells which of a record's cells stand within quotes; of joined ones
// that is not known.
func quotedOf(r *record, cells []string) []bool {
	if len(cells) != len(r.cells) {
		return nil
	}
	return r.quoted
}

// isOftenShort tells records of which many have nothing behind their first
// cell.
func (s *shape) isOftenShort(recs []record) bool {
	n := 0
	for i := range recs {
		if len(recs[i].cells) == s.fields && filled(recs[i].cells) == 1 {
			n++
		}
	}
	return n*4 > len(recs)
}

// sharesName tells a record with a cell that is the header's own in its column.
func sharesName(cells, header []string) bool {
	for j, c := range cells {
		if j < len(header) && plain(c) != "" && plain(c) == plain(header[j]) {
			return true
		}
	}
	return false
}

// isHeader tells names of columns from a record like those below.
func (s *shape) isHeader(cells []string) bool {
	if areCounted(cells) {
		return true
	}
	names, data, seen := knownNames(cells), 0, map[string]bool{}
	distinct := true
	for _, c := range cells {
		switch kindOf(c) {
		case phone, email, date, address, clock:
			data++
		case number, integer:
			if len(c) > 4 {
				data++
			}
		default:
		}
		if c != "" && seen[c] {
			distinct = false
		}
		seen[c] = true
	}
	yes, no := s.model.fits(cells, s.strong)
	switch {
	case data > 0 && (yes >= no || data > 1) && names < 2:
		return false
	case names > 1 || names == 1 && len(cells) < 4:
		return yes <= no || names*2 >= len(cells)
	case s.model.rows == 0:
		return data == 0
	case yes+no > 0:
		return yes == 0
	default:
		return data == 0 && filled(cells) == len(cells) && distinct && !s.isUsual(cells)
	}
}

// areCounted tells names that a program gave to nameless columns: Field1,
// Field2, Field3.
func areCounted(cells []string) bool {
	if len(cells) < 2 {
		return false
	}
	first := stem(plain(cells[0]))
	for i, c := range cells {
		if first == "" || plain(c) != first+strconv.Itoa(i+1) {
			return false
		}
	}
	return true
}

// isGroupRow tells the first row of a header that stands over several columns
// each, by the row of names below it.
func (s *shape) isGroupRow(recs []record, at int) bool {
	cells := recs[at].cells
	if at+3 >= len(recs) || len(recs[at+1].cells) != s.fields || filled(cells) < 2 || !slices.Contains(cells[:filled(cells)], "") {
		return false
	}
	for _, c := range cells {
		if kindOf(c).strong() {
			return false
		}
	}
	s.learn(recs, at+2)
	if yes, _ := s.model.fits(cells, s.strong); yes == 0 && s.isHeader(recs[at+1].cells) {
		return true
	}
	s.learn(recs, at+1)
	return false
}

// isUsual tells a record whose cells are found again below it.
func (s *shape) isUsual(cells []string) bool {
	n := 0
	for j, c := range cells {
		if j < len(s.model.columns) && s.model.columns[j].values[c] > 0 {
			n++
		}
	}
	return n > 0
}

// isHeaderRow tells another row of a header from the table's first record.
func (s *shape) isHeaderRow(cells, above []string) bool {
	if len(cells) != s.fields || filled(cells) == 0 {
		return false
	}
	if slices.Equal(cells, above) {
		return true
	}
	bare := make([]string, len(cells)) // a record may have other quotes than the file
	for i, c := range cells {
		bare[i] = strings.Trim(c, `'"`)
		if k := kindOf(bare[i]); k == phone || k == email || k == date || k == address {
			return false
		}
	}
	yes, no := s.model.fits(bare, s.strong)
	switch {
	case yes > 0:
		return false
	case no > 1, no == 1 && len(s.strong) == 1 && knownNames(cells) > 0:
		return true
	}
	return knownNames(cells)*2 > s.fields && s.model.rows > 0
}

// takeHeader takes the header that begins at an index.
func (s *shape) takeHeader(recs []record, at int) {
	head := recs[at]
	if cells, ok := s.resplit(head, s.fields); ok {
		head.cells = cells
	}
	s.addRow(head)
	next := at + 1
	if slices.Contains(head.cells, "") && next < len(recs) && s.isGroupRow(recs, at) {
		s.addRow(recs[next])
		next++
	}
	for next < len(recs) && len(s.rows) < maxHeaderRows && s.isHeaderRow(recs[next].cells, recs[at].cells) {
		s.addRow(recs[next])
		next++
	}
	s.first = next
	if next > at+1 {
		s.learn(recs, next)
	}
	s.dropEmptyTail()
}

func (s *shape) addRow(r record) {
	row := make([]string, len(r.cells))
	for i, c := range r.cells {
		row[i] = strings.TrimSpace(c)
	}
	s.rows, s.lines = append(s.rows, row), append(s.lines, r.line)
}

// dropEmptyTail settles on the header's names where the records have nothing
// but empty cells behind them.
func (s *shape) dropEmptyTail() {
	names := len(s.rows[0])
	if names == s.fields {
		return
	}
	if names+1 == s.fields && s.lacksName() {
		s.broken = true
		return
	}
	for j := names; j < s.fields; j++ {
		if s.model.columns[j].cells > 0 {
			s.broken = true
			return
		}
	}
	s.broken = names > s.fields && s.model.rows > 0
	if names < s.fields {
		s.tail = s.fields - names
		s.model.columns = s.model.columns[:names]
	} else if !s.broken {
		s.model = newModel(names)
	}
	if !s.broken {
		s.fields = names
		s.settle()
	}
}

// lacksName tells a header with one name too few by a name that stands over a
// column which cannot be its own, and has such a one behind it.
func (s *shape) lacksName() bool {
	for j, name := range s.rows[0] {
		f, ok := familyOf(name)
		if !ok || j+1 >= len(s.model.columns) || s.model.columns[j].cells == 0 {
			continue
		}
		if s.model.family(j) != f && s.model.family(j+1) == f {
			return true
		}
	}
	return false
}

// familyOf tells what stands under some names in whatever table.
func familyOf(name string) (family, bool) {
	name = plain(name)
	for _, known := range []struct {
		part string
		f    family
	}{{"mail", emails}, {"url", addresses}, {"web", addresses}, {"date", days}, {"phone", figures}, {"zip", figures}, {"price", figures}, {"qty", figures}} {
		if strings.Contains(name, known.part) {
			return known.f, true
		}
	}
	return families, false
}

// settle judges the columns once they are known.
func (s *shape) settle() {
	s.strong = s.model.strong()
	s.own = make([]kindSet, len(s.model.columns))
	for j := range s.own {
		s.own[j] = s.model.own(j)
	}
	quick := func(j int) int { return -s.model.columns[j].kinds[phone] - s.model.columns[j].kinds[integer] }
	slices.SortStableFunc(s.strong, func(a, b int) int { return cmp.Compare(quick(a), quick(b)) })
	fullest := [families]int{}
	s.quick = nil
	for _, j := range s.strong {
		f := s.model.family(j)
		if at := fullest[f] - 1; at < 0 {
			s.quick = append(s.quick, j)
			fullest[f] = len(s.quick)
		} else if s.model.columns[j].cells > s.model.columns[s.quick[at]].cells {
			s.quick[at] = j
		}
	}
}

// isBrokenHeader tells a header with too many or too few names right above the
// first record.
func (s *shape) isBrokenHeader(r record) bool {
	if r.isBlank() || s.fields < 2 {
		return false
	}
	cells := r.cells
	if again, ok := s.resplit(r, s.fields); ok {
		cells = again
	} else if filled(cells) < 2 || len(cells)*2 < s.fields || len(cells) > 2*s.fields {
		return false
	}
	for _, c := range cells {
		if k := kindOf(c); k == phone || k == email || k == date {
			return false
		}
	}
	yes, _ := s.model.fits(cells, s.strong)
	return yes == 0 || knownNames(cells)*2 >= len(cells)
}

func (s *shape) takeBrokenHeader(r record, first int) {
	if cells, ok := s.resplit(r, s.fields); ok {
		r.cells = cells
	}
	s.addRow(r)
	s.first = first
	s.rows[0] = mendedHeader(s.rows[0], s.fields)
	if s.dropEmptyTail(); s.tail == 0 {
		s.mended, s.broken = true, len(s.rows[0]) != s.fields
	}
}

// mendedHeader repairs a header that has a delimiter too many or too few, if
// it is clear how.
func mendedHeader(names []string, fields int) []string {
	for len(names) > fields {
		at := slices.Index(names, "")
		if at < 0 {
			return names
		}
		names = slices.Delete(slices.Clone(names), at, at+1)
	}
	if len(names)+1 != fields {
		return names
	}
	// Two names became one: each of them must be a usual one.
	var found [][]string
	for i, name := range names {
		if knownName(name) {
			continue
		}
		for cut := 1; cut < len(name); cut++ {
			if mayMeet(name, cut) && knownName(name[:cut]) && knownName(name[cut:]) {
				found = append(found, slices.Concat(names[:i], []string{name[:cut], name[cut:]}, names[i+1:]))
			}
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return names
}

// mayMeet tells a place where two names may have come together: at a capital or
// a sign; in a name without capitals, anywhere but near its ends.
func mayMeet(name string, cut int) bool {
	before, behind := name[cut-1], name[cut]
	if strings.ToLower(name) == name || strings.ToUpper(name) == name {
		return cut > 2 && len(name)-cut > 2
	}
	isSmall := func(c byte) bool { return c >= 'a' && c <= 'z' }
	return isSmall(before) && !isSmall(behind)
}

// header joins the header's rows with a blank, column by column.
func (s *shape) header() []string {
	if len(s.rows) == 0 {
		return nil
	}
	return joined(s.rows, func(string, []string) bool { return true })
}

// names are the header as it is looked up: a name that stands in several rows
// counts once. Where the rows together are no usual name, as Person over First
// Name, or First Name over (text), the lowest of them that is one counts.
func (s *shape) names() []string {
	if len(s.rows) == 0 {
		return nil
	}
	names := joined(s.rows, func(part string, before []string) bool { return !slices.Contains(before, part) })
	for j, name := range names {
		for i := len(s.rows) - 1; i >= 0 && isUnusual(name); i-- {
			if j < len(s.rows[i]) && !isUnusual(s.rows[i][j]) {
				name = s.rows[i][j]
			}
		}
		names[j] = name
	}
	return names
}

func isUnusual(name string) bool {
	entry, _ := entryFor(plain(name))
	return entry == "" || entry == noField
}

func joined(rows [][]string, take func(part string, before []string) bool) []string {
	out := make([]string, len(rows[0]))
	for j := range out {
		var parts []string
		for _, row := range rows {
			if j < len(row) && row[j] != "" && take(row[j], parts) {
				parts = append(parts, row[j])
			}
		}
		out[j] = strings.Join(parts, " ")
	}
	return out
}
