package dropfile_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"importer/internal/dropfile"
)

// TestWhatIsWrittenIsReadBack writes contacts with any text in them in any
// dialect.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	free := rapid.StringOf(rapid.OneOf(rapid.RuneFrom([]rune("abcXYZ äéñ019 .-")), rapid.RuneFrom([]rune(`,;|'"#:\`+"\n"))))
	rapid.Check(t, func(t *rapid.T) {
		s := style{
			delimiter: rapid.SampledFrom([]string{",", ";", "\t", "|", "^", "||"}).Draw(t, "delimiter"),
			quote:     `"`, escape: `"`,
			end: rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end"),
			all: rapid.Bool().Draw(t, "all"),
		}
		rows := contacts()[:rapid.IntRange(4, 40).Draw(t, "rows")]
		for i := range rows[1:] {
			rows[i+1] = slices.Clone(rows[i+1])
			// A blank in front of a cell is what ", " between cells looks like, and
			// apostrophes around one are what other quotes look like.
			rows[i+1][9] = strings.TrimLeft(free.Draw(t, "notes"), " '")
		}
		table, err := dropfile.OpenTable(strings.NewReader(s.file(rows)), dropfile.Options{})
		require.NoError(t, err)
		got := [][]string{table.Header()}
		for {
			r, err := table.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			require.Nil(t, r.Refusal)
			got = append(got, r.Cells)
		}
		require.Equal(t, rows, got)
	})
}

// TestTheTableAsReadIsReadAlike reads the corpus, writes it as CSV and reads
// that.
func TestTheTableAsReadIsReadAlike(t *testing.T) {
	t.Parallel()
	for _, path := range corpus(t) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			file, err := os.ReadFile(path)
			require.NoError(t, err)
			table, err := dropfile.OpenTable(bytes.NewReader(file), dropfile.Options{})
			require.NoError(t, err)
			var out bytes.Buffer
			require.NoError(t, dropfile.WriteCSV(&out, table))
			parsed := csv.NewReader(bytes.NewReader(out.Bytes()))
			parsed.FieldsPerRecord = -1
			rows, err := parsed.ReadAll()
			require.NoError(t, err)
			again := readTable(t, out.String(), dropfile.Options{Delimiter: ","})
			if again.header != nil {
				require.Equal(t, rows, append([][]string{again.header}, again.rows...))
			} else {
				require.Equal(t, rows, again.rows)
			}
		})
	}
}

// accounted checks that each line of a text is header, record or outside of the
// table, and that reading it in small pieces makes no difference.
func accounted(t testing.TB, file []byte, o dropfile.Options) {
	t.Helper()
	table, err := dropfile.OpenTable(bytes.NewReader(file), o)
	if err != nil {
		return
	}
	lines, last, records := 0, 0, 0
	var cells [][]string
	for {
		r, err := table.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				var long *dropfile.RecordError
				require.ErrorAs(t, err, &long)
				return
			}
			break
		}
		records++
		require.Equal(t, records, r.Number)
		require.GreaterOrEqual(t, r.Line, last)
		last = r.Line
		require.NotEmpty(t, r.Cells)
		if r.Refusal == nil {
			require.Len(t, r.Cells, table.Fields())
		}
		cells = append(cells, r.Cells)
		lines++
		for _, c := range r.Changes {
			more := 0
			if n, _ := fmt.Sscanf(c.Why, "it stood on %d lines", &more); n == 1 {
				lines += more - 1
			}
		}
	}
	e := table.Explain()
	require.Equal(t, records, e.Records)
	if o.Quote == "none" && bytes.IndexByte(file, '\r') < 0 {
		text := strings.TrimPrefix(string(file), "\xef\xbb\xbf")
		want := strings.Count(text, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			want++
		}
		require.Equal(t, want, lines+len(e.HeaderLines)+e.Outside.Count, "each line is header, record or outside of the table")
	}
	again, err := dropfile.OpenTable(iotest.HalfReader(bytes.NewReader(file)), o)
	require.NoError(t, err)
	for _, want := range cells {
		r, err := again.Next()
		require.NoError(t, err)
		require.Equal(t, want, r.Cells)
	}
}

