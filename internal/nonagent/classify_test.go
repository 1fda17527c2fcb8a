package nonagent

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
)

func TestEveryAnswerHasItsMeaning(t *testing.T) {
	t.Parallel()
	const (
		added     = importer.VerdictAdded
		rejected  = importer.VerdictRejected
		duplicate = importer.VerdictDuplicate
		retry     = importer.VerdictRetry
		stop      = importer.VerdictStop
		unknown   = importer.VerdictUnknown
	)
	loginPage := "<html><head><title>x</title></head><body><form><input type=\"password\" name=\"p\"></form></body></html>"
	sql := "ERROR: add_lead LEAD HAS NOT BEEN ADDED - " + phoneCanary + "|101|INSERT INTO vicidial_list SET comments=\"" + commentCanary + "\";|apiuser\n"
	for name, c := range map[string]struct {
		reply   reply
		verdict importer.Verdict
		reason  importer.Reason
	}{
		"success":                        {answered(200, success), added, ""},
		"success with a CRLF":            {answered(200, strings.TrimSuffix(success, "\n")+"\r\n"), added, ""},
		"success on a 500":               {answered(500, success), added, ""},
		"success behind a notice":        {answered(200, "NOTICE: add_lead NANPA options disabled, NANPA prefix data not loaded - 3|apiuser\n"+success), added, ""},
		"success behind a PHP warning":   {answered(200, "<br />\n<b>Warning</b>:  x in <b>/srv/a.php</b> on line <b>9</b><br />\n"+success), added, ""},
		"success in front of a warning":  {answered(200, success+"\nWarning: x in /srv/a.php on line 9\n"), added, ""},
		"success with no offset":         {answered(200, "SUCCESS: add_lead LEAD HAS BEEN ADDED - "+phoneCanary+"|101|1||apiuser\n"), added, ""},
		"success, its line end missing":  {answered(200, strings.TrimSuffix(success, "\n")), unknown, ReasonAnswerIncomplete},
		"success behind an unknown line": {answered(200, "hello\n"+success), unknown, ReasonAnswerUnrecognised},
		"success behind an unknown notice": {
			answered(200, "NOTICE: add_lead LEAD NOT ADDED AFTER ALL - x\n"+success), unknown, ReasonAnswerUnrecognised,
		},
		"success behind the echo of SQL":  {answered(200, sql+success), retry, ReasonInsertFailed},
		"success behind an unknown ERROR": {answered(200, "ERROR: add_lead SOMETHING NEW - x\n"+success), unknown, ReasonAnswerUnrecognised},
		"success for another phone":       {answered(200, "SUCCESS: add_lead LEAD HAS BEEN ADDED - 3055551002|101|1|-5|apiuser\n"), unknown, ReasonAnswerMismatch},
		"success for another list":        {answered(200, "SUCCESS: add_lead LEAD HAS BEEN ADDED - "+phoneCanary+"|999|1|-5|apiuser\n"), unknown, ReasonAnswerMismatch},
		"success without a lead id":       {answered(200, "SUCCESS: add_lead LEAD HAS BEEN ADDED - "+phoneCanary+"|101||-5|apiuser\n"), unknown, ReasonAnswerUnrecognised},
		"success with lead id 0":          {answered(200, "SUCCESS: add_lead LEAD HAS BEEN ADDED - "+phoneCanary+"|101|0|-5|apiuser\n"), unknown, ReasonAnswerUnrecognised},
		"success with a signed lead id":   {answered(200, "SUCCESS: add_lead LEAD HAS BEEN ADDED - "+phoneCanary+"|101|+7|-5|apiuser\n"), unknown, ReasonAnswerUnrecognised},
		"success in the documented order": {answered(200, "SUCCESS: add_lead LEAD HAS BEEN ADDED - "+phoneCanary+"|apiuser|101|1|-5\n"), unknown, ReasonAnswerMismatch},
		"success of another function":     {answered(200, "SUCCESS: update_lead LEAD HAS BEEN UPDATED - apiuser|1|0|||\n"), unknown, ReasonAnswerUnrecognised},

		"length":               {answered(200, "ERROR: add_lead INVALID PHONE NUMBER LENGTH - "+phoneCanary+"|apiuser\n"), rejected, ReasonPhoneLength},
		"length on a 500":      {answered(500, "ERROR: add_lead INVALID PHONE NUMBER LENGTH - "+phoneCanary+"|apiuser\n"), rejected, ReasonPhoneLength},
		"prefix":               {answered(200, "ERROR: add_lead INVALID PHONE NUMBER PREFIX - "+phoneCanary+"|apiuser\n"), rejected, ReasonPhonePrefix},
		"area code":            {answered(200, "ERROR: add_lead INVALID PHONE NUMBER AREACODE - "+phoneCanary+"|apiuser\n"), rejected, ReasonPhoneAreaCode},
		"nanpa":                {answered(200, "ERROR: add_lead INVALID PHONE NUMBER NANPA AREACODE PREFIX - "+phoneCanary+"|apiuser\n"), rejected, ReasonPhoneNANPA},
		"dnc":                  {answered(200, "ERROR: add_lead PHONE NUMBER IN DNC - "+phoneCanary+"|apiuser\n"), rejected, ReasonDNC},
		"campaign dnc":         {answered(200, "ERROR: add_lead PHONE NUMBER IN CAMPAIGN DNC - "+phoneCanary+"|TESTCAMP|apiuser\n"), rejected, ReasonCampaignDNC},
		"dnc of another phone": {answered(200, "ERROR: add_lead PHONE NUMBER IN DNC - 3055551002|apiuser\n"), unknown, ReasonAnswerMismatch},
		"dnc, cut":             {reply{status: 200, body: []byte("ERROR: add_lead PHONE NUMBER IN DNC - " + phoneCanary + "|apiuser\n")}, unknown, ReasonAnswerIncomplete},
		"duplicate":            {answered(200, "ERROR: add_lead DUPLICATE PHONE NUMBER IN LIST - "+phoneCanary+"|101|40\n"), duplicate, ReasonDialerDuplicate},
		"insert failed":        {answered(200, sql), retry, ReasonInsertFailed},

		"login":             {answered(200, "ERROR: Login incorrect, please try again: |apiuser|"+passwordCanary+"|BAD|\n"), stop, ReasonLoginRefused},
		"login, cut":        {reply{status: 200, body: []byte("ERROR: Login incorrect, please try again: |apiu")}, stop, ReasonLoginRefused},
		"two factor":        {answered(200, "ERROR: Login incorrect, please try again: |apiuser|"+passwordCanary+"|2FA|\n"), stop, ReasonTwoFactor},
		"locked":            {answered(200, "ERROR: Too many login attempts, try again in 15 minutes: |apiuser|LOCK|\n"), stop, ReasonLoginLocked},
		"ip":                {answered(200, "ERROR: Your IP Address is not allowed: 192.0.2.10: ||IPBLOCK|\n"), stop, ReasonIPNotAllowed},
		"group":             {answered(200, "ERROR: user_group DOES NOT EXIST: |apiuser|G|\n"), stop, ReasonUserGroupMissing},
		"source":            {answered(200, "ERROR: Invalid Source - x\nERROR: Invalid Source: |x|\n"), stop, ReasonSourceRefused},
		"function":          {answered(200, "ERROR: auth USER DOES NOT HAVE PERMISSION TO USE THIS FUNCTION: |apiuser|add_lead|\n"), stop, ReasonFunctionNotAllowed},
		"permission":        {answered(200, "ERROR: add_lead USER DOES NOT HAVE PERMISSION TO ADD LEADS TO THE SYSTEM: |apiuser|0|\n"), stop, ReasonNotPermitted},
		"list not allowed":  {answered(200, "ERROR: add_lead NOT AN ALLOWED LIST ID - "+phoneCanary+"|101\n"), stop, ReasonListNotAllowed},
		"list not defined":  {answered(200, "ERROR: add_lead NOT A DEFINED LIST ID, LIST EXISTS CHECK ENABLED - "+phoneCanary+"|101\n"), stop, ReasonListNotDefined},
		"no function":       {answered(200, "ERROR: NO FUNCTION SPECIFIED\n"), stop, ReasonFunctionUnknown},
		"the Agent API":     {answered(200, "ERROR: agent_user is not logged in - apiuser\n"), stop, ReasonNotTheAPI},
		"database down":     {answered(200, "MySQL connect ERROR:  Too many connections", "Cache-Control", "Pragma"), retry, ReasonDatabaseDown},
		"database down cut": {reply{status: 200, body: []byte("MySQL connect ERROR:  Too")}, unknown, ReasonAnswerIncomplete},
		"PHP never ran":     {answered(500, "", "Cache-Control", "Pragma", "Content-Type: text/html; charset=UTF-8"), retry, ReasonDatabaseDown},
		"PHP ran":           {answered(500, ""), unknown, ReasonServerError},
		"somebody's 500":    {answered(500, "", "Cache-Control", "Pragma", "Content-Type"), unknown, ReasonServerError},
		"502":               {answered(502, "<html>bad gateway</html>"), unknown, ReasonServerError},
		"503":               {answered(503, "", "Retry-After: 9"), unknown, ReasonServerError},
		"504":               {answered(504, ""), unknown, ReasonServerError},
		"429":               {answered(429, "slow down", "Retry-After: 9"), retry, ReasonDialerBusy},
		"301":               {answered(301, ""), stop, ReasonNotTheAPI},
		"302":               {answered(302, "<html>moved</html>"), stop, ReasonNotTheAPI},
		"307":               {answered(307, ""), stop, ReasonNotTheAPI},
		"308":               {answered(308, ""), stop, ReasonNotTheAPI},
		"400":               {answered(400, "<html>bad request</html>"), stop, ReasonNotTheAPI},
		"401":               {answered(401, ""), stop, ReasonAccessDenied},
		"403":               {answered(403, ""), stop, ReasonAccessDenied},
		"404":               {answered(404, "<html>not found</html>"), stop, ReasonNotTheAPI},
		"405":               {answered(405, ""), stop, ReasonNotTheAPI},
		"408":               {answered(408, ""), unknown, ReasonAnswerUnrecognised},
		"414":               {answered(414, ""), stop, ReasonNotTheAPI},
		"418":               {answered(418, "coffee\n"), stop, ReasonNotTheAPI},
		"a login page":      {answered(200, loginPage), stop, ReasonNotTheAPI},
		"the admin page":    {answered(200, "<HTML><head><title>ADMINISTRATION: Lists</title></head></HTML>"), stop, ReasonNotTheAPI},
		"another page":      {answered(200, "<html><title>Welcome</title>hello</html>"), unknown, ReasonAnswerUnrecognised},
		"a fatal error":     {answered(200, "<br />\n<b>Fatal error</b>:  Uncaught mysqli_sql_exception in /srv/a.php on line 9\n"), unknown, ReasonAnswerUnrecognised},
		"empty":             {answered(200, ""), unknown, ReasonAnswerUnrecognised},
		"blank":             {answered(200, "\n\n"), unknown, ReasonAnswerUnrecognised},
		"prose":             {answered(200, "all is well\n"), unknown, ReasonAnswerUnrecognised},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := aCall()
			a := classify(c.reply, &call)
			require.Equal(t, c.verdict, a.Verdict)
			require.Equal(t, c.reason, a.Reason)
			require.Equal(t, c.verdict == added, a.Err == nil, "exactly SUCCESS has no explanation")
			require.Equal(t, c.verdict == added, a.LeadID > 0)
			require.Equal(t, c.reason == ReasonAnswerMismatch, a.Alarm)
			if a.Err != nil {
				requireClean(t, a.Err.Error())
			}
		})
	}
}

