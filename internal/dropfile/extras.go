package dropfile

import (
	"maps"
	"slices"
	"strconv"

	"importer/internal/lead"
)

// Extras say where a lead's extras come from. The zero value: from nowhere.
type Extras struct {
	Custom    map[string]string // label of a custom field to the vendor's header
	AltPhones []string          // headers of the columns of further numbers; each is its number's note
	Callback  *Callback
}

// Callback says where a callback's pieces come from.
type Callback struct {
	At, User, Comments Value
	Status             string
}

// Value is the same for every row, or stands in a column.
type Value struct {
	Text   string
	Header string // of the column; empty: it is Text
}

// columns maps the names of extras to the headers that they are read from.
func (e Extras) columns() map[string]string {
	named := map[string]string{}
	for label, header := range e.Custom {
		named[customField+label] = header
	}
	for i, header := range e.AltPhones {
		named[altPhone(i)] = header
	}
	if e.Callback != nil {
		for field, v := range e.Callback.values() {
			if v.Header != "" {
				named[field] = v.Header
			}
		}
	}
	return named
}

const customField = "custom_fields."

// CustomField is what a custom field is called in Options.Made and Mapped.
func CustomField(label string) string { return customField + label }

func altPhone(i int) string { return "alt_phones[" + strconv.Itoa(i) + "]" }

const (
	callbackAt       = "callback.datetime"
	callbackUser     = "callback.user"
	callbackComments = "callback.comments"
)

func (c *Callback) values() map[string]Value {
	return map[string]Value{callbackAt: c.At, callbackUser: c.User, callbackComments: c.Comments}
}

// extras reads a record's extras.
type extras struct {
	custom   []named
	alts     []named
	callback *Callback
	at       map[string]int // the callback's columns, from 0
}

// named is a column with a custom field's label or an alternate number's note.
type named struct {
	name string
	at   int // from 0
}

func newExtras(o Extras, of map[string]int) extras {
	e := extras{callback: o.Callback, at: of}
	for _, label := range slices.Sorted(maps.Keys(o.Custom)) {
		e.custom = append(e.custom, named{label, of[customField+label]})
	}
	for i, header := range o.AltPhones {
		e.alts = append(e.alts, named{header, of[altPhone(i)]})
	}
	return e
}

// of returns a record's extras before they are cleaned, nil when it has none.
func (e *extras) of(cells []string) *lead.Extras {
	var x lead.Extras
	for _, c := range e.custom {
		if cells[c.at] == "" {
			continue
		}
		if x.Custom == nil {
			x.Custom = make(map[string]string, len(e.custom))
		}
		x.Custom[c.name] = cells[c.at]
	}
	for _, a := range e.alts {
		// An empty one keeps its place: changes name numbers by it.
		x.AltPhones = append(x.AltPhones, lead.AltPhone{Number: cells[a.at], Note: a.name})
	}
	if c := e.callback; c != nil {
		x.Callback = &lead.Callback{
			At: e.value(cells, callbackAt, c.At), User: e.value(cells, callbackUser, c.User),
			Comments: e.value(cells, callbackComments, c.Comments), Status: c.Status,
		}
	}
	if x.Custom == nil && x.AltPhones == nil && x.Callback == nil {
		return nil
	}
	return &x
}

func (e *extras) value(cells []string, field string, v Value) string {
	if v.Header == "" {
		return v.Text
	}
	return cells[e.at[field]]
}
