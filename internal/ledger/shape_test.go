package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
)

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
