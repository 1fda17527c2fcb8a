package dialersim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server is a dialer that listens.
type Server struct {
	*Dialer
	http   *http.Server
	addr   net.Addr
	served chan error
}

// Start makes a dialer and serves it at o.Address.
func Start(o Options) (*Server, error) {
	address := cmp.Or(o.Address, "127.0.0.1:0")
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the simulated dialer cannot listen on %s, choose another address: %w", address, err)
	}
	d := New(o)
	s := &Server{
		Dialer: d,
		http:   &http.Server{Handler: d, ReadHeaderTimeout: time.Minute, IdleTimeout: keepAlive},
		addr:   listener.Addr(),
		served: make(chan error, 1),
	}
	go func() { s.served <- s.http.Serve(listener) }()
	return s, nil
}

// keepAlive is Apache's KeepAliveTimeout.
const keepAlive = 5 * time.Second

// URL is the address of the Non-Agent API.
func (s *Server) URL() string { return "http://" + s.addr.String() + APIPath }

// Close ends every connection and waits for the requests in service, whose
// delays it cuts short: what they had not executed by then they never do.
func (s *Server) Close() error {
	err := s.http.Close()
	s.desk.stop()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
