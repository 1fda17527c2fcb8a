package notify_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"importer/internal/notify"
)

var quiet = log.New(io.Discard, "", 0)

// post is a mail server.
type post struct {
	*smtp.Server

	user, password string           // that it wants; empty: no login
	refuses        map[string]error // senders, recipients, or "data"
	address        string

	mu      sync.Mutex
	wire    bytes.Buffer // all that was said in both directions, TLS taken off
	letters []letter
}

// letter is a mail that was taken.
type letter struct {
	from string
	utf8 bool // only servers with SMTPUTF8 may have it
	to   []string
	text string
}

// start starts a server. offered: it can speak TLS.
func (p *post) start(t *testing.T, offered *tls.Config, implicit bool) *post {
	t.Helper()
	p.Server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{post: p}, nil }))
	p.EnableSMTPUTF8, p.TLSConfig, p.AllowInsecureAuth, p.ErrorLog, p.Debug = true, offered, true, quiet, &locked{p}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.address = listener.Addr().String()
	if implicit {
		listener = tls.NewListener(listener, offered)
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(listener) }()
	t.Cleanup(func() {
		p.Close()
		<-served
	})
	return p
}

// taken are the letters, and said is what was said in clear or under TLS.
func (p *post) taken() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.letters
}

func (p *post) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wire.String()
}

type locked struct{ *post }

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wire.Write(b)
}

type session struct {
	*post

	known  bool
	letter letter
}

func (s *session) AuthMechanisms() []string {
	if s.user == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.user || password != s.password {
			return smtp.ErrAuthFailed
		}
		s.known = true
		return nil
	}), nil
}

func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if s.user != "" && !s.known {
		return &smtp.SMTPError{Code: 530, Message: "what it says"}
	}
	s.letter = letter{from: from, utf8: o.UTF8}
	return s.refuses[from]
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.refuses[to]; err != nil {
		return err
	}
	s.letter.to = append(s.letter.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err == nil {
		err = s.refuses["data"]
	}
	if err != nil {
		return err
	}
	s.letter.text = string(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters = append(s.letters, s.letter)
	return nil
}

func (s *session) Reset()        { s.letter = letter{} }
func (s *session) Logout() error { return nil }

func mailTo(t *testing.T, address string, change func(*notify.MailOptions)) *notify.Mail {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	o := notify.MailOptions{
		Host: host, TLS: notify.StartTLS, From: "Importer <importer@example.com>",
		To: []string{"alerts@example.com", "boss@example.com"}, Timeout: patience,
		Password: func() string { return "hunter2" },
	}
	o.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
	if change != nil {
		change(&o)
	}
	m, err := notify.NewMail(o)
	require.NoError(t, err)
	return m
}

// listen is a server that does this with each connection, and then closes it.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	return listener.Addr().String()
}

func TestALetter(t *testing.T) {
	t.Parallel()
	certificate, roots := secured(t)
	for name, k := range map[string]struct {
		tls      string
		offered  *tls.Config
		implicit bool
		user     string
	}{
		"STARTTLS and a login": {notify.StartTLS, certificate, false, "importer"},
		"TLS and a login":      {notify.TLS, certificate, true, "importer"},
		"STARTTLS":             {notify.StartTLS, certificate, false, ""},
		"in clear":             {notify.Plain, nil, false, ""},
		"in clear on loopback": {notify.Plain, nil, false, "importer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := (&post{user: k.user, password: "hunter2"}).start(t, k.offered, k.implicit)
			m := mailTo(t, p.address, func(o *notify.MailOptions) { o.TLS, o.User, o.RootCAs = k.tls, k.user, roots })
			require.Equal(t, p.address, m.Where())
			require.NoError(t, m.Send(t.Context(), message))
			require.NoError(t, m.Send(t.Context(), message))
			letters := p.taken()
			require.Len(t, letters, 4, "two recipients, and it is delivered twice")
			require.Equal(t, []string{"alerts@example.com"}, letters[0].to)
			require.Equal(t, []string{"boss@example.com"}, letters[1].to)
			require.Equal(t, "importer@example.com", letters[0].from)
			require.False(t, letters[0].utf8)
			read, err := mail.ReadMessage(strings.NewReader(letters[0].text))
			require.NoError(t, err)
			h := read.Header
			require.Equal(t, `"Importer" <importer@example.com>`, h.Get("From"))
			require.Equal(t, "<alerts@example.com>", h.Get("To"), "nobody learns who else gets it")
			require.Equal(t, "=?UTF-8?q?acm=C3=A9:_231_of_250_rows_loaded,_4_errors?=", h.Get("Subject"))
			require.Equal(t, "auto-generated", h.Get("Auto-Submitted"))
			require.Equal(t, "text/plain; charset=UTF-8", h.Get("Content-Type"))
			require.Regexp(t, `^<[0-9a-f]{32}@example\.com>$`, h.Get("Message-ID"))
			date, err := h.Date()
			require.NoError(t, err)
			require.WithinDuration(t, time.Now(), date, time.Hour)
			body, err := io.ReadAll(read.Body)
			require.NoError(t, err)
			require.Equal(t, "Run 7: 250 rows\r\nimporter show 7\r\n", string(body))
			again, err := mail.ReadMessage(strings.NewReader(letters[2].text))
			require.NoError(t, err)
			require.Equal(t, h.Get("Message-ID"), again.Header.Get("Message-ID"), "it is known again")
			other := message
			other.ID = "f00d-run-8-ops"
			require.NoError(t, m.Send(t.Context(), other))
			next, err := mail.ReadMessage(strings.NewReader(p.taken()[4].text))
			require.NoError(t, err)
			require.NotEqual(t, h.Get("Message-ID"), next.Header.Get("Message-ID"))
		})
	}
}

