package nonagent

import (
	"bufio"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

// asked is a client of a server that gives one answer to everything.
func asked(t *testing.T, answer string) (*Client, *server) {
	t.Helper()
	s := answering(t, answer)
	return newClient(t, s.url, nil, 10*time.Second), s
}

// requireKind fails unless err is an *Error of a kind, fit to be shown.
func requireKind(t *testing.T, err error, kind Kind, name string) *Error {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e, name)
	require.Equal(t, kind, e.Kind, "%s: %v", name, err)
	requireClean(t, err.Error())
	return e
}

func TestSearchSaysWhatTheDialerFound(t *testing.T) {
	t.Parallel()
	c, s := asked(t, page("200 OK", "3055572001|2|2-1\n3055572003|1|3\n3055579999|0|\n"))
	found, err := c.Search(t.Context(), "101", []string{"3055572001", "3055572003", "3055579999", "3055572001"})
	require.NoError(t, err)
	require.Equal(t, map[string][]int64{"3055572001": {2, 1}, "3055572003": {3}, "3055579999": nil}, found)
	require.Len(t, s.seen(), 1)
	form := s.seen()[0]
	require.Equal(t, "lead_search", form.Get("function"))
	require.Equal(t, "3055572001,3055572003,3055579999", form.Get("phone_number"), "a number is asked for once")
	require.Equal(t, "LIST", form.Get("search_location"))
	require.Equal(t, "101", form.Get("list_id"))
	require.Equal(t, strconv.Itoa(searchCap), form.Get("records"))
}

func TestNoMatchesIsAPlainZero(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"SYSTEM: |apiuser|||", "LIST: |apiuser|||", "CAMPAIGN: |apiuser|||", "SYSTEM - ||||"} {
		c, _ := asked(t, page("200 OK", "ERROR: lead_search NO MATCHES FOUND IN THE "+where+"\n"))
		found, err := c.Search(t.Context(), "101", []string{"3055572001", "3055572003"})
		require.NoError(t, err)
		require.Equal(t, map[string][]int64{"3055572001": nil, "3055572003": nil}, found)
	}
}

func TestNothingToSearchForAsksNothing(t *testing.T) {
	t.Parallel()
	c, s := asked(t, page("200 OK", ""))
	found, err := c.Search(t.Context(), "101", nil)
	require.NoError(t, err)
	require.Empty(t, found)
	require.Empty(t, s.seen())
}

func TestSearchThatDecidesNothingIsAnError(t *testing.T) {
	t.Parallel()
	ids := make([]string, searchCap)
	for i := range ids {
		ids[i] = strconv.Itoa(i + 1)
	}
	for name, k := range map[string]struct {
		answer string
		kind   Kind
	}{
		"a number left out":     {page("200 OK", "3055572001|2|2-1\n"), KindInconclusive},
		"a foreign number":      {page("200 OK", "3055572001|2|2-1\n3055570000|0|\n"), KindInconclusive},
		"a number twice":        {page("200 OK", "3055572001|0|\n3055572001|0|\n"), KindInconclusive},
		"a wrong count":         {page("200 OK", "3055572001|3|2-1\n3055572003|0|\n"), KindInconclusive},
		"a count of nothing":    {page("200 OK", "3055572001|1|\n3055572003|0|\n"), KindInconclusive},
		"an id that is none":    {page("200 OK", "3055572001|1|0\n3055572003|0|\n"), KindInconclusive},
		"one lead for two":      {page("200 OK", "3055572001|1|7\n3055572003|1|7\n"), KindInconclusive},
		"the cap":               {page("200 OK", "3055572001|"+strconv.Itoa(searchCap)+"|"+strings.Join(ids, "-")+"\n3055572003|0|\n"), KindInconclusive},
		"a header":              {page("200 OK", "search_key|records_found|lead_ids\n3055572001|0|\n3055572003|0|\n"), KindInconclusive},
		"a warning":             {page("200 OK", "Warning: x on line 3\n3055572001|0|\n3055572003|0|\n"), KindInconclusive},
		"a missing line end":    {page("200 OK", "3055572001|0|\n3055572003|0|"), KindInconclusive},
		"nothing":               {page("200 OK", ""), KindInconclusive},
		"no matches, but a 500": {page("500 Oops", "ERROR: lead_search NO MATCHES FOUND IN THE SYSTEM: |apiuser|\n"), KindTransient},
		"no matches, cut":       {page("200 OK", "ERROR: lead_search NO MATCHES FOUND IN THE SYSTEM"), KindInconclusive},
		"another error":         {page("200 OK", "ERROR: lead_search NO VALID SEARCH METHOD - apiuser|\n"), KindInconclusive},
		"cut":                   {"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n3055572001|0|\n3055572003|0|\n", KindInconclusive},
		"a 500":                 {page("500 Oops", ""), KindTransient},
		"a 502":                 {page("502 Oops", "3055572001|0|\n3055572003|0|\n"), KindTransient},
		"a reset":               {"", KindTransient},
		"database down":         {page("200 OK", "MySQL connect ERROR:  Too many connections"), KindTransient},
		"a web page":            {page("200 OK", "<html>hello</html>\n"), KindInconclusive},
		"a login page":          {page("200 OK", "<html><input type=\"password\"></html>\n"), KindStop},
		"a redirect":            {page("302 Found", ""), KindStop},
		"not found":             {page("404 Not Found", ""), KindStop},
		"login":                 {page("200 OK", "ERROR: Login incorrect, please try again: |apiuser|"+passwordCanary+"|BAD|\n"), KindStop},
		"function not allowed":  {page("200 OK", "ERROR: auth USER DOES NOT HAVE PERMISSION TO USE THIS FUNCTION: |apiuser|lead_search|\n"), KindStop},
		"rights":                {page("200 OK", "ERROR: lead_search USER DOES NOT HAVE PERMISSION TO SEARCH FOR LEADS: |apiuser|0|\n"), KindStop},
		"a dialer without it":   {page("200 OK", "ERROR: NO FUNCTION SPECIFIED\n"), KindStop},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := asked(t, k.answer)
			found, err := c.Search(t.Context(), "101", []string{"3055572001", "3055572003"})
			requireKind(t, err, k.kind, name)
			require.Nil(t, found)
		})
	}
}