func TestDuplicateNamesTheOlderLead(t *testing.T) {
	t.Parallel()
	for line, id := range map[string]int64{
		"PHONE NUMBER IN LIST - " + phoneCanary + "|101|40":                         40,
		"PHONE NUMBER IN CAMPAIGN LISTS - " + phoneCanary + "|101|40|102|ALT":       40,
		"PHONE NUMBER IN SYSTEM - " + phoneCanary + "|101|40|102":                   40,
		"TITLE ALT_PHONE IN LIST - Dr|3055552901|101|40":                            40,
		"NAME PHONE IN SYSTEM - Ann|Lee|" + phoneCanary + "|101|40|102":             40,
		"PHONE NUMBER IN SYSTEM - " + phoneCanary + "|101":                          0,
		"PHONE NUMBER IN SYSTEM - " + phoneCanary + "|101|x|102":                    0,
		"PHONE NUMBER IN SYSTEM - " + phoneCanary + "|101|99999999999999999999|102": 0,
	} {
		call := aCall()
		a := classify(answered(200, "ERROR: add_lead DUPLICATE "+line+"\n"), &call)
		require.Equal(t, importer.VerdictDuplicate, a.Verdict, line)
		if id != 0 {
			require.Equal(t, id, a.DuplicateOf, line)
		}
	}
}

