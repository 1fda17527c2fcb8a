package importer

import "context"

// Sender adds leads to a dialer.
type Sender interface {
	// AddLead makes one add_lead call. It never repeats it by itself, and
	// answers within the dialer's timeout whatever the server does.
	AddLead(ctx context.Context, c Call) Answer
}

// Lookup asks a dialer about leads that may be there. Any error means that the
// question was not answered: it never means "absent".
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
