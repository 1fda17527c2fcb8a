package importer

import (
	"context"
	"errors"
	"time"
)

// ErrUnavailable is wrapped by a ledger's errors when the ledger could not be
// reached or did not answer: the same call may be made again, and every call
// is safe to make again.
var ErrUnavailable = errors.New("ledger unavailable")

// ErrLeaseLost is returned when another process has taken over a drop or a run.
var ErrLeaseLost = errors.New("another importer has taken over this drop or run")

// ErrCancelled is why a run ends that a person has cancelled.
var ErrCancelled = errors.New("cancelled: its rows stay pending, and the feed's next run goes on with them")

// LeasedError is returned when another process works on a drop.
type LeasedError struct {
	Until time.Time
}

func (e *LeasedError) Error() string {
	return "another importer works on this drop until " + e.Until.UTC().Format(time.RFC3339)
}

// Runs keeps account of runs.
type Runs interface {
	// StartRun records a new run and gives the process that carries it a
	// holder number that no other process has or had.
	StartRun(ctx context.Context, feed, kind string) (run, holder int64, err error)
	// JoinDrop records that a run works on a drop, or (already) that it met
	// one that was done.
	JoinDrop(ctx context.Context, run int64, d Drop, already bool) error
	// FinishRun writes a run's end. A nil cause is a run that did all it could.
	// Returns ErrLeaseLost when another process carries the run by now.
	FinishRun(ctx context.Context, run, holder int64, s Summary, cause error) error
}

// Drops remembers which drops there are.
type Drops interface {
	// OpenDrop finds a feed's drop by its hash or records it as spooled.
	OpenDrop(ctx context.Context, d Drop) (Drop, error)
	// LeaseDrop takes the right to work on a drop and returns it as
	// it stands then. Returns *LeasedError while another holder has it.
	LeaseDrop(ctx context.Context, id, holder int64, ttl time.Duration) (Drop, error)
	// RenewDrop prolongs a lease that holder has. Returns ErrLeaseLost when it
	// has none any more, even if nobody else has.
	RenewDrop(ctx context.Context, id, holder int64, ttl time.Duration) error
	// CloseDrop ends the holder's lease. To done only when the file is
	// complete and every row has an outcome, to failed only when every row has,
	// otherwise the drop stays importing; the state that it got is returned.
	CloseDrop(ctx context.Context, id, holder int64, to DropState, why string) (DropState, error)
	// ForgetRows removes a drop's rows and claims so that it is recorded anew
	// under other settings. It does nothing and returns false when a row has
	// reached the dialer or another drop's duplicate rests on one of its
	// claims. Returns ErrLeaseLost when holder has no lease.
	ForgetRows(ctx context.Context, d Drop, holder int64, settings string) (bool, error)
	// LastDone returns the feed's drop with rows that was done last, of those
	// with this header if there are any, the zero Drop for none. Rejects that
	// were imported again, which have a column import_reason, do not count.
	LastDone(ctx context.Context, feed string, header []string) (Drop, error)
	// Unfinished lists the drops that are importing, or that were taken from a
	// source and not begun, oldest first, of one feed or (empty) of all.
	Unfinished(ctx context.Context, feed string) ([]Drop, error)
}

// Files remembers what was taken from feeds' sources.
type Files interface {
	// Taken tells which of the files that lie at a feed's place now were taken
	// from there, and when. A file of which the place tells neither time nor
	// version is not among them: what is in it is known when its hash is.
	Taken(ctx context.Context, feed, place string, files []File) (map[File]time.Time, error)
	// Imported tells which of the files that lie at a feed's place now, under their
	// own names or those that they were put away under, were taken and need not be
	// fetched again, and when: their drops are done under these settings.
	Imported(ctx context.Context, feed, place, settings string, files []File) (map[File]time.Time, error)
	// TakeFile records that a file was taken, with its drops, which are opened as
	// by OpenDrop, and returns the file's number.
	TakeFile(ctx context.Context, feed, place string, f File, drops []Drop) (int64, error)
	// LoseFiles records that the copies of drops are not there: the files that
	// they came in are new ones where they lie at a place.
	LoseFiles(ctx context.Context, feed, place string, drops []int64) error
	// Ended lists the files, oldest first, whose drops are all done or failed
	// and that were not ended yet.
	Ended(ctx context.Context, feed, place string) ([]TakenFile, error)
	// EndFile records that nothing is left to be done with a file at its place.
	// One that is gone from there is a new one when it is there again.
	EndFile(ctx context.Context, id int64, away Away) error
	// PutAway lists the files that ended within a span and have another name now,
	// the last ones up to limit. Of several with one name it is the last.
	PutAway(ctx context.Context, feed, place string, within time.Duration, limit int) ([]TakenFile, error)
}

