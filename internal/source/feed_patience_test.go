package source_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pkg/sftp"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"importer/internal/importer"
	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// The waits below are of a clock that waits for nobody. No connection may be
// open meanwhile: that clock stands still while something is read from one.

// closedDoor refuses connections to a server until it is opened.
func closedDoor(t *testing.T, far sourcetest.Login) (near sourcetest.Login, open func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	door := os.NewFile(uintptr(fd), "door")
	// It has a port, which nobody else gets, but nobody listens there.
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	knock, opened := make(chan struct{}), make(chan error)
	var all sync.WaitGroup
	all.Go(func() {
		defer door.Close()
		if _, ok := <-knock; !ok {
			return
		}
		err := syscall.Listen(fd, 10)
		listener, errListener := net.FileListener(door)
		opened <- errors.Join(err, errListener)
		if errListener != nil {
			return
		}
		defer listener.Close()
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", net.JoinHostPort(far.Host, strconv.Itoa(far.Port)))
		if err != nil {
			conn.Close()
			return
		}
		all.Go(func() {
			io.Copy(server, conn)
			server.Close()
		})
		io.Copy(conn, server)
		conn.Close()
	})
	t.Cleanup(func() {
		close(knock)
		all.Wait()
	})
	near = far
	near.Port = bound.(*syscall.SockaddrInet4).Port
	return near, func() {
		knock <- struct{}{}
		require.NoError(t, <-opened)
	}
}

func TestAServerThatRefusesConnectionsForAMomentIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	content := lay(t, dir, "a.csv", random(1000))
	near, open := closedDoor(t, sourcetest.SSHD(t))
	o := sftpOptions(near)
	o.Folder = dir
	p, err := source.NewSFTP(o)
	require.NoError(t, err)
	f := newFeed(t, p)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		go func() {
			time.Sleep(2 * time.Second) // the second knock comes after one, the third after three
			open()
		}()
		file := theOnly(t, f)
		require.WithinRange(t, time.Now(), began.Add(2400*time.Millisecond), began.Add(3600*time.Millisecond))
		requireTaken(t, f, file, content)
		require.NoError(t, p.Close())
	})
}

func TestAServerThatRefusesConnectionsIsGivenUp(t *testing.T) {
	t.Parallel()
	near, _ := closedDoor(t, sourcetest.SSHD(t))
	f := newFeed(t, newSFTP(t, sftpOptions(near)))
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := f.Look(t.Context(), nothingTaken)
		require.EqualError(t, err, "127.0.0.1:"+strconv.Itoa(near.Port)+": the connection was refused: check host and port, and that the server runs")
		require.WithinRange(t, time.Now(), began.Add(5600*time.Millisecond), began.Add(8400*time.Millisecond), "1, 2 and 4 s")
	})
}

// plainWeb is a web server without TLS.
func plainWeb(t *testing.T, h http.HandlerFunc) (source.HTTPSOptions, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return source.HTTPSOptions{URL: s.URL + "/leads.csv", Timeout: 20 * time.Second}, &asked
}

func TestAWebServersWishToBeLeftAloneIsHeededWithinReason(t *testing.T) {
	t.Parallel()
	for after, waits := range map[string][2]time.Duration{
		"":       {5600 * time.Millisecond, 8400 * time.Millisecond},
		"0":      {5600 * time.Millisecond, 8400 * time.Millisecond},
		"30":     {90 * time.Second, 90 * time.Second},
		"86400":  {3 * time.Minute, 3 * time.Minute},
		"absurd": {5600 * time.Millisecond, 8400 * time.Millisecond},
	} {
		for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
			o, asked := plainWeb(t, func(w http.ResponseWriter, _ *http.Request) {
				if after != "" {
					w.Header().Set("Retry-After", after)
				}
				w.WriteHeader(status)
			})
			p := newHTTPS(t, o)
			f := newFeed(t, p)
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				_, err := f.Look(t.Context(), nothingTaken)
				require.ErrorContains(t, err, strconv.Itoa(status))
				require.WithinRange(t, time.Now(), began.Add(waits[0]), began.Add(waits[1]), after)
			})
			require.EqualValues(t, 4, asked.Load(), after)
		}
	}
}

func TestAWebServerThatComesBackGivesItsFile(t *testing.T) {
	t.Parallel()
	var left atomic.Int64
	left.Store(2)
	o, asked := plainWeb(t, func(w http.ResponseWriter, _ *http.Request) {
		if left.Add(-1) >= 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Write([]byte("phone\n"))
	})
	f := newFeed(t, newHTTPS(t, o))
	synctest.Test(t, func(t *testing.T) { requireTaken(t, f, theOnly(t, f), []byte("phone\n")) })
	require.EqualValues(t, 3, asked.Load())
}

