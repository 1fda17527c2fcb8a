package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
)

// TestDeliveringADropTouchesNoMoreThanItsRows works, as a morning's first run
// does, on tables that PostgreSQL has not analysed since they were empty.
func TestDeliveringADropTouchesNoMoreThanItsRows(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l := ledgertest.OpenAt(t, dsn)
	begin(t, l, "acme").recorded(t, 0).armed(t, 1)
	const rows, chunk, rejected = 10_000, 64, 16
	w := begin(t, l, "acme").recorded(t, upTo(1, rows)...)
	begin(t, l, "bravo").recorded(t, upTo(1, rows)...) // the heirs of what is rejected
	for records := range slices.Chunk(upTo(1, rows), chunk) {
		w.armed(t, records...)
		for to, records := range map[importer.State][]int{importer.Rejected: records[:rejected], importer.Succeeded: records[rejected:]} {
			missed, err := w.settle(t.Context(), to, records...)
			require.NoError(t, err)
			require.Empty(t, missed)
		}
	}
	conn := connect(t, dsn)
	reported(t, l, conn)
	updated := ask[int](t, conn, `SELECT sum(n_tup_upd)::int FROM pg_stat_user_tables WHERE relname ~ '^rows_'`)
	const heirs = rejected * ((rows + chunk - 1) / chunk)
	require.Equal(t, 2*rows+1+heirs, updated)
	read := ask[int](t, conn, `SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int FROM pg_stat_user_tables WHERE relname ~ '^(rows_|claims$)'`)
	require.LessOrEqual(t, read, 5*updated, "rows and claims that were read")
}

func TestRowsFarApartAreArmedAndSettledTogether(t *testing.T) {
	t.Parallel()
	w := begin(t, ledgertest.Open(t), "acme").recorded(t, upTo(1, 2000)...)
	apart := []int{2000, 1, 65, 1000, 64, 129, 2, 193, 256, 1999} // gaps on both sides of what makes a stretch
	w.armed(t, apart...)
	missed, err := w.settle(t.Context(), importer.Succeeded, append(apart, 3, 500)...)
	require.NoError(t, err)
	require.ElementsMatch(t, []int{3, 500}, missed)
	counts, err := w.Tally(t.Context(), w.d)
	require.NoError(t, err)
	require.Equal(t, len(apart), counts.Outcome(importer.OutcomeSuccess))
	require.Equal(t, 2000-len(apart), counts.Outcome(importer.OutcomePending))
}

func TestASupersededAttemptIsKept(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	w := begin(t, ledgertest.OpenAt(t, dsn), "acme").recorded(t, 1, 2).armed(t, 1, 2)
	_, err := w.settle(t.Context(), importer.Pending, 1)
	require.NoError(t, err)
	again := []importer.Item{{Record: 1, Attempt: 1}, {Record: 2, Attempt: 1}}
	for range 2 {
		armed, err := w.Arm(t.Context(), w.d, w.run, w.holder, again, time.Second, time.Second)
		require.NoError(t, err)
		require.Equal(t, []int{1}, armed)
	}
	require.Equal(t, []string{"1/1 answered"}, ask[[]string](t, connect(t, dsn),
		`SELECT array_agg(record || '/' || attempt || ' ' || reason) FROM attempts`))
}

func TestNoIndexHoldsAColumnThatChanges(t *testing.T) {
	t.Parallel()
	conn := connect(t, ledgertest.Database(t))
	const query = `
		SELECT array_agg(DISTINCT c.relname || '.' || coalesce(a.attname, 'expression') ORDER BY c.relname || '.' || coalesce(a.attname, 'expression'))
		FROM pg_index i
		JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
		CROSS JOIN LATERAL unnest(i.indkey) AS k (attnum)
		LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname IN ('rows', 'row_data', 'attempts', 'claims')`
	// The content of a row never changes, whatever its index is of.
	require.Equal(t, []string{
		"attempts.attempt", "attempts.drop_id", "attempts.month", "attempts.record",
		"claims.key",
		"row_data.drop_id", "row_data.expression", "row_data.month", "row_data.record",
		"rows.claim", "rows.drop_id", "rows.month", "rows.record",
	}, ask[[]string](t, conn, query))
	const partial = `SELECT count(*)::int FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE i.indpred IS NOT NULL AND c.relname ~ '^rows(_|$)'`
	require.Zero(t, ask[int](t, conn, partial), "the columns of a condition count as indexed")
}

func TestWhatIsArmedWaitsForTheDiskWhateverTheDatabaseSays(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	conn := connect(t, dsn)
	do(t, conn, `DO $$ BEGIN
		EXECUTE 'ALTER DATABASE "' || current_database() || '" SET synchronous_commit = off';
		EXECUTE 'ALTER DATABASE "' || current_database() || '" SET default_transaction_isolation = ''serializable''';
		CREATE TABLE seen (tab text, synchronous text, isolation text);
		CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
			INSERT INTO seen VALUES (TG_TABLE_NAME, current_setting(''synchronous_commit''), current_setting(''transaction_isolation''));
			RETURN NULL;
		END';
		CREATE TRIGGER see AFTER INSERT OR UPDATE ON rows FOR EACH ROW EXECUTE FUNCTION see();
	END $$`)
	w := begin(t, ledgertest.OpenAt(t, dsn), "acme").recorded(t, 1)
	w.armed(t, 1)
	_, err := w.settle(t.Context(), importer.Succeeded, 1)
	require.NoError(t, err)
	require.Equal(t, []string{"on", "on", "off"}, ask[[]string](t, conn, `SELECT array_agg(synchronous) FROM seen`), "recorded, armed, settled")
	require.Equal(t, []string{"read committed"}, ask[[]string](t, conn, `SELECT array_agg(DISTINCT isolation) FROM seen`))
}
