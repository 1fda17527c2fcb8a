package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// SFTPOptions says which folder of which SFTP server a vendor leaves files in.
type SFTPOptions struct {
	Host string
	Port int // 0: 22
	User string

	// How to log in: whatever is set is offered, keys first.
	Key         func() string // a private key, the text of its file
	Passphrase  func() string // opens Key
	AgentSocket string        // of an SSH agent, usually $SSH_AUTH_SOCK
	Password    func() string // also the answer to the one question of a keyboard-interactive login

	// How to know the server: by either.
	KnownHosts   string   // a file as OpenSSH has it; one that is missing knows nobody
	Fingerprints []string // of host keys, such as "SHA256:…"

	Folder    string   // absolute, or from where the login ends
	Recursive bool     // folders in it are looked into as well
	Except    []string // folders below Folder that are not, such as the archive
	Also      string   // a folder below Folder that is in any case, if it is there; empty: none

	Legacy  bool          // also algorithms that are no longer safe
	Timeout time.Duration // for each step, and for each stretch without a byte
	Feed    string        // its name, for sentences that say what to do; empty: FEED
}

// SFTP is a folder of an SFTP server. It connects when it is first used and
// again whenever the connection was lost.
type SFTP struct {
	o       SFTPOptions
	address string
	key     ssh.Signer // nil: none
	// hostKeys are the algorithms of the host key whose fingerprint is pinned,
	// once they were found out.
	hostKeys []string
	agent    net.Conn // to the SSH agent, while logging in
	link     *link    // nil: not connected
	// careful reads a piece only when the last one is here: a server was met
	// whose pieces are smaller than asked for.
	careful bool
	// small asks for small pieces, of which even a line that hardly lasts
	// brings some.
	small bool
}

var _ Keeper = (*SFTP)(nil)

// NewSFTP makes no connection; its errors are about the options.
func NewSFTP(o SFTPOptions) (*SFTP, error) {
	if o.Port == 0 {
		o.Port = 22
	}
	if o.Feed == "" {
		o.Feed = "FEED"
	}
	if o.Folder == "" {
		o.Folder = "."
	}
	switch {
	case o.Host == "" || o.User == "":
		return nil, errors.New("an SFTP place needs a host and a user")
	case o.Timeout <= 0:
		return nil, errors.New("an SFTP place's timeout must be above zero")
	case o.Key == nil && o.AgentSocket == "" && o.Password == nil:
		return nil, errors.New("an SFTP place needs a key, an agent or a password to log in with")
	}
	s := &SFTP{o: o, address: net.JoinHostPort(o.Host, strconv.Itoa(o.Port))}
	if o.Key != nil {
		var err error
		if s.key, err = readKey(o); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close ends the connection.
func (s *SFTP) Close() error {
	s.disconnect()
	return nil
}

func (s *SFTP) disconnect() {
	if s.link != nil {
		s.link.end()
		s.link = nil
	}
}

// do runs one step on the server. A connection that was kept from an earlier
// step and turns out to be dead is replaced; what was asked on it is asked again.
func (s *SFTP) do(ctx context.Context, step func(l *link) error) error {
	for {
		kept := s.link != nil && s.link.alive()
		err := s.once(ctx, step)
		if !isLost(err) || !kept {
			return err
		}
	}
}

// once runs a step that cannot be repeated.
func (s *SFTP) once(ctx context.Context, step func(l *link) error) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	err := s.link.run(ctx, s.o.Timeout, func() error { return step(s.link) })
	if isLost(err) {
		s.disconnect()
	}
	return err
}

func isLost(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.lost
}

// List implements Place.
func (s *SFTP) List(ctx context.Context) (files []File, err error) {
	err = s.do(ctx, func(l *link) error {
		files = nil
		l.pipe.allow(maxListing)
		defer l.pipe.allow(0)
		err := s.walk(l, "", &files)
		if err == nil && s.o.Also != "" {
			if err = s.walk(l, s.o.Also, &files); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
		return err
	})
	if errors.Is(err, errEndless) {
		s.disconnect()
		return nil, &Error{Where: s.address, Final: true, text: fmt.Sprintf("the server's list of the folder %s has no end, or hundreds of thousands of names: use a folder of the feed's own", s.o.Folder)}
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for i := range files[min(1, len(files)):] {
		// Which of them would be read?
		if a, b := &files[i], &files[i+1]; a.Path == b.Path && b.Odd == "" {
			a.Odd, b.Odd = "one of several of this name", "one of several of this name"
		}
	}
	return files, nil
}

// maxListing is some three hundred thousand names take, and stops servers whose
// lists have no end.
const maxListing = 64 << 20

func (s *SFTP) walk(l *link, below string, files *[]File) error {
	infos, err := l.sftp.ReadDir(s.full(below))
	if err != nil {
		return s.explainFolder(l, below, err)
	}
	for _, info := range infos {
		f, err := s.look(l, below, info, files)
		if err != nil {
			return err
		}
		if f.Path != "" {
			*files = append(*files, f)
		}
	}
	return nil
}

// look lists one thing, or (no path) what is in it.
func (s *SFTP) look(l *link, below string, info fs.FileInfo, files *[]File) (File, error) {
	name := info.Name()
	if kind := oddName(name); kind != "" {
		return File{Path: path.Join(below, printable(name)), Size: -1, Odd: kind}, nil
	}
	f := File{Path: path.Join(below, name), Size: info.Size(), Modified: modified(info), Odd: odd(info.Mode())}
	if !info.IsDir() {
		if f.Size < 0 && f.Odd == "" {
			f.Odd = "a file of an impossible size"
		}
		return f, nil
	}
	f.Size = -1
	if !s.o.Recursive {
		return f, nil
	}
	if slices.Contains(s.o.Except, f.Path) {
		return File{}, nil
	}
	err := s.walk(l, f.Path, files)
	if errors.Is(err, fs.ErrPermission) {
		f.Odd = "a folder that this login may not look into" // the others are not held up by it
		return f, nil
	}
	return File{}, err
}

// modified is zero for a server that tells no times.
func modified(info fs.FileInfo) time.Time {
	if stat, ok := info.Sys().(*sftp.FileStat); ok && stat.Mtime == 0 {
		return time.Time{}
	}
	return info.ModTime()
}

func (s *SFTP) full(name string) string { return path.Join(s.o.Folder, name) }
