package sourcetest

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// Server is an SFTP server that shows this machine's files and has faults on
// request. Its fields are set before Start.
type Server struct {
	Login

	// Before is called before each request, with the name of its method in
	// package sftp (List, Lstat, Stat, Get, Put, Rename, Remove, Mkdir, Setstat)
	// or Read, for a piece of a file, and Page, for one of a list. Its error is the answer; a call that blocks must end with Closed.
	Before func(method, name string) error
	// Config changes who is let in and how; by default Key is.
	Config func(*ssh.ServerConfig)
	// HostKeys, by default one new ed25519.
	HostKeys []ssh.Signer
	// Names are listed in every folder beside what there is.
	Names []string
	// Endless makes folders' lists go on for ever.
	Endless bool
	// Piece is the most that is sent for one read; 0: all that was asked for.
	Piece int
	// NoSFTP refuses the subsystem.
	NoSFTP bool

	closed chan struct{}
	mu     sync.Mutex
	calls  map[string]int
	names  []string
	global []string
	conns  map[net.Conn]bool
	all    sync.WaitGroup
}

// Start runs the server for the length of a test.
func (s *Server) Start(t testing.TB) *Server {
	t.Helper()
	key, text := NewKey(t)
	s.Host, s.User, s.Key = "127.0.0.1", "vendor", string(text)
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
		if string(offered.Marshal()) != string(key.PublicKey().Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil //nolint:nilnil // no restrictions
	}}
	if s.Config != nil {
		s.Config(config)
	}
	if s.HostKeys == nil {
		hostKey, _ := NewKey(t)
		s.HostKeys = []ssh.Signer{hostKey}
	}
	for _, k := range s.HostKeys {
		config.AddHostKey(k)
	}
	s.HostKey = s.HostKeys[0].PublicKey()
	s.closed, s.calls, s.conns = make(chan struct{}), map[string]int{}, map[net.Conn]bool{}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.Port = listener.Addr().(*net.TCPAddr).Port
	s.all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			s.all.Go(func() { s.serve(conn, config) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		close(s.closed)
		s.Disconnect()
		s.all.Wait()
	})
	return s
}

// Closed is closed when the server ends.
func (s *Server) Closed() <-chan struct{} { return s.closed }

// Disconnect ends all connections that there are.
func (s *Server) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
}

// Calls tells how often a method was called.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// Asked lists all names that requests were about.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.names)
}

// Global lists the connection's own requests, such as keep-alives.
func (s *Server) Global() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.global)
}

func (s *Server) serve(conn net.Conn, config *ssh.ServerConfig) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
	}()
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	defer server.Close()
	s.mu.Lock()
	s.calls["Login"]++
	s.mu.Unlock()
	s.all.Go(func() {
		for r := range requests {
			s.mu.Lock()
			s.global = append(s.global, r.Type)
			s.mu.Unlock()
			r.Reply(false, nil)
		}
	})
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		s.all.Go(func() {
			for r := range requests {
				yes := r.Type == "subsystem" && !s.NoSFTP
				r.Reply(yes, nil)
				if yes {
					h := handlers{s}
					s.all.Go(func() {
						defer channel.Close()
						sftp.NewRequestServer(channel, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h}).Serve()
					})
				}
			}
		})
	}
}

// before counts a request and lets the test fail it.
func (s *Server) before(r *sftp.Request, method string) error {
	s.mu.Lock()
	s.calls[method]++
	s.names = append(s.names, r.Filepath)
	if r.Target != "" {
		s.names = append(s.names, r.Target)
	}
	s.mu.Unlock()
	if s.Before == nil {
		return nil
	}
	return s.Before(method, r.Filepath)
}

// handlers answer requests with this machine's files.
type handlers struct{ s *Server }

func (h handlers) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	if err := h.s.before(r, "Get"); err != nil {
		return nil, err
	}
	f, err := os.Open(r.Filepath)
	if err != nil {
		return nil, err
	}
	return file{f, h.s, r.Filepath}, nil
}

// file reads as a test wants it.
type file struct {
	*os.File

	s    *Server
	path string
}

func (f file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.s.before(&sftp.Request{Filepath: f.path}, "Read"); err != nil {
		return 0, err
	}
	if f.s.Piece > 0 && len(p) > f.s.Piece {
		p = p[:f.s.Piece]
	}
	return f.File.ReadAt(p, off)
}

func (h handlers) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	if err := h.s.before(r, "Put"); err != nil {
		return nil, err
	}
	flags := os.O_WRONLY | os.O_CREATE
	if r.Pflags().Excl {
		flags |= os.O_EXCL
	}
	return os.OpenFile(r.Filepath, flags, 0o644)
}

func (h handlers) Filecmd(r *sftp.Request) error {
	if err := h.s.before(r, r.Method); err != nil {
		return err
	}
	switch r.Method {
	case "Rename":
		return os.Rename(r.Filepath, r.Target) // as careless as some servers
	case "Remove":
		return os.Remove(r.Filepath)
	case "Mkdir":
		return os.Mkdir(r.Filepath, 0o777)
	case "Setstat":
		return nil
	}
	return sftp.ErrSSHFxOpUnsupported
}

func (h handlers) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if err := h.s.before(r, r.Method); err != nil {
		return nil, err
	}
	if r.Method == "Stat" {
		info, err := os.Stat(r.Filepath)
		return list{info}, err
	}
	entries, err := os.ReadDir(r.Filepath)
	if err != nil {
		return nil, err
	}
	var all []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		all = append(all, info)
	}
	for _, name := range h.s.Names {
		all = append(all, invented{name})
	}
	if h.s.Endless {
		return endless{}, nil
	}
	return pages{all, h.s, r.Filepath}, nil
}

// Lstat implements sftp.LstatFileLister.
func (h handlers) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	if err := h.s.before(r, "Lstat"); err != nil {
		return nil, err
	}
	info, err := os.Lstat(r.Filepath)
	return list{info}, err
}

type list []fs.FileInfo

// ListAt implements sftp.ListerAt.
func (l list) ListAt(into []fs.FileInfo, from int64) (int, error) {
	if from >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(into, l[from:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

// pages is a list that is asked for piece by piece.
type pages struct {
	list

	s    *Server
	path string
}

// ListAt implements sftp.ListerAt.
func (p pages) ListAt(into []fs.FileInfo, from int64) (int, error) {
	if err := p.s.before(&sftp.Request{Filepath: p.path}, "Page"); err != nil {
		return 0, err
	}
	return p.list.ListAt(into, from)
}

type endless struct{}

// ListAt implements sftp.ListerAt.
func (endless) ListAt(into []fs.FileInfo, _ int64) (int, error) {
	for i := range into {
		into[i] = invented{strings.Repeat("endless", 30)}
	}
	return len(into), nil
}

// invented is a file that is not there.
type invented struct{ name string }

func (i invented) Name() string     { return i.name }
func (invented) Size() int64        { return 10 }
func (invented) Mode() fs.FileMode  { return 0o644 }
func (invented) ModTime() time.Time { return time.Unix(1_700_000_000, 0) }
func (invented) IsDir() bool        { return false }
func (invented) Sys() any           { return nil }
