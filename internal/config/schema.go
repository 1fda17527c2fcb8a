package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// Schema returns the JSON Schema of the configuration file, by which editors
// complete and check it.
func Schema() ([]byte, error) {
	reflector := jsonschema.Reflector{
		Anonymous:                  true,
		ExpandedStruct:             true,
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
	}
	schema := reflector.Reflect(&Config{})
	schema.Title = "Configuration of importer"
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("render the configuration's schema: %w", err)
	}
	return append(text, '\n'), nil
}

// JSONSchema says that a secret is text.
func (Secret) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string"}
}

// JSONSchema says how a duration is written.
func (Duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string", Pattern: `^(0|([0-9]+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*)$`},
		{Const: 0},
	}}
}

// JSONSchema says how a size is written.
func (Size) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string", Pattern: `^[0-9]+([.][0-9]+)? *([KkMmGgTtPpEe]i?)?[Bb]?$`},
		{Type: "integer", Minimum: "0"},
	}}
}

// JSONSchema says that a list of one needs no brackets.
func (Strings) JSONSchema() *jsonschema.Schema {
	text := &jsonschema.Schema{Type: "string"}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{text, {Type: "array", Items: text}}}
}

// form is a mapping of one key.
func form(key, description string) *jsonschema.Schema {
	properties := jsonschema.NewProperties()
	properties.Set(key, &jsonschema.Schema{Type: "string", Description: description})
	return &jsonschema.Schema{
		Type: "object", Properties: properties, Required: []string{key},
		AdditionalProperties: jsonschema.FalseSchema,
	}
}

// JSONSchema lists the two forms of a value.
func (Value) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string"},
		form("column", "Header of the column that holds it."),
	}}
}

// JSONSchema lists the forms of a column.
func (Column) JSONSchema() *jsonschema.Schema {
	several := form("first_of", "Headers, of which the first that is filled counts; of phone_number the next one that is filled becomes alt_phone.")
	headers, _ := several.Properties.Get("first_of")
	headers.Type, headers.OneOf = "", Strings{}.JSONSchema().OneOf
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string", MinLength: new(uint64(1))},
		form("template", "Text with fields in it, such as {{.first_name}} {{.last_name}}: lead fields, or headers without their blanks."),
		form("value", "The same for every row."),
		several,
	}}
}

// JSONSchema lists the three forms of a list id.
func (ListID) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "integer", Minimum: "100"},
		{Type: "string", Pattern: "^([1-9][0-9]{2,18}|.*[$][{].*)$"},
		form("column", "Header of the column that holds the list number."),
		form("file_name", "Regular expression whose one group finds the list number in the file's name."),
	}}
}

// JSONSchemaExtend adds the defaults.
func (Config) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Config](s) }

// JSONSchemaExtend adds the defaults.
func (Ledger) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Ledger](s) }

// JSONSchemaExtend adds the defaults.
func (Spool) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Spool](s) }

// JSONSchemaExtend adds the defaults.
func (Serve) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Serve](s) }

// JSONSchemaExtend adds the defaults.
func (Webhook) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Webhook](s) }

// JSONSchemaExtend adds the defaults.
func (Chat) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Chat](s) }

// JSONSchemaExtend adds the defaults.
func (Mail) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Mail](s) }

// JSONSchemaExtend adds the defaults.
func (Dialer) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Dialer](s) }

// JSONSchemaExtend adds the defaults.
func (Feed) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Feed](s) }

// JSONSchemaExtend adds the defaults.
func (Source) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Source](s) }

// JSONSchemaExtend adds the defaults.
func (Directory) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Directory](s) }

// JSONSchemaExtend adds the defaults.
func (SFTP) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[SFTP](s) }

// JSONSchemaExtend adds the defaults.
func (HTTPS) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[HTTPS](s) }

// JSONSchemaExtend adds the defaults.
func (Expect) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Expect](s) }

// JSONSchemaExtend adds the defaults.
func (Hopper) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Hopper](s) }

// JSONSchemaExtend adds the defaults.
func (Callback) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Callback](s) }

// JSONSchemaExtend adds the defaults.
func (File) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[File](s) }

// JSONSchemaExtend adds the defaults.
func (Dedupe) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[Dedupe](s) }

// JSONSchemaExtend adds the defaults.
func (DialerChecks) JSONSchemaExtend(s *jsonschema.Schema) { addDefaults[DialerChecks](s) }

// addDefaults writes into the schema of T what setDefaults says, so that the
// two cannot differ. An empty text is no default worth showing.
func addDefaults[T any, P interface {
	*T
	setDefaults()
}](s *jsonschema.Schema) {
	var defaults T
	P(&defaults).setDefaults()
	v := reflect.ValueOf(defaults)
	for i := range v.NumField() {
		field := v.Field(i)
		switch field.Interface().(type) {
		case string, Strings:
			if field.Len() == 0 {
				continue
			}
		case bool, int, float64, Duration, Size:
		default:
			continue
		}
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if property, ok := s.Properties.Get(name); ok {
			property.Default = field.Interface()
		}
	}
}
