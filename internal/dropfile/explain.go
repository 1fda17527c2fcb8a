package dropfile

import (
	"strings"

	"importer/internal/importer"
	"importer/internal/lead"
)

// Explanation tells how a file is read. Records and oddities are complete once
// the whole table was read.
type Explanation struct {
	Encoding      string           `json:"encoding"`
	ByteOrderMark bool             `json:"byte_order_mark,omitempty"`
	Dialect       Dialect          `json:"dialect"`
	HeaderLines   []int            `json:"header_lines,omitempty"` // none: the table has no header
	Columns       []Column         `json:"columns"`
	Held          string           `json:"held,omitempty"` // why an import would wait for a person
	Records       int              `json:"records"`
	Repaired      int              `json:"repaired"`
	Refused       int              `json:"refused"`
	Outside       importer.Outside `json:"outside"`
	Oddities      []Oddity         `json:"oddities,omitempty"` // at most 100
}

// Column is one of a table's columns.
type Column struct {
	Name    string   `json:"name"`
	Field   string   `json:"field,omitempty"`   // of a lead, that it is read as
	Looks   string   `json:"looks"`             // what most of its cells look like
	Empty   int      `json:"empty_percent"`     // of the records looked at
	Samples []string `json:"samples,omitempty"` // up to three
}

// Oddity is a record that was repaired or refused, or such a header.
type Oddity struct {
	Line    int         `json:"line"`
	Refused lead.Reason `json:"refused,omitempty"`
	Why     string      `json:"why"`
}

// oddities counts what was repaired and refused, and lists the first.
type oddities struct {
	mended, bad int
	first       []Oddity
}

func (o *oddities) repaired(r *record, changes []lead.Change) {
	o.mended++
	if len(o.first) == listed {
		return
	}
	var why []string
	for _, c := range changes {
		why = append(why, c.Why)
	}
	o.first = append(o.first, Oddity{Line: r.line, Why: strings.Join(why, "; ")})
}

func (o *oddities) refused(r *record, why *lead.Refusal) {
	o.bad++
	if len(o.first) < listed {
		o.first = append(o.first, Oddity{Line: r.line, Refused: why.Reason, Why: why.Detail})
	}
}

// learn describes the columns from the records looked at.
func (e *Explanation) learn(t *Table) {
	e.HeaderLines = t.shape.lines
	if t.head == nil && t.shape.model.rows == 0 && len(t.queue) == 0 {
		return
	}
	if t.unmapped != nil {
		e.Held = t.unmapped.Error()
	}
	e.Columns = make([]Column, t.shape.fields)
	if t.mapper != nil {
		for _, c := range t.mapper.mapped {
			e.Columns[c.Column-1].Field = c.Field
		}
	}
	for j := range e.Columns {
		c := &e.Columns[j]
		if j < len(t.head) {
			c.Name = t.head[j]
		}
		if j >= len(t.shape.model.columns) {
			continue
		}
		m := &t.shape.model.columns[j]
		c.Looks = m.looks()
		c.Empty = 100 * m.empty / max(1, t.shape.model.rows)
		for i := 0; i < len(t.queue) && len(c.Samples) < 3; i++ {
			if r := &t.queue[i]; len(r.cells) == t.shape.fields && r.flaw == sound && r.cells[j] != "" {
				c.Samples = append(c.Samples, shortened(r.cells[j], 40))
			}
		}
	}
}

// looks names what most of a column's cells look like.
func (c *columnModel) looks() string {
	best := empty
	for k, n := range c.kinds {
		if n > c.kinds[best] {
			best = kind(k)
		}
	}
	return best.String()
}

// Explain tells how the file is read, as far as it was read.
func (t *Table) Explain() Explanation {
	e := t.found
	e.Records, e.Repaired, e.Refused = t.count, t.odd.mended, t.odd.bad
	e.Outside, e.Oddities = t.out, t.odd.first
	return e
}
