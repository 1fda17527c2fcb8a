package importer

import (
	"time"

	"importer/internal/lead"
)

// Account is what the ledger says of the rows of some drops, as they stand now.
type Account struct {
	Drops map[int64]Drop
	Runs  []RunInfo // those that were chosen, and those that worked on the rows last, newest first, without their drops
	Rows  []Counted
}

// Counts counts the rows by state and reason.
func (a Account) Counts() Counts {
	sum := Counts{}
	for _, c := range a.Rows {
		sum[c.StateReason] += c.Rows
	}
	return sum
}

// Counted is how many rows have these in common.
type Counted struct {
	Drop   int64
	Run    int64  // that recorded or sent them last
	ListID string // of their leads, empty for rows that became none; only where lists were asked for
	StateReason
	Rows int
}

// Origin counts duplicates by where their leads came from first.
type Origin struct {
	Drop   Drop   // that holds the leads; zero when their dialer knew them
	Dialer string // of the duplicates
	Rows   int
	Within int // how many of them stand in that drop themselves
}

// Example is a row that shows what stands behind a reason. It has people's data.
type Example struct {
	Drop   Drop
	Record int
	Line   int
	StateReason
	Note  string
	Lead  *lead.Lead // nil: it became none
	Cells []string   // as the vendor sent them
}

// Minute is a minute of a run, and how many calls began in it.
type Minute struct {
	From  time.Time
	Calls int
}
