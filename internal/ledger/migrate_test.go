package ledger_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
	"importer/migrations"
)

func TestManyStartersMigrateANewLedgerTogether(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	conn := connect(t, dsn)
	do(t, conn, `DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	const starters = 8
	ledgers, steps := make([]*ledger.Ledger, starters), make([]int, starters)
	for i := range ledgers {
		ledgers[i] = ledgertest.OpenAt(t, dsn)
	}
	var g errgroup.Group
	for i, l := range ledgers {
		g.Go(func() (err error) {
			steps[i], err = l.Migrate(t.Context())
			return err
		})
	}
	require.NoError(t, g.Wait())
	current, wanted, err := ledgers[0].Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, wanted, current)
	taken := 0
	for _, n := range steps {
		taken += n
	}
	require.EqualValues(t, wanted, taken, "each step was taken once")
	begin(t, ledgers[0], "acme").recorded(t, 1, 2, 3)
}

// TestDropsOfEarlierVersionsKeepWhatTheyHad goes back to the schema that counted
// lines without a record only, and forth again.
func TestDropsOfEarlierVersionsKeepWhatTheyHad(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	conn := connect(t, dsn)
	w := begin(t, ledgertest.OpenAt(t, dsn), "acme")
	w.d.Header, w.d.Fields = []string{"Phone"}, []string{"phone_number"}
	w.d.Outside = importer.Outside{Count: 3, ByKind: map[string]int{"blank": 3}, First: []importer.OutsideLine{{Line: 2, Kind: "blank"}}}
	w.recorded(t, 1)

	db := stdlib.OpenDB(*conn.Config())
	defer db.Close()
	steps, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	const countedOnly = 2
	_, err = steps.DownTo(t.Context(), countedOnly)
	require.NoError(t, err)
	require.Equal(t, 3, ask[int](t, conn, `SELECT skipped FROM drops`))
	_, err = steps.Up(t.Context())
	require.NoError(t, err)

	d, err := ledgertest.OpenAt(t, dsn).OpenDrop(t.Context(), w.d)
	require.NoError(t, err)
	require.Equal(t, importer.Outside{Count: 3}, d.Outside)
	require.Equal(t, []string{"Phone"}, d.Header)
	require.Empty(t, d.Fields)
}

// TestLeadsOfEarlierVersionsAreFound goes back to the schema that did not know
// which lead ids a run had brought in, and forth again.
func TestLeadsOfEarlierVersionsAreFound(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l := ledgertest.OpenAt(t, dsn)
	w := begin(t, l, "acme").recorded(t, 1, 2, 3).armed(t, 1, 2, 3)
	require.NoError(t, l.JoinDrop(t.Context(), w.run, w.d, false))
	_, err := w.settle(t.Context(), importer.Succeeded, 1, 2, 3)
	require.NoError(t, err)

	db := stdlib.OpenDB(*connect(t, dsn).Config())
	defer db.Close()
	steps, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	const unknown = 5
	_, err = steps.DownTo(t.Context(), unknown)
	require.NoError(t, err)
	_, err = steps.Up(t.Context())
	require.NoError(t, err)
	found, err := ledgertest.OpenAt(t, dsn).Find(t.Context(), importer.Sought{LeadID: 1002})
	require.NoError(t, err)
	require.Equal(t, []int{2}, recordsOf(found))
}

func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	do(t, connect(t, dsn), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	_, err := ledgertest.OpenAt(t, dsn).Migrate(t.Context())
	require.ErrorContains(t, err, "use a newer importer")
}

func TestAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	right := importer.NewKeyring([]byte("right")).Fingerprint()
	wrong := importer.NewKeyring([]byte("wrong")).Fingerprint()
	fingerprint, err := l.Fingerprint(t.Context())
	require.NoError(t, err)
	require.Empty(t, fingerprint)
	for which, fingerprints := range [][]string{{right}, {wrong, right}} {
		got, err := l.Unlock(t.Context(), fingerprints...)
		require.NoError(t, err)
		require.Equal(t, which, got)
	}
	_, err = l.Unlock(t.Context(), wrong)
	require.ErrorContains(t, err, "another key")
	fingerprint, err = l.Fingerprint(t.Context())
	require.NoError(t, err)
	require.Equal(t, right, fingerprint)
}

func TestPartitionsExistBeforeTheyAreNeeded(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	conn := connect(t, dsn)
	const partitions = `
		SELECT count(*)::int FROM pg_inherits
		WHERE inhparent IN ('rows'::regclass, 'row_data'::regclass, 'attempts'::regclass) AND inhrelid::regclass::text ~ $1`
	now := time.Now().UTC()
	this := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	for _, month := range []time.Time{this, this.AddDate(0, 1, 0)} {
		require.Equal(t, 3, ask[int](t, conn, partitions, month.Format("2006_01")+"$"), month)
	}
	// A process that runs into a new month makes them as it meets drops.
	do(t, conn, `DO $$ DECLARE p text; BEGIN
		FOR p IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent IN ('rows'::regclass, 'row_data'::regclass, 'attempts'::regclass) LOOP
			EXECUTE 'DROP TABLE ' || p;
		END LOOP;
	END $$`)
	l := ledgertest.OpenAt(t, dsn)
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			_, err := l.OpenDrop(t.Context(), importer.Drop{Feed: "acme"})
			return err
		})
	}
	require.NoError(t, g.Wait())
	require.Contains(t, []int{6, 9}, ask[int](t, conn, partitions, ""), "two months', or three where one has just ended")
}

// A starter that does not come to its end keeps no other waiting for ever.
func TestWhoeverMigratesIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	one, two := ledgertest.OpenAt(t, dsn), ledgertest.OpenAt(t, dsn)
	ran := false
	require.NoError(t, one.Alone(t.Context(), time.Minute, func() error {
		err := two.Alone(t.Context(), time.Millisecond, func() error { ran = true; return nil })
		require.EqualError(t, err, "another importer has been bringing the ledger's schema up to date for 1ms: see that it ends, then try again")
		return nil
	}))
	require.False(t, ran)
	require.NoError(t, two.Alone(t.Context(), time.Millisecond, func() error { ran = true; return nil }))
	require.True(t, ran)
}
