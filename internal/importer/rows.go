package importer

import (
	"encoding/hex"
	"time"

	"importer/internal/lead"
)

// Row is one record of a drop as it was read.
type Row struct {
	Record  int           // number of the record within the drop, from 1, the header not counted
	Line    int           // line of the file on which the record begins, from 1
	Cells   []string      // as read, in the vendor's columns
	Lead    lead.Lead     // mapped, not yet cleaned
	Changes []lead.Change // what had to be repaired to read it
	Refusal *lead.Refusal // set when the record could not be read as a row
}

// Rows yields the rows of a drop in the order of the file. Next returns io.EOF
// after the last one; any other error is the drop's, not a row's.
type Rows interface {
	Next() (Row, error)
}

// State is where a row stands; docs/row-lifecycle.md draws how it moves.
type State string

// The states.
const (
	Pending   State = "pending"   // recorded, nothing sent or nothing that may still take effect
	Armed     State = "armed"     // an attempt is recorded; its call may be on the wire
	Unknown   State = "unknown"   // a call's answer was lost; only a lookup may decide
	Succeeded State = "succeeded" // at the dialer, by its word
	Rejected  State = "rejected"  // the dialer refused it
	Failed    State = "failed"    // we gave it up
	Duplicate State = "duplicate" // the same lead was loaded before
	Invalid   State = "invalid"   // cannot become a lead
	Review    State = "review"    // a person must look
)

// Outcome is what finally became of a row.
type Outcome string

// The outcomes, and PENDING for a row that has none yet.
const (
	OutcomeSuccess   Outcome = "SUCCESS"
	OutcomeError     Outcome = "ERROR"
	OutcomeDuplicate Outcome = "DUPLICATE"
	OutcomeInvalid   Outcome = "INVALID"
	OutcomeReview    Outcome = "REVIEW"
	OutcomePending   Outcome = "PENDING"
)

// Outcomes lists the final outcomes in the order in which reports show them.
func Outcomes() []Outcome {
	return []Outcome{OutcomeSuccess, OutcomeError, OutcomeDuplicate, OutcomeInvalid, OutcomeReview}
}

// Outcome says what a row in state s counts as. Only succeeded is SUCCESS:
// whatever is not known to be settled is PENDING.
func (s State) Outcome() Outcome {
	switch s {
	case Succeeded:
		return OutcomeSuccess
	case Rejected, Failed:
		return OutcomeError
	case Duplicate:
		return OutcomeDuplicate
	case Invalid:
		return OutcomeInvalid
	case Review:
		return OutcomeReview
	case Pending, Armed, Unknown:
		return OutcomePending
	default:
		return OutcomePending
	}
}

// The reasons that the delivery itself gives; package lead names those of
// INVALID rows and package nonagent those of the dialer's answers.
const (
	ReasonAdded               Reason = "added"                 // SUCCESS: the API said so
	ReasonReconciled          Reason = "reconciled"            // SUCCESS: the answer was lost, a lookup found our own token
	ReasonNotInHopper         Reason = "not_in_hopper"         // SUCCESS: added, but not put into the hopper as asked
	ReasonCustomFieldsMissing Reason = "custom_fields_missing" // SUCCESS: added, but its custom fields are not confirmed
	ReasonAltPhonesMissing    Reason = "alt_phones_missing"    // SUCCESS: added, but its further numbers are not confirmed
	ReasonCallbackRefused     Reason = "callback_refused"      // SUCCESS: added, but on hold without its callback: never called
	ReasonAlreadyImported     Reason = "already_imported"      // DUPLICATE: the whole drop was imported before
	ReasonAlreadyLoaded       Reason = "already_loaded"        // DUPLICATE: another row holds this lead's claim
	ReasonDialerDuplicate     Reason = "dialer_duplicate"      // DUPLICATE: the dialer's own check found the number
	ReasonAttemptsExhausted   Reason = "attempts_exhausted"    // ERROR: five attempts without an outcome
	ReasonUnproven            Reason = "unproven"              // REVIEW: neither present nor absent could be proven
	ReasonIdentityMissing     Reason = "identity_missing"      // INVALID: all the fields that tell leads apart are empty
	ReasonNoToken             Reason = "no_token"              // REVIEW: the answer was lost and leads carry no token to ask for
)