func TestSearchThatWouldLieIsNotMade(t *testing.T) {
	t.Parallel()
	c, s := asked(t, page("200 OK", ""))
	for name, phones := range map[string][]string{
		"equal as integers": {"7700900123", "07700900123"},
		"a comma":           {"7700900123,7700900124"},
		"empty":             {""},
		"zeros":             {"000000"},
	} {
		_, err := c.Search(t.Context(), "101", phones)
		requireKind(t, err, KindInconclusive, name)
	}
	_, err := c.Search(t.Context(), "99", []string{"7700900123"})
	requireKind(t, err, KindInconclusive, "a short list id")
	require.Empty(t, s.seen())
}

func TestFieldIsTheBareValue(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"RABCDEFGHIJKLMNOP-1\n": "RABCDEFGHIJKLMNOP-1",
		"RABCDEFGHIJKLMNOP-1":   "RABCDEFGHIJKLMNOP-1",
		"":                      "",
		"\n":                    "",
		" a|b'c \n":             " a|b'c ",
		"SUCCESS: not really\n": "SUCCESS: not really",
	} {
		c, s := asked(t, page("200 OK", body))
		value, err := c.Field(t.Context(), 3, "source_id")
		require.NoError(t, err, body)
		require.Equal(t, want, value)
		require.Equal(t, "3", s.seen()[0].Get("lead_id"))
		require.Equal(t, "source_id", s.seen()[0].Get("field_name"))
	}
}

func TestWhatSomebodyElseSaysIsNoAnswerOfTheDialer(t *testing.T) {
	t.Parallel()
	for body, answered := range map[string]bool{
		page("200 OK", "ERROR: lead_field_info LEAD NOT FOUND: 4294967295||apiuser\n"):                       true,
		page("200 OK", "ERROR: lead_field_info USER DOES NOT HAVE PERMISSION TO GET LEAD INFO: 7|apiuser\n"): true,
		page("200 OK", "ERROR: lead_field_info TRY TOMORROW\n"):                                              true,
		page("200 OK", "<html>maintenance</html>"):                                                           false,
		page("502 Bad Gateway", "<html>bad gateway</html>"):                                                  false,
		page("200 OK", "MySQL connect ERROR: \n"):                                                            false,
		"": false,
	} {
		c, _ := asked(t, body)
		_, err := c.Field(t.Context(), 4294967295, "source_id")
		var e *Error
		require.ErrorAs(t, err, &e, body)
		require.Equal(t, answered, e.Answered(), "%s: %v", body, err)
	}
}

