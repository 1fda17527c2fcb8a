package container_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"importer/internal/dropfile/container"
)

const leads = "first,phone\nRosa,3055550123\n"

// text is a flat text that came out of a file.
type text struct{ Name, Content string }

// unpack unpacks a file in memory.
func unpack(t *testing.T, name string, file []byte, o container.Options) ([]text, error) {
	t.Helper()
	o.TempDir = t.TempDir()
	var texts []text
	err := container.Unpack(bytes.NewReader(file), int64(len(file)), name, o, func(name string, r io.Reader) error {
		content, err := io.ReadAll(r)
		texts = append(texts, text{name, string(content)})
		return err
	})
	left, readErr := os.ReadDir(o.TempDir)
	require.NoError(t, readErr)
	require.Empty(t, left, "nothing is left in the temporary folder")
	return texts, err
}

// member is a file in an archive.
type member struct {
	name    string
	content []byte
}

func zipped(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.Create(m.name)
		require.NoError(t, err)
		_, err = f.Write(m.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func zstded(t testing.TB, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	defer w.Close()
	return w.EncodeAll(content, nil)
}

func bzip2ed(t *testing.T) []byte {
	t.Helper()
	file, err := os.ReadFile("testdata/leads.csv.bz2")
	require.NoError(t, err)
	return file
}

func TestWhatIsPackedIsFoundByItsContent(t *testing.T) {
	t.Parallel()
	plain := []byte(leads)
	one := []text{{"leads", leads}}
	for name, tc := range map[string]struct {
		file []byte
		want []text
	}{
		"plain":              {plain, one},
		"empty":              {nil, []text{{"leads", ""}}},
		"gzip":               {gzipped(t, plain), one},
		"gzip of nothing":    {gzipped(t, nil), []text{{"leads", ""}}},
		"gzip in two pieces": {append(gzipped(t, plain[:12]), gzipped(t, plain[12:])...), one},
		"bzip2":              {bzip2ed(t), one},
		"zstd":               {zstded(t, plain), one},
		"gzip in gzip":       {gzipped(t, gzipped(t, plain)), one},
		"zstd in gzip":       {gzipped(t, zstded(t, plain)), one},
		"zip": {
			zipped(t, member{"b/east.csv", plain}, member{"a.csv", []byte("phone\n")}),
			[]text{{"leads/b/east.csv", leads}, {"leads/a.csv", "phone\n"}},
		},
		"zip in zip": {
			zipped(t, member{"all.zip", zipped(t, member{"east.csv", plain})}),
			[]text{{"leads/all.zip/east.csv", leads}},
		},
		"gzip in zip": {zipped(t, member{"east.csv.gz", gzipped(t, plain)}), []text{{"leads/east.csv", leads}}},
		"zip in gzip": {gzipped(t, zipped(t, member{"east.csv", plain})), []text{{"leads/east.csv", leads}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts, err := unpack(t, "leads", tc.file, container.Options{})
			require.NoError(t, err)
			require.Equal(t, tc.want, texts)
		})
	}
}

func TestTextIsNeverTakenForAContainer(t *testing.T) {
	t.Parallel()
	for _, begin := range []string{
		"PK,phone\n", "BZh9,phone\n", "BZh,Name,Phone number\n", "\x85\x85\x03 Name,Phone\n", "Çlient,Phone,City,Street\n",
		"\xc1ngela,3055550123,Boston\n", "\xc3\x89mile,3055550123,Boston\n", "\xff\xfep\x00h\x00o\x00n\x00e\x00\n\x00",
		"-----BEGIN,phone\n", "(\xb5/", "\x1f\x8b",
	} {
		texts, err := unpack(t, "a.csv", []byte(begin), container.Options{})
		require.NoError(t, err)
		require.Equal(t, []text{{"a.csv", begin}}, texts)
	}
}

func TestADropIsCalledWhatTheUnpackedFileIsCalled(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{
		"leads_101.csv.gz": gzipped(t, []byte(leads)), "leads_101.csv.GZ": gzipped(t, []byte(leads)),
		"leads_101.csv.bz2": bzip2ed(t), "leads_101.csv.zst": zstded(t, []byte(leads)), "leads_101.csv": gzipped(t, []byte(leads)),
	} {
		texts, err := unpack(t, name, file, container.Options{})
		require.NoError(t, err)
		require.Equal(t, []text{{"leads_101.csv", leads}}, texts)
	}
}

func TestWhatNobodyPackedOnPurposeIsPassedOver(t *testing.T) {
	t.Parallel()
	junk := []byte("junk")
	texts, err := unpack(t, "leads.zip", zipped(t,
		member{"folder/", nil}, member{"__MACOSX/._east.csv", junk}, member{"folder/__MACOSX/x", junk},
		member{"folder/._east.csv", junk}, member{".DS_Store", junk}, member{"folder/.DS_Store", junk},
		member{".git/config", junk}, member{"~$book.xlsx", junk}, member{"Thumbs.db", junk}, member{"folder/desktop.ini", junk},
		member{"folder/east.csv", []byte(leads)}, member{"./west.csv", []byte(leads)},
	), container.Options{})
	require.NoError(t, err)
	require.Equal(t, []text{{"leads.zip/folder/east.csv", leads}, {"leads.zip/west.csv", leads}}, texts)

	_, err = unpack(t, "leads.zip", zipped(t, member{"__MACOSX/._east.csv", junk}), container.Options{})
	require.EqualError(t, err, "leads.zip: the archive holds no file: ask the vendor for one that does")
}

func TestHostileNamesAreOnlyLabels(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"../../etc/passwd":         "leads.zip/etc/passwd",
		"/etc/passwd":              "leads.zip/etc/passwd",
		`..\..\windows\east.csv`:   "leads.zip/windows/east.csv",
		"a/../../b.csv":            "leads.zip/b.csv",
		"east\x1b[31m\x00\n.csv":   "leads.zip/east[31m.csv",
		"ni\xa4os.csv":             "leads.zip/niños.csv", // as MS-DOS wrote it
		strings.Repeat("é", 300):   "leads.zip/…" + strings.Repeat("é", 200),
		"Año nuevo/Niño (1) ü.csv": "leads.zip/Año nuevo/Niño (1) ü.csv",
	} {
		texts, err := unpack(t, "leads.zip", zipped(t, member{name, []byte(leads)}), container.Options{})
		require.NoError(t, err)
		require.Equal(t, []text{{want, leads}}, texts)
	}
}

// TestAFileThatIsCutOffIsAnErrorWhereverItIsCut: a beginning that is long enough
// to tell what the file is, is never all of it.
func TestAFileThatIsCutOffIsAnErrorWhereverItIsCut(t *testing.T) {
	t.Parallel()
	long := []byte(strings.Repeat(leads, 1000))
	for name, tc := range map[string]struct {
		file []byte
		from int
	}{
		"leads.csv.gz":  {gzipped(t, long), 3},
		"leads.csv.zst": {zstded(t, long), 4},
		"leads.csv.bz2": {bzip2ed(t), 10},
		"leads.zip":     {zipped(t, member{"east.csv", long}, member{"west.csv", []byte(leads)}), 4},
		"deep.gz":       {gzipped(t, zipped(t, member{"east.csv", long})), 3},
		"deep.zip":      {zipped(t, member{"book.xlsx", excel.file(t)}), 4},
		"book.xlsx":     {excel.file(t), 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := unpack(t, name, tc.file, container.Options{})
			require.NoError(t, err)
			for cut := tc.from; cut < len(tc.file); cut += max(1, len(tc.file)/500) {
				_, err := unpack(t, name, tc.file[:cut], container.Options{})
				var bad *container.Error
				require.ErrorAs(t, err, &bad, "cut at %d of %d", cut, len(tc.file))
				require.Contains(t, bad.Why, "have it sent again")
			}
			_, err = unpack(t, name, tc.file[:len(tc.file)-1], container.Options{})
			require.Error(t, err, name)
		})
	}
}

