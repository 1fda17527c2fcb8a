package health

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"importer/internal/importer"
)

// dialer measures the calls that are made to a dialer.
type dialer struct {
	to       importer.Dialer
	inFlight prometheus.Gauge
	took     prometheus.Observer
	unknown  prometheus.Counter
}

func (m *metrics) dialer(name string, to importer.Dialer) *dialer {
	return &dialer{to, m.inFlight.WithLabelValues(name), m.calls.WithLabelValues(name), m.unknown.WithLabelValues(name)}
}

// measure makes a call, which tells whether it is one to measure.
func (d *dialer) measure(call func() bool) {
	d.inFlight.Inc()
	defer d.inFlight.Dec()
	began := time.Now()
	if call() {
		d.took.Observe(time.Since(began).Seconds())
	}
}

// AddLead implements importer.Sender.
func (d *dialer) AddLead(ctx context.Context, c importer.Call) (a importer.Answer) {
	d.measure(func() bool {
		a = d.to.AddLead(ctx, c)
		return a.Written
	})
	d.heard(a)
	return a
}

// UpdateCustomFields implements importer.Sender.
func (d *dialer) UpdateCustomFields(ctx context.Context, lead int64, list string, values map[string]string) (a importer.Answer) {
	d.measure(func() bool {
		a = d.to.UpdateCustomFields(ctx, lead, list, values)
		return true
	})
	d.heard(a)
	return a
}

func (d *dialer) heard(a importer.Answer) {
	if a.Verdict == importer.VerdictUnknown {
		d.unknown.Inc()
	}
}

// Search implements importer.Lookup.
func (d *dialer) Search(ctx context.Context, list string, phones []string) (found map[string][]int64, err error) {
	d.measure(func() bool {
		found, err = d.to.Search(ctx, list, phones)
		return true
	})
	return found, err
}

// Field implements importer.Lookup.
func (d *dialer) Field(ctx context.Context, lead int64, field string) (value string, err error) {
	d.measure(func() bool {
		value, err = d.to.Field(ctx, lead, field)
		return true
	})
	return value, err
}

// Touch implements importer.Lookup.
func (d *dialer) Touch(ctx context.Context, lead int64, field, value string) (err error) {
	d.measure(func() bool {
		err = d.to.Touch(ctx, lead, field, value)
		return true
	})
	return err
}
