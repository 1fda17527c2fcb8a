package ledger_test

import (
	"testing"
	"time"

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

// number seeks a phone number.
func number(code, phone string) importer.Sought {
	return importer.Sought{Numbers: []lead.Lead{{PhoneCode: code, PhoneNumber: phone}}, Digits: phone}
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

	found, err := l.Find(t.Context(), number("1", "3055550123"))
	require.NoError(t, err)
	require.Len(t, found, 3)
	require.Equal(t, []int64{first.d.ID, first.d.ID, second.d.ID}, []int64{found[0].Drop.ID, found[1].Drop.ID, found[2].Drop.ID})
	require.Equal(t, first.d.FirstSeen, found[0].Drop.FirstSeen)
	loaded, broke, twice := found[0], found[1], found[2]
	require.Equal(t, importer.RowRef{Drop: first.d.ID, Record: 1}, loaded.Claim.RowRef)
	require.WithinDuration(t, time.Now(), loaded.Claim.Since, time.Hour)
	require.Equal(t, loaded.Claim, twice.Claim)
	loaded.Drop, broke.Drop, twice.Drop = importer.Drop{}, importer.Drop{}, importer.Drop{}
	loaded.Claim, twice.Claim = importer.Holding{}, importer.Holding{}
	require.Equal(t, importer.Found{
		Record: 1, Line: 2, State: importer.Succeeded, Reason: importer.ReasonAdded, Note: "added to hopper", ListID: "101", LeadID: 77,
		Attempt: 2, Superseded: []importer.Reason{"answered"}, Run: first.run,
	}, loaded)
	require.Equal(t, importer.Found{Record: 3, Line: 5, State: importer.Invalid, Reason: "row_fields", Superseded: []importer.Reason{}, Run: first.run}, broke)
	require.Equal(t, importer.Found{
		Record: 1, Line: 2, State: importer.Duplicate, Reason: importer.ReasonAlreadyLoaded, ListID: "101",
		Superseded: []importer.Reason{}, Run: second.run, HeldBy: importer.RowRef{Drop: first.d.ID, Record: 1},
	}, twice)

	found, err = l.Find(t.Context(), importer.Sought{Digits: "13055550123"})
	require.NoError(t, err)
	require.Len(t, found, 1, "the digits alone are those of a cell")
	require.Equal(t, 3, found[0].Record)
	found, err = l.Find(t.Context(), number("1", "3055550199"))
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
	found, err := w.Find(t.Context(), importer.Sought{Numbers: []lead.Lead{newRow(1, 123).Lead}})
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
	_, err := l.Find(t.Context(), importer.Sought{Numbers: []lead.Lead{newRow(1, 123).Lead}, Digits: "3055550123"})
	require.NoError(t, err)
	conn := connect(t, dsn)
	reported(t, l, conn)
	read := ask[int](t, conn, readRows)
	require.LessOrEqual(t, read, 10, "of 10000")
}

// ofCode is a row whose lead has a vendor's code, and is known by it.
func ofCode(record int, code, phone string) importer.NewRow {
	r := numbered(record, "1", phone)
	r.Cells, r.Lead.VendorLeadCode = []string{phone, code}, code
	r.Claim = key(len(code))
	return r
}

func TestARowIsFoundByItsVendorsCode(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	w := begin(t, l, "acme")
	w.d.Header, w.d.Fields = []string{"Phone", "Code"}, []string{"phone_number", "vendor_lead_code"}
	refused := importer.NewRow{Record: 3, Line: 4, Cells: []string{"A-7", " A-7 "}, Refusal: &lead.Refusal{Reason: lead.PhoneLetters}}
	elsewhere := importer.NewRow{Record: 4, Line: 5, Cells: []string{"A-7", "B-70"}, Refusal: &lead.Refusal{Reason: lead.PhoneLetters}}
	_, err := l.Record(t.Context(), w.d, w.run, w.holder, 0,
		[]importer.NewRow{ofCode(1, "A-7", "3055550101"), ofCode(2, "B-70", "3055550102"), refused, elsewhere}, true, 0)
	require.NoError(t, err)
	found, err := l.Find(t.Context(), importer.Sought{Codes: []string{"A-7", "a-7"}})
	require.NoError(t, err)
	require.Equal(t, []int{1, 3}, recordsOf(found))
	found, err = l.Find(t.Context(), importer.Sought{Codes: []string{"C-1"}})
	require.NoError(t, err)
	require.Empty(t, found)
}

func recordsOf(found []importer.Found) (records []int) {
	for _, f := range found {
		records = append(records, f.Record)
	}
	return records
}

func TestTheRowsOfOneLeadAreFoundWhateverTheirNumbersAre(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t)
	w := begin(t, l, "acme")
	_, err := l.Record(t.Context(), w.d, w.run, w.holder, 0,
		[]importer.NewRow{ofCode(1, "A-7", "3055550101"), ofCode(2, "A-7", "3055550102"), ofCode(3, "B-70", "3055550103")}, true, 0)
	require.NoError(t, err)
	found, err := l.Find(t.Context(), number("1", "3055550102"))
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, recordsOf(found))
	require.True(t, found[0].SameLead)
	require.False(t, found[1].SameLead)
	require.Equal(t, 1, found[1].Claim.Record)

	w.armed(t, 1, 3)
	_, err = w.settle(t.Context(), importer.Rejected, 1, 3)
	require.NoError(t, err)
	found, err = l.Find(t.Context(), number("1", "3055550101"))
	require.NoError(t, err)
	require.Equal(t, 2, found[0].Claim.Record, "it was handed over")
	found, err = l.Find(t.Context(), number("1", "3055550103"))
	require.NoError(t, err)
	require.Zero(t, found[0].Claim, "nobody holds it")
}

