package ledger_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
)

const (
	benchBatch = 1000
	benchChunk = 64
)

// fill puts claims of rows that are loaded into the ledger.
func fill(b *testing.B, conn *pgx.Conn, claims int) {
	b.Helper()
	do(b, conn, `INSERT INTO claims (key, drop_id, record) SELECT md5(n::text)::uuid, 0, n FROM generate_series(1, $1::int) n`, claims)
}

// walSince is how many bytes of log the server has written since a position.
func walSince(b *testing.B, conn *pgx.Conn, lsn string) float64 {
	b.Helper()
	return ask[float64](b, conn, `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)::float8`, lsn)
}

func walNow(b *testing.B, conn *pgx.Conn) string {
	b.Helper()
	return ask[string](b, conn, `SELECT pg_current_wal_insert_lsn()::text`)
}

func report(b *testing.B, rows int, wal float64) {
	b.Helper()
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(wal/float64(rows), "wal-B/row")
}

// BenchmarkRecord records batches whose leads are all new or all known, in an
// empty ledger and in one that knows a million.
func BenchmarkRecord(b *testing.B) {
	for _, known := range []bool{false, true} {
		for _, claims := range []int{0, 1_000_000} {
			b.Run(fmt.Sprintf("known=%t/claims=%d", known, claims), func(b *testing.B) {
				dsn := ledgertest.Database(b)
				conn, l := connect(b, dsn), ledgertest.OpenAt(b, dsn)
				fill(b, conn, claims)
				if known {
					recordAll(b, begin(b, l, "earlier"), b.N)
				}
				w := begin(b, l, "acme")
				lsn := walNow(b, conn)
				b.ResetTimer()
				recordAll(b, w, b.N)
				b.StopTimer()
				report(b, b.N*benchBatch, walSince(b, conn, lsn))
			})
		}
	}
}

func recordAll(b *testing.B, w *work, batches int) {
	b.Helper()
	for i := range batches {
		first := i * benchBatch
		_, err := w.record(b.Context(), first, i == batches-1, upTo(first+1, first+benchBatch)...)
		require.NoError(b, err)
	}
}

// BenchmarkDeliver arms and settles the rows of one drop chunk by chunk, and
// measures one of the two.
func BenchmarkDeliver(b *testing.B) {
	for _, c := range []struct {
		step     string
		to       importer.State
		armTimed bool
	}{
		{"arm", importer.Succeeded, true},
		{"settle", importer.Succeeded, false},
		{"reject", importer.Rejected, false},
	} {
		b.Run(c.step, func(b *testing.B) {
			dsn := ledgertest.Database(b)
			conn, l := connect(b, dsn), ledgertest.OpenAt(b, dsn)
			fill(b, conn, 1_000_000)
			w := begin(b, l, "acme")
			recordAll(b, w, (b.N*benchChunk+benchBatch-1)/benchBatch)
			wal := 0.0
			measure := func(measured bool, step func() ([]int, error)) []int {
				lsn := walNow(b, conn)
				if measured {
					b.StartTimer()
				}
				records, err := step()
				b.StopTimer()
				require.NoError(b, err)
				if measured {
					wal += walSince(b, conn, lsn)
				}
				return records
			}
			b.StopTimer()
			b.ResetTimer()
			for i := range b.N {
				records := upTo(i*benchChunk+1, (i+1)*benchChunk)
				armed := measure(c.armTimed, func() ([]int, error) { return w.arm(b.Context(), records...) })
				require.Len(b, armed, benchChunk)
				missed := measure(!c.armTimed, func() ([]int, error) { return w.settle(b.Context(), c.to, records...) })
				require.Empty(b, missed)
			}
			report(b, b.N*benchChunk, wal)
			reported(b, l, conn)
			b.ReportMetric(ask[float64](b, conn, `
				SELECT sum(n_tup_hot_upd) * 100.0 / sum(n_tup_upd) FROM pg_stat_user_tables WHERE relname ~ '^rows_'`), "%in-page")
		})
	}
}
