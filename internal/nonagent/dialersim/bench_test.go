package dialersim_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// BenchmarkAddLead sends add_leads over eight kept-alive connections by a bare
// HTTP/1.1 writer within this process. `-cpu 1` makes server and client share
// one core; what it shows is the sum of both.
func BenchmarkAddLead(b *testing.B) {
	s, err := dialersim.Start(dialersim.Options{Password: "secret"})
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Close()) }()
	at, err := url.Parse(s.URL())
	require.NoError(b, err)

	var next atomic.Int64
	var clients sync.WaitGroup
	b.ResetTimer()
	b.ReportAllocs()
	for range 8 {
		clients.Go(func() {
			if err := sendLeads(at.Host, &next, int64(b.N)); err != nil {
				b.Error(err)
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	require.Equal(b, b.N, s.Len())
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leads/s")
}

// sendLeads is one connection's work: the next lead as long as there is one.
func sendLeads(host string, next *atomic.Int64, last int64) error {
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	var request []byte
	for n := next.Add(1); n <= last; n = next.Add(1) {
		body := "source=importer&user=importer&pass=secret&function=add_lead&list_id=101&phone_code=1&phone_number=" +
			strconv.FormatInt(2_000_000_000+n, 10) + "&first_name=Ann&last_name=Lee&address1=1+Main+Street&city=Miami&state=FL" +
			"&postal_code=33101&email=ann%40example.com&comments=called+in&source_id=RABCDEFGHIJKLMNOP-1&zz=1"
		request = fmt.Appendf(request[:0], "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
			"Content-Length: %d\r\n\r\n%s", dialersim.APIPath, host, len(body), body)
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if err := readAnswer(answers); err != nil {
			return err
		}
	}
	return nil
}

func readAnswer(r *bufio.Reader) error {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if value, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return err
			}
		}
		if len(line) == 2 {
			break
		}
	}
	body, err := r.Peek(length)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(body), "SUCCESS") {
		return fmt.Errorf("%s: %s", http.StatusText(http.StatusInternalServerError), body)
	}
	_, err = r.Discard(length)
	return err
}
