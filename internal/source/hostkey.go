package source

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // known_hosts files hash names with it
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	sshknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// HostKey is a key by which an SFTP server shows that it is itself.
type HostKey struct {
	Type        string // such as ssh-ed25519
	Fingerprint string // such as SHA256:…

	key ssh.PublicKey
}

func newHostKey(key ssh.PublicKey) HostKey {
	return HostKey{Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key), key: key}
}

// HostKeyError tells that a server was not trusted. Nothing was sent to it, the
// login neither.
type HostKeyError struct {
	Host    string // host:port
	Seen    HostKey
	Changed bool // other keys of this host are known
	Pinned  bool // they are known by their fingerprints alone: there is no known_hosts file
	Revoked bool // this key is known to be in wrong hands
	Feed    string
}

func (e *HostKeyError) Error() string {
	seen := fmt.Sprintf("%s: the server showed a host key %s %s", e.Host, e.Seen.Type, e.Seen.Fingerprint)
	trust := fmt.Sprintf("importer source trust %s", e.Feed)
	switch {
	case e.Revoked:
		return seen + ", which is marked as revoked in the known_hosts file: ask the vendor for the server's right address"
	case e.Pinned:
		return fmt.Sprintf("%s, which is another one than the fingerprint of feed %s: the server was set up anew, or somebody is listening in between; ask the vendor which fingerprint is right, and only then change it in the configuration", seen, e.Feed)
	case e.Changed:
		return seen + ", which is another one than is known: it was set up anew, or somebody is listening in between; ask the vendor which fingerprint is right, and only then run " + trust
	}
	return seen + ", which is not known yet: compare the fingerprint with the vendor's, then store it with " + trust
}

// checkHostKey accepts a key that is pinned by its fingerprint or known.
func (s *SFTP) checkHostKey(host string, remote net.Addr, key ssh.PublicKey) error {
	e := &HostKeyError{Host: s.address, Seen: newHostKey(key), Feed: s.o.Feed, Changed: len(s.o.Fingerprints) > 0}
	e.Pinned = e.Changed && s.o.KnownHosts == ""
	if slices.Contains(s.o.Fingerprints, e.Seen.Fingerprint) {
		return nil
	}
	db, err := s.known()
	if err != nil {
		return err
	}
	if db == nil {
		return e
	}
	err = db.HostKeyCallback()(host, remote, key)
	var revoked *sshknownhosts.RevokedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revoked):
		e.Revoked = true
	case knownhosts.IsHostKeyChanged(err):
		e.Changed = true
	}
	return e
}

// known reads the known_hosts file; nil when there is none.
func (s *SFTP) known() (*knownhosts.HostKeyDB, error) {
	if s.o.KnownHosts == "" {
		return nil, nil //nolint:nilnil // nobody is known
	}
	db, err := knownhosts.NewDB(s.o.KnownHosts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nobody is known yet
	}
	if err != nil {
		return nil, &Error{Where: s.address, Final: true, text: fmt.Sprintf("the known_hosts file cannot be read: %v", err)}
	}
	return db, nil
}

// hostKeyAlgorithms asks the server for a key that we know.
func (s *SFTP) hostKeyAlgorithms() []string {
	if s.hostKeys != nil {
		return s.hostKeys
	}
	if known := s.knownAlgorithms(); len(known) > 0 {
		return known
	}
	return s.allHostKeyAlgorithms()
}

// knownAlgorithms are those of the keys in the known_hosts file.
func (s *SFTP) knownAlgorithms() []string {
	db, err := s.known()
	if err != nil || db == nil {
		return nil
	}
	ours := s.allHostKeyAlgorithms()
	return slices.DeleteFunc(db.HostKeyAlgorithms(s.address), func(a string) bool { return !slices.Contains(ours, a) })
}

// allHostKeyAlgorithms begins with the kind of key that vendors tell the
// fingerprint of.
func (s *SFTP) allHostKeyAlgorithms() []string {
	all := slices.DeleteFunc(ssh.SupportedAlgorithms().HostKeys, func(a string) bool { return a == ssh.KeyAlgoED25519 })
	all = append([]string{ssh.KeyAlgoED25519}, all...)
	if s.o.Legacy {
		all = append(all, ssh.InsecureAlgorithms().HostKeys...)
	}
	return all
}

