package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"importer/internal/lead"
)

// deliverFor is about how long each level of calls in flight is measured.
const deliverFor = 20 * time.Second

// deliver measures new leads from the file to the dialer, and the same calls
// without a ledger.
func deliver(ctx context.Context, s *site, t *table) error {
	first := 0
	for _, level := range []struct {
		inFlight int
		share    float64 // of calls ÷ latency, at least
		rate     float64 // rows a second, at least
	}{{8, 0.9, 0}, {32, 0.9, 0}, {64, 0, 2500}} {
		most := float64(level.inFlight) / latency.Seconds()
		rows := int(most * deliverFor.Seconds())
		t.title("%d new rows, %d calls in flight, %s latency: at most %.0f rows/s", rows, level.inFlight, latency, most)
		plain, err := s.plain(ctx, first, rows, level.inFlight)
		if err != nil {
			return err
		}
		first += rows
		t.told("the same calls without a ledger", "%.0f rows/s", plain.rate())
		file := filepath.Join(s.dir, "new.csv")
		if err := writePeople(file, first, rows, 1); err != nil {
			return err
		}
		first += rows
		m, err := s.importFile(ctx, file, rows, level.inFlight)
		if err != nil {
			return err
		}
		if m.result.Outcomes["SUCCESS"] != rows {
			return fmt.Errorf("of %d rows, %d were added", rows, m.result.Outcomes["SUCCESS"])
		}
		if level.rate > 0 {
			t.atLeast("import", "%.0f rows/s", m.rate(), level.rate)
		} else {
			t.told("import", "%.0f rows/s", m.rate())
		}
		t.told("of the same calls without a ledger", "%.1f %%", 100*m.rate()/plain.rate())
		if level.share > 0 {
			t.atLeast("of calls ÷ latency", "%.1f %%", 100*m.rate()/most, 100*level.share)
		} else {
			t.told("of calls ÷ latency", "%.1f %%", 100*m.rate()/most)
		}
		t.atMost("processor time of importer and PostgreSQL", "%.0f µs/row", m.perRow(m.own+m.ledger), 400)
		costs(t, m)
		t.told("  the same calls without a ledger", "%.0f µs/row", plain.perRow(plain.own))
		t.told("memory of the importer, at most", "%.1f MiB", mib(m.memory))
	}
	return nil
}

// costs tells who had the processors for how long.
func costs(t *table, m measured) {
	t.told("  importer", "%.0f µs/row", m.perRow(m.own))
	t.told("  PostgreSQL", "%.0f µs/row", m.perRow(m.ledger))
	t.told("  simulated dialer, not counted", "%.0f µs/row", m.perRow(m.dialer))
}

func mib(bytes int) float64 { return float64(bytes) / (1 << 20) }

// plain makes the calls of an import with the same number of workers and
// nothing else: what this machine and the dialer can do at best.
func (s *site) plain(ctx context.Context, first, rows, workers int) (m measured, err error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began, spentBefore := time.Now(), spentHere()
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= rows || ctx.Err() != nil {
					return
				}
				if err := s.post(ctx, client, first+i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	m.rows, m.wall, m.own = rows, time.Since(began), spentHere()-spentBefore
	return m, context.Cause(ctx)
}

func (s *site) post(ctx context.Context, client *http.Client, n int) error {
	l, _, refusal := rules.Clean(person(n))
	if refusal != nil {
		return errors.New(refusal.Detail)
	}
	form := url.Values{
		"function": {"add_lead"}, "source": {"importer"}, "user": {"importer"}, "pass": {s.password},
		"source_id": {fmt.Sprintf("R%016d-1", n)}, "dnc_check": {"Y"}, "list_exists_check": {"Y"}, "end": {"1"},
	}
	for _, field := range lead.Fields() {
		if value := l.Get(field); value != "" {
			form.Set(field, value)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.dialerURL, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && !strings.HasPrefix(string(body), "SUCCESS") {
		err = errors.New("the simulated dialer refused a call")
	}
	return err
}
