package config

import (
	"path/filepath"
	"regexp"
	"strings"
)

// fingerprintText is what OpenSSH shows of a host key.
var fingerprintText = regexp.MustCompile(`^SHA256:[0-9A-Za-z+/]{43}$`)

func (c *checker) sftp(path string, s *SFTP) {
	switch {
	case s.Host == "":
		c.bad(path+".host", "%s.host is missing: name the vendor's server, such as sftp.example.com", path)
	case !isServer(s.Host):
		c.bad(path+".host", "%s.host must be a server's name or address alone, such as sftp.example.com: what stands before and behind it goes into user, port and path", path)
	}
	c.port(path+".port", s.Port, 22)
	if s.User == "" {
		c.bad(path+".user", "%s.user is missing: write the login that the vendor gave you", path)
	}
	switch {
	case s.Path == "":
		c.bad(path+".path", "%s.path is missing: name the folder on the server, or . for the one where the login ends", path)
	case strings.HasPrefix(s.Path, "~"):
		c.bad(path+".path", "%s.path begins with ~, which only a shell knows: leave ~/ away, the path is counted from where the login ends", path)
	}
	c.pattern(path+".pattern", s.Pattern)
	c.positive(path+".timeout", s.Timeout)
	c.sftpLogin(path, s)
	c.hostKey(path, s)
}

func (c *checker) port(path string, port, usual int) {
	if port < 1 || port > 65535 {
		c.bad(path, "%s must be from 1 to 65535, usually %d", path, usual)
	}
}

// sftpLogin checks what the importer shows to the server.
func (c *checker) sftpLogin(path string, s *SFTP) {
	password := c.secret(path, "password", "password", &s.Password, &s.PasswordFile)
	locked := c.secret(path, "key_passphrase", "passphrase", &s.KeyPassphrase, &s.KeyPassphraseFile)
	key := s.KeyFile != "" || c.unread[path+".key_file"]
	switch {
	case key:
		c.key(path, s)
	case locked:
		c.bad(path, "%s has a key_passphrase, but no key_file that it opens: name the file with the private key", path)
	}
	if !key && !password && !s.Agent && !c.unread[path+".agent"] {
		c.bad(path, "%s has nothing to log in with: set key_file, password: ${NAME} (and that variable), password_file, or agent: true", path)
	}
}

func (c *checker) key(path string, s *SFTP) {
	at := path + ".key_file"
	c.resolve(&s.KeyFile, at)
	if c.unread[at] {
		return
	}
	text, ok := c.privateFile(at, s.KeyFile, "private key")
	if !ok || c.unread[path+".key_passphrase"] || c.unread[path+".key_passphrase_file"] {
		return
	}
	if err := c.known.PrivateKey(string(text), s.KeyPassphrase.Reveal()); err != nil {
		c.bad(at, "%s %s: %v", at, s.KeyFile, err)
	}
}

// hostKey checks what the server shows to the importer.
func (c *checker) hostKey(path string, s *SFTP) {
	c.resolve(&s.KnownHosts, path+".known_hosts")
	if s.KnownHosts == "" {
		s.KnownHosts = filepath.Join(c.cfg.StateDir, "known_hosts")
	}
	for i, fingerprint := range s.Fingerprint {
		if !fingerprintText.MatchString(fingerprint) {
			at := c.item(path+".fingerprint", i)
			c.bad(at, "%s must be SHA256: and 43 characters, as ssh-keygen -l -f shows it: ask the vendor for the fingerprint of the server's host key in this form", at)
		}
	}
}
