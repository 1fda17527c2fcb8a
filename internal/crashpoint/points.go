// Package crashpoint names the moments of a delivery at which a test stops the
// real program to kill it. Only a program that is built with the tag crashpoints
// can be stopped; in any other one a point is nothing.
package crashpoint

// Point is a moment at which dying must do no harm.
type Point string

// The points, in the order of a row's way.
const (
	// FilesListed: a feed's place was looked at; nothing is fetched.
	FilesListed Point = "files-listed"
	// FileFetched: a file has come from its place; it is not spooled.
	FileFetched Point = "file-fetched"
	// SpoolWritten: the file's copy is on disk, but not under its name.
	SpoolWritten Point = "spool-written"
	// SpoolNamed: the copy has its name; the ledger has not heard of it.
	SpoolNamed Point = "spool-named"
	// DropOpened: the ledger knows the drop; nobody works on it.
	DropOpened Point = "drop-opened"
	// FileTaken: the ledger knows which file the drops came in.
	FileTaken Point = "file-taken"
	// DropLeased: the drop is leased; none of its rows is recorded.
	DropLeased Point = "drop-leased"
	// RowsForgotten: rows recorded under other settings are removed, not committed.
	RowsForgotten Point = "rows-forgotten"
	// RecordWritten: a batch of rows and claims is written, not committed.
	RecordWritten Point = "record-written"
	// Recorded: the batch is committed; the importer has not heard of it.
	Recorded Point = "recorded"
	// ArmWritten: a chunk of rows is armed, not committed.
	ArmWritten Point = "arm-written"
	// Armed: the chunk is armed; no row of it is on its way.
	Armed Point = "armed"
	// Sending: the deadline is kept and a slot is held; no byte is sent.
	Sending Point = "sending"
	// HalfRequest: half of a request is on the wire.
	HalfRequest Point = "half-request"
	// WholeRequest: a request is on the wire; its answer is not read.
	WholeRequest Point = "whole-request"
	// Answered: the answer is read; nobody has been told.
	Answered Point = "answered"
	// ClaimPassing: a row has ended without a lead, and its claim is about to
	// pass to an heir, in one transaction.
	ClaimPassing Point = "claim-passing"
	// SettleWritten: a group of outcomes is written, not committed.
	SettleWritten Point = "settle-written"
	// Settled: the group is committed; the importer has not heard of it.
	Settled Point = "settled"
	// BarrierWritten: the harmless write that proves that writes get through
	// is answered; nobody has been told.
	BarrierWritten Point = "barrier-written"
	// LookedUp: the dialer was asked about lost answers; nothing is concluded.
	LookedUp Point = "looked-up"
	// Absent: a lead is proven absent; the ledger does not know.
	Absent Point = "absent"
	// Resending: a row whose answer was lost is about to be sent again.
	Resending Point = "resending"
	// Auditing: every row has its outcome; the reconciled ones are not yet
	// looked up once more.
	Auditing Point = "auditing"
	// CloseWritten: the drop is closed, not committed.
	CloseWritten Point = "close-written"
	// Closed: the drop is done; its copy is still in the spool.
	Closed Point = "closed"
	// Unspooled: the copy is removed; the run has no end yet.
	Unspooled Point = "unspooled"
	// FilePutAway: a file is put away at its place; the ledger does not know.
	FilePutAway Point = "file-put-away"
	// FileEnded: the ledger knows; the run has no end yet.
	FileEnded Point = "file-ended"
	// FinishWritten: the run's end is written, not committed.
	FinishWritten Point = "finish-written"
)
