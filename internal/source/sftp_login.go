package source

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// config says what we accept and offer.
func (s *SFTP) config() *ssh.ClientConfig {
	c := &ssh.ClientConfig{
		User:              s.o.User,
		Auth:              s.auth(),
		AuthCallback:      s.next,
		HostKeyCallback:   s.checkHostKey,
		HostKeyAlgorithms: s.hostKeyAlgorithms(),
		ClientVersion:     "SSH-2.0-importer",
	}
	if s.o.Legacy {
		safe, old := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
		c.KeyExchanges = slices.Concat(safe.KeyExchanges, old.KeyExchanges)
		c.Ciphers = slices.Concat(safe.Ciphers, old.Ciphers)
		c.MACs = slices.Concat(safe.MACs, old.MACs)
	}
	return c
}

// CheckPrivateKey tells what is wrong with the text of a private key's file, or
// with the passphrase that opens it.
func CheckPrivateKey(text, passphrase string) error {
	_, err := parseKey([]byte(text), passphrase)
	return err
}

// readKey reads the private key.
func readKey(o SFTPOptions) (ssh.Signer, error) {
	passphrase := ""
	if o.Passphrase != nil {
		passphrase = o.Passphrase()
	}
	signer, err := parseKey([]byte(o.Key()), passphrase)
	if err != nil {
		return nil, err
	}
	return withoutOldSignatures(signer, o.Legacy), nil
}

func parseKey(text []byte, passphrase string) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		if passphrase == "" {
			return nil, errors.New("the private key is locked: give its passphrase, or use an agent")
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase))
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, errors.New("the passphrase does not open the private key")
		}
	}
	if err != nil {
		return nil, errors.New("the private key cannot be read: it must be an OpenSSH or PEM private key (not the .pub file, and not a .ppk of PuTTY: puttygen exports those)")
	}
	return signer, nil
}

// withoutOldSignatures keeps an RSA key from signing with SHA-1.
func withoutOldSignatures(signer ssh.Signer, legacy bool) ssh.Signer {
	algorithms := []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	if legacy {
		algorithms = append(algorithms, ssh.KeyAlgoRSA)
	}
	if able, ok := signer.(ssh.AlgorithmSigner); ok && signer.PublicKey().Type() == ssh.KeyAlgoRSA {
		if safe, err := ssh.NewSignerWithAlgorithms(able, algorithms); err == nil {
			return safe
		}
	}
	return signer
}

// auth lists how we can log in, in the order in which it is tried.
func (s *SFTP) auth() (methods []ssh.AuthMethod) {
	if s.key != nil || s.o.AgentSocket != "" {
		methods = append(methods, ssh.PublicKeysCallback(s.signers))
	}
	if s.o.Password != nil {
		password := func() (string, error) { return s.o.Password(), nil }
		methods = append(methods, ssh.PasswordCallback(password), ssh.KeyboardInteractive(s.answer))
	}
	return methods
}

// signers are the configured key and the agent's.
func (s *SFTP) signers() (all []ssh.Signer, err error) {
	if s.key != nil {
		all = append(all, s.key)
	}
	if s.o.AgentSocket == "" {
		return all, nil
	}
	conn, err := (&net.Dialer{Timeout: s.o.Timeout}).DialContext(context.Background(), "unix", s.o.AgentSocket)
	if err != nil {
		return nil, errAgent
	}
	s.agent = conn // its keys sign through it
	if err := conn.SetDeadline(time.Now().Add(s.o.Timeout)); err != nil {
		return nil, errAgent
	}
	keys, err := agent.NewClient(conn).Signers()
	if err != nil {
		return nil, errAgent
	}
	for _, k := range keys {
		all = append(all, withoutOldSignatures(k, s.o.Legacy))
	}
	return all, nil
}

// errAgent: the agent cannot be used.
var errAgent = errors.New("the SSH agent does not answer")

// answer answers the one question that a keyboard-interactive login asks. A
// second one, for a code from a telephone, nobody is there to answer.
func (s *SFTP) answer(_, _ string, questions []string, echos []bool) ([]string, error) {
	switch {
	case len(questions) == 0:
		return nil, nil
	case len(questions) == 1 && !echos[0]:
		return []string{s.o.Password()}, nil
	}
	return nil, errQuestions
}

var errQuestions = errors.New("the server asks more than a password")

// next ends a login in which the password was refused: asking by keyboard, it
// would be given the same one again, and accounts are locked after a few.
func (s *SFTP) next(login *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	if slices.Contains(login.TriedMethods, "password") {
		return nil, &loginError{login.TriedMethods}
	}
	return nil, nil //nolint:nilnil // what package ssh takes for "go on"
}

// loginError: the server did not let us in.
type loginError struct{ tried []string }

func (e *loginError) Error() string { return "login refused" }

// explainLogin says why a connection did not come about.
func (s *SFTP) explainLogin(ctx context.Context, err error) error {
	var hostKey *HostKeyError
	var negotiation *ssh.AlgorithmNegotiationError
	e := &Error{Where: s.address, Final: true}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &hostKey):
		return hostKey
	case errors.As(err, &negotiation):
		e.text = fmt.Sprintf("the server offers only old algorithms that are not safe any more (%s): ask the vendor for a newer server, or allow them with legacy: true", negotiation.What)
		if s.o.Legacy {
			e.text = fmt.Sprintf("the server and we have no algorithm in common (%s): ask the vendor for a newer server", negotiation.What)
		}
	case errors.Is(err, errUnreached):
		e.Final, e.lost, e.text = false, true, whyUnreached(err, s.o.Timeout)
	case errors.Is(err, errAgent):
		e.text = "the SSH agent does not answer: is it running, and is SSH_AUTH_SOCK set for this process?"
	case errors.Is(err, errQuestions):
		e.text = "the server asks for more than a password, such as a code: ask the vendor for a login by key"
	case errors.Is(err, errNoSFTP):
		e.text = fmt.Sprintf("the login %s succeeded, but the server offers it no SFTP: ask the vendor to allow it", s.o.User)
	case errors.Is(err, errNotStarted):
		e.Final, e.lost, e.text = false, true, fmt.Sprintf("the login %s succeeded, but SFTP did not start within %s: if that lasts, ask the vendor whether it is allowed", s.o.User, s.o.Timeout)
	case isRefused(err):
		e.text = fmt.Sprintf("the server refused the login of %s: check user, %s; ask the vendor which it expects", s.o.User, strings.Join(s.offered(), " and "))
	default:
		e.Final, e.lost, e.text = false, true, "no SSH connection came about: "+whyUnreached(err, s.o.Timeout)
	}
	return e
}

func isRefused(err error) bool {
	var refused *loginError
	// Package ssh has no type for these.
	return errors.As(err, &refused) || strings.Contains(err.Error(), "unable to authenticate") ||
		strings.Contains(err.Error(), "unexpected message type 51") || // a dialogue that is refused before it begins
		strings.Contains(strings.ToLower(err.Error()), "too many authentication")
}

// offered names what we can log in with.
func (s *SFTP) offered() (names []string) {
	if s.key != nil {
		names = append(names, "private key")
	}
	if s.o.AgentSocket != "" {
		names = append(names, "the agent's keys")
	}
	if s.o.Password != nil {
		names = append(names, "password")
	}
	return names
}
