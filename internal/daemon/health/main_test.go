package health_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/daemon/health"
	"importer/internal/ledger/ledgertest"
)

func TestMain(m *testing.M) { os.Exit(ledgertest.Main(m)) }

// clock is a clock that stands until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// setup is a daemon's health at noon.
func setup() (*health.Health, *clock) {
	c := &clock{now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	return health.New(health.Options{Version: "v1", Log: slog.New(slog.DiscardHandler), Now: c.Now}), c
}

// serve has it answer for the length of a test, and returns its address.
func serve(t *testing.T, h *health.Health) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(t.Context(), l) }()
	t.Cleanup(func() { require.NoError(t, <-ended) })
	return "http://" + l.Addr().String()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// shown are the samples of one of the importer's metrics.
func shown(t *testing.T, url, metric string) (samples []string) {
	t.Helper()
	status, body := get(t, url+"/metrics")
	require.Equal(t, http.StatusOK, status)
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, metric+"{") {
			samples = append(samples, strings.TrimSpace(strings.TrimPrefix(line, metric)))
		}
	}
	return samples
}
