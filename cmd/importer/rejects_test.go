package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
	"importer/internal/nonagent/dialersim"
)

// The third contact's answer is lost, and its lead has no token to ask for; the
// fourth is on the dialer's do-not-call list, the fifth has no number, and the
// sixth was there before.
const vendorsFile = `Phone,First Name,Notes
718-555-0101,Olive,fine
718-555-0102,Quentin,fine
718-555-0103,Rosa,fine
718-555-0104,Silas,=1+1
n/a,Tess,fine
718-555-0101,Olive,again
`

const vendorsRejects = `Phone,First Name,Notes,import_line,import_outcome,import_reason,import_note
718-555-0103,Rosa,fine,4,REVIEW,no_token,
718-555-0104,Silas,'=1+1,5,ERROR,dialer_dnc,
n/a,Tess,fine,6,INVALID,phone_missing,there is no digit in the phone number's cell
`

func TestAVendorGetsItsRejectsAndNothingOfOurDialer(t *testing.T) {
	t.Parallel()
	s := newSite(t, strings.Replace(with(brisk, "timeout: 1m"), "quiescence: 1s", "quiescence: 1s\n    token_field: none", 1))
	s.write(t, "vendor.csv", vendorsFile)
	s.write(t, "good.csv", "Tel,Vorname\n718-555-0105,Kim\n")
	s.dialer.AddDNC("SYSTEM_INTERNAL", "7185550104")
	s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
		if r.Function != "add_lead" || r.Get("phone_number") != "7185550103" {
			return dialersim.Fault{}
		}
		return dialersim.Fault{Answer: func(a *dialersim.Response) { a.Drop = true }}
	})
	for _, args := range [][]string{
		{"import", "vendor.csv", "good.csv", "--feed", "acme", "--again"},
		{"retry", "1", "--outcome", "error"},
	} {
		p := s.start(t, args...)
		require.Equal(t, exitPerson, p.ends(t), &p.err)
	}
	a := &app{ledger: ledgertest.OpenAt(t, s.ledger)}
	drops, err := a.ledger.ListDrops(t.Context(), ledger.DropFilter{})
	require.NoError(t, err)
	require.Len(t, drops, 2)
	good, vendor := drops[0].Drop, drops[1].Drop
	// As the audit does.
	require.NoError(t, a.ledger.NoteRow(t.Context(), vendor, 4, "the dialer has this lead although the row did not succeed: 77"))

	var out bytes.Buffer
	some, err := a.writeRejects(t.Context(), []int64{vendor.ID, good.ID}, &out)
	require.NoError(t, err)
	require.True(t, some)
	require.Equal(t, vendorsRejects, out.String())

	out.Reset()
	some, err = a.writeRejects(t.Context(), []int64{good.ID}, &out)
	require.NoError(t, err)
	require.False(t, some)
	require.Empty(t, out.String())

	_, err = a.writeRejects(t.Context(), []int64{999}, &out)
	require.ErrorIs(t, err, ledger.ErrNoDrop)
}
