package dropfile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
)

// repeated is a text behind which another comes again and again; read counts
// what was taken of it.
type repeated struct {
	text, again string
	read        int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.text == "" {
		r.text = r.again
	}
	n := copy(p, r.text)
	r.text = r.text[n:]
	r.read += n
	return n, nil
}

// A table is judged by 600 records, unless they are so long that they would
// fill the memory.
func TestLongRecordsAreNotReadFarAhead(t *testing.T) {
	t.Parallel()
	const most = 20 << 20
	long := strings.Repeat("x", 1_000_000)
	for name, file := range map[string]*repeated{
		"text":       {text: "Name,Phone,Note\n", again: "Ann Ashgrove,305-555-0101," + long + "\n"},
		"delimiters": {text: "Name,Phone,Note\n", again: strings.Repeat(",", 1_000_000) + "\n"},
		"a sheet":    {text: container.SheetMark + "\"Name\",\"Phone\",\"Note\"\n", again: "\"Ann Ashgrove\",\"305-555-0101\",\"" + long + "\"\n"},
	} {
		_, err := dropfile.OpenTable(file, dropfile.Options{Region: "US"})
		require.NoError(t, err, name)
		require.Less(t, file.read, most, name)
	}
}
