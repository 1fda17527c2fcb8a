package nonagent

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"importer/internal/importer"
)

const addLeadSuccess = "SUCCESS: add_lead LEAD HAS BEEN ADDED - "

// rejections are add_lead's ERROR lines about the lead itself. phone and dup
// are the places of the phone number and of the older lead's id among the
// line's data, -1 where there is none.
var rejections = [...]struct {
	text       string
	verdict    importer.Verdict
	reason     importer.Reason
	phone, dup int
	says       string
}{
	{"INVALID PHONE NUMBER LENGTH", importer.VerdictRejected, ReasonPhoneLength, 0, -1, "it takes phone numbers of 6 to 16 digits only"},
	{"INVALID PHONE NUMBER PREFIX", importer.VerdictRejected, ReasonPhonePrefix, 0, -1, "the fourth digit of the phone number is 0 or 1"},
	{"INVALID PHONE NUMBER AREACODE", importer.VerdictRejected, ReasonPhoneAreaCode, 0, -1, "it does not know the phone number's area code"},
	{"INVALID PHONE NUMBER NANPA AREACODE PREFIX", importer.VerdictRejected, ReasonPhoneNANPA, 0, -1, "its NANPA table does not hold the phone number's area code and prefix"},
	{"PHONE NUMBER IN DNC", importer.VerdictRejected, ReasonDNC, 0, -1, "the phone number is on its do-not-call list"},
	{"PHONE NUMBER IN CAMPAIGN DNC", importer.VerdictRejected, ReasonCampaignDNC, 0, -1, "the phone number is on the campaign's do-not-call list"},
	{"LEAD HAS NOT BEEN ADDED", importer.VerdictRetry, ReasonInsertFailed, 0, -1, "its INSERT failed (a locked, crashed or read-only table, or text that it cannot hold), and nothing was added"},
	{"DUPLICATE PHONE NUMBER IN LIST", importer.VerdictDuplicate, ReasonDialerDuplicate, 0, 2, "it has a lead with this phone number in the list"},
	{"DUPLICATE PHONE NUMBER IN CAMPAIGN LISTS", importer.VerdictDuplicate, ReasonDialerDuplicate, 0, 2, "it has a lead with this phone number in the lists of the campaign"},
	{"DUPLICATE PHONE NUMBER IN SYSTEM", importer.VerdictDuplicate, ReasonDialerDuplicate, 0, 2, "it has a lead with this phone number"},
	{"DUPLICATE TITLE ALT_PHONE IN LIST", importer.VerdictDuplicate, ReasonDialerDuplicate, -1, 3, "it has a lead with this title and alternate phone in the list"},
	{"DUPLICATE TITLE ALT_PHONE IN CAMPAIGN LISTS", importer.VerdictDuplicate, ReasonDialerDuplicate, -1, 3, "it has a lead with this title and alternate phone in the lists of the campaign"},
	{"DUPLICATE TITLE ALT_PHONE IN SYSTEM", importer.VerdictDuplicate, ReasonDialerDuplicate, -1, 3, "it has a lead with this title and alternate phone"},
	{"DUPLICATE NAME PHONE IN LIST", importer.VerdictDuplicate, ReasonDialerDuplicate, 2, 4, "it has a lead with this name and phone number in the list"},
	{"DUPLICATE NAME PHONE IN CAMPAIGN LISTS", importer.VerdictDuplicate, ReasonDialerDuplicate, 2, 4, "it has a lead with this name and phone number in the lists of the campaign"},
	{"DUPLICATE NAME PHONE IN SYSTEM", importer.VerdictDuplicate, ReasonDialerDuplicate, 2, 4, "it has a lead with this name and phone number"},
}

// classify says what an answer to add_lead means. The first line that decides
// is believed whatever the HTTP status, since the dialer logs after it has
// inserted and may fail there; without such a line the status speaks.
func classify(r reply, call *importer.Call) importer.Answer {
	first, notes, rest := decisive(r.body, "add_lead")
	if data, ok := strings.CutPrefix(first.text, addLeadSuccess); ok && first.ended {
		a := added(r.host, strings.Split(data, "|"), call)
		a.Notes = slices.Concat(notes, notesAfter(rest, "add_lead"))
		if a.Verdict == importer.VerdictAdded {
			confirm(&a, call)
		}
		return a
	}
	if f, ok := stopLine(first, "add_lead", ""); ok {
		return f.asAnswer(r.host)
	}
	if s, ok := strings.CutPrefix(first.text, "ERROR: add_lead "); ok && first.ended && r.complete {
		if a, ok := refused(r.host, s, call); ok {
			a.Notes = notes
			return a
		}
		return found(importer.VerdictUnknown, ReasonAnswerUnrecognised,
			"it answered with an ERROR that this version does not know: look at its API log report").asAnswer(r.host)
	}
	a := wordless(r, first).asAnswer(r.host)
	if a.Reason == ReasonDialerBusy {
		a.RetryAfter = retryAfter(r.header)
	}
	return a
}

