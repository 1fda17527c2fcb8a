package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// free is an address that nobody listens at. For the length of a test nobody gets
// it who asks for just any, as servers of other tests do all the time.
func free(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	syscall.CloseOnExec(fd)
	held := os.NewFile(uintptr(fd), "held")
	if runtime.GOOS == "linux" {
		t.Cleanup(func() { held.Close() })
	} else { // it would keep everybody away
		defer held.Close()
	}
	require.NoError(t, syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(bound.(*syscall.SockaddrInet4).Port))
}

func answers(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestADaemonShowsWhatItDoes(t *testing.T) {
	t.Parallel()
	address := free(t)
	s := newSite(t, strings.Replace(often, `listen: ""`, "listen: "+address, 1))
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(s.dir, "notify"), Net: "unixgram"})
	require.NoError(t, err)
	defer manager.Close()
	s.env = append(s.env, "NOTIFY_SOCKET="+manager.LocalAddr().String())
	heard := func() string {
		require.NoError(t, manager.SetReadDeadline(time.Now().Add(time.Minute)))
		buf := make([]byte, 4096)
		n, err := manager.Read(buf)
		require.NoError(t, err)
		first, _, _ := strings.Cut(string(buf[:n]), "\n")
		return first
	}
	hears := func(want string) {
		for heard() != want {
		}
	}
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "drops"), 0o700))
	p := s.start(t, "serve")
	hears("READY=1")
	url := "http://" + address
	s.contacts(t, "drops/contacts.csv", contacts())
	require.Eventually(t, func() bool {
		_, body := answers(t, url+"/metrics")
		return strings.Contains(body, `importer_rows_total{feed="acme",outcome="SUCCESS",reason="added"} `) &&
			strings.Contains(body, `importer_runs_total{feed="acme",result="done"} `) &&
			strings.Contains(body, `importer_last_success_timestamp_seconds{feed="acme"} `) &&
			strings.Contains(body, `importer_next_slot_timestamp_seconds{feed="acme"} `) &&
			strings.Contains(body, `importer_call_duration_seconds_count{dialer="main"} `)
	}, time.Minute, 50*time.Millisecond)
	status, body := answers(t, url+"/readyz")
	require.Equal(t, http.StatusOK, status, body)
	status, body = answers(t, url+"/healthz")
	require.Equal(t, http.StatusOK, status, body)

	require.NoError(t, p.Process.Signal(syscall.SIGHUP))
	hears("RELOADING=1")
	hears("READY=1")
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	hears("STOPPING=1")
	require.Zero(t, p.ends(t), &p.err)
}

// A signal to read the configuration again does not end a daemon at once that has
// been told to stop, and waits for its calls.
func TestADaemonThatDrainsOutlivesAHangup(t *testing.T) {
	t.Parallel()
	address := free(t)
	s := newSite(t, with(strings.Replace(often, `listen: ""`, "listen: "+address, 1), "timeout: 1m"))
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "drops"), 0o700))
	reached, release := s.at(t, 10)
	s.contacts(t, "drops/contacts.csv", contacts())
	p := s.start(t, "serve")
	<-reached
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool {
		_, body := answers(t, "http://"+address+"/readyz")
		return strings.Contains(body, "stopping")
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, p.Process.Signal(syscall.SIGHUP))
	release()
	require.Zero(t, p.ends(t), &p.err)
}
