package source

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Choice says which of a place's files are drops.
type Choice struct {
	// Pattern is a file name with * and ?, or a regular expression between two
	// slashes. In it {{.Date "2006-01-02"}} stands for the day, written so.
	Pattern string
	// Marker names the file that stands beside a drop when it is complete, such
	// as {{.Name}}.done; empty: there is none.
	Marker string
	MinAge time.Duration // since the drop was last written to
	Zone   *time.Location
	Ours   func(name string) bool // tells what was put away there
}

// Verdict says what becomes of a file.
type Verdict struct {
	File File
	Take bool
	Wait bool   // it is not taken yet
	Why  string // a sentence without its end
}

// Check tells what is wrong with a choice, in words that follow its name.
func (c Choice) Check() error {
	_, err := c.compile([]time.Time{{}})
	return err
}

// Choose judges a place's files, the drops to take first and the oldest of them
// first. taken tells when a file was taken before; days are those that the
// pattern's date may stand for.
func (c Choice) Choose(files []File, taken func(File) (time.Time, bool), days []time.Time, now time.Time) ([]Verdict, error) {
	m, err := c.compile(days)
	if err != nil {
		return nil, err
	}
	there := make(map[string]File, len(files))
	for _, f := range files {
		there[f.Path] = f
	}
	markers := map[string]bool{}
	for _, f := range files {
		if name := m.markerOf(f.Path); name != "" {
			markers[name] = true
		}
	}
	out := make([]Verdict, 0, len(files))
	for _, f := range files {
		var why, wait string
		at, before := taken(f)
		switch marker := m.markerOf(f.Path); {
		case f.Odd != "":
			why = "it is " + f.Odd
		case c.Ours != nil && c.Ours(f.Path):
			why = "it was put away here"
		case isTemporary(path.Base(f.Path)):
			why = "its name is that of a file in the making"
		case markers[f.Path]:
			why = "it only says that another file is complete"
		case !m.matches(path.Base(f.Path)):
			why = "its name does not match " + c.Pattern
		case before:
			why = "it was taken at " + at.Local().Format(time.DateTime)
		default:
			if wait = isMarked(f, marker, there); wait == "" {
				wait = c.tooYoung(f, now)
			}
		}
		out = append(out, Verdict{File: f, Take: why+wait == "", Wait: wait != "", Why: why + wait})
	}
	slices.SortFunc(out, func(a, b Verdict) int {
		return cmp.Or(compareBools(b.Take, a.Take), a.File.Modified.Compare(b.File.Modified), cmp.Compare(a.File.Path, b.File.Path))
	})
	return out, nil
}

// isMarked tells that a file's marker is not there; empty: it is, or none is wanted.
// One that is older than the file lies there since an earlier file of that name.
func isMarked(f File, marker string, there map[string]File) string {
	m, ok := there[marker]
	switch {
	case marker == "":
		return ""
	case !ok:
		return "its marker " + marker + " is not there yet"
	case !m.Modified.IsZero() && m.Modified.Before(f.Modified):
		return "its marker " + marker + " is older than the file, and may be that of an earlier one"
	}
	return ""
}

// farAhead is more than any zone, and hardly a clock, is wrong by.
const farAhead = 24 * time.Hour

// tooYoung tells that somebody may still write to a file; empty: hardly so. A
// time that is far ahead tells no age, and nobody can wait for it.
func (c Choice) tooYoung(f File, now time.Time) string {
	age := now.Sub(f.Modified)
	switch {
	case c.MinAge <= 0 || f.Modified.IsZero() || age >= c.MinAge || age < -farAhead:
		return ""
	case age < 0:
		return fmt.Sprintf("its place says that it was written to at %s, which is still to come: correct the clock there, or wait until %s after that", f.Modified.Local().Format(time.DateTime), short(c.MinAge))
	}
	return fmt.Sprintf("it was written to less than %s ago", short(c.MinAge))
}

