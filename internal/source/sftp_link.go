package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// link is a connection to an SFTP server with its goroutines.
type link struct {
	where string
	conn  net.Conn
	ssh   *ssh.Client
	sftp  *sftp.Client
	pipe  *pipe
	gone  chan struct{} // closed when the connection has ended
	kept  chan struct{} // closed when keepAlive has returned
}

// connect makes sure of a connection.
func (s *SFTP) connect(ctx context.Context) error {
	if s.link != nil && s.link.alive() {
		return nil
	}
	s.disconnect()
	l, err := s.dial(ctx, s.config())
	var hostKey *HostKeyError
	var negotiation *ssh.AlgorithmNegotiationError
	switch {
	case errors.As(err, &hostKey) && len(s.o.Fingerprints) > 0 && s.hostKeys == nil:
		// The server has keys of several kinds, and we asked for another one
		// than is pinned.
		if s.hostKeys = s.pinnedAlgorithms(ctx); s.hostKeys != nil {
			l, err = s.dial(ctx, s.config())
		}
	case errors.As(err, &negotiation) && negotiation.What == "host key" && len(s.knownAlgorithms()) > 0:
		return s.otherHostKey(ctx)
	}
	if err != nil {
		return s.explainLogin(ctx, err)
	}
	s.link = l
	return nil
}

// dial connects, logs in and starts SFTP. explainLogin explains its errors.
func (s *SFTP) dial(ctx context.Context, config *ssh.ClientConfig) (*link, error) {
	conn, err := (&net.Dialer{Timeout: s.o.Timeout}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreached, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	l, err := s.login(conn, config)
	if s.agent != nil {
		s.agent.Close()
		s.agent = nil
	}
	if !stop() && err == nil {
		l.end()
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

var errUnreached = errors.New("no connection")

// login has Timeout for the handshake with the login and again for SFTP's own
// start: ssh.ClientConfig.Timeout would cover dialling alone.
func (s *SFTP) login(conn net.Conn, config *ssh.ClientConfig) (*link, error) {
	if err := conn.SetDeadline(time.Now().Add(s.o.Timeout)); err != nil {
		return nil, err
	}
	sshConn, channels, requests, err := ssh.NewClientConn(conn, s.address, config)
	if err != nil {
		return nil, err
	}
	l := &link{where: s.address, conn: conn, ssh: ssh.NewClient(sshConn, channels, requests), gone: make(chan struct{}), kept: make(chan struct{})}
	go func() {
		defer close(l.gone)
		l.ssh.Wait() //nolint:errcheck // that it ended is what counts
	}()
	if err = conn.SetDeadline(time.Now().Add(s.o.Timeout)); err == nil {
		err = l.start(s.reading()...)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if errors.Is(err, net.ErrClosed) { // by package ssh: the time was over
		err = errNotStarted
	}
	if err != nil {
		conn.Close()
		<-l.gone
		return nil, err
	}
	go l.keepAlive(s.o.Timeout / 2)
	return l, nil
}

// What can go wrong behind a login that succeeded.
var (
	errNoSFTP     = errors.New("SFTP refused")
	errNotStarted = errors.New("SFTP not started")
)

// reading says how files are read.
func (s *SFTP) reading() []sftp.ClientOption {
	piece := 32 << 10
	if s.small {
		piece = 4 << 10
	}
	return []sftp.ClientOption{sftp.MaxPacketChecked(piece), sftp.UseConcurrentReads(!s.careful)}
}

// start asks for SFTP.
func (l *link) start(reading ...sftp.ClientOption) error {
	session, err := l.ssh.NewSession()
	if err != nil {
		var refused *ssh.OpenChannelError
		if errors.As(err, &refused) {
			return errNoSFTP
		}
		return errNotStarted
	}
	in, errIn := session.StdinPipe()
	out, errOut := session.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return err
	}
	session.Stderr = io.Discard
	if err := session.RequestSubsystem("sftp"); err != nil {
		if err.Error() == "ssh: subsystem request failed" { // package ssh has no type for it
			return errNoSFTP
		}
		return errNotStarted
	}
	l.pipe = &pipe{Reader: out}
	if l.sftp, err = sftp.NewClientPipe(l.pipe, in, reading...); err != nil {
		return errNotStarted
	}
	return nil
}

// alive tells whether the connection has not ended, as far as is known here.
func (l *link) alive() bool {
	select {
	case <-l.gone:
		return false
	default:
		return true
	}
}

// end closes the connection and waits for its goroutines.
func (l *link) end() {
	l.conn.Close()
	<-l.gone
	<-l.kept
	l.sftp.Close() //nolint:errcheck // waits for the goroutine of a connection that is closed
}

// keepAlive keeps firewalls from forgetting a connection that is not used. It
// judges nothing: run does.
func (l *link) keepAlive(every time.Duration) {
	defer close(l.kept)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-l.gone:
			return
		case <-ticker.C:
			if _, _, err := l.ssh.SendRequest("keepalive@openssh.com", true, nil); err != nil {
				return
			}
		}
	}
}

// run runs a step, and closes the connection when ctx ends or when nothing of
// an answer comes for a while: no call of package sftp can be stopped otherwise.
func (l *link) run(ctx context.Context, silence time.Duration, step func() error) error {
	over := make(chan struct{})
	verdict := make(chan error, 1)
	go func() { verdict <- l.watch(ctx, silence, over) }()
	err := step()
	close(over)
	if err != nil && l.pipe.over.Load() {
		return errEndless
	}
	if why := <-verdict; err != nil && why != nil {
		return why
	}
	return err
}

func (l *link) watch(ctx context.Context, silence time.Duration, over <-chan struct{}) error {
	received := l.pipe.received.Load()
	timer := time.NewTimer(silence)
	defer timer.Stop()
	for {
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			l.conn.Close()
			return ctx.Err()
		case <-timer.C:
			now := l.pipe.received.Load()
			if now == received {
				l.conn.Close()
				return &Error{Where: l.where, lost: true, text: fmt.Sprintf("the server said nothing for %s: it hangs, or the connection is dead", silence)}
			}
			received = now
			timer.Reset(silence)
		}
	}
}

// pipe counts what SFTP receives; keep-alives are not among it.
type pipe struct {
	io.Reader

	received atomic.Int64
	limit    atomic.Int64 // of received; 0: none
	over     atomic.Bool  // more than limit came
}

// allow makes the pipe fail after so many more bytes; 0: never.
func (p *pipe) allow(n int64) {
	if n > 0 {
		n += p.received.Load()
	}
	p.limit.Store(n)
}

var errEndless = errors.New("more than was to be expected")

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if limit := p.limit.Load(); p.received.Add(int64(n)) > limit && limit > 0 {
		p.over.Store(true)
		return 0, errEndless
	}
	return n, err
}

// whyUnreached never quotes the error, which may hold an address with secrets.
func whyUnreached(err error, timeout time.Duration) string {
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
