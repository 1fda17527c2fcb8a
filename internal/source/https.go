package source

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// HTTPSOptions says at which address of a web server a vendor offers a file.
type HTTPSOptions struct {
	URL  string // its query may hold secrets and is never shown
	Name string // the file's name; empty: as the server says, or the address

	User     string // basic login, with Password
	Password func() string
	Token    func() string     // bearer token
	Headers  map[string]string // more headers, which may be secrets too

	RootCAs          *x509.CertPool // replaces the system's authorities
	AllowHTTP        bool           // without TLS; loopback needs no leave
	AllowRedirectsTo []string       // hosts beside the address's own: "files.example.com", "files.example.com:8443", "*.example.com"

	// Taken is the file as it was last taken. A server that can tell sends it
	// only if it has changed since: List then lists Taken.
	Taken    File
	MaxBytes int64         // 0: no limit
	Timeout  time.Duration // for each step, and for each stretch without a byte
}

// HTTPS is one file of a web server. Many servers know nothing of HEAD, make an
// export anew for each request, or sign an address for a single GET: so List
// sends the GET, and Fetch reads the body of the answer that List got.
type HTTPS struct {
	o         HTTPSOptions
	url       *url.URL
	where     string
	transport *http.Transport
	open      *answer // what List got, until it is fetched
}

var _ Place = (*HTTPS)(nil)

// keptAnswer is how long an answer's body can wait for Fetch before servers
// give it up.
const keptAnswer = 20 * time.Second

