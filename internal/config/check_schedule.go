package config

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// schedule checks when a feed is pulled, and when it is not.
func (c *checker) schedule(path string, f *Feed) {
	if _, err := time.LoadLocation(f.TimeZone); err != nil || f.TimeZone == "" {
		c.bad(path+".time_zone", "%s.time_zone is not known: write a name such as America/New_York, UTC or Local", path)
	}
	c.each(path+".schedule", f.Schedule, c.known.Schedule)
	c.each(path+".blackouts", f.Blackouts, c.known.Window)
	c.each(path+".holidays", f.Holidays, c.known.Date)
	c.oneOf(path+".overlap", f.Overlap, "skip", "queue")
	if f.ExpectBy != "" {
		c.expectBy(path+".expect_by", path, f)
	}
	if len(f.Schedule) > 0 && c.noSource(path+".source", &f.Source) {
		c.bad(path+".schedule", "%s has a schedule, but no source that could be pulled: add a source, or remove the schedule", path)
	}
}

// each checks the items of a list.
func (c *checker) each(path string, list Strings, wrong func(string) error) {
	for i, text := range list {
		at := c.item(path, i)
		if err := wrong(text); err != nil {
			c.bad(at, "%s %v", at, err)
		}
	}
}

func (c *checker) expectBy(at, path string, f *Feed) {
	if err := c.known.Clock(f.ExpectBy); err != nil {
		c.bad(at, "%s %v", at, err)
	}
	if len(f.Schedule) == 0 && !c.unread[path+".schedule"] {
		c.bad(at, "%s needs a schedule, which brings the drop: add one, or remove expect_by", at)
	}
}

// hears checks who is told of a feed's runs.
func (c *checker) hears(path string, f *Feed) {
	for _, name := range slices.Sorted(maps.Keys(f.Notify)) {
		at := path + "." + name
		if _, defined := c.cfg.Notify[name]; !defined {
			known := "nobody stands there yet"
			if len(c.cfg.Notify) > 0 {
				known = "it has " + strings.Join(slices.Sorted(maps.Keys(c.cfg.Notify)), ", ")
			}
			c.bad(at, "%s names %q, which is not under notify: add it there (%s)", path, name, known)
		}
		c.oneOf(at, f.Notify[name], "always", "trouble", "late")
		if f.Notify[name] == "late" && f.ExpectBy == "" {
			c.bad(at, "%s is late, but no drop is ever late: set expect_by, or write trouble", at)
		}
	}
}
