package source_test

import (
	"path/filepath"
	"testing"
	"time"

	"importer/internal/importer"
	"importer/internal/source"

	"github.com/stretchr/testify/require"
)

// newFeed takes all of a place's files as they are.
func newFeed(t testing.TB, at source.Place) *source.Feed {
	t.Helper()
	s := source.Spool{Dir: filepath.Join(t.TempDir(), "spool")}
	leave, err := s.Enter(nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, leave()) })
	return &source.Feed{
		At: at, Name: "the place", Choice: source.Choice{Pattern: "*"}, Spool: s, Unpack: whole, After: source.Leave,
		Incoming: func(d source.Spooled) importer.Incoming {
			return importer.Incoming{Drop: importer.Drop{Name: d.Name, SHA256: d.SHA256, Bytes: d.Bytes}}
		},
		Now: time.Now,
	}
}

func nothingTaken([]importer.File) (map[importer.File]time.Time, error) { return nil, nil }
