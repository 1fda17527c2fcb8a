package importer_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

// folder is a source in memory: its files are drops of a feed, by their paths.
type folder struct {
	files   []importer.File
	rows    map[string]int // of each file; a file without is unreadable
	away    error          // why the folder cannot be listed
	faults  map[string]error
	stuck   error // why nothing can be put away
	leave   bool  // nothing is
	before  func(path string)
	fetched []string
	gone    []string
	asked   int            // to put something away
	damaged map[string]int // at which row
	twice   bool           // each file holds its drop twice
	writer  string         // has a file that was put away open, and writes to it
	lost    error          // why no file that was put away can be looked at
}

func newFolder(paths ...string) *folder {
	f := &folder{rows: map[string]int{}, faults: map[string]error{}, before: func(string) {}}
	for i, p := range paths {
		f.files = append(f.files, importer.File{Path: p, Size: int64(i), Modified: time.Date(2026, 11, 26, 6, i, 0, 0, time.UTC)})
		f.rows[p] = 3
	}
	return f
}

func (f *folder) Place() string { return "folder" }

func (f *folder) Look(_ context.Context, taken func([]importer.File) (map[importer.File]time.Time, error)) ([]importer.File, error) {
	if f.away != nil {
		return nil, f.away
	}
	before, err := taken(f.files)
	var fresh []importer.File
	for _, file := range f.files {
		if _, ok := before[file]; !ok {
			fresh = append(fresh, file)
		}
	}
	return fresh, err
}

func (f *folder) Take(_ context.Context, file importer.File) ([]importer.Incoming, error) {
	f.before(file.Path)
	if err := f.faults[file.Path]; err != nil {
		return nil, err
	}
	f.fetched = append(f.fetched, file.Path)
	in := drop(file.Path, f.rows[file.Path])
	if in.Drop.Bytes == 0 {
		in.Open = func() (importer.Reader, error) { return nil, &importer.UnreadableError{Err: errors.New("garbage")} }
	}
	if at, ok := f.damaged[file.Path]; ok {
		in.Open = func() (importer.Reader, error) { return &damagedAt{rows{n: f.rows[file.Path]}, at}, nil }
	}
	if f.twice {
		return []importer.Incoming{in, in}, nil
	}
	return []importer.Incoming{in}, nil
}

func (f *folder) PutAway(_ context.Context, file importer.TakenFile) (importer.Away, error) {
	f.asked++
	if f.stuck != nil || f.leave {
		return importer.Away{}, f.stuck
	}
	f.gone = append(f.gone, file.File.Path)
	f.files = slices.DeleteFunc(f.files, func(there importer.File) bool { return there == file.File })
	return importer.Away{Gone: true, As: "away/" + file.File.Path}, nil
}

func (f *folder) Return(_ context.Context, file importer.TakenFile) (bool, error) {
	if f.writer != file.Away.As {
		return false, f.lost
	}
	f.writer = ""
	f.files = append(f.files, importer.File{Path: file.File.Path, Version: "grown"})
	return true, nil
}

func (b *bench) pull(t *testing.T, f *folder) (importer.Summary, error) {
	t.Helper()
	return b.importer.Pull(t.Context(), b.feed, f)
}

// takes has the ledger know that a file was taken, and nothing more.
func (b *bench) takes(t *testing.T, f importer.File) importer.Drop {
	t.Helper()
	in := drop(f.Path, 3)
	_, err := b.ledger.TakeFile(t.Context(), "acme", "folder", f, []importer.Drop{in.Drop})
	require.NoError(t, err)
	d, err := b.ledger.OpenDrop(t.Context(), in.Drop)
	require.NoError(t, err)
	return d
}

// losesCopies makes drops be missing in the spool.
func (b *bench) losesCopies(names ...string) {
	reopen := b.importer.Reopen
	b.importer.Reopen = func(d importer.Drop) (importer.Incoming, error) {
		in, err := reopen(d)
		if slices.Contains(names, d.Name) {
			in.Open = func() (importer.Reader, error) { return nil, fs.ErrNotExist }
		}
		return in, err
	}
}

func TestNewFilesAreImportedOnceAndPutAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		f := newFolder("a.csv", "b.csv")
		s, err := b.pull(t, f)
		require.NoError(t, err)
		require.Equal(t, 2, s.Files)
		require.Equal(t, []string{"a.csv", "b.csv"}, f.fetched)
		require.Equal(t, f.fetched, f.gone)
		require.Equal(t, 6, s.Counts().Rows())
		b.requireOnce(t, 3)
	})
}

