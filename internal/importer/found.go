package importer

import (
	"time"

	"importer/internal/lead"
)

// Sought is a lead that somebody asks about: by its numbers, by its vendor's
// code, or by the dialer's id of it.
type Sought struct {
	Numbers []lead.Lead // phone code and number, as they are posted
	Digits  string      // of the number as it was written
	Codes   []string    // ways in which the vendor's code may be written
	LeadID  int64
}

// Found is a row in the history of a lead that somebody asks about.
type Found struct {
	Drop       Drop
	Record     int
	Line       int
	State      State
	Reason     Reason
	Note       string
	ListID     string   // empty: it is no lead
	LeadID     int64    // the dialer's id of it, 0: none is known
	Attempt    int      // the latest, 0: none was made
	Superseded []Reason // how earlier attempts went, in their order; empty: proven absent
	Run        int64    // that worked on it last
	HeldBy     RowRef   // the row that holds the lead of a DUPLICATE already_loaded; else zero
	Claim      Holding  // who holds the lead now; zero: nobody, or it is no lead
	SameLead   bool     // it is not what was sought itself, only the same lead to its feed
	Changes    []lead.Change
}

// Holding is a row that holds a lead's claim.
type Holding struct {
	RowRef
	Since time.Time
}
