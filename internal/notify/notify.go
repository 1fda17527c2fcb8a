// Package notify sends a message to whom an operator wants to hear it: a
// program, a chat or people's mailboxes.
package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// Message is what is said. It is the same whoever hears it.
type Message struct {
	// ID is the message's own. A message may be delivered twice, when the answer
	// to the first time was lost: by its ID the receiver knows it again.
	ID      string
	Subject string // one line
	Text    string // lines for people
	Data    any    // for programs, as JSON
}

// Error is why a message was not taken, in one sentence without secrets: of an
// address only the host is named, of an answer its status.
type Error struct {
	Where string // host:port
	// Final: it will be the same again until a person has changed something,
	// here or at the receiver's.
	Final bool

	text string
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Where + ": " + e.text }

// isLoopback tells whether nothing that is sent to a host leaves this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// unanswered says why there was no answer. The error itself is never quoted: it
// may hold an address.
func unanswered(where string, err error, timeout time.Duration) *Error {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     *net.OpError
	)
	e := &Error{Where: where, Final: true}
	switch {
	case errors.As(err, &authority):
		e.text = "its TLS certificate is signed by an authority that this machine does not trust: name the CA's file (ca_file) if it is a private one"
	case errors.As(err, &hostname):
		e.text = "its TLS certificate is for another host name: check the address"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.text = "its TLS certificate has expired or is not valid yet: check this machine's clock, and tell whoever runs the server"
	case errors.As(err, &invalid):
		e.text = "its TLS certificate is not valid for a server"
	case errors.As(err, &record):
		e.text = "it does not speak TLS on this port: check the port"
	case errors.As(err, &alert) && alert.Op == "remote error": // what package tls calls the other side's alerts
		e.text = "no TLS connection came about: it must speak TLS 1.2 or newer"
	default:
		e.Final, e.text = false, whyUnanswered(err, timeout)
	}
	return e
}

func whyUnanswered(err error, timeout time.Duration) string {
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &dns):
		return "the host name could not be looked up: check the address and the name server"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer came within " + timeout.String()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused: check host and port, and that the server runs"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "the host cannot be reached from this machine"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without an answer"
	}
	return "no connection came about"
}