// added reads the data of a SUCCESS line: phone|list_id|lead_id|gmt_offset|user.
// The dialer's own documentation names another order, which is wrong.
func added(host string, data []string, call *importer.Call) importer.Answer {
	if len(data) < 5 {
		return found(importer.VerdictUnknown, ReasonAnswerUnrecognised, "its SUCCESS line does not hold what it should").asAnswer(host)
	}
	if data[0] != call.Lead.PhoneNumber || data[1] != call.Lead.ListID {
		return found(importer.VerdictUnknown, ReasonAnswerMismatch,
			"it answered for another number or list than the one sent; look for a proxy or cache that mixes answers up").asAnswer(host)
	}
	id, ok := leadID(data[2])
	if !ok {
		return found(importer.VerdictUnknown, ReasonAnswerUnrecognised, "its SUCCESS line carries no lead id").asAnswer(host)
	}
	return importer.Answer{Verdict: importer.VerdictAdded, LeadID: id}
}

// confirm tells what was asked for with a lead that is in and was not done. The
// notices about it can be missing altogether: where the dialer's script breaks
// off behind its SUCCESS line, nothing of it was done.
func confirm(a *importer.Answer, call *importer.Call) {
	lacks := func(done, refused, unsaid string, why importer.Reason) {
		if slices.Contains(a.Notes, done) {
			return
		}
		a.Reason = why
		if !slices.ContainsFunc(a.Notes, func(note string) bool { return strings.HasPrefix(note, refused) }) {
			a.Notes = append(a.Notes, unsaid)
		}
	}
	// The gravest comes last, and stays.
	if call.Hopper != nil {
		lacks("added to hopper", "not added to hopper", "hopper not confirmed", importer.ReasonNotInHopper)
	}
	x := call.Lead.Extras
	if x != nil && x.AltPhones != nil {
		lacks("alternate numbers added", "alternate numbers not", "alternate numbers not confirmed", importer.ReasonAltPhonesMissing)
	}
	if x != nil && x.Callback != nil {
		lacks("callback added", "callback not added", "callback not confirmed, the lead may be on hold", importer.ReasonCallbackRefused)
	}
}

// refused reads an ERROR line about the lead, without its "ERROR: add_lead ".
func refused(host, s string, call *importer.Call) (importer.Answer, bool) {
	for _, k := range rejections {
		if !isPhrase(s, k.text) {
			continue
		}
		data := strings.Split(strings.TrimPrefix(s[len(k.text):], " - "), "|")
		if k.phone >= len(data) || k.phone >= 0 && data[k.phone] != call.Lead.PhoneNumber {
			return found(importer.VerdictUnknown, ReasonAnswerMismatch,
				"it refused another number than the one sent; look for a proxy or cache that mixes answers up").asAnswer(host), true
		}
		a := found(k.verdict, k.reason, "%s", k.says).asAnswer(host)
		if k.dup >= 0 && k.dup < len(data) {
			a.DuplicateOf, _ = leadID(data[k.dup]) // 0 when it is not told
		}
		return a, true
	}
	return importer.Answer{}, false
}

// wordless judges an answer without a line of the API: by its HTTP status, and
// by what kind of page it is. Only where it is certain that nothing ran does
// it say anything but unknown.
func wordless(r reply, first line) finding {
	f := byStatus(r, first)
	// A gateway's word is no word of what it stands before.
	f.busy = !r.complete || r.status == http.StatusBadGateway || r.status == http.StatusGatewayTimeout
	f.foreign = f.foreign || f.verdict == importer.VerdictStop
	return f
}

