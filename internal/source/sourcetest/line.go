package sourcetest

import (
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Line is a line to a server that may be long or bad.
type Line struct {
	Delay time.Duration // of each byte, each way
	Cut   int64         // each connection breaks after so many bytes of answers; 0: never

	connections atomic.Int64
}

// Connections tells how many there were.
func (l *Line) Connections() int64 { return l.connections.Load() }

// To makes the line lead to a server for the length of a test and returns the
// server's login at its near end.
func (l *Line) To(t testing.TB, far Login) Login {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	target := net.JoinHostPort(far.Host, strconv.Itoa(far.Port))
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	all.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			l.connections.Add(1)
			server, err := net.Dial("tcp", target)
			if err != nil {
				near.Close()
				continue
			}
			mu.Lock()
			open[near], open[server] = true, true
			mu.Unlock()
			end := sync.OnceFunc(func() {
				near.Close()
				server.Close()
			})
			var answers io.Reader = server
			if l.Cut > 0 {
				answers = io.LimitReader(server, l.Cut)
			}
			all.Go(func() {
				defer end()
				l.carry(server, near)
				io.Copy(io.Discard, near) // closed at once, it would take back what was sent
			})
			all.Go(func() {
				l.carry(near, answers)
				near.(*net.TCPConn).CloseWrite()
				server.Close()
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	far.Port = listener.Addr().(*net.TCPAddr).Port
	return far
}

// carry carries bytes until one end is closed or the line is cut.
func (l *Line) carry(to io.Writer, from io.Reader) {
	if l.Delay == 0 {
		io.Copy(to, from)
		return
	}
	type piece struct {
		due   time.Time
		bytes []byte
	}
	way := make(chan piece, 4096)
	go func() {
		defer close(way)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if n > 0 {
				way <- piece{time.Now().Add(l.Delay), b[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	failed := false
	for p := range way {
		if !failed {
			time.Sleep(time.Until(p.due))
			_, err := to.Write(p.bytes)
			failed = err != nil
		}
	}
}
