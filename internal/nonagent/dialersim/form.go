package dialersim

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

const (
	// maxPost is PHP's post_max_size: PHP discards the fields of a larger body.
	maxPost = 48 << 20
	// maxPacket is MariaDB's max_allowed_packet, which the statement that logs
	// the request must fit into.
	maxPacket = 16 << 20
	// maxLine is Apache's LimitRequestLine.
	maxLine = 8190
)

type param struct{ name, value string }

// form is a request's parameters as PHP sees them.
type form struct {
	query, body []param
	rawQuery    string
	size        int // of the body, bytes
}

// get is a parameter's value: the query string's wins, the last of a name counts.
func (f *form) get(name string) string {
	for _, list := range [2][]param{f.query, f.body} {
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].name == name {
				return list[i].value
			}
		}
	}
	return ""
}

// readForm reads a request's parameters. An error: the client broke off within
// the body.
func readForm(r *http.Request) (form, error) {
	f := form{rawQuery: r.URL.RawQuery, query: parseParams(r.URL.RawQuery)}
	if r.Method != http.MethodPost {
		return f, nil
	}
	body, err := readBody(r)
	if err != nil {
		return f, err
	}
	f.size = len(body)
	if f.size > maxPost {
		return f, nil
	}
	kind, details, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil: // no form of any kind: PHP reads nothing
	case kind == "application/x-www-form-urlencoded":
		f.body = parseParams(string(body))
	case kind == "multipart/form-data":
		f.body = parseParts(string(body), details["boundary"])
	}
	return f, nil //nolint:nilerr // PHP does not mind either
}

func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength >= 0 && r.ContentLength <= 64<<10 {
		body := make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, body)
		return body, err
	}
	return io.ReadAll(io.LimitReader(r.Body, maxPost+1))
}

func parseParams(s string) []param {
	if s == "" {
		return nil
	}
	list := make([]param, 0, strings.Count(s, "&")+1)
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		list = append(list, param{unquote(name), unquote(value)})
	}
	return list
}

// parseParts reads the parts in their order. PHP keeps those before the first
// one that it cannot read.
func parseParts(body, boundary string) []param {
	var list []param
	parts := multipart.NewReader(strings.NewReader(body), boundary)
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			return list
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return list
		}
		list = append(list, param{part.FormName(), string(value)})
	}
}

// unquote undoes URL encoding as PHP does: what is no valid escape stays.
func unquote(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0:
			b = append(b, byte(hex(s[i+1])<<4|hex(s[i+2])))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
