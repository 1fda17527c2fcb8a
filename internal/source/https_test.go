package source_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/source"
)

const tokenCanary = "TokenCanary1"

// web is a TLS server for the length of a test.
func web(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// httpsOptions trust a server.
func httpsOptions(s *httptest.Server, path string) source.HTTPSOptions {
	o := source.HTTPSOptions{URL: s.URL + path, Timeout: 20 * time.Second}
	if s.Certificate() != nil {
		o.RootCAs = x509.NewCertPool()
		o.RootCAs.AddCert(s.Certificate())
	}
	return o
}

func newHTTPS(t *testing.T, o source.HTTPSOptions) *source.HTTPS {
	t.Helper()
	p, err := source.NewHTTPS(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// pull lists and fetches.
func pull(t *testing.T, o source.HTTPSOptions) (source.File, []byte, error) {
	t.Helper()
	p := newHTTPS(t, o)
	files, err := p.List(t.Context())
	if err != nil {
		return source.File{}, nil, err
	}
	require.Len(t, files, 1)
	got, err := fetch(t, p, files[0])
	if err != nil {
		requireNoSecrets(t, err)
	}
	return files[0], got, err
}

func requireNoSecrets(t *testing.T, err error) {
	t.Helper()
	for _, s := range []string{secret, tokenCanary, "key=", "/leads"} {
		require.NotContains(t, err.Error(), s)
	}
}

func TestFileOfAWebServer(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	var requests atomic.Int64
	s := web(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Method != http.MethodGet { // as servers of exports do
			http.Error(w, "", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "leads.csv", when, strings.NewReader("phone\n3055550123\n"))
	})
	o := httpsOptions(s, "/leads.csv?key="+tokenCanary)
	f, got, err := pull(t, o)
	require.NoError(t, err)
	require.Equal(t, "phone\n3055550123\n", string(got))
	require.Equal(t, source.File{Path: "leads.csv", Size: 17, Modified: when, Version: `"v1"`}, f)
	require.EqualValues(t, 1, requests.Load(), "an export is not made twice")

	o.Taken = f
	files, err := newHTTPS(t, o).List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []source.File{f}, files)
	o.Taken.Version = `"v0"`
	files, err = newHTTPS(t, o).List(t.Context())
	require.NoError(t, err)
	require.Equal(t, `"v1"`, files[0].Version)
	o.Taken = source.File{Path: "leads.csv", Size: 17, Modified: when}
	files, err = newHTTPS(t, o).List(t.Context())
	require.NoError(t, err)
	require.Equal(t, o.Taken, files[0], "a server that knows times only")

	p := newHTTPS(t, httpsOptions(s, "/leads.csv"))
	for range 2 {
		got, err := fetch(t, p, f)
		require.NoError(t, err, "also without a list before it")
		require.Len(t, got, 17)
	}
}

func TestNameOfAWebFile(t *testing.T) {
	t.Parallel()
	for _, k := range []struct{ configured, path, disposition, name string }{
		{"", "/leads/acme.csv", "", "acme.csv"},
		{"", "/export?id=7", "", "download"}, // a last part like this may be a secret
		{"", "/", "", "download"},
		{"", "/export", `attachment; filename="March leads.csv"`, "March leads.csv"},
		{"", "/export", `attachment; filename=March leads.csv; size=7`, "March leads.csv"},
		{"", "/export", `attachment; filename="x.csv"; filename*=UTF-8''M%C3%A4rz.csv`, "März.csv"},
		{"", "/export", `attachment; filename="../../etc/passwd"`, "passwd"},
		{"", "/export", `attachment; filename="..\\..\\boot.ini"`, "boot.ini"},
		{"", "/export", `attachment; filename=".."`, "download"},
		{"", "/export", "attachment; filename=\"a\tb.csv\"", "ab.csv"},
		{"acme.csv", "/export", `attachment; filename="other.csv"`, "acme.csv"},
		{"", "/export", `attachment; filename="` + strings.Repeat("x", 300) + `.csv"`, strings.Repeat("x", 116) + ".csv"},
	} {
		s := web(t, func(w http.ResponseWriter, _ *http.Request) {
			if k.disposition != "" {
				w.Header().Set("Content-Disposition", k.disposition)
			}
		})
		o := httpsOptions(s, k.path)
		o.Name = k.configured
		f, got, err := pull(t, o)
		require.NoError(t, err)
		require.Equal(t, k.name, f.Path)
		require.Empty(t, got)
	}
}

func TestCredentialsGoToTheirHostOnly(t *testing.T) {
	t.Parallel()
	var seen atomic.Pointer[http.Header]
	elsewhere := web(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(&r.Header)
		fmt.Fprint(w, "elsewhere")
	})
	s := web(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user+password != "vendor"+secret && r.Header.Get("Authorization") != "Bearer "+tokenCanary || r.Header.Get("X-Tenant") != "acme" {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/leads.csv":
			fmt.Fprint(w, "here")
		case "/moved":
			http.Redirect(w, r, "/leads.csv?again", http.StatusFound)
		case "/away":
			http.Redirect(w, r, elsewhere.URL+"/leads.csv?key="+tokenCanary, http.StatusTemporaryRedirect)
		case "/circle":
			http.Redirect(w, r, "/circle", http.StatusMovedPermanently)
		case "/ftp":
			http.Redirect(w, r, "ftp://example.com/leads", http.StatusFound)
		case "/plain":
			http.Redirect(w, r, "http://files.example.com/leads", http.StatusFound)
		}
	})
	away := strings.TrimPrefix(elsewhere.URL, "https://")
	basic := func(o *source.HTTPSOptions) { o.User, o.Password = "vendor", func() string { return secret } }
	bearer := func(o *source.HTTPSOptions) { o.Token = func() string { return tokenCanary } }
	for name, k := range map[string]struct {
		path    string
		options func(*source.HTTPSOptions)
		gives   string
		says    string
	}{
		"basic":            {"/leads.csv", basic, "here", ""},
		"bearer":           {"/leads.csv", bearer, "here", ""},
		"none":             {"/leads.csv", func(*source.HTTPSOptions) {}, "", "wants a login or refuses the one that it got (status 401)"},
		"within the host":  {"/moved", basic, "here", ""},
		"to another":       {"/away", basic, "", "allow_redirects_to: [\"" + away + "\"]"},
		"to another, told": {"/away", func(o *source.HTTPSOptions) { basic(o); o.AllowRedirectsTo = []string{"example.com", away} }, "elsewhere", ""},
		"in a circle":      {"/circle", basic, "", "redirects in a circle"},
		"to FTP":           {"/ftp", basic, "", "something that is no web address"},
		"without TLS":      {"/plain", basic, "", "redirects to files.example.com without TLS"},
	} {
		o := httpsOptions(s, k.path+"?key="+tokenCanary)
		o.RootCAs.AddCert(elsewhere.Certificate())
		o.Headers = map[string]string{"X-Tenant": "acme"}
		k.options(&o)
		_, got, err := pull(t, o)
		if k.says != "" {
			require.ErrorContains(t, err, k.says, name)
			require.True(t, isFinal(err), name)
			requireNoSecrets(t, err)
			require.Nil(t, seen.Load(), "nothing was sent there")
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, k.gives, string(got), name)
		if h := seen.Swap(nil); h != nil {
			require.NotContains(t, *h, "Authorization")
			require.NotContains(t, *h, "X-Tenant")
		}
	}
}

