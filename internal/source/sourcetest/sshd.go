// Package sourcetest has the servers that vendors leave files on, for tests: a
// real OpenSSH server, an SFTP server with faults, and a slow or bad line to
// either.
package sourcetest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Login is how to get into a server.
type Login struct {
	Host string
	Port int
	User string
	Key  string // private key, as its file has it
	// HostKey is the server's.
	HostKey ssh.PublicKey
}

// Fingerprint is the host key's.
func (l Login) Fingerprint() string { return ssh.FingerprintSHA256(l.HostKey) }

// Dir makes a folder that a server's user may do everything in, for the length
// of a test.
func Dir(t testing.TB) string {
	t.Helper()
	parent := os.TempDir()
	if os.Geteuid() == 0 {
		parent = "/tmp" // the server's user must get there
	}
	dir, err := os.MkdirTemp(parent, "importer-sftp-") //nolint:usetesting // TempDir is closed to other users
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o777))
	return dir
}

// SSHD runs OpenSSH's own server for the length of a test, as a user without
// privileges: this one, or daemon for root. Each connection has a process. More
// lines of its configuration may be given.
func SSHD(t testing.TB, more ...string) Login {
	t.Helper()
	program := sshd(t)
	account, err := user.Current()
	must(t, err)
	attr := &syscall.SysProcAttr{}
	dir := Dir(t)
	if os.Geteuid() == 0 {
		account, err = user.Lookup("daemon") // nobody counts as locked where systemd knows it
		must(t, err)
		attr.Credential = &syscall.Credential{Uid: number(t, account.Uid), Gid: number(t, account.Gid)}
	}
	own := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, content, 0o600))
		if attr.Credential != nil {
			must(t, os.Chown(file, int(attr.Credential.Uid), int(attr.Credential.Gid)))
		}
		return file
	}
	hostKey, hostText := NewKey(t)
	userKey, userText := NewKey(t)
	config := own("sshd_config", []byte(strings.Join(append(more,
		"HostKey "+own("host_key", hostText),
		"AuthorizedKeysFile "+own("authorized_keys", ssh.MarshalAuthorizedKey(userKey.PublicKey())),
		"Subsystem sftp internal-sftp",
		"StrictModes no",
		"UsePAM no",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"PidFile none",
		"LogLevel ERROR",
	), "\n")+"\n"))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	d := &daemon{open: map[*exec.Cmd]bool{}}
	d.all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			cmd := exec.Command(program, "-i", "-e", "-f", config)
			cmd.SysProcAttr = attr
			cmd.Dir = "/"
			d.serve(conn.(*net.TCPConn), cmd)
		}
	})
	t.Cleanup(func() {
		listener.Close()
		said := d.stop()
		if t.Failed() && said != "" {
			t.Logf("sshd: %s", said)
		}
	})
	address := listener.Addr().(*net.TCPAddr)
	return Login{Host: "127.0.0.1", Port: address.Port, User: account.Username, Key: string(userText), HostKey: hostKey.PublicKey()}
}

// daemon is the processes of one server.
type daemon struct {
	mu   sync.Mutex
	open map[*exec.Cmd]bool
	said bytes.Buffer
	all  sync.WaitGroup
}

// serve gives a connection to a process of its own.
func (d *daemon) serve(conn *net.TCPConn, cmd *exec.Cmd) {
	defer conn.Close()
	file, err := conn.File()
	if err != nil {
		return
	}
	defer file.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, d
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(&d.said, err)
		return
	}
	d.open[cmd] = true
	d.all.Go(func() {
		cmd.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.open, cmd)
	})
}

// Write takes what the processes say.
func (d *daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said.Write(p)
}

// stop ends all processes and returns what they said.
func (d *daemon) stop() string {
	d.mu.Lock()
	for cmd := range d.open {
		cmd.Process.Kill()
	}
	d.mu.Unlock()
	d.all.Wait()
	return d.said.String()
}

// sshd finds the program.
func sshd(t testing.TB) string {
	t.Helper()
	if program, err := exec.LookPath("sshd"); err == nil {
		if program, err = filepath.Abs(program); err == nil { // it insists
			return program
		}
	}
	for _, program := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if _, err := os.Stat(program); !errors.Is(err, fs.ErrNotExist) {
			return program
		}
	}
	t.Fatal("OpenSSH's server program (sshd) was not found: run make test, which installs it where it can")
	return ""
}

// NewKey makes a key, also as the text of its file.
func NewKey(t testing.TB) (ssh.Signer, []byte) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(key, "test")
	must(t, err)
	return signer, pem.EncodeToMemory(block)
}

func number(t testing.TB, text string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 32)
	must(t, err)
	return uint32(n)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
