package source_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// hostName is a server's name in known_hosts.
func hostName(l sourcetest.Login) string { return "[" + l.Host + "]:" + strconv.Itoa(l.Port) }

func list(t *testing.T, o source.SFTPOptions) error {
	t.Helper()
	_, err := newSFTP(t, o).List(t.Context())
	return err
}

func TestUnknownHostKeyIsRefusedAndTrusted(t *testing.T) {
	t.Parallel()
	login := sourcetest.SSHD(t)
	o := sftpOptions(login)
	o.Fingerprints, o.Folder = nil, sourcetest.Dir(t)
	require.ErrorContains(t, list(t, o), "not known yet")
	o.KnownHosts = filepath.Join(t.TempDir(), "state", "known_hosts")
	err := list(t, o)
	var refused *source.HostKeyError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, login.Fingerprint(), refused.Seen.Fingerprint)
	require.Equal(t, "ssh-ed25519", refused.Seen.Type)
	require.False(t, refused.Changed)
	require.EqualError(t, err, "127.0.0.1:"+strconv.Itoa(login.Port)+": the server showed a host key ssh-ed25519 "+login.Fingerprint()+
		", which is not known yet: compare the fingerprint with the vendor's, then store it with importer source trust acme")

	p := newSFTP(t, o)
	keys, err := p.HostKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.Equal(t, login.Fingerprint(), keys[0].Fingerprint)
	require.NoError(t, p.Trust(keys...))
	require.NoError(t, list(t, o))
	info, err := os.Stat(o.KnownHosts)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestChangedHostKeyIsRefused(t *testing.T) {
	t.Parallel()
	s := new(sourcetest.Server).Start(t)
	another, _ := sourcetest.NewKey(t)
	rsaKey := newRSA(t)
	for name, line := range map[string]string{
		"the same kind":  knownhosts.Line([]string{hostName(s.Login)}, another.PublicKey()),
		"another kind":   knownhosts.Line([]string{hostName(s.Login)}, rsaKey.PublicKey()),
		"a hashed name":  knownhosts.HashHostname(hostName(s.Login)) + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(another.PublicKey()))),
		"several hosts":  knownhosts.Line([]string{"sftp.example.com", hostName(s.Login)}, another.PublicKey()),
		"a revoked one":  "@revoked * " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.HostKey))),
		"by fingerprint": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := sftpOptions(s.Login)
			o.Fingerprints, o.Folder, o.KnownHosts = nil, sourcetest.Dir(t), filepath.Join(t.TempDir(), "known_hosts")
			if name == "by fingerprint" {
				o.Fingerprints = []string{ssh.FingerprintSHA256(another.PublicKey())}
			}
			require.NoError(t, os.WriteFile(o.KnownHosts, []byte("# ours\n"+line+"\n"), 0o600))
			err := list(t, o)
			var refused *source.HostKeyError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, s.Fingerprint(), refused.Seen.Fingerprint)
			if name == "a revoked one" {
				require.ErrorContains(t, err, "marked as revoked")
				return
			}
			require.True(t, refused.Changed)
			require.ErrorContains(t, err, "another one than is known")
			require.ErrorContains(t, err, "importer source trust acme")

			p := newSFTP(t, o)
			keys, err := p.HostKeys(t.Context())
			require.NoError(t, err)
			require.NoError(t, p.Trust(keys...))
			require.NoError(t, list(t, o))
			text, err := os.ReadFile(o.KnownHosts)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(string(text), "# ours\n"))
			if name == "several hosts" {
				require.Contains(t, string(text), "\nsftp.example.com ssh-ed25519 ", "other hosts are known as before")
			}
			if name != "another kind" && name != "several hosts" && name != "by fingerprint" {
				require.NotContains(t, string(text), strings.Fields(string(ssh.MarshalAuthorizedKey(another.PublicKey())))[1])
			}
		})
	}
}

func TestKeyBesideThePinnedOneIsChangedInTheConfiguration(t *testing.T) {
	t.Parallel()
	s := new(sourcetest.Server).Start(t)
	another, _ := sourcetest.NewKey(t)
	o := sftpOptions(s.Login)
	o.Folder, o.KnownHosts, o.Fingerprints = sourcetest.Dir(t), "", []string{ssh.FingerprintSHA256(another.PublicKey())}
	err := list(t, o)
	require.ErrorContains(t, err, "another one than the fingerprint of feed acme")
	require.NotContains(t, err.Error(), "source trust")
}

func newRSA(t *testing.T) ssh.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	return signer
}

func TestKeyThatIsPinnedNeedNotBeTheOneThatIsShownFirst(t *testing.T) {
	t.Parallel()
	first, _ := sourcetest.NewKey(t)
	second := newRSA(t)
	s := (&sourcetest.Server{HostKeys: []ssh.Signer{first, second}}).Start(t)
	o := sftpOptions(s.Login)
	o.Folder = sourcetest.Dir(t)
	o.Fingerprints = []string{ssh.FingerprintSHA256(second.PublicKey())}
	require.NoError(t, list(t, o))
	o.Fingerprints, o.KnownHosts = nil, filepath.Join(t.TempDir(), "known_hosts")
	require.NoError(t, os.WriteFile(o.KnownHosts, []byte(knownhosts.Line([]string{hostName(s.Login)}, second.PublicKey())+"\n"), 0o600))
	require.NoError(t, list(t, o))
	keys, err := newSFTP(t, o).HostKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 2)
	require.Equal(t, "ssh-ed25519", keys[0].Type, "the kind whose fingerprint vendors tell")
}

