package dialersim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

const loginBody = "source=test&user=importer&pass=secret&"

func start(t *testing.T, o dialersim.Options) *dialersim.Server {
	t.Helper()
	o.Password = "secret"
	s, err := dialersim.Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// post sends a form. Its answer's body is closed.
func post(ctx context.Context, t *testing.T, url, params string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(loginBody+params))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), errors.Join(err, resp.Body.Close())
}

func TestAnAbandonedRequestIsStillExecuted(t *testing.T) {
	t.Parallel()
	s := start(t, dialersim.Options{})
	release := s.Block()
	ctx, giveUp := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, _, err := post(ctx, t, s.URL(), add("3055550123"))
		gone <- err
	}()
	require.Eventually(t, func() bool { return s.InFlight("add_lead") == 1 }, 10*time.Second, time.Millisecond)
	giveUp()
	require.ErrorIs(t, <-gone, context.Canceled)
	require.Equal(t, 1, s.InFlight("add_lead"), "it still occupies the server")
	release()
	require.Eventually(t, func() bool { return s.InFlight("add_lead") == 0 }, 10*time.Second, time.Millisecond)
	_, body, err := post(t.Context(), t, s.URL(), add("3055550124"))
	require.NoError(t, err)
	require.Contains(t, body, "|101|2|", "the abandoned one came first")
	require.Equal(t, "3055550123", s.Inserts()[0].Phone)
}

func TestCloseExecutesNothingMore(t *testing.T) {
	t.Parallel()
	s, err := dialersim.Start(dialersim.Options{Password: "secret"})
	require.NoError(t, err)
	s.Block() // and never released
	answered := make(chan error, 1)
	go func() {
		_, _, err := post(context.Background(), t, s.URL(), add("3055550123"))
		answered <- err
	}()
	require.Eventually(t, func() bool { return s.InFlight("add_lead") == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
	require.Error(t, <-answered)
	require.Empty(t, s.Inserts())
	require.Zero(t, s.InFlight(""))
}

func TestAnswersAreZippedWhenAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t, dialersim.Options{})
	resp, body, err := post(t.Context(), t, s.URL(), add("3055550123")) // Go asks for gzip by itself
	require.NoError(t, err)
	require.True(t, resp.Uncompressed)
	require.Contains(t, body, "SUCCESS: add_lead LEAD HAS BEEN ADDED - 3055550123|101|1|")
}

func TestOtherAddressesAreNotTheAPI(t *testing.T) {
	t.Parallel()
	s := start(t, dialersim.Options{})
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/agc/api.php":                         {http.StatusOK, "ERROR: NO FUNCTION SPECIFIED"},
		"/vicidial/admin.php":                  {http.StatusUnauthorized, "<h1>Unauthorized</h1>"},
		"/vicidial/":                           {http.StatusNotFound, "<h1>Not Found</h1>"},
		dialersim.APIPath + "/":                {http.StatusNotFound, "<h1>Not Found</h1>"},
		dialersim.APIPath + "?function=coffee": {http.StatusTeapot, ""},
	} {
		resp, body, err := post(t.Context(), t, strings.TrimSuffix(s.URL(), dialersim.APIPath)+path, "function=add_lead")
		if strings.HasSuffix(path, "coffee") {
			require.Empty(t, body)
		}
		require.NoError(t, err)
		require.Equal(t, want.status, resp.StatusCode, path)
		require.Contains(t, body, want.text, path)
	}
	require.Zero(t, s.Len())
}

func TestFaults(t *testing.T) {
	t.Parallel()
	answer := func(change func(*dialersim.Response)) dialersim.Fault { return dialersim.Fault{Answer: change} }
	drop := func(r *dialersim.Response) { r.Drop = true }
	badGateway := func(r *dialersim.Response) {
		r.Status, r.Body = http.StatusBadGateway, []byte("<html>Bad Gateway</html>")
		r.Header.Set("Retry-After", "7")
	}
	for name, c := range map[string]struct {
		fault   dialersim.Fault
		inserts int
		status  int // 0: no answer
		body    string
		cut     bool
	}{
		"executed, then dropped":            {fault: answer(drop), inserts: 1},
		"dropped, not executed":             {fault: dialersim.Fault{Skip: true, Answer: drop}},
		"executed, answered something else": {fault: answer(badGateway), inserts: 1, status: 502, body: "<html>Bad Gateway</html>"},
		"not executed, answered something":  {fault: dialersim.Fault{Skip: true, Answer: badGateway}, status: 502, body: "<html>Bad Gateway</html>"},
		"truncated": {
			fault:   answer(func(r *dialersim.Response) { r.Truncate = 20 }),
			inserts: 1, status: 200, body: "SUCCESS: add_lead LE", cut: true,
		},
		"nothing": {inserts: 1, status: 200, body: "SUCCESS: add_lead LEAD HAS BEEN ADDED - 3055550123|101|1|-5|importer\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, dialersim.Options{Now: winter, Fault: func(r *dialersim.Request) dialersim.Fault {
				if r.Function != "add_lead" || r.Get("phone_number") != "3055550123" || r.Nth != 1 {
					return dialersim.Fault{}
				}
				return c.fault
			}})
			resp, body, err := post(t.Context(), t, s.URL(), add("3055550123"))
			require.Len(t, s.Inserts(), c.inserts)
			switch {
			case c.status == 0:
				require.Error(t, err)
			case c.cut:
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			default:
				require.NoError(t, err)
			}
			require.Equal(t, c.body, body)
			if c.status != 0 {
				require.Equal(t, c.status, resp.StatusCode)
			}
			if c.status == http.StatusBadGateway {
				require.Equal(t, "7", resp.Header.Get("Retry-After"))
			}
			s.SetFault(nil)
			_, body, err = post(t.Context(), t, s.URL(), add("3055550124"))
			require.NoError(t, err)
			require.Contains(t, body, "SUCCESS")
		})
	}
}

func TestALateRequestStaysInServiceUntilItIsExecuted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := dialersim.New(dialersim.Options{Password: "secret"})
		d.SetFault(func(*dialersim.Request) dialersim.Fault {
			return dialersim.Fault{Delay: time.Second, Late: time.Minute, Answer: func(r *dialersim.Response) {
				r.Status = http.StatusGatewayTimeout
			}}
		})
		begun := time.Now()
		require.Equal(t, http.StatusGatewayTimeout, ask(d, add("3055550123")).Code)
		require.Equal(t, time.Second, time.Since(begun))
		require.Empty(t, d.Inserts())
		require.Equal(t, 1, d.InFlight("add_lead"))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, d.Inserts(), 1)
		require.Zero(t, d.InFlight("add_lead"))
	})
}