func TestAFileThatCannotBePutAwayIsTriedAgainByTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		f := newFolder("a.csv")
		f.stuck = errors.New("no right to move it")
		_, err := b.pull(t, f)
		require.NoError(t, err, "the import stands")
		f.stuck = nil
		s, err := b.pull(t, f)
		require.NoError(t, err)
		require.Zero(t, s.Files)
		require.Equal(t, []string{"a.csv"}, f.fetched)
		require.Equal(t, []string{"a.csv"}, f.gone)
	})
}

func TestOneFilesFaultKeepsNoOtherBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for fault, fails := range map[error]bool{importer.ErrNotYet: false, importer.ErrRefused: true} {
			b := setup(t, always(answers))
			f := newFolder("a.csv", "b.csv", "c.csv")
			f.faults["a.csv"] = fault
			f.rows["b.csv"] = 0
			s, err := b.pull(t, f)
			require.ErrorContains(t, err, "garbage")
			require.Equal(t, fails, errors.Is(err, fault))
			require.Equal(t, importer.DropFailed, s.Drops[0].Drop.State)
			require.Equal(t, importer.DropDone, s.Drops[1].Drop.State)
			require.Equal(t, []string{"b.csv", "c.csv"}, f.gone)

			delete(f.faults, "a.csv")
			_, err = b.pull(t, f)
			require.NoError(t, err)
			require.Equal(t, []string{"b.csv", "c.csv", "a.csv"}, f.fetched)
		}
	})
}

func TestAPlaceOutOfReachKeepsNoUnfinishedDropBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, where := range []string{"listing", "fetching"} {
			b := setup(t, always(refusesLogin))
			f := newFolder("a.csv", "b.csv")
			_, err := b.pull(t, f)
			var stop *importer.StopError
			require.ErrorAs(t, err, &stop)
			require.Equal(t, []string{"a.csv"}, f.fetched, "nothing more is fetched for a dialer that refuses us")
			require.Empty(t, f.gone)

			b.dialer.fates = always(answers)
			out := errors.New("out of reach")
			if where == "listing" {
				f.away = out
			} else {
				f.faults["b.csv"] = out
			}
			s, err := b.pull(t, f)
			require.ErrorIs(t, err, out)
			require.Equal(t, 3, s.Counts().Rows(), where)
			b.requireOnce(t, 3)
			f.away = nil
			clear(f.faults)
			_, err = b.pull(t, f)
			require.NoError(t, err)
			require.ElementsMatch(t, []string{"a.csv", "b.csv"}, f.gone)
		}
	})
}

func TestAFileWhoseCopyIsLostIsTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		f := newFolder("a.csv")
		b.takes(t, f.files[0])
		b.losesCopies("a.csv")
		s, err := b.pull(t, f)
		require.NoError(t, err)
		require.Equal(t, []string{"a.csv"}, f.fetched)
		require.Len(t, s.Drops, 1)
		require.Equal(t, importer.DropDone, s.Drops[0].Drop.State)
	})
}

func TestAMissingCopyKeepsNoOtherDropBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		for _, name := range []string{"a.csv", "b.csv"} {
			b.takes(t, importer.File{Path: name, Version: "1"})
		}
		b.losesCopies("a.csv")
		s, err := b.pull(t, newFolder())
		require.ErrorIs(t, err, fs.ErrNotExist)
		states := map[string]importer.DropState{}
		for _, d := range s.Drops {
			states[d.Drop.Name] = d.Drop.State
		}
		require.Equal(t, map[string]importer.DropState{"a.csv": importer.DropSpooled, "b.csv": importer.DropDone}, states, "a.csv may be found again")
	})
}

// Whoever has the copy has died, and its lease runs out while this run waits.
func TestAFileThatADeadImporterHadIsFetchedByTheSameRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		f := newFolder("a.csv")
		d := b.takes(t, f.files[0])
		_, dead, err := b.ledger.StartRun(t.Context(), "acme", "run")
		require.NoError(t, err)
		_, err = b.ledger.LeaseDrop(t.Context(), d.ID, dead, b.importer.Limits.Lease)
		require.NoError(t, err)
		b.losesCopies("a.csv")
		s, err := b.pull(t, f)
		require.NoError(t, err)
		require.Equal(t, []string{"a.csv"}, f.gone)
		require.Len(t, s.Drops, 1)
		require.Equal(t, importer.DropDone, s.Drops[0].Drop.State)
		b.requireOnce(t, 3)
	})
}