func TestWhereNoTLSIsOfferedNothingIsSaidInClear(t *testing.T) {
	t.Parallel()
	p := (&post{user: "importer", password: "hunter2"}).start(t, nil, false)
	err := mailTo(t, p.address, func(o *notify.MailOptions) { o.User = "importer" }).Send(t.Context(), message)
	requireError(t, err, true, "offers no TLS")
	require.Empty(t, p.taken())
	said := strings.Fields(p.said())
	require.Contains(t, said, "EHLO")
	for _, command := range []string{"AUTH", "MAIL", "RCPT", "DATA"} {
		require.NotContains(t, said[1:], command, "of what the importer said")
	}
}

func TestALoginThatIsRefused(t *testing.T) {
	t.Parallel()
	certificate, roots := secured(t)
	p := (&post{user: "importer", password: "another"}).start(t, certificate, false)
	for _, user := range []string{"importer", ""} { // with a wrong password, and with none
		err := mailTo(t, p.address, func(o *notify.MailOptions) { o.User, o.RootCAs = user, roots }).Send(t.Context(), message)
		requireError(t, err, true, "check user and password")
	}
	none := (&post{}).start(t, certificate, false)
	err := mailTo(t, none.address, func(o *notify.MailOptions) { o.User, o.RootCAs = "importer", roots }).Send(t.Context(), message)
	requireError(t, err, true, "offers no login")
	require.Empty(t, append(p.taken(), none.taken()...))
}

func TestWhatARefusalByAMailServerMeans(t *testing.T) {
	t.Parallel()
	const from, first, second = "importer@example.com", "alerts@example.com", "boss@example.com"
	refused := &smtp.SMTPError{Code: 550, Message: "what it says"}
	busy := &smtp.SMTPError{Code: 451, Message: "what it says"}
	for name, k := range map[string]struct {
		refuses map[string]error
		final   bool
		says    string
		takes   []string // who gets the letter
	}{
		"the sender":                     {map[string]error{from: refused}, true, "refuses the sender (code 550)", nil},
		"a recipient":                    {map[string]error{second: refused}, true, "refuses recipient 2 of 2 (code 550)", []string{first}},
		"the other one":                  {map[string]error{first: refused}, true, "refuses recipient 1 of 2 (code 550)", []string{second}},
		"one for good, one for a moment": {map[string]error{first: refused, second: busy}, false, "just now (code 451)", nil},
		"the letter":                     {map[string]error{"data": refused}, true, "refuses the letter (code 550)", nil},
		"the letter for a moment":        {map[string]error{"data": busy}, false, "just now (code 451)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := (&post{refuses: k.refuses}).start(t, nil, false)
			err := mailTo(t, p.address, func(o *notify.MailOptions) { o.TLS = notify.Plain }).Send(t.Context(), message)
			requireError(t, err, k.final, k.says)
			var got []string
			for _, l := range p.taken() {
				got = append(got, l.to...)
			}
			require.Equal(t, k.takes, got)
		})
	}
}

