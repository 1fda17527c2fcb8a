package nonagent

import (
	"bytes"
	"net/netip"
	"strings"

	"importer/internal/importer"
)

// line is one line of an answer. ended tells whether its line end came.
type line struct {
	text  string
	ended bool
}

// cut takes the first line off an answer.
func cut(body []byte) (line, []byte) {
	text, rest, ended := bytes.Cut(body, []byte("\n"))
	return line{string(bytes.TrimSuffix(text, []byte("\r"))), ended}, rest
}

// decisive returns the line that decides: the first that is neither empty, nor
// a known notice, nor a warning of PHP. Whatever comes later cannot overrule
// it: after an ERROR the dialer may echo text of ours.
func decisive(body []byte, function string) (first line, notes []string, rest []byte) {
	for len(body) > 0 {
		first, body = cut(body)
		if note, ok := notice(first.text, function); ok {
			notes = append(notes, note)
			continue
		}
		if !isNoise(first.text) {
			return first, notes, body
		}
	}
	return line{}, notes, nil
}

// isNoise recognises empty lines and the warnings that PHP prints into a page.
// A fatal error is none: it ends the script.
func isNoise(s string) bool {
	s = strings.TrimPrefix(strings.TrimSpace(s), "<br />")
	if s == "" {
		return true
	}
	s = strings.TrimPrefix(s, "PHP ")
	for _, kind := range [...]string{"Warning", "Notice", "Deprecated"} {
		if strings.HasPrefix(s, "<b>"+kind+"</b>:") || strings.HasPrefix(s, kind+": ") {
			return strings.Contains(s, " on line ")
		}
	}
	return false
}

// notices are the notices of add_lead and update_lead, each with the stable
// phrase that it becomes. A longer text stands before its own beginning.
var notices = [...]struct{ text, note string }{
	{"NANPA options disabled, NANPA prefix data not loaded", "NANPA check skipped: the dialer has no NANPA data"},
	{"MULTI-ALT-PHONE NUMBERS LOADED", "alternate numbers added"},
	{"CUSTOM FIELDS VALUES ADDED", "custom fields added"},
	{"CUSTOM FIELDS VALUES UPDATED", "custom fields updated"},
	{"CUSTOM FIELDS NOT ADDED, CUSTOM FIELDS DISABLED", "custom fields not added: switched off on the dialer"},
	{"CUSTOM FIELDS NOT ADDED, NO CUSTOM FIELDS DEFINED FOR THIS LIST", "custom fields not added: the list has none"},
	{"CUSTOM FIELDS NOT ADDED, NO FIELDS DEFINED", "custom fields not added: none defined"},
	{"CUSTOM FIELDS NOT ADDED, NO FIELDS TO UPDATE DEFINED", "custom fields not added: the dialer's INSERT failed"},
	{"CUSTOM FIELDS NOT UPDATED, CUSTOM FIELDS DISABLED", "custom fields not updated: switched off on the dialer"},
	{"CUSTOM FIELDS NOT UPDATED, NO CUSTOM FIELDS DEFINED FOR THIS LIST", "custom fields not updated: the list has none"},
	{"CUSTOM FIELDS NOT UPDATED, NO FIELDS DEFINED", "custom fields not updated: none defined"},
	{"ADDED TO HOPPER", "added to hopper"},
	{"NOT ADDED TO HOPPER, OUTSIDE OF LOCAL TIME", "not added to hopper: outside local time"},
	{"NOT ADDED TO HOPPER", "not added to hopper"},
	{"SCHEDULED CALLBACK ADDED", "callback added"},
	{"SCHEDULED CALLBACK NOT ADDED, USER NOT VALID", "callback not added: user not valid, the lead is on hold"},
	{"SCHEDULED CALLBACK NOT ADDED, CAMPAIGN NOT VALID", "callback not added: campaign not valid, the lead is on hold"},
}

// notice recognises a known notice at the beginning of a line.
func notice(s, function string) (string, bool) {
	rest, ok := strings.CutPrefix(s, "NOTICE: "+function+" ")
	if !ok {
		return "", false
	}
	for _, n := range notices {
		if isPhrase(rest, n.text) {
			return n.note, true
		}
	}
	return "", false
}

// notesAfter collects the notices behind a SUCCESS line. Alternate numbers are
// printed in front of their notice without a line end between them.
func notesAfter(rest []byte, function string) []string {
	var notes []string
	for len(rest) > 0 {
		var l line
		l, rest = cut(rest)
		if at := strings.Index(l.text, "NOTICE: "+function+" "); at >= 0 {
			if note, ok := notice(l.text[at:], function); ok {
				notes = append(notes, note)
			}
		}
	}
	return notes
}

