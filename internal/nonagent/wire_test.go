package nonagent

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

func TestLeadIsPostedOnceAsAForm(t *testing.T) {
	t.Parallel()
	var head atomic.Pointer[http.Request]
	s := serve(t, func(s *server, conn net.Conn) {
		r := bufio.NewReader(conn)
		for {
			req, ok := s.request(r)
			if !ok {
				return
			}
			head.Store(req)
			io.WriteString(conn, page("200 OK", success))
		}
	})
	a := newClient(t, s.url, nil, 10*time.Second).AddLead(t.Context(), aCall())
	require.NoError(t, a.Err)
	require.Equal(t, importer.VerdictAdded, a.Verdict)
	require.EqualValues(t, 1, a.LeadID)
	require.True(t, a.Written)
	require.Len(t, s.seen(), 1)
	req := head.Load()
	require.Equal(t, "POST", req.Method)
	require.Equal(t, apiPath, req.URL.String(), "nothing stands in the address")
	require.Equal(t, "application/x-www-form-urlencoded", req.Header.Get("Content-Type"))
	for _, header := range []string{"Idempotency-Key", "X-Idempotency-Key", "Accept-Encoding", "Authorization"} {
		require.NotContains(t, req.Header, header)
	}
}

func TestConnectionLostAtEveryByteOfTheAnswer(t *testing.T) {
	t.Parallel()
	whole := page("200 OK", success+"NOTICE: add_lead ADDED TO HOPPER - "+phoneCanary+"|1|1|apiuser\n")
	decided := strings.Index(whole, success) + len(success)
	var length atomic.Int64
	s := serve(t, func(s *server, conn net.Conn) {
		if _, ok := s.request(bufio.NewReader(conn)); ok {
			io.WriteString(conn, whole[:length.Load()])
		}
	})
	c := newClient(t, s.url, nil, 10*time.Second)
	for n := range len(whole) {
		length.Store(int64(n))
		a := c.AddLead(t.Context(), aCall())
		want := importer.VerdictUnknown
		if n >= decided {
			want = importer.VerdictAdded
		}
		require.Equal(t, want, a.Verdict, "%d bytes: %v", n, a.Err)
		require.True(t, a.Written)
		if a.Err != nil {
			requireClean(t, a.Err.Error())
		}
	}
	require.Len(t, s.seen(), len(whole), "no request was repeated")
}

func TestWrongContentLength(t *testing.T) {
	t.Parallel()
	for extra, want := range map[int]importer.Verdict{10: importer.VerdictAdded, -1: importer.VerdictUnknown, -12: importer.VerdictUnknown} {
		s := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(success)+extra)+"\r\n\r\n"+success)
		a := newClient(t, s.url, nil, 10*time.Second).AddLead(t.Context(), aCall())
		require.Equal(t, want, a.Verdict, extra)
	}
}

func TestAnswerWithoutALength(t *testing.T) {
	t.Parallel()
	dnc := "ERROR: add_lead PHONE NUMBER IN DNC - " + phoneCanary + "|apiuser\n"
	for body, want := range map[string]importer.Verdict{
		success:                         importer.VerdictAdded,
		strings.TrimSpace(success):      importer.VerdictUnknown,
		dnc:                             importer.VerdictRejected,
		strings.TrimSuffix(dnc, "er\n"): importer.VerdictUnknown,
	} {
		s := answering(t, "HTTP/1.0 200 OK\r\n\r\n"+body)
		require.Equal(t, want, newClient(t, s.url, nil, 10*time.Second).AddLead(t.Context(), aCall()).Verdict, body)
	}
}

func TestChunkedAnswer(t *testing.T) {
	t.Parallel()
	s := answering(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(success), success))
	require.Equal(t, importer.VerdictAdded, newClient(t, s.url, nil, 10*time.Second).AddLead(t.Context(), aCall()).Verdict)
}

func TestResetInsteadOfAnAnswer(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*server, net.Conn){
		"after the request":  func(s *server, conn net.Conn) { s.request(bufio.NewReader(conn)) },
		"inside the request": func(_ *server, conn net.Conn) { io.ReadFull(conn, make([]byte, 20)) },
	} {
		s := serve(t, func(s *server, conn net.Conn) {
			before(s, conn)
			conn.(*net.TCPConn).SetLinger(0)
		})
		a := newClient(t, s.url, nil, 10*time.Second).AddLead(t.Context(), aCall())
		require.Equal(t, importer.VerdictUnknown, a.Verdict, name)
		require.Equal(t, ReasonNoAnswer, a.Reason, name)
		require.True(t, a.Written, name)
		requireClean(t, a.Err.Error())
	}
}