func TestAWaitEndsWhenNobodyWantsItAnyMore(t *testing.T) {
	t.Parallel()
	o, asked := plainWeb(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	f := newFeed(t, newHTTPS(t, o))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		began := time.Now()
		_, err := f.Look(ctx, nothingTaken)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "the server has a fault (status 502)", "what it waited for is told")
		require.Equal(t, time.Second/2, time.Since(began))
	})
	require.EqualValues(t, 1, asked.Load())
}

// Accounts are locked after some refused logins. Nor is anything else tried
// again that a person must change first. Fault 40.
func TestWhatOnlyAPersonCanChangeIsTriedOnce(t *testing.T) {
	t.Parallel()
	var logins atomic.Int64
	refusing := (&sourcetest.Server{Config: func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			logins.Add(1)
			return nil, errors.New("unknown key")
		}
		c.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
			logins.Add(1)
			return nil, errors.New("wrong password")
		}
	}}).Start(t)
	for what, change := range map[string]func(o *source.SFTPOptions){
		"a key":      func(*source.SFTPOptions) {},
		"a password": func(o *source.SFTPOptions) { o.Key, o.Password = nil, func() string { return "Guess1" } },
	} {
		logins.Store(0)
		o := sftpOptions(refusing.Login)
		change(&o)
		_, err := newFeed(t, newSFTP(t, o)).Look(t.Context(), nothingTaken)
		require.ErrorContains(t, err, "the server refused the login of vendor: check user", what)
		require.EqualValues(t, 1, logins.Load(), what)
	}

	sshd := sourcetest.SSHD(t)
	for says, change := range map[string]func(o *source.SFTPOptions){
		"there is no folder /nowhere for the login":          func(o *source.SFTPOptions) { o.Folder = "/nowhere" },
		"which is not known yet: compare the fingerprint":    func(o *source.SFTPOptions) { o.Fingerprints = nil },
		"the server refused the login of " + sshd.User + ":": func(o *source.SFTPOptions) { o.Key = aKey(t, "") },
	} {
		var line sourcetest.Line
		o := sftpOptions(line.To(t, sshd))
		change(&o)
		_, err := newFeed(t, newSFTP(t, o)).Look(t.Context(), nothingTaken)
		require.ErrorContains(t, err, says)
		require.EqualValues(t, 1, line.Connections(), says)
	}

	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		o, asked := plainWeb(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		_, err := newFeed(t, newHTTPS(t, o)).Look(t.Context(), nothingTaken)
		require.ErrorContains(t, err, strconv.Itoa(status))
		require.EqualValues(t, 1, asked.Load(), status)
	}
}

// A server may say no more than that something failed, such as of a file that
// somebody has locked. The others are taken.
func TestAFileThatItsPlaceFailsToGiveKeepsNoOtherBack(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	contents := map[string][]byte{"a.csv": lay(t, dir, "a.csv", "1"), "b.csv": lay(t, dir, "b.csv", "2")}
	s := (&sourcetest.Server{Before: func(method, name string) error {
		if method == "Get" && strings.HasSuffix(name, "a.csv") {
			return sftp.ErrSSHFxFailure
		}
		return nil
	}}).Start(t)
	_, locked := fetch(t, sftpAt(t, s.Login, dir), listed(t, dir, "a.csv"))
	require.ErrorContains(t, locked, "reading a.csv: the server refused without a reason (status 4)")
	for _, times := range []int{3, 4} {
		p := &failing{Place: openDirectory(t, dir), name: "a.csv", err: locked, times: times}
		f := newFeed(t, p)
		synctest.Test(t, func(t *testing.T) {
			files := fresh(t, f)
			_, err := f.Take(t.Context(), files[0])
			require.Equal(t, 4, p.asked)
			if times == 4 {
				require.ErrorIs(t, err, importer.ErrRefused)
				require.ErrorIs(t, err, locked)
				require.Empty(t, names(t, f.Spool))
			} else {
				require.NoError(t, err)
			}
			requireTaken(t, f, files[1], contents["b.csv"])
		})
	}
}

// Where the whole place is out of reach, no file fares better.
func TestAPlaceThatIsLostWhileAFileIsFetchedEndsThePass(t *testing.T) {
	t.Parallel()
	dir := sourcetest.Dir(t)
	lay(t, dir, "a.csv", "1")
	near, _ := closedDoor(t, sourcetest.SSHD(t))
	o := sftpOptions(near)
	o.Timeout = 4 * time.Second
	_, lost := fetch(t, newSFTP(t, o), named("a.csv"))
	require.ErrorContains(t, lost, "the connection was refused")
	f := newFeed(t, &failing{Place: openDirectory(t, dir), name: "a.csv", err: lost, times: 100})
	synctest.Test(t, func(t *testing.T) {
		_, err := f.Take(t.Context(), theOnly(t, f))
		require.ErrorIs(t, err, lost)
		require.NotErrorIs(t, err, importer.ErrRefused)
		require.NotErrorIs(t, err, importer.ErrNotYet)
		require.Empty(t, names(t, f.Spool))
	})
}