// HostKeys asks the server for its host keys, one of each kind, without a login.
func (s *SFTP) HostKeys(ctx context.Context) ([]HostKey, error) {
	var keys []HostKey
	var failed error
	for _, algorithm := range s.allHostKeyAlgorithms() {
		if strings.Contains(algorithm, "-cert-") || slices.ContainsFunc(keys, func(k HostKey) bool { return slices.Contains(algorithmsOf(k.Type), algorithm) }) {
			continue
		}
		var seen *HostKey
		config := s.config()
		config.HostKeyAlgorithms = []string{algorithm}
		config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
			k := newHostKey(key)
			seen = &k
			return errSeen
		}
		_, err := s.dial(ctx, config)
		if seen != nil {
			keys = append(keys, *seen)
			continue
		}
		failed = err
		var negotiation *ssh.AlgorithmNegotiationError
		if !errors.As(err, &negotiation) {
			break // the other kinds would fail as well
		}
	}
	if len(keys) == 0 {
		return nil, s.explainLogin(ctx, failed)
	}
	return keys, nil
}

// errSeen ends a handshake when it has shown what it was for.
var errSeen = errors.New("the host key was seen")

// algorithmsOf are the algorithms with which a key of a type signs.
func algorithmsOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return []string{keyType}
}

// pinnedAlgorithms finds out the algorithms of the key that is pinned by its
// fingerprint; nil when the server has no such key.
func (s *SFTP) pinnedAlgorithms(ctx context.Context) []string {
	keys, err := s.HostKeys(ctx)
	if err != nil {
		return nil
	}
	for _, k := range keys {
		if slices.Contains(s.o.Fingerprints, k.Fingerprint) {
			ours := s.allHostKeyAlgorithms()
			return slices.DeleteFunc(algorithmsOf(k.Type), func(a string) bool { return !slices.Contains(ours, a) })
		}
	}
	return nil
}

// otherHostKey is the error for a server that has no key any more of the kinds
// that we know.
func (s *SFTP) otherHostKey(ctx context.Context) error {
	keys, err := s.HostKeys(ctx)
	if err != nil {
		return err
	}
	return &HostKeyError{Host: s.address, Seen: keys[0], Changed: true, Feed: s.o.Feed}
}

// Known lists the server's keys in the known_hosts file.
func (s *SFTP) Known() ([]HostKey, error) {
	db, err := s.known()
	if err != nil || db == nil {
		return nil, err
	}
	var keys []HostKey
	for _, k := range db.HostKeys(s.address) {
		keys = append(keys, newHostKey(k.PublicKey))
	}
	return keys, nil
}

// Trust stores host keys in the known_hosts file, in place of those of the same
// kinds that were known before.
func (s *SFTP) Trust(keys ...HostKey) error {
	if s.o.KnownHosts == "" {
		return errors.New("there is no known_hosts file to store the host key in: set one, or the fingerprint")
	}
	old, err := os.ReadFile(s.o.KnownHosts)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the known_hosts file: %w", err)
	}
	host := knownhosts.Normalize(s.address)
	var text bytes.Buffer
	for line := range strings.Lines(string(old)) {
		line = strings.TrimRight(line, "\r\n")
		if kept := without(line, host, keys); kept != "" || line == "" {
			text.WriteString(kept + "\n")
		}
	}
	for _, k := range keys {
		text.WriteString(knownhosts.Line([]string{host}, k.key) + "\n")
	}
	if err := replaceFile(s.o.KnownHosts, text.Bytes()); err != nil {
		return fmt.Errorf("writing the known_hosts file: %w", err)
	}
	return nil
}

// without takes a host out of a line with a key of one of the types; a line
// that is left without a host is empty.
func without(line, host string, keys []HostKey) string {
	fields := strings.Fields(line)
	if len(fields) < 3 || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], "@") ||
		!slices.ContainsFunc(keys, func(k HostKey) bool { return k.Type == fields[1] }) {
		return line
	}
	hosts := strings.Split(fields[0], ",")
	others := slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return h == host || isHashOf(h, host) })
	switch len(others) {
	case len(hosts):
		return line
	case 0:
		return ""
	}
	return strings.Join(append([]string{strings.Join(others, ",")}, fields[1:]...), " ")
}

// isHashOf tells whether a hashed name, |1|SALT|HASH, is a host's.
func isHashOf(hashed, host string) bool {
	parts := strings.Split(hashed, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return false
	}
	salt, errSalt := base64.StdEncoding.DecodeString(parts[2])
	sum, errSum := base64.StdEncoding.DecodeString(parts[3])
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(host))
	return errSalt == nil && errSum == nil && hmac.Equal(mac.Sum(nil), sum)
}

// replaceFile writes a file whole or not at all.
func replaceFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(name), unfinishedPrefix+rand.Text()+unfinishedSuffix)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}
