package nonagent

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"

	"importer/internal/importer"
)

// searchCap is how many leads one search may find. The dialer credits numbers
// beyond it with nothing, so an answer that reaches it is not believed.
const searchCap = 50_000

// Search finds the leads of one list by phone number, with one lead_search.
// The map has an entry for every number asked; an empty one means that the
// dialer said "none", which a dialer whose query failed says too: ask for a
// number known to be there along with the others. Two numbers that are equal
// as integers cannot be asked together, since the dialer confuses them. Every
// error is an *Error.
func (c *Client) Search(ctx context.Context, listID string, phones []string) (map[string][]int64, error) {
	found := make(map[string][]int64, len(phones))
	integers := make(map[string]bool, len(phones))
	asked := make([]string, 0, len(phones))
	for _, phone := range phones {
		if _, again := found[phone]; again {
			continue
		}
		integer := strings.TrimLeft(phone, "0")
		if integer == "" || !only(phone, isDigit) || integers[integer] {
			return nil, c.badCall("a search takes phone numbers made of digits, no two of them equal as integers")
		}
		found[phone], integers[integer] = nil, true
		asked = append(asked, phone)
	}
	if len(asked) == 0 {
		return found, nil
	}
	if !isList(listID) {
		return nil, c.badCall("a search wants a list id of three digits or more")
	}
	f := c.newForm("lead_search")
	f.add("phone_number", strings.Join(asked, ","))
	f.add("search_location", "LIST")
	f.add("list_id", listID)
	f.add("records", strconv.Itoa(searchCap))
	rows, none, err := c.ask(ctx, "lead_search", f,
		"NO MATCHES FOUND IN THE SYSTEM", "NO MATCHES FOUND IN THE LIST", "NO MATCHES FOUND IN THE CAMPAIGN")
	if err != nil {
		return nil, err
	}
	if none != "" {
		return found, nil
	}
	if err := readSearch(rows, found); err != "" {
		return nil, c.inconclusive(err)
	}
	return found, nil
}

// readSearch fills in what was found from lines of the form
// phone|count|lead_id-lead_id, one for every number asked. It returns why the
// answer decides nothing, or an empty string.
func readSearch(rows []string, found map[string][]int64) string {
	answered := make(map[string]bool, len(found))
	credited := make(map[int64]bool)
	for _, row := range rows {
		cells := strings.Split(row, "|")
		if len(cells) != 3 {
			return "a line of its search is not phone|count|leads"
		}
		phone := cells[0]
		if _, asked := found[phone]; !asked || answered[phone] {
			return "its search answered for a number that was not asked, or twice for one"
		}
		answered[phone] = true
		var ids []int64
		if cells[2] != "" {
			for text := range strings.SplitSeq(cells[2], "-") {
				id, ok := leadID(text)
				if !ok {
					return "its search found something that is no lead id"
				}
				if credited[id] {
					return "its search credited two numbers with one lead"
				}
				credited[id] = true
				ids = append(ids, id)
			}
		}
		if cells[1] != strconv.Itoa(len(ids)) {
			return "its search counted other than it listed"
		}
		found[phone] = ids
	}
	switch {
	case len(answered) != len(found):
		return "its search left a number out"
	case len(credited) >= searchCap:
		return "its search found as many leads as it may: ask for fewer numbers at once"
	}
	return ""
}

// Field reads one field of a lead with lead_field_info; an empty field is an
// empty string. Every error is an *Error, of KindNotFound when the dialer says
// that it has no such lead, or that its list is none of this user's.
//
// The answer is the bare value, so a lead's own text can look like anything.
// Nothing that looks like an error is ever returned as a value; and since a
// vendor may have written it, it stops a run only if it names our user.
func (c *Client) Field(ctx context.Context, leadID int64, field string) (string, error) {
	if leadID <= 0 || !isLeadField(field) {
		return "", c.badCall("a lead has no such field, or no such id")
	}
	f := c.newForm("lead_field_info")
	f.add("lead_id", strconv.FormatInt(leadID, 10))
	f.add("field_name", field)
	r, unanswered := c.post(ctx, f, maxLookupAnswer)
	if unanswered != nil {
		return "", unanswered.asError(c.host)
	}
	first, _ := cut(r.body)
	if stop, ok := stopLine(first, "lead_field_info", c.user); ok {
		return "", stop.asError(c.host)
	}
	if r.status != http.StatusOK || !r.complete || isPage(r.body) || strings.HasPrefix(first.text, "MySQL connect ERROR:") {
		return "", wordless(r, first).asError(c.host)
	}
	value := string(bytes.TrimSuffix(r.body, []byte("\n")))
	const longestColumn = 4 * 255 // bytes of vicidial_list's widest column
	switch s, isError := strings.CutPrefix(value, "ERROR: "); {
	case isError && (isPhrase(s, "lead_field_info LEAD NOT FOUND") || isPhrase(s, "lead_field_info LIST NOT FOUND")):
		return "", c.notFound(ReasonNotFound, "it has no such lead, or the lead's list is none of the API user's")
	case isError:
		return "", c.inconclusive("it answered with an error instead of a field's value, or with a value that looks like one")
	case len(value) > longestColumn, strings.ContainsAny(value, "\r\n"):
		return "", c.inconclusive("it answered with something longer than a field's value")
	}
	return value, nil
}

// ask makes a call that answers with lines and returns those that are not
// empty. none is the one of the given errors of this function, each meaning
// "there is nothing", that the dialer answered with instead.
func (c *Client) ask(ctx context.Context, function string, f *form, nothing ...string) (rows []string, none string, err error) {
	r, unanswered := c.post(ctx, f, maxLookupAnswer)
	if unanswered != nil {
		return nil, "", unanswered.asError(c.host)
	}
	first, _ := cut(r.body)
	if stop, ok := stopLine(first, function, ""); ok {
		return nil, "", stop.asError(c.host)
	}
	if r.status != http.StatusOK || !r.complete || isPage(r.body) || strings.HasPrefix(first.text, "MySQL connect ERROR:") {
		return nil, "", wordless(r, first).asError(c.host)
	}
	if s, ok := strings.CutPrefix(first.text, "ERROR: "); ok {
		s, _ = strings.CutPrefix(s, function+" ")
		for _, phrase := range nothing {
			if isPhrase(s, phrase) && first.ended {
				return nil, phrase, nil
			}
		}
		return nil, "", c.inconclusive("it answered " + function + " with an ERROR that this version does not know: look at its API log report")
	}
	for rest := r.body; len(rest) > 0; {
		var l line
		l, rest = cut(rest)
		if !l.ended {
			return nil, "", c.inconclusive("its answer to " + function + " broke off in the middle of a line")
		}
		if l.text != "" {
			rows = append(rows, l.text)
		}
	}
	return rows, "", nil
}

func (c *Client) inconclusive(text string) *Error {
	return &Error{Kind: KindInconclusive, Reason: ReasonInconclusive, Host: c.host, text: text}
}

func (c *Client) notFound(r importer.Reason, text string) *Error {
	return &Error{Kind: KindNotFound, Reason: r, Host: c.host, text: text}
}

func (c *Client) badCall(text string) *Error {
	return &Error{Kind: KindInconclusive, Reason: ReasonBadCall, text: text + ": nothing was sent"}
}
