package importer

import "context"

// Sender adds leads to a dialer.
type Sender interface {
	// AddLead makes one add_lead call. It never repeats it by itself, and
	// answers within the dialer's timeout whatever the server does.
	AddLead(ctx context.Context, c Call) Answer
	// UpdateCustomFields makes one call that writes custom fields, by their
	// labels, of a lead of a list. Calls may be repeated: they write the same.
	// VerdictAdded: they are written; VerdictRejected: they were not, and the
	// same call would not write them either; VerdictUnknown: the call may still
	// take effect.
	UpdateCustomFields(ctx context.Context, leadID int64, listID string, values map[string]string) Answer
}

// Lookup asks a dialer about leads that may be there. Any error means that the
// question was not answered: it never means "absent". An error that is a
// LookupError may end the run; after any other the dialer may still be busy
// with the call.
type Lookup interface {
	// Search finds the leads of one list by phone number. The map has an entry
	// for every number asked; an empty one means that the dialer said "none".
	// Returns an error when the answer is incomplete or reached its cap.
	Search(ctx context.Context, listID string, phones []string) (map[string][]int64, error)
	// Field reads one field of a lead; an empty field is an empty string.
	Field(ctx context.Context, leadID int64, field string) (string, error)
	// Touch writes a value to one field of a lead. An answer proves that
	// writes to the dialer's lead table get through.
	Touch(ctx context.Context, leadID int64, field, value string) error
}

// LookupError is an error of a Lookup that says more of itself.
type LookupError interface {
	error
	// Final returns why every further call would end so too (ten refused
	// logins, for example, lock the account), and false when another call may
	// fare better.
	Final() (Reason, bool)
	// Over tells that the dialer has finished with the call or never got it:
	// the call is not in flight any more.
	Over() bool
	// Answered tells that the dialer has said something to the question, however
	// little: it is there and works.
	Answered() bool
}
