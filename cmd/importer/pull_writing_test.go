package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/crashpoint"
	"importer/internal/source/sourcetest"
)

// writer is a vendor's program that writes a file bit by bit.
type writer struct {
	*os.File
	rest string
}

// begins starts to write, without a byte yet.
func (v *vendor) begins(t *testing.T, name, content string) *writer {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(v.place, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	require.NoError(t, f.Chmod(0o666)) // the server is another user
	return &writer{f, content}
}

// writes writes the next bytes.
func (w *writer) writes(n int) error {
	_, err := w.WriteString(w.rest[:n])
	w.rest = w.rest[n:]
	return err
}

func (w *writer) goesOn(t *testing.T, n int) {
	t.Helper()
	require.NoError(t, w.writes(n))
}

// ends writes what is missing.
func (w *writer) ends(t *testing.T) {
	t.Helper()
	w.goesOn(t, len(w.rest))
	require.NoError(t, w.Close())
}

// morning is a file with 40 rows, and where in it a phone number is cut off.
func (v *vendor) morning() (text string, cut int) {
	rows := contacts()[:41]
	text = string(v.people("leads.csv", rows))
	return text, strings.Index(text, rows[26][8]) + len("305-5")
}

const morningLeads = 40

func TestAFileThatIsWrittenAllTheTimeIsNotTaken(t *testing.T) {
	t.Parallel()
	// A writer that is held up for longer than this would look as if it was done.
	const minAge = time.Minute
	v := newVendor(t, places["directory"], strings.NewReplacer("min_age: 0", "min_age: "+minAge.String(), "settle: 0", "settle: 200ms").Replace(eager))
	v.waitsLong(t)
	text, _ := v.morning()
	w := v.begins(t, "leads.csv", text)
	written, whole := make(chan bool), make(chan error, 1)
	go func() {
		defer close(written)
		const pieces = 25
		var err error
		for range pieces {
			err = errors.Join(err, w.writes(len(text)/pieces))
			select {
			case written <- true:
			default: // an importer is at work
			}
			time.Sleep(100 * time.Millisecond)
		}
		whole <- errors.Join(err, w.writes(len(w.rest)), w.Close())
	}()
	for range written {
		require.Zero(t, v.pull(t, exitDone).Files)
	}
	require.NoError(t, <-whole)
	done := time.Now().Add(-minAge)
	require.NoError(t, os.Chtimes(w.Name(), done, done))
	r := v.pull(t, exitDone)
	require.Equal(t, 1, r.Files)
	require.Equal(t, map[string]int{"SUCCESS added": morningLeads}, r.Reasons)
	v.ends["imported/leads.csv"] = text
	v.requireNothingLeft(t)
}

// Whatever is written between the two looks keeps a file from being taken.
func TestAFileThatGrowsBetweenTwoLooksIsNotTaken(t *testing.T) {
	t.Parallel()
	for place, at := range places {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, at, eager)
			text, cut := v.morning()
			w := v.begins(t, "leads.csv", text)
			w.goesOn(t, cut)
			p := v.startTo(t, crashpoint.FilesListed, "run", "acme")
			require.True(t, p.stops(t), &p.err)
			w.ends(t)
			p.goesOn(t)
			require.Contains(t, p.err.String(), "a file is left for the next run")
			require.Empty(t, v.ask(t, `SELECT name FROM drops`))
			require.Equal(t, morningLeads, v.pull(t, exitDone).Outcomes["SUCCESS"])
			v.ends["imported/leads.csv"] = text
			v.requireNothingLeft(t)
		})
	}
}

func TestAFileIsTakenWhenItHasItsName(t *testing.T) {
	t.Parallel()
	v := newVendor(t, places["directory"], eager)
	text, cut := v.morning()
	w := v.begins(t, "leads.csv.part", text)
	require.Zero(t, v.pull(t, exitDone).Files)
	w.goesOn(t, cut)
	require.Zero(t, v.pull(t, exitDone).Files)
	w.ends(t)
	require.Zero(t, v.pull(t, exitDone).Files)
	require.NoError(t, os.Rename(w.Name(), strings.TrimSuffix(w.Name(), ".part")))
	require.Equal(t, morningLeads, v.pull(t, exitDone).Outcomes["SUCCESS"])
	v.ends["imported/leads.csv"] = text
	v.requireNothingLeft(t)
}

