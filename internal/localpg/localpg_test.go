package localpg_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"importer/internal/localpg"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestFirstStartMakesADurableLedgerThatNobodyElseCanReach(t *testing.T) {
	t.Parallel()
	s := start(t, newStateDir(t))
	conn := connect(t, s.DSN())

	for setting, want := range map[string]string{
		"listen_addresses": "", "fsync": "on", "data_checksums": "on", "server_encoding": "UTF8", "jit": "off",
		"log_min_messages": "log", "log_statement": "none", "log_error_verbosity": "terse",
	} {
		require.Equal(t, want, ask(t, conn, "SHOW "+setting), setting)
	}
	// The sixth line is the address listened on: none.
	pidFile, err := os.ReadFile(filepath.Join(s.Dir(), "data", "postmaster.pid"))
	require.NoError(t, err)
	lines := strings.Split(string(pidFile), "\n")
	require.Empty(t, lines[5])
	info, err := os.Stat(lines[4])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "the socket's folder")
}

func TestSecondImporterSharesTheServerAndTheLastOneStopsIt(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	first := start(t, stateDir)
	second := start(t, stateDir)
	require.Equal(t, first.DSN(), second.DSN())
	server := postmaster(t, first.Dir())

	require.NoError(t, first.Close())
	require.NoError(t, first.Close(), "closing twice is harmless")
	require.Equal(t, server, postmaster(t, first.Dir()))
	ask(t, connect(t, second.DSN()), "SELECT 'still there'")

	require.NoError(t, second.Close())
	requireStopped(t, first.Dir())
}

func TestKilledImporterStopsTheServerAndKeepsNoPipeOpen(t *testing.T) {
	t.Parallel()
	p := begin(t, nil, self(t), newStateDir(t)).hear(t)
	require.Empty(t, p.Err)
	connect(t, p.DSN) // a connection without a lock keeps nothing alive
	p.kill(t)
	requireStopped(t, p.Dir)
}

func TestCtrlCReachesTheImporterNotItsLedger(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	p := begin(t, &syscall.SysProcAttr{Setpgid: true}, self(t), stateDir).hear(t)
	require.Empty(t, p.Err)
	s := start(t, stateDir)
	conn := connect(t, s.DSN())

	require.NoError(t, syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT))
	require.Error(t, p.cmd.Wait())
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		require.NoError(t, syscall.Kill(supervisor(t, s.Dir()), sig))
	}
	ask(t, conn, "SELECT 'still there'")
	ask(t, connect(t, s.DSN()), "SELECT 'for newcomers too'")
}

func TestKilledSupervisorIsReplacedAndNothingCommittedIsLost(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	s := start(t, stateDir)
	_, err := connect(t, s.DSN()).Exec(t.Context(), "CREATE TABLE kept AS SELECT 'committed' AS word")
	require.NoError(t, err)

	for range 3 {
		require.NoError(t, syscall.Kill(supervisor(t, s.Dir()), syscall.SIGKILL))
		requireFree(t, s.Dir(), "supervisor.lock")
		again := start(t, stateDir)
		require.Equal(t, s.DSN(), again.DSN())
		require.Equal(t, "committed", ask(t, connect(t, s.DSN()), "SELECT word FROM kept"))
	}
}

func TestKilledServerComesBackByItself(t *testing.T) {
	t.Parallel()
	s := start(t, newStateDir(t))
	_, err := connect(t, s.DSN()).Exec(t.Context(), "CREATE TABLE kept AS SELECT 'committed' AS word")
	require.NoError(t, err)

	require.NoError(t, syscall.Kill(postmaster(t, s.Dir()), syscall.SIGKILL))
	var word string
	eventually(t, "the server answers again", func() bool {
		conn, err := pgx.Connect(t.Context(), s.DSN())
		if err != nil {
			return false
		}
		err = conn.QueryRow(t.Context(), "SELECT word FROM kept").Scan(&word)
		require.NoError(t, conn.Close(t.Context()))
		return err == nil
	})
	require.Equal(t, "committed", word)
}

func TestManyStartersGetOneServer(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	// The second time they come as the server of the first is stopping.
	for range 2 {
		var all []*process
		for range 8 {
			all = append(all, begin(t, nil, self(t), stateDir))
		}
		for _, p := range all {
			p.hear(t)
			require.Empty(t, p.Err)
		}
		server := postmaster(t, all[0].Dir)
		for _, p := range all[1:] {
			require.Equal(t, all[0].DSN, p.DSN)
			ask(t, connect(t, p.DSN), "SELECT 'here'")
			p.kill(t)
		}
		require.Equal(t, server, postmaster(t, all[0].Dir), "one server, for as long as one importer is left")
		all[0].kill(t)
	}
}

func TestStartWhileTheServerStops(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	for range 10 {
		p := begin(t, nil, self(t), stateDir).hear(t)
		require.Empty(t, p.Err)
		conn := connect(t, p.DSN)
		ask(t, conn, "SELECT 'here'")
		p.kill(t)
	}
}

func TestKilledInitdbLeavesNothingThatBlocks(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	left := filepath.Join(stateDir, "postgres", "init-123", "base")
	require.NoError(t, os.MkdirAll(left, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(left, "PG_VERSION"), []byte("15\n"), 0o600))

	s := start(t, stateDir)
	ask(t, connect(t, s.DSN()), "SELECT 'here'")
	require.NoDirExists(t, filepath.Dir(left))
}

