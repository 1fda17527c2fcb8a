package ledger_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
)

func TestArmingAndSettlingStayWithinTheirPages(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l := ledgertest.OpenAt(t, dsn)
	const rows, batch, chunk = 10_000, 1000, 64
	w := begin(t, l, "acme")
	for first := 0; first < rows; first += batch {
		_, err := w.record(t.Context(), first, first+batch == rows, upTo(first+1, first+batch)...)
		require.NoError(t, err)
	}
	for records := range slices.Chunk(upTo(1, rows), chunk) {
		w.armed(t, records...)
		missed, err := w.settle(t.Context(), importer.Succeeded, records...)
		require.NoError(t, err)
		require.Empty(t, missed)
	}
	l.Close() // sessions that end have reported their statistics
	var updated, inPage int
	require.NoError(t, connect(t, dsn).QueryRow(t.Context(),
		`SELECT sum(n_tup_upd), sum(n_tup_hot_upd) FROM pg_stat_user_tables WHERE relname LIKE 'rows_%'`).Scan(&updated, &inPage))
	require.Equal(t, 2*rows, updated)
	require.GreaterOrEqual(t, float64(inPage)/float64(updated), 0.8, "%d of %d updates stayed within their page", inPage, updated)
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
	require.Equal(t, []string{
		"attempts.attempt", "attempts.drop_id", "attempts.month", "attempts.record",
		"claims.key",
		"row_data.drop_id", "row_data.month", "row_data.record",
		"rows.claim", "rows.drop_id", "rows.month", "rows.record",
	}, ask[[]string](t, conn, query))
	const partial = `SELECT count(*)::int FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE i.indpred IS NOT NULL AND c.relname LIKE 'row%'`
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
		CREATE TRIGGER see AFTER INSERT OR UPDATE ON rows FOR EACH STATEMENT EXECUTE FUNCTION see();
	END $$`)
	w := begin(t, ledgertest.OpenAt(t, dsn), "acme").recorded(t, 1)
	w.armed(t, 1)
	_, err := w.settle(t.Context(), importer.Succeeded, 1)
	require.NoError(t, err)
	require.Equal(t, []string{"on", "on", "off"}, ask[[]string](t, conn, `SELECT array_agg(synchronous) FROM seen`), "recorded, armed, settled")
	require.Equal(t, []string{"read committed"}, ask[[]string](t, conn, `SELECT array_agg(DISTINCT isolation) FROM seen`))
}
