package container_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/stretchr/testify/require"

	"importer/internal/dropfile/container"
)

// discard unpacks a file and keeps nothing.
func discard(t testing.TB, name string, file []byte, o container.Options) (int64, error) {
	t.Helper()
	o.TempDir = t.TempDir()
	var total int64
	err := container.Unpack(bytes.NewReader(file), int64(len(file)), name, o, func(_ string, r io.Reader) error {
		n, err := io.Copy(io.Discard, r)
		total += n
		return err
	})
	return total, err
}

const mebibyte = 1 << 20

func TestWhatComesOutOfAFileIsLimited(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 80*mebibyte)
	bomb := gzipped(t, zeros)
	_, err := discard(t, "leads.csv.gz", gzipped(t, bomb), container.Options{})
	require.EqualError(t, err, "leads.csv: what comes out of it is more than 1000 times its size: if that is right, unpack it and import what is in it")

	_, err = discard(t, "leads.csv.gz", bomb, container.Options{MaxBytes: 10 * mebibyte})
	require.EqualError(t, err, "leads.csv: more than 10485760 bytes come out of it: if that is right, unpack it and import what is in it")

	n, err := discard(t, "leads.csv.gz", gzipped(t, zeros[:60*mebibyte]), container.Options{})
	require.NoError(t, err, "a small file may grow as it likes")
	require.EqualValues(t, 60*mebibyte, n)
}

// overlapping makes an archive whose members are all the same bytes.
func overlapping(t *testing.T, size, members int) []byte {
	t.Helper()
	content := make([]byte, size)
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	require.NoError(t, err)
	_, err = w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range members {
		f, err := z.CreateRaw(&zip.FileHeader{
			Name: fmt.Sprintf("%05d.csv", i), Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(content),
			CompressedSize64: uint64(packed.Len()), UncompressedSize64: uint64(size),
		})
		require.NoError(t, err)
		if i == 0 {
			_, err = f.Write(packed.Bytes())
			require.NoError(t, err)
		}
	}
	require.NoError(t, z.Close())
	file := b.Bytes()
	// All of the directory's entries point to the first member.
	for at := bytes.Index(file, []byte("PK\x01\x02")); at >= 0; {
		copy(file[at+42:], []byte{0, 0, 0, 0})
		next := bytes.Index(file[at+4:], []byte("PK\x01\x02"))
		if next < 0 {
			break
		}
		at += 4 + next
	}
	return file
}

func TestAnArchiveWhoseMembersShareTheirBytesIsLimited(t *testing.T) {
	t.Parallel()
	file := overlapping(t, 8*mebibyte, 500)
	_, err := discard(t, "leads.zip", file, container.Options{})
	require.ErrorContains(t, err, "what comes out of it is more than 1000 times its size")
}

func TestTheNumberOfMembersIsLimited(t *testing.T) {
	t.Parallel()
	file := overlapping(t, 1, 30)
	_, err := discard(t, "leads.zip", file, container.Options{MaxMembers: 29})
	require.EqualError(t, err, "leads.zip: the archive has more than 29 files: unpack it and import those that hold contacts")
	_, err = discard(t, "leads.zip", file, container.Options{MaxMembers: 30})
	require.NoError(t, err)
}

func TestContainersWithinContainersAreLimited(t *testing.T) {
	t.Parallel()
	file := []byte(leads)
	for range 3 {
		file = zipped(t, member{"a.zip", file})
	}
	_, err := discard(t, "leads.zip", file, container.Options{})
	require.NoError(t, err)
	_, err = discard(t, "leads.zip", zipped(t, member{"a.zip", file}), container.Options{})
	require.EqualError(t, err, "leads.zip/a.zip/a.zip/a.zip: more than 3 containers are packed into one another: unpack it and import what is in it")
}

func TestALongCellDoesNotFillTheMemory(t *testing.T) {
	t.Parallel()
	cell := bytes.Repeat([]byte("x"), 3*mebibyte)
	for _, xml := range []string{
		`<row><c t="inlineStr"><is><t>%s</t></is></c></row>`, `<row><c t="%s"/></row>`, `<%s/>`, `<row><c><v>%s</v></c></row>`,
	} {
		_, err := discard(t, "book.xlsx", handmade(t, "", fmt.Sprintf(xml, cell), ""), container.Options{})
		require.ErrorContains(t, err, "a cell is longer than 1048576 bytes")
	}
	_, err := discard(t, "book.xlsx", handmade(t, "", `<row><c t="s"><v>0</v></c></row>`, fmt.Sprintf("<si><t>%s</t></si>", cell)), container.Options{})
	require.ErrorContains(t, err, "a cell is longer than 1048576 bytes")
}

func TestCellsThatAllReferToOneLongTextAreLimited(t *testing.T) {
	t.Parallel()
	text := fmt.Sprintf("<si><t>%s</t></si>", bytes.Repeat([]byte("x"), 32_000))
	rows := bytes.Repeat([]byte(`<row><c t="s"><v>0</v></c></row>`), 3000)
	_, err := discard(t, "book.xlsx", handmade(t, "", string(rows), text), container.Options{})
	require.ErrorContains(t, err, "what comes out of it is more than 1000 times its size")
}

func TestADirectoryDoesNotFillTheMemory(t *testing.T) {
	t.Parallel()
	const entries = 200_000
	entry := make([]byte, 46)
	copy(entry, "PK\x01\x02")
	file := append([]byte("PK\x03\x04"), bytes.Repeat(entry, entries)...)
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[10:], entries%65536)
	binary.LittleEndian.PutUint32(end[12:], entries*46)
	binary.LittleEndian.PutUint32(end[16:], 4)
	_, err := discard(t, "leads.zip", append(file, end...), container.Options{})
	require.EqualError(t, err, "leads.zip: the archive has more than 10000 files: unpack it and import those that hold contacts")
}

func TestALongRowDoesNotFillTheMemory(t *testing.T) {
	t.Parallel()
	text := fmt.Sprintf("<si><t>%s</t></si>", bytes.Repeat([]byte("x"), 32_000))
	row := "<row>" + strings.Repeat(`<c t="s"><v>0</v></c>`, 40) + "</row>"
	_, err := discard(t, "book.xlsx", handmade(t, "", row, text), container.Options{})
	require.EqualError(t, err, "book.xlsx/Sheet1: the file is damaged (its row 1 is longer than 1048576 bytes): have it sent again")
}

func TestManyFormatsDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	var styles strings.Builder
	styles.WriteString("<styleSheet><numFmts>")
	for i := range 8_000 {
		fmt.Fprintf(&styles, `<numFmt numFmtId="%d" formatCode="00000%s"/>`, 1000+i, strings.Repeat("0", i%2*5000))
	}
	styles.WriteString("</numFmts><cellXfs>" + strings.Repeat(`<xf numFmtId="1000"/>`, 100_000) + "</cellXfs></styleSheet>")
	texts, err := unpack(t, "book.xlsx", excel.with(parts{
		"xl/styles.xml":            styles.String(),
		"xl/worksheets/sheet1.xml": `<worksheet><sheetData><row><c s="0"><v>501</v></c></row></sheetData></worksheet>`,
	}).file(t), container.Options{})
	require.NoError(t, err)
	require.Equal(t, []text{{"book.xlsx/Leads", container.SheetMark + "\"00501\"\n"}}, texts)
}
