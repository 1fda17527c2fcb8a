package notify_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/notify"
)

// posted is a request that a receiver got.
type posted struct {
	method, path, body string
	header             http.Header
}

// receiver answers with a status, and keeps what it gets.
func receiver(t *testing.T, status int) (*httptest.Server, func() []posted) {
	t.Helper()
	got := make(chan posted, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- posted{r.Method, r.URL.RequestURI(), string(body), r.Header}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		io.WriteString(w, "what it says")
	}))
	t.Cleanup(s.Close)
	return s, func() (all []posted) {
		for len(got) > 0 {
			all = append(all, <-got)
		}
		return all
	}
}

func webhook(t *testing.T, o notify.WebOptions) *notify.Web {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	w, err := notify.NewWebhook(o)
	require.NoError(t, err)
	return w
}

func TestAWebhookGetsTheData(t *testing.T) {
	t.Parallel()
	s, got := receiver(t, http.StatusNoContent)
	w := webhook(t, notify.WebOptions{URL: s.URL + "/hook?key=s3cret", Token: func() string { return "T0KEN" }, UserAgent: "importer/test"})
	require.NoError(t, w.Send(t.Context(), message))
	all := got()
	require.Len(t, all, 1)
	require.Equal(t, http.MethodPost, all[0].method)
	require.Equal(t, "/hook?key=s3cret", all[0].path)
	require.JSONEq(t, `{"event":"run","run":7}`, all[0].body)
	require.Equal(t, "application/json", all[0].header.Get("Content-Type"))
	require.Equal(t, "Bearer T0KEN", all[0].header.Get("Authorization"))
	require.Equal(t, "importer/test", all[0].header.Get("User-Agent"))
	require.Equal(t, message.ID, all[0].header.Get("X-Importer-Delivery"))
	require.Equal(t, strings.TrimPrefix(s.URL, "http://"), w.Where())
}

func TestAChatGetsTheTextAndCallsNobody(t *testing.T) {
	t.Parallel()
	s, got := receiver(t, http.StatusOK)
	c, err := notify.NewChat(notify.WebOptions{URL: s.URL, Timeout: patience})
	require.NoError(t, err)
	m := message
	m.Text = "Drop 3 (<!channel> @here.csv) is held\n"
	require.NoError(t, c.Send(t.Context(), m))
	all := got()
	require.JSONEq(t, `{"text":"acmé: 231 of 250 rows loaded, 4 errors\nDrop 3 (‹!channel› ＠here.csv) is held\n"}`, all[0].body)
	require.Empty(t, all[0].header.Get("Authorization"))
}

func TestWhatARefusalByAWebAddressMeans(t *testing.T) {
	t.Parallel()
	for status, k := range map[int]struct {
		final bool
		says  string
	}{
		http.StatusFound:               {true, "redirects"},
		http.StatusPermanentRedirect:   {true, "redirects"},
		http.StatusBadRequest:          {true, "does not take the message (status 400)"},
		http.StatusUnauthorized:        {true, "check the token"},
		http.StatusForbidden:           {true, "check the token"},
		http.StatusNotFound:            {true, "check the url"},
		http.StatusGone:                {true, "check the url"},
		http.StatusRequestTimeout:      {false, "just now (status 408)"},
		http.StatusTooManyRequests:     {false, "just now (status 429)"},
		http.StatusInternalServerError: {false, "a fault (status 500)"},
		http.StatusServiceUnavailable:  {false, "a fault (status 503)"},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			s, got := receiver(t, status)
			w := webhook(t, notify.WebOptions{URL: s.URL + "/s3cret", Token: func() string { return "T0KEN" }})
			err := w.Send(t.Context(), message)
			requireError(t, err, k.final, w.Where()+": ")
			requireError(t, err, k.final, k.says)
			require.Len(t, got(), 1, "it is sent once, and a redirect is not followed")
		})
	}
}

func TestAWebAddressThatCannotBeReached(t *testing.T) {
	t.Parallel()
	certificate, roots := secured(t)
	silent := listen(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	closing := listen(t, func(net.Conn) {})
	plain, _ := receiver(t, http.StatusOK)
	safe := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	safe.TLS = certificate
	safe.Config.ErrorLog = quiet
	safe.StartTLS()
	t.Cleanup(safe.Close)
	_, port, err := net.SplitHostPort(safe.Listener.Addr().String())
	require.NoError(t, err)
	for name, k := range map[string]struct {
		url   string
		roots *x509.CertPool
		final bool
		says  string
	}{
		"silent":         {"http://" + silent + "/s3cret", nil, false, "no answer came within 50ms"},
		"gone":           {"http://" + closing + "/s3cret", nil, false, "the connection was "}, // closed or reset
		"nobody":         {"http://127.0.0.1:1/s3cret", nil, false, "refused"},
		"unknown":        {"https://nowhere.invalid/s3cret", nil, false, "could not be looked up"},
		"no TLS":         {"https" + strings.TrimPrefix(plain.URL, "http") + "/s3cret", nil, true, "does not speak TLS"},
		"not trusted":    {safe.URL + "/s3cret", nil, true, "does not trust"},
		"another's name": {"https://localhost:" + port + "/s3cret", roots, true, "another host name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := patience
			if name == "silent" {
				timeout = 50 * time.Millisecond
			}
			requireError(t, webhook(t, notify.WebOptions{URL: k.url, RootCAs: k.roots, Timeout: timeout}).Send(t.Context(), message), k.final, k.says)
		})
	}
	require.NoError(t, webhook(t, notify.WebOptions{URL: safe.URL, RootCAs: roots}).Send(t.Context(), message))
}

func TestAStoppedDeliveryByWebIsNobodysFault(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	address := listen(t, func(conn net.Conn) {
		stop()
		io.Copy(io.Discard, conn)
	})
	err := webhook(t, notify.WebOptions{URL: "http://" + address}).Send(ctx, message)
	require.ErrorIs(t, err, context.Canceled)
}

func TestWebOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		says string
		o    notify.WebOptions
	}{
		{"full address", notify.WebOptions{URL: "hooks.example.com/s3cret", Timeout: patience}},
		{"full address", notify.WebOptions{URL: "ftp://hooks.example.com/s3cret", Timeout: patience}},
		{"full address", notify.WebOptions{URL: "https://s3cret:%zz", Timeout: patience}},
		{"not carry a user", notify.WebOptions{URL: "https://me:s3cret@hooks.example.com/", Timeout: patience}},
		{"plain http", notify.WebOptions{URL: "http://hooks.example.com/s3cret", Timeout: patience}},
		{"timeout", notify.WebOptions{URL: "https://hooks.example.com/s3cret"}},
	} {
		_, err := notify.NewWebhook(k.o)
		require.ErrorContains(t, err, k.says)
		require.NotContains(t, err.Error(), "s3cret")
	}
	_, err := notify.NewChat(notify.WebOptions{URL: "http://hooks.example.com/s3cret", AllowHTTP: true, Timeout: patience})
	require.NoError(t, err)
}