// isPhrase tells whether s is the phrase, alone or in front of its data.
func isPhrase(s, phrase string) bool {
	rest, ok := strings.CutPrefix(s, phrase)
	return ok && (rest == "" || rest[0] == ':' || strings.HasPrefix(rest, " -"))
}

// stopLine recognises the ERROR lines that every further call would meet too.
// user is the API user that an answer must name to be believed where a lead's
// own text could stand in its place; empty: any.
func stopLine(l line, function, user string) (finding, bool) {
	s, ok := strings.CutPrefix(l.text, "ERROR: ")
	if !ok {
		return finding{}, false
	}
	stop := func(r importer.Reason, text string) (finding, bool) {
		named := user == "" || strings.Contains(s, "|"+user+"|") || strings.Contains(s, " "+user+"|")
		return found(importer.VerdictStop, r, "%s", text), named
	}
	switch {
	case isPhrase(s, "Login incorrect, please try again") && strings.HasSuffix(s, "|2FA|"):
		return stop(ReasonTwoFactor, "two-factor login is on and the API user is not exempt: set its two-factor override to DISABLED")
	case isPhrase(s, "Login incorrect, please try again"):
		return stop(ReasonLoginRefused, "it refused the API user's login: check user and password, and that the user is active and of level 8 or more (ten failures lock it for 15 minutes)")
	case isPhrase(s, "Too many login attempts, try again in 15 minutes"):
		return stop(ReasonLoginLocked, "the API user is locked after ten failed logins, the right password included: correct the password, wait 15 minutes, and look for another program with an old one")
	case isPhrase(s, "Your IP Address is not allowed"):
		return stop(ReasonIPNotAllowed, "it does not allow "+quotedIP(s)+" to use its API: add it to the user group's API IP list")
	case isPhrase(s, "user_group DOES NOT EXIST"):
		return stop(ReasonUserGroupMissing, "the API user's user group does not exist: give the user an existing one")
	case isPhrase(s, "Invalid Source"):
		return stop(ReasonSourceRefused, "it refused the source parameter: source must have at least two letters or digits, and a proxy must not drop the request's body")
	case isPhrase(s, "auth USER DOES NOT HAVE PERMISSION TO USE THIS FUNCTION"):
		return stop(ReasonFunctionNotAllowed, "the API user may not call "+function+": add it to the user's allowed API functions")
	case strings.HasPrefix(s, function+" USER DOES NOT HAVE PERMISSION"):
		return stop(ReasonNotPermitted, "the API user's rights do not reach for "+function+": it needs "+needs(function)+" in its user settings")
	case strings.HasPrefix(s, function+" NOT AN ALLOWED LIST ID"):
		return stop(ReasonListNotAllowed, "the API user's group is limited to lists of its campaigns, and this list is none of them")
	case isPhrase(s, function+" NOT A DEFINED LIST ID, LIST EXISTS CHECK ENABLED"):
		return stop(ReasonListNotDefined, "it has no such list: create the list, or correct the list id")
	case isPhrase(s, "NO FUNCTION SPECIFIED"):
		return stop(ReasonFunctionUnknown, "it does not know the function "+function+": the address must be that of the Non-Agent API (.../vicidial/non_agent_api.php), or the dialer is too old")
	case strings.HasPrefix(s, "agent_user "), strings.HasPrefix(s, "no user found"):
		return stop(ReasonNotTheAPI, "this is the Agent API: /agc/api.php drives an agent's screen; use .../vicidial/non_agent_api.php")
	}
	return finding{}, false
}

// rights are the user settings that a function asks for besides level 8 and
// Agent API Access.
var rights = map[string]string{
	"add_lead":        "Modify Leads = 1 to 4",
	"update_lead":     "Modify Leads = 1 to 4",
	"lead_field_info": "Modify Leads = 1 to 4",
	"lead_search":     "Modify Leads = 1 to 4", // 5 would do for this function alone
	"list_info":       "Modify Lists = 1",
	"campaigns_list":  "View Reports = 1",
	"hopper_list":     "View Reports = 1",
}

func needs(function string) string {
	needed := "User Level 8, Agent API Access = 1"
	if right := rights[function]; right != "" {
		needed += " and " + right
	}
	return needed
}

// quotedIP is the address that the dialer saw us come from, if it is one.
func quotedIP(s string) string {
	for word := range strings.FieldsSeq(s) {
		if ip, err := netip.ParseAddr(strings.TrimSuffix(word, ":")); err == nil {
			return ip.String()
		}
	}
	return "this machine's address"
}