func TestNotesSayWhatElseTheDialerDid(t *testing.T) {
	t.Parallel()
	body := "NOTICE: add_lead NANPA options disabled, NANPA prefix data not loaded - 3|apiuser\n" + success +
		"7275551212|1|work7275551213|1|" + nameCanary + "NOTICE: add_lead MULTI-ALT-PHONE NUMBERS LOADED - 2|65|apiuser\n" +
		"NOTICE: add_lead SOMETHING NEW - " + nameCanary + "\n" +
		"NOTICE: add_lead NOT ADDED TO HOPPER, OUTSIDE OF LOCAL TIME - " + phoneCanary + "|1|-5|0|apiuser\n"
	call := aCall()
	a := classify(answered(200, body), &call)
	require.Equal(t, importer.VerdictAdded, a.Verdict)
	require.Equal(t, []string{
		"NANPA check skipped: the dialer has no NANPA data",
		"alternate numbers added",
		"not added to hopper: outside local time",
	}, a.Notes)
}

func TestRetryAfterIsHonouredAndCapped(t *testing.T) {
	t.Parallel()
	const date = "Date: Mon, 23 Nov 2026 15:13:11 GMT"
	for value, want := range map[string]time.Duration{
		"9": 9 * time.Second, "0": 0, "-5": 0, "": 0, "soon": 0,
		"9223372036854775807": maxRetryAfter, "99999999999999999999": 0,
		"Mon, 23 Nov 2026 15:13:31 GMT": 20 * time.Second,
		"Mon, 23 Nov 2026 15:13:01 GMT": 0,
		"Mon, 23 Nov 2099 15:13:01 GMT": maxRetryAfter,
	} {
		call := aCall()
		a := classify(answered(429, "", date, "Retry-After: "+value), &call)
		require.Equal(t, want, a.RetryAfter, value)
	}
}