func TestNothingThatLooksWrongIsEverAFieldsValue(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		answer string
		kind   Kind
	}{
		"no such lead":             {page("200 OK", "ERROR: lead_field_info LEAD NOT FOUND: apiuser|3\n"), KindNotFound},
		"no such list":             {page("200 OK", "ERROR: lead_field_info LIST NOT FOUND: apiuser|3\n"), KindNotFound},
		"an unknown error":         {page("200 OK", "ERROR: lead_field_info SOMETHING NEW: apiuser|3\n"), KindInconclusive},
		"an empty 500":             {page("500 Oops", ""), KindTransient},
		"a value on a 500":         {page("500 Oops", "RABC\n"), KindTransient},
		"a cut value":              {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nRABC", KindInconclusive},
		"a page":                   {page("200 OK", "<h1>hello</h1>\n"), KindInconclusive},
		"several lines":            {page("200 OK", "a\nb\n"), KindInconclusive},
		"a flood":                  {page("200 OK", strings.Repeat("x", 2000)), KindInconclusive},
		"database down":            {page("200 OK", "MySQL connect ERROR:  Connection refused"), KindTransient},
		"our login":                {page("200 OK", "ERROR: Login incorrect, please try again: |apiuser|"+passwordCanary+"|BAD|\n"), KindStop},
		"our permission":           {page("200 OK", "ERROR: lead_field_info USER DOES NOT HAVE PERMISSION TO GET LEAD INFO: |apiuser|0|\n"), KindStop},
		"a vendor's login error":   {page("200 OK", "ERROR: Login incorrect, please try again: |x|y|BAD|\n"), KindInconclusive},
		"a vendor's prose":         {page("200 OK", "ERROR: NO FUNCTION SPECIFIED\n"), KindInconclusive},
		"a vendor's address error": {page("200 OK", "ERROR: Your IP Address is not allowed: 1.2.3.4\n"), KindInconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := asked(t, k.answer)
			value, err := c.Field(t.Context(), 3, "source_id")
			requireKind(t, err, k.kind, name)
			require.Empty(t, value)
		})
	}
}

func TestTouchWritesOneFieldOfOneLead(t *testing.T) {
	t.Parallel()
	c, s := asked(t, page("200 OK", "SUCCESS: update_lead LEAD HAS BEEN UPDATED - apiuser|3|0|||\n"))
	require.NoError(t, c.Touch(t.Context(), 3, "source_id", "RABC"))
	form := s.seen()[0]
	require.Equal(t, "update_lead", form.Get("function"))
	require.Equal(t, "3", form.Get("lead_id"))
	require.Equal(t, "RABC", form.Get("source_id"))
	require.Len(t, form, 7, "nothing else is sent that could change a lead")

	after, _ := asked(t, page("500 Oops", "SUCCESS: update_lead LEAD HAS BEEN UPDATED - apiuser|3|1|||\n"))
	require.NoError(t, after.Touch(t.Context(), 3, "source_id", "RABC"), "the dialer logs after it has written")
}

func TestTouchThatWasNotConfirmedIsAnError(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		answer string
		kind   Kind
	}{
		"another lead": {page("200 OK", "SUCCESS: update_lead LEAD HAS BEEN UPDATED - apiuser|33|1|||\n"), KindInconclusive},
		"inserted":     {page("200 OK", "SUCCESS: update_lead LEAD HAS BEEN ADDED - 3055551001|101|3|-5|apiuser\n"), KindInconclusive},
		"no such lead": {page("200 OK", "ERROR: update_lead NO MATCHES FOUND IN THE SYSTEM: |apiuser|3||\n"), KindNotFound},
		"refused":      {page("200 OK", "ERROR: update_lead NO VALID SEARCH METHOD - apiuser|LEAD_ID|||\n"), KindInconclusive},
		"rights":       {page("200 OK", "ERROR: update_lead USER DOES NOT HAVE PERMISSION TO UPDATE LEADS IN THE SYSTEM: |apiuser|0|\n"), KindStop},
		"cut":          {page("200 OK", "SUCCESS: update_lead LEAD HAS BEEN UPDATED - apiuser|3"), KindInconclusive},
		"empty":        {page("200 OK", ""), KindInconclusive},
		"a 500":        {page("500 Oops", ""), KindTransient},
	} {
		c, _ := asked(t, k.answer)
		requireKind(t, c.Touch(t.Context(), 3, "source_id", "RABC"), k.kind, name)
	}
}

