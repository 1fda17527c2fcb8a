//go:build crashpoints

package crashpoint

import (
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable names where to stop: a point and the how manieth time that it is
// reached, such as "armed:3".
const Variable = "IMPORTER_CRASHPOINT"

var (
	armed     Point
	countdown atomic.Int64
)

func init() {
	point, nth, ok := strings.Cut(os.Getenv(Variable), ":")
	if !ok {
		return
	}
	n, err := strconv.ParseInt(nth, 10, 64)
	if err != nil {
		panic(Variable + ": " + err.Error())
	}
	armed = Point(point)
	countdown.Store(n)
}

// Reach stops the whole process, as SIGSTOP does, if this is where it shall
// stop. Its parent learns of it by waiting, and may kill it or let it go on.
func Reach(p Point) {
	if p != armed || countdown.Add(-1) != 0 {
		return
	}
	// The signal may take a moment to reach every thread: this one goes on only
	// when it is told to.
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, syscall.SIGCONT)
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		panic(err)
	}
	<-goOn
}

// Conn returns conn with points in the middle and at the end of each write,
// which is one request.
func Conn(conn net.Conn) net.Conn { return halving{conn} }

type halving struct{ net.Conn }

func (h halving) Write(p []byte) (int, error) {
	half, err := h.Conn.Write(p[:len(p)/2])
	if err != nil {
		return half, err
	}
	Reach(HalfRequest)
	rest, err := h.Conn.Write(p[half:])
	Reach(WholeRequest)
	return half + rest, err
}
