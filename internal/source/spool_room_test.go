package source_test

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"importer/internal/source"
)

func TestASpoolHoldsNoMoreThanItsQuota(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	s.Quota = 1000
	file := filepath.Join(t.TempDir(), "a.csv")
	kept, err := put(t.Context(), s, "kept.csv", strings.NewReader(strings.Repeat("k", 300)))
	require.NoError(t, err)
	requireRoom(t, s, 700)

	unread := func(io.ReaderAt, int64, string, func(string, io.Reader) error) ([]int, error) {
		return nil, errors.New("it was read")
	}
	long := strings.Repeat("x", 400) + "\n" + strings.Repeat("y", 299) // with its lines: 1399
	for what, refused := range map[string]func() error{
		"a file of known size": func() error {
			require.NoError(t, os.WriteFile(file, make([]byte, 701), 0o600))
			_, err := s.PutFile(t.Context(), file, unread)
			return err
		},
		"a stream": func() error {
			_, err := s.Put(t.Context(), "a.csv", iotest.HalfReader(strings.NewReader(strings.Repeat("x", 701))), unread)
			return err
		},
		"a stream that fits once, but not twice": func() error {
			_, err := put(t.Context(), s, "a.csv", strings.NewReader(strings.Repeat("x", 351)))
			return err
		},
		"an archive that unpacks to more": func() error {
			require.NoError(t, os.WriteFile(file, []byte(long), 0o600))
			_, err := s.PutFile(t.Context(), file, func(file io.ReaderAt, size int64, name string, put func(string, io.Reader) error) ([]int, error) {
				_, err := lines(file, size, name, put)
				return nil, errors.Join(err, put("the rest", strings.NewReader("zz")))
			})
			return err
		},
	} {
		err := refused()
		require.ErrorIs(t, err, source.ErrNoRoom, what)
		require.ErrorContains(t, err, "no room in the spool "+s.Dir+" for a copy of ", what)
		require.ErrorContains(t, err, "it may hold 1000 bytes: make room, or raise spool.quota", what)
		require.Equal(t, []string{filepath.Base(kept.Path)}, names(t, s), what)
	}
	requireRoom(t, s, 700)

	require.NoError(t, os.WriteFile(file, make([]byte, 700), 0o600))
	_, err = putFile(t.Context(), s, file)
	require.NoError(t, err, "what fits is kept")
	_, err = put(t.Context(), s, "empty.csv", strings.NewReader(""))
	require.NoError(t, err)
	require.NoError(t, s.Remove(kept.SHA256))
	requireRoom(t, s, 300)
	s.Quota = 1
	requireRoom(t, s, 0)
}

func requireRoom(t *testing.T, s source.Spool, want int64) {
	t.Helper()
	room, err := s.Room()
	require.NoError(t, err)
	require.Equal(t, want, room)
}

func TestASpoolLeavesSomeOfItsDiskFree(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	room, err := s.Room()
	require.NoError(t, err)
	require.Positive(t, room)
	s.KeepFree = math.MaxInt64
	requireRoom(t, s, 0)
	_, err = put(t.Context(), s, "a.csv", strings.NewReader("x"))
	require.ErrorIs(t, err, source.ErrNoRoom)
	require.ErrorContains(t, err, "no room in the spool "+s.Dir+" for a copy of a.csv: 9223372036854775807 bytes of its disk are to stay free: make room, or lower spool.keep_free")
	require.Empty(t, names(t, s))
}

// What others take meanwhile is found out while a long stream is written.
func TestRoomIsMeasuredAgain(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	s.Quota = 1 << 40
	var came int64
	endless := readerFunc(func(p []byte) (int, error) {
		if came == 0 {
			other, err := os.Create(filepath.Join(s.Dir, ".unfinished-another"))
			if err := errors.Join(err, other.Truncate(1<<40-1)); err != nil {
				return 0, err
			}
			other.Close()
		}
		came += int64(len(p))
		if came > 200<<20 {
			return 0, io.ErrUnexpectedEOF
		}
		return len(p), nil
	})
	// The first piece is measured before the other file is there.
	_, err := put(t.Context(), s, "a.csv", io.MultiReader(strings.NewReader("x"), endless))
	require.ErrorIs(t, err, source.ErrNoRoom)
	require.Equal(t, []string{".unfinished-another"}, names(t, s))
}

func TestAFullDiskIsSaid(t *testing.T) {
	t.Parallel()
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		s := newSpool(t)
		full = &fs.PathError{Op: "write", Path: "x", Err: full}
		_, err := put(t.Context(), s, "a.csv", iotest.ErrReader(full))
		require.ErrorIs(t, err, source.ErrNoRoom)
		require.ErrorContains(t, err, "no room in the spool "+s.Dir+" for a copy of a.csv: its disk is full: make room and start again")
		_, err = s.Put(t.Context(), "a.zip", strings.NewReader("x"), func(io.ReaderAt, int64, string, func(string, io.Reader) error) ([]int, error) {
			return nil, full // a part of it that is put aside
		})
		require.ErrorIs(t, err, source.ErrNoRoom)
		require.Empty(t, names(t, s))
	}
}

// SFTP's files are read quickly by their own WriteTo alone.
func TestPutLetsAReaderWriteItself(t *testing.T) {
	t.Parallel()
	s := newSpool(t)
	d, err := put(t.Context(), s, "a.csv", writesItself{Reader: iotest.ErrReader(errors.New("it was read"))})
	require.NoError(t, err)
	require.EqualValues(t, len("by itself"), d.Bytes)
}

type writesItself struct{ io.Reader }

func (writesItself) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, "by itself")
	return int64(n), err
}