func TestRedirectOfGoogleSheets(t *testing.T) {
	t.Parallel()
	s := web(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://doc-0k-4s-sheets.googleusercontent.com/export/x", http.StatusTemporaryRedirect)
	})
	_, _, err := pull(t, httpsOptions(s, "/spreadsheets/d/x/export?format=csv"))
	require.ErrorContains(t, err, `allow_redirects_to: ["*.googleusercontent.com"]`)
}

func TestStatusesInWords(t *testing.T) {
	t.Parallel()
	for status, k := range map[int]struct {
		says  string
		final bool
		is    error
		after time.Duration
	}{
		401: {"check user and password", true, nil, 0},
		403: {"refuses access (status 403)", true, fs.ErrPermission, 0},
		404: {"there is no file at the address (status 404)", false, fs.ErrNotExist, 0},
		410: {"there is no file at the address (status 410)", false, fs.ErrNotExist, 0},
		429: {"asked too often (status 429)", false, nil, 90 * time.Second},
		500: {"the server has a fault (status 500)", false, nil, 90 * time.Second},
		503: {"the server has a fault (status 503)", false, nil, 90 * time.Second},
		418: {"does not give the file (status 418): check the url", true, nil, 0},
		206: {"does not give the file (status 206)", true, nil, 0},
		304: {"does not give the file (status 304)", true, nil, 0},
	} {
		s := web(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(status)
		})
		o := httpsOptions(s, "/leads?key="+tokenCanary)
		_, _, err := pull(t, o)
		require.ErrorContains(t, err, k.says)
		requireNoSecrets(t, err)
		var e *source.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, k.final, e.Final, status)
		require.Equal(t, k.after, e.RetryAfter, status)
		if k.is != nil {
			require.ErrorIs(t, err, k.is)
		}
	}
}

