package source

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Fetch implements Place. A download that breaks is resumed where the server can
// say that it is still the same, and begun again elsewhere. Where the server tells
// files apart, what is fetched is what was listed.
func (h *HTTPS) Fetch(ctx context.Context, f File, to *os.File) error {
	first := h.open
	h.open = nil
	if first != nil && time.Since(first.since) > keptAnswer {
		first.close()
		first = nil
	}
	d := &download{h: h, name: f.Path, listed: f, part: arriving{file: to, limit: h.o.MaxBytes}}
	for failures := 0; ; {
		reached := d.reached
		err := d.attempt(ctx, first)
		first = nil
		if !isLost(err) {
			return err
		}
		if failures++; d.reached > reached {
			failures = 0
		}
		if failures == maxFailures {
			return err
		}
		if err := pause(ctx, time.Duration(failures)*h.o.Timeout/10); err != nil {
			return err
		}
	}
}

// download is a file on its way here.
type download struct {
	h       *HTTPS
	name    string
	listed  File
	part    arriving
	reached int64  // the furthest that part came
	same    string // by which the server tells whether the file is still the same; empty: it cannot
	total   int64  // -1: not told
}

// attempt fetches what is missing of the file.
func (d *download) attempt(ctx context.Context, a *answer) error {
	header := http.Header{}
	if d.same != "" && d.part.size > 0 {
		header.Set("Range", "bytes="+strconv.FormatInt(d.part.size, 10)+"-")
		header.Set("If-Range", d.same)
	}
	if a == nil {
		var err error
		if a, err = d.h.get(ctx, header); err != nil {
			return err
		}
	}
	defer a.close()
	switch {
	case a.StatusCode == http.StatusPartialContent && len(header) > 0:
		if !d.goesOn(a.Response) {
			d.same = ""
			return d.broken("the server went on at another place than was asked for")
		}
	case a.StatusCode == http.StatusRequestedRangeNotSatisfiable && len(header) > 0:
		d.same = ""
		return d.broken("the server has less of the file than it had")
	case a.StatusCode != http.StatusOK:
		return d.h.explainStatus(a.Response)
	default:
		if err := d.begin(a.Response); err != nil {
			return err
		}
	}
	if err := d.read(ctx, a); err != nil {
		return err
	}
	if d.total < 0 && !slices.Contains(a.TransferEncoding, "chunked") {
		return d.confirm(ctx)
	}
	return nil
}

// begin prepares for a whole file.
func (d *download) begin(r *http.Response) error {
	if r.ContentLength > d.part.limit {
		return d.tooLarge()
	}
	if now := d.h.file(r); now.Version != d.listed.Version || !now.Modified.Equal(d.listed.Modified) {
		return changed(d.h.where, d.name)
	}
	d.total, d.same = r.ContentLength, validator(r.Header)
	return d.part.restart(d.name)
}

// validator is what If-Range can rely on: a strong ETag, or a time that is too
// long ago for a second change within it (RFC 9110, 8.8.2.2).
func validator(h http.Header) string {
	tag := h.Get("ETag")
	if strings.HasPrefix(tag, `"`) {
		return tag
	}
	modified, errModified := http.ParseTime(h.Get("Last-Modified"))
	date, errDate := http.ParseTime(h.Get("Date"))
	if tag == "" && errModified == nil && errDate == nil && date.Sub(modified) >= time.Minute {
		return h.Get("Last-Modified")
	}
	return ""
}

// goesOn tells whether a part is the one that is missing, and of the same file.
func (d *download) goesOn(r *http.Response) bool {
	var from, last int64
	var total string
	_, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%s", &from, &last, &total)
	tag := r.Header.Get("ETag")
	return err == nil && from == d.part.size &&
		(total == "*" || d.total < 0 || total == strconv.FormatInt(d.total, 10)) &&
		(tag == "" || !strings.HasPrefix(d.same, `"`) || tag == d.same)
}

// read reads the answer's body to its end.
func (d *download) read(ctx context.Context, a *answer) error {
	stop := context.AfterFunc(ctx, a.cancel)
	defer stop()
	body := newSpeaking(a.Body, d.h.o.Timeout, a.cancel)
	defer body.timer.Stop()
	_, err := io.Copy(&d.part, body)
	d.reached = max(d.reached, d.part.size)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(d.part.err, ErrChanged):
		return d.tooLarge()
	case d.part.err != nil:
		return fmt.Errorf("writing the copy of %s: %w", d.name, d.part.err)
	case err != nil && body.silent.Load():
		return d.broken(fmt.Sprintf("the server said nothing for %s", d.h.o.Timeout))
	case err != nil, d.total >= 0 && d.part.size != d.total:
		return d.broken("the connection was lost")
	}
	return nil
}

