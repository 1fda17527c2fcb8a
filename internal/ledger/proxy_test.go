package ledger_test

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
	"testing"

	"github.com/stretchr/testify/require"
)

// cut says where the next COMMIT's connection breaks.
type cut int32

const (
	nowhere      cut = iota
	beforeCommit     // PostgreSQL does not get it
	afterCommit      // PostgreSQL answers it, and the answer is lost
)

// proxy stands between a ledger and PostgreSQL.
type proxy struct {
	server string // the server's unix socket
	next   atomic.Int32
	conns  sync.WaitGroup
}

// newProxy returns a proxy to a database, and the way to the database through it.
func newProxy(t *testing.T, dsn string) (*proxy, string) {
	t.Helper()
	through, err := url.Parse(dsn)
	require.NoError(t, err)
	q := through.Query()
	p := &proxy{server: q.Get("host") + "/.s.PGSQL." + q.Get("port")}
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

func (p *proxy) breakAt(c cut) { p.next.Store(int32(c)) }

// carry copies between a client and the server until either ends, or until the
// cut that is due.
func (p *proxy) carry(t *testing.T, client net.Conn) {
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
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, errCut) && !strings.Contains(err.Error(), "reset") {
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
func (p *proxy) requests(client io.Reader, server io.Writer, deaf *atomic.Bool) error {
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
		where := nowhere
		if commit {
			where = cut(p.next.Swap(int32(nowhere)))
		}
		if where == beforeCommit {
			return errCut
		}
		deaf.Store(where == afterCommit)
		if _, err := server.Write(slices.Concat(kind, size, body)); err != nil {
			return err
		}
		if where == afterCommit {
			return errCut
		}
	}
}