// A dialer that refuses the login for a whole day has no file fetched twice.
func TestAFileWhoseCopyIsThereIsNotFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(refusesLogin))
		f := newFolder("a.csv")
		for range 3 {
			_, err := b.pull(t, f)
			var stop *importer.StopError
			require.ErrorAs(t, err, &stop)
		}
		b.dialer.fates = always(answers)
		_, err := b.pull(t, f)
		require.NoError(t, err)
		require.Equal(t, []string{"a.csv"}, f.fetched)
		b.requireOnce(t, 3)
	})
}

// damagedAt reads rows up to one that cannot be read.
type damagedAt struct {
	rows
	at int
}

func (r *damagedAt) Next() (importer.Row, error) {
	row, err := r.rows.Next()
	if row.Record == r.at {
		return row, &importer.UnreadableError{Err: errors.New("line too long")}
	}
	return row, err
}

func TestAFileThatIsDamagedFarBehindItsBeginningEndsAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		f := newFolder("a.csv", "b.csv")
		f.damaged = map[string]int{"a.csv": 1500}
		f.rows["a.csv"] = 2500
		s, err := b.pull(t, f)
		require.ErrorContains(t, err, "line too long")
		require.Equal(t, importer.DropFailed, s.Drops[0].Drop.State)
		require.Equal(t, 1000, s.Drops[0].Counts[importer.StateReason{State: importer.Succeeded, Reason: importer.ReasonAdded}])
		require.Equal(t, importer.DropDone, s.Drops[1].Drop.State)
		require.Equal(t, []string{"a.csv", "b.csv"}, f.gone)

		_, err = b.pull(t, f)
		require.NoError(t, err, "it is over")
		require.Len(t, f.fetched, 2)
	})
}

func TestARetryOfADropThatHasFailedEndsAsFailedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(refuses))
		f := newFolder("a.csv")
		f.damaged = map[string]int{"a.csv": 1500}
		f.rows["a.csv"] = 2500
		s, err := b.pull(t, f)
		require.ErrorContains(t, err, "line too long")
		d := s.Drops[0].Drop
		require.Equal(t, 990, s.Outcomes()[importer.OutcomeError])

		b.losesCopies("a.csv")
		s, err = b.importer.Retry(t.Context(), b.feed, []int64{d.ID}, importer.Retried{States: []importer.State{importer.Rejected}}, false)
		require.ErrorContains(t, err, "line too long")
		require.Equal(t, 1000, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, importer.DropFailed, s.Drops[0].Drop.State)
		s, err = b.pull(t, f)
		require.NoError(t, err)
		require.Empty(t, s.Drops)
		b.requireOnce(t, 1000)
	})
}

// The files of an archive may be the same.
func TestTwoUnreadableDropsOfOneContentEndAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		f := newFolder("a.zip")
		f.rows["a.zip"] = 0
		f.twice = true
		s, err := b.pull(t, f)
		require.ErrorContains(t, err, "garbage")
		require.Len(t, s.Drops, 1)
		require.Equal(t, importer.DropFailed, s.Drops[0].Drop.State)
		require.Equal(t, []string{"a.zip"}, f.gone)
	})
}

// It failed by another importer, which has removed the copy, while this one
// waited for it.
func TestADropThatHasFailedMeanwhileStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		in := drop("a.csv", 3)
		in.Open = func() (importer.Reader, error) { return nil, &importer.UnreadableError{Err: errors.New("garbage")} }
		_, err := b.run(t.Context(), in)
		require.ErrorContains(t, err, "garbage")
		in.Open = func() (importer.Reader, error) { return nil, fs.ErrNotExist }
		s, err := b.run(t.Context(), in)
		require.ErrorContains(t, err, "garbage")
		require.NotErrorIs(t, err, fs.ErrNotExist)
		require.Equal(t, importer.DropFailed, s.Drops[0].Drop.State)
	})
}

// Its columns have become unclear by a change of the configuration.
func TestADropThatIsHeldInItsMiddleKeepsNoOtherBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, _ int) fate {
			if c.Lead.PhoneNumber > phone(1) {
				return refusesLogin
			}
			return answers
		})
		f := newFolder("a.csv", "b.csv")
		f.rows["a.csv"] = 8000
		_, err := b.pull(t, f)
		var stop *importer.StopError
		require.ErrorAs(t, err, &stop)
		b.dialer.fates = always(answers)
		b.feed.Settings = "2"
		reopen := b.importer.Reopen
		b.importer.Reopen = func(d importer.Drop) (importer.Incoming, error) {
			in, err := reopen(d)
			in.Open = func() (importer.Reader, error) { return nil, &importer.HoldError{Why: "no column is the phone number"} }
			return in, err
		}
		s, err := b.pull(t, f)
		require.ErrorContains(t, err, "no column is the phone number")
		require.Equal(t, []string{"b.csv"}, f.gone)
		require.Zero(t, s.Pending(), "what was recorded is delivered")

		b.importer.Reopen = reopen
		_, err = b.pull(t, f)
		require.NoError(t, err)
		require.Equal(t, []string{"b.csv", "a.csv"}, f.gone)
		b.requireOnce(t, 8000)
	})
}