// GivenUp lists the reasons of rows that ended without the dialer's word.
func GivenUp() []Reason { return []Reason{ReasonAttemptsExhausted, ReasonUnproven, ReasonNoToken} }

// DropState is where a drop stands.
type DropState string

// The states of a drop.
const (
	DropSpooled   DropState = "spooled"   // its bytes are safe, no row is recorded
	DropImporting DropState = "importing" // rows are being recorded or have no outcome yet
	DropDone      DropState = "done"      // every row has an outcome
	DropHeld      DropState = "held"      // a person must decide; no rows, no claims
	DropFailed    DropState = "failed"    // could not be read; no rows, no claims
)

// Drop is one table of contacts that a feed delivered.
type Drop struct {
	ID        int64
	Month     time.Time // first day (UTC) of the month in which it was first seen; part of every key of its rows
	Feed      string
	Dialer    string
	Name      string // the file's name, for people
	SHA256    [32]byte
	Bytes     int64
	Header    []string // the vendor's names of the columns; none where the file has none
	Fields    []string // what each column was read as, empty for one that was not used
	State     DropState
	Recorded  int     // records that are in the ledger
	Complete  bool    // the whole file is recorded
	Outside   Outside // once complete: what of the file held no record
	FirstSeen time.Time
	Finished  time.Time // zero until done
	Why       string    // for held and failed
	Settings  string    // Feed.Settings under which it was recorded
}

// AsDuplicates counts the rows of a done drop for a run that met it again.
func (d Drop) AsDuplicates() Counts {
	if d.Recorded == 0 {
		return Counts{}
	}
	return Counts{StateReason{Duplicate, ReasonAlreadyImported}: d.Recorded}
}

// Outside counts a file's lines that are neither header nor record, and lists
// the first of them.
type Outside struct {
	Count  int            `json:"count"`
	ByKind map[string]int `json:"by_kind,omitempty"`
	First  []OutsideLine  `json:"first,omitempty"`
}

// OutsideLine is a line that is neither header nor record.
type OutsideLine struct {
	Line int    `json:"line"`           // from 1
	Kind string `json:"kind"`           // why it is none, such as blank or total
	Text string `json:"text,omitempty"` // its beginning
}

// Hash returns the drop's SHA-256 in hexadecimal.
func (d Drop) Hash() string { return hex.EncodeToString(d.SHA256[:]) }

// RowRef names a row.
type RowRef struct {
	Drop   int64
	Record int
}

// NewRow is a row to be recorded with its claim.
type NewRow struct {
	Record  int
	Line    int
	Cells   []string
	Lead    lead.Lead
	Changes []lead.Change
	Refusal *lead.Refusal // non-nil: recorded as invalid, claims nothing
	Claim   ClaimKey
}

// Recorded tells what became of a NewRow.
type Recorded struct {
	Record int
	State  State  // Pending, Duplicate or Invalid
	Reason Reason // empty for Pending
}

// Item is a row without an outcome, with what its delivery needs.
type Item struct {
	Record   int
	State    State // Pending, Armed or Unknown
	Attempt  int   // the current attempt, 0 before the first
	Lost     int   // attempts whose answers were lost
	Lead     lead.Lead
	AnswerIn time.Duration // Armed, Unknown: until its call has ended on our side, as seen when it was read; may be negative
}

// Settlement moves a row by compare-and-set on its state and attempt.
type Settlement struct {
	Record  int
	Attempt int
	From    State // Armed or Unknown
	To      State
	Reason  Reason
	LeadID  int64
	Note    string // what else is to be told of the row, without people's data
	Lost    bool   // this attempt's answer was lost
}

// Retried chooses rows that get another chance.
type Retried struct {
	States []State // of rejected, failed and review
	Reason Reason  // empty: whichever they ended with
}

// SlotWant is what a process asks for of a dialer's calls in flight.
type SlotWant struct {
	Calls int // it would have in flight
	InUse int // it cannot give back now
	Limit int // as it is configured for the dialer
	// Yields says that it does with one call while somebody asks for calls who does
	// not yield, and with none where there are not enough.
	Yields bool
}

// SlotGrant is what a process may have of a dialer's calls in flight.
type SlotGrant struct {
	Count int // calls this process may have in flight until the lease ends
	// Until says, when Count is 0, until when the longest lease of the others
	// runs, for people; zero otherwise.
	Until time.Time
}
