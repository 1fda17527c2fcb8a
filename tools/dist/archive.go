package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one in an archive.
type file struct {
	name string      // in the archive, below its folder
	path string      // where its bytes are
	mode fs.FileMode // in the archive, whatever the umask here is
}

// pack writes an archive of files, all in one folder, and returns its sum. The
// bytes depend on the names, modes and bytes of the files and on the time alone.
func pack(to, folder string, at time.Time, files []file) (string, error) {
	files = slices.SortedFunc(slices.Values(files), func(a, b file) int { return strings.Compare(a.name, b.name) })
	var packed bytes.Buffer
	gz, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	tw := tar.NewWriter(gz)
	for _, f := range files {
		text, err := os.ReadFile(f.path)
		if err != nil {
			return "", err
		}
		h := &tar.Header{Name: path.Join(folder, filepath.ToSlash(f.name)), Mode: int64(f.mode), Size: int64(len(text)), ModTime: at, Format: tar.FormatUSTAR}
		if err := tw.WriteHeader(h); err != nil {
			return "", err
		}
		if _, err := tw.Write(text); err != nil {
			return "", err
		}
	}
	if err := errors.Join(tw.Close(), gz.Close()); err != nil {
		return "", err
	}
	return sumOf(packed.Bytes()), os.WriteFile(to, packed.Bytes(), 0o644) //nolint:gosec // it is for everybody
}