// secret is the password of these tests, and nowhere to be seen.
const secret = "PassCanary1"

func TestLogins(t *testing.T) {
	t.Parallel()
	password := func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = nil
		c.PasswordCallback = func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
			if string(p) != secret {
				return nil, errors.New("wrong")
			}
			return nil, nil
		}
	}
	ask := func(questions []string, echos []bool) func(c *ssh.ServerConfig) {
		return func(c *ssh.ServerConfig) {
			c.PublicKeyCallback = nil
			c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				answers, err := ask("", "", questions, echos)
				if err != nil || len(answers) != 1 || answers[0] != secret {
					return nil, errors.New("wrong")
				}
				return nil, nil
			}
		}
	}
	with := func(password string) func(*source.SFTPOptions) {
		return func(o *source.SFTPOptions) {
			o.Key, o.Password = nil, func() string { return password }
		}
	}
	for name, k := range map[string]struct {
		server  func(*ssh.ServerConfig)
		options func(*source.SFTPOptions)
		says    string // empty: let in
	}{
		"password":                   {password, with(secret), ""},
		"wrong password":             {password, with("Guess1"), "refused the login of vendor: check user, password"},
		"keyboard-interactive":       {ask([]string{"Password: "}, []bool{false}), with(secret), ""},
		"wrong keyboard-interactive": {ask([]string{"Password: "}, []bool{false}), with("Guess1"), "refused the login of vendor"},
		"a code":                     {ask([]string{"Password: ", "Code: "}, []bool{false, false}), with(secret), "more than a password"},
		"wrong key":                  {nil, func(o *source.SFTPOptions) { o.Key = aKey(t, "") }, "refused the login of vendor: check user, private key"},
		"key and password, a password is wanted": {password, func(o *source.SFTPOptions) {
			o.Password = func() string { return secret }
		}, ""},
		"no agent": {nil, func(o *source.SFTPOptions) {
			o.Key, o.AgentSocket = nil, "/nowhere/agent"
		}, "the SSH agent does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := (&sourcetest.Server{Config: k.server}).Start(t)
			o := sftpOptions(s.Login)
			o.Folder = sourcetest.Dir(t)
			k.options(&o)
			err := list(t, o)
			if k.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, k.says)
			require.True(t, isFinal(err), "an account is locked after a few")
			require.NotContains(t, err.Error(), secret)
			require.NotContains(t, err.Error(), "Guess1")
		})
	}
}

func TestWrongPasswordIsSentOnce(t *testing.T) {
	t.Parallel()
	tries := make(chan string, 10)
	s := (&sourcetest.Server{Config: func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = nil
		c.PasswordCallback = func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
			tries <- string(p)
			return nil, errors.New("wrong")
		}
		c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, _ ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			tries <- "asked"
			return nil, errors.New("wrong")
		}
	}}).Start(t)
	o := sftpOptions(s.Login)
	o.Key, o.Password = nil, func() string { return "Guess1" }
	_, err := fetch(t, newSFTP(t, o), source.File{Path: "a.csv"})
	require.ErrorContains(t, err, "refused the login of vendor")
	require.Len(t, tries, 1)
}

// A dialogue that ends before a question is asked is a refusal like any other.
func TestADialogueThatIsRefusedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	line := &sourcetest.Line{}
	o := sftpOptions(line.To(t, sourcetest.SSHD(t, "KbdInteractiveAuthentication yes")))
	o.Key, o.Password = nil, func() string { return "Guess1" }
	_, err := newSFTP(t, o).List(t.Context())
	require.ErrorContains(t, err, "refused the login of")
	require.True(t, isFinal(err))
	require.EqualValues(t, 1, line.Connections())
}

// aKey is a new private key, locked if there is a passphrase.
func aKey(t *testing.T, passphrase string) func() string {
	t.Helper()
	_, text := sourcetest.NewKey(t)
	return locked(t, string(text), passphrase)
}

