package config

import (
	"encoding"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decoder fills the configuration from the file's syntax tree. It goes over
// the tree itself because a library's decoder stops at the first mistake, and
// because ${NAME} must be replaced after parsing, where it cannot become YAML.
type decoder struct {
	*findings
	anchors map[string]ast.Node
	merging map[ast.Node]bool // mappings whose keys are being listed
	inline  []string          // paths of the secrets that the file holds in clear
}

// Visit notes the anchors; it implements ast.Visitor.
func (d *decoder) Visit(n ast.Node) ast.Visitor {
	if anchor, ok := n.(*ast.AnchorNode); ok {
		d.anchors[anchor.Name.GetToken().Value] = anchor.Value
	}
	return d
}

// resolve follows anchors and aliases to the value they stand for. The result
// is nil for an alias without an anchor.
func (d *decoder) resolve(n ast.Node) ast.Node {
	if alias, ok := n.(*ast.AliasNode); ok {
		n = d.anchors[alias.Value.GetToken().Value]
	}
	if anchor, ok := n.(*ast.AnchorNode); ok {
		n = anchor.Value
	}
	return n
}

// value decodes a node into v, which stays as it is for null.
func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	position := n.GetToken().Position
	n = d.resolve(n)
	if n == nil {
		d.places[path] = place{line: position.Line, column: position.Column}
		d.unreadable(path, "%s refers to an anchor that is not defined: define it with &NAME or write the value here", path)
		return
	}
	if text, ok := plain(n); ok {
		d.places[path] = place{line: position.Line, column: position.Column, written: strconv.Quote(text)}
		d.scalar(text, v, path)
		return
	}
	if _, isNull := n.(*ast.NullNode); isNull {
		return
	}
	kind := v.Kind()
	if v.Type() == reflect.TypeFor[Secret]() {
		kind = reflect.String // its fields are nobody's to fill
	}
	switch kind {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	default:
		d.unreadable(path, "%s must be a single value; put quotes around a text", path)
	}
}

// plain returns a scalar's text as it is written, so that 0101 stays 0101.
func plain(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}

// entry is one key of a mapping, with its value.
type entry struct {
	key   string
	token ast.Node
	value ast.Node
}

// entries lists a mapping's keys, those merged in with << last and only where
// the mapping has none of its own.
func (d *decoder) entries(n ast.Node, path string) []entry {
	node, ok := n.(ast.MapNode)
	if !ok {
		d.unreadable(path, "%s must be a mapping, with lines of the form key: value", subject(path))
		return nil
	}
	if d.merging[n] {
		d.bad(path, "%s merges itself with <<: remove that line", subject(path))
		return nil
	}
	d.merging[n] = true
	defer delete(d.merging, n)
	var own, merged []entry
	for it := node.MapRange(); it.Next(); {
		if it.Key().IsMergeKey() {
			if base, ok := d.resolve(it.Value()).(ast.MapNode); ok {
				merged = append(merged, d.entries(base.(ast.Node), path)...)
				continue
			}
		}
		own = append(own, entry{key: it.Key().GetToken().Value, token: it.Key(), value: it.Value()})
	}
	for _, e := range merged {
		if !slices.ContainsFunc(own, func(o entry) bool { return o.key == e.key }) {
			own = append(own, e)
		}
	}
	for _, e := range own {
		position := e.token.GetToken().Position
		d.places[join(path, e.key)] = place{line: position.Line, column: position.Column}
	}
	return own
}

func (d *decoder) structure(n ast.Node, v reflect.Value, path string) {
	if typ, ok := v.Addr().Interface().(interface{ setDefaults() }); ok {
		typ.setDefaults()
	}
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name != "-" {
			fields[name] = v.Field(i)
		}
	}
	for _, e := range d.entries(n, path) {
		field, ok := fields[e.key]
		if !ok {
			d.bad(join(path, e.key), "%s has no key %q: use %s", subject(path), e.key,
				strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
			continue
		}
		d.value(e.value, field, join(path, e.key))
	}
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range d.entries(n, path) {
		element := reflect.New(v.Type().Elem()).Elem()
		if typ, ok := element.Addr().Interface().(interface{ setDefaults() }); ok {
			typ.setDefaults()
		}
		d.value(e.value, element, join(path, e.key))
		v.SetMapIndex(reflect.ValueOf(e.key), element)
	}
}

func (d *decoder) list(n ast.Node, v reflect.Value, path string) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		d.unreadable(path, "%s must be a text or a list of texts", path)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(sequence.Values), len(sequence.Values)))
	for i, item := range sequence.Values {
		d.value(item, v.Index(i), path+index(i))
	}
}

func (d *decoder) scalar(source string, v reflect.Value, path string) {
	text, ok := d.expand(source, path)
	if !ok {
		return
	}
	if _, isSecret := v.Interface().(Secret); isSecret && text != "" && text == source {
		d.inline = append(d.inline, path)
	}
	if typ, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := typ.UnmarshalText([]byte(text)); err != nil {
			d.unreadable(path, "%s must be %v, not %s", path, err, d.places[path].written)
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Slice:
		v.Set(reflect.ValueOf(Strings{text}))
	case reflect.Bool:
		if text != "true" && text != "false" {
			d.unreadable(path, "%s must be true or false, not %s", path, d.places[path].written)
			return
		}
		v.SetBool(text == "true")
	case reflect.Int:
		number, err := strconv.Atoi(text)
		if err != nil {
			d.unreadable(path, "%s must be a whole number, not %s", path, d.places[path].written)
			return
		}
		v.SetInt(int64(number))
	case reflect.Float64:
		number, err := strconv.ParseFloat(text, 64)
		if err != nil {
			d.unreadable(path, "%s must be a number, not %s", path, d.places[path].written)
			return
		}
		v.SetFloat(number)
	default:
		d.unreadable(path, "%s must be a mapping, with lines of the form key: value", path)
	}
}

// reference matches ${NAME}, its escape $${, and a ${ that is neither.
var reference = regexp.MustCompile(`\$\$\{|\$\{[A-Za-z_][A-Za-z0-9_]*\}|\$\{`)

// expand replaces ${NAME} by the environment variable and $${ by ${; every
// other $ stands for itself.
func (d *decoder) expand(text, path string) (string, bool) {
	ok := true
	expanded := reference.ReplaceAllStringFunc(text, func(match string) string {
		switch match {
		case "$${":
			return "${"
		case "${":
			d.unreadable(path, "%s has a ${ that is no ${NAME}: write $${ for the two characters themselves", path)
			ok = false
			return ""
		}
		name := match[2 : len(match)-1]
		value, set := os.LookupEnv(name)
		if !set {
			d.lacking(path, "%s uses the environment variable %s, which is not set: set it before you start the importer", path, name)
			ok = false
		}
		return value
	})
	return expanded, ok
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// subject names what stands at path at the beginning of a sentence.
func subject(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }
