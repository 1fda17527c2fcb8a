// Package lead says what a lead is and what the dialer would do to its text.
package lead

// Lead is one contact under the names of add_lead's parameters. Before Clean
// it holds what the vendor sent, afterwards exactly what would be posted.
// Every field of the dialer's lead table is text: the dialer's rules are about
// text, and gocsv fills it.
type Lead struct {
	PhoneCode      string `csv:"phone_code" json:"phone_code,omitempty"`
	PhoneNumber    string `csv:"phone_number" json:"phone_number,omitempty"`
	ListID         string `csv:"list_id" json:"list_id,omitempty"`
	VendorLeadCode string `csv:"vendor_lead_code" json:"vendor_lead_code,omitempty"`
	SourceID       string `csv:"source_id" json:"source_id,omitempty"`
	Title          string `csv:"title" json:"title,omitempty"`
	FirstName      string `csv:"first_name" json:"first_name,omitempty"`
	MiddleInitial  string `csv:"middle_initial" json:"middle_initial,omitempty"`
	LastName       string `csv:"last_name" json:"last_name,omitempty"`
	Address1       string `csv:"address1" json:"address1,omitempty"`
	Address2       string `csv:"address2" json:"address2,omitempty"`
	Address3       string `csv:"address3" json:"address3,omitempty"`
	City           string `csv:"city" json:"city,omitempty"`
	State          string `csv:"state" json:"state,omitempty"`
	Province       string `csv:"province" json:"province,omitempty"`
	PostalCode     string `csv:"postal_code" json:"postal_code,omitempty"`
	CountryCode    string `csv:"country_code" json:"country_code,omitempty"`
	Gender         string `csv:"gender" json:"gender,omitempty"`
	DateOfBirth    string `csv:"date_of_birth" json:"date_of_birth,omitempty"`
	AltPhone       string `csv:"alt_phone" json:"alt_phone,omitempty"`
	Email          string `csv:"email" json:"email,omitempty"`
	SecurityPhrase string `csv:"security_phrase" json:"security_phrase,omitempty"`
	Comments       string `csv:"comments" json:"comments,omitempty"`
	Rank           string `csv:"rank" json:"rank,omitempty"`
	Owner          string `csv:"owner" json:"owner,omitempty"`
	EntryListID    string `csv:"entry_list_id" json:"entry_list_id,omitempty"`

	// Extras is nil when the lead brings none. It is never changed in place:
	// copies of a lead share it.
	Extras *Extras `csv:"-" json:"extras,omitempty"`
}

// Reason is a stable code for why a row ended as it did; docs/reasons.md
// explains each with its cause and its cure.
type Reason string

// Change is one thing that cleaning did to a field, kept on the row so that
// nothing is altered silently.
type Change struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
	Why   string `json:"why"`
}

// Refusal is why a row cannot become a lead: it ends as INVALID.
type Refusal struct {
	Reason Reason
	// Detail explains the reason for this row without quoting people's data.
	Detail string
}

// Get returns the field that has add_lead's name for it, empty for an unknown
// name.
func (l *Lead) Get(field string) string {
	if p := l.field(field); p != nil {
		return *p
	}
	return ""
}

// Set gives a field a value and tells whether there is such a field.
func (l *Lead) Set(field, value string) bool {
	p := l.field(field)
	if p == nil {
		return false
	}
	*p = value
	return true
}

func (l *Lead) field(name string) *string {
	switch name {
	case "phone_code":
		return &l.PhoneCode
	case "phone_number":
		return &l.PhoneNumber
	case "list_id":
		return &l.ListID
	case "vendor_lead_code":
		return &l.VendorLeadCode
	case "source_id":
		return &l.SourceID
	case "title":
		return &l.Title
	case "first_name":
		return &l.FirstName
	case "middle_initial":
		return &l.MiddleInitial
	case "last_name":
		return &l.LastName
	case "address1":
		return &l.Address1
	case "address2":
		return &l.Address2
	case "address3":
		return &l.Address3
	case "city":
		return &l.City
	case "state":
		return &l.State
	case "province":
		return &l.Province
	case "postal_code":
		return &l.PostalCode
	case "country_code":
		return &l.CountryCode
	case "gender":
		return &l.Gender
	case "date_of_birth":
		return &l.DateOfBirth
	case "alt_phone":
		return &l.AltPhone
	case "email":
		return &l.Email
	case "security_phrase":
		return &l.SecurityPhrase
	case "comments":
		return &l.Comments
	case "rank":
		return &l.Rank
	case "owner":
		return &l.Owner
	case "entry_list_id":
		return &l.EntryListID
	default:
		return nil
	}
}
