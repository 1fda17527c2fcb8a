package nonagent

import (
	"context"
	"errors"
	"strings"
)

// Each call of this file changes nothing at the dialer, whatever the answer:
// the right to a function shows in what a call is refused for, since the dialer
// looks at the rights first.

// noNumber is no lead's number: add_lead refuses fewer than six digits.
const noNumber = "0"

// MayAdd asks whether this user may add leads to a list, with an add_lead that
// carries a number of one digit. The dialer looks at the rights, then at the
// list, and then refuses the number: for its length, and if it did not, for
// each of the two further checks that the call asks for. Returns an *Error of
// KindStop, reason list_not_defined, list_not_allowed, not_permitted or
// function_not_allowed, when the user may not.
func (c *Client) MayAdd(ctx context.Context, listID string) error {
	if !isList(listID) {
		return c.badCall("a list id has three digits or more")
	}
	f := c.newForm("add_lead")
	f.add("phone_number", noNumber)
	f.add("list_id", listID)
	f.add("list_exists_check", "Y")
	f.add("usacan_prefix_check", "Y")
	f.add("usacan_areacode_check", "Y")
	return c.probe(ctx, "add_lead", f, "INVALID PHONE NUMBER LENGTH")
}

// MayUpdate asks whether this user may update leads, with an update_lead that
// looks for a number no lead has, is told not to update, and names nothing to
// be updated or added.
func (c *Client) MayUpdate(ctx context.Context) error {
	f := c.newForm("update_lead")
	f.add("search_method", "PHONE_NUMBER")
	f.add("phone_number", noNumber)
	f.add("no_update", "Y")
	return c.probe(ctx, "update_lead", f, "NO MATCHES FOUND IN THE SYSTEM")
}

// Functions are those of the API that importing and checking need.
func Functions() []string {
	return []string{"add_lead", "lead_search", "lead_field_info", "update_lead", "list_info", "campaigns_list", "version"}
}

// Excess lists functions that this user may call although importing needs none
// of them. Only functions that do nothing but read are asked about, with
// parameters for which there is nothing to read: a user who may call these, may
// as a rule call all.
func (c *Client) Excess(ctx context.Context) ([]string, error) {
	var excess []string
	for _, p := range [...]struct {
		function, parameter, value string
		refusal                    string
	}{
		{"check_phone_number", "local_call_time", "none", "THIS IS NOT A VALID CALL TIME"},
		{"lead_all_info", "phone_number", noNumber, "LEAD NOT FOUND"},
	} {
		f := c.newForm(p.function)
		f.add(p.parameter, p.value)
		err := c.probe(ctx, p.function, f, p.refusal)
		var e *Error
		if errors.As(err, &e) {
			if _, final := e.Final(); final || e.Unwrap() != nil {
				return nil, err
			}
			continue // not allowed, or not known to be
		}
		excess = append(excess, p.function)
	}
	return excess, nil
}

// probe makes a call for the sake of its refusal.
func (c *Client) probe(ctx context.Context, function string, f *form, refusal string) error {
	r, unanswered := c.post(ctx, f, maxLookupAnswer)
	if unanswered != nil {
		return unanswered.asError(c.host)
	}
	first, _, _ := decisive(r.body, function)
	if stop, ok := stopLine(first, function, ""); ok {
		return stop.asError(c.host)
	}
	result, said, _ := strings.Cut(first.text, ": "+function+" ")
	if (result == "ERROR" || result == "NOTICE") && first.ended && isPhrase(said, refusal) {
		return nil
	}
	if !isAPILine(first.text) {
		return wordless(r, first).asError(c.host)
	}
	return c.inconclusive("it answered a " + function + " that it must refuse in a way that this version does not know: look at its API log report")
}