func TestImporterKilledAnywhereInItsFirstStart(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	for _, sign := range []string{"init-*", "init-*/base", "data/PG_VERSION", "data/postmaster.pid"} {
		p := begin(t, nil, self(t), stateDir)
		eventually(t, sign+" exists, or did", func() bool {
			for _, either := range []string{sign, "data/PG_VERSION"} {
				if m, err := filepath.Glob(filepath.Join(stateDir, "postgres", either)); err == nil && len(m) > 0 {
					return true
				}
			}
			return false
		})
		p.kill(t)
	}
	ask(t, connect(t, start(t, stateDir).DSN()), "SELECT 'here'")
}

func TestProcessNumberOfAKilledServerMayBelongToAnotherNow(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	s := start(t, stateDir)
	data := filepath.Join(s.Dir(), "data")
	pidFile, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	require.NoError(t, err)
	info, err := os.Stat(data)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	// A living process of the server's own user, which PostgreSQL would take
	// for a running server.
	other := sleepAs(t, info.Sys().(*syscall.Stat_t).Uid)
	_, rest, _ := strings.Cut(string(pidFile), "\n")
	stale := []byte(other + "\n" + rest)
	require.NoError(t, os.WriteFile(filepath.Join(data, "postmaster.pid"), stale, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(s.Dir(), "run", ".s.PGSQL.5432.lock"), stale, 0o600))
	for _, f := range []string{filepath.Join(data, "postmaster.pid"), filepath.Join(s.Dir(), "run", ".s.PGSQL.5432.lock")} {
		require.NoError(t, os.Chown(f, int(info.Sys().(*syscall.Stat_t).Uid), -1))
	}

	ask(t, connect(t, start(t, stateDir).DSN()), "SELECT 'here'")
}

func TestLogHoldsNoPeoplesData(t *testing.T) {
	t.Parallel()
	s := start(t, newStateDir(t))
	conn := connect(t, s.DSN())
	_, err := conn.Exec(t.Context(), "CREATE TABLE numbers (phone text PRIMARY KEY)")
	require.NoError(t, err)
	for range 2 {
		_, err = conn.Exec(t.Context(), "INSERT INTO numbers VALUES ($1)", "3055550123")
	}
	require.ErrorContains(t, err, "duplicate key")
	_, err = conn.Exec(t.Context(), "SELECT 'x3055550123'::int")
	require.ErrorContains(t, err, "x3055550123", "PostgreSQL quotes values in its errors")
	require.NoError(t, s.Close())

	log, err := os.ReadFile(filepath.Join(s.Dir(), "server.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "ready to accept connections")
	require.NotContains(t, string(log), "5550123")
}

func TestSocketMovesWhereItsPathIsTooLong(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"long":  strings.Repeat("a-long-folder-name/", 6),
		"comma": "acme, inc",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stateDir := filepath.Join(newStateDir(t), dir)
			require.NoError(t, os.MkdirAll(stateDir, 0o755))
			s := start(t, stateDir)
			ask(t, connect(t, s.DSN()), "SELECT 'here'")
			require.Equal(t, s.DSN(), start(t, stateDir).DSN())

			socket := ask(t, connect(t, s.DSN()), "SHOW unix_socket_directories")
			require.Equal(t, "/tmp", filepath.Dir(socket))
			t.Cleanup(func() { require.NoError(t, os.RemoveAll(socket)) })
		})
	}
}

func TestSocketFolderOfAnotherIsRefused(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	s := start(t, stateDir)
	require.NoError(t, s.Close())
	require.NoError(t, os.Chmod(filepath.Join(s.Dir(), "run"), 0o755))
	require.ErrorContains(t, startError(t, stateDir), "belongs to the user")
}

func TestDataOfAnotherMajorVersionAreRefusedNotTouched(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	s := start(t, stateDir)
	require.NoError(t, s.Close())
	version := filepath.Join(s.Dir(), "data", "PG_VERSION")
	require.NoError(t, os.WriteFile(version, []byte("9\n"), 0o600))

	text := startError(t, stateDir).Error()
	require.Contains(t, text, "made by PostgreSQL 9 and only that version can open it, but this machine has PostgreSQL ")
	require.Contains(t, text, "install PostgreSQL 9")
	kept, err := os.ReadFile(version)
	require.NoError(t, err)
	require.Equal(t, "9\n", string(kept))
}

func TestNoBinariesIsOneSentenceThatNamesThePackage(t *testing.T) {
	stateDir := newStateDir(t)
	empty := t.TempDir()
	o, err := options(stateDir, nil)
	require.NoError(t, err)
	o.BinDir = empty
	_, err = localpg.Start(t.Context(), o)
	require.ErrorContains(t, err, "the configured folder "+empty+" has no postgres")

	localpg.WithoutUsualFolders(t)
	t.Setenv("PATH", empty)
	err = startError(t, stateDir)
	require.ErrorContains(t, err, "apt-get install postgresql")
	require.NotContains(t, err.Error(), "\n")
}

func TestServerThatCannotStartIsReportedInItsOwnWords(t *testing.T) {
	t.Parallel()
	stateDir := newStateDir(t)
	s := start(t, stateDir)
	require.NoError(t, s.Close())
	conf := filepath.Join(s.Dir(), "data", "postgresql.conf")
	require.NoError(t, os.WriteFile(conf, []byte("no_such_setting = 1\n"), 0o600))
	text := startError(t, stateDir).Error()
	require.Contains(t, text, "server.log")
	require.Contains(t, text, "postgresql.conf\" contains errors")
}

func TestSupervisorIsNotForHands(t *testing.T) {
	t.Parallel()
	require.Equal(t, 1, localpg.Supervise(nil))
	require.Equal(t, 1, localpg.Supervise([]string{"/usr/bin", t.TempDir(), t.TempDir(), "1", "1"}))
}
