package dialersim

import (
	"io"
	"net/http"
	"strconv"
	"strings"
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
	case d.control && strings.HasPrefix(r.URL.Path, ControlPath):
		d.serveControl(w, r)
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
	_, _ = io.WriteString(w, pageOf(strconv.Itoa(status)+" "+title, title, text))
}

func pageOf(name, title, text string) string {
	return `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
<html><head>
<title>` + name + `</title>
</head><body>
<h1>` + title + `</h1>
<p>` + text + `</p>
</body></html>
`
}

func (d *Dialer) serveAPI(w http.ResponseWriter, r *http.Request) {
	f, err := readForm(r)
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone, and with it what it meant
	}
	req := &Request{Function: filter(f.get("function"), dashedWord, false), form: &f}
	req.Number, req.Nth = d.desk.arrive(req.Function)
	fault := d.faultByRules(req)
	if !d.desk.enter(req.Function) {
		panic(http.ErrAbortHandler)
	}
	late := false
	defer func() {
		if !late {
			d.desk.leave(req.Function)
		}
	}()

	fault = fault.and(d.faultOf(req))
	if !d.desk.sleep(fault.Delay, fault.over) {
		panic(http.ErrAbortHandler)
	}
	resp := &Response{Status: http.StatusOK, Header: http.Header{"Content-Type": plainType}}
	if !fault.Skip && fault.Late == 0 {
		resp = d.execute(r, req, fault.Settings)
	}
	if fault.Answer != nil {
		fault.Answer(resp)
	}
	if !d.desk.sleep(fault.Hold, fault.over) {
		panic(http.ErrAbortHandler)
	}
	if !fault.Skip && fault.Late > 0 {
		late = true
		go func() {
			defer d.desk.leave(req.Function)
			if d.desk.sleep(fault.Late, nil) {
				d.execute(r, req, fault.Settings)
			}
		}()
	}
	d.write(w, r, resp, fault.over)
}
