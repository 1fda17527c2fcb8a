package notify

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// How the connection to a mail server is protected.
const (
	StartTLS = "starttls" // it must offer TLS and take it
	TLS      = "tls"      // it speaks TLS from the first byte
	Plain    = "none"
)

// MailOptions say through which server a message goes, and to whom.
type MailOptions struct {
	Host     string
	Port     int
	TLS      string        // StartTLS, TLS or Plain
	User     string        // empty: no login
	Password func() string // with User
	From     string
	To       []string       // each gets a letter of its own
	RootCAs  *x509.CertPool // replaces the system's authorities
	Timeout  time.Duration  // for a whole delivery
}

// Mail sends messages as mail.
type Mail struct {
	o      MailOptions
	where  string
	domain string // of the sender
}

// NewMail connects to nothing; its errors are about the options.
func NewMail(o MailOptions) (*Mail, error) {
	from, err := mail.ParseAddress(o.From)
	switch {
	case err != nil:
		return nil, errors.New("from must be a mail address like importer@example.com")
	case o.Host == "" || o.Port < 1 || o.Port > 65535:
		return nil, errors.New("host and port must be those of a mail server")
	case o.TLS != StartTLS && o.TLS != TLS && o.TLS != Plain:
		return nil, fmt.Errorf("tls must be %s, %s or %s", StartTLS, TLS, Plain)
	case o.TLS == Plain && o.User != "" && !isLoopback(o.Host):
		return nil, fmt.Errorf("without TLS anybody in between can read the password: set tls to %s or %s, or take user and password away", StartTLS, TLS)
	case len(o.To) == 0:
		return nil, errors.New("to must name somebody")
	case o.Timeout <= 0:
		return nil, errors.New("the timeout must be above zero")
	}
	for i, to := range o.To {
		if _, err := mail.ParseAddress(to); err != nil {
			return nil, fmt.Errorf("to[%d] must be a mail address like alerts@example.com", i)
		}
	}
	return &Mail{
		o: o, where: strings.ToLower(net.JoinHostPort(o.Host, strconv.Itoa(o.Port))),
		domain: from.Address[strings.LastIndex(from.Address, "@")+1:],
	}, nil
}

// Where names the mail server.
func (m *Mail) Where() string { return m.where }

// Send sends a message to everybody in To. That one is refused keeps no letter
// from the others; when it is sent again, those who have it get it again.
func (m *Mail) Send(ctx context.Context, msg Message) error {
	within, cancel := context.WithTimeout(ctx, m.o.Timeout)
	defer cancel()
	letters := make([]*gomail.Msg, len(m.o.To))
	for i, to := range m.o.To {
		var err error
		if letters[i], err = m.letter(msg, to); err != nil {
			return &Error{Where: m.where, Final: true, text: fmt.Sprintf("the letter to recipient %d of %d cannot be written: check from and to", i+1, len(letters))}
		}
	}
	line := &line{within: within, address: m.where, config: m.tls(), implicit: m.o.TLS == TLS}
	defer line.close()
	client, err := m.client(line)
	if err != nil {
		return &Error{Where: m.where, Final: true, text: "this is no mail server's address: check host and port"}
	}
	err = client.DialAndSendWithContext(within, letters...)
	switch {
	case delivered(letters): // what goes wrong behind the last one harms nobody
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case within.Err() != nil:
		return unanswered(m.where, within.Err(), m.o.Timeout)
	}
	return m.judge(err, letters)
}

// letter is what one recipient gets.
func (m *Mail) letter(msg Message, to string) (*gomail.Msg, error) {
	letter := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := letter.From(m.o.From); err != nil {
		return nil, err
	}
	if err := letter.To(to); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(msg.ID))
	letter.SetMessageIDWithValue(hex.EncodeToString(sum[:16]) + "@" + m.domain)
	letter.SetDate()
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's absence is told to it
	letter.Subject(msg.Subject)
	letter.SetBodyString(gomail.TypeTextPlain, msg.Text)
	return letter, nil
}

func (m *Mail) tls() *tls.Config {
	return &tls.Config{ServerName: m.o.Host, RootCAs: m.o.RootCAs, MinVersion: tls.VersionTLS12}
}

