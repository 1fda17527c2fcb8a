package container_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile/container"
)

const fuzzLimit = 1 << 20

// FuzzUnpack: whatever a file is, it is unpacked within the limit or refused
// with a sentence.
func FuzzUnpack(f *testing.F) {
	plain := []byte(leads)
	f.Add(plain)
	f.Add(gzipped(f, plain))
	f.Add(append(gzipped(f, plain), gzipped(f, plain)...))
	f.Add(gzipped(f, gzipped(f, plain)))
	f.Add(zstded(f, plain))
	f.Add(zipped(f, member{"east.csv", plain}, member{"__MACOSX/._east.csv", plain}, member{"../west.csv.gz", gzipped(f, plain)}))
	f.Add(zipped(f, member{"a.zip", zipped(f, member{"a.zip", zipped(f, member{"east.csv", plain})})}))
	f.Add(handmade(f, "", `<row r="1"><c r="B1" t="s"><v>0</v></c></row>`, "<si><t>a</t></si>"))
	bz, err := os.ReadFile("testdata/leads.csv.bz2")
	require.NoError(f, err)
	f.Add(bz)
	f.Add([]byte("-----BEGIN PGP MESSAGE-----\n\nwcBMA0\n-----END PGP MESSAGE-----\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		n, err := discard(t, "file", file, container.Options{MaxBytes: fuzzLimit, MaxMembers: 100})
		require.LessOrEqual(t, n, max(fuzzLimit, int64(len(file))))
		requireASentence(t, err)
	})
}

// FuzzWorkbook: whatever stands in a workbook, each sheet is CSV behind its
// mark, with a record for a row, or it is refused with a sentence.
func FuzzWorkbook(f *testing.F) {
	f.Add("0.00E+00", `<row r="3"><c r="B3" s="1"><v>2.17623E+09</v></c></row>`, "")
	f.Add("m/d/yyyy h:mm", `<row><c s="1"><v>45000.5</v></c><c t="b"><v>1</v></c><c t="e"><v>#REF!</v></c></row>`, "")
	f.Add(`[<=9999999]###-####;(###) ###-####`, `<row><c s="1"><v>2176230034</v></c><c s="1"><v>-5550123</v></c></row>`, "")
	f.Add(`_($* #,##0.00_);_($* (#,##0.00);_($* "-"??_);_(@_)`, `<row><c s="1"><v>-1234.5</v></c></row><row r="9"/>`, "")
	f.Add("0.0%", `<row><c t="s"><v>1</v></c><c t="inlineStr"><is><r><t>x</t></r></is></c></row>`, "<si><t>a</t></si><si><t>_x000D_&#10;\"</t><rPh><t>r</t></rPh></si>")
	f.Fuzz(func(t *testing.T, format, rows, texts string) {
		file := handmade(t, format, rows, texts)
		most := int64(fuzzLimit)
		err := container.Unpack(bytes.NewReader(file), int64(len(file)), "book.xlsx", container.Options{MaxBytes: most, TempDir: t.TempDir()}, func(_ string, r io.Reader) error {
			content, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			if len(content) == 0 {
				return nil
			}
			content, marked := bytes.CutPrefix(content, []byte(container.SheetMark))
			require.True(t, marked)
			c := csv.NewReader(bytes.NewReader(content))
			c.FieldsPerRecord = -1
			for rows := 0; ; rows++ {
				_, err := c.Read()
				if errors.Is(err, io.EOF) {
					require.LessOrEqual(t, rows, 1<<20)
					return nil
				}
				require.NoError(t, err)
			}
		})
		requireASentence(t, err)
	})
}

// requireASentence accepts what a person is told of a bad file.
func requireASentence(t *testing.T, err error) {
	t.Helper()
	var bad *container.Error
	if err != nil {
		require.ErrorAs(t, err, &bad)
	}
}
