package dropfile

import (
	"slices"
	"strings"
)

// The columns that our rejects add to the vendor's begin with the first of these;
// a file that has the other is one of our rejects.
const (
	firstOwnColumn = "import_line"
	ownColumn      = "import_reason"
)

// Changed compares the file's columns with another file's header: a sentence
// without its end, empty when they are the same but for case, punctuation and
// order, and whether a column is gone that would be used. Rejects that are
// imported again have the columns of their own time.
func (d *Reader) Changed(header []string) (what string, lost bool) {
	if d.mapper.ours || slices.Equal(header, d.Header()) {
		return "", false
	}
	gone, added := missing(header, d.Header()), missing(d.Header(), header)
	for _, h := range gone {
		lost = lost || d.mapper.wouldUse(h, header)
	}
	var parts []string
	if len(gone) > 0 {
		parts = append(parts, quoted(gone)+verb(gone)+" gone")
	}
	if len(added) > 0 {
		parts = append(parts, quoted(added)+verb(added)+" new")
	}
	return strings.Join(parts, ", "), lost
}

func verb(of []string) string {
	if len(of) == 1 {
		return " is"
	}
	return " are"
}

// missing lists the headers that another file has not, or not as often.
func missing(headers, other []string) []string {
	left := map[string]int{}
	for _, h := range other {
		left[plain(h)]++
	}
	var names []string
	for _, h := range headers {
		if left[plain(h)]--; left[plain(h)] < 0 {
			names = append(names, h)
		}
	}
	return names
}

// wouldUse tells whether a column of another file would be used there. Where
// that cannot be told, because only that file's content told its columns, any
// column may have been used whose name is not known to be of no use.
func (m *mapper) wouldUse(header string, headers []string) bool {
	other, err := newMapper(headers, headers, nil, m.options)
	if err != nil {
		entry, _ := entryFor(plain(header))
		return entry != noField
	}
	return slices.ContainsFunc(other.mapped, func(c Mapped) bool { return c.Header == header && c.Field != "" })
}
