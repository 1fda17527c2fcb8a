package dropfile

import (
	"slices"
	"strings"
)

// phoneRanks are the dictionary's kinds of phone columns. Of a lower rank one
// is only taken for phone_number where there is none of a better one; a number
// behind the name (Phone 2) tells siblings apart.
var phoneRanks = []string{"phone.own", "phone.main", "phone.mobile", "phone.home", "phone.work", "phone.alt"}

const altRank = 5

// phoneColumn is a column that may hold phone numbers.
type phoneColumn struct {
	at     int
	rank   int // into phoneRanks
	stem   string
	number int // Phone 2: 2; Phone: 0
}

// phoneColumns finds columns with a phone column's name, the best first. Home,
// Work and the like without any digits, such as yes and no, are none.
func (c *columns) phoneColumns() []phoneColumn {
	var found []phoneColumn
	for at, name := range c.plain {
		entry, number := entryFor(name)
		rank := slices.Index(phoneRanks, entry)
		vague := rank > 1 && rank < altRank
		if c.taken[at] || rank < 0 || vague && c.filled(at) > 0 && c.count(at, hasNumber) == 0 {
			continue
		}
		found = append(found, phoneColumn{at, rank, stem(name), number})
	}
	slices.SortStableFunc(found, func(a, b phoneColumn) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		return a.number - b.number
	})
	return found
}

func stem(name string) string { return strings.TrimRight(name, "0123456789") }

// hasNumber tells a cell that could be a phone number, however damaged.
func hasNumber(cell string) bool { return digitsIn(cell) >= 3 || strings.HasPrefix(cell, "#") }

// takePhone finds phone_number's column. A call to the wrong column's numbers
// is worse than no call: where two are equally good, a person decides.
func (c *columns) takePhone() error {
	if c.has("phone_number") {
		return nil
	}
	found := c.phoneColumns()
	if len(found) == 0 || found[0].rank == altRank {
		return c.takePhoneByContent(found)
	}
	best := found[0]
	var equal []int
	for _, p := range found {
		if p.rank == best.rank && (p.stem != best.stem || p.number == best.number) {
			equal = append(equal, p.at)
		}
	}
	if len(equal) > 1 {
		// A column in which no number stands is no rival to one with numbers.
		used := slices.DeleteFunc(slices.Clone(equal), func(at int) bool { return c.count(at, hasNumber) == 0 })
		if len(used) != 1 || c.share(used[0], "phone_number") < sure {
			return c.holdPhone(equal)
		}
		best.at = used[0]
	}
	c.take("phone_number", best.at, ByName, 99)
	return nil
}

// sure is the share of a column's cells, in percent, that must look like a
// field.
const sure = 80

// takePhoneByContent takes the one column whose cells look like phone numbers.
// Of numbered siblings the first is taken. others have names of numbers that
// are not called first.
func (c *columns) takePhoneByContent(others []phoneColumn) error {
	var found []int
	for at := range c.headers {
		if c.isNameless(at) && c.share(at, "phone_number") >= sure {
			found = append(found, at)
		}
	}
	if len(found) == 0 {
		found = c.onlyPhones()
	}
	switch {
	case len(found) == 0:
		var named []int
		for _, p := range others {
			named = append(named, p.at)
		}
		for at := range c.headers { // under another name, such as Contact
			if !c.taken[at] && !slices.Contains(named, at) && c.share(at, "phone_number") >= sure {
				named = append(named, at)
			}
		}
		return c.holdPhone(named)
	case len(found) > 1 && !c.areSiblings(found):
		return c.holdPhone(found)
	}
	slices.SortFunc(found, func(a, b int) int { return strings.Compare(c.plain[a], c.plain[b]) })
	c.take("phone_number", found[0], ByContent, c.share(found[0], "phone_number")-sure/20)
	if len(found) > 1 && !c.has("alt_phone") {
		c.take("alt_phone", found[1], ByContent, c.share(found[1], "phone_number")-sure/20)
	}
	return nil
}

// onlyPhones finds the column of which at least half looks like phone numbers,
// when hardly anything in the others does: damaged numbers are many in some
// files.
func (c *columns) onlyPhones() []int {
	const half, hardly = 50, 10
	var found []int
	for at := range c.headers {
		if share := c.share(at, "phone_number"); c.isNameless(at) && share > hardly {
			if share < half {
				return nil
			}
			found = append(found, at)
		}
	}
	if len(found) > 1 {
		return nil
	}
	return found
}

// areSiblings tells columns whose names differ by one digit only.
func (c *columns) areSiblings(found []int) bool {
	first := withoutDigits(c.plain[found[0]])
	for i, at := range found {
		name := c.plain[at]
		if first == "" || withoutDigits(name) != first || len(name) > len(first)+1 || slices.ContainsFunc(found[:i], func(b int) bool { return c.plain[b] == name }) {
			return false
		}
	}
	return true
}

func withoutDigits(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return -1
		}
		return c
	}, name)
}

func (c *columns) holdPhone(candidates []int) error {
	hold := &HoldError{Field: "phone_number", Headers: c.shown(), Samples: map[string]string{}}
	for at := range c.headers {
		hold.Samples[c.nameOf(at)] = c.example(at)
	}
	for _, at := range candidates { // a first line without a number above numbers is a header
		hold.Candidates = append(hold.Candidates, c.headers[at])
		hold.Samples[c.headers[at]] = c.example(at)
	}
	return hold
}

// takeAltPhone takes the next best phone column, one that is called
// alternative before all others.
func (c *columns) takeAltPhone() {
	found := c.phoneColumns()
	if c.has("alt_phone") || len(found) == 0 {
		return
	}
	alt := found[0]
	if i := slices.IndexFunc(found, func(p phoneColumn) bool { return p.rank == altRank }); i >= 0 {
		alt = found[i]
	}
	c.take("alt_phone", alt.at, ByName, 99)
}
