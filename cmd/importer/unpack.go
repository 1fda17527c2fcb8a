package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"importer/internal/config"
	"importer/internal/dropfile/container"
)

// unpacking says how a feed's files are unpacked. What must be seen whole is
// put into folder meanwhile.
func (a *app) unpacking(name string, feed config.Feed, folder string) (container.Options, error) {
	o := container.Options{TempDir: folder, Say: func(s string) { fmt.Fprintln(a.errOut, "importer:", s) }}
	if feed.PGPKeyFile == "" {
		return o, nil
	}
	file, err := os.ReadFile(feed.PGPKeyFile)
	if err != nil {
		return o, fmt.Errorf("reading feeds.%s.pgp_key_file: %w", name, err)
	}
	o.Keys, err = container.ReadKeys(file, feed.PGPPassphrase.Reveal())
	if err != nil {
		return o, usagef("feeds.%s.pgp_key_file %s cannot be used, %w", name, feed.PGPKeyFile, err)
	}
	return o, nil
}

// eachText reads the texts in a file, or in standard input, one after the
// other. A file that cannot be unpacked may be found out behind its last text.
func (sh *shell) eachText(file string, o container.Options, read func(name string, r io.Reader) error) (err error) {
	var f *os.File
	if file == "-" {
		if f, err = sh.keepInput(); err != nil {
			return err
		}
		file = "standard input"
	} else if f, err = os.Open(file); err != nil {
		return fmt.Errorf("cannot read the file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot read the file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file: name one with contacts", file)
	}
	return container.Unpack(f, info.Size(), file, o, read)
}

// keepInput copies standard input to a file without a name: containers are
// read from their ends.
func (sh *shell) keepInput() (*os.File, error) {
	f, err := os.CreateTemp("", "importer-*")
	if err != nil {
		return nil, fmt.Errorf("keeping standard input: %w", err)
	}
	_, err = io.Copy(f, sh.in)
	if err := errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, fmt.Errorf("keeping standard input: %w", errors.Join(err, f.Close()))
	}
	return f, nil
}
