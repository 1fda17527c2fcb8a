package nonagent

import (
	"bufio"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"importer/internal/importer"
	"importer/internal/lead"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	passwordCanary = "PassCanary1"
	phoneCanary    = "3055551001"
	nameCanary     = "NameCanary"
	vendorCanary   = "VendorCanary"
	commentCanary  = "CommentCanary"
	apiPath        = "/vicidial/non_agent_api.php"
	success        = "SUCCESS: add_lead LEAD HAS BEEN ADDED - " + phoneCanary + "|101|1|-5|apiuser\n"
)

func aCall() importer.Call {
	return importer.Call{
		Lead: lead.Lead{
			PhoneCode: "1", PhoneNumber: phoneCanary, ListID: "101",
			VendorLeadCode: vendorCanary, FirstName: nameCanary, LastName: "O'Brien", Comments: commentCanary + " & more",
		},
		Token: "RABCDEFGHIJKLMNOP-1", TokenField: "source_id",
		Duplicate: "DUPLIST", DNC: true, Campaign: "TESTCAMP",
	}
}

// requireClean fails when a text for people holds anything that must not leak.
func requireClean(t *testing.T, text string) {
	t.Helper()
	for _, canary := range []string{passwordCanary, phoneCanary, nameCanary, vendorCanary, commentCanary, "vicidial_list", "apipass", "function="} {
		require.NotContains(t, text, canary)
	}
}

func newClient(t *testing.T, address string, roots *x509.CertPool, timeout time.Duration) *Client {
	t.Helper()
	c, err := New(Options{
		URL: address + apiPath, User: "apiuser", Password: func() string { return passwordCanary },
		Source: "importer", Timeout: timeout, Concurrency: 4, RootCAs: roots,
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// server is a raw TCP server: it answers each connection as a test wants it.
type server struct {
	url      string
	mu       sync.Mutex
	requests []url.Values
}

// serve runs a server whose connections are handled by handle and closed after
// it. It is gone, with all its goroutines, when the test ends.
func serve(t *testing.T, handle func(s *server, conn net.Conn)) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{url: "http://" + listener.Addr().String()}
	var all sync.WaitGroup
	open := map[net.Conn]bool{}
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			open[conn] = true
			s.mu.Unlock()
			all.Go(func() {
				defer conn.Close()
				handle(s, conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.mu.Lock()
		for conn := range open {
			conn.Close()
		}
		s.mu.Unlock()
		all.Wait()
	})
	return s
}

// request reads one whole request and remembers its form.
func (s *server) request(r *bufio.Reader) (*http.Request, bool) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, false
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, false
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, form)
	return req, true
}

func (s *server) seen() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]url.Values(nil), s.requests...)
}

// answering is a server that answers every request with the same bytes and
// then closes the connection.
func answering(t *testing.T, answer string) *server {
	return serve(t, func(s *server, conn net.Conn) {
		if _, ok := s.request(bufio.NewReader(conn)); ok {
			io.WriteString(conn, answer)
		}
	})
}

// page is an HTTP answer with its length and the headers of the API.
func page(status, body string) string {
	return "HTTP/1.1 " + status + "\r\nCache-Control: no-cache, must-revalidate\r\nPragma: no-cache\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// answered is the reply of a server that said all it had to say.
func answered(status int, body string, header ...string) reply {
	h := http.Header{"Cache-Control": {"no-cache, must-revalidate"}, "Pragma": {"no-cache"}, "Content-Type": {"text/html; charset=utf-8"}}
	for _, line := range header {
		key, value, _ := strings.Cut(line, ": ")
		h.Del(key)
		if value != "" {
			h.Set(key, value)
		}
	}
	return reply{host: "dialer.example.com:443", status: status, header: h, body: []byte(body), complete: true, written: true}
}
