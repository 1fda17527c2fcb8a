package nonagent

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"importer/internal/importer"
)

// Touch writes a value to one field of a lead with update_lead. Every error is
// an *Error, of KindNotFound when the dialer has no such lead.
func (c *Client) Touch(ctx context.Context, leadID int64, field, value string) error {
	if leadID <= 0 || !isLeadField(field) || value == "" || !isSafe(value) {
		return c.badCall("an update wants a lead's id, one of its fields, and a value without control characters")
	}
	f := c.newForm("update_lead")
	f.add("lead_id", strconv.FormatInt(leadID, 10))
	f.add(field, value)
	if _, _, failed := c.update(ctx, f, leadID); failed != nil {
		return failed.asError(c.host)
	}
	return nil
}

// UpdateCustomFields writes a lead's custom fields, which add_lead itself
// loses on many dialers. The keys of values are the labels of the list's
// custom fields. They are written when the dialer confirms them for this lead
// in this list; a label that the list has not is passed over by the dialer
// without a word.
func (c *Client) UpdateCustomFields(ctx context.Context, leadID int64, listID string, values map[string]string) importer.Answer {
	f := c.newForm("update_lead")
	f.add("lead_id", strconv.FormatInt(leadID, 10))
	f.add("custom_fields", "Y")
	for _, label := range slices.Sorted(maps.Keys(values)) {
		f.add(label, values[label])
	}
	if unsafe := refuseCustom(values); leadID <= 0 || len(values) == 0 || unsafe != nil {
		return found(importer.VerdictRejected, ReasonBadCall, "an update of custom fields wants a lead's id, and fields that may be sent: nothing was sent").asAnswer("")
	}
	r, rest, failed := c.update(ctx, f, leadID)
	if failed != nil {
		return failed.asAnswer(c.host)
	}
	said := rest
	for len(rest) > 0 {
		var l line
		l, rest = cut(rest)
		s, ok := strings.CutPrefix(l.text, "NOTICE: update_lead CUSTOM FIELDS VALUES ")
		_, data, _ := strings.Cut(s, " - ")
		cells := strings.Split(data, "|")
		if ok && len(cells) >= 3 && cells[1] == strconv.FormatInt(leadID, 10) && cells[2] == listID {
			return importer.Answer{Verdict: importer.VerdictAdded, LeadID: leadID, Notes: []string{"custom fields written"}}
		}
	}
	switch {
	case !r.complete:
		return found(importer.VerdictUnknown, ReasonAnswerIncomplete, "the answer broke off before it confirmed the custom fields").asAnswer(c.host)
	case r.status != http.StatusOK:
		return found(importer.VerdictRetry, ReasonServerError, "HTTP %d in place of a word about the custom fields", r.status).asAnswer(c.host)
	}
	a := found(importer.VerdictRejected, ReasonInconclusive, "it did not confirm the custom fields: are custom fields switched on, and has the list these ones?").asAnswer(c.host)
	a.Notes = notesAfter(said, "update_lead")
	if len(a.Notes) == 0 {
		a.Notes = []string{"custom fields not confirmed"}
	}
	return a
}

// update makes an update_lead call for one lead and returns what the dialer
// said after its SUCCESS line. As with add_lead, that line counts whatever the
// HTTP status, since the dialer logs after it has written.
func (c *Client) update(ctx context.Context, f *form, leadID int64) (reply, []byte, *finding) {
	r, unanswered := c.post(ctx, f, maxLookupAnswer)
	if unanswered != nil {
		return r, nil, unanswered
	}
	fail := func(f finding) (reply, []byte, *finding) { return r, nil, &f }
	first, _, rest := decisive(r.body, "update_lead")
	if data, ok := strings.CutPrefix(first.text, "SUCCESS: update_lead LEAD HAS BEEN UPDATED - "); ok && first.ended {
		cells := strings.Split(data, "|") // user|lead_id|affected|||
		if len(cells) < 2 || cells[1] != strconv.FormatInt(leadID, 10) {
			return fail(found(importer.VerdictUnknown, ReasonAnswerMismatch, "it says that it updated another lead than the one it was told"))
		}
		return r, rest, nil
	}
	if stop, ok := stopLine(first, "update_lead", ""); ok {
		return fail(stop)
	}
	if s, ok := strings.CutPrefix(first.text, "ERROR: update_lead "); ok && r.complete {
		if isPhrase(s, "NO MATCHES FOUND IN THE SYSTEM") {
			return fail(found(importer.VerdictRejected, ReasonNotFound, "it has no such lead"))
		}
		return fail(found(importer.VerdictRejected, ReasonInconclusive, "it refused an update with an ERROR that this version does not know: look at its API log report"))
	}
	return fail(wordless(r, first))
}

// parametersOfUpdate are names that would make update_lead do something else
// than write a custom field.
var parametersOfUpdate = map[string]bool{
	"source": true, "user": true, "pass": true, "function": true, "end": true,
	"lead_id": true, "list_id": true, "phone_number": true, "phone_code": true, "vendor_lead_code": true,
	"search_method": true, "search_location": true, "insert_if_not_found": true, "records": true,
	"no_update": true, "delete_lead": true, "delete_cf_data": true, "reset_lead": true, "update_phone_number": true,
	"archived_lead": true, "list_exists_check": true, "custom_fields": true, "custom_fields_delete": true,
	"callback": true, "callback_status": true, "callback_datetime": true, "callback_type": true,
	"callback_user": true, "callback_comments": true, "campaign_id": true,
	"add_to_hopper": true, "remove_from_hopper": true, "hopper_priority": true, "hopper_local_call_time_check": true,
	"user_field": true, "list_id_field": true, "status": true, "called_count": true, "gmt_offset_now": true,
	"entry_list_id": true, "force_entry_list_id": true, "entry_date": true, "local_call_time": true,
	"duplicate_check": true, "dnc_check": true, "campaign_dnc_check": true, "usacan_prefix_check": true,
	"usacan_areacode_check": true, "nanpa_ac_prefix_check": true, "tz_method": true, "lookup_state": true,
	"multi_alt_phones": true, "stage": true, "header": true, "format": true, "db": true,
}

// IsCustomField tells whether a label may be sent as a parameter's name: it is
// one that a dialer could have for a custom field, and none of the API's own.
func IsCustomField(label string) bool {
	const shortest, longest = 2, 50
	name := strings.ToLower(label)
	return len(label) >= shortest && len(label) <= longest && !parametersOfUpdate[name] && !isLeadField(name) &&
		only(label, func(b byte) bool { return isAlphanumeric(b) || b == '_' })
}

// refuseCustom is refuse for custom fields.
func refuseCustom(values map[string]string) *finding {
	for label, value := range values {
		if !IsCustomField(label) {
			f := found(importer.VerdictStop, ReasonBadCall, "a custom field wants a label of letters, digits and _ that is no parameter of the API; nothing was sent")
			return &f
		}
		if !isSafe(value) {
			f := found(importer.VerdictRejected, ReasonUnsafeText, `custom field %s holds one of \ " ; # or a control character; nothing was sent`, label)
			return &f
		}
	}
	return nil
}