func TestGzipMembersFollowOneAnother(t *testing.T) {
	t.Parallel()
	one := gzipped(t, []byte(leads))
	for behind, want := range map[string]string{
		"": leads, string(one): leads + leads, "\x00\x00\x00" + string(one) + "\r\n": leads + leads,
		strings.Repeat("\x00", 1000): leads, "\n": leads, "\x1a": leads,
	} {
		texts, err := unpack(t, "leads.csv.gz", append(slices.Clone(one), behind...), container.Options{})
		require.NoError(t, err)
		require.Equal(t, []text{{"leads.csv", want}}, texts)
	}
	for _, behind := range []string{"garbage", "\x00x", "\x1f", "\x1f\x8b", string(one[:10]), string(one[:len(one)-1]), "PK\x03\x04"} {
		_, err := unpack(t, "leads.csv.gz", append(slices.Clone(one), behind...), container.Options{})
		require.ErrorContains(t, err, "have it sent again", "%q", behind)
	}
}

func TestADamagedByteIsFound(t *testing.T) {
	t.Parallel()
	long := []byte(strings.Repeat(leads, 1000))
	for name, file := range map[string][]byte{
		"leads.csv.gz": gzipped(t, long), "leads.csv.zst": zstded(t, long), "leads.csv.bz2": bzip2ed(t),
		"leads.zip": zipped(t, member{"east.csv", long}),
	} {
		broken := bytes.Clone(file)
		broken[len(broken)/2] ^= 0x10
		_, err := unpack(t, name, broken, container.Options{})
		var bad *container.Error
		require.ErrorAs(t, err, &bad, name)
	}
}

func TestErrorsOfThisMachineStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	for _, file := range [][]byte{[]byte(leads), gzipped(t, []byte(leads)), zipped(t, member{"a.csv", []byte(leads)})} {
		err := container.Unpack(bytes.NewReader(file), int64(len(file)), "a", container.Options{}, func(string, io.Reader) error { return full })
		require.Equal(t, full, err)
	}
	file := gzipped(t, zipped(t, member{"a.csv", []byte(leads)}))
	err := container.Unpack(bytes.NewReader(file), int64(len(file)), "a", container.Options{TempDir: "/nowhere/at/all"}, func(string, io.Reader) error { return nil })
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAnEncryptedArchiveIsRefusedWithACure(t *testing.T) {
	t.Parallel()
	file := zipped(t, member{"east.csv", []byte(leads)})
	directory := bytes.Index(file, []byte("PK\x01\x02"))
	file[directory+8] |= 1
	_, err := unpack(t, "leads.zip", file, container.Options{})
	require.EqualError(t, err, "leads.zip/east.csv: the archive is encrypted with a password: have it sent without one, or unpack it and import what is in it")

	file = zipped(t, member{"east.csv", []byte(leads)})
	file[directory+10] = 9
	_, err = unpack(t, "leads.zip", file, container.Options{})
	require.ErrorContains(t, err, "compressed in a rare way (method 9)")
}

func TestArchivesOfEveryMakeAreRead(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	add := func(h *zip.FileHeader) {
		f, err := w.CreateHeader(h)
		require.NoError(t, err)
		_, err = f.Write([]byte(leads))
		require.NoError(t, err)
	}
	add(&zip.FileHeader{Name: "stored.csv", Method: zip.Store})
	add(&zip.FileHeader{Name: "packed.csv", Method: zip.Deflate})
	add(&zip.FileHeader{Name: "packed.csv", Method: zip.Deflate}) // the same name again
	link := &zip.FileHeader{Name: "link.csv"}
	link.SetMode(os.ModeSymlink | 0o777)
	add(link)
	// Sizes of 64 bits, without a data descriptor.
	big := &zip.FileHeader{
		Name: "zip64.csv", Method: zip.Store, CRC32: crc32.ChecksumIEEE([]byte(leads)),
		CompressedSize64: uint64(len(leads)), UncompressedSize64: uint64(len(leads)), ReaderVersion: 45,
	}
	f, err := w.CreateRaw(big)
	require.NoError(t, err)
	_, err = f.Write([]byte(leads))
	require.NoError(t, err)
	for _, name := range []string{"folder/", "empty.csv"} {
		_, err = w.Create(name)
		require.NoError(t, err)
	}
	require.NoError(t, w.SetComment("PK\x05\x06 is no end"))
	require.NoError(t, w.Close())
	texts, err := unpack(t, "a.zip", b.Bytes(), container.Options{})
	require.NoError(t, err)
	require.Equal(t, []text{
		{"a.zip/stored.csv", leads}, {"a.zip/packed.csv", leads}, {"a.zip/packed.csv (2)", leads}, {"a.zip/zip64.csv", leads}, {"a.zip/empty.csv", ""},
	}, texts)
}

func TestADocumentWithoutATableIsLeftOutBesideOthers(t *testing.T) {
	t.Parallel()
	letter := zipped(t, member{"[Content_Types].xml", []byte("<Types/>")}, member{"word/document.xml", nil})
	var said []string
	texts, err := unpack(t, "a.zip", zipped(t, member{"letter.docx", letter}, member{"east.csv", []byte(leads)}, member{"setup.exe", []byte("MZ\x00PE\x00\x00")}),
		container.Options{Say: func(s string) { said = append(said, s) }})
	require.NoError(t, err)
	require.Equal(t, []text{{"a.zip/east.csv", leads}}, texts)
	require.Equal(t, []string{
		"a.zip/letter.docx is a document without a table and was left out",
		"a.zip/setup.exe is a document without a table and was left out",
	}, said)
	_, err = unpack(t, "a.zip", zipped(t, member{"letter.docx", letter}), container.Options{})
	require.EqualError(t, err, "a.zip/letter.docx: this is a document of Word or PowerPoint: ask the vendor for a workbook (.xlsx) or CSV")
}

