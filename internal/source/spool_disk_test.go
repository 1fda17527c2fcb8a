package source_test

import (
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"importer/internal/source"
)

// Fault 44.
func TestADiskThatFillsKeepsNothingOfADrop(t *testing.T) {
	t.Parallel()
	dir, small := smallDisk(t)
	s := source.Spool{Dir: filepath.Join(dir, "spool")}
	enter(t, s, nil)
	kept, err := put(t.Context(), s, "kept.csv", strings.NewReader(random(100_000)))
	require.NoError(t, err)

	ballast := filepath.Join(dir, "ballast")
	fill := readerFunc(func([]byte) (int, error) {
		if !small {
			return 0, syscall.ENOSPC
		}
		f, err := os.Create(ballast)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
			return 0, err
		}
		return 0, io.EOF
	})
	// It is measured with the first piece, and full with the second.
	_, err = put(t.Context(), s, "a.csv", io.MultiReader(strings.NewReader("x"), fill, strings.NewReader(random(100_000))))
	require.ErrorIs(t, err, source.ErrNoRoom)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "no room in the spool "+s.Dir+" for a copy of a.csv: its disk is full: make room and start again")
	require.Equal(t, []string{filepath.Base(kept.Path)}, names(t, s))

	require.NoError(t, os.RemoveAll(ballast))
	_, err = put(t.Context(), s, "a.csv", strings.NewReader(random(100_000)))
	require.NoError(t, err)
	require.Len(t, names(t, s), 2)
}

// Fault 44.
func TestADiskWithTooLittleRoomIsNotFilled(t *testing.T) {
	t.Parallel()
	dir, small := smallDisk(t)
	s := source.Spool{Dir: filepath.Join(dir, "spool"), KeepFree: 300_000}
	if !small {
		s.KeepFree = math.MaxInt64 // no disk has that
	}
	enter(t, s, nil)
	room, err := s.Room()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "a.csv")
	for _, size := range []int64{room + 1, room + 400_000} {
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.NoError(t, os.Truncate(file, size))
		_, err = putFile(t.Context(), s, file)
		require.ErrorIs(t, err, source.ErrNoRoom)
		_, err = put(t.Context(), s, "a.csv", io.LimitReader(iotest.HalfReader(zeros{}), size))
		require.ErrorIs(t, err, source.ErrNoRoom)
		require.NotErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, " bytes of its disk are to stay free: make room, or lower spool.keep_free")
		require.Empty(t, names(t, s))
	}
}

// smallDisk mounts a disk of one megabyte. Where the system lets nobody but root
// do so, and for others, the test must have the disk's errors from elsewhere.
func smallDisk(t *testing.T) (dir string, small bool) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Logf("no disk can be mounted (%s): its errors are made up", strings.TrimSpace(string(out)))
		return dir, false
	}
	t.Cleanup(func() {
		// Lazily: a process that another test starts right now may have it open.
		out, err := exec.Command("umount", "-l", dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	return dir, true
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
