package dropfile

import (
	"strings"

	"importer/internal/lead"
)

// What a proposal by content must be worth. Under a header that says something
// else, though nothing that the dictionary knows, it must be worth more, and
// rest on some records.
const (
	enough          = 50 // percent
	enoughWithName  = 70
	recordsWithName = 3
)

// contentFields are looked for in this order, with what a column of which all
// cells look so is worth.
var contentFields = []struct {
	field string
	worth int
}{{"email", 99}, {"date_of_birth", 80}, {"state", 85}, {"gender", 80}, {"address1", 75}, {"postal_code", 80}}

// isNameless tells a column that is not used and whose name says nothing.
func (c *columns) isNameless(at int) bool {
	entry, _ := entryFor(c.plain[at])
	return !c.taken[at] && entry == ""
}

// takeByContent maps columns whose names say nothing by what stands in them.
func (c *columns) takeByContent() {
	for _, f := range contentFields {
		c.takeBest(f.field, func(at int) int {
			if c.has(f.field) || c.share(at, f.field) < sure {
				return 0
			}
			return c.share(at, f.field) * f.worth / 100 * c.variety(at, f.field) / 100
		})
	}
	c.takeNamesByContent()
	// A town stands beside its state or ZIP code.
	c.takeBest("city", func(at int) int { return c.beside(at, "state", "postal_code", "address1") })
}

// takeBest takes the column that is worth most, the leftmost of several.
func (c *columns) takeBest(field string, worth func(at int) int) {
	if c.has(field) {
		return
	}
	best, most := 0, 0
	for at := range c.headers {
		if !c.isNameless(at) {
			continue
		}
		w := worth(at)
		if c.mute && w < enough || !c.mute && (w < enoughWithName || c.filled(at) < recordsWithName) {
			continue
		}
		if w > most {
			best, most = at, w
		}
	}
	if most > 0 {
		c.take(field, best, ByContent, most)
	}
}

// variety lowers the worth of what other things look like as well: a single
// state or gender in all records, and five digits that never begin with 0.
func (c *columns) variety(at int, field string) int {
	values := map[string]bool{}
	telling := false
	c.cells(at, func(cell string) {
		values[cell] = true
		telling = telling || len(cell) != 5 || cell[0] == '0'
	})
	switch field {
	case "state", "gender":
		if len(values) < 2 {
			return 70
		}
	case "postal_code":
		if !telling {
			return 70
		}
	}
	return 100
}

// takeNamesByContent finds first names by a list of common ones, last names
// beside them, and full names by their first words.
func (c *columns) takeNamesByContent() {
	if c.has("first_name") || c.has("last_name") || c.has(fullName) {
		return
	}
	common := func(at int, is func(string) bool, given func(string) string) int {
		n := c.filled(at)
		if n == 0 || 100*c.count(at, is)/n < 90 {
			return 0
		}
		share := 100 * c.count(at, func(cell string) bool { return c.rules.Looks("first_name", given(cell)) }) / n
		if share < 30 {
			return 0
		}
		return min(60+share/4, 80)
	}
	c.takeBest(fullName, func(at int) int {
		return common(at, lead.LooksName, func(cell string) string {
			if _, behind, ok := strings.Cut(cell, ","); ok {
				cell = behind
			}
			words := strings.Fields(cell)
			if len(words) == 0 {
				return ""
			}
			return words[0]
		})
	})
	if c.has(fullName) {
		return
	}
	c.takeBest("first_name", func(at int) int {
		return common(at, lead.LooksWord, func(cell string) string { return cell })
	})
	c.takeBest("last_name", func(at int) int { return c.beside(at, "first_name") })
}

// beside is what a column of words is worth that stands next to one of the
// fields: little, but enough where there is no header.
func (c *columns) beside(at int, fields ...string) int {
	n := c.filled(at)
	if n == 0 || 100*c.count(at, lead.LooksWord)/n < 90 {
		return 0
	}
	for _, field := range fields {
		if of, ok := c.of[field]; ok && (of == at+1 || of == at-1) {
			return 60
		}
	}
	return 0
}
