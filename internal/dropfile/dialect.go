package dropfile

import (
	"fmt"
	"strings"
)

// Dialect says how text becomes records.
type Dialect struct {
	Delimiter string    `json:"delimiter"` // between cells; empty: each line is one cell
	Quote     string    `json:"quote"`     // around cells; empty: none
	Escape    string    `json:"escape"`    // of a quote within quotes: the quote itself (doubled) or \; empty: none
	RecordEnd RecordEnd `json:"record_end"`
}

// RecordEnd is what ends a record.
type RecordEnd string

// The ends of records. A line feed always ends one, with or without a carriage
// return before it, unless the file is said to have CRLF.
const (
	LF    RecordEnd = "LF"
	CRLF  RecordEnd = "CRLF"
	CR    RecordEnd = "CR"
	Mixed RecordEnd = "mixed"
)

// dialect is a Dialect as the splitter wants it.
type dialect struct {
	delimiter string
	quote     byte // 0: none
	escape    byte // 0: none; equal to quote: doubled
}

func (d dialect) exported(end RecordEnd) Dialect {
	out := Dialect{Delimiter: d.delimiter, RecordEnd: end}
	if d.quote != 0 {
		out.Quote = string(d.quote)
	}
	if d.escape != 0 {
		out.Escape = string(d.escape)
	}
	return out
}

// names of signs that a configuration or a flag may spell out.
var (
	delimiterNames = map[string]string{
		"comma": ",", "semicolon": ";", "tab": "\t", `\t`: "\t", "pipe": "|", "space": " ",
		"caret": "^", "colon": ":", "tilde": "~", `\x01`: "\x01", `\x1f`: "\x1f",
	}
	quoteNames  = map[string]string{"double": `"`, "single": "'", `"`: `"`, "'": "'", "none": ""}
	escapeNames = map[string]string{"backslash": `\`, `\`: `\`, "none": ""}
	endNames    = map[string]RecordEnd{"lf": LF, "crlf": CRLF, "cr": CR, "mixed": Mixed}
)

// settings are what of the dialect is configured.
type settings struct {
	delimiter, quote, escape          string
	hasDelimiter, hasQuote, hasEscape bool
	end                               RecordEnd // empty: to be found
}

// Check tells whether what is set can be understood.
func (o Options) Check() error {
	if _, err := o.settings(); err != nil {
		return err
	}
	if o.Encoding != "" {
		if _, err := namedCharset(o.Encoding); err != nil {
			return err
		}
	}
	if o.HeaderLine < headerNone {
		return fmt.Errorf("header line: %d is no line", o.HeaderLine)
	}
	return nil
}

func (o Options) settings() (settings, error) {
	var s settings
	if o.Delimiter != "" {
		s.delimiter, s.hasDelimiter = o.Delimiter, true
		if named, ok := delimiterNames[strings.ToLower(o.Delimiter)]; ok {
			s.delimiter = named
		}
		if strings.ContainsAny(s.delimiter, "\r\n\"") || len(s.delimiter) > 8 {
			return s, fmt.Errorf("delimiter: %q cannot be one: write what stands between the cells, such as comma, semicolon, tab or ||", o.Delimiter)
		}
	}
	if o.Quote != "" {
		if s.quote, s.hasQuote = quoteNames[strings.ToLower(o.Quote)]; !s.hasQuote {
			return s, fmt.Errorf("quote: %q is none of double, single, none", o.Quote)
		}
	}
	if o.Escape != "" {
		if s.escape, s.hasEscape = escapeNames[strings.ToLower(o.Escape)]; !s.hasEscape {
			if strings.ToLower(o.Escape) != "doubled" {
				return s, fmt.Errorf("escape: %q is none of doubled, backslash, none", o.Escape)
			}
			s.escape, s.hasEscape = "doubled", true
		}
	}
	if o.RecordEnd != "" {
		var ok bool
		if s.end, ok = endNames[strings.ToLower(o.RecordEnd)]; !ok {
			return s, fmt.Errorf("record end: %q is none of lf, crlf, cr, mixed", o.RecordEnd)
		}
	}
	return s, nil
}