// TestWhatMayHoldContactsStopsAnArchive: leaving it out would lose them.
func TestWhatMayHoldContactsStopsAnArchive(t *testing.T) {
	t.Parallel()
	for _, m := range []member{
		{"old.xls", compound("Workbook")},
		{"more.rar", []byte("Rar!\x1a\x07\x00")},
		{"page.xls", []byte("<html><table><tr>")},
		{"cut.csv.gz", gzipped(t, []byte(leads))[:20]},
	} {
		_, err := unpack(t, "a.zip", zipped(t, member{"east.csv", []byte(leads)}, m), container.Options{})
		var bad *container.Error
		require.ErrorAs(t, err, &bad)
	}
}

// compound is as much of a compound file as tells what it is.
func compound(names ...string) []byte {
	file := append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 100_000)...)
	for _, name := range append([]string{"Root Entry"}, names...) {
		file = append(file, utf16LE(name)[2:]...)
		file = append(file, make([]byte, 64)...)
	}
	return file
}

func TestWhatIsKnownButNotReadIsRefusedWithACure(t *testing.T) {
	t.Parallel()
	tar := make([]byte, 1024)
	copy(tar, "east.csv")
	copy(tar[257:], "ustar")
	for want, file := range map[string][]byte{
		"protected with a password: save it without one":        compound("EncryptionInfo", "EncryptedPackage"),
		"an old Excel workbook (.xls): save it":                 compound("Workbook", "WordDocument"),
		"an old document of Word":                               compound("WordDocument"),
		"an old document of Office, perhaps":                    compound("Contents"),
		"a text with formats (RTF)":                             []byte(`{\rtf1\ansi Phone\par}`),
		"a workbook written as XML (Excel 2003 or Open":         []byte("<?xml version=\"1.0\"?>\n<office:document xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\"><table:table>"),
		"open it in Excel or LibreOffice and save it":           []byte("<?xml version=\"1.0\"?>\n<?mso-application progid=\"Excel.Sheet\"?>\n<Workbook>"),
		"a web page: see whether the download asks for a login": []byte("\ufeff\n<HTML xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><body>"),
		"open it in Excel and save it as a workbook (.xlsx)":    []byte(utf16LE("<table><tr><td>Phone</td></tr></table>")),
		"if it holds the contacts":                              []byte("MIME-Version: 1.0\nContent-Type: multipart/related; boundary=x\n"),
		"an archive of a kind that is not read":                 tar,
		"have it packed as ZIP":                                 []byte("7z\xbc\xaf\x27\x1c\x00"),
		"(7z, RAR, tar, xz, cab or compress)":                   []byte("\xfd7zXZ\x00\x00"),
		"a program for Windows":                                 append([]byte("MZ\x90\x00PE\x00\x00"), zipped(t, member{"east.csv", []byte(leads)})...),
	} {
		_, err := unpack(t, "leads.xls", file, container.Options{})
		require.ErrorContains(t, err, want)
		_, err = unpack(t, "leads.gz", gzipped(t, file), container.Options{})
		require.ErrorContains(t, err, want)
	}
	for _, file := range []string{"phone\tname\n3055550123\tRosa\n", "MZ,phone\n", "<b>Name</b>,phone\n", "mime-version: 1,phone\n"} {
		texts, err := unpack(t, "leads.xls", []byte(file), container.Options{})
		require.NoError(t, err)
		require.Equal(t, []text{{"leads.xls", file}}, texts, "text is text, whatever its name")
	}
}

func TestDocumentsThatAreNoWorkbooksAreRefusedWithACure(t *testing.T) {
	t.Parallel()
	for want, members := range map[string][]member{
		"LibreOffice":   {{"mimetype", []byte("application/vnd.oasis.opendocument.spreadsheet")}, {"content.xml", nil}},
		".xlsb":         {{"[Content_Types].xml", nil}, {"xl/workbook.bin", nil}},
		"Word":          {{"[Content_Types].xml", nil}, {"word/document.xml", nil}},
		"Apple Numbers": {{"Index/Document.iwa", nil}},
	} {
		_, err := unpack(t, "leads", zipped(t, members...), container.Options{})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "CSV")
	}
}
