package dialersim_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// Two leads are in the table, 1 and 2, when a fault strikes.
const (
	oldPhone, newPhone = "3055550101", "3055550102"
	phone              = "3055550123"
	success            = "SUCCESS: add_lead LEAD HAS BEEN ADDED - 3055550123|101|3|-5|importer\n"
	both               = "function=lead_search&phone_number=" + oldPhone + "," + newPhone
	readBack           = "function=lead_field_info&lead_id=1&field_name=source_id"
)

// onWire is what a fault does to a request, add_lead of phone unless params
// says otherwise.
type onWire struct {
	rule   string
	params string
	added  bool
	status int // 0: no answer
	body   string
	err    error  // the answer ends so
	beyond string // what came behind the body that the header announced
	header map[string]string
	see    func(t *testing.T, body string) // instead of body
}

const (
	warning = "<br />\n<b>Warning</b>:  Undefined variable $x in <b>/srv/www/htdocs/vicidial/non_agent_api.php</b> on line <b>17</b><br />\n"
	sqlEcho = "ERROR: add_lead LEAD HAS NOT BEEN ADDED - 3055550123|101|INSERT INTO vicidial_list SET "
)

func contains(part string) func(*testing.T, string) {
	return func(t *testing.T, body string) {
		t.Helper()
		require.Contains(t, body, part)
		require.NotContains(t, body, "SUCCESS")
	}
}

var wireCases = map[string][]onWire{
	"lost-request":  {{err: io.ErrUnexpectedEOF}},
	"lost-answer":   {{added: true, err: io.ErrUnexpectedEOF}},
	"reset-request": {{err: syscall.ECONNRESET}},
	"reset-answer":  {{added: true, err: syscall.ECONNRESET}},
	"truncated": {
		{rule: "value=20", added: true, status: 200, body: success[:20], err: io.ErrUnexpectedEOF},
		{rule: "value=0", added: true, status: 200, err: io.ErrUnexpectedEOF},
		{rule: "lead_search value=15", params: both, status: 200, body: "3055550101|1|1\n", err: io.ErrUnexpectedEOF},
	},
	"length-long":  {{added: true, status: 200, body: success, err: io.ErrUnexpectedEOF, header: map[string]string{"Content-Length": "79"}}},
	"length-short": {{rule: "value=3", added: true, status: 200, body: success[:len(success)-3], beyond: "er\n"}},
	"huge": {{rule: "value=3MB", added: true, status: 200, see: func(t *testing.T, body string) {
		require.Len(t, body, 3_000_000)
		require.Empty(t, strings.TrimSpace(body))
	}}},
	"bomb": {{rule: "value=3MB", added: true, status: 200, header: map[string]string{"Content-Encoding": "gzip"}, see: func(t *testing.T, body string) {
		require.Less(t, len(body), 30_000)
		zipped, err := gzip.NewReader(strings.NewReader(body))
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, zipped)
		require.NoError(t, err)
		require.EqualValues(t, 3_000_000, n)
	}}},
	"error-before": {
		{status: 502, see: contains("Bad Gateway")},
		{rule: "value=500", status: 500, header: map[string]string{"Cache-Control": "no-cache, must-revalidate"}},
		{rule: "value=503", status: 503, see: contains("Service Unavailable")},
		{rule: "value=504", status: 504, see: contains("Gateway Timeout")},
	},
	"error-after": {
		{added: true, status: 502, see: contains("Bad Gateway")},
		{rule: "value=500", added: true, status: 500, header: map[string]string{"Pragma": "no-cache"}},
		{rule: "value=503", added: true, status: 503, see: contains("Service Unavailable")},
		{rule: "value=504", added: true, status: 504, see: contains("Gateway Timeout")},
	},
	"busy": {
		{status: 429, see: contains("Too Many Requests"), header: map[string]string{"Retry-After": "1"}},
		{rule: "value=Thu, 15 Jan 2026 12:00:05 GMT", status: 429, see: contains("Too Many"), header: map[string]string{"Retry-After": "Thu, 15 Jan 2026 12:00:05 GMT"}},
		{rule: "value=-99999999999999999999", status: 429, see: contains("Too Many"), header: map[string]string{"Retry-After": "-99999999999999999999"}},
	},
	"redirect": {
		{status: 302, see: contains("moved"), header: map[string]string{"Location": "/vicidial/admin.php"}},
		{rule: "value=307", status: 307, see: contains("moved")},
	},
	"page-before":  {{status: 200, see: contains("<title>Maintenance</title>")}},
	"page-after":   {{added: true, status: 200, see: contains("<title>Maintenance</title>")}},
	"fatal-before": {{status: 200, see: contains("<b>Fatal error</b>:  ")}},
	"fatal-after":  {{added: true, status: 200, see: contains("<b>Fatal error</b>:  ")}},
	"empty-before": {{status: 200}},
	"empty-after":  {{added: true, status: 200}, {rule: "lead_field_info", params: readBack, status: 200}},
	"warnings":     {{added: true, status: 200, body: warning + success + warning}},
	"notices": {{
		added: true, status: 200, body: "NOTICE: add_lead NANPA options disabled, NANPA prefix data not loaded - 0|importer\n" + success +
			"NOTICE: add_lead NOT ADDED TO HOPPER, OUTSIDE OF LOCAL TIME - 3055550123|3|-5|0|importer\n",
	}},
	"alt-phone":      {{added: true, status: 200, body: success + "7275550123|1|workNOTICE: add_lead MULTI-ALT-PHONE NUMBERS LOADED - 1|3|importer\n"}},
	"other-phone":    {{added: true, status: 200, body: strings.Replace(success, "3055550123", "3055550124", 1)}},
	"other-list":     {{added: true, status: 200, body: strings.Replace(success, "|101|", "|102|", 1)}},
	"lookup-error":   {{params: both, status: 200, body: "ERROR: lead_search QUERY COULD NOT BE RUN - importer|1205\n"}},
	"lookup-mixed":   {{params: both, status: 200, body: "3055550101|1|1\n3055550102|2|2-1\n"}},
	"wrong-password": {{status: 200, body: "ERROR: Login incorrect, please try again: |importer|secret|BAD|\n"}},
	"locked-account": {{status: 200, body: "ERROR: Too many login attempts, try again in 15 minutes: |importer|LOCK|\n"}},
	"connect-error": {
		{status: 200, body: "MySQL connect ERROR:  Too many connections"},
		{rule: "value=Connection refused", status: 200, body: "MySQL connect ERROR:  Connection refused"},
	},
	"early-500": {{status: 500, header: map[string]string{"Cache-Control": "", "Content-Type": "text/html; charset=UTF-8"}}},
	"insert-fails": {
		{status: 500},
		{rule: "value=8.0", status: 200, see: contains(sqlEcho)},
		{rule: "value=7", status: 200, see: contains(sqlEcho)},
	},
	"log-fails": {
		{added: true, status: 500, body: success},
		{rule: "value=7", added: true, status: 200, body: success},
	},
	"lookup-fails": {{params: both, status: 500}, {params: readBack, status: 500}},
	"lookup-lies": {
		{params: both, status: 200, body: "ERROR: lead_search NO MATCHES FOUND IN THE SYSTEM: |importer|||3055550101,3055550102\n"},
		{params: readBack, status: 200, body: "ERROR: lead_field_info LEAD NOT FOUND: importer|1\n"},
	},
	"lookup-short": {{params: both, status: 200, body: "3055550101|0|\n3055550102|1|2\n"}},
}

