package lead

// column is how one field beside the phone numbers and the list is cleaned.
// clean gets the trimmed value.
type column struct {
	name  string
	clean func(r Rules, l *Lead, s string) (to, why string)
}

// columns follows add_lead's parameters. Lengths are those of vicidial_list.
var columns = []column{
	{"vendor_lead_code", text(20, &anySigns)},
	{"source_id", text(50, &anySigns)},
	{"title", title},
	{"first_name", text(30, &nameSigns)},
	{"middle_initial", initial},
	{"last_name", text(30, &nameSigns)},
	{"address1", text(100, &addressSigns)},
	{"address2", text(100, &addressSigns)},
	{"address3", text(100, &addressSigns)},
	{"city", text(50, &addressSigns)},
	{"state", state},
	{"province", text(50, &nameSigns)},
	{"postal_code", postalCode},
	{"country_code", country},
	{"gender", gender},
	{"date_of_birth", dateOfBirth},
	{"email", email},
	{"security_phrase", text(100, &addressSigns)},
	{"comments", text(255, &anySigns)},
	{"rank", rank},
	{"owner", text(20, &addressSigns)},
	{"entry_list_id", entryList},
}

// Fields lists the names of a lead's fields, in the order of the struct.
func Fields() []string {
	return []string{
		"phone_code", "phone_number", "list_id", "vendor_lead_code", "source_id",
		"title", "first_name", "middle_initial", "last_name",
		"address1", "address2", "address3", "city", "state", "province", "postal_code", "country_code",
		"gender", "date_of_birth", "alt_phone", "email", "security_phrase", "comments", "rank", "owner",
		"entry_list_id",
	}
}

func text(limit int, keep *signs) func(Rules, *Lead, string) (string, string) {
	return func(r Rules, _ *Lead, s string) (string, string) { return r.fit(s, keep, limit) }
}