func TestAMailServerThatCannotBeReached(t *testing.T) {
	t.Parallel()
	certificate, roots := secured(t)
	trusted := (&post{}).start(t, certificate, false)
	plain := (&post{}).start(t, nil, false)
	silent := listen(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	closing := listen(t, func(net.Conn) {})
	busy := listen(t, func(conn net.Conn) { io.WriteString(conn, "421 what it says\r\n") })
	stranger := listen(t, func(conn net.Conn) { io.WriteString(conn, "554 what it says\r\n") })
	rude := listen(t, func(conn net.Conn) { // hangs up in the middle of the letter
		io.WriteString(conn, "220 hello\r\n250 hello\r\n250 noop\r\n250 mail\r\n250 rcpt\r\n354 data\r\n")
		buffer := make([]byte, 1<<10)
		for all := ""; !strings.Contains(all, "DATA"); {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			all += string(buffer[:n])
		}
	})
	for name, k := range map[string]struct {
		address string
		tls     string
		roots   *x509.CertPool
		final   bool
		says    string
	}{
		"silent":             {silent, notify.StartTLS, nil, false, "no answer came within 50ms"},
		"silent behind TLS":  {silent, notify.TLS, nil, false, "no answer came within 50ms"},
		"closing":            {closing, notify.StartTLS, nil, false, "the connection was "},
		"nobody":             {"127.0.0.1:1", notify.TLS, nil, false, "refused"},
		"busy":               {busy, notify.Plain, nil, false, "just now (code 421)"},
		"a stranger":         {stranger, notify.Plain, nil, true, "refuses us (code 554)"},
		"rude":               {rude, notify.Plain, nil, false, "lost before the letter was taken"},
		"not trusted":        {trusted.address, notify.StartTLS, nil, true, "does not trust"},
		"TLS where none is":  {plain.address, notify.TLS, roots, true, "does not speak TLS"},
		"another's name":     {"localhost" + strings.TrimPrefix(trusted.address, "127.0.0.1"), notify.StartTLS, roots, true, "another host name"},
		"unknown host":       {"nowhere.invalid:587", notify.StartTLS, nil, false, "could not be looked up"},
		"TLS 1.1 is too old": {(&post{}).start(t, old(certificate), false).address, notify.StartTLS, roots, true, "TLS 1.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mailTo(t, k.address, func(o *notify.MailOptions) {
				o.TLS, o.RootCAs = k.tls, k.roots
				if strings.HasPrefix(name, "silent") {
					o.Timeout = 50 * time.Millisecond
				}
			})
			requireError(t, m.Send(t.Context(), message), k.final, k.says)
		})
	}
	t.Cleanup(func() { require.Empty(t, append(trusted.taken(), plain.taken()...)) })
}

func old(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	return config
}

func TestAStoppedDeliveryByMailIsNobodysFault(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	address := listen(t, func(conn net.Conn) {
		io.WriteString(conn, "220 hello\r\n")
		conn.Read(make([]byte, 1)) // of the importer's hello
		stop()
		io.Copy(io.Discard, conn)
	})
	m := mailTo(t, address, func(o *notify.MailOptions) { o.Timeout = time.Hour })
	require.ErrorIs(t, m.Send(ctx, message), context.Canceled)
}

func TestMailOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	good := notify.MailOptions{Host: "mail.example.com", Port: 587, TLS: notify.StartTLS, From: "a@example.com", To: []string{"b@example.com"}, Timeout: patience}
	for _, k := range []struct {
		says   string
		change func(*notify.MailOptions)
	}{
		{"from must be", func(o *notify.MailOptions) { o.From = "importer" }},
		{"to must name", func(o *notify.MailOptions) { o.To = nil }},
		{"to[1] must be", func(o *notify.MailOptions) { o.To = []string{"b@example.com", "boss"} }},
		{"tls must be", func(o *notify.MailOptions) { o.TLS = "maybe" }},
		{"host and port", func(o *notify.MailOptions) { o.Port = 0 }},
		{"host and port", func(o *notify.MailOptions) { o.Host = "" }},
		{"can read the password", func(o *notify.MailOptions) { o.TLS, o.User = notify.Plain, "importer" }},
		{"timeout", func(o *notify.MailOptions) { o.Timeout = 0 }},
	} {
		o := good
		k.change(&o)
		_, err := notify.NewMail(o)
		require.ErrorContains(t, err, k.says)
	}
	_, err := notify.NewMail(good)
	require.NoError(t, err)
}