func TestALeadIsFoundByTheDialersIDOfIt(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l := ledgertest.OpenAt(t, dsn)
	const rows = 500
	loaded := func(first int) *work {
		w := begin(t, l, "acme").recorded(t, upTo(first, first+rows-1)...)
		require.NoError(t, l.JoinDrop(t.Context(), w.run, w.d, false))
		w.armed(t, 1, 2, 3)
		return w
	}
	settle := func(w *work, calls int, record int, id int64) {
		_, err := l.Settle(t.Context(), w.d, w.run, w.holder, calls, []importer.Settlement{
			{Record: record, Attempt: 1, From: importer.Armed, To: importer.Succeeded, Reason: importer.ReasonAdded, LeadID: id},
		})
		require.NoError(t, err)
	}
	early, late := loaded(1), loaded(2001)
	settle(early, 1, 1, 20)
	settle(early, 1, 2, 10)
	settle(early, 0, 3, 30) // found by a lookup
	settle(late, 1, 1, 40)
	settle(late, 1, 2, 60)
	duplicate := begin(t, l, "bravo").recorded(t, 3) // of the lead 30

	for id, want := range map[int64][]int{10: {2}, 20: {1}, 40: {1}, 60: {2}, 15: nil, 50: nil, 5: nil, 70: nil} {
		found, err := l.Find(t.Context(), importer.Sought{LeadID: id})
		require.NoError(t, err)
		require.Equal(t, want, recordsOf(found), id)
	}
	found, err := l.Find(t.Context(), importer.Sought{LeadID: 30})
	require.NoError(t, err)
	require.Equal(t, []int{3, 1}, recordsOf(found))
	require.Equal(t, duplicate.d.ID, found[1].Drop.ID)
	require.True(t, found[1].SameLead)

	conn := connect(t, dsn)
	reported(t, l, conn)
	before := ask[int](t, conn, readRows)
	l = ledgertest.OpenAt(t, dsn)
	_, err = l.Find(t.Context(), importer.Sought{LeadID: 50})
	require.NoError(t, err)
	reported(t, l, conn)
	require.LessOrEqual(t, ask[int](t, conn, readRows)-before, rows, "those of one drop")
}

func TestFindingACodeReadsItsRowsAndThoseThatAreNoLeads(t *testing.T) {
	t.Parallel()
	dsn := ledgertest.Database(t)
	l := ledgertest.OpenAt(t, dsn)
	begin(t, l, "acme").recorded(t, upTo(1, 5000)...)
	found, err := l.Find(t.Context(), importer.Sought{Codes: []string{newRow(1, 123).Lead.VendorLeadCode}})
	require.NoError(t, err)
	require.Len(t, found, 1)
	conn := connect(t, dsn)
	reported(t, l, conn)
	require.LessOrEqual(t, ask[int](t, conn, readRows), 10, "of 10000")
}