func TestNoLineIsLost(t *testing.T) {
	t.Parallel()
	for _, path := range corpus(t) {
		file, err := os.ReadFile(path)
		require.NoError(t, err)
		if !bytes.HasPrefix(file, []byte("\xff\xfe")) && !bytes.HasPrefix(file, []byte("\xfe\xff")) && bytes.IndexByte(file, 0) < 0 {
			accounted(t, file, dropfile.Options{Quote: "none"})
		}
		accounted(t, file, dropfile.Options{})
	}
}

// FuzzTable looks for files that crash the reader, hang it or lose lines.
func FuzzTable(f *testing.F) {
	for _, path := range corpus(f) {
		file, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(file, false)
	}
	f.Add([]byte("a,b\n1,2\r3,4\n\"x,y\n\"\"\"\n"), true)
	f.Fuzz(func(t *testing.T, file []byte, quotes bool) {
		if len(file) > 64<<10 {
			return
		}
		o := dropfile.Options{Encoding: "utf-8", Quote: "none"}
		if quotes {
			o = dropfile.Options{}
		}
		accounted(t, file, o)
	})
}

// FuzzDialect looks for tables whose dialect is not found.
func FuzzDialect(f *testing.F) {
	f.Add("Call after 5 pm", "12 Main St, Apt 4", uint8(0))
	f.Add("a;b|c", "O'Brien \"Bob\"", uint8(7))
	f.Add("x,y", ";;;", uint8(11))
	f.Fuzz(func(t *testing.T, note, street string, how uint8) {
		if len(note)+len(street) > 200 {
			return
		}
		for _, s := range []string{note, street} {
			if strings.ToValidUTF8(strings.Map(func(r rune) rune {
				if r < ' ' && r != '\n' || r == 0x7f || r == '\uFFFD' {
					return -1
				}
				return r
			}, s), "") != s || strings.TrimSpace(s) != s || strings.HasPrefix(s, "'") {
				return
			}
		}
		s := style{delimiter: []string{",", ";", "\t", "|"}[how%4], quote: `"`, escape: `"`, end: "\n", all: how&4 > 0}
		rows := contacts()[:20]
		for i := 1; i < len(rows); i += 2 {
			rows[i][2], rows[i][9] = street, note
		}
		got := readTable(t, s.file(rows), dropfile.Options{})
		require.Equal(t, rows[0], got.header)
		require.Equal(t, rows[1:], got.rows)
	})
}

// contactsForever is an endless file of contacts, of which so many bytes are
// read.
type contactsForever struct {
	left    int
	pending []byte
	n       int
}

func (c *contactsForever) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.EOF
	}
	if len(c.pending) == 0 {
		var b bytes.Buffer
		for range 200 {
			if c.n == 0 {
				b.WriteString("First Name,Last Name,Phone,Notes\n")
			}
			c.n++
			fmt.Fprintf(&b, "Ada%d,Ashgrove,305-555-%04d,\"calls, often\"\n", c.n, c.n%10000)
			if c.n%1000 == 0 {
				b.WriteString("Bo,Barlowe,305-555-0100,\"never closed\n\n")
			}
		}
		c.pending = b.Bytes()
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	c.left -= n
	return n, nil
}

func TestAHugeFileTakesTheMemoryOfASmallOne(t *testing.T) {
	most := func(bytes int) uint64 {
		table, err := dropfile.OpenTable(&contactsForever{left: bytes}, dropfile.Options{})
		require.NoError(t, err)
		var peak uint64
		var m runtime.MemStats
		for i := 0; ; i++ {
			_, err := table.Next()
			if errors.Is(err, io.EOF) {
				return peak
			}
			require.NoError(t, err)
			if i%20_000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
	}
	small, huge := most(2<<20), most(40<<20)
	require.Less(t, huge, small+4<<20)
}

func TestTooManyColumnsAreAnError(t *testing.T) {
	t.Parallel()
	row := strings.Repeat("a,", 300) + "b\n"
	_, err := dropfile.OpenTable(strings.NewReader(row+row+row), dropfile.Options{MaxColumns: 300})
	require.ErrorContains(t, err, "a table of 301 columns: at most 300 are read")
}
