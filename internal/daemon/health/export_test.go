package health

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"importer/internal/ledger"
)

// Ask asks the ledger once, as Watch does again and again.
func (h *Health) Ask(ctx context.Context, l *ledger.Ledger) { h.ask(ctx, l) }

// Gatherer is what Prometheus is shown.
func (h *Health) Gatherer() prometheus.Gatherer { return h.metrics.registry }

// Handler answers as Serve does.
func (h *Health) Handler() http.Handler { return h.handler() }