func TestAnswerThatIsNotTheAPIsIsForeign(t *testing.T) {
	t.Parallel()
	for body, foreign := range map[string]bool{
		"<html>hello</html>":                  true,
		"OK\n":                                true,
		"":                                    false,
		"ERROR: add_lead SOMETHING NEW - x\n": false,
		"SUCCESS: something else\n":           false,
		"<br />\n<b>Fatal error</b>:  Uncaught x\n": false,
	} {
		call := aCall()
		require.Equal(t, foreign, classify(answered(200, body), &call).Foreign, body)
	}
}

func TestBrokenOffAnswerCountsOnlyWithAWholeSuccessLine(t *testing.T) {
	t.Parallel()
	whole := success + "NOTICE: add_lead ADDED TO HOPPER - " + phoneCanary + "|1|1|apiuser\n"
	for n := range len(whole) {
		call := aCall()
		a := classify(reply{status: 200, header: http.Header{}, body: []byte(whole[:n])}, &call)
		if n >= len(success) {
			require.Equal(t, importer.VerdictAdded, a.Verdict, n)
			require.EqualValues(t, 1, a.LeadID)
			continue
		}
		require.Equal(t, importer.VerdictUnknown, a.Verdict, n)
		require.Equal(t, ReasonAnswerIncomplete, a.Reason, n)
	}
}

// transcript is one recorded add_lead call.
type transcript struct {
	name, request, body string
	status, rows        int
}

