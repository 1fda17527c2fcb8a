package health_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"importer/internal/daemon/health"
	"importer/internal/ledger/ledgertest"
)

// manager is a service manager's end: it returns the next message, line by line.
func manager(t *testing.T) (next func() []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() []string {
		t.Helper()
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(8*time.Second)))
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		require.NoError(t, err)
		return strings.Split(string(buf[:n]), "\n")
	}
}

// ready is the health of a daemon that works.
func ready(t *testing.T) (*health.Health, *clock) {
	t.Helper()
	h, clock := setup()
	h.Feeds(daily(t, "acme"))
	h.Ask(t.Context(), ledgertest.Open(t))
	h.Beat()
	require.NoError(t, h.Ready())
	return h, clock
}

const atWork = "STATUS=runs going: 0, next slot: acme at 2026-03-02T23:00:00Z"

func TestTheServiceManagerIsToldOfEachStep(t *testing.T) {
	next := manager(t)
	h, _ := ready(t)
	h.Started()
	require.Equal(t, []string{"READY=1", atWork}, next())

	before := monotonic(t)
	h.Reloading()
	said := next()
	require.Len(t, said, 3)
	require.Equal(t, "RELOADING=1", said[0])
	text, ok := strings.CutPrefix(said[1], "MONOTONIC_USEC=")
	require.True(t, ok, said[1])
	at, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	require.GreaterOrEqual(t, at, before)
	require.LessOrEqual(t, at, monotonic(t))
	require.Equal(t, "STATUS=reading the configuration again", said[2])

	h.Started()
	require.Equal(t, []string{"READY=1", atWork}, next())
	h.Stopping()
	require.Equal(t, []string{"STOPPING=1", "STATUS=the importer is stopping: no run begins here any more"}, next())
}

func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	return now.Nano() / 1000
}

func TestTheWatchdogIsFedWhileTheDaemonLives(t *testing.T) {
	next := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	h, clock := ready(t)
	ctx, stop := context.WithCancel(t.Context())
	var reporting sync.WaitGroup
	reporting.Go(func() { h.Report(ctx) })
	defer reporting.Wait()
	defer stop()
	require.Equal(t, []string{"WATCHDOG=1", atWork}, next())
	require.Equal(t, []string{"WATCHDOG=1"}, next())
	require.Equal(t, []string{"WATCHDOG=1"}, next())

	clock.move(3 * time.Minute)
	said := next()
	for len(said) == 1 && said[0] == "WATCHDOG=1" { // sent before
		said = next()
	}
	const stuck = "STATUS=planning has not moved for 3m0s: the process is stuck, restart it"
	require.Equal(t, stuck, said[len(said)-1])
	clock.move(time.Minute)
	require.Equal(t, []string{strings.Replace(stuck, "3m", "4m", 1)}, next(), "and no sign of life")
	h.Beat()
	for said[0] != "WATCHDOG=1" { // the time goes on meanwhile
		said = next()
	}
}

func TestTheStatusIsToldWithoutAWatchdogToo(t *testing.T) {
	next := manager(t)
	t.Setenv("WATCHDOG_USEC", "")
	h, _ := ready(t)
	_, end := h.Run("acme")
	defer end()
	ctx, stop := context.WithCancel(t.Context())
	var reporting sync.WaitGroup
	reporting.Go(func() { h.Report(ctx) })
	require.Equal(t, []string{"STATUS=runs going: 1, next slot: acme at 2026-03-02T23:00:00Z"}, next())
	stop()
	reporting.Wait()
}

func TestADaemonIsShownUntilItHasStopped(t *testing.T) {
	next := manager(t)
	t.Setenv("WATCHDOG_USEC", "")
	h, _ := ready(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := taken.Addr().String()
	_, err = h.Show(t.Context(), address)
	require.ErrorContains(t, err, "cannot answer on serve.listen")
	require.NoError(t, taken.Close())

	ctx, stop := context.WithCancel(t.Context())
	hide, err := h.Show(ctx, address)
	require.NoError(t, err)
	require.Equal(t, []string{atWork}, next())
	requireAnswer(t, "http://"+address+"/readyz", http.StatusOK, "ok")
	stop()
	require.Equal(t, "STOPPING=1", next()[0])
	requireAnswer(t, "http://"+address+"/healthz", http.StatusOK, "ok")
	status, _ := get(t, "http://"+address+"/metrics")
	require.Equal(t, http.StatusOK, status)
	hide()
	_, err = http.Get("http://" + address + "/healthz")
	require.Error(t, err)

	hide, err = h.Show(t.Context(), "")
	require.NoError(t, err)
	hide()
}
