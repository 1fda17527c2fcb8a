package daemon

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/ledger/ledgertest"
	"importer/internal/schedule"
)

// BenchmarkJudge judges a thousand feeds, none of which is due, or all.
func BenchmarkJudge(b *testing.B) {
	const many = 1000
	daily, err := schedule.Parse([]string{"0 6 * * *"}, time.UTC)
	require.NoError(b, err)
	for _, name := range []string{"idle", "due"} {
		b.Run(name, func(b *testing.B) {
			l := ledgertest.Open(b)
			require.NoError(b, Migrate(b.Context(), l))
			feeds := make([]Feed, many)
			for i := range feeds {
				feeds[i] = Feed{Name: fmt.Sprintf("feed-%d", i), Schedule: daily, Zone: time.UTC}
			}
			now := time.Date(2026, time.March, 2, 6, 0, 0, 0, time.UTC)
			d, err := New(Options{Ledger: l, AtOnce: 4, Lease: time.Hour, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }, Looked: func() {}}, feeds)
			require.NoError(b, err)
			_, err = d.judge(b.Context())
			require.NoError(b, err)
			for b.Loop() {
				if name == "due" {
					now = now.Add(24 * time.Hour)
				}
				_, err := d.judge(b.Context())
				require.NoError(b, err)
			}
		})
	}
}
