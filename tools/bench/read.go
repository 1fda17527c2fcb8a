package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	megabyte = 1_000_000
	plainMB  = 200    // the file whose reading is timed
	endless  = 10_000 // MB of the file that no memory could hold
	short    = 10     // MB of the one that it is compared with

	bookRows      = 200_000
	shortBookRows = 2_000

	// moreMemory is how many MiB more a large file may take than a small one: a
	// heap is not always collected at the same moment, least of all on a busy
	// machine. One byte kept of each row of the endless file would be 59.
	moreMemory = 16
)

// read measures how a file's bytes become leads, each time in a process of its
// own.
func read(ctx context.Context, s *site, t *table) error {
	for _, part := range []func(context.Context, *table) error{s.readPlain, s.readBook, s.readEndless} {
		if err := part(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// readPlain measures a plain file, and one in which every cell must be worked
// on.
func (s *site) readPlain(ctx context.Context, t *table) error {
	plain := filepath.Join(s.dir, "plain.csv")
	rows, err := writeContacts(plain, cells, plainMB)
	if err != nil {
		return err
	}
	t.title("%d MB of plain CSV: %d rows in %d columns, on one processor", plainMB, rows, len(columns))
	standard, err := readFile(ctx, "csv", plain, rows)
	if err != nil {
		return err
	}
	parted, err := readFile(ctx, "table", plain, rows)
	if err != nil {
		return err
	}
	t.atLeast("decode, detect and part", "%.0f MB/s", parted.speed(), 100)
	t.told("  encoding/csv, told what the file is", "%.0f MB/s", standard.speed())
	cleaned, err := readFile(ctx, "leads", plain, rows)
	if err != nil {
		return err
	}
	if cleaned.Leads != rows {
		return fmt.Errorf("of %d plain rows, %d became leads", rows, cleaned.Leads)
	}
	t.atLeast("decode, map and clean", "%.0f rows/s", cleaned.rate(), 25_000)
	little := filepath.Join(s.dir, "short.csv")
	if rows, err = writeContacts(little, cells, short); err != nil {
		return err
	}
	few, err := readFile(ctx, "leads", little, rows)
	if err != nil {
		return err
	}
	flat(t, cleaned, few, fmt.Sprintf("%d MB", short))

	messy := filepath.Join(s.dir, "messy.csv")
	if rows, err = writeContacts(messy, messyCells, short); err != nil {
		return err
	}
	t.title("%d rows, each cell of which is changed, every tenth record damaged", rows)
	worst, err := readFile(ctx, "leads", messy, rows)
	if err != nil {
		return err
	}
	t.told("decode, map and clean", "%.0f rows/s", worst.rate())
	t.told("  became leads", "%.1f %%", 100*float64(worst.Leads)/float64(rows))
	return errors.Join(os.Remove(plain), os.Remove(little), os.Remove(messy))
}

// readBook measures workbooks.
func (s *site) readBook(ctx context.Context, t *table) error {
	t.title("a workbook of %d rows, unpacked and read", bookRows)
	var all [2]reading
	for i, rows := range []int{shortBookRows, bookRows} {
		file := filepath.Join(s.dir, "book.xlsx")
		err := writeBook(file, rows)
		if err != nil {
			return err
		}
		if all[i], err = readFile(ctx, "book", file, rows); err != nil {
			return err
		}
		if all[i].Leads != rows {
			return fmt.Errorf("of a workbook's %d rows, %d became leads", rows, all[i].Leads)
		}
	}
	t.told("unpack, decode, map and clean", "%.0f rows/s", all[1].rate())
	flat(t, all[1], all[0], fmt.Sprintf("%d rows", shortBookRows))
	return nil
}

// readEndless measures a file that is made while it is read.
func (s *site) readEndless(ctx context.Context, t *table) error {
	t.title("%d GB of plain CSV", endless/1000)
	little, err := readFrom(ctx, "table", contacts(cells, short))
	if err != nil {
		return err
	}
	much, err := readFrom(ctx, "table", contacts(cells, endless))
	if err != nil {
		return err
	}
	t.told("decode, detect and part", "%.0f MB/s", much.speed())
	flat(t, much, little, fmt.Sprintf("%d MB", short))
	return nil
}

// flat holds the memory that much of something takes against that of little.
func flat(t *table, much, little reading, littleIs string) {
	t.told("memory, at most", "%.1f MiB", mib(much.Memory))
	t.told("  with "+littleIs, "%.1f MiB", mib(little.Memory))
	t.atMost("more memory than with "+littleIs, "%.1f MiB", mib(much.Memory-little.Memory), moreMemory)
}

// readFile lets a process read a file, which must have so many rows.
func readFile(ctx context.Context, what, file string, rows int) (reading, error) {
	f, err := os.Open(file)
	if err != nil {
		return reading{}, err
	}
	defer f.Close()
	r, err := readFrom(ctx, what, f)
	if err == nil && r.Rows != rows {
		err = fmt.Errorf("%d rows were read of %d", r.Rows, rows)
	}
	return r, err
}

// readFrom starts this program once more, to read as reader.go has it.
func readFrom(ctx context.Context, what string, in io.Reader) (r reading, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self, what)
	// One processor; and with Go's own 100, memory shows what is kept rather
	// than the garbage that cmd/importer lets lie.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=100")
	cmd.Stdin, cmd.Stderr = in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("reading as %s: %w", what, err)
	}
	return r, json.Unmarshal(out, &r)
}

// writeContacts writes about so many megabytes of a vendor's file and returns
// how many rows it has.
func writeContacts(file string, row func(n int) []string, megabytes int) (rows int, err error) {
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	c := contacts(row, megabytes)
	if _, err := io.Copy(f, c); err != nil {
		return 0, err
	}
	return c.rows, f.Close()
}

// stream is a vendor's file of any size: a header, and the same people again
// and again.
type stream struct {
	next, people []byte
	times, rows  int
}

// contacts begins a file of about so many megabytes.
func contacts(row func(n int) []string, megabytes int) *stream {
	const different = 10_000
	var people bytes.Buffer
	w := csv.NewWriter(&people)
	for n := range different {
		_ = w.Write(row(n)) // to memory
	}
	w.Flush()
	times := max(1, megabytes*megabyte/people.Len())
	return &stream{
		next:   []byte(strings.Join(columns, ",") + "\n"),
		people: bytes.ReplaceAll(people.Bytes(), []byte(damage), []byte{'"'}),
		times:  times, rows: times * different,
	}
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.next) == 0 {
		if s.times == 0 {
			return 0, io.EOF
		}
		s.next = s.people
		s.times--
	}
	n := copy(p, s.next)
	s.next = s.next[n:]
	return n, nil
}

// damage becomes a quotation mark that nothing escapes.
const damage = "\x1a"

// messyCells are person n's row in the file of a vendor who types.
func messyCells(n int) []string {
	c := cells(n)
	l := person(n)
	street := l.Address1 + " #4"
	if n%10 == 0 {
		street = l.Address1 + " 6" + damage + " pipe"
	}
	return []string{
		"  " + strings.ToUpper(l.FirstName) + "é", "Núñez-" + l.LastName, c[2], street, "São  " + l.City, c[5],
		map[string]string{"FL": "Florida", "NY": "new york", "CA": "Calif0rnia"}[l.State], "501",
		"p:+1 (" + l.PhoneNumber[:3] + ") " + l.PhoneNumber[4:] + " x22", "tel. " + c[9] + " / 504-555-0199", l.Email + "; j+x@example.com", c[11],
	}
}