// patience runs out in a test, though not before its request is written, however
// crowded the machine is.
const patience = 5 * time.Second

func TestServerThatNeverAnswersIsGivenUp(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *server, conn net.Conn) {
		s.request(bufio.NewReader(conn))
		io.Copy(io.Discard, conn) // until the client hangs up
	})
	a := newClient(t, s.url, nil, patience).AddLead(t.Context(), aCall())
	require.Equal(t, importer.VerdictUnknown, a.Verdict)
	require.True(t, a.Written)
	require.ErrorContains(t, a.Err, "no answer came within 5s")
}

func TestDripDoesNotExtendTheDeadline(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *server, conn net.Conn) {
		s.request(bufio.NewReader(conn))
		for _, b := range []byte(page("200 OK", success)) {
			if _, err := conn.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	a := newClient(t, s.url, nil, patience).AddLead(t.Context(), aCall())
	require.Equal(t, importer.VerdictUnknown, a.Verdict)
}

func TestEndlessAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	sent := make(chan int, 1)
	s := serve(t, func(s *server, conn net.Conn) {
		s.request(bufio.NewReader(conn))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
		block, n := bytes.Repeat([]byte("x"), 1<<16), 0
		for n < 1<<30 {
			m, err := conn.Write(block)
			n += m
			if err != nil {
				break
			}
		}
		sent <- n
	})
	a := newClient(t, s.url, nil, 30*time.Second).AddLead(t.Context(), aCall())
	require.Equal(t, importer.VerdictUnknown, a.Verdict)
	require.ErrorContains(t, a.Err, "longer than any")
	require.Less(t, <-sent, 1<<28)
}

func TestEndlessHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	s := answering(t, "HTTP/1.1 200 OK\r\nX-Canary: "+strings.Repeat(nameCanary, 1<<16)+"\r\n\r\n")
	a := newClient(t, s.url, nil, 10*time.Second).AddLead(t.Context(), aCall())
	require.Equal(t, importer.VerdictUnknown, a.Verdict)
	requireClean(t, a.Err.Error())
}

func TestNothingIsUnpacked(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, err := z.Write(make([]byte, 64<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	s := answering(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "+strconv.Itoa(bomb.Len())+"\r\n\r\n"+bomb.String())
	a := newClient(t, s.url, nil, 10*time.Second).AddLead(t.Context(), aCall())
	require.Equal(t, importer.VerdictUnknown, a.Verdict)
	require.Equal(t, ReasonAnswerUnrecognised, a.Reason)
}

func TestAnswerThatIsNotHTTPIsNeverQuoted(t *testing.T) {
	t.Parallel()
	s := answering(t, nameCanary+" "+passwordCanary+"\r\n\r\n")
	a := newClient(t, s.url, nil, 10*time.Second).AddLead(t.Context(), aCall())
	require.Equal(t, importer.VerdictUnknown, a.Verdict)
	requireClean(t, a.Err.Error())
}

func TestRedirectIsRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"} {
		elsewhere := answering(t, page("200 OK", success))
		s := answering(t, "HTTP/1.1 "+status+"\r\nLocation: "+elsewhere.url+"/?"+passwordCanary+"\r\nContent-Length: 0\r\n\r\n")
		a := newClient(t, s.url, nil, 10*time.Second).AddLead(t.Context(), aCall())
		require.Equal(t, importer.VerdictStop, a.Verdict, status)
		require.Empty(t, elsewhere.seen(), "the password went elsewhere")
		requireClean(t, a.Err.Error())
	}
}

func TestRefusedConnectionIsProvablyNotSent(t *testing.T) {
	t.Parallel()
	const address = "127.0.0.1:1" // nothing listens there
	a := newClient(t, "http://"+address, nil, 10*time.Second).AddLead(t.Context(), aCall())
	require.Equal(t, importer.VerdictRetry, a.Verdict)
	require.Equal(t, ReasonNotSent, a.Reason)
	require.False(t, a.Written)
	require.ErrorContains(t, a.Err, address)
	requireClean(t, a.Err.Error())
}

func TestUnknownHostIsProvablyNotSent(t *testing.T) {
	t.Parallel()
	a := newClient(t, "http://dialer.invalid", nil, 10*time.Second).AddLead(t.Context(), aCall())
	require.Equal(t, importer.VerdictRetry, a.Verdict)
	require.False(t, a.Written)
	require.ErrorContains(t, a.Err, "dialer.invalid:80")
}

func TestCancelledBeforeTheFirstByteIsProvablyNotSent(t *testing.T) {
	t.Parallel()
	s := answering(t, page("200 OK", success))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := newClient(t, s.url, nil, 10*time.Second).AddLead(ctx, aCall())
	require.Equal(t, importer.VerdictRetry, a.Verdict)
	require.False(t, a.Written)
	require.ErrorIs(t, a.Err, context.Canceled)
}

func TestCancelledWhileWaitingIsUnknown(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(s *server, conn net.Conn) {
		s.request(bufio.NewReader(conn))
		cancel()
		io.Copy(io.Discard, conn)
	})
	a := newClient(t, s.url, nil, 10*time.Second).AddLead(ctx, aCall())
	require.Equal(t, importer.VerdictUnknown, a.Verdict)
	require.True(t, a.Written)
	require.ErrorIs(t, a.Err, context.Canceled)
}