func byStatus(r reply, first line) finding {
	if strings.HasPrefix(first.text, "MySQL connect ERROR:") && r.complete {
		return found(importer.VerdictRetry, ReasonDatabaseDown, "its web server cannot reach its database (down, or out of connections): nothing was run")
	}
	unknown := func(reason importer.Reason, text string) finding {
		return found(importer.VerdictUnknown, reason, "%s", text)
	}
	wrong := func(text string) finding {
		return found(importer.VerdictStop, ReasonNotTheAPI, "HTTP %d: %s; the url must be that of the Non-Agent API, usually .../vicidial/non_agent_api.php", r.status, text)
	}
	switch r.status {
	case http.StatusBadRequest:
		return wrong("its web server refused the request (is this an https port addressed with http, or the other way round?)")
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return found(importer.VerdictStop, ReasonAccessDenied, "HTTP %d: its web server wants a login of its own in front of the API: exempt this machine or the API's address from it", r.status)
	case http.StatusForbidden:
		return found(importer.VerdictStop, ReasonAccessDenied, "HTTP 403: its web server or firewall forbids this address to this machine")
	case http.StatusNotFound, http.StatusGone:
		return wrong("there is nothing at this address")
	case http.StatusMethodNotAllowed, http.StatusRequestURITooLong, http.StatusTeapot:
		return wrong("this address does not take the API's requests")
	case http.StatusTooManyRequests:
		return found(importer.VerdictRetry, ReasonDialerBusy, "HTTP 429: it asks for fewer calls: lower concurrency or rate")
	}
	switch {
	case r.status >= 300 && r.status < 400:
		return wrong("it sends us to another address, where the password will not be sent: configure the final address itself")
	case r.status == http.StatusInternalServerError && neverRan(r):
		return found(importer.VerdictRetry, ReasonDatabaseDown, "HTTP 500 from PHP before anything was run, as when its database is down or out of connections")
	case r.status >= 500:
		return unknown(ReasonServerError, "HTTP "+strconv.Itoa(r.status)+" without a word of the API")
	case r.tooLong:
		return unknown(ReasonAnswerUnrecognised, "an answer longer than any of the API's")
	case !r.complete, isAPILine(first.text) && !first.ended:
		return unknown(ReasonAnswerIncomplete, "the answer broke off before its end")
	case len(bytes.TrimSpace(r.body)) == 0:
		return unknown(ReasonAnswerUnrecognised, "an empty answer")
	case isFatalPage(r.body):
		return unknown(ReasonAnswerUnrecognised, "a fatal error of its PHP (see the web server's error log)")
	case isLoginPage(r.body):
		return wrong("a web page to log in on")
	}
	f := unknown(ReasonAnswerUnrecognised, "an answer that is no line of the API")
	if isPage(r.body) {
		f = unknown(ReasonAnswerUnrecognised, "a web page instead of an answer of the API (a proxy, a captive portal, a firewall?)")
	}
	f.foreign = !isAPILine(first.text)
	return f
}

func isAPILine(s string) bool {
	return strings.HasPrefix(s, "SUCCESS: ") || strings.HasPrefix(s, "ERROR: ") || strings.HasPrefix(s, "NOTICE: ")
}

// neverRan recognises how PHP 8.1 and later answers when the dialer's script
// dies connecting to the database: empty, in PHP's own content type, before
// the script has set its caching headers.
func neverRan(r reply) bool {
	return r.complete && len(r.body) == 0 &&
		r.header.Get("Content-Type") == "text/html; charset=UTF-8" &&
		r.header.Get("Cache-Control") == "" && r.header.Get("Pragma") == ""
}

func isPage(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) }

func isFatalPage(body []byte) bool {
	return bytes.Contains(body, []byte("Fatal error")) || bytes.Contains(body, []byte("Parse error"))
}

// isLoginPage recognises pages that the Non-Agent API never prints: a form
// with a password, and the dialer's own administration and agent screens.
func isLoginPage(body []byte) bool {
	page := bytes.ToLower(body)
	if !isPage(page) || !bytes.Contains(page, []byte("<html")) {
		return false
	}
	_, title, _ := bytes.Cut(page, []byte("<title>"))
	title, _, _ = bytes.Cut(title, []byte("</title>"))
	for _, mark := range [...]string{"vicidial", "agent web client", "administration"} {
		if bytes.Contains(title, []byte(mark)) {
			return true
		}
	}
	return bytes.Contains(page, []byte(`type="password"`)) || bytes.Contains(page, []byte("type=password")) ||
		bytes.Contains(page, []byte("type='password'"))
}

// maxRetryAfter caps what a server may ask for.
const maxRetryAfter = 5 * time.Minute

// retryAfter reads the header in seconds or as a date, which is measured on
// the server's own clock where the answer tells it.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}
