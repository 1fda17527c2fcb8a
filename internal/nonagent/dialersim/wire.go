package dialersim

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// write sends an answer. What the client does with it is no concern of the
// dialer's. It is paced until over.
func (d *Dialer) write(w http.ResponseWriter, r *http.Request, resp *Response, over <-chan struct{}) {
	if resp.Drop {
		hangUp(w, resp.Reset)
	}
	header := w.Header()
	for name, value := range resp.Header {
		header[name] = value
	}
	if resp.Blanks > 0 {
		w.WriteHeader(resp.Status)
		writeBlanks(w, resp.Blanks, header["Content-Encoding"] != nil)
		return
	}
	body := resp.Body
	if resp.Status == http.StatusOK && resp.Truncate == 0 && resp.Misstate == 0 && header["Content-Encoding"] == nil &&
		strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = compress(body)
		header["Content-Encoding"] = gzipped
	}
	announced := max(len(body)+resp.Misstate, 0)
	if header["Content-Length"] == nil {
		header["Content-Length"] = []string{strconv.Itoa(announced)}
	}
	w.WriteHeader(resp.Status)
	switch {
	case resp.Truncate != 0 && resp.Truncate < len(body):
		_, _ = w.Write(body[:max(resp.Truncate, 0)])
		_ = http.NewResponseController(w).Flush()
		hangUp(w, resp.Reset)
	case resp.Pace > 0:
		d.trickle(w, body, resp, over)
	case announced < len(body):
		_, _ = w.Write(body[:announced])
		_ = http.NewResponseController(w).Flush()
		writeBeyond(w, body[announced:])
	default:
		_, _ = w.Write(body)
	}
}

// hangUp ends the connection.
func hangUp(w http.ResponseWriter, reset bool) {
	if reset {
		if conn := takeOver(w); conn != nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // Close resets then
			}
			conn.Close()
		}
	}
	panic(http.ErrAbortHandler)
}

// takeOver takes the connection from the HTTP server; nil where there is none.
func takeOver(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	return conn
}

// writeBeyond writes what the header did not announce, which the HTTP server
// would not do.
func writeBeyond(w http.ResponseWriter, rest []byte) {
	if conn := takeOver(w); conn != nil {
		_, _ = conn.Write(rest)
		conn.Close()
	}
}

// trickle sends a body byte by byte.
func (d *Dialer) trickle(w http.ResponseWriter, body []byte, resp *Response, over <-chan struct{}) {
	control := http.NewResponseController(w)
	_ = control.Flush()
	for i := range body {
		if !d.desk.sleep(resp.Pace, over) {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(body[i : i+1]); err != nil || control.Flush() != nil {
			return // nobody listens
		}
	}
}

// writeBlanks sends n blanks, as long as somebody takes them.
func writeBlanks(w io.Writer, n int64, zip bool) {
	if zip {
		z := gzipWriters.Get().(*gzip.Writer)
		defer gzipWriters.Put(z)
		z.Reset(w)
		w = z
		defer func() { _ = z.Close() }()
	}
	_, _ = io.CopyN(w, blanks{}, n)
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // no such level: a constant is wrong
	}
	return w
}}

func compress(body []byte) []byte {
	var b bytes.Buffer
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	w.Reset(&b)
	_, _ = w.Write(body) // into memory: it cannot fail
	_ = w.Close()
	return b.Bytes()
}
