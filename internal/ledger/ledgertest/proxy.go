package ledgertest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Cut says where a COMMIT's connection breaks.
type Cut int

// The cuts.
const (
	Nowhere      Cut = iota
	BeforeCommit     // PostgreSQL does not get it
	AfterCommit      // PostgreSQL answers it, and the answer is lost
)

// Proxy stands between a ledger and PostgreSQL.
type Proxy struct {
	server string // the server's unix socket
	choose atomic.Pointer[func() Cut]
	conns  sync.WaitGroup
}

// NewProxy returns a proxy to a database, and the way to the database through it.
func NewProxy(t *testing.T, dsn string) (*Proxy, string) {
	t.Helper()
	through, err := url.Parse(dsn)
	require.NoError(t, err)
	q := through.Query()
	p := &Proxy{server: q.Get("host") + "/.s.PGSQL." + q.Get("port")}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.conns.Go(func() {
		for {
			client, err := front.Accept()
			if err != nil {
				return
			}
			p.conns.Go(func() { p.carry(t, client) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, front.Close())
		p.conns.Wait()
	})
	host, port, err := net.SplitHostPort(front.Addr().String())
	require.NoError(t, err)
	q.Set("host", host)
	q.Set("port", port)
	through.RawQuery = q.Encode()
	return p, through.String()
}

// CutCommits lets choose say where each COMMIT's connection breaks, from many
// goroutines at once.
func (p *Proxy) CutCommits(choose func() Cut) { p.choose.Store(&choose) }

// CutNext breaks the connection of the next COMMIT alone.
func (p *Proxy) CutNext(c Cut) {
	var once atomic.Bool
	p.CutCommits(func() Cut {
		if once.CompareAndSwap(false, true) {
			return c
		}
		return Nowhere
	})
}

func (p *Proxy) next() Cut {
	if choose := p.choose.Load(); choose != nil {
		return (*choose)()
	}
	return Nowhere
}

// carry copies between a client and the server until either ends, or until the
// cut that is due.
func (p *Proxy) carry(t *testing.T, client net.Conn) {
	server, err := net.Dial("unix", p.server)
	if err != nil {
		t.Error(err)
		client.Close()
		return
	}
	var deaf atomic.Bool // the client shall not hear the next answer
	var answers sync.WaitGroup
	answers.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || deaf.Load() {
				break
			}
			if _, err := client.Write(buf[:n]); err != nil {
				break
			}
		}
		client.Close()
	})
	err = p.requests(client, server, &deaf)
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, errCut) &&
		!errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) { // either side may end
		t.Error(err)
	}
	if !deaf.Load() {
		server.Close()
	}
	answers.Wait()
	server.Close()
}

var errCut = errors.New("cut")

// requests copies the client's messages, of which all but the first begin with
// a letter.
func (p *Proxy) requests(client io.Reader, server io.Writer, deaf *atomic.Bool) error {
	for kind := make([]byte, 0, 1); ; kind = make([]byte, 1) {
		if _, err := io.ReadFull(client, kind); err != nil {
			return err
		}
		size := make([]byte, 4)
		if _, err := io.ReadFull(client, size); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(size)-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return err
		}
		commit := string(kind) == "Q" && strings.EqualFold(string(body), "commit\x00")
		where := Nowhere
		if commit {
			where = p.next()
		}
		if where == BeforeCommit {
			return errCut
		}
		deaf.Store(where == AfterCommit)
		if _, err := server.Write(slices.Concat(kind, size, body)); err != nil {
			return err
		}
		if where == AfterCommit {
			return errCut
		}
	}
}
