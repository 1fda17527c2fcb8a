package dialersim

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// What the catalogue's faults make of an answer.

func drop(r *Response)  { r.Drop = true }
func reset(r *Response) { r.Drop, r.Reset = true, true }
func empty(r *Response) { r.Body = nil }

func resetHalfway(r *Response) {
	truncated(len(r.Body)/2, 0)(r)
	r.Reset = true
}

// truncated cuts the body to n bytes, below 0 at a place left to chance.
func truncated(n int, chance float64) func(*Response) {
	return func(r *Response) {
		cut := n
		if n < 0 {
			cut = int(chance * float64(len(r.Body)))
		}
		if cut == 0 {
			cut = -1 // nothing of the body
		}
		r.Truncate = cut
	}
}

// failure is a 500 as PHP leaves it when a statement fails, or a proxy's page.
func failure(status int) func(*Response) {
	return func(r *Response) {
		r.Status = status
		if status == http.StatusInternalServerError {
			r.Header = http.Header{"Content-Type": plainType, "Cache-Control": noCache, "Pragma": pragma, "Connection": closes}
			r.Body = nil
			return
		}
		r.show(strconv.Itoa(status)+" "+http.StatusText(status), http.StatusText(status), "The upstream server could not be reached in time.")
	}
}

// show makes the answer a page that is none of the API's.
func (r *Response) show(name, title, text string) {
	r.Header = http.Header{"Content-Type": pageType}
	r.Body = []byte(pageOf(name, title, text))
}

func busy(wait string) func(*Response) {
	return func(r *Response) {
		r.Status = http.StatusTooManyRequests
		r.show("429 Too Many Requests", "Too Many Requests", "Try again later.")
		r.Header["Retry-After"] = []string{wait}
	}
}

func redirect(status int) func(*Response) {
	return func(r *Response) {
		r.Status = status
		r.show(strconv.Itoa(status)+" "+http.StatusText(status), http.StatusText(status), "The document has moved.")
		r.Header["Location"] = []string{"/vicidial/admin.php"}
	}
}

func proxyPage(r *Response) {
	r.show("Maintenance", "Maintenance", "This service will be back shortly.")
}

func fatal(r *Response) {
	r.Header = http.Header{"Content-Type": plainType}
	r.Body = []byte("<br />\n<b>Fatal error</b>:  Maximum execution time of 30 seconds exceeded in " +
		"<b>/srv/www/htdocs/vicidial/non_agent_api.php</b> on line <b>17</b><br />\n")
}

// around puts text before and behind an answer. The answer's own bytes are not
// changed in place.
func (r *Response) around(front, back string) {
	r.Body = []byte(front + string(r.Body) + back)
}

func warned(r *Response) {
	const warning = "<br />\n<b>Warning</b>:  Undefined variable $x in <b>/srv/www/htdocs/vicidial/non_agent_api.php</b> on line <b>17</b><br />\n"
	r.around(warning, warning)
}

const addedLine = "SUCCESS: add_lead LEAD HAS BEEN ADDED - "

// added is the data of the SUCCESS line that the answer begins with:
// phone, list, lead id, gmt offset, user.
func (r *Response) added() (data []string, rest []byte, ok bool) {
	line, rest, _ := bytes.Cut(r.Body, []byte("\n"))
	text, ok := strings.CutPrefix(string(line), addedLine)
	return strings.Split(text, "|"), rest, ok
}

func noticed(r *Response) {
	data, _, ok := r.added()
	if !ok {
		return
	}
	phone, id, gmt, user := data[0], data[2], data[3], data[4]
	r.around("NOTICE: add_lead NANPA options disabled, NANPA prefix data not loaded - 0|"+user+"\n",
		"NOTICE: add_lead NOT ADDED TO HOPPER, OUTSIDE OF LOCAL TIME - "+phone+"|"+id+"|"+gmt+"|0|"+user+"\n")
}

func glued(r *Response) {
	if data, _, ok := r.added(); ok {
		r.around("", "7275550123|1|workNOTICE: add_lead MULTI-ALT-PHONE NUMBERS LOADED - 1|"+data[2]+"|"+data[4]+"\n")
	}
}

// misnamed changes one of the data of the SUCCESS line, in its last digit.
func misnamed(field int) func(*Response) {
	return func(r *Response) {
		data, rest, ok := r.added()
		if !ok {
			return
		}
		last := len(data[field]) - 1
		data[field] = data[field][:last] + string('0'+(data[field][last]-'0'+1)%10)
		r.Body = []byte(addedLine + strings.Join(data, "|") + "\n" + string(rest))
	}
}

func unknownError(q *Request) func(*Response) {
	return func(r *Response) {
		r.Body = []byte("ERROR: " + q.Function + " QUERY COULD NOT BE RUN - " + q.Get("user") + "|1205\n")
	}
}

// mixed credits each number of a search with the leads of the one before it.
func mixed(r *Response) {
	lines := strings.Split(strings.TrimSuffix(string(r.Body), "\n"), "\n")
	last := ""
	for i, line := range lines {
		parts := strings.Split(line, "|")
		if len(parts) != 3 {
			return // no matches
		}
		ids := strings.Trim(parts[2]+"-"+last, "-")
		count := 0
		if ids != "" {
			count = strings.Count(ids, "-") + 1
		}
		lines[i] = parts[0] + "|" + strconv.Itoa(count) + "|" + ids
		last = parts[2]
	}
	r.Body = []byte(strings.Join(lines, "\n") + "\n")
}
