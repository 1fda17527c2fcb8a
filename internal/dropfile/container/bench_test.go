package container_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile/container"
)

// BenchmarkWorkbook reads rows of ten cells, half of which hold texts of their
// own. The memory in use must not depend on the number of rows.
func BenchmarkWorkbook(b *testing.B) {
	for _, rows := range []int{20_000, 200_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			f := peopleBook(b, rows)
			info, err := f.Stat()
			require.NoError(b, err)
			runtime.GC()
			o := container.Options{TempDir: b.TempDir()}
			peak := uint64(0)
			for b.Loop() {
				err := container.Unpack(f, info.Size(), "book.xlsx", o, func(_ string, r io.Reader) error {
					buf := make([]byte, 64<<10)
					for {
						_, err := r.Read(buf)
						peak = max(peak, inUse())
						if errors.Is(err, io.EOF) {
							return nil
						}
						if err != nil {
							return err
						}
					}
				})
				require.NoError(b, err)
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(peak)/1e6, "peak-MB")
		})
	}
}

// inUse is what the heap holds, in bytes, what is no longer used included.
func inUse() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// peopleBook writes a workbook as Excel does, with the texts in a part of
// their own.
func peopleBook(b *testing.B, rows int) *os.File {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "book.xlsx"))
	require.NoError(b, err)
	b.Cleanup(func() { f.Close() })
	z := zip.NewWriter(f)
	part := func(name string, write func(w *bufio.Writer)) {
		w, err := z.Create(name)
		require.NoError(b, err)
		buffered := bufio.NewWriter(w)
		write(buffered)
		require.NoError(b, buffered.Flush())
	}
	for name, content := range map[string]string{
		"[Content_Types].xml": `<Types/>`,
		"xl/workbook.xml":     `<workbook><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId1" Type="x/worksheet" Target="worksheets/sheet1.xml"/>
			<Relationship Id="rId2" Type="x/sharedStrings" Target="sharedStrings.xml"/></Relationships>`,
	} {
		part(name, func(w *bufio.Writer) { fmt.Fprint(w, content) })
	}
	part("xl/sharedStrings.xml", func(w *bufio.Writer) {
		fmt.Fprint(w, `<sst><si><t>Boston</t></si><si><t>02134</t></si>`)
		for i := range rows {
			fmt.Fprintf(w, `<si><t>Rosa %d</t></si><si><t>Winterbourne %d</t></si><si><t>%d Example Street</t></si><si><t>rosa%d@example.com</t></si>`, i, i, i, i)
		}
		fmt.Fprint(w, `</sst>`)
	})
	part("xl/worksheets/sheet1.xml", func(w *bufio.Writer) {
		fmt.Fprint(w, `<worksheet><sheetData>`)
		for i := range rows {
			fmt.Fprintf(w, `<row r="%d" spans="1:10">`, i+1)
			for c := range 4 {
				fmt.Fprintf(w, `<c r="%c%d" t="s"><v>%d</v></c>`, 'A'+c, i+1, 2+4*i+c)
			}
			fmt.Fprintf(w, `<c r="E%[1]d" t="s"><v>0</v></c><c r="F%[1]d" t="s"><v>1</v></c><c r="G%[1]d"><v>%[2]d</v></c><c r="H%[1]d"><v>29000.5</v></c><c r="I%[1]d" t="b"><v>1</v></c><c r="J%[1]d"><v>1</v></c></row>`, i+1, 3055550100+i%100)
		}
		fmt.Fprint(w, `</sheetData></worksheet>`)
	})
	require.NoError(b, z.Close())
	return f
}

// BenchmarkGzip reads texts of 10 MB and of 1 GB. The memory in use must not
// depend on the size.
func BenchmarkGzip(b *testing.B) {
	block := gzipped(b, bytes.Repeat([]byte("Rosa,Winterbourne,3055550123,02134\n"), 300_000))
	for _, blocks := range []int{1, 100} {
		b.Run(fmt.Sprintf("MB=%d", blocks*10), func(b *testing.B) {
			file := bytes.Repeat(block, blocks)
			runtime.GC()
			peak, size := uint64(0), int64(0)
			for b.Loop() {
				size = 0
				err := container.Unpack(bytes.NewReader(file), int64(len(file)), "leads.csv.gz", container.Options{}, func(_ string, r io.Reader) error {
					buf := make([]byte, 64<<10)
					for {
						n, err := r.Read(buf)
						size += int64(n)
						if size%(16<<20) < int64(n) {
							peak = max(peak, inUse())
						}
						if errors.Is(err, io.EOF) {
							return nil
						}
						if err != nil {
							return err
						}
					}
				})
				require.NoError(b, err)
			}
			b.SetBytes(size)
			b.ReportMetric((float64(peak)-float64(len(file)))/1e6, "peak-MB")
		})
	}
}