// A server may close a connection in the very moment in which it is used
// again. Whatever the moment, no request may arrive twice, and what we say
// about it must be true.
func TestDyingKeepAliveConnectionNeverDoublesACall(t *testing.T) {
	t.Parallel()
	for name, die := range map[string]func(s *server, conn net.Conn, r *bufio.Reader){
		"closed at once":             func(*server, net.Conn, *bufio.Reader) {},
		"reset at once":              func(_ *server, conn net.Conn, _ *bufio.Reader) { conn.(*net.TCPConn).SetLinger(0) },
		"closed on the next byte":    func(_ *server, _ net.Conn, r *bufio.Reader) { r.Peek(1) },
		"closed on the next request": func(s *server, _ net.Conn, r *bufio.Reader) { s.request(r) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(s *server, conn net.Conn) {
				r := bufio.NewReader(conn)
				if _, ok := s.request(r); !ok {
					return
				}
				io.WriteString(conn, page("429 Too Many Requests", ""))
				die(s, conn, r)
			})
			c := newClient(t, s.url, nil, 10*time.Second)
			answers := map[string]importer.Answer{}
			for i := range 200 {
				call := aCall()
				call.Lead.PhoneNumber = strconv.Itoa(3055550000 + i)
				answers[call.Lead.PhoneNumber] = c.AddLead(t.Context(), call)
			}
			arrived := map[string]int{}
			for _, form := range s.seen() {
				arrived[form.Get("phone_number")]++
			}
			for phone, a := range answers {
				require.LessOrEqual(t, arrived[phone], 1, "a call arrived twice")
				switch {
				case a.Reason == ReasonDialerBusy:
					require.Equal(t, 1, arrived[phone])
				case a.Verdict == importer.VerdictRetry:
					require.Zero(t, arrived[phone], "it was said not to be sent: %v", a.Err)
					require.False(t, a.Written)
				default:
					require.Equal(t, importer.VerdictUnknown, a.Verdict, "%v", a.Err)
					require.True(t, a.Written)
				}
			}
		})
	}
}

// failingConn accepts nothing.
type failingConn struct{ net.Conn }

func (failingConn) Write([]byte) (int, error) { return 0, errors.New("dead") }

// shortConn accepts one byte.
type shortConn struct{ net.Conn }

func (shortConn) Write([]byte) (int, error) { return 1, errors.New("dead") }

func TestOnlyBytesThatMayHaveLeftCount(t *testing.T) {
	t.Parallel()
	for conn, want := range map[net.Conn]bool{failingConn{}: false, shortConn{}: true} {
		counting := &countingConn{Conn: conn}
		var sent tracker
		sent.gotConn(httptrace.GotConnInfo{Conn: counting})
		require.False(t, sent.written())
		_, err := counting.Write([]byte("xyz"))
		require.Error(t, err)
		require.Equal(t, want, sent.written())
		sent.gotConn(httptrace.GotConnInfo{Conn: &countingConn{Conn: conn}}) // the transport tries another connection
		require.Equal(t, want, sent.written())
	}
}

func TestProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	proxy := answering(t, page("200 OK", success))
	t.Setenv("HTTP_PROXY", proxy.url)
	c := newClient(t, "http://192.0.2.1", nil, 50*time.Millisecond)
	a := c.AddLead(t.Context(), aCall())
	require.Equal(t, importer.VerdictRetry, a.Verdict)
	require.Empty(t, proxy.seen())
}
