package dropfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// window holds the part of the file that is being looked at, so that a record
// has a limit and an unclosed quote neither eats memory nor the records behind
// it.
type window struct {
	r     io.Reader
	buf   []byte
	start int   // of what is not used up yet
	end   int   // of what was read
	err   error // what ended the reading
	max   int   // bytes a record may have
	ends  RecordEnd
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

// bytes returns what stands between two places behind the window's start.
func (w *window) bytes(from, to int) []byte { return w.buf[w.start+from : w.start+to] }

// lineEnd returns where the line ends that begins from bytes behind the
// window's start, its line break included. Returns io.EOF when there is none,
// and errTooLong when the line ends beyond the longest record.
func (w *window) lineEnd(from int) (int, error) {
	seen := from
	for {
		if n := breakAfter(w.buf[w.start+seen:w.end], w.ends, w.err != nil); n > 0 {
			if seen+n > w.max+2 {
				return 0, errTooLong
			}
			return seen + n, nil
		}
		// A carriage return at the end may have its line feed behind it.
		seen = max(from, w.end-w.start-1)
		switch {
		case w.end-w.start > w.max+2:
			return 0, errTooLong
		case w.err == nil:
			w.fill()
		case w.failure() != nil:
			return 0, w.failure()
		case w.end-w.start > from:
			return w.end - w.start, nil
		default:
			return 0, io.EOF
		}
	}
}

// breakAfter returns how many bytes a line has, its break included; 0 when its
// end is not in sight.
func breakAfter(text []byte, ends RecordEnd, last bool) int {
	switch ends {
	case CRLF:
		for from := 0; ; {
			i := bytes.IndexByte(text[from:], '\n')
			if i < 0 {
				return 0
			}
			if from += i + 1; from > 1 && text[from-2] == '\r' {
				return from
			}
		}
	case CR, Mixed:
		i := bytes.IndexAny(text, "\r\n") // whichever comes first
		switch {
		case i < 0 || text[i] == '\n':
			return i + 1
		case i+1 < len(text) && text[i+1] == '\n':
			return i + 2
		case i+1 < len(text) || last:
			return i + 1
		default: // a line feed may follow
			return 0
		}
	default:
		return bytes.IndexByte(text, '\n') + 1
	}
}

// failure is the error that ended the reading, unless it was the file's end.
func (w *window) failure() error {
	if w.err == nil || errors.Is(w.err, io.EOF) {
		return nil
	}
	return fmt.Errorf("reading the file: %w", w.err)
}

// withoutBreak returns a line without its break.
func withoutBreak(line []byte) []byte {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		n--
	}
	for n > 0 && line[n-1] == '\r' {
		n--
	}
	return line[:n]
}

// findEnds tells what ends a sample's records: what the window must look for
// (a line feed has a carriage return before it or not), and what people call it.
func findEnds(sample []byte) (look, called RecordEnd) {
	crlf := bytes.Count(sample, []byte("\r\n"))
	lf := bytes.Count(sample, []byte{'\n'}) - crlf
	cr := bytes.Count(sample, []byte{'\r'}) - crlf
	if bytes.HasSuffix(sample, []byte{'\r'}) && crlf > 0 {
		cr-- // of a pair that the sample's end cuts
	}
	switch {
	case cr > 0 && lf+crlf == 0:
		return CR, CR
	case cr > 1 && cr*10 > lf+crlf:
		return Mixed, Mixed
	case crlf > 0 && lf*10 > crlf:
		return LF, Mixed
	case crlf > 0:
		return LF, CRLF
	default:
		return LF, LF
	}
}