// clockCases are the faults that are a matter of time.
var clockCases = map[string]func(t *testing.T, d *dialersim.Dialer){
	"stall-before": func(t *testing.T, d *dialersim.Dialer) {
		rule(t, d, "stall-before value=1m")
		begun := time.Now()
		require.Nil(t, try(d, add(phone)))
		require.Equal(t, time.Minute, time.Since(begun))
		require.Empty(t, d.Inserts())
	},
	"stall-after": func(t *testing.T, d *dialersim.Dialer) {
		rule(t, d, "stall-after")
		answered := make(chan *httptest.ResponseRecorder)
		go func() { answered <- try(d, add(phone)) }()
		time.Sleep(time.Minute)
		require.Len(t, d.Inserts(), 1)
		require.Equal(t, 1, d.InFlight("add_lead"), "it occupies the server")
		begun := time.Now()
		d.Heal()
		require.Nil(t, <-answered)
		require.Zero(t, time.Since(begun), "healing ends it before its time of 5m")
	},
	"slow": func(t *testing.T, d *dialersim.Dialer) {
		rule(t, d, "slow value=1m")
		begun := time.Now()
		require.Equal(t, success, try(d, add(phone)).Body.String())
		require.Equal(t, time.Minute, time.Since(begun))
	},
	"late": func(t *testing.T, d *dialersim.Dialer) {
		rule(t, d, "late value=1m")
		require.Nil(t, try(d, add(phone)))
		d.Heal()
		require.Empty(t, d.Inserts())
		require.Equal(t, 1, d.InFlight("add_lead"), "healing leaves it where it is")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, d.Inserts(), 1)
		require.Zero(t, d.InFlight("add_lead"))
	},
	"trickle": func(t *testing.T, d *dialersim.Dialer) {
		rule(t, d, "trickle")
		begun := time.Now()
		require.Equal(t, success, try(d, add(phone)).Body.String())
		require.Equal(t, time.Duration(len(success))*time.Second, time.Since(begun))
	},
	"blocked-table": func(t *testing.T, d *dialersim.Dialer) {
		rule(t, d, "blocked-table add_lead from=2 to=2 value=1m")
		require.Equal(t, success, try(d, add(phone)).Body.String())
		begun := time.Now()
		for i := range 3 {
			go try(d, add(fmt.Sprint("305555013", i)))
			synctest.Wait()
		}
		go try(d, "function=update_lead&lead_id=1&first_name=Ann")
		synctest.Wait()
		require.Equal(t, 4, d.InFlight(""))
		require.Contains(t, try(d, "function=lead_search&phone_number=3055550130").Body.String(), "NO MATCHES", "lookups answer")
		require.Zero(t, time.Since(begun))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Zero(t, d.InFlight(""))
		for i, insert := range d.Inserts()[1:] {
			require.Equal(t, fmt.Sprint("305555013", i), insert.Phone, "in the order in which they came")
		}
	},
	"frozen-database": func(t *testing.T, d *dialersim.Dialer) {
		rule(t, d, "frozen-database after=1s for=1m")
		require.Equal(t, success, try(d, add(phone)).Body.String())
		time.Sleep(time.Second)
		begun := time.Now()
		go try(d, add("3055550130"))
		require.Equal(t, "3055550101|1|1\n", try(d, "function=lead_search&phone_number="+oldPhone).Body.String())
		require.Equal(t, time.Minute, time.Since(begun), "lookups wait as well, until the rule ends")
		synctest.Wait()
		require.Len(t, d.Inserts(), 2)
	},
}