// short writes 1m, not 1m0s.
func short(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// markers finds the markers that lie beside files, by the files' paths. One that
// is there for several files, or always, is not among them.
func (c Choice) markers(files []File, days []time.Time) (map[string]File, error) {
	m, err := c.compile(days)
	if err != nil {
		return nil, err
	}
	there, of := make(map[string]File, len(files)), map[string][]string{}
	for _, f := range files {
		there[f.Path] = f
		name := m.markerOf(f.Path)
		if name != "" && name != f.Path && m.matches(path.Base(f.Path)) {
			of[name] = append(of[name], f.Path)
		}
	}
	markers := map[string]File{}
	for name, waiting := range of {
		marker, ok := there[name]
		if ok && marker.Odd == "" && len(waiting) == 1 && strings.Contains(path.Base(name), stem(waiting[0])) {
			markers[waiting[0]] = marker
		}
	}
	return markers, nil
}

func stem(name string) string { return strings.TrimSuffix(path.Base(name), path.Ext(name)) }

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// matcher is a choice's pattern for some days.
type matcher struct {
	globs       []string
	expressions []*regexp.Regexp
	marker      *template.Template
}

// day is what a pattern's template sees.
type day struct{ t time.Time }

// Date writes the day in a layout of package time.
func (d day) Date(layout string) string { return d.t.Format(layout) }

// named is what a marker's template sees.
type named struct{ Name, Stem string }

func (c Choice) compile(days []time.Time) (*matcher, error) {
	pattern, err := template.New("pattern").Option("missingkey=error").Parse(c.Pattern)
	if err != nil {
		return nil, fmt.Errorf("is no template: in braces nothing but {{.Date \"2006-01-02\"}} may stand")
	}
	m := &matcher{}
	if c.Marker != "" {
		m.marker, err = template.New("marker").Parse(c.Marker)
		if err == nil {
			err = m.marker.Execute(&strings.Builder{}, named{})
		}
		if err != nil {
			return nil, fmt.Errorf("has a marker that is no template: in braces {{.Name}} or {{.Stem}} may stand")
		}
		if m.markerOf("a.b") == "a.b" {
			return nil, fmt.Errorf("has a marker that is the file's own name: add what its marker has more, for example {{.Name}}.done")
		}
	}
	zone := c.Zone
	if zone == nil {
		zone = time.Local
	}
	seen := map[string]bool{}
	for _, d := range days {
		var text strings.Builder
		if err := pattern.Execute(&text, day{d.In(zone)}); err != nil {
			return nil, fmt.Errorf("is no template: in braces nothing but {{.Date \"2006-01-02\"}} may stand")
		}
		p := text.String()
		if seen[p] {
			continue
		}
		seen[p] = true
		if inner, ok := expression(p); ok {
			e, err := regexp.Compile(inner)
			if err != nil {
				return nil, fmt.Errorf("is no regular expression between its slashes: correct it, for example '/^leads_\\d+\\.csv$/'")
			}
			m.expressions = append(m.expressions, e)
			continue
		}
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return nil, fmt.Errorf("is no pattern of file names: write one such as \"*.csv\", or a regular expression between two slashes")
		}
		if strings.Contains(p, "/") {
			return nil, fmt.Errorf("has a /, but it is compared with file names alone: move the folder to path, or write a regular expression between two slashes")
		}
		m.globs = append(m.globs, p)
	}
	return m, nil
}

func expression(p string) (string, bool) {
	if len(p) > 2 && p[0] == '/' && p[len(p)-1] == '/' {
		return p[1 : len(p)-1], true
	}
	return "", false
}

func (m *matcher) matches(name string) bool {
	for _, e := range m.expressions {
		if e.MatchString(name) {
			return true
		}
	}
	for _, g := range m.globs {
		if ok, err := path.Match(g, name); ok && err == nil {
			return true
		}
	}
	return false
}

// markerOf returns the path of a file's marker, empty where there are none.
func (m *matcher) markerOf(file string) string {
	if m.marker == nil {
		return ""
	}
	name := path.Base(file)
	var text strings.Builder
	if err := m.marker.Execute(&text, named{Name: name, Stem: stem(name)}); err != nil {
		return ""
	}
	return path.Join(path.Dir(file), text.String())
}

// isTemporary knows the names that programs give files while they write them.
func isTemporary(name string) bool {
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, ".") || strings.HasPrefix(lower, "~") || strings.HasSuffix(lower, "~") {
		return true
	}
	switch path.Ext(lower) {
	case ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".uploading", ".upload", ".inprogress", ".incomplete", ".swp", ".lock", ".writing":
		return true
	}
	return false
}
