package storm_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
)

// bugs are planted between an importer and what it relies on: a ledger or a
// dialer that breaks one rule, as a wrong importer would make them do.
var bugs = []bug{
	{"send before commit", func(p *process, _ *importer.Importer) { p.ledger = hasty{p.w.ledger, p} }},
	{"settle without compare-and-set", func(p *process, _ *importer.Importer) { p.ledger = careless{p.w.ledger} }},
	{"resend without the barrier", func(p *process, _ *importer.Importer) { p.dialer = unbarred{p.dialer} }},
	{"claim not released", func(p *process, _ *importer.Importer) { p.ledger = miserly{p.w.ledger} }},
	{"two armers", func(p *process, _ *importer.Importer) { p.ledger = greedy{p.w.ledger} }},
	{"no control number", func(p *process, _ *importer.Importer) { p.dialer = credulous{p.dialer, p.w} }},
	{"no deadline check", func(p *process, im *importer.Importer) {
		im.Clock = func() time.Duration { return p.awake() + 1 }
	}},
}

func TestEachBugBesideTheImporterIsFoundAndShrunk(t *testing.T) {
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			const seed, enough = 300_000, 5000
			broken, played := storm(t, seed, enough, b)
			require.NotNil(t, broken, "not found in %d plans", played)
			t.Logf("found and shrunk in %d plans: %s", played, broken.tale())
		})
	}
}

// hasty says that rows are armed before they are.
type hasty struct {
	*ledgertest.Fake
	p *process
}

func (h hasty) Arm(_ context.Context, d importer.Drop, run, holder int64, items []importer.Item, sendWithin, timeout time.Duration) (armed []int, err error) {
	time.AfterFunc(latency/2, func() {
		if !h.p.isDead() {
			_, _ = h.Fake.Arm(context.Background(), d, run, holder, items, sendWithin, timeout)
		}
	})
	for _, it := range items {
		armed = append(armed, it.Record)
	}
	return armed, nil
}

// careless settles rows however they stand.
type careless struct{ *ledgertest.Fake }

func (c careless) Settle(ctx context.Context, d importer.Drop, run, holder int64, calls int, list []importer.Settlement) ([]int, error) {
	missed, err := c.Fake.Settle(ctx, d, run, holder, calls, list)
	for _, s := range list {
		if slices.Contains(missed, s.Record) {
			row := c.Rows(d.ID)[s.Record-1]
			row.State, row.Reason = s.To, s.Reason
			c.Force(d.ID, row)
		}
	}
	return nil, err
}

// unbarred says that a write got through before it did.
type unbarred struct{ importer.Dialer }

func (unbarred) Touch(context.Context, int64, string, string) error { return nil }

// miserly keeps the claims of rows that ended without a lead.
type miserly struct{ *ledgertest.Fake }

func (m miserly) Settle(ctx context.Context, d importer.Drop, run, holder int64, calls int, list []importer.Settlement) ([]int, error) {
	var others []importer.Settlement
	for _, s := range list {
		if s.To != importer.Rejected {
			others = append(others, s)
			continue
		}
		row := m.Rows(d.ID)[s.Record-1]
		row.State, row.Reason = s.To, s.Reason
		m.Force(d.ID, row)
	}
	return m.Fake.Settle(ctx, d, run, holder, calls, others)
}

// greedy arms rows whoever holds the drop, and however they stand.
type greedy struct{ *ledgertest.Fake }

func (g greedy) Arm(_ context.Context, d importer.Drop, _, holder int64, items []importer.Item, _, _ time.Duration) (armed []int, err error) {
	for _, it := range items {
		row := g.Rows(d.ID)[it.Record-1]
		row.State, row.Reason, row.Attempt, row.Holder = importer.Armed, "", it.Attempt+1, holder
		g.Force(d.ID, row)
		armed = append(armed, it.Record)
	}
	return armed, nil
}

// credulous finds the leads known to be there also when it finds nothing else.
type credulous struct {
	importer.Dialer
	w *world
}

func (c credulous) Search(ctx context.Context, list string, phones []string) (map[string][]int64, error) {
	found, err := c.Dialer.Search(ctx, list, phones)
	if err == nil && c.w.dialer.blind.at(c.w.now()) {
		found[phone(control)] = c.w.dialer.find(phone(control))
	}
	return found, err
}