func (m *Mail) client(line *line) (*gomail.Client, error) {
	options := []gomail.Option{
		gomail.WithPort(m.o.Port), gomail.WithTimeout(m.o.Timeout), gomail.WithTLSConfig(line.config),
		gomail.WithDialContextFunc(line.dial), gomail.WithoutSMTPUTF8(), // not every server on the way has it, and nothing here needs it
	}
	switch m.o.TLS {
	case StartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case TLS:
		options = append(options, gomail.WithSSL())
	case Plain:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if m.o.User != "" {
		options = append(options,
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthPlain, gomail.SMTPAuthLogin), // then whatever else it offers
			gomail.WithUsername(m.o.User), gomail.WithPassword(m.o.Password()))
	}
	return gomail.NewClient(m.o.Host, options...)
}

// line is the connection of one delivery. go-mail leaves it open when a dialogue
// fails, and prolongs its deadline: here it ends with within.
type line struct {
	within   context.Context //nolint:containedctx // of one delivery, as the line
	address  string
	config   *tls.Config
	implicit bool // TLS from the first byte
	conn     net.Conn
}

func (l *line) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, l.address)
	if err != nil {
		return nil, err
	}
	l.conn = conn
	context.AfterFunc(l.within, func() { conn.Close() })
	if !l.implicit {
		return conn, nil
	}
	secure := tls.Client(conn, l.config)
	return secure, secure.HandshakeContext(ctx)
}

func (l *line) close() {
	if l.conn != nil {
		l.conn.Close()
	}
}

func delivered(letters []*gomail.Msg) bool {
	return !slices.ContainsFunc(letters, func(l *gomail.Msg) bool { return !l.IsDelivered() })
}

// judge says why not all letters were taken. Waiting helps if it helps one of
// them.
func (m *Mail) judge(err error, letters []*gomail.Msg) error {
	var first *Error
	for i, letter := range letters {
		var refused *gomail.SendError
		var e *Error
		switch {
		case letter.IsDelivered():
			continue
		case errors.As(letter.SendError(), &refused):
			e = m.refusal(refused, i+1)
		default:
			e = m.explain(err)
		}
		if first == nil || first.Final && !e.Final {
			first = e
		}
	}
	return first
}

// refusal says what it means that a server does not take a letter.
func (m *Mail) refusal(refused *gomail.SendError, recipient int) *Error {
	code := refused.ErrorCode()
	e := &Error{Where: m.where, Final: code >= 500}
	switch {
	case code == 0:
		e.text = "the connection was lost before the letter was taken"
	case !e.Final:
		e.text = fmt.Sprintf("it does not take the letter just now (code %d)", code)
	case isLogin(code):
		e.text = loginRefused(code)
	case refused.Reason == gomail.ErrSMTPMailFrom:
		e.text = fmt.Sprintf("it refuses the sender (code %d): check from, and whether this login may send in its name", code)
	case refused.Reason == gomail.ErrSMTPRcptTo:
		e.text = fmt.Sprintf("it refuses recipient %d of %d (code %d): check to", recipient, len(m.o.To), code)
	default:
		e.text = fmt.Sprintf("it refuses the letter (code %d): ask whoever runs it", code)
	}
	return e
}

// explain says why a dialogue came to no letter.
func (m *Mail) explain(err error) *Error {
	var answer *textproto.Error
	e := &Error{Where: m.where, Final: true}
	switch {
	case errors.As(err, &answer) && answer.Code/100 == 4:
		e.Final, e.text = false, fmt.Sprintf("it takes no mail just now (code %d)", answer.Code)
	case errors.As(err, &answer) && isLogin(answer.Code):
		e.text = loginRefused(answer.Code)
	case errors.As(err, &answer):
		e.text = fmt.Sprintf("it refuses us (code %d): ask whoever runs it", answer.Code)
	// go-mail has no errors of their own for these two.
	case strings.Contains(err.Error(), "does not support STARTTLS"):
		e.text = "it offers no TLS, so that nothing was sent: check the port, or set tls to " + TLS + " if it speaks TLS from the first byte"
	case strings.Contains(err.Error(), "does not support SMTP AUTH"), errors.Is(err, gomail.ErrNoSupportedAuthDiscovered):
		e.text = "it offers no login that the importer knows: check host and port, or take user and password away"
	default:
		return unanswered(m.where, err, m.o.Timeout)
	}
	return e
}

// isLogin tells whether a code is about the login: RFC 4954.
func isLogin(code int) bool { return code == 530 || code == 534 || code == 535 || code == 538 }

func loginRefused(code int) string {
	return fmt.Sprintf("it wants a login or refuses the one that it got (code %d): check user and password", code)
}
