package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// WebOptions say where a message is posted.
type WebOptions struct {
	URL       string         // all of it but the host may be a secret
	Token     func() string  // bearer token; nil or empty: none
	RootCAs   *x509.CertPool // replaces the system's authorities
	AllowHTTP bool           // without TLS; loopback needs no leave
	Timeout   time.Duration  // for a whole delivery
	UserAgent string
}

// Web posts messages to a web address.
type Web struct {
	o         WebOptions
	url       *url.URL
	where     string
	body      func(Message) any
	transport *http.Transport
}

// NewWebhook posts a message's data, for a program. Its errors are about the
// options.
func NewWebhook(o WebOptions) (*Web, error) {
	return newWeb(o, func(m Message) any { return m.Data })
}

// NewChat posts what a message says to people, as the incoming webhooks of chats
// take it: Slack, Mattermost, Rocket.Chat, Google Chat. Its errors are about the
// options.
func NewChat(o WebOptions) (*Web, error) {
	return newWeb(o, func(m Message) any {
		return map[string]string{"text": harmless.Replace(m.Subject + "\n" + m.Text)}
	})
}

// harmless takes what calls everybody in a chat, or hides where a link leads, out
// of the names of a vendor's files.
var harmless = strings.NewReplacer("<", "‹", ">", "›", "@", "＠")

func newWeb(o WebOptions, body func(Message) any) (*Web, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil, u.Hostname() == "", u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the url must be a full address like https://hooks.example.com/importer")
	case u.User != nil:
		return nil, errors.New("the url must not carry a user or a password")
	case u.Scheme == "http" && !o.AllowHTTP && !isLoopback(u.Hostname()):
		return nil, errors.New("the url is plain http, on which anybody in between can read and change what is sent: use https, or set allow_http")
	case o.Timeout <= 0:
		return nil, errors.New("the timeout must be above zero")
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &Web{o: o, url: u, where: hostPort(u), body: body, transport: &http.Transport{
		TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
		Protocols:              protocols,
		DisableKeepAlives:      true, // the next message is hours away
		MaxResponseHeaderBytes: 64 << 10,
	}}, nil
}

// hostPort names a server in errors, always with its port.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.ToLower(net.JoinHostPort(u.Hostname(), port))
}

// Where names the receiver without a secret.
func (w *Web) Where() string { return w.where }

// Send posts a message once. Redirects are not followed: they lead to where
// nobody said that a message may go.
func (w *Web) Send(ctx context.Context, m Message) error {
	within, cancel := context.WithTimeout(ctx, w.o.Timeout)
	defer cancel()
	body, err := json.Marshal(w.body(m))
	if err != nil {
		return fmt.Errorf("writing a message as JSON: %w", err)
	}
	req, err := http.NewRequestWithContext(within, http.MethodPost, w.url.String(), bytes.NewReader(body))
	if err != nil {
		return &Error{Where: w.where, Final: true, text: "nothing can be posted to the address: check the url"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", w.o.UserAgent)
	req.Header.Set("X-Importer-Delivery", m.ID)
	if w.o.Token != nil && w.o.Token() != "" {
		req.Header.Set("Authorization", "Bearer "+w.o.Token())
	}
	// The transport is called directly: an http.Client would put the address
	// into its errors, and follow redirects.
	resp, err := w.transport.RoundTrip(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return unanswered(w.where, err, w.o.Timeout)
	}
	resp.Body.Close()
	return w.judge(resp.StatusCode)
}

// judge says what a status means for the person who set up the receiver.
func (w *Web) judge(status int) error {
	e := &Error{Where: w.where, Final: true}
	switch {
	case status/100 == 2:
		return nil
	case status/100 == 3:
		e.text = fmt.Sprintf("it redirects to another address (status %d), and what is sent goes nowhere but to the configured one: check the url", status)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.text = fmt.Sprintf("it refuses us (status %d): check the token and the url", status)
	case status == http.StatusNotFound, status == http.StatusGone:
		e.text = fmt.Sprintf("nobody takes messages at the address any more (status %d): check the url", status)
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		e.Final, e.text = false, fmt.Sprintf("it takes no message just now (status %d)", status)
	case status/100 == 5:
		e.Final, e.text = false, fmt.Sprintf("it has a fault (status %d): if that lasts, tell whoever runs it", status)
	default:
		e.text = fmt.Sprintf("it does not take the message (status %d): check that the url is that of a webhook", status)
	}
	return e
}
