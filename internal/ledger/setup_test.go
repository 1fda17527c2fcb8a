package ledger_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/ledger"
)

// work is a run's work on one drop. Its methods return errors, so that any
// goroutine may use them.
type work struct {
	*ledger.Ledger
	d      importer.Drop
	run    int64
	holder int64
}

// begin starts a run on a new drop of a feed.
func begin(t testing.TB, l *ledger.Ledger, feed string) *work {
	t.Helper()
	d := importer.Drop{Feed: feed, Dialer: "main", Name: "leads.csv", Settings: "v1"}
	_, err := rand.Read(d.SHA256[:])
	require.NoError(t, err)
	w := &work{Ledger: l}
	w.run, w.holder, err = l.StartRun(t.Context(), feed, "import")
	require.NoError(t, err)
	w.d, err = l.OpenDrop(t.Context(), d)
	require.NoError(t, err)
	w.d, err = l.LeaseDrop(t.Context(), w.d.ID, w.holder, time.Hour)
	require.NoError(t, err)
	return w
}

// record records rows whose leads are known by numbers.
func (w *work) record(ctx context.Context, first int, last bool, leads ...int) ([]importer.Recorded, error) {
	rows := make([]importer.NewRow, len(leads))
	for i, n := range leads {
		rows[i] = newRow(first+i+1, n)
	}
	return w.Record(ctx, w.d, w.run, w.holder, first, rows, last, 0)
}

func (w *work) arm(ctx context.Context, records ...int) ([]int, error) {
	items := make([]importer.Item, len(records))
	for i, r := range records {
		items[i].Record = r
	}
	return w.Arm(ctx, w.d, w.run, w.holder, items, 20*time.Second, 30*time.Second)
}

// settle settles the first attempt of armed rows.
func (w *work) settle(ctx context.Context, to importer.State, records ...int) ([]int, error) {
	list := make([]importer.Settlement, len(records))
	for i, r := range records {
		list[i] = importer.Settlement{Record: r, Attempt: 1, From: importer.Armed, To: to, Reason: "answered"}
		if to == importer.Succeeded {
			list[i].LeadID = int64(1000 + r)
		}
	}
	return w.Settle(ctx, w.d, w.run, w.holder, len(records), list)
}

// recorded and armed are for what is no part of the test.
func (w *work) recorded(t testing.TB, leads ...int) *work {
	t.Helper()
	_, err := w.record(t.Context(), 0, true, leads...)
	require.NoError(t, err)
	return w
}

func (w *work) armed(t testing.TB, records ...int) *work {
	t.Helper()
	armed, err := w.arm(t.Context(), records...)
	require.NoError(t, err)
	require.ElementsMatch(t, records, armed)
	return w
}

// key is the claim key of a numbered lead.
func key(n int) (k importer.ClaimKey) {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	copy(k[:], sum[:])
	return k
}

// newRow is as wide as a usual vendor's row.
func newRow(record, n int) importer.NewRow {
	phone := fmt.Sprintf("305555%04d", n%10000)
	return importer.NewRow{
		Record: record, Line: record + 1, Claim: key(n),
		Cells: []string{"Ann", "Example", phone, "1 Main Street", "Miami", "FL", "33101", "ann@example.com", "V" + phone, "web form"},
		Lead: lead.Lead{
			PhoneCode: "1", PhoneNumber: phone, ListID: "101", FirstName: "Ann", LastName: "Example",
			Address1: "1 Main Street", City: "Miami", State: "FL", PostalCode: "33101", CountryCode: "USA",
			Email: "ann@example.com", VendorLeadCode: "V" + phone,
		},
	}
}

// upTo lists the numbers from first to last.
func upTo(first, last int) (n []int) {
	for i := first; i <= last; i++ {
		n = append(n, i)
	}
	return n
}

// connect is a connection of the test's own.
func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

// ask runs a query for one value.
func ask[T any](t testing.TB, conn *pgx.Conn, query string, args ...any) (answer T) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), query, args...).Scan(&answer))
	return answer
}

func do(t testing.TB, conn *pgx.Conn, query string, args ...any) {
	t.Helper()
	_, err := conn.Exec(t.Context(), query, args...)
	require.NoError(t, err)
}

// reported closes a ledger and waits for its sessions to end: by then they have
// reported their statistics.
func reported(t testing.TB, l *ledger.Ledger, conn *pgx.Conn) {
	t.Helper()
	l.Close()
	require.Eventually(t, func() bool {
		return ask[bool](t, conn, `SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'importer'`)
	}, 30*time.Second, time.Millisecond)
}

// requireSound holds the whole ledger to what must be true after any
// interleaving of calls in which no claim has expired.
func requireSound(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	for what, query := range map[string]string{
		"claims whose row does not stand for them": `
			SELECT count(*) FROM claims c LEFT JOIN rows r ON r.drop_id = c.drop_id AND r.record = c.record AND r.claim = c.key
				AND r.state NOT IN ('invalid', 'rejected', 'failed') AND r.reason <> 'already_loaded'
			WHERE r.record IS NULL`,
		"stranded duplicates": `
			SELECT count(*) FROM rows r WHERE r.state = 'duplicate' AND r.reason = 'already_loaded'
				AND NOT EXISTS (SELECT FROM claims c WHERE c.key = r.claim)`,
		"rows that could be sent without a claim": `
			SELECT count(*) FROM rows r LEFT JOIN claims c ON c.key = r.claim AND c.drop_id = r.drop_id AND c.record = r.record
			WHERE r.state IN ('pending', 'armed', 'unknown') AND c.key IS NULL`,
		"done drops with open rows": `
			SELECT count(*) FROM rows r JOIN drops d ON d.id = r.drop_id
			WHERE d.state = 'done' AND r.state IN ('pending', 'armed', 'unknown')`,
		"drops that miscount their rows": `
			SELECT count(*) FROM drops d WHERE recorded <> (SELECT count(*) FROM rows r WHERE r.drop_id = d.id)
				OR recorded <> (SELECT count(*) FROM row_data w WHERE w.drop_id = d.id)`,
	} {
		require.Zero(t, ask[int](t, conn, query), what)
	}
}
