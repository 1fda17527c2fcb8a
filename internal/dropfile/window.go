package dropfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// window holds the part of the file that is being looked at. encoding/csv has
// no limit for a record and cannot go back; the window has both, so that an
// unclosed quotation mark neither eats memory nor the records behind it.
type window struct {
	r     io.Reader
	buf   []byte
	start int   // of what is not used up yet
	end   int   // of what was read
	err   error // what ended the reading
	max   int   // bytes a record may have
}

var errTooLong = errors.New("record too long")

// fill reads more of the file behind what there is.
func (w *window) fill() {
	if w.start > 0 {
		w.end = copy(w.buf, w.buf[w.start:w.end])
		w.start = 0
	}
	if w.end == len(w.buf) {
		w.buf = append(w.buf, make([]byte, max(len(w.buf), 64<<10))...)
	}
	for range 100 {
		n, err := w.r.Read(w.buf[w.end:])
		w.end += n
		if err != nil {
			w.err = err
			return
		}
		if n > 0 {
			return
		}
	}
	w.err = io.ErrNoProgress
}

// peek returns the next bytes of the file, n unless it ends before.
func (w *window) peek(n int) ([]byte, error) {
	for w.end-w.start < n && w.err == nil {
		w.fill()
	}
	return w.buf[w.start:min(w.end, w.start+n)], w.failure()
}

// lineEnd returns where the line ends that begins from bytes behind the
// window's start, its line break included. Returns io.EOF when there is none,
// and errTooLong when the line ends beyond the longest record.
func (w *window) lineEnd(from int) (int, error) {
	seen := from
	for {
		if i := bytes.IndexByte(w.buf[w.start+seen:w.end], '\n'); i >= 0 {
			if seen+i+1 > w.max {
				return 0, errTooLong
			}
			return seen + i + 1, nil
		}
		seen = w.end - w.start
		switch {
		case seen > w.max:
			return 0, errTooLong
		case w.err == nil:
			w.fill()
		case w.failure() != nil:
			return 0, w.failure()
		case seen > from:
			return seen, nil
		default:
			return 0, io.EOF
		}
	}
}

// failure is the error that ended the reading, unless it was the file's end.
func (w *window) failure() error {
	if w.err == nil || errors.Is(w.err, io.EOF) {
		return nil
	}
	return fmt.Errorf("reading the file: %w", w.err)
}