func TestPrivateKeys(t *testing.T) {
	t.Parallel()
	login := sourcetest.SSHD(t)
	dir := sourcetest.Dir(t)
	open := func(change func(*source.SFTPOptions)) error {
		o := sftpOptions(login)
		o.Folder = dir
		change(&o)
		p, err := source.NewSFTP(o)
		if err != nil {
			return err
		}
		defer p.Close()
		_, err = p.List(t.Context())
		return err
	}
	sealed := locked(t, login.Key, secret)
	require.NoError(t, open(func(o *source.SFTPOptions) { o.Key, o.Passphrase = sealed, func() string { return secret } }))
	require.ErrorContains(t, open(func(o *source.SFTPOptions) { o.Key = sealed }), "the private key is locked")
	require.ErrorContains(t, open(func(o *source.SFTPOptions) { o.Key, o.Passphrase = sealed, func() string { return "Guess1" } }), "the passphrase does not open the private key")
	require.ErrorContains(t, open(func(o *source.SFTPOptions) { o.Key = func() string { return "ssh-ed25519 AAAA" } }), "not the .pub file")
	require.ErrorContains(t, open(func(o *source.SFTPOptions) { o.Key = aKey(t, "") }), "the server refused the login of "+login.User)

	key, err := ssh.ParseRawPrivateKey([]byte(login.Key))
	require.NoError(t, err)
	keys := agent.NewKeyring()
	require.NoError(t, keys.Add(agent.AddedKey{PrivateKey: key}))
	socket := serveAgent(t, keys)
	require.NoError(t, open(func(o *source.SFTPOptions) { o.Key, o.AgentSocket = nil, socket }))
	require.ErrorContains(t, open(func(o *source.SFTPOptions) { o.Key, o.AgentSocket = nil, serveAgent(t, agent.NewKeyring()) }), "check user, the agent's keys")
}

func serveAgent(t *testing.T, keys agent.Agent) string {
	t.Helper()
	socket := filepath.Join(sourcetest.Dir(t), "agent")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			agent.ServeAgent(keys, conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return socket
}

func TestOldServers(t *testing.T) {
	t.Parallel()
	old := newRSA(t)
	onlySHA1, err := ssh.NewSignerWithAlgorithms(old.(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA})
	require.NoError(t, err)
	for name, s := range map[string]*sourcetest.Server{
		"key exchange": {Config: func(c *ssh.ServerConfig) { c.KeyExchanges = []string{ssh.InsecureKeyExchangeDH1SHA1} }},
		"cipher":       {Config: func(c *ssh.ServerConfig) { c.Ciphers = []string{ssh.InsecureCipherAES128CBC} }},
		"host key":     {HostKeys: []ssh.Signer{onlySHA1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.Start(t)
			o := sftpOptions(s.Login)
			o.Folder = sourcetest.Dir(t)
			err := list(t, o)
			require.ErrorContains(t, err, "allow them with legacy: true")
			require.True(t, isFinal(err))
			o.Legacy = true
			require.NoError(t, list(t, o))
		})
	}
	t.Run("OpenSSH", func(t *testing.T) {
		t.Parallel()
		login := sourcetest.SSHD(t, "KexAlgorithms diffie-hellman-group14-sha1", "Ciphers aes128-cbc", "MACs hmac-sha1")
		o := sftpOptions(login)
		o.Folder = sourcetest.Dir(t)
		require.ErrorContains(t, list(t, o), "allow them with legacy: true")
		o.Legacy = true
		require.NoError(t, list(t, o))
	})
}

func TestWhatIsNoSFTPServer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { silent.Close() })
	without := (&sourcetest.Server{NoSFTP: true}).Start(t)
	for name, k := range map[string]struct {
		port  int
		says  string
		final bool
	}{
		"nobody":   {1, "the connection was refused", false},
		"silence":  {silent.Addr().(*net.TCPAddr).Port, "no answer came within 200ms", false},
		"no SFTP":  {without.Port, "the login vendor succeeded, but the server offers it no SFTP", true},
		"no login": {new(sourcetest.Server).Start(t).Port, "refused the login", true},
	} {
		o := sftpOptions(without.Login)
		o.Port = k.port
		if name == "silence" {
			o.Timeout = quick
		}
		if name == "no login" {
			o.Fingerprints, o.KnownHosts = nil, filepath.Join(t.TempDir(), "known_hosts")
			p := newSFTP(t, o)
			keys, err := p.HostKeys(t.Context())
			require.NoError(t, err)
			require.NoError(t, p.Trust(keys...))
		}
		err := list(t, o)
		require.ErrorContains(t, err, k.says, name)
		require.Equal(t, k.final, isFinal(err), name)
	}
}

func TestSFTPOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	login := new(sourcetest.Server).Start(t).Login
	for says, spoil := range map[string]func(*source.SFTPOptions){
		"needs a host and a user":             func(o *source.SFTPOptions) { o.User = "" },
		"timeout must be above zero":          func(o *source.SFTPOptions) { o.Timeout = 0 },
		"needs a key, an agent or a password": func(o *source.SFTPOptions) { o.Key = nil },
	} {
		o := sftpOptions(login)
		spoil(&o)
		_, err := source.NewSFTP(o)
		require.ErrorContains(t, err, says)
	}
}

// locked is the text of a private key's file with a passphrase.
func locked(t *testing.T, text, passphrase string) func() string {
	t.Helper()
	if passphrase == "" {
		return func() string { return text }
	}
	key, err := ssh.ParseRawPrivateKey([]byte(text))
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "test", []byte(passphrase))
	require.NoError(t, err)
	sealed := string(pem.EncodeToMemory(block))
	return func() string { return sealed }
}
