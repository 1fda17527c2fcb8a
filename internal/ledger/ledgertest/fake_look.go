package ledgertest

import "importer/internal/importer"

// RowView is how a row stands.
type RowView struct {
	Record  int
	Claim   importer.ClaimKey
	State   importer.State
	Reason  importer.Reason
	Attempt int
	Holder  int64
}

// Rows tells how a drop's rows stand, by record number.
func (f *Fake) Rows(drop int64) (views []RowView) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.drop(drop)
	for _, record := range d.sorted() {
		r := d.rows[record]
		views = append(views, RowView{record, r.Claim, r.state, r.reason, r.attempt, r.holder})
	}
	return views
}

// Force makes a row stand so, against all rules, for tests of who relies on
// them.
func (f *Fake) Force(drop int64, v RowView) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.drop(drop).rows[v.Record]
	r.state, r.reason, r.attempt, r.holder = v.State, v.Reason, v.Attempt, v.Holder
}
