package health_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/daemon/health"
	"importer/internal/ledger/ledgertest"
)

func requireAnswer(t *testing.T, url string, status int, body string) {
	t.Helper()
	got, text := get(t, url)
	require.Equal(t, body+"\n", text)
	require.Equal(t, status, got)
}

func TestProbesTellWhatStandsStill(t *testing.T) {
	t.Parallel()
	h, clock := setup()
	l := ledgertest.Open(t)
	url := serve(t, h)
	const away = "the ledger has not answered yet"
	requireAnswer(t, url+"/healthz", http.StatusOK, "ok")
	requireAnswer(t, url+"/readyz", http.StatusServiceUnavailable, away)

	clock.move(time.Hour) // waiting for PostgreSQL
	requireAnswer(t, url+"/healthz", http.StatusOK, "ok")
	h.Ask(t.Context(), l)
	h.Beat()
	requireAnswer(t, url+"/healthz", http.StatusOK, "ok")
	requireAnswer(t, url+"/readyz", http.StatusOK, "ok")

	clock.move(30 * time.Second)
	requireAnswer(t, url+"/readyz", http.StatusOK, "ok")
	clock.move(time.Second)
	requireAnswer(t, url+"/healthz", http.StatusOK, "ok")
	requireAnswer(t, url+"/readyz", http.StatusServiceUnavailable,
		"the ledger has not answered for 31s: check that PostgreSQL is running and can be reached")
	clock.move(90 * time.Second)
	const stuck = "planning has not moved for 2m1s: the process is stuck, restart it"
	requireAnswer(t, url+"/healthz", http.StatusServiceUnavailable, stuck)
	requireAnswer(t, url+"/readyz", http.StatusServiceUnavailable, stuck)

	h.Beat()
	h.Ask(t.Context(), l)
	requireAnswer(t, url+"/healthz", http.StatusOK, "ok")
	h.Stopping()
	clock.move(time.Hour) // waiting for calls in flight
	requireAnswer(t, url+"/healthz", http.StatusOK, "ok")
	requireAnswer(t, url+"/readyz", http.StatusServiceUnavailable, "the importer is stopping: no run begins here any more")
}

func TestALedgerThatIsAwayHasNotAnswered(t *testing.T) {
	t.Parallel()
	h, clock := setup()
	l := ledgertest.Open(t)
	h.Ask(t.Context(), l)
	require.NoError(t, h.Ready())
	l.Close()
	clock.move(time.Minute)
	h.Ask(t.Context(), l)
	require.EqualError(t, h.Ready(), "the ledger has not answered for 1m0s: check that PostgreSQL is running and can be reached")
}

func TestOnlyTheSchemaOfThisProgramIsRight(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	h, l := health.New(health.Options{Now: time.Now}), ledgertest.OpenAt(t, dsn)
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	do := func(query string) {
		_, err := conn.Exec(t.Context(), query)
		require.NoError(t, err)
	}
	_, wanted, err := l.Version(t.Context())
	require.NoError(t, err)
	h.Ask(t.Context(), l)
	require.NoError(t, h.Ready())
	do(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	h.Ask(t.Context(), l)
	require.EqualError(t, h.Ready(), fmt.Sprintf("the ledger's schema is at version 99999, this program knows up to %d: use a newer importer", wanted))
	do(`DELETE FROM goose_db_version WHERE version_id > 1`)
	h.Ask(t.Context(), l)
	require.EqualError(t, h.Ready(), fmt.Sprintf("the ledger's schema is at version 1, this program needs %d: run importer migrate", wanted))
}

func TestServingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	h, _ := setup()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, l) }()
	url := "http://" + l.Addr().String()
	requireAnswer(t, url+"/healthz", http.StatusOK, "ok")
	status, _ := get(t, url+"/")
	require.Equal(t, http.StatusNotFound, status)
	resp, err := http.Post(url+"/healthz", "text/plain", nil)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)

	stop()
	require.NoError(t, <-ended)
	_, err = http.Get(url + "/healthz")
	require.Error(t, err)

	require.ErrorContains(t, h.Serve(t.Context(), l), "answering on "+l.Addr().String())
}

func TestTheLedgerIsWatchedFromTheBeginningToTheEnd(t *testing.T) {
	t.Parallel()
	h, _ := setup()
	l := ledgertest.Open(t)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { h.Watch(ctx, l) })
	require.Eventually(t, func() bool { return h.Ready() == nil }, 8*time.Second, time.Millisecond)
	stop()
	watching.Wait()
}
