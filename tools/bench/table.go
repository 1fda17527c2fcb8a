package main

import (
	"fmt"
	"io"
)

// table prints figures as they are found, each beside its target.
type table struct {
	out    io.Writer
	missed int
}

// title begins a group of figures.
func (t *table) title(format string, a ...any) {
	fmt.Fprintf(t.out, "\n%s\n", fmt.Sprintf(format, a...))
}

// told is a figure without a target.
func (t *table) told(what, format string, a ...any) {
	t.line(what, fmt.Sprintf(format, a...), "", "")
}

// atLeast and atMost are figures with one.
func (t *table) atLeast(what, format string, figure, target float64) {
	t.judge(what, format, figure, "at least", target, figure >= target)
}

func (t *table) atMost(what, format string, figure, target float64) {
	t.judge(what, format, figure, "at most", target, figure <= target)
}

func (t *table) judge(what, format string, figure float64, bound string, target float64, met bool) {
	verdict := "ok"
	if !met {
		verdict = "MISSED"
		t.missed++
	}
	t.line(what, fmt.Sprintf(format, figure), bound+" "+fmt.Sprintf(format, target), verdict)
}

func (t *table) line(what, figure, target, verdict string) {
	fmt.Fprintf(t.out, "  %-46s %14s   %-22s %s\n", what, figure, target, verdict)
}
