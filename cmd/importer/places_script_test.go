package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"importer/internal/source/sourcetest"
)

// sshdCommand starts OpenSSH's server: a new folder on it is SFTP_DIR, how to
// get there SFTP_HOST, SFTP_PORT, SFTP_USER and the file vendor.key.
func sshdCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: sshd")
	}
	t := benchOf(ts).t
	login := sourcetest.SSHD(t)
	ts.Setenv("SFTP_DIR", sourcetest.Dir(t))
	ts.Setenv("SFTP_HOST", login.Host)
	ts.Setenv("SFTP_PORT", strconv.Itoa(login.Port))
	ts.Setenv("SFTP_USER", login.User)
	ts.Setenv("FINGERPRINT", login.Fingerprint())
	ts.Check(os.WriteFile(ts.MkAbs("vendor.key"), []byte(login.Key), 0o600))
	_, stranger := sourcetest.NewKey(t)
	ts.Check(os.WriteFile(ts.MkAbs("stranger.key"), stranger, 0o600))
}

// modeCommand checks who may do what with a file.
func modeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode FILE OCTAL")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("the mode of %s is %s, not %s", args[0], got, args[1])
	}
}

// web is a vendor's web server, and one elsewhere that it may lead to.
type web struct {
	mu        sync.Mutex
	content   string
	untold    bool // neither ETag nor Last-Modified
	status    int  // 0: it gives the file
	location  string
	wants     string // in the header Authorization
	asked     int
	elsewhere int
	posted    []string // bodies
}

// webVerbs are what scripts do to the web server.
var webVerbs = map[string]func(ts *testscript.TestScript, w *web, args []string){
	// gives FILE [untold]: this is the file from now on, with an ETag, or without a word on its version.
	"gives": func(ts *testscript.TestScript, w *web, args []string) {
		w.content, w.status, w.untold = ts.ReadFile(args[0]), 0, len(args) > 1 && args[1] == "untold"
	},
	// answers STATUS: it gives no file.
	"answers": func(ts *testscript.TestScript, w *web, args []string) { w.status = number(ts, args[0]) },
	// leads: on to the other server.
	"leads": func(_ *testscript.TestScript, w *web, _ []string) { w.status = http.StatusFound },
	// wants basic USER PASSWORD | bearer TOKEN | nothing: as a login.
	"wants": func(ts *testscript.TestScript, w *web, args []string) {
		switch args[0] {
		case "basic":
			w.wants = "Basic " + base64.StdEncoding.EncodeToString([]byte(args[1]+":"+args[2]))
		case "bearer":
			w.wants = "Bearer " + args[1]
		case "nothing":
			w.wants = ""
		default:
			ts.Fatalf("a web server cannot want %s", args[0])
		}
	},
	// asked N: it got so many requests.
	"asked": func(ts *testscript.TestScript, w *web, args []string) {
		if w.asked != number(ts, args[0]) {
			ts.Fatalf("the web server got %d requests, not %s", w.asked, args[0])
		}
	},
	// posted REGEXP...: these bodies were posted to it, in this order, since it was last asked.
	"posted": func(ts *testscript.TestScript, w *web, args []string) {
		if len(w.posted) != len(args) {
			ts.Fatalf("%d bodies were posted to the web server, not %d: %q", len(w.posted), len(args), w.posted)
		}
		for i, body := range w.posted {
			if !regexp.MustCompile(args[i]).MatchString(body) {
				ts.Fatalf("%s was posted to the web server, which is not like %s", body, args[i])
			}
		}
		w.posted = nil
	},
	// forgets: it counts its requests anew.
	"forgets": func(_ *testscript.TestScript, w *web, _ []string) { w.asked = 0 },
	// elsewhere N: so many got to the other server.
	"elsewhere": func(ts *testscript.TestScript, w *web, args []string) {
		if w.elsewhere != number(ts, args[0]) {
			ts.Fatalf("the other server got %d requests, not %s", w.elsewhere, args[0])
		}
	},
}

// webCommand starts a web server (WEB is its address, ca.pem its authority), or
// does to it what webVerbs say.
func webCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: web VERB ...")
	}
	b := benchOf(ts)
	if args[0] == "start" {
		b.web = startWeb(ts)
		return
	}
	verb, ok := webVerbs[args[0]]
	if !ok || b.web == nil {
		ts.Fatalf("there is no web server, or it cannot %s", args[0])
	}
	b.web.mu.Lock()
	defer b.web.mu.Unlock()
	verb(ts, b.web, args[1:])
}

func startWeb(ts *testscript.TestScript) *web {
	w := &web{}
	server := httptest.NewTLSServer(w)
	ts.Defer(server.Close)
	other := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.elsewhere++
		fmt.Fprint(out, w.content)
	}))
	ts.Defer(other.Close)
	w.location = other.URL + "/signed.csv"
	ts.Setenv("WEB", server.URL)
	ts.Setenv("WEB_HOST", strings.TrimPrefix(server.URL, "https://"))
	ts.Setenv("ELSEWHERE", strings.TrimPrefix(other.URL, "https://"))
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), authority, 0o600))
	return w
}

func (w *web) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		w.posted = append(w.posted, string(body))
	}
	switch {
	case w.wants != "" && r.Header.Get("Authorization") != w.wants:
		http.Error(out, "no", http.StatusUnauthorized)
		return
	case w.status == http.StatusFound:
		http.Redirect(out, r, w.location, w.status)
		return
	case w.status != 0:
		http.Error(out, "no", w.status)
		return
	}
	if !w.untold {
		sum := sha256.Sum256([]byte(w.content))
		out.Header().Set("ETag", strconv.Quote(hex.EncodeToString(sum[:8])))
	}
	http.ServeContent(out, r, path.Base(r.URL.Path), time.Time{}, strings.NewReader(w.content))
}
