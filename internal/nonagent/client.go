// Package nonagent speaks VICIdial's Non-Agent API, and alone knows what its
// answers mean.
package nonagent

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"importer/internal/importer"
)

// Options says how to reach one dialer.
type Options struct {
	// URL is the full address of the Non-Agent API, usually
	// https://HOST/vicidial/non_agent_api.php. Whether plain http is acceptable
	// is for the caller to decide.
	URL string
	// User is the API user's name.
	User string
	// Password returns the API user's password. It is asked once per call.
	Password func() string
	// Source is the API's source parameter: at least two letters or digits and
	// at most 20, which is what the dialer's log holds.
	Source string
	// Timeout bounds a whole call, from dialling to the last byte of the answer.
	Timeout time.Duration
	// Concurrency is how many connections are kept for reuse.
	Concurrency int
	// RootCAs replaces the system's certificate authorities when it is set.
	RootCAs *x509.CertPool
	// UserAgent names this program to the server; empty: "importer".
	UserAgent string
}

// Client speaks to one dialer. It is safe for concurrent use and holds
// connections until Close.
type Client struct {
	url       string
	host      string
	user      string
	password  func() string
	source    string
	timeout   time.Duration
	userAgent string
	transport *http.Transport
}

var (
	_ importer.Sender = (*Client)(nil)
	_ importer.Lookup = (*Client)(nil)
)

// New returns a client. It makes no call; its errors are about the options.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the dialer's url must be a full address like https://dialer.example.com/vicidial/non_agent_api.php")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the dialer's url must not carry a user, a password or a query: set user and password beside it")
	}
	if strings.HasSuffix(u.Path, "/agc/api.php") {
		return nil, errors.New("the dialer's url is that of the Agent API, which drives an agent's screen: use .../vicidial/non_agent_api.php")
	}
	if o.User == "" || o.Password == nil {
		return nil, errors.New("the dialer needs a user and a password")
	}
	if n := len(o.Source); n < 2 || n > 20 || !only(o.Source, isAlphanumeric) {
		return nil, errors.New("the dialer's source must be 2 to 20 letters and digits")
	}
	if o.Timeout <= 0 || o.Concurrency < 1 {
		return nil, errors.New("the dialer's timeout and concurrency must be above zero")
	}
	c := &Client{
		url:       u.String(),
		host:      hostPort(u),
		user:      o.User,
		password:  o.Password,
		source:    o.Source,
		timeout:   o.Timeout,
		userAgent: o.UserAgent,
		transport: newTransport(u.Hostname(), o),
	}
	if c.userAgent == "" {
		c.userAgent = "importer"
	}
	return c, nil
}

// Close closes idle connections. Calls in flight are not interrupted.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// AddLead makes one add_lead call and says what its answer means. It never
// sends a lead twice. A lead that the dialer could not hold unharmed is
// refused without a call.
func (c *Client) AddLead(ctx context.Context, call importer.Call) importer.Answer {
	if refusal := refuse(&call); refusal != nil {
		return refusal.asAnswer("")
	}
	r, unanswered := c.post(ctx, c.addLeadForm(&call), maxAddLeadAnswer)
	var a importer.Answer
	if unanswered != nil {
		a = unanswered.asAnswer(c.host)
	} else {
		a = classify(r, &call)
	}
	a.Written = r.written
	return a
}

const (
	// maxAddLeadAnswer is far above what add_lead says, the echo of a failed
	// INSERT included.
	maxAddLeadAnswer = 1 << 20
	// maxLookupAnswer holds searchCap lead ids with room to spare.
	maxLookupAnswer = 8 << 20
)

// reply is what came back over the wire.
type reply struct {
	host    string
	status  int
	header  http.Header
	body    []byte
	written bool // some byte of the request may have left
	// complete: every byte that the server announced has come. An answer that
	// announces no length is complete when it ends with a line end.
	complete bool
	tooLong  bool // the answer is longer than we are ready to read
}

// post sends one form. The finding is nil when an answer's head came, however
// little of its body did.
func (c *Client) post(parent context.Context, f *form, limit int64) (reply, *finding) {
	ctx, cancel := context.WithTimeout(parent, c.timeout)
	defer cancel()
	var sent tracker
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: sent.gotConn})

	r := reply{host: c.host}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(f.bytes()))
	if err != nil {
		return r, c.failed(parent, err, false)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", c.userAgent)

	// The transport is called directly: an http.Client would follow redirects
	// and put the address into its errors.
	resp, err := c.transport.RoundTrip(req)
	r.written = resp != nil || sent.written()
	if err != nil {
		return r, c.failed(parent, err, r.written)
	}
	defer resp.Body.Close()
	r.status, r.header = resp.StatusCode, resp.Header
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	r.tooLong = int64(len(body)) > limit
	r.body = body
	measured := resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0
	r.complete = err == nil && !r.tooLong && (measured || bytes.HasSuffix(body, []byte("\n")))
	return r, nil
}
