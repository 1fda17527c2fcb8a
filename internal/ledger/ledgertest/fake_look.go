package ledgertest

import "importer/internal/importer"

// RowView is how a row stands.
type RowView struct {
	Record  int
	Claim   importer.ClaimKey
	State   importer.State
	Reason  importer.Reason
	Attempt int
	Lost    int
	Holder  int64
	Note    string
}

// Rows tells how a drop's rows stand, by record number.
func (f *Fake) Rows(drop int64) (views []RowView) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if drop < 1 || drop > int64(len(f.drops)) {
		return nil
	}
	d := f.drop(drop)
	for _, record := range d.sorted() {
		r := d.rows[record]
		views = append(views, RowView{record, r.Claim, r.state, r.reason, r.attempt, r.lost, r.holder, r.note})
	}
	return views
}

// Holder tells who holds a drop; 0: nobody does.
func (f *Fake) Holder(drop int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drop(drop).holder
}
