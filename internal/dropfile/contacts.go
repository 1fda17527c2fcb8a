package dropfile

import (
	"errors"
	"io"
	"slices"
	"strings"
)

// HoldsContacts tells whether a text may be a table of contacts, by its
// beginning: a column is known to be the phone number, or some of its records
// have what may be a number or an email. A picture, a letter, a sheet with sums
// are none, nor is an empty file.
func HoldsContacts(r io.Reader, o Options) bool {
	t, err := OpenTable(r, o)
	var none *FormatError
	if err != nil {
		return !errors.As(err, &none)
	}
	if t.mapper != nil {
		return true
	}
	records, contacts, whole := 0, 0, 0
	for i := range t.queue {
		if r := &t.queue[i]; !r.isBlank() {
			records++
			if len(r.cells) == t.shape.fields && r.flaw == sound && t.shape.fields > 1 {
				whole++
			}
			if slices.ContainsFunc(r.cells, mayBeContact) {
				contacts++
			}
		}
	}
	share := 10 // a letter may name a number too
	if whole*2 < records {
		share = 2 // it is no table, but lines: more like a letter
	}
	return contacts > 0 && contacts*share >= records
}

// mayBeContact tells a cell with what may be a number or an email in it. A long
// word, such as a checksum, is neither.
func mayBeContact(cell string) bool {
	const longest = 24
	words := strings.Fields(cell)
	words = slices.DeleteFunc(words, func(w string) bool { return len(w) > longest && !strings.Contains(w, "@") })
	return hasContact(strings.Join(words, " "))
}