// Claims records rows and who holds which lead's identity.
type Claims interface {
	// Record writes the rows and their claims in one transaction. first is
	// the number of records recorded before (0: the drop's header and fields are kept);
	// ErrLeaseLost is returned when the ledger disagrees. last tells that the
	// file ends with these rows. A claim older than window is taken over; window 0
	// is for ever.
	Record(ctx context.Context, d Drop, run, holder int64, first int, rows []NewRow, last bool, window time.Duration) ([]Recorded, error)
	// Claimed tells which keys are held now, and by which row. It claims nothing.
	Claimed(ctx context.Context, keys []ClaimKey, window time.Duration) (map[ClaimKey]RowRef, error)
}

// Attempts moves rows through their delivery. Every move is a compare-and-set.
type Attempts interface {
	// Open pages through a drop's rows without an outcome, by record number.
	Open(ctx context.Context, d Drop, after, limit int) ([]Item, error)
	// Arm moves rows from pending to armed, counting up their attempts, and
	// returns the records that are armed when the commit is known. A call
	// must have begun within sendWithin, and ends within timeout; both count
	// from some moment during Arm. Making the same call again is safe. Returns
	// ErrLeaseLost when holder does not hold the drop.
	Arm(ctx context.Context, d Drop, run, holder int64, items []Item, sendWithin, timeout time.Duration) ([]int, error)
	// Settle applies the settlements it can in one transaction and returns
	// the records of the others, which somebody else has moved. Claims of
	// rows that end without a lead at the dialer are released to the oldest
	// duplicate, which becomes pending. Only the holder that armed a row may
	// call its answer lost before the call has ended. calls is added to the run's count.
	Settle(ctx context.Context, d Drop, run, holder int64, calls int, s []Settlement) ([]int, error)
	// Ours lists, of each of the latest drops that have a lead in a dialer's
	// list, or (empty) in any of its lists, by the dialer's word, the first one,
	// up to limit, the newest drop first: leads that lookups may count on.
	Ours(ctx context.Context, dialer, listID string, limit int) ([]OwnLead, error)
}

// Retries gives rows another chance that ended without a lead at the dialer, or
// that wait for a person.
type Retries interface {
	// Retry moves up to limit rows of a drop that are chosen and come after a
	// record. Rejected and failed rows take their claims
	// again, as when they were recorded, and become pending, or duplicate when
	// another row holds the claim by now; rows in review become unknown. Each
	// may be tried as often as a new row, and remembers whether an answer was
	// ever lost. A done or failed drop with such rows is importing again. Returns
	// the last of the records, 0 when there were none, and ErrLeaseLost when
	// holder does not hold the drop.
	Retry(ctx context.Context, d Drop, holder int64, which Retried, after, limit int, window time.Duration) (int, error)
}

// Audits lists what to look at again.
type Audits interface {
	// Doubtful pages through a drop's rows that ended after an answer was lost,
	// by record number, those that a person must look at left out. A row that
	// did not succeed has lead id 0.
	Doubtful(ctx context.Context, d Drop, after, limit int) ([]OwnLead, error)
	// NoteRow adds a sentence to what is told of a row.
	NoteRow(ctx context.Context, d Drop, record int, note string) error
	// Tally counts a drop's rows by state and reason.
	Tally(ctx context.Context, d Drop) (Counts, error)
}

// Slots shares a dialer's calls in flight among processes.
type Slots interface {
	// LeaseSlots takes, renews or changes holder's block, or gives it up when
	// nothing is wanted. The lowest limit of all holders counts. The block is free
	// for others ttl after the last renewal.
	LeaseSlots(ctx context.Context, dialer string, holder int64, want SlotWant, ttl time.Duration) (SlotGrant, error)
}

// OwnLead is a lead that we added.
type OwnLead struct {
	Drop    int64
	SHA256  [32]byte
	Feed    string
	Record  int
	LeadID  int64
	Phone   string
	ListID  string
	Attempt int
}
