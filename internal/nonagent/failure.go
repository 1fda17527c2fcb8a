package nonagent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"importer/internal/importer"
)

// handshakeError marks an error of the TLS handshake.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "tls: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// failed explains why no answer came. The error itself is never quoted: it may
// hold the request's address or pieces of the answer.
func (c *Client) failed(parent context.Context, err error, written bool) *finding {
	why := c.why(parent, err)
	var f finding
	switch fault, certain := tlsFault(err); {
	case written:
		f = found(importer.VerdictUnknown, ReasonNoAnswer, "%s after the request was sent, at least in part", why)
	case certain:
		f = found(importer.VerdictStop, ReasonTLSFailed, "%s: nothing was sent", fault)
	default:
		f = found(importer.VerdictRetry, ReasonNotSent, "%s: nothing was sent", why)
	}
	f.busy, f.cause = written, parent.Err()
	return &f
}

func (c *Client) why(parent context.Context, err error) string {
	var dns *net.DNSError
	var network net.Error
	switch {
	case parent.Err() != nil:
		return "the call was given up"
	case errors.As(err, &dns):
		return "the host name could not be looked up (check the address and the name server)"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer came within " + c.timeout.String()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused (is the web server running, and is the port right?)"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "the host cannot be reached from this machine"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without an answer"
	}
	return "the connection failed or the answer was not HTTP"
}

// tlsFault explains a failed handshake. It is certain only of faults that the
// next attempt would meet again, not of connections that were lost meanwhile.
func tlsFault(err error) (string, bool) {
	var handshake *handshakeError
	if !errors.As(err, &handshake) {
		return "", false
	}
	var (
		network   net.Error
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority):
		return "its TLS certificate is signed by an authority that this machine does not trust (configure the dialer's CA file if it is a private one)", true
	case errors.As(err, &hostname):
		return "its TLS certificate is for another host name (check the dialer's url)", true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its TLS certificate has expired or is not valid yet (check its dates and this machine's clock)", true
	case errors.As(err, &invalid):
		return "its TLS certificate is not valid for a web server", true
	case errors.As(err, &record):
		return "it does not speak TLS on this port (should the url begin with http:// or name another port?)", true
	case errors.As(err, &network) && network.Timeout(),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "", false
	}
	return "no TLS connection came about (it must speak TLS 1.2 or newer)", true
}
