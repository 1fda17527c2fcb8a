package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

// verdict is the ledger held against the log of the dialer, which knows what
// was really inserted.
type verdict struct {
	rows    int
	missing []string // leads that the dialer should have and has not
	twice   []string // leads that it has more than once
	wrong   []string // whatever else the ledger says that is not so
}

// requireOracle requires a healed site that has come to its end to have lost
// nothing, to have added nothing twice, and to say so.
func (s *site) requireOracle(t *testing.T) {
	t.Helper()
	s.judge(t).require(t)
}

func (v verdict) require(t *testing.T) {
	t.Helper()
	require.Empty(t, v.missing, "missing")
	require.Empty(t, v.twice, "twice")
	require.Empty(t, v.wrong, "the ledger is wrong")
}

// judged is one row of the ledger with the leads that carry its token.
type judged struct {
	Drop, LeadID  int64
	Record        int
	State, Reason string
	Phone, List   string
	Feed          string
	SHA256        []byte
	ClaimDrop     int64
	ClaimRecord   int
	HolderState   string // of the row that holds its claim
	leads         []int64
	elsewhere     bool // a lead carries its token, but not its number or list
}

func (r *judged) String() string {
	return fmt.Sprintf("drop %d, record %d (%s %s)", r.Drop, r.Record, r.State, r.Reason)
}

func (s *site) judge(t *testing.T) (v verdict) {
	t.Helper()
	secret := []byte(s.key)
	if s.key == "" {
		var err error
		secret, err = os.ReadFile(filepath.Join(s.dir, "state", "hmac.key"))
		require.NoError(t, err)
	}
	keys := importer.NewKeyring(secret)
	rows := s.judgedRows(t)
	byToken := map[string]*judged{}
	for _, r := range rows {
		token, _, _ := strings.Cut(keys.Token(r.Feed, [32]byte(r.SHA256), r.Record, 1), "-")
		byToken[token] = r
	}
	byPhone := map[string]int{}
	for _, d := range s.everyDialer() {
		for _, i := range d.Inserts() {
			byPhone[i.Phone]++
			token, _, _ := strings.Cut(i.SourceID, "-")
			r := byToken[token]
			if r == nil {
				v.wrong = append(v.wrong, fmt.Sprintf("lead %d carries no row's token", i.LeadID))
				continue
			}
			r.leads = append(r.leads, i.LeadID)
			r.elsewhere = r.elsewhere || i.Phone != r.Phone || strconv.FormatUint(i.ListID, 10) != r.List
		}
		if most := d.MaxInFlight(""); most > s.limit {
			v.wrong = append(v.wrong, fmt.Sprintf("%d calls were in flight at once", most))
		}
	}
	for phone, n := range byPhone {
		if n > 1 {
			v.twice = append(v.twice, phone)
		}
	}
	v.rows = len(rows)
	for _, r := range rows {
		v.judgeRow(r)
	}
	v.wrong = append(v.wrong, s.judgeDrops(t)...)
	v.wrong = append(v.wrong, s.judgeWords(t)...)
	return v
}

func (v *verdict) judgeRow(r *judged) {
	wrong := func(what string) { v.wrong = append(v.wrong, fmt.Sprintf("%v: %s", r, what)) }
	holdsClaim := r.ClaimDrop == r.Drop && r.ClaimRecord == r.Record
	if len(r.leads) > 1 {
		v.twice = append(v.twice, r.String())
	}
	if r.elsewhere {
		wrong("another number or list carries its token")
	}
	state := importer.State(r.State)
	if len(r.leads) > 0 && state != importer.Succeeded {
		wrong("the dialer has it")
	}
	switch state {
	case importer.Succeeded:
		switch {
		case len(r.leads) == 0:
			v.missing = append(v.missing, r.String())
		case r.leads[0] != r.LeadID:
			wrong("the dialer has it as another lead")
		case !holdsClaim:
			wrong("somebody else holds its claim")
		}
	case importer.Duplicate:
		// Whoever holds its claim is in: nobody rests on a row that failed.
		if r.HolderState != string(importer.Succeeded) {
			v.missing = append(v.missing, r.String())
		}
	case importer.Rejected, importer.Failed:
		if holdsClaim {
			wrong("it still holds its claim")
		}
	case importer.Invalid:
		if r.ClaimDrop != 0 {
			wrong("it has a claim")
		}
	case importer.Pending, importer.Armed, importer.Unknown, importer.Review:
		wrong("it has not come to its end")
	}
}

// judgeWords tells what of people the ledger's own words say, which are shown
// in reports.
func (s *site) judgeWords(t *testing.T) (wrong []string) {
	t.Helper()
	const query = `
		SELECT note FROM rows UNION SELECT reason FROM attempts UNION SELECT why FROM drops
		UNION SELECT error || ' ' || array_to_string(alarms, ' ') FROM runs`
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), query)
	require.NoError(t, err)
	words, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, text := range words {
		if shown := s.shown(text); len(shown) > 0 {
			wrong = append(wrong, fmt.Sprintf("%q shows %q", text, shown))
		}
	}
	return wrong
}

func (s *site) judgedRows(t *testing.T) []*judged {
	t.Helper()
	const query = `
		SELECT r.drop_id AS drop, coalesce(r.lead_id, 0) AS lead_id, r.record, r.state::text, r.reason,
			coalesce(w.lead ->> 'phone_number', '') AS phone, coalesce(w.lead ->> 'list_id', '') AS list, d.feed, d.sha256,
			coalesce(c.drop_id, 0) AS claim_drop, coalesce(c.record, 0) AS claim_record, coalesce(h.state::text, '') AS holder_state
		FROM rows r
		JOIN drops d ON d.id = r.drop_id
		JOIN row_data w ON w.month = r.month AND w.drop_id = r.drop_id AND w.record = r.record
		LEFT JOIN claims c ON c.key = r.claim
		LEFT JOIN rows h ON h.drop_id = c.drop_id AND h.record = c.record`
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), query)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[judged])
	require.NoError(t, err)
	return list
}

// judgeDrops tells what is wrong with the drops as a whole: each file's rows
// are all there, or none of one that cannot be read, and it is needed no more.
func (s *site) judgeDrops(t *testing.T) (wrong []string) {
	t.Helper()
	const query = `
		SELECT d.name, d.state, d.recorded, (SELECT count(*) FROM rows WHERE drop_id = d.id), encode(d.sha256, 'hex')
		FROM drops d`
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), query)
	require.NoError(t, err)
	var name, state, hash string
	var recorded, there int
	_, err = pgx.ForEachRow(rows, []any{&name, &state, &recorded, &there, &hash}, func() error {
		end, rows := importer.DropDone, s.files[name]
		if rows == broken {
			end, rows = importer.DropFailed, 0
		}
		if state != string(end) || recorded != rows || there != rows {
			wrong = append(wrong, fmt.Sprintf("%s has %d rows, is %s with %d recorded and %d there", name, rows, state, recorded, there))
		}
		if left, _ := filepath.Glob(filepath.Join(s.dir, "state*", "spool", "*", hash)); len(left) > 0 {
			wrong = append(wrong, name+" is still in the spool")
		}
		return nil
	})
	require.NoError(t, err)
	if left, _ := filepath.Glob(filepath.Join(s.dir, "state*", "spool", "*", ".un*")); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("the spool holds what killed importers left: %q", left))
	}
	return wrong
}
