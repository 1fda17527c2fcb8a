package source_test

import (
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// BenchmarkSFTPOverALongLine fetches 200 MB from OpenSSH with a round trip of
// 20 ms. The target is 40 MB/s; heap-MB is what Fetch adds at most.
func BenchmarkSFTPOverALongLine(b *testing.B) {
	const size = 200_000_000
	dir := sourcetest.Dir(b)
	name := filepath.Join(dir, "a.csv")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.CopyN(f, rand.Reader, size); err != nil {
		b.Fatal(err)
	}
	f.Close()
	os.Chmod(name, 0o644)
	line := &sourcetest.Line{Delay: 10 * time.Millisecond}
	o := sftpOptions(line.To(b, sourcetest.SSHD(b)))
	o.Folder = dir
	p, err := source.NewSFTP(o)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	files, err := p.List(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	to, err := os.CreateTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer to.Close()

	runtime.GC()
	before := heap()
	var most uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				most = max(most, heap())
			}
		}
	}()
	b.SetBytes(size)
	for b.Loop() {
		if err := to.Truncate(0); err != nil {
			b.Fatal(err)
		}
		if err := p.Fetch(b.Context(), files[0], to); err != nil {
			b.Fatal(err)
		}
	}
	close(stop)
	<-stopped
	b.ReportMetric(float64(most-min(most, before))/1e6, "heap-MB")
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
