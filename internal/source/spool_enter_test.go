package source_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/source"
)

type needed = func(sha [32]byte) (bool, error)

// enter enters until leave is called, or to the end of the test.
func enter(t *testing.T, s source.Spool, n needed) (leave func()) {
	t.Helper()
	end, err := s.Enter(n)
	require.NoError(t, err)
	leave = sync.OnceFunc(func() { require.NoError(t, end()) })
	t.Cleanup(leave)
	return leave
}

// litter lays into a spool what processes may have left, and a drop each that
// is needed and is not.
func litter(t *testing.T, s source.Spool) (all []string, asks needed) {
	t.Helper()
	require.NoError(t, os.MkdirAll(s.Dir, 0o700))
	wanted, done := sha256.Sum256([]byte("wanted")), sha256.Sum256([]byte("done"))
	all = []string{hex.EncodeToString(wanted[:]), "notes.txt", "abcd", ".unfinished-1", ".unpacking-2", hex.EncodeToString(done[:])}
	for _, name := range all {
		require.NoError(t, os.WriteFile(filepath.Join(s.Dir, name), nil, 0o600))
	}
	return all, func(sha [32]byte) (bool, error) {
		if sha != wanted && sha != done {
			return true, fmt.Errorf("%x is no copy of a drop", sha)
		}
		return sha == wanted, nil
	}
}

func TestWhoEntersAloneClearsWhatTheDeadLeft(t *testing.T) {
	t.Parallel()
	s := source.Spool{Dir: filepath.Join(t.TempDir(), "spool")}
	all, asks := litter(t, s)
	leave := enter(t, s, nil)
	require.ElementsMatch(t, []string{all[0], all[1], all[2], all[5]}, names(t, s), "without the ledger's word no drop goes")
	leave()
	enter(t, s, asks)
	require.ElementsMatch(t, all[:3], names(t, s))
}

func TestWhoEntersBesideOthersClearsNothing(t *testing.T) {
	t.Parallel()
	s := source.Spool{Dir: filepath.Join(t.TempDir(), "spool")}
	leave := enter(t, s, nil)
	all, asks := litter(t, s)
	second := enter(t, s, asks)
	require.ElementsMatch(t, all, names(t, s))
	leave()
	third := enter(t, s, asks)
	require.ElementsMatch(t, all, names(t, s), "the second is still there")
	second()
	third()
	enter(t, s, asks)
	require.ElementsMatch(t, all[:3], names(t, s))
}

func TestALedgerThatDoesNotAnswerKeepsTheDrops(t *testing.T) {
	t.Parallel()
	s := source.Spool{Dir: filepath.Join(t.TempDir(), "spool")}
	all, asks := litter(t, s)
	away := errors.New("the ledger is away")
	_, err := s.Enter(func([32]byte) (bool, error) { return false, away })
	require.ErrorIs(t, err, away)
	require.Subset(t, names(t, s), []string{all[0], all[5]})
	enter(t, s, asks)
	require.ElementsMatch(t, all[:3], names(t, s), "nobody is left in the spool")
}

func TestWhoEntersWaitsForWhoClears(t *testing.T) {
	t.Parallel()
	s := source.Spool{Dir: filepath.Join(t.TempDir(), "spool")}
	all, asks := litter(t, s)
	var second sync.WaitGroup
	var left []string
	came := false
	enter(t, s, func(sha [32]byte) (bool, error) {
		if !came {
			came = true
			began := make(chan struct{})
			second.Go(func() {
				close(began)
				enter(t, s, asks)
				left = names(t, s)
			})
			<-began
		}
		return asks(sha)
	})
	second.Wait()
	require.ElementsMatch(t, all[:3], left)
}

// Nobody's drop is cleared by those who come when it is put: to each of them
// no drop is needed.
func TestWhatALivingProcessPutsStays(t *testing.T) {
	t.Parallel()
	s := source.Spool{Dir: filepath.Join(t.TempDir(), "spool")}
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for n := range 20 {
				errs[i] = errors.Join(errs[i], enterAndPut(t, s, fmt.Sprintf("%d/%d", i, n)))
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	enter(t, s, func([32]byte) (bool, error) { return false, nil })
	require.Empty(t, names(t, s))
}

func enterAndPut(t *testing.T, s source.Spool, content string) error {
	leave, err := s.Enter(func([32]byte) (bool, error) { return false, nil })
	if err != nil {
		return err
	}
	d, err := put(t.Context(), s, "a.csv", strings.NewReader(content))
	if err == nil {
		var f *os.File
		if f, err = s.Open(d.SHA256); err == nil {
			err = f.Close()
		}
	}
	return errors.Join(err, leave())
}

// otherProcess is the variable that gives such a process its spool.
const otherProcess = "SPOOL_OF_ANOTHER_PROCESS"

// putUntilKilled puts one drop whole, and of another what comes.
func putUntilKilled(dir string) (code int) {
	s := source.Spool{Dir: dir}
	leave, err := s.Enter(nil)
	if err == nil {
		defer leave()
		_, err = put(context.Background(), s, "whole.csv", strings.NewReader("whole"))
	}
	if err == nil {
		_, err = put(context.Background(), s, "cut.csv", os.Stdin)
	}
	fmt.Fprintln(os.Stderr, "it should have been killed:", err)
	return 1
}

func TestWhatAKilledProcessLeftIsClearedByTheNext(t *testing.T) {
	t.Parallel()
	s := source.Spool{Dir: filepath.Join(t.TempDir(), "spool")}
	self, err := os.Executable()
	require.NoError(t, err)
	other := exec.Command(self)
	other.Env, other.Stderr = append(os.Environ(), otherProcess+"="+s.Dir), os.Stderr
	in, err := other.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	kill := sync.OnceFunc(func() {
		other.Process.Kill()
		other.Wait()
	})
	t.Cleanup(kill)
	_, err = io.WriteString(in, "phone\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		cut, err := filepath.Glob(filepath.Join(s.Dir, ".unfinished-*"))
		require.NoError(t, err)
		if len(cut) != 1 {
			return false
		}
		info, err := os.Stat(cut[0])
		return err == nil && info.Size() == 6
	}, time.Minute, 5*time.Millisecond)

	none := func([32]byte) (bool, error) { return false, nil }
	leave := enter(t, s, none)
	require.Len(t, names(t, s), 2, "it lives")
	leave()
	kill()
	leave = enter(t, s, nil)
	require.Len(t, names(t, s), 1)
	f, err := s.Open(sha256.Sum256([]byte("whole")))
	require.NoError(t, err, "the ledger may know it")
	require.NoError(t, f.Close())
	leave()
	enter(t, s, none)
	require.Empty(t, names(t, s))
}

func TestTheLockOfASpoolIsNoLink(t *testing.T) {
	t.Parallel()
	s := source.Spool{Dir: t.TempDir()}
	require.NoError(t, os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), filepath.Join(s.Dir, ".lock")))
	_, err := s.Enter(nil)
	require.Error(t, err)
	_, err = os.Stat(filepath.Join(s.Dir, ".lock"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}
