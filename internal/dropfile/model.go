package dropfile

import (
	"math"
	"slices"
)

// model knows what the cells of each column look like.
type model struct {
	columns  []columnModel
	rows     int
	examples [][]string // some of the records that were learned from
	dearest  float64    // what nearly all of the examples cost at most; 0: not yet known
}

// columnModel counts what a column's cells look like.
type columnModel struct {
	cells    int // that are not empty
	empty    int
	quoted   int // that stand within quotes
	spaced   int // that begin with a blank
	common   int // that have the most usual pattern, among the first counted
	counted  int
	kinds    [kinds]int
	patterns map[string]int
	values   map[string]int // nil when the column has many different ones
}

const (
	maxPatterns = 64
	maxValues   = 24
	maxExamples = 40
	learnedFrom = 500 // records at most
)

func newModel(fields int) *model {
	m := &model{columns: make([]columnModel, fields)}
	for j := range m.columns {
		m.columns[j].patterns = map[string]int{}
		m.columns[j].values = map[string]int{}
	}
	return m
}

// learn takes a record's cells as an example.
func (m *model) learn(cells []string, quoted []bool) {
	m.rows++
	if len(m.examples) < maxExamples {
		m.examples = append(m.examples, cells)
	}
	for j := range m.columns {
		c := &m.columns[j]
		if j >= len(cells) || cells[j] == "" {
			c.empty++
			continue
		}
		c.cells++
		if cells[j][0] == ' ' {
			c.spaced++
		}
		if j < len(quoted) && quoted[j] {
			c.quoted++
		}
		c.kinds[kindOf(cells[j])]++
		if p := pattern(cells[j]); c.patterns[p] > 0 || len(c.patterns) < maxPatterns {
			c.patterns[p]++
		}
		if c.values == nil {
			continue
		}
		if c.values[cells[j]]++; len(c.values) > maxValues {
			c.values = nil
		}
	}
}

// cost is how much a cell surprises in a column: the negative logarithm of its
// likelihood.
func (m *model) cost(cell string, column int) float64 {
	c := &m.columns[column]
	rows := float64(m.rows)
	if cell == "" {
		return -math.Log((float64(c.empty) + 0.1) / (rows + 1))
	}
	filled := float64(c.cells)
	const prior = 1.0 // examples' worth of doubt
	share := func(n int) float64 { return float64(n) / (filled + prior) }
	w := c.outline()
	p := w*share(c.patterns[pattern(cell)]) + (0.95-w)*share(c.kinds[kindOf(cell)]) + 0.004
	if c.values != nil && c.cells >= 20 {
		// A column of few values, each of them seen before.
		p = 0.15*p + 0.85*share(c.values[cell])
	}
	return -math.Log(p * (filled + 0.1) / (rows + 1))
}

// stranger tells cells that surprise more than those of nearly any record that
// was learned from, so many times at least: they are another table's.
func (m *model) stranger(cells []string, times float64) bool {
	if len(m.examples) == 0 {
		return false
	}
	if m.dearest == 0 {
		costs := make([]float64, len(m.examples))
		for i, e := range m.examples {
			costs[i] = m.costs(e)
		}
		slices.Sort(costs)
		m.dearest = costs[len(costs)*19/20]
	}
	return m.costs(cells) > times*m.dearest+costStranger
}

// costs is what a record's cells cost, with those that are missing.
func (m *model) costs(cells []string) float64 {
	sum := 0.0
	for j := range m.columns {
		cell := ""
		if j < len(cells) {
			cell = cells[j]
		}
		sum += m.cost(cell, j)
	}
	return sum
}

// outline is the weight of a cell's pattern: the more alike a column's cells
// are, the more it says.
func (c *columnModel) outline() float64 {
	if c.cells == 0 {
		return 0.5
	}
	if c.common == 0 || c.counted != c.cells {
		c.common, c.counted = 0, c.cells
		for _, n := range c.patterns {
			c.common = max(c.common, n)
		}
	}
	return 0.3 + 0.55*float64(c.common)/float64(c.cells)
}

// least returns for each column what it and those behind it cost at least.
func (m *model) least() []float64 {
	left := make([]float64, len(m.columns)+1)
	for j := len(m.columns) - 1; j >= 0; j-- {
		c := &m.columns[j]
		p := 0.954
		if c.values == nil || c.cells < 20 {
			w := c.outline()
			p = w*float64(c.common)/(float64(c.cells)+1) + 0.954 - w
		}
		p *= (float64(c.cells) + 0.1) / (float64(m.rows) + 1)
		p = max(p, (float64(c.empty)+0.1)/(float64(m.rows)+1))
		left[j] = left[j+1] - math.Log(min(p, 1))
	}
	return left
}

