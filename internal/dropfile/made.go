package dropfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template/parse"

	"importer/internal/lead"
)

// Made says how a field that no column holds as it is comes about. One of the
// three is set.
type Made struct {
	Value    string   // the same for every row
	Template string   // such as "{{.first_name}} {{.last_name}}"
	FirstOf  []string // headers, of which the first that is filled counts
}

// part is a part of a template as it is written: text, or a name.
type part struct{ text, name string }

var errTemplate = errors.New(`a text with fields in it, such as "{{.first_name}} {{.last_name}}": nothing but {{.NAME}} may stand in braces, where NAME is a lead's field or a header without its blanks`)

// CheckTemplate tells what is wrong with a template; its error completes the
// sentence "must be".
func CheckTemplate(text string) error {
	_, err := parseTemplate(text)
	return err
}

// parseTemplate takes a template of text/template apart. It knows names alone:
// whatever else that language can do, a person would have to debug in rows.
func parseTemplate(text string) ([]part, error) {
	trees, err := parse.Parse("", text, "", "")
	if err != nil || trees[""] == nil || trees[""].Root == nil {
		return nil, errTemplate
	}
	var words []part
	named := false
	for _, node := range trees[""].Root.Nodes {
		switch n := node.(type) {
		case *parse.TextNode:
			words = append(words, part{text: string(n.Text)})
		case *parse.ActionNode:
			name, ok := nameIn(n)
			if !ok {
				return nil, errTemplate
			}
			named = true
			words = append(words, part{name: name})
		default:
			return nil, errTemplate
		}
	}
	if !named {
		return nil, errTemplate
	}
	return words, nil
}

func nameIn(n *parse.ActionNode) (string, bool) {
	if len(n.Pipe.Decl) > 0 || len(n.Pipe.Cmds) != 1 || len(n.Pipe.Cmds[0].Args) != 1 {
		return "", false
	}
	field, ok := n.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(field.Ident) != 1 {
		return "", false
	}
	return field.Ident[0], true
}

// making is a Made whose columns are found.
type making struct {
	target string // a lead's field, or custom_fields.LABEL
	value  string
	pieces []piece
	first  []int // columns
}

// piece is a part of a template whose column is found.
type piece struct {
	text  string
	field string
	at    int // of the column, where neither text nor field is set
}

// findMade finds the columns that are read for what is made. The columns of
// FirstOf are taken by it; a template reads what may be read otherwise too.
func (c *columns) findMade(made map[string]Made) ([]making, error) {
	var all []making
	for _, target := range slices.Sorted(maps.Keys(made)) {
		m := made[target]
		out := making{target: target, value: m.Value}
		for _, header := range m.FirstOf {
			at, err := c.need(target, header)
			if err != nil {
				return nil, err
			}
			if c.taken[at] {
				return nil, fmt.Errorf("columns: two fields name the header %q, one of them is %s", header, target)
			}
			c.taken[at] = true
			out.first = append(out.first, at)
		}
		all = append(all, out)
	}
	return all, nil
}

// findTemplates finds what the templates name, once all columns are mapped: a
// lead's field that a column holds, otherwise the column with that header.
func (c *columns) findTemplates(made map[string]Made, all []making) error {
	for i := range all {
		m := made[all[i].target]
		if m.Template == "" {
			continue
		}
		words, err := parseTemplate(m.Template)
		if err != nil {
			return fmt.Errorf("columns: the template of %s must be %w", all[i].target, err)
		}
		for _, w := range words {
			if w.name == "" {
				all[i].pieces = append(all[i].pieces, piece{text: w.text})
				continue
			}
			if slices.Contains(lead.Fields(), w.name) && c.brings(w.name, made) {
				all[i].pieces = append(all[i].pieces, piece{field: w.name})
				continue
			}
			at, err := c.need(all[i].target, w.name)
			if err != nil {
				return err
			}
			all[i].pieces = append(all[i].pieces, piece{at: at})
		}
	}
	return nil
}

// brings tells whether a row has a field before templates are filled in.
func (c *columns) brings(field string, made map[string]Made) bool {
	m, isMade := made[field]
	name := field == "first_name" || field == "last_name" || field == "middle_initial" || field == "title"
	return c.has(field) || isMade && m.Template == "" || name && c.has(fullName) || field == "alt_phone" && len(made["phone_number"].FirstOf) > 1
}

// text is what a making yields for a record. A template whose names are all
// empty yields nothing.
func (m *making) text(l *lead.Lead, cells []string) string {
	if m.pieces == nil {
		for _, at := range m.first {
			if strings.TrimSpace(cells[at]) != "" {
				return cells[at]
			}
		}
		return m.value
	}
	var b strings.Builder
	filled := false
	for _, p := range m.pieces {
		part := p.text
		if part == "" {
			if part = l.Get(p.field); p.field == "" {
				part = cells[p.at]
			}
			part = strings.TrimSpace(part)
			filled = filled || part != ""
		}
		b.WriteString(part)
	}
	if !filled {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// second is the second column of several that is filled: a further number.
func (m *making) second(cells []string) string {
	filled := 0
	for _, at := range m.first {
		if strings.TrimSpace(cells[at]) == "" {
			continue
		}
		if filled++; filled == 2 {
			return cells[at]
		}
	}
	return ""
}