// confirm fetches a file again whose end may as well have been that of the
// connection: the server did not say how long it is.
func (d *download) confirm(ctx context.Context) error {
	a, err := d.h.get(ctx, http.Header{})
	if err != nil {
		return err
	}
	defer a.close()
	if a.StatusCode != http.StatusOK {
		return d.h.explainStatus(a.Response)
	}
	stop := context.AfterFunc(ctx, a.cancel)
	defer stop()
	body := newSpeaking(a.Body, d.h.o.Timeout, a.cancel)
	defer body.timer.Stop()
	again := &comparing{file: d.part.file}
	_, err = io.Copy(again, body)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !again.differs:
		return d.broken("the connection was lost")
	case again.differs || again.size != d.part.size:
		return &Error{Where: d.h.where, cause: ErrChanged, text: fmt.Sprintf("the server does not say how long %s is, and two downloads of it differed: it is not known to be whole", d.name)}
	}
	return nil
}

// comparing takes what is written to it for the content of a file.
type comparing struct {
	file    *os.File
	size    int64
	differs bool
}

func (c *comparing) Write(p []byte) (int, error) {
	had := make([]byte, len(p))
	if _, err := c.file.ReadAt(had, c.size); err != nil || !bytes.Equal(p, had) {
		c.differs = true
		return 0, ErrChanged
	}
	c.size += int64(len(p))
	return len(p), nil
}

// speaking cancels an answer of which nothing comes for a while.
type speaking struct {
	r       io.Reader
	timeout time.Duration
	timer   *time.Timer
	silent  atomic.Bool
}

func newSpeaking(r io.Reader, timeout time.Duration, cancel context.CancelFunc) *speaking {
	s := &speaking{r: r, timeout: timeout}
	s.timer = time.AfterFunc(timeout, func() {
		s.silent.Store(true)
		cancel()
	})
	return s
}

func (s *speaking) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if n > 0 {
		s.timer.Reset(s.timeout)
	}
	return n, err
}

func (d *download) broken(why string) error {
	return &Error{Where: d.h.where, lost: true, text: fmt.Sprintf("%s after %d bytes of %s", why, d.part.size, d.name)}
}

// errTooLarge: more than MaxBytes.
var errTooLarge = errors.New("too large")

func (d *download) tooLarge() error {
	return &Error{Where: d.h.where, Final: true, cause: errTooLarge, text: fmt.Sprintf("%s has more than the %d bytes that are allowed", d.name, d.part.limit)}
}

// explainStatus says what a status means for the person who set up the feed.
func (h *HTTPS) explainStatus(r *http.Response) error {
	e := &Error{Where: h.where, Final: true}
	switch code := r.StatusCode; {
	case code == http.StatusUnauthorized:
		e.text = "the server wants a login or refuses the one that it got (status 401): check user and password, or the token"
	case code == http.StatusForbidden:
		e.cause, e.text = fs.ErrPermission, "the server refuses access (status 403): ask the vendor whether this login, or this machine's address, may have the file, and whether the address has expired"
	case code == http.StatusNotFound, code == http.StatusGone:
		e.Final, e.cause, e.text = false, fs.ErrNotExist, fmt.Sprintf("there is no file at the address (status %d): check the url, or wait until the vendor has put it there", code)
	case code == http.StatusTooManyRequests:
		e.Final, e.RetryAfter, e.text = false, retryAfter(r.Header), "the server is asked too often (status 429): try later, and schedule the feed less often"
	case code >= 500:
		e.Final, e.RetryAfter, e.text = false, retryAfter(r.Header), fmt.Sprintf("the server has a fault (status %d): try later; if it lasts, tell the vendor", code)
	default:
		e.text = fmt.Sprintf("the server does not give the file (status %d): check the url", code)
	}
	return e
}

// retryAfter reads Retry-After, at most a day.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, 24*time.Hour)
	}
	if t, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(t), 0), 24*time.Hour)
	}
	return 0
}

// unreached says why there was no answer. The error itself is never quoted: it
// may hold the address.
func (h *HTTPS) unreached(ctx context.Context, u *url.URL, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     *net.OpError
	)
	e := &Error{Where: hostPort(u), Final: true}
	switch {
	case errors.As(err, &authority):
		e.text = "its TLS certificate is signed by an authority that this machine does not trust: name the CA's file if it is a private one"
	case errors.As(err, &hostname):
		e.text = "its TLS certificate is for another host name: check the url"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.text = "its TLS certificate has expired or is not valid yet: check this machine's clock, and tell the vendor"
	case errors.As(err, &invalid):
		e.text = "its TLS certificate is not valid for a web server"
	case errors.As(err, &record):
		e.text = "it does not speak TLS on this port: should the url begin with http:// or name another port?"
	case errors.As(err, &alert) && alert.Op == "remote error": // what package tls calls the other side's alerts
		e.text = "no TLS connection came about: it must speak TLS 1.2 or newer"
	default:
		e.Final, e.lost, e.text = false, true, whyUnreached(err, h.o.Timeout)
	}
	return e
}
