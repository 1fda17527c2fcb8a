package lead

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Rules say how a feed's rows become leads. They are safe for concurrent use.
type Rules struct {
	Region   string // default region, e.g. "US": how a phone number without a country code is read
	NonLatin bool   // the dialer keeps Unicode letters (use_non_latin=1)
	ListID   string // the list for leads that bring none

	// DateOrder is how the feed writes dates that could be read in several ways;
	// empty: what Dates shows, or the usage of the region.
	DateOrder DateOrder
	// Dates are the orders that the drop's own columns show, by field.
	Dates map[string]DateOrder
	// CalmCapitals writes names and addresses that are all in capitals as
	// people write them.
	CalmCapitals bool
	// Fatal are the fields, beside phone_number, without which a lead is
	// refused when they hold something that cannot be stored.
	Fatal map[string]bool
}

// Clean returns the lead as it would be posted: nothing is left in it that the
// dialer would change on arrival. Every difference to what the vendor sent is
// a Change, at most one a field, except for blanks around a value, and for the
// phone codes and list that are filled in. Cleaning a cleaned lead changes
// nothing. A refused lead comes back as it was.
func (r Rules) Clean(in Lead) (Lead, []Change, *Refusal) {
	out := in
	var changes changes
	if why := r.cleanPhone(&out, &changes); why != nil {
		return in, nil, why
	}
	if why := r.cleanList(&out); why != nil {
		return in, nil, why
	}
	for i := range columns {
		c := &columns[i]
		value := out.field(c.name)
		if *value == "" {
			continue
		}
		from := strings.TrimSpace(*value)
		to, why := c.clean(r, &out, from)
		if calmer := r.calm(c.name, to); calmer != to {
			to, _ = c.clean(r, &out, calmer) // small letters may be stored otherwise
			why = joinWhys(why, whyCalmed)
		}
		*value = to
		if to != from {
			changes.add(c.name, from, to, why)
		}
	}
	if why := r.refuseDropped(changes); why != nil {
		return in, nil, why
	}
	var refused *Refusal
	if out.Extras, refused = r.cleanExtras(&out, &changes); refused != nil {
		return in, nil, refused
	}
	return out, changes, nil
}

// refuseDropped refuses a lead that has lost a field which it must not lose.
func (r Rules) refuseDropped(changes changes) *Refusal {
	for _, c := range changes {
		if c.To == "" && r.Fatal[c.Field] {
			return &Refusal{Reason: FieldInvalid, Detail: fmt.Sprintf("the %s cannot be stored: %s", c.Field, strings.TrimPrefix(c.Why, "dropped: "))}
		}
	}
	return nil
}

// cleanList settles which list the lead goes to. The dialer takes a list id
// that it cannot read as 999, and a BIGINT holds 19 digits.
func (r Rules) cleanList(l *Lead) *Refusal {
	id := strings.TrimSpace(l.ListID)
	if id == "" {
		id = r.ListID
	}
	if !isList(id) {
		return refuse(ListIDInvalid)
	}
	l.ListID = id
	return nil
}

func isList(id string) bool {
	_, err := strconv.ParseInt(id, 10, 64)
	return err == nil && allDigits(id) && len(id) >= 3 && id[0] != '0'
}

// changes collects what cleaning did.
type changes []Change

func (c *changes) add(field, from, to, why string) {
	*c = append(*c, Change{Field: field, From: shown(from), To: to, Why: why})
}

// maxShown bounds, in characters, how much of a value a Change keeps.
const maxShown = 300

// shown makes a vendor's value fit to be kept: valid UTF-8 without NUL, which
// PostgreSQL cannot store, and of bounded length.
func shown(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	if utf8.RuneCountInString(s) > maxShown {
		s = string([]rune(s)[:maxShown]) + "…"
	}
	return s
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
