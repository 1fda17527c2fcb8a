package container

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// tokens reads an XML part's elements one after the other. Namespaces are not
// looked at: Excel has two sets of them, other programs have their own
// prefixes, and the names suffice.
type tokens struct {
	decoder *xml.Decoder
	r       *bounded
}

// element is the start or the end of an element.
type element struct {
	name  string
	start bool
	attrs []xml.Attr
}

func (e element) attr(name string) string {
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func newTokens(r io.Reader) *tokens {
	b := &bounded{r: transform.NewReader(r, unicode.BOMOverride(transform.Nop))}
	d := xml.NewDecoder(b)
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		if strings.HasPrefix(strings.ToLower(charset), "utf-16") {
			return r, nil // decoded by its byte-order mark
		}
		return nil, fmt.Errorf("it is written in %s, not in UTF-8", charset)
	}
	return &tokens{decoder: d, r: b}
}

// next returns the next start or end of an element; io.EOF at the end.
func (t *tokens) next() (element, error) {
	for {
		token, err := t.raw()
		if err != nil {
			return element{}, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			return element{name: token.Name.Local, start: true, attrs: token.Attr}, nil
		case xml.EndElement:
			return element{name: token.Name.Local}, nil
		}
	}
}

func (t *tokens) raw() (xml.Token, error) {
	t.r.since = 0
	return t.decoder.RawToken()
}

// text reads the text of the element that has just begun, up to its end.
func (t *tokens) text(name string) (string, error) {
	var text strings.Builder
	for {
		token, err := t.raw()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", err
		}
		switch token := token.(type) {
		case xml.CharData:
			if text.Len()+len(token) > maxToken {
				return "", errLong
			}
			text.Write(token)
		case xml.EndElement:
			if token.Name.Local == name {
				return text.String(), nil
			}
		}
	}
}

// bounded stops a token that is longer than any cell, before it fills the
// memory.
type bounded struct {
	r     io.Reader
	since int // bytes read since the last token began
}

const maxToken = 1 << 20

var errLong = fmt.Errorf("a cell is longer than %d bytes", maxToken)

func (b *bounded) Read(p []byte) (int, error) {
	if b.since > maxToken {
		return 0, errLong
	}
	n, err := b.r.Read(p)
	b.since += n
	return n, err
}