func TestQuestionOutsideTheAllowListIsNotAsked(t *testing.T) {
	t.Parallel()
	c, s := asked(t, page("200 OK", ""))
	ctx := t.Context()
	for _, field := range []string{"", "pass", "status", "delete_lead", "source_id&pass", "SOURCE_ID"} {
		_, err := c.Field(ctx, 3, field)
		requireKind(t, err, KindInconclusive, field)
		requireKind(t, c.Touch(ctx, 3, field, "x"), KindInconclusive, field)
	}
	requireKind(t, c.Touch(ctx, 0, "source_id", "x"), KindInconclusive, "lead 0")
	requireKind(t, c.Touch(ctx, 3, "source_id", ""), KindInconclusive, "no value")
	requireKind(t, c.Touch(ctx, 3, "source_id", `a\`), KindInconclusive, "unsafe")
	for name, values := range map[string]map[string]string{
		"unsafe": {"color": "x;"}, "none": nil,
		"no label": {"": "x"}, "a letter": {"x": "x"}, "a parameter": {"delete_lead": "x"}, "in capitals": {"Delete_Lead": "x"},
		"a field": {"first_name": "x"}, "the user": {"user": "x"}, "the last one": {"end": "x"}, "two": {"a&b": "x"},
	} {
		a := c.UpdateCustomFields(ctx, 3, "101", values)
		require.Equal(t, importer.VerdictRejected, a.Verdict, name)
		require.Equal(t, ReasonBadCall, a.Reason, name)
	}
	require.Empty(t, s.seen())
}

func TestCustomFieldsAreConfirmed(t *testing.T) {
	t.Parallel()
	updated := "SUCCESS: update_lead LEAD HAS BEEN UPDATED - apiuser|76|0|||\n"
	c, s := asked(t, page("200 OK", updated+"NOTICE: update_lead CUSTOM FIELDS VALUES ADDED - 3055557016|76|102|1\n"))
	values := map[string]string{"shoe": "44", "color": "blue"}
	require.Equal(t, importer.VerdictAdded, c.UpdateCustomFields(t.Context(), 76, "102", values).Verdict)
	form := s.seen()[0]
	require.Equal(t, "Y", form.Get("custom_fields"))
	require.Equal(t, "blue", form.Get("color"))
	require.Equal(t, "44", form.Get("shoe"))
}

func TestCustomFieldsThatAreNotConfirmedAreToldApart(t *testing.T) {
	t.Parallel()
	updated := "SUCCESS: update_lead LEAD HAS BEEN UPDATED - apiuser|76|0|||\n"
	for name, k := range map[string]struct {
		answer  string
		verdict importer.Verdict
		reason  importer.Reason
		notes   []string
	}{
		"no word about them":  {page("200 OK", updated), importer.VerdictRejected, ReasonInconclusive, []string{"custom fields not confirmed"}},
		"switched off":        {page("200 OK", updated+"NOTICE: update_lead CUSTOM FIELDS NOT ADDED, CUSTOM FIELDS DISABLED - 3055557016|76|Y|0\n"), importer.VerdictRejected, ReasonInconclusive, []string{"custom fields not added: switched off on the dialer"}},
		"the list has none":   {page("200 OK", updated+"NOTICE: update_lead CUSTOM FIELDS NOT ADDED, NO CUSTOM FIELDS DEFINED FOR THIS LIST - 3055557016|76|102\n"), importer.VerdictRejected, ReasonInconclusive, []string{"custom fields not added: the list has none"}},
		"another lead":        {page("200 OK", updated+"NOTICE: update_lead CUSTOM FIELDS VALUES ADDED - 3055557016|77|102|1\n"), importer.VerdictRejected, ReasonInconclusive, []string{"custom fields added"}},
		"another list":        {page("200 OK", updated+"NOTICE: update_lead CUSTOM FIELDS VALUES ADDED - 3055557016|76|101|1\n"), importer.VerdictRejected, ReasonInconclusive, []string{"custom fields added"}},
		"the script died":     {page("500 Internal Server Error", updated), importer.VerdictRetry, ReasonServerError, nil},
		"broken off":          {"HTTP/1.1 200 OK\r\nContent-Length: 500\r\nConnection: close\r\n\r\n" + updated, importer.VerdictUnknown, ReasonAnswerIncomplete, nil},
		"no such lead":        {page("200 OK", "ERROR: update_lead NO MATCHES FOUND IN THE SYSTEM: |apiuser|76||\n"), importer.VerdictRejected, ReasonNotFound, nil},
		"not permitted":       {page("200 OK", "ERROR: auth USER DOES NOT HAVE PERMISSION TO USE THIS FUNCTION: |apiuser|update_lead|\n"), importer.VerdictStop, ReasonFunctionNotAllowed, nil},
		"a 500 without words": {page("500 Internal Server Error", ""), importer.VerdictUnknown, ReasonServerError, nil},
	} {
		c, _ := asked(t, k.answer)
		a := c.UpdateCustomFields(t.Context(), 76, "102", map[string]string{"color": "blue"})
		require.Equal(t, k.verdict, a.Verdict, name)
		require.Equal(t, k.reason, a.Reason, name)
		require.Equal(t, k.notes, a.Notes, name)
		requireClean(t, a.Err.Error())
	}
}

func TestLookupThatWasGivenUpSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(s *server, conn net.Conn) {
		s.request(bufio.NewReader(conn))
		cancel()
		io.Copy(io.Discard, conn)
	})
	_, err := newClient(t, s.url, nil, 10*time.Second).Search(ctx, "101", []string{"3055572001"})
	require.ErrorIs(t, err, context.Canceled)
	requireKind(t, err, KindTransient, "cancelled")
}