func TestAFileThatGoesOnAfterItWasPutAwayIsTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		f := newFolder("a.csv", "b.csv")
		_, err := b.pull(t, f)
		require.NoError(t, err)
		f.writer = "away/a.csv"
		s, err := b.pull(t, f)
		require.NoError(t, err)
		require.Equal(t, 1, s.Files)
		require.Equal(t, []string{"a.csv", "b.csv", "a.csv"}, f.fetched)
		f.lost = errors.New("out of reach")
		_, err = b.pull(t, f)
		require.NoError(t, err, "it is of no importance")
	})
}

func TestAPlaceThatLetsNothingBePutAwayIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for err, asked := range map[error]int{errors.New("login refused"): 4, importer.ErrRefused: 6} {
			b := setup(t, always(answers))
			f := newFolder("a.csv", "b.csv", "c.csv")
			f.stuck = err
			_, err := b.pull(t, f)
			require.NoError(t, err)
			require.Equal(t, asked, f.asked, "each file when it has ended, and then all, or the first of them")
		}
	})
}

// Another importer takes each file while this one is about to.
func TestAFileThatAnotherImporterHasTakenIsNotFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		f := newFolder("a.csv", "b.csv")
		f.leave = true
		f.before = func(string) {
			f.before = func(string) {}
			_, err := b.pull(t, f)
			require.NoError(t, err)
		}
		s, err := b.pull(t, f)
		require.NoError(t, err)
		require.Equal(t, []string{"a.csv", "b.csv", "a.csv"}, f.fetched, "both were at it with a.csv at once")
		require.Len(t, s.Drops, 1)
		require.True(t, s.Drops[0].Already)
		b.requireOnce(t, 3)
	})
}

func TestADropOfUnexpectedSizeIsHeldUntilItIsReleased(t *testing.T) {
	for name, expect := range map[string]importer.Expect{
		"it has fewer rows (3) than expect.min_rows, 4":  {MinRows: 4},
		"more rows than expect.max_rows, 2":              {MaxRows: 2},
		"its 3 bytes are fewer than expect.min_bytes, 4": {MinBytes: 4},
		"its 3 bytes are more than expect.max_bytes, 2":  {MaxBytes: 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, always(answers))
			b.feed.Expect = expect
			f := newFolder("a.csv")
			s, err := b.pull(t, f)
			require.NoError(t, err)
			require.True(t, s.NeedsPerson())
			d := s.Drops[0].Drop
			require.Equal(t, importer.DropHeld, d.State)
			require.Contains(t, d.Why, name)
			require.Zero(t, s.Counts().Rows())
			require.Zero(t, b.dialer.made)
			require.Empty(t, f.gone, "a held drop's file stays")

			s, err = b.pull(t, f)
			require.NoError(t, err)
			require.Empty(t, s.Drops, "it waits for a person")

			s, err = b.importer.Release(t.Context(), b.feed, d.ID)
			require.NoError(t, err)
			require.Equal(t, importer.DropDone, s.Drops[0].Drop.State)
			b.requireOnce(t, 3)
			_, err = b.importer.Release(t.Context(), b.feed, d.ID)
			require.ErrorContains(t, err, "is done, not held: nothing was done")

			_, err = b.pull(t, f)
			require.NoError(t, err)
			require.Equal(t, []string{"a.csv"}, f.gone)
		})
	}
}

func TestADropOfExpectedSizeIsImported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		b.feed.Expect = importer.Expect{MinRows: 3, MaxRows: 3, MinBytes: 3, MaxBytes: 3}
		_, err := b.pull(t, newFolder("a.csv"))
		require.NoError(t, err)
		b.requireOnce(t, 3)
	})
}

func TestImportAgainTakesWhatWasHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		b.feed.Expect = importer.Expect{MinRows: 4}
		s, err := b.run(t.Context(), drop("a.csv", 3))
		require.NoError(t, err)
		require.Equal(t, importer.DropHeld, s.Drops[0].Drop.State)
		b.importer.Again = true
		_, err = b.run(t.Context(), drop("a.csv", 3))
		require.NoError(t, err)
		b.requireOnce(t, 3)
	})
}