func rule(t *testing.T, d *dialersim.Dialer, text string) {
	t.Helper()
	r, err := dialersim.ParseRule(text)
	require.NoError(t, err)
	require.NoError(t, d.SetRules(1, r))
}

// try is ask, but nil where no answer came.
func try(d http.Handler, params string) (w *httptest.ResponseRecorder) {
	defer func() {
		if gone := recover(); gone != nil {
			if err, ok := gone.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(gone)
			}
			w = nil
		}
	}()
	return ask(d, params)
}

func withTwoLeads(d *dialersim.Dialer) {
	d.AddLead(winter(), map[string]string{"phone_number": oldPhone, "list_id": "101", "source_id": "ROLD"})
	d.AddLead(winter(), map[string]string{"phone_number": newPhone, "list_id": "101", "source_id": "RNEW"})
}

func TestEveryFaultDoesWhatItSays(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, f := range dialersim.Faults() {
		require.False(t, names[f.Name], "%s is there twice", f.Name)
		names[f.Name] = true
		require.NotEmpty(t, f.Says, f.Name)
		cases, check := wireCases[f.Name], clockCases[f.Name]
		require.NotEqual(t, cases != nil, check != nil, "the fault %s has no test here", f.Name)
		for _, c := range cases {
			t.Run(f.Name+" "+c.rule, func(t *testing.T) {
				t.Parallel()
				c.rule = f.Name + " " + c.rule
				c.run(t)
			})
		}
		if check != nil {
			t.Run(f.Name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					d := dialersim.New(dialersim.Options{Password: "secret", Now: winter})
					withTwoLeads(d)
					check(t, d)
					d.Heal()
				})
			})
		}
	}
}

func (c onWire) run(t *testing.T) {
	s := start(t, dialersim.Options{Now: winter})
	withTwoLeads(s.Dialer)
	rule(t, s.Dialer, c.rule)
	if c.params == "" {
		c.params = add(phone)
	}
	resp, body, beyond, err := exchange(t, s.URL(), c.params)
	if c.added {
		require.Len(t, s.Inserts(), 1)
		require.Equal(t, phone, s.Inserts()[0].Phone)
	} else {
		require.Empty(t, s.Inserts())
	}
	if c.err != nil {
		require.ErrorIs(t, err, c.err)
	} else {
		require.NoError(t, err)
	}
	if c.status != 0 {
		require.Equal(t, c.status, resp.StatusCode)
		for name, want := range c.header {
			require.Equal(t, want, resp.Header.Get(name), name)
		}
		if c.see != nil {
			c.see(t, body)
		} else {
			require.Equal(t, c.body, body)
		}
		require.Equal(t, c.beyond, beyond)
	}
	name, _, _ := strings.Cut(c.rule, " ")
	require.Equal(t, map[string]int{name: 1}, s.Hits())

	s.Heal()
	_, body, _, err = exchange(t, s.URL(), add("3055550124"))
	require.NoError(t, err)
	require.Contains(t, body, "SUCCESS")
}

// exchange sends a form on a connection of its own and reads to its end.
func exchange(t *testing.T, address, params string) (resp *http.Response, body, beyond string, err error) {
	t.Helper()
	at, err := url.Parse(address)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", at.Host)
	require.NoError(t, err)
	defer conn.Close()
	form := loginBody + params
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", at.Path, at.Host, len(form), form)
	require.NoError(t, err)
	answer := bufio.NewReader(conn)
	resp, err = http.ReadResponse(answer, nil)
	if err != nil {
		return nil, "", "", err
	}
	content, err := io.ReadAll(resp.Body)
	rest := new(bytes.Buffer)
	_, _ = rest.ReadFrom(answer)
	return resp, string(content), rest.String(), err
}
