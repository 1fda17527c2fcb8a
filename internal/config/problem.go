package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Problem is one thing that is wrong in the file, in a sentence that says what
// to do about it, without any secret.
type Problem struct {
	File    string
	Line    int // from 1; 0 when the problem has no place in the file
	Column  int
	Message string
}

// String renders the problem as file:line:column: sentence.
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Problems is everything that is wrong with a configuration, in the order of
// the file.
type Problems struct {
	List []Problem
}

// Error lists the problems, one a line.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, problem := range p.List {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// place is where a value stands in the file and how it is written there,
// before ${NAME} is replaced, so that quoting it tells nothing of the environment.
type place struct {
	line, column int
	written      string
}

// findings collects what is wrong while the file is read and checked. Values
// go by their path, such as feeds.acme.schedule[0].
type findings struct {
	file     string
	places   map[string]place
	unread   map[string]bool // values that could not be read: further checks of them would mislead
	problems []Problem
	warnings []Problem
	lacks    map[string]*Problems // as Config.Lacks
}

// bad notes a problem with the value at path, or with the nearest thing around
// it when the file has no such value.
func (f *findings) bad(path, format string, args ...any) {
	if !f.unread[path] {
		f.problems = append(f.problems, f.problem(path, format, args...))
	}
}

// unreadable notes that the value at path could not be read at all.
func (f *findings) unreadable(path, format string, args ...any) {
	f.bad(path, format, args...)
	f.unread[path] = true
}

// ofOne matches the path of what one source, target or PGP key needs, or the calls
// to one dialer do, and nobody else does; what its groups hold is the one's name in
// Config.Lacks.
var ofOne = regexp.MustCompile(`^(?:(feeds\.[^.]+\.source|notify\.[^.]+)\.|(feeds\.[^.]+\.pgp)_|(dialers\.[^.]+)\.(?:password|password_file|ca_file)$)`)

// lacking notes that the value at path is right, but refers to what is not there.
func (f *findings) lacking(path, format string, args ...any) {
	one := ofOne.FindStringSubmatch(path)
	if one == nil || f.unread[path] {
		f.unreadable(path, format, args...)
		return
	}
	name := one[1] + one[2] + one[3]
	if f.lacks[name] == nil {
		f.lacks[name] = &Problems{}
	}
	lacks := f.lacks[name]
	lacks.List = append(lacks.List, f.problem(path, format, args...))
	f.unread[path] = true
}

func (f *findings) warn(path, format string, args ...any) {
	f.warnings = append(f.warnings, f.problem(path, format, args...))
}

func (f *findings) problem(path, format string, args ...any) Problem {
	at := f.near(path)
	return Problem{File: f.file, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)}
}

func (f *findings) near(path string) place {
	for {
		if at, ok := f.places[path]; ok || path == "" {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// err returns the problems in the order of the file, or nil.
func (f *findings) err() error {
	if len(f.problems) == 0 {
		return nil
	}
	for _, lacks := range f.lacks {
		f.problems = append(f.problems, lacks.List...)
	}
	sortByPlace(f.problems)
	return &Problems{List: f.problems}
}

func sortByPlace(list []Problem) {
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
