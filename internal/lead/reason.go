package lead

// The reasons for which a row cannot become a lead.
const (
	// RowFields: the record has more or fewer fields than the table.
	RowFields Reason = "row_fields"
	// RowQuotes: a quotation mark stands within a field, or is never closed.
	RowQuotes Reason = "row_quotes"
	// PhoneMissing: the phone number's cell is empty or holds no digit.
	PhoneMissing Reason = "phone_missing"
	// PhoneDamaged: a spreadsheet has overwritten the number, as in 2.17623E+09
	// or #REF!, or a fraction or a date stands in its place.
	PhoneDamaged Reason = "phone_damaged"
	// PhoneLetters: letters stand within the number, as in 305555O123.
	PhoneLetters Reason = "phone_letters"
	// PhoneTooShort: digits are missing, for example the area code.
	PhoneTooShort Reason = "phone_too_short"
	// PhoneTooLong: there are more digits than the country's numbers have.
	PhoneTooLong Reason = "phone_too_long"
	// PhoneInvalid: the length is right, but there can be no such number: a
	// placeholder such as 0000000000, or an unknown country code.
	PhoneInvalid Reason = "phone_invalid"
	// ListIDInvalid: neither the row nor the feed names a usable list.
	ListIDInvalid Reason = "list_id_invalid"
	// FieldInvalid: a field cannot be stored that the feed wants on every lead
	// that brings it.
	FieldInvalid Reason = "field_invalid"
	// CallbackInvalid: the callback's time or user is none that the dialer
	// would take; it would put the lead on hold for ever.
	CallbackInvalid Reason = "callback_invalid"
)

// details explains each reason for one row without quoting it.
var details = map[Reason]string{
	PhoneMissing:  "the phone number is empty",
	PhoneDamaged:  "a spreadsheet has overwritten the phone number and its digits are lost",
	PhoneLetters:  "the phone number has letters within it",
	PhoneTooShort: "the phone number has too few digits for its country",
	PhoneTooLong:  "the phone number has too many digits for its country",
	PhoneInvalid:  "there can be no such phone number in its country",
	ListIDInvalid: "the list id is not a number of 3 to 19 digits that does not begin with 0",
}

func refuse(why Reason) *Refusal {
	return &Refusal{Reason: why, Detail: details[why]}
}
