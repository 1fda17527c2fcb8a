package source_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile/container"
	"importer/internal/importer"
	"importer/internal/source"
	"importer/internal/source/sourcetest"
)

// BenchmarkTakeOverALongLine takes a file of 200 MB from OpenSSH with a round
// trip of 20 ms: it is fetched, unpacked, hashed and on the disk. The target is
// 40 MB/s; heap-MB is what Take adds at most.
func BenchmarkTakeOverALongLine(b *testing.B) {
	const size = 200_000_000
	dir := sourcetest.Dir(b)
	layLeads(b, filepath.Join(dir, "a.csv"), size)
	line := &sourcetest.Line{Delay: 10 * time.Millisecond}
	o := sftpOptions(line.To(b, sourcetest.SSHD(b)))
	o.Folder = dir
	p, err := source.NewSFTP(o)
	require.NoError(b, err)
	defer p.Close()
	f := newFeed(b, p)
	f.Unpack = func(file io.ReaderAt, size int64, name string, put func(string, io.Reader) error) ([]int, error) {
		return nil, container.Unpack(file, size, name, container.Options{TempDir: f.Spool.Dir}, put)
	}
	files, err := f.Look(b.Context(), nothingTaken)
	require.NoError(b, err)

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
		drops, err := f.Take(b.Context(), files[0])
		require.NoError(b, err)
		require.NoError(b, f.Spool.Remove(drops[0].Drop.SHA256))
	}
	close(stop)
	<-stopped
	b.ReportMetric(float64(most-min(most, before))/1e6, "heap-MB")
}

// layLeads makes a file of so many bytes, in lines of invented leads.
func layLeads(b *testing.B, name string, size int64) {
	b.Helper()
	file, err := os.Create(name)
	require.NoError(b, err)
	w := bufio.NewWriterSize(file, 1<<20)
	for i, n := 0, int64(0); n < size; i++ {
		line := fmt.Sprintf("305555%04d,Ann %d,Example,%d Main Street,Miami,FL,33101,ann%d@example.com\n", i%200+100, i, i, i)
		line = line[:min(int64(len(line)), size-n)]
		n += int64(len(line))
		w.WriteString(line)
	}
	require.NoError(b, w.Flush())
	require.NoError(b, file.Close())
	require.NoError(b, os.Chmod(name, 0o644))
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

var _ = importer.File{}