// NewHTTPS makes no request; its errors are about the options.
func NewHTTPS(o HTTPSOptions) (*HTTPS, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the url must be a full address like https://files.example.com/leads.csv")
	case u.User != nil:
		return nil, errors.New("the url must not carry a user or a password: set them beside it")
	case u.Scheme == "http" && !o.AllowHTTP && !isLoopback(u):
		return nil, errors.New("the url is plain http, on which anybody in between can read and change the leads: use https, or set allow_http")
	case o.Timeout <= 0:
		return nil, errors.New("an HTTPS place's timeout must be above zero")
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 62
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &HTTPS{o: o, url: u, where: hostPort(u), transport: &http.Transport{
		DialContext:            (&net.Dialer{Timeout: o.Timeout}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    o.Timeout,
		ResponseHeaderTimeout:  o.Timeout,
		Protocols:              protocols,
		DisableCompression:     true, // what is compressed is unpacked like any drop
		DisableKeepAlives:      true,
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

func isLoopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Close drops the answer that was not fetched.
func (h *HTTPS) Close() error {
	h.drop()
	h.transport.CloseIdleConnections()
	return nil
}

func (h *HTTPS) drop() {
	if h.open != nil {
		h.open.close()
		h.open = nil
	}
}

// answer is a server's answer whose body was not read.
type answer struct {
	*http.Response

	cancel context.CancelFunc
	since  time.Time
}

func (a *answer) close() {
	a.cancel()
	a.Body.Close()
}

// List implements Place: there is one file, the address's.
func (h *HTTPS) List(ctx context.Context) ([]File, error) {
	h.drop()
	header := http.Header{}
	if h.o.Taken.Version != "" {
		header.Set("If-None-Match", h.o.Taken.Version)
	}
	if t := h.o.Taken.Modified; !t.IsZero() {
		header.Set("If-Modified-Since", t.UTC().Format(http.TimeFormat))
	}
	a, err := h.get(ctx, header)
	switch {
	case err != nil:
		return nil, err
	case a.StatusCode == http.StatusNotModified && len(header) > 0:
		a.close()
		return []File{h.o.Taken}, nil
	case a.StatusCode != http.StatusOK:
		a.close()
		return nil, h.explainStatus(a.Response)
	}
	h.open = a
	return []File{h.file(a.Response)}, nil
}

// file is what an answer says of its file.
func (h *HTTPS) file(r *http.Response) File {
	f := File{Path: h.name(r.Header.Get("Content-Disposition")), Size: r.ContentLength, Version: r.Header.Get("ETag")}
	if t, err := http.ParseTime(r.Header.Get("Last-Modified")); err == nil {
		f.Modified = t
	}
	return f
}

// name is the configured one, the server's or the address's.
func (h *HTTPS) name(disposition string) string {
	_, p, err := mime.ParseMediaType(disposition)
	said := p["filename"]
	if err != nil { // often it is a name with blanks and no quotes
		_, said, _ = strings.Cut(disposition, "filename=")
		said, _, _ = strings.Cut(said, ";")
		said = strings.Trim(said, `"' `)
	}
	for _, name := range []string{h.o.Name, said, fileIn(h.url.Path)} {
		name = name[strings.LastIndexAny(name, `/\`)+1:]
		name = strings.TrimLeft(strings.ToValidUTF8(strings.Map(dropControl, name), ""), ".")
		if runes := []rune(name); len(runes) > 0 {
			return string(runes[max(0, len(runes)-maxName):]) // the end tells the kind
		}
	}
	return "download"
}

// fileIn is the file's name at the end of an address's path; empty where that looks
// like none, and may be a secret.
func fileIn(address string) string {
	name := path.Base(address)
	if !fileName.MatchString(name) {
		return ""
	}
	return name
}

var fileName = regexp.MustCompile(`^[^/]{1,120}\.[0-9A-Za-z]{1,5}$`)

// PlaceOf names a web address by its host and file, without what may be a secret
// in it. A few digits tell two addresses apart.
func PlaceOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(u.Path + "?" + u.RawQuery))
	return fmt.Sprintf("%s://%s/%s#%x", u.Scheme, strings.ToLower(u.Host), url.PathEscape(fileIn(u.Path)), sum[:4])
}

// maxName is far below what file systems take.
const maxName = 120

func dropControl(r rune) rune {
	if unicode.IsControl(r) {
		return -1
	}
	return r
}

// get asks for the file and follows redirects as far as they are allowed.
func (h *HTTPS) get(ctx context.Context, header http.Header) (*answer, error) {
	u := h.url
	for range maxRedirects {
		a, err := h.send(ctx, u, header)
		if err != nil {
			return nil, err
		}
		location := a.Header.Get("Location")
		if location == "" || !slices.Contains(redirects, a.StatusCode) {
			return a, nil
		}
		a.close()
		if u, err = u.Parse(location); err != nil {
			return nil, &Error{Where: h.where, Final: true, text: "the server redirects to something that is no address"}
		}
		if err := h.allow(u); err != nil {
			return nil, err
		}
	}
	return nil, &Error{Where: h.where, Final: true, text: "the server redirects in a circle: it may want a login"}
}

const maxRedirects = 10

var redirects = []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}

// send sends one GET. The answer's body is not bound to ctx any more.
func (h *HTTPS) send(ctx context.Context, u *url.URL, header http.Header) (*answer, error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	req, err := http.NewRequestWithContext(own, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel()
		return nil, &Error{Where: h.where, Final: true, text: "the address cannot be asked for: check the url"}
	}
	req.Header = header.Clone()
	req.Header.Set("User-Agent", "importer")
	req.Header.Set("Accept", "*/*")
	req.Header.Set("Accept-Encoding", "identity")
	if h.sameHost(u) {
		h.identify(req)
	}
	// The transport is called directly: an http.Client would put the address
	// into its errors.
	resp, err := h.transport.RoundTrip(req) //nolint:bodyclose // answer.close does
	if err != nil {
		cancel()
		return nil, h.unreached(ctx, u, err)
	}
	return &answer{Response: resp, cancel: cancel, since: time.Now()}, nil
}

// identify adds what only the address's own host may see.
func (h *HTTPS) identify(req *http.Request) {
	for name, value := range h.o.Headers {
		req.Header.Set(name, value)
	}
	switch {
	case h.o.Token != nil && h.o.Token() != "":
		req.Header.Set("Authorization", "Bearer "+h.o.Token())
	case h.o.User != "" && h.o.Password != nil:
		req.SetBasicAuth(h.o.User, h.o.Password())
	}
}

// sameHost tells whether u is on the address's own host and port, or on the
// same host with TLS in place of none.
func (h *HTTPS) sameHost(u *url.URL) bool {
	if hostPort(u) == hostPort(h.url) {
		return u.Scheme == "https" || h.url.Scheme == "http"
	}
	return strings.EqualFold(u.Hostname(), h.url.Hostname()) && strings.HasSuffix(hostPort(h.url), ":80") && strings.HasSuffix(hostPort(u), ":443") && u.Scheme == "https"
}

// allow refuses redirects to where nobody said that they may lead.
func (h *HTTPS) allow(u *url.URL) error {
	e := &Error{Where: h.where, Final: true}
	host := strings.ToLower(u.Host)
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		e.text = "the server redirects to something that is no web address"
	case u.Scheme == "http" && !h.o.AllowHTTP && !isLoopback(u):
		e.text = fmt.Sprintf("the server redirects to %s without TLS: ask the vendor for an https address, or set allow_http", host)
	case !h.sameHost(u) && !slices.ContainsFunc(h.o.AllowRedirectsTo, func(allowed string) bool { return covers(allowed, u) }):
		if rest, ok := strings.CutPrefix(host, "doc-"); ok && strings.HasSuffix(rest, ".googleusercontent.com") {
			host = "*.googleusercontent.com" // each day another one
		}
		e.text = fmt.Sprintf("the server redirects to another host, to which nothing was sent: if the file is there, set allow_redirects_to: [%q]; if it is a page for logging in, the address needs a login", host)
	default:
		return nil
	}
	return e
}

// covers tells whether an allowed host, such as files.example.com,
// files.example.com:8443 or *.example.com, is that of an address. Without a
// port it is the usual one.
func covers(allowed string, u *url.URL) bool {
	allowed = strings.ToLower(allowed)
	is := strings.ToLower(u.Host)
	if strings.HasSuffix(hostPort(u), map[string]string{"http": ":80", "https": ":443"}[u.Scheme]) {
		is = strings.ToLower(u.Hostname())
	}
	if domain, ok := strings.CutPrefix(allowed, "*"); ok && strings.HasPrefix(domain, ".") {
		return strings.HasSuffix(is, domain)
	}
	return is == allowed
}
