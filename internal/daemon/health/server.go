package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// connections is how many may ask at once; the others wait.
const connections = 32

// Show answers on an address (empty: on none) and tells the service manager how the
// daemon is, until hide is called. From the end of ctx on, the daemon is stopping.
func (h *Health) Show(ctx context.Context, address string) (hide func(), err error) {
	showing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	if address != "" {
		var config net.ListenConfig
		l, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			stop()
			return nil, fmt.Errorf("cannot answer on serve.listen; if it is not another importer serve that does, choose another address, or \"\" for none: %w", err)
		}
		h.Log.Info("/healthz, /readyz and /metrics are answered", "address", l.Addr().String())
		all.Go(func() {
			if err := h.Serve(showing, l); err != nil {
				h.Log.Error("nobody is answered any more, restart importer serve", "err", err)
			}
		})
	}
	all.Go(func() { h.Report(showing) })
	all.Go(func() {
		select {
		case <-ctx.Done():
		case <-showing.Done():
		}
		h.Stopping()
	})
	return func() {
		stop()
		all.Wait()
	}, nil
}

// Serve answers what is asked on a listener, until ctx ends.
func (h *Health) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler:           h.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(h.Log.Handler(), slog.LevelDebug),
	}
	defer context.AfterFunc(ctx, func() { s.Close() })() //nolint:errcheck // what was asked just then is asked again
	if err := s.Serve(netutil.LimitListener(l, connections)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answering on %s: %w", l.Addr(), err)
	}
	return nil
}

func (h *Health) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", judged(h.Live))
	mux.Handle("GET /readyz", judged(h.Ready))
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.metrics.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(h.Log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	}))
	mux.HandleFunc("POST "+ReloadPath, h.reload)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(VersionHeader, h.Version)
		mux.ServeHTTP(w, r)
	})
}

// VersionHeader is in each answer, by which it is known to be ours.
const VersionHeader = "X-Importer-Version"

// ReloadPath is where the configuration is read again, for who asks on the same
// machine and with ReloadHeader, which a web page cannot send unasked.
const (
	ReloadPath   = "/reload"
	ReloadHeader = "X-Importer-Reload"
)

func (h *Health) reload(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if !net.ParseIP(host).IsLoopback() || r.Header.Get(ReloadHeader) == "" {
		http.Error(w, "the configuration is read again for importer reload on the same machine only", http.StatusForbidden)
		return
	}
	if err := h.Reload(); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// judged answers with 200, or with 503 and the sentence that says why.
func judged(judge func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		text := "ok"
		if err := judge(); err != nil {
			text = err.Error()
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, text+"\n") //nolint:errcheck // whoever asked has gone
	})
}