func TestAFileIsTakenWhenItsMarkerIsThere(t *testing.T) {
	t.Parallel()
	for place, at := range places {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, at, eager+"      marker: \"{{.Name}}.done\"\n")
			text, cut := v.morning()
			w := v.begins(t, "leads.csv", text)
			w.goesOn(t, cut)
			require.Zero(t, v.pull(t, exitDone).Files)
			w.ends(t)
			require.Zero(t, v.pull(t, exitDone).Files)
			v.begins(t, "leads.csv.done", "").ends(t)
			require.Equal(t, morningLeads, v.pull(t, exitDone).Outcomes["SUCCESS"])
			v.ends["imported/leads.csv"], v.ends["imported/leads.csv.done"] = text, ""
			v.requireTidy(t)

			// The next day's file is no more complete because this one was.
			w = v.begins(t, "leads.csv", text)
			w.goesOn(t, cut)
			require.Zero(t, v.pull(t, exitDone).Files)
		})
	}
}

// A marker that is there for several files, or always, is nobody's to take along.
func TestAMarkerOfSeveralFilesStays(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct{ template, marker string }{
		"the stem's": {"{{.Stem}}.ok", "contacts.ok"},
		"always":     {"complete", "complete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, places["directory"], eager+"      marker: \""+k.template+"\"\n")
			rows := contacts()
			v.lay(t, "contacts.csv", v.people("contacts.csv", rows[:21]))
			if k.marker == "contacts.ok" {
				v.lay(t, "contacts.txt", v.people("contacts.txt", slices.Concat(rows[:1], rows[21:41])))
			}
			v.lay(t, k.marker, nil)
			v.pull(t, exitDone)
			delete(v.ends, "imported/"+k.marker)
			v.ends[k.marker] = ""
			v.requireTidy(t)
		})
	}
}

// A writer stops for so long that its file is taken, and goes on while it is
// imported. What came is imported, the file stays, and with the rest is another
// drop.
func TestAFileThatGoesOnLaterIsTakenAgain(t *testing.T) {
	t.Parallel()
	for place, at := range places {
		for _, point := range []crashpoint.Point{crashpoint.FileFetched, crashpoint.Settled, crashpoint.Unspooled} {
			t.Run(place+" "+string(point), func(t *testing.T) {
				t.Parallel()
				v := newVendor(t, at, eager)
				v.waitsLong(t)
				text, cut := v.morning()
				w := v.begins(t, "leads.csv", text)
				w.goesOn(t, cut)
				p := v.startTo(t, point, "run", "acme", "--json")
				require.True(t, p.stops(t), &p.err)
				w.ends(t)
				p.goesOn(t)
				require.Equal(t, map[string]int{"SUCCESS added": 25, "INVALID row_fields": 1}, p.result(t).Reasons)
				there, err := os.ReadFile(w.Name())
				require.NoError(t, err, "it was put away as if it had been imported")
				require.Equal(t, text, string(there))

				again := v.pull(t, exitDone)
				require.Equal(t, map[string]int{"SUCCESS added": 15, "DUPLICATE already_loaded": 25}, again.Reasons)
				v.requireEachLeadOnce(t, morningLeads)
				v.ends["imported/leads.csv"], v.has = text, []string{"leads"}
				require.Zero(t, v.pull(t, exitDone).Files)
				v.requireTidy(t)
			})
		}
	}
}

// The line to the server breaks after each 64 kB.
func TestPullOverALineThatBreaks(t *testing.T) {
	t.Parallel()
	line := &sourcetest.Line{Cut: 64 << 10}
	v := newVendor(t, func(t *testing.T, v *vendor) string { return v.sftp(t, line.To(t, sourcetest.SSHD(t))) }, eager)
	v.waitsLong(t)
	rows := contacts()
	for i := range rows {
		rows[i] = append(rows[i], strings.Repeat("remark ", 600))
	}
	v.lay(t, "leads.csv", v.people("leads.csv", rows))
	r := v.pull(t, exitDone)
	require.Equal(t, 1, r.Files)
	require.Equal(t, map[string]int{"SUCCESS added": contactRows}, r.Reasons)
	require.Greater(t, line.Connections(), int64(16))
	v.requireEachLeadOnce(t, contactRows)
	v.requireNothingLeft(t)
}