// breaking sends at most piece bytes of a file in each answer.
func breaking(t *testing.T, content string, piece int, header func(http.Header), ranges bool) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	return web(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		header(w.Header())
		from := 0
		if text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && ranges && r.Header.Get("If-Range") == w.Header().Get("ETag") {
			from, _ = strconv.Atoi(strings.TrimSuffix(text, "-"))
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)-from))
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write([]byte(content[from:min(len(content), from+piece)])) // short of what was announced, the server hangs up
	}), &asked
}

func TestWebDownloadSurvivesALineThatBreaksEvery64kB(t *testing.T) {
	t.Parallel()
	content := random(5_000_000)
	s, asked := breaking(t, content, 64<<10, func(h http.Header) { h.Set("ETag", `"v1"`) }, true)
	_, got, err := pull(t, httpsOptions(s, "/leads"))
	require.NoError(t, err)
	require.True(t, bytes.Equal([]byte(content), got))
	require.EqualValues(t, 77, asked.Load())
}

func TestWebDownloadThatCannotBeResumedIsNotTaken(t *testing.T) {
	t.Parallel()
	content := random(300_000)
	for name, header := range map[string]func(http.Header){
		"no ETag":           func(http.Header) {},
		"weak ETag":         func(h http.Header) { h.Set("ETag", `W/"v1"`) },
		"no ranges":         func(h http.Header) { h.Set("ETag", `"v1"`) },
		"another each":      func(h http.Header) { h.Set("ETag", strconv.Quote(random(4))) },
		"modified just now": func(h http.Header) { h.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, asked := breaking(t, content, 64<<10, header, name != "no ranges")
			o := httpsOptions(s, "/leads?key="+tokenCanary)
			o.Timeout = 4 * time.Second
			_, got, err := pull(t, o)
			if !errors.Is(err, source.ErrChanged) || name != "another each" && name != "modified just now" {
				require.ErrorContains(t, err, "the connection was lost after 65536 bytes of download")
			}
			require.Nil(t, got)
			require.False(t, isFinal(err))
			require.LessOrEqual(t, asked.Load(), int64(6), "not for ever")
		})
	}
}

func TestWebFileThatChangesWhileTheLineIsBroken(t *testing.T) {
	t.Parallel()
	old, young := random(200_000), random(200_000)
	var asked atomic.Int64
	s := web(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.Header().Set("ETag", `"old"`)
			w.Header().Set("Content-Length", "200000")
			w.Write([]byte(old[:100_000]))
			return
		}
		w.Header().Set("ETag", `"young"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(young))
	})
	o := httpsOptions(s, "/leads")
	_, _, err := pull(t, o)
	require.ErrorIs(t, err, source.ErrChanged, "it would be taken for the one that was listed")
	_, got, err := pull(t, o)
	require.NoError(t, err)
	require.True(t, bytes.Equal([]byte(young), got), "the new file whole, nothing of the old one")

	// A server that does not heed If-Range, and one that goes on elsewhere.
	for _, answer := range []string{"bytes 100000-199999/200001", "bytes 99999-199999/200000", "nonsense"} {
		asked.Store(0)
		var ranged atomic.Bool
		s := web(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"old"`)
			switch asked.Add(1) {
			case 1:
				w.Header().Set("Content-Length", "200000")
				w.Write([]byte(old[:100_000]))
			case 2:
				ranged.Store(r.Header.Get("Range") == "bytes=100000-")
				w.Header().Set("Content-Range", answer)
				w.WriteHeader(http.StatusPartialContent)
				w.Write([]byte(old[100_000:]))
			default:
				w.Write([]byte(old))
			}
		})
		o := httpsOptions(s, "/leads")
		o.Timeout = 4 * time.Second
		_, got, err := pull(t, o)
		require.NoError(t, err)
		require.True(t, bytes.Equal([]byte(old), got))
		require.EqualValues(t, 3, asked.Load())
		require.True(t, ranged.Load())
	}
}

// rawWeb answers each connection with these bytes and closes it.
func rawWeb(t *testing.T, answer func(n int64) string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := int64(1); ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 4096))
			conn.Write([]byte(answer(n)))
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return "http://" + listener.Addr().String() + "/leads.csv"
}

func TestEndThatMayBeALostConnectionIsLookedAtTwice(t *testing.T) {
	t.Parallel()
	_, got, err := pull(t, source.HTTPSOptions{URL: rawWeb(t, func(int64) string { return "HTTP/1.0 200 OK\r\n\r\na\nb\nc\n" }), Timeout: 20 * time.Second})
	require.NoError(t, err)
	require.Equal(t, "a\nb\nc\n", string(got))
	for _, second := range []string{"a\nb\nc\n", "a\n", "a\nX\n"} {
		_, _, err = pull(t, source.HTTPSOptions{URL: rawWeb(t, func(n int64) string {
			return "HTTP/1.0 200 OK\r\n\r\n" + map[bool]string{true: "a\nb\n", false: second}[n == 1]
		}), Timeout: 20 * time.Second})
		require.ErrorIs(t, err, source.ErrChanged)
		require.ErrorContains(t, err, "does not say how long leads.csv is")
	}
}

func TestWebServerThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]http.HandlerFunc{
		"before the answer": func(http.ResponseWriter, *http.Request) {},
		"in the answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("some"))
			w.(http.Flusher).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := make(chan struct{})
			s := web(t, func(w http.ResponseWriter, r *http.Request) {
				handle(w, r)
				select {
				case <-over:
				case <-r.Context().Done():
				}
			})
			t.Cleanup(func() { close(over) })
			o := httpsOptions(s, "/leads?key="+tokenCanary)
			o.Timeout = quick
			_, _, err := pull(t, o)
			require.Error(t, err)
			require.False(t, isFinal(err))
			requireNoSecrets(t, err)
		})
	}
}

func TestWebFileThatIsTooLarge(t *testing.T) {
	t.Parallel()
	for _, length := range []string{"", "1000"} {
		s := web(t, func(w http.ResponseWriter, _ *http.Request) {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			w.Write(make([]byte, 500))
			w.(http.Flusher).Flush()
			w.Write(make([]byte, 500))
		})
		o := httpsOptions(s, "/leads")
		o.MaxBytes = 999
		_, _, err := pull(t, o)
		require.ErrorContains(t, err, "download has more than the 999 bytes that are allowed")
		o.MaxBytes = 1000
		_, got, err := pull(t, o)
		require.NoError(t, err)
		require.True(t, bytes.Equal(make([]byte, 1000), got))
	}
}

func TestWebTLS(t *testing.T) {
	t.Parallel()
	s := web(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "leads") })
	old := httptest.NewUnstartedServer(nil)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.Config.ErrorLog = quiet
	old.StartTLS()
	t.Cleanup(old.Close)
	plain := httptest.NewServer(nil)
	t.Cleanup(plain.Close)
	for says, change := range map[string]func(*source.HTTPSOptions){
		"authority that this machine does not trust": func(o *source.HTTPSOptions) { o.RootCAs = nil },
		"for another host name":                      func(o *source.HTTPSOptions) { o.URL = strings.Replace(o.URL, "127.0.0.1", "localhost", 1) },
		"TLS 1.2 or newer":                           func(o *source.HTTPSOptions) { o.URL = old.URL + "/leads" },
		"does not speak TLS on this port":            func(o *source.HTTPSOptions) { o.URL = strings.Replace(plain.URL, "http:", "https:", 1) + "/leads" },
	} {
		o := httpsOptions(s, "/leads")
		change(&o)
		_, _, err := pull(t, o)
		require.ErrorContains(t, err, says)
		require.True(t, isFinal(err))
		requireNoSecrets(t, err)
	}
}

func TestWebAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	for address, says := range map[string]string{
		"":                             "full address",
		"files.example.com/leads.csv":  "full address",
		"ftp://example.com/leads.csv":  "full address",
		"https://a:" + secret + "@b/c": "must not carry a user or a password",
		"http://example.com/leads.csv": "plain http",
		"https://exa mple.com/%zz?key=" + tokenCanary: "full address",
	} {
		_, err := source.NewHTTPS(source.HTTPSOptions{URL: address, Timeout: time.Second})
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), secret)
		require.NotContains(t, err.Error(), tokenCanary)
	}
	_, err := source.NewHTTPS(source.HTTPSOptions{URL: "http://example.com/leads.csv", Timeout: time.Second, AllowHTTP: true})
	require.NoError(t, err)
	_, err = source.NewHTTPS(source.HTTPSOptions{URL: "https://example.com/leads.csv"})
	require.ErrorContains(t, err, "timeout")
}

func TestWebFetchStopsAndTellsAFullDisk(t *testing.T) {
	t.Parallel()
	s := web(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 100_000)) })
	p := newHTTPS(t, httpsOptions(s, "/leads"))
	ctx, cancel := context.WithCancel(t.Context())
	files, err := p.List(ctx)
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, p.Fetch(ctx, files[0], temporary(t)), context.Canceled)
	_, err = p.List(ctx)
	require.ErrorIs(t, err, context.Canceled)
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { full.Close() })
	require.ErrorIs(t, p.Fetch(t.Context(), files[0], full), syscall.ENOSPC)
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	s.Close()
	_, err = p.List(t.Context())
	require.ErrorContains(t, err, u.Host+": the connection was ") // refused, or reset
}

// quiet takes what servers say about clients that hang up.
var quiet = log.New(io.Discard, "", 0)
