package dropfile

import (
	"fmt"
	"slices"
	"strings"

	"importer/internal/lead"
)

// Changed compares the file's columns with those of an earlier file, which were
// read as fields (empty: not used): a sentence without its end, empty when they
// are the same but for case, punctuation and order, and whether something that
// was read there is missing now. It is not missing where a new column brings it
// whose name says so: Phone Number in place of Phone. Rejects that are imported
// again have the columns of their own time.
func (d *Reader) Changed(header, fields []string) (what string, lost bool) {
	now, nowFields := d.Header(), d.Fields()
	switch {
	case d.mapper.ours:
		return "", false
	case len(header) == 0 && len(now) == 0:
		if len(fields) == len(nowFields) || len(fields) == 0 {
			return "", false
		}
		what = fmt.Sprintf("there are %d columns in place of %d", len(nowFields), len(fields))
	case len(header) == 0:
		what = "there is a header, and was none"
	case len(now) == 0:
		what = "there is no header any more"
	default:
		what = difference(header, fields, now, nowFields)
	}
	return what, what != "" && d.lost(header, fields)
}

// lost tells that a field has no column any more, or one that had another
// meaning before, or one that is only guessed at.
func (d *Reader) lost(header, fields []string) bool {
	now := d.Header()
	return slices.ContainsFunc(d.mapper.missing(header, fields, now), func(field string) bool {
		m, found := d.mapper.of(field)
		return !found || m.By == ByContent && len(header) > 0 || m.Header != "" && has(header, m.Header)
	})
}

// missing lists the fields whose columns are gone and that need one.
func (m *mapper) missing(header, fields, now []string) []string {
	var gone []string
	for i, field := range fields {
		_, made := m.options.Made[field]
		switch {
		case field != fullName && !slices.Contains(lead.Fields(), field) || made: // configured: then its column was found
		case i < len(header) && has(now, header[i]):
		case len(header) == 0 && m.reads(field):
		case field == fullName && m.reads("first_name") && m.reads("last_name"):
		case (field == "first_name" || field == "last_name") && m.reads(fullName):
		default:
			gone = append(gone, field)
		}
	}
	return gone
}

func (m *mapper) reads(field string) bool {
	_, found := m.of(field)
	return found
}

// of returns the column of a field.
func (m *mapper) of(field string) (Mapped, bool) {
	at := slices.IndexFunc(m.mapped, func(c Mapped) bool { return c.Field == field })
	if at < 0 {
		return Mapped{}, false
	}
	return m.mapped[at], true
}

func has(headers []string, name string) bool {
	return slices.ContainsFunc(headers, func(h string) bool { return plain(h) == plain(name) })
}

// difference says which columns are gone and which are new.
func difference(header, fields, now, nowFields []string) string {
	var parts []string
	for _, side := range []struct {
		names []string
		verb  string
	}{{others(header, fields, now), "gone"}, {others(now, nowFields, header), "new"}} {
		switch len(side.names) {
		case 0:
		case 1:
			parts = append(parts, side.names[0]+" is "+side.verb)
		default:
			parts = append(parts, someOf(side.names)+" are "+side.verb)
		}
	}
	if parts != nil && (isContact(header) || isContact(now)) {
		return "the columns are others" // people's data has no place in a log
	}
	return strings.Join(parts, ", ")
}

// others lists the headers that another file has not, or not as often, each
// with what it is read as.
func others(headers, fields, other []string) []string {
	const most = 5 // that were not used
	left := map[string]int{}
	for _, h := range other {
		left[plain(h)]++
	}
	var names []string
	unused := 0
	for i, h := range headers {
		if left[plain(h)]--; left[plain(h)] >= 0 {
			continue
		}
		name := quoted(h)
		switch used := i < len(fields) && fields[i] != ""; {
		case used:
			name += " (" + fields[i] + ")"
		case h == "": // spreadsheets leave empty columns behind
			continue
		default:
			if unused++; unused > most {
				continue
			}
		}
		names = append(names, name)
	}
	if unused > most {
		names = append(names, fmt.Sprintf("%d more that are not used", unused-most))
	}
	return names
}
