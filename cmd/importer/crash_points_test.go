package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/crashpoint"
	"importer/internal/nonagent/dialersim"
)

// Each named point is reached, and an importer killed there, and killed there
// once more while it recovers, does no harm. TestPullKilledAtEachNamedPoint has
// those of files, which are only pulled.
func TestKilledAtEachNamedPoint(t *testing.T) {
	t.Parallel()
	for _, point := range namedPoints(t) {
		if isOfFiles(point) {
			continue
		}
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newCrashSite(t)
			s.losesTwo()
			if point == crashpoint.RowsForgotten {
				s.recordedUnderOtherSettings(t)
			}
			const kills = 2
			for kill := range kills {
				p := s.startTo(t, point, "import", "contacts.csv", "again.csv", "--feed", "acme")
				if !p.stops(t) {
					require.Positive(t, kill, "nobody reaches this point: %s", &p.err)
					break
				}
				s.awaitDialer(t)
				p.kill()
				require.Equal(t, -1, p.ends(t))
			}
			s.finish(t)
			s.requireOracle(t)
		})
	}
}

// The database ends the session of a transaction that is about to commit, and
// of every other one.
func TestASessionEndedBeforeItsCommitCostsNothing(t *testing.T) {
	t.Parallel()
	for _, point := range []crashpoint.Point{
		crashpoint.RecordWritten, crashpoint.ArmWritten, crashpoint.SettleWritten, crashpoint.CloseWritten, crashpoint.FinishWritten,
	} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newCrashSite(t)
			s.losesTwo()
			p := s.startTo(t, point, "import", "contacts.csv", "--feed", "acme")
			require.True(t, p.stops(t), "nobody reaches this point: %s", &p.err)
			s.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'importer'`)
			require.NoError(t, p.Process.Signal(syscall.SIGCONT))
			require.Equal(t, exitPerson, p.ends(t), &p.err) // the numbers that must not be called
			require.Empty(t, s.judge(t).wrong, "before anybody else has had a look")
			s.finish(t)
			s.requireOracle(t)
		})
	}
}

// What a user gets is built without the points.
func TestTheShippedProgramHasNoPoints(t *testing.T) {
	t.Parallel()
	shipped := filepath.Join(t.TempDir(), "importer")
	require.NoError(t, buildProgram(shipped))
	program, err := os.ReadFile(shipped)
	require.NoError(t, err)
	tagged, err := os.ReadFile(crashable(t))
	require.NoError(t, err)
	for _, point := range namedPoints(t) {
		if name := string(point); strings.Contains(name, "-") { // one word may be anybody's
			require.False(t, bytes.Contains(program, []byte(name)), name)
			require.True(t, bytes.Contains(tagged, []byte(name)), name)
		}
	}
}

// namedPoints reads the points from where they are declared.
func namedPoints(t *testing.T) (points []crashpoint.Point) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../internal/crashpoint/points.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			point, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			points = append(points, crashpoint.Point(point))
		}
		return true
	})
	require.NotEmpty(t, points)
	return points
}

// losesTwo loses the answer to one row's first add_lead, and the whole of the last
// row's: no other lead proves behind it that writes get through.
func (s *site) losesTwo() {
	drop := func(a *dialersim.Response) { a.Drop = true }
	s.firstCalls(func(row int) dialersim.Fault {
		switch row {
		case 20:
			return dialersim.Fault{Answer: drop}
		case contactRows - 1:
			return dialersim.Fault{Skip: true, Answer: drop}
		default:
			return dialersim.Fault{Delay: time.Millisecond}
		}
	})
}

// recordedUnderOtherSettings leaves behind a file that is recorded, and whose
// feed has been changed since.
func (s *site) recordedUnderOtherSettings(t *testing.T) {
	t.Helper()
	s.write(t, "importer.yaml", hasty+"    campaign_id: TESTCAMP\n")
	p := s.startTo(t, crashpoint.Recorded, "import", "contacts.csv", "--feed", "acme")
	require.True(t, p.stops(t), &p.err)
	p.kill()
	require.Equal(t, -1, p.ends(t))
	s.write(t, "importer.yaml", hasty)
}

// startTo starts an importer that stops when it first reaches a point.
func (s *site) startTo(t *testing.T, point crashpoint.Point, args ...string) *process {
	t.Helper()
	env := s.env
	defer func() { s.env = env }()
	s.env = append(s.env[:len(s.env):len(s.env)], "IMPORTER_CRASHPOINT="+string(point)+":1")
	return s.start(t, args...)
}

// stops waits until an importer stands still at its point; false: it has ended
// without.
func (p *process) stops(t *testing.T) bool {
	t.Helper()
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(p.Process.Pid, &status, syscall.WUNTRACED, nil)
		if !errors.Is(err, syscall.EINTR) {
			require.NoError(t, err)
			break
		}
	}
	if !status.Stopped() {
		p.reaped = true
		_ = p.Wait() // for what it said; its status is gone
	}
	return status.Stopped()
}

// awaitDialer waits until the dialer has carried out what it was sent.
func (s *site) awaitDialer(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return s.dialer.InFlight("") == 0 }, time.Minute, 5*time.Millisecond)
}

// crashableProgram is where the real program is with its points compiled in.
var crashableProgram struct {
	sync.Once
	dir string
	err error
}

// crashable builds it at its first call.
func crashable(t *testing.T) string {
	t.Helper()
	if underRaceDetector {
		t.Skip("this program is built without the race detector: it is killed under make test")
	}
	c := &crashableProgram
	c.Do(func() {
		if c.dir, c.err = os.MkdirTemp("", "importer-crashable-"); c.err != nil { //nolint:usetesting // it outlives this test
			return
		}
		// The private PostgreSQL's user must pass.
		c.err = errors.Join(os.Chmod(c.dir, 0o711), buildProgram(filepath.Join(c.dir, "importer"), "-tags", "crashpoints"))
	})
	require.NoError(t, c.err)
	return filepath.Join(c.dir, "importer")
}

func removeCrashable() error { return os.RemoveAll(crashableProgram.dir) }

func buildProgram(to string, flags ...string) error {
	build := exec.Command("go", append(append([]string{"build", "-o", to}, flags...), ".")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the program: %w: %s", err, out)
	}
	return nil
}