func transcripts(t testing.TB) []transcript {
	raw, err := os.ReadFile("dialersim/testdata/transcripts.txt")
	require.NoError(t, err)
	head := regexp.MustCompile(`(?m)^-> HTTP (\d+), rows ([+-]\d+)\n`)
	var all []transcript
	for block := range strings.SplitSeq(string(raw), "\n### ") {
		at := head.FindStringSubmatchIndex(block)
		if at == nil || !strings.Contains(block[:at[0]], "function=add_lead&") {
			continue
		}
		name, request, _ := strings.Cut(block[:at[0]], "\n")
		body, _, _ := strings.Cut(block[at[1]:], "\n\n")
		body, _, _ = strings.Cut(body+"\n", "   stored: ")
		body = strings.TrimLeft(body, "\n")
		status, _ := strconv.Atoi(block[at[2]:at[3]])
		rows, _ := strconv.Atoi(block[at[4]:at[5]])
		all = append(all, transcript{name, request, body, status, rows})
	}
	return all
}

// sent is the call that the recorded request would have been.
func (r transcript) sent() importer.Call {
	value := func(name string) string {
		m := regexp.MustCompile(`[?& ]` + name + `=([^&\n]*)`).FindStringSubmatch(r.request)
		if m == nil {
			return ""
		}
		return strings.Map(func(c rune) rune {
			if strings.ContainsRune("0123456789,", c) {
				return c
			}
			return -1
		}, m[1])
	}
	return importer.Call{Lead: lead.Lead{PhoneNumber: value("phone_number"), ListID: value("list_id")}}
}

func TestRecordedAnswersOfARealDialer(t *testing.T) {
	t.Parallel()
	count := map[importer.Verdict]int{}
	for _, r := range transcripts(t) {
		call := r.sent()
		a := classify(answered(r.status, r.body), &call)
		count[a.Verdict]++
		said := fmt.Sprintf("%s: %v %s", r.name, a.Err, a.Reason)
		switch {
		case r.rows == 1 && a.Verdict != importer.VerdictAdded:
			// The recording went to list 999, which we refuse to send to.
			require.Equal(t, ReasonAnswerMismatch, a.Reason, said)
			require.Less(t, len(call.Lead.ListID), 3, said)
		case r.rows == 1:
			require.Contains(t, r.body, fmt.Sprintf("|%d|", a.LeadID), said)
		case r.body == "":
			require.Equal(t, ReasonServerError, a.Reason, said)
		default:
			require.NotContains(t, []importer.Verdict{importer.VerdictAdded, importer.VerdictUnknown}, a.Verdict, said)
		}
		if a.Err != nil {
			requireClean(t, a.Err.Error())
			require.NotContains(t, a.Err.Error(), "305555")
		}
	}
	require.Equal(t, map[importer.Verdict]int{
		importer.VerdictAdded: 81, importer.VerdictRejected: 13, importer.VerdictDuplicate: 13,
		importer.VerdictRetry: 2, importer.VerdictStop: 26, importer.VerdictUnknown: 6,
	}, count)
}

func FuzzClassify(f *testing.F) {
	for _, r := range transcripts(f) {
		f.Add(r.status, r.body, true)
	}
	f.Add(200, success, false)
	f.Fuzz(func(t *testing.T, status int, body string, complete bool) {
		call := aCall()
		r := answered(status, body)
		r.complete = complete
		a := classify(r, &call)
		require.Equal(t, a.Verdict == importer.VerdictAdded, a.Err == nil)
		require.Equal(t, a.Verdict == importer.VerdictAdded, a.LeadID > 0)
		if a.Verdict == importer.VerdictAdded {
			want := fmt.Sprintf("SUCCESS: add_lead LEAD HAS BEEN ADDED - %s|101|", phoneCanary)
			before, _, ok := strings.Cut("\n"+body, "\n"+want)
			require.True(t, ok, "no SUCCESS line of ours in the answer")
			require.NotContains(t, before, "\nERROR")
			return
		}
		requireClean(t, a.Err.Error())
		if a.Verdict == importer.VerdictRejected || a.Verdict == importer.VerdictDuplicate {
			require.True(t, complete, "an answer that broke off settles nothing but a SUCCESS")
		}
	})
}