// strong tells the columns whose kind hardly anything else looks like.
func (m *model) strong() []int {
	var columns []int
	for j := range m.columns {
		if m.columns[j].cells*2 >= m.rows && m.rows > 0 && m.family(j) != families {
			columns = append(columns, j)
		}
	}
	return columns
}

// family groups kinds that are often mixed in one column.
type family uint8

const (
	figures family = iota // numbers of all sorts, with or without letters: ZIP codes, prices, phone numbers
	emails
	addresses
	days
	families // none
)

func (k kind) family() family {
	switch k {
	case integer, number, phone, code:
		return figures
	case email:
		return emails
	case address:
		return addresses
	case date, clock:
		return days
	default:
		return families
	}
}

func (m *model) family(column int) family {
	c := &m.columns[column]
	var sum [families + 1]int
	for k, n := range c.kinds {
		sum[kind(k).family()] += n
	}
	for f, n := range sum[:families] {
		if n > 0 && n*10 >= c.cells*8 {
			return family(f)
		}
	}
	return families
}

// kindSet is a set of kinds, as bits.
type kindSet uint16

func (s kindSet) has(k kind) bool { return s&(1<<k) != 0 }

// own tells the kinds of cells that a column takes as its own. Letters among
// figures that have none are no figure: Q1 above 4, 2, 5.
func (m *model) own(column int) kindSet {
	f := m.family(column)
	if f == families {
		return 0
	}
	var set kindSet
	for k := range kinds {
		if k.family() == f {
			set |= 1 << k
		}
	}
	if c := &m.columns[column]; c.cells >= 5 && c.kinds[code]*50 < c.cells {
		set &^= 1 << code
	}
	return set
}

// hasPattern tells a cell that has the outline of others of its column.
func (c *columnModel) hasPattern(cell string) bool {
	return c.patterns[pattern(cell)] > 0
}

// fits counts the strong columns whose cells are as they should be, and those
// whose are not; empty cells count for neither, nor do codes of another outline.
func (m *model) fits(cells []string, strong []int) (yes, no int) {
	for _, j := range strong {
		if j >= len(cells) || cells[j] == "" {
			continue
		}
		if k := kindOf(cells[j]); k == empty {
			continue
		} else if own := m.own(j); own.has(k) {
			if k != code || m.columns[j].hasPattern(cells[j]) {
				yes++
			}
		} else {
			no++
		}
	}
	return yes, no
}

// strangers counts cells that cannot be their columns': others than figures in a
// column of figures, an email in a column that has none, anything in an empty one.
func (m *model) strangers(cells []string) int {
	n := 0
	for j, cell := range cells[:min(len(cells), len(m.columns))] {
		c := &m.columns[j]
		if c.cells == 0 && m.rows >= 20 && cell != "" {
			n++
		}
		if cell == "" || c.cells < 3 {
			continue
		}
		k := kindOf(cell)
		if own := m.own(j); own != 0 && k != empty && !own.has(k) {
			n++
		} else if own == 0 && c.kinds[k] == 0 && c.cells >= 5 && (k == email || k == address || k == date || k == phone) {
			n++
		}
	}
	return n
}

// misplaced counts cells that seem to be another column's: of a kind that hardly
// anything else looks like and their own column has next to none of.
func (m *model) misplaced(cells []string) int {
	n := 0
	for j, cell := range cells[:min(len(cells), len(m.columns))] {
		c := &m.columns[j]
		if cell == "" || c.cells < 10 {
			continue
		}
		k := kindOf(cell)
		telling := k == phone || k == email || k == date
		if f := m.family(j); f != families && k.family() != families && k.family() != f {
			telling = true
		}
		if telling && c.kinds[k] <= 1+c.cells/50 {
			n++
		}
	}
	return n
}

// misses counts the strong columns that are empty but hardly ever are.
func (m *model) misses(cells []string, strong []int) int {
	n := 0
	for _, j := range strong {
		if (j >= len(cells) || cells[j] == "") && m.columns[j].empty*20 < m.rows {
			n++
		}
	}
	return n
}

// mostlyQuoted tells a column whose cells nearly all stand within quotes.
func (m *model) mostlyQuoted(column int) bool {
	c := &m.columns[column]
	return c.cells > 3 && c.quoted*10 >= c.cells*9
}

// lacks tells cells that are empty in a column that hardly ever is.
func (m *model) lacks(cells []string) bool {
	for j, c := range cells {
		if c == "" && m.columns[j].empty*20 < m.rows {
			return true
		}
	}
	return false
}

// knows tells a text that may be a record's first cell.
func (m *model) knows(cell string) bool {
	c := &m.columns[0]
	return c.values[cell] > 1 || c.patterns[pattern(cell)]*5 > c.cells
}
