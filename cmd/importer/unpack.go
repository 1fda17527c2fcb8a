package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"importer/internal/config"
	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
)

// unpacking says how a feed's files are unpacked. What must be seen whole is
// put into folder meanwhile.
func (a *app) unpacking(name string, feed config.Feed, folder string) (container.Options, error) {
	if err := a.needs("feeds." + name + ".pgp"); err != nil {
		return container.Options{}, err
	}
	o := container.Options{TempDir: folder, Say: a.tell}
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

// sorter tells the texts that hold contacts from what comes along with them in
// an archive or a workbook: a readme, a picture, a sheet with sums.
type sorter struct {
	options dropfile.Options
	within  []string // of the text at hand
	texts   []string // names, in their order
	without []int    // which of them hold no contacts
}

// sorting makes a sorter of the texts that are unpacked with o from now on.
func sorting(o *container.Options, options dropfile.Options) *sorter {
	s := &sorter{options: options}
	o.Within = func(containers []string) { s.within = slices.Clone(containers) }
	return s
}

// look looks at a text and returns it whole.
func (s *sorter) look(name string, text io.Reader) io.Reader {
	s.texts = append(s.texts, name)
	if !slices.Contains(s.within, "zip") && !slices.Contains(s.within, "xlsx") {
		return text // it came alone
	}
	const enough = 256 << 10
	b := bufio.NewReaderSize(text, enough)
	begin, err := b.Peek(enough)
	if (err == nil || errors.Is(err, io.EOF)) && !dropfile.HoldsContacts(bytes.NewReader(begin), s.options) {
		s.without = append(s.without, len(s.texts)-1)
	}
	return b
}

// leftOut are the numbers of the texts without contacts, once all were looked
// at; none, when there is no other.
func (s *sorter) leftOut() []int {
	if len(s.without) == len(s.texts) {
		return nil
	}
	return s.without
}

// holds tells whether the last text holds contacts.
func (s *sorter) holds() bool { return !slices.Contains(s.without, len(s.texts)-1) }

func (sh *shell) sayLeftOut(name string) {
	sh.tell(name + " holds no contacts and was left out")
}

// input is a file, or standard input, that can be read from anywhere.
type input struct {
	*os.File
	name string // for people
	size int64
}

// openInput opens a file; - is standard input.
func (sh *shell) openInput(file string) (in input, err error) {
	if file == "-" {
		in.File, err = keep(sh.in)
		file = "standard input"
	} else {
		in.File, err = openFile(file)
	}
	if err != nil {
		return in, err
	}
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file: name one with contacts", file)
	} else if err != nil {
		err = fmt.Errorf("cannot read the file: %w", err)
	}
	if err != nil {
		return in, errors.Join(err, in.Close())
	}
	in.name, in.size = file, info.Size()
	return in, nil
}

func openFile(name string) (*os.File, error) {
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s: check the name and the folder", name)
	case err != nil:
		return nil, fmt.Errorf("cannot read the file: %w", err)
	}
	return f, nil
}

// keep copies a stream to a file without a name: containers are read from their
// ends, and texts sometimes twice.
func keep(r io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "importer-*")
	if err != nil {
		return nil, fmt.Errorf("keeping what is read: %w", err)
	}
	_, err = io.Copy(f, r)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err := errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
