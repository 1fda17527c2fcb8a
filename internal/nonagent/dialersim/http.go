package dialersim

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// APIPath is where the Non-Agent API answers.
const APIPath = "/vicidial/non_agent_api.php"

// Header values are shared between answers and therefore never changed in place.
var (
	serverName = []string{"Apache/2.4.71 (Debian)"}
	noCache    = []string{"no-cache, must-revalidate"}
	pragma     = []string{"no-cache"}
	varies     = []string{"Accept-Encoding"}
	plainType  = []string{"text/html; charset=utf-8"}
	earlyType  = []string{"text/html; charset=UTF-8"} // where the script died before its own header
	pageType   = []string{"text/html; charset=iso-8859-1"}
	closes     = []string{"close"}
	gzipped    = []string{"gzip"}
)

// ServeHTTP answers the Non-Agent API, and the addresses that people take for it.
func (d *Dialer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Server"] = serverName
	switch {
	case len(r.Method)+len(r.RequestURI)+len(" HTTP/1.1")+1 > maxLine:
		page(w, http.StatusRequestURITooLong, "Request-URI Too Long",
			"The requested URL's length exceeds the capacity\nlimit for this server.<br />\n")
	case r.URL.Path == APIPath:
		d.serveAPI(w, r)
	case r.URL.Path == "/agc/api.php":
		// The Agent API, which has no add_lead. Not recorded.
		w.Header()["Content-Type"] = plainType
		_, _ = io.WriteString(w, "ERROR: NO FUNCTION SPECIFIED\n")
	case r.URL.Path == "/vicidial/admin.php":
		// Not recorded.
		w.Header().Set("WWW-Authenticate", `Basic realm="CONTACT-CENTER-ADMIN"`)
		page(w, http.StatusUnauthorized, "Unauthorized", "Login required.\n")
	default:
		page(w, http.StatusNotFound, "Not Found", "The requested URL was not found on this server.")
	}
}

// page writes one of Apache's own pages.
func page(w http.ResponseWriter, status int, title, text string) {
	w.Header()["Content-Type"] = pageType
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
<html><head>
<title>`+strconv.Itoa(status)+" "+title+`</title>
</head><body>
<h1>`+title+`</h1>
<p>`+text+`</p>
</body></html>
`)
}

func (d *Dialer) serveAPI(w http.ResponseWriter, r *http.Request) {
	f, err := readForm(r)
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone, and with it what it meant
	}
	req := &Request{Function: filter(f.get("function"), dashedWord, false), form: &f}
	req.Number, req.Nth = d.desk.arrive(req.Function)
	if !d.desk.enter(req.Function) {
		panic(http.ErrAbortHandler)
	}
	late := false
	defer func() {
		if !late {
			d.desk.leave(req.Function)
		}
	}()

	fault := d.faultOf(req)
	if !d.desk.sleep(fault.Delay) {
		panic(http.ErrAbortHandler)
	}
	resp := &Response{Status: http.StatusOK, Header: http.Header{"Content-Type": plainType}}
	if !fault.Skip && fault.Late == 0 {
		resp = d.execute(r, req)
	}
	if fault.Answer != nil {
		fault.Answer(resp)
	}
	if !fault.Skip && fault.Late > 0 {
		late = true
		go func() {
			defer d.desk.leave(req.Function)
			if d.desk.sleep(fault.Late) {
				d.execute(r, req)
			}
		}()
	}
	write(w, r, resp)
}

// write sends an answer. What the client does with it is no concern of the dialer's.
func write(w http.ResponseWriter, r *http.Request, resp *Response) {
	if resp.Drop {
		panic(http.ErrAbortHandler)
	}
	header := w.Header()
	for name, value := range resp.Header {
		header[name] = value
	}
	body := resp.Body
	if resp.Status == http.StatusOK && resp.Truncate == 0 && header["Content-Encoding"] == nil &&
		strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = compress(body)
		header["Content-Encoding"] = gzipped
	}
	if header["Content-Length"] == nil {
		header["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(resp.Status)
	if resp.Truncate > 0 && resp.Truncate < len(body) {
		_, _ = w.Write(body[:resp.Truncate])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // no such level: a constant is wrong
	}
	return w
}}

func compress(body []byte) []byte {
	var b bytes.Buffer
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	w.Reset(&b)
	_, _ = w.Write(body) // into memory: it cannot fail
	_ = w.Close()
	return b.Bytes()
}
