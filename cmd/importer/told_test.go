package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// audience is whom a site's importers tell what happens: web addresses, of which
// each target has one, and a mail server.
type audience struct {
	web  *httptest.Server
	mail string // host:port

	mu      sync.Mutex
	status  map[string]int // that a web address answers with; none: 204
	posts   map[string][]post
	letters []*mail.Message
	taken   func() // is called before a post is answered
}

// post is a message that came by web, whether it was taken or not.
type post struct {
	id, login, body string
}

// newAudience starts the servers. What they get nobody may see who is not meant
// to: none of the site's people.
func newAudience(t *testing.T, s *site) *audience {
	t.Helper()
	a := &audience{status: map[string]int{}, posts: map[string][]post{}}
	a.web = httptest.NewServer(a)
	t.Cleanup(a.web.Close)
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{audience: a}, nil }))
	server.ErrorLog = log.New(io.Discard, "", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	a.mail = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		<-served
	})
	t.Cleanup(func() { a.requireNobodyShown(t, s) })
	return a
}

// ServeHTTP takes a post at /TARGET, whatever is behind it.
func (a *audience) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	target := strings.Split(r.URL.Path, "/")[1]
	a.mu.Lock()
	a.posts[target] = append(a.posts[target], post{r.Header.Get("X-Importer-Delivery"), r.Header.Get("Authorization"), string(body)})
	status, taken := a.status[target], a.taken
	a.mu.Unlock()
	if taken != nil {
		taken()
	}
	if status == 0 {
		status = http.StatusNoContent
	}
	w.WriteHeader(status)
}

// answers makes a target's web address answer so.
func (a *audience) answers(target string, status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status[target] = status
}

// got are the posts to a target.
func (a *audience) got(target string) []post {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.posts[target]
}

// mailed are the subjects of letters by their receivers.
func (a *audience) mailed() (letters []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.letters {
		letters = append(letters, l.Header.Get("To")+" "+l.Header.Get("Subject"))
	}
	return letters
}

type mailSession struct{ *audience }

func (*mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (*mailSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (*mailSession) Reset()                               {}
func (*mailSession) Logout() error                        { return nil }

func (s *mailSession) Data(r io.Reader) error {
	letter, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(letter.Body)
	letter.Body = strings.NewReader(string(body))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters = append(s.letters, letter)
	return err
}

// requireNobodyShown searches all that was told for the site's people and secrets.
func (a *audience) requireNobodyShown(t *testing.T, s *site) {
	t.Helper()
	for target, posts := range a.posts {
		for _, p := range posts {
			require.Empty(t, s.shown(p.body), "%s is told what it must not", target)
		}
	}
	for _, l := range a.letters {
		body, err := io.ReadAll(l.Body)
		require.NoError(t, err)
		require.Empty(t, s.shown(fmt.Sprint(l.Header, string(body))), "a letter tells what it must not")
	}
}
