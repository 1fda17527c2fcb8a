package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Duration is a span of time, never negative: 500ms, 30s, 6m, 36h, 90d, 1d12h or 0.
type Duration time.Duration

const (
	second = Duration(time.Second)
	minute = Duration(time.Minute)
	hour   = Duration(time.Hour)
	day    = Duration(24 * time.Hour)
)

var errDuration = errors.New("a duration such as 500ms, 30s, 6m or 90d")

// Std returns the duration in the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String renders the duration as it would be written in the file.
func (d Duration) String() string {
	switch {
	case d == 0:
		return "0"
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.Std().String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText renders the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration; its error completes the sentence "must be".
func (d *Duration) UnmarshalText(text []byte) error {
	days, rest, hasDays := strings.Cut(string(text), "d")
	var total Duration
	if hasDays {
		n, err := strconv.ParseUint(days, 10, 63)
		if err != nil || n > uint64(maxDays) {
			return errDuration
		}
		total = Duration(n) * day
	} else {
		rest = string(text)
	}
	if rest != "" || !hasDays {
		span, err := time.ParseDuration(rest)
		if err != nil || span < 0 || strings.HasPrefix(rest, "-") {
			return errDuration
		}
		total += Duration(span)
	}
	if total < 0 {
		return errDuration
	}
	*d = total
	return nil
}

// maxDays is where days stop fitting a time.Duration.
const maxDays = (1<<63 - 1) / day

// Size is a number of bytes, never negative: 1048576, 500MB, 1.5GB, 64MiB or 0.
type Size int64

const megabyte = Size(humanize.MByte)

var errSize = errors.New("a size such as 500MB, 20GB, 64MiB or 1048576")

// sizeUnits are those that sizes are shown in, largest first.
var sizeUnits = []struct {
	name  string
	bytes Size
}{
	{"TiB", humanize.TiByte},
	{"TB", humanize.TByte},
	{"GiB", humanize.GiByte},
	{"GB", humanize.GByte},
	{"MiB", humanize.MiByte},
	{"MB", humanize.MByte},
	{"KiB", humanize.KiByte},
	{"kB", humanize.KByte},
}

// String renders the size as it would be written in the file, to the byte.
func (s Size) String() string {
	for _, unit := range sizeUnits {
		if s != 0 && s%unit.bytes == 0 {
			return strconv.FormatInt(int64(s/unit.bytes), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText renders the size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a size; its error completes the sentence "must be".
func (s *Size) UnmarshalText(text []byte) error {
	written := string(text)
	if strings.Contains(written, ",") { // which half the world reads as a point
		return errSize
	}
	n, err := humanize.ParseBytes(written)
	if err != nil || n > math.MaxInt64 {
		return errSize
	}
	if n == 0 && strings.ContainsAny(written, "123456789") { // 0.5 would become no limit
		return errSize
	}
	*s = Size(n)
	return nil
}

// Strings is a list of texts; a single one may be written without brackets.
type Strings []string

// ListID says which list of the dialer a row goes to. Exactly one is set.
type ListID struct {
	Number   string `yaml:"-"`                   // the same for every row: 3 to 19 digits
	Column   string `yaml:"column,omitempty"`    // header of the column that holds it
	FileName string `yaml:"file_name,omitempty"` // regular expression whose one group finds it in the file's name
}

// UnmarshalText takes a plain number.
func (l *ListID) UnmarshalText(text []byte) error {
	l.Number = string(text)
	return nil
}

// MarshalYAML writes the form that the file has.
func (l ListID) MarshalYAML() (any, error) {
	if l.Number != "" {
		return l.Number, nil
	}
	type mapping ListID
	return mapping(l), nil
}

// Column says where a field of a lead comes from. Exactly one is set.
type Column struct {
	Header   string  `yaml:"-"`                  // of the column
	FirstOf  Strings `yaml:"first_of,omitempty"` // headers, of which the first that is filled counts
	Template string  `yaml:"template,omitempty"` // such as "{{.first_name}} {{.last_name}}"
	Value    string  `yaml:"value,omitempty"`    // the same for every row
}

// UnmarshalText takes a header.
func (c *Column) UnmarshalText(text []byte) error {
	c.Header = string(text)
	return nil
}

// MarshalYAML writes the form that the file has.
func (c Column) MarshalYAML() (any, error) {
	if c.Header != "" {
		return c.Header, nil
	}
	type mapping Column
	return mapping(c), nil
}

// Value is the same for every row, or read from a column.
type Value struct {
	Text   string `yaml:"-"`
	Column string `yaml:"column"` // header
}

// UnmarshalText takes what is the same for every row.
func (v *Value) UnmarshalText(text []byte) error {
	v.Text = string(text)
	return nil
}

// MarshalYAML writes the form that the file has.
func (v Value) MarshalYAML() (any, error) {
	if v.Column == "" {
		return v.Text, nil
	}
	type mapping Value
	return mapping(v), nil
}
