package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/ledger/ledgertest"
)

// numbered is a row whose lead has a number.
func numbered(record int, code, phone string) importer.NewRow {
	return importer.NewRow{
		Record: record, Line: record + 1, Cells: []string{phone}, Claim: key(len(code)),
		Lead: lead.Lead{PhoneCode: code, PhoneNumber: phone, ListID: "101"},
	}
}

func TestARowIsFoundByItsNumberInEveryDrop(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	first := begin(t, l, "acme")
	broken := importer.NewRow{Record: 3, Line: 5, Cells: []string{"Ann", "+1 (305) 555-0123"}, Refusal: &lead.Refusal{Reason: "row_fields"}}
	other := importer.NewRow{Record: 4, Line: 6, Cells: []string{"call 305 555 0123 today, not 4"}, Refusal: &lead.Refusal{Reason: "row_fields"}}
	_, err := l.Record(t.Context(), first.d, first.run, first.holder, 0,
		[]importer.NewRow{numbered(1, "1", "3055550123"), numbered(2, "44", "3055550123"), broken, other}, true, 0)
	require.NoError(t, err)
	first.armed(t, 1)
	_, err = first.settle(t.Context(), importer.Pending, 1)
	require.NoError(t, err)
	again := []importer.Item{{Record: 1, Attempt: 1}}
	_, err = l.Arm(t.Context(), first.d, first.run, first.holder, again, 0, 0)
	require.NoError(t, err)
	_, err = l.Settle(t.Context(), first.d, first.run, first.holder, 1,
		[]importer.Settlement{{Record: 1, Attempt: 2, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded, LeadID: 77, Note: "added to hopper"}})
	require.NoError(t, err)
	second := begin(t, l, "bravo")
	_, err = l.Record(t.Context(), second.d, second.run, second.holder, 0, []importer.NewRow{numbered(1, "1", "3055550123")}, true, 0)
	require.NoError(t, err)

	found, err := l.Find(t.Context(), []lead.Lead{{PhoneCode: "1", PhoneNumber: "3055550123"}}, "3055550123")
	require.NoError(t, err)
	require.Len(t, found, 3)
	require.Equal(t, []int64{first.d.ID, first.d.ID, second.d.ID}, []int64{found[0].Drop.ID, found[1].Drop.ID, found[2].Drop.ID})
	require.Equal(t, first.d.FirstSeen, found[0].Drop.FirstSeen)
	loaded, broke, twice := found[0], found[1], found[2]
	loaded.Drop, broke.Drop, twice.Drop = importer.Drop{}, importer.Drop{}, importer.Drop{}
	require.Equal(t, importer.Found{
		Record: 1, Line: 2, State: importer.Succeeded, Reason: importer.ReasonAdded, Note: "added to hopper", ListID: "101", LeadID: 77,
		Attempt: 2, Superseded: []importer.Reason{"answered"}, Run: first.run,
	}, loaded)
	require.Equal(t, importer.Found{Record: 3, Line: 5, State: importer.Invalid, Reason: "row_fields", Superseded: []importer.Reason{}, Run: first.run}, broke)
	require.Equal(t, importer.Found{
		Record: 1, Line: 2, State: importer.Duplicate, Reason: importer.ReasonAlreadyLoaded, ListID: "101",
		Superseded: []importer.Reason{}, Run: second.run, HeldBy: importer.RowRef{Drop: first.d.ID, Record: 1},
	}, twice)

	found, err = l.Find(t.Context(), nil, "13055550123")
	require.NoError(t, err)
	require.Len(t, found, 1, "the digits alone are those of a cell")
	require.Equal(t, 3, found[0].Record)
	found, err = l.Find(t.Context(), []lead.Lead{{PhoneCode: "1", PhoneNumber: "3055550199"}}, "3055550199")
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestARetriedRowTellsWhyItWasRefused(t *testing.T) {
	t.Parallel()
	w := begin(t, ledgertest.Open(t), "acme").recorded(t, 123).armed(t, 1)
	_, err := w.settle(t.Context(), importer.Rejected, 1)
	require.NoError(t, err)
	_, err = w.Retry(t.Context(), w.d, w.holder, importer.Retried{States: []importer.State{importer.Rejected}}, 0, 10, 0)
	require.NoError(t, err)
	_, err = w.Arm(t.Context(), w.d, w.run, w.holder, []importer.Item{{Record: 1, Attempt: 1}}, 0, 0)
	require.NoError(t, err)
	found, err := w.Find(t.Context(), []lead.Lead{newRow(1, 123).Lead}, "")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, 2, found[0].Attempt)
	require.Equal(t, []importer.Reason{"answered"}, found[0].Superseded)
}

func TestFindingANumberReadsItsRowsAndThoseThatAreNoLeads(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l := ledgertest.OpenAt(t, dsn)
	begin(t, l, "acme").recorded(t, upTo(1, 5000)...)
	_, err := l.Find(t.Context(), []lead.Lead{newRow(1, 123).Lead}, "3055550123")
	require.NoError(t, err)
	conn := connect(t, dsn)
	reported(t, l, conn)
	read := ask[int](t, conn, readRows)
	require.LessOrEqual(t, read, 10, "of 10000")
}
