package dialersim_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// recording is one recorded request with its answer.
type recording struct {
	section, name string
	request       string // empty where the recording omits it
	status        int
	body          string
	exact         bool // body is recorded byte by byte, with its last line break
	rows          *int
	headers       map[string]string
	stored        string // columns, " | " between; "" when not recorded
}

func (r recording) key() string { return r.section + " / " + r.name }

var (
	statusLine = regexp.MustCompile(`^-> HTTP (\d+)(?:, rows ([+-]\d+))?(?: after [\d.]+s)?(?: b'(.*)')?$`)
	headerPair = regexp.MustCompile(`\('([^']*)', '([^']*)'\)`)
	addedID    = regexp.MustCompile(`LEAD HAS BEEN ADDED - [^|]*\|[^|]*\|(\d+)\|`)
	moment     = regexp.MustCompile(`2026-\d\d-\d\d \d\d:\d\d:\d\d`)
	paramStart = regexp.MustCompile(`^[a-z_0-9]+=`)
)

func readTranscripts(t *testing.T) []recording {
	t.Helper()
	data, err := os.ReadFile("testdata/transcripts.txt")
	require.NoError(t, err)
	var (
		all     []recording
		r       *recording
		section string
		answer  bool
	)
	keep := func() {
		if r != nil {
			r.body = strings.TrimRight(r.body, "\n")
			all = append(all, *r)
		}
		r, answer = nil, false
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "======== "):
			keep()
			section = strings.Trim(line, "= ")
		case strings.HasPrefix(line, "### "):
			keep()
			r = &recording{section: section, name: strings.TrimSpace(line[4:])}
		case r == nil: // narrative
		case statusLine.MatchString(line):
			m := statusLine.FindStringSubmatch(line)
			r.status, err = strconv.Atoi(m[1])
			require.NoError(t, err)
			if m[2] != "" {
				rows, err := strconv.Atoi(m[2])
				require.NoError(t, err)
				r.rows = &rows
			}
			if m[3] != "" {
				r.exact, r.body = true, strings.ReplaceAll(m[3], `\n`, "\n")
				all = append(all, *r)
				r = nil
			}
			answer = true
		case !answer:
			r.request = strings.TrimPrefix(r.request+"\n"+line, "\n")
		case strings.HasPrefix(line, "   stored: "):
			r.stored = strings.TrimPrefix(line, "   stored: ")
		case strings.HasPrefix(line, "   rows: "):
			rows, err := strconv.Atoi(line[len("   rows: "):])
			require.NoError(t, err)
			r.rows = &rows
		case strings.HasPrefix(line, "   headers: "):
			r.headers = map[string]string{}
			for _, pair := range headerPair.FindAllStringSubmatch(line, -1) {
				r.headers[pair[1]] = pair[2]
			}
		case strings.HasPrefix(line, "api_log: "), strings.HasPrefix(line, "MariaDB frozen"):
			keep()
		default:
			r.body += line + "\n"
		}
	}
	keep()
	require.Len(t, all, strings.Count(string(data), "\n### "), "every recorded request is read")
	return all
}

// rig is the dialer that a part of the recording is replayed against.
type rig struct {
	t *testing.T
	*dialersim.Dialer
	clock time.Time
}

// newRig is the dialer as it was when the recording began, or began anew.
func newRig(t *testing.T, clock time.Time) *rig {
	t.Helper()
	g := &rig{t: t, clock: clock}
	with := func(name, password string, change func(*dialersim.User)) dialersim.User {
		u := dialersim.APIUser(name, password)
		change(&u)
		return u
	}
	g.Dialer = dialersim.New(dialersim.Options{
		Now: func() time.Time { return g.clock },
		Users: []dialersim.User{
			dialersim.APIUser("apiuser", "apipass1234"),
			with("lvl6", "x1", func(u *dialersim.User) { u.Level = 6 }),
			with("lvl7", "x1", func(u *dialersim.User) { u.Level = 7 }),
			with("noapi", "x1", func(u *dialersim.User) { u.APIAccess = false }),
			with("nolead", "x1", func(u *dialersim.User) { u.ModifyLeads = 0 }),
			with("inact", "x1", func(u *dialersim.User) { u.Inactive = true }),
			with("fnlim", "x1", func(u *dialersim.User) { u.Functions = []string{"list_info"} }),
			with("restr", "x1", func(u *dialersim.User) { u.Group, u.ListRestrict = "LIMITED", true }),
			with("locku", "x1", func(*dialersim.User) {}),
		},
		Groups: []dialersim.Group{{ID: "ADMIN"}, {ID: "LIMITED", Campaigns: []string{"TESTCAMP"}}},
		Campaigns: []dialersim.Campaign{
			{ID: "TESTCAMP", Name: "Test campaign"}, {ID: "DNCCAMP", Name: "DNC campaign"}, {ID: "OTHER", Name: "Other campaign"},
		},
		Lists: []dialersim.List{
			{ID: 101, Name: "Test list 101", Campaign: "TESTCAMP"},
			{ID: 102, Name: "Test list 102", Campaign: "TESTCAMP"},
			{ID: 301, Name: "Test list 301", Campaign: "OTHER"},
		},
		Settings: dialersim.Settings{NANPA: []string{"305555", "312555", "602555"}},
	})
	for _, entry := range [][2]string{
		{"", "3055553001"}, {"", "786XXXXXXX"}, {"", "3055553010"}, {"TESTCAMP", "3055553002"}, {"TESTCAMP", "954XXXXXXX"},
	} {
		g.AddDNC(entry[0], entry[1])
	}
	return g
}

func (g *rig) seed(id int64, age time.Duration, columns map[string]string) {
	g.SetNextLeadID(id)
	require.Equal(g.t, id, g.AddLead(g.clock.Add(-age), columns))
}

// do sends a request in the notation of the recording.
func (g *rig) do(request string) *httptest.ResponseRecorder {
	return g.serve(build(request, true))
}

func (g *rig) serve(r *http.Request) *httptest.ResponseRecorder {
	r.RemoteAddr = "192.0.2.10:36628"
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

// build makes a request of its notation: "METHOD[?query] body", or a query for
// GET, decoded, without the good source, user and pass unless complete is false.
func build(request string, complete bool) *http.Request {
	head, params, _ := strings.Cut(request, " ")
	params = strings.TrimPrefix(params, "(port 8082, PHP<8.1 mysqli mode) ")
	method, query, _ := strings.Cut(head, "?")
	if raw, ok := strings.CutPrefix(params, "b'"); ok {
		params = strings.TrimSuffix(raw, "'")
	} else if !strings.HasPrefix(params, "source=test&user=") { // those are raw
		params = encode(params)
		for _, good := range []string{"pass=apipass1234", "user=apiuser", "source=test"} {
			if name, _, _ := strings.Cut(good, "="); complete && !strings.Contains("&"+params, "&"+name+"=") {
				params = good + "&" + params
			}
		}
	}
	target := dialersim.APIPath
	if method != http.MethodPost {
		query, params = params, ""
	}
	if query != "" {
		target += "?" + query
	}
	r := httptest.NewRequest(method, target, strings.NewReader(params))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// encode quotes the values of a decoded query, in which an ampersand that
// begins no parameter belongs to the value.
func encode(decoded string) string {
	var pairs []string
	for piece := range strings.SplitSeq(decoded, "&") {
		if paramStart.MatchString(piece) {
			pairs = append(pairs, piece)
		} else {
			pairs[len(pairs)-1] += "&" + piece
		}
	}
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		pairs[i] = name + "=" + url.QueryEscape(value)
	}
	return strings.Join(pairs, "&")
}

// column shows a lead's column as the recording does: as mysql --batch prints
// it, as hex, as its length, or in brackets.
func column(t *testing.T, l dialersim.Lead, spec string) string {
	t.Helper()
	if inner, ok := strings.CutPrefix(spec, "["); ok {
		return "[" + l.Get(strings.TrimSuffix(inner, "]")) + "]"
	}
	how, name, ok := strings.Cut(spec, ":")
	switch {
	case !ok:
		return strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\x00", `\0`).Replace(l.Get(spec))
	case how == "hex":
		return strings.ToUpper(hex.EncodeToString([]byte(l.Get(name))))
	case how == "len":
		return strconv.Itoa(len([]rune(l.Get(name))))
	}
	t.Fatalf("no such column notation: %s", spec)
	return ""
}

// replay sends a recorded request and says where the answer differs.
func (g *rig) replay(r recording) error {
	s := steps[r.key()]
	g.prepare(r, s)
	var added int64
	if m := addedID.FindStringSubmatch(r.body); m != nil {
		id, err := strconv.ParseInt(m[1], 10, 64)
		require.NoError(g.t, err)
		added = id
		g.SetNextLeadID(added)
	}
	before := g.Len()
	request := r.request
	if s.request != "" {
		request = s.request
	}
	var req *http.Request
	if s.http != nil {
		req = s.http(g.t)
	} else {
		require.NotEmpty(g.t, request, "%s: what was asked?", r.key())
		req = build(request, !s.bare)
	}
	w := g.serve(req)
	if w.Code != r.status {
		return fmt.Errorf("status %d instead of %d, body %q", w.Code, r.status, w.Body)
	}
	body := w.Body.String()
	if !r.exact {
		body = strings.TrimRight(body, "\n")
	}
	if body != r.body {
		return fmt.Errorf("body\n%q instead of\n%q", body, r.body)
	}
	if r.rows != nil && g.Len()-before != *r.rows {
		return fmt.Errorf("rows %+d instead of %+d", g.Len()-before, *r.rows)
	}
	if r.stored != "" {
		if stored := g.stored(added, s.stored); stored != r.stored {
			return fmt.Errorf("stored\n%q instead of\n%q", stored, r.stored)
		}
	}
	return sameHeaders(w.Header(), r.headers)
}

// prepare does what the recording did without showing it.
func (g *rig) prepare(r recording, s step) {
	clock := s.clock
	if clock == "" {
		if found := moment.FindString(r.body + r.stored); !strings.Contains(r.request, found) {
			clock = found
		}
	}
	if clock != "" {
		now, err := time.Parse(time.DateTime, clock)
		require.NoError(g.t, err)
		g.clock = now
	}
	g.Configure(func(set *dialersim.Settings) {
		set.PHP = dialersim.PHP81
		if strings.Contains(r.request+r.name, "port 8082") {
			set.PHP = dialersim.PHP80
		}
		set.UseNonLatin = strings.HasSuffix(r.section, "use_non_latin=1")
		set.ConnectError, set.InsertFails, set.LogFails, set.TwoFactor = "", false, false, false
		if s.set != nil {
			s.set(set)
		}
	})
	if s.before != nil {
		s.before(g)
	}
}

// stored is a lead's columns in the notation of the recording.
func (g *rig) stored(id int64, specs string) string {
	g.t.Helper()
	require.NotEmpty(g.t, specs, "which columns does the recording show?")
	l, ok := g.Lead(id)
	require.True(g.t, ok, "no lead %d", id)
	var have []string
	for spec := range strings.FieldsSeq(specs) {
		have = append(have, column(g.t, l, spec))
	}
	return strings.Join(have, " | ")
}

func sameHeaders(have http.Header, want map[string]string) error {
	if want == nil {
		return nil
	}
	for name, value := range want {
		if name != "Date" && have.Get(name) != value {
			return fmt.Errorf("header %s is %q instead of %q", name, have.Get(name), value)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok && name != "Server" {
			return fmt.Errorf("header %s is not recorded", name)
		}
	}
	return nil
}

// TestAnswersAsTheRealDialerWasRecorded replays every recorded request and
// compares status, body, number of leads, stored columns and headers. There are
// no exceptions. What the recording tells in prose (races, killed workers) has
// tests of its own.
func TestAnswersAsTheRealDialerWasRecorded(t *testing.T) {
	t.Parallel()
	all := readTranscripts(t)
	start, err := time.Parse(time.DateTime, "2026-11-23 15:13:12")
	require.NoError(t, err)
	g := newRig(t, start)
	section, seen := "", map[string]bool{}
	for _, r := range all {
		require.False(t, seen[r.key()], "two recordings are called %s", r.key())
		seen[r.key()] = true
		if section != r.section && anew[r.section] {
			g = newRig(t, g.clock)
		}
		section = r.section
		require.NoError(t, g.replay(r), r.key())
	}
	for key := range steps {
		require.True(t, seen[key], "a step names no recording: %s", key)
	}
}

// multipartLead is the recorded multipart request.
func multipartLead(t *testing.T) *http.Request {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, pair := range [][2]string{
		{"source", "test"},
		{"user", "apiuser"},
		{"pass", "apipass1234"},
		{"function", "add_lead"},
		{"phone_code", "1"},
		{"list_id", "101"},
		{"phone_number", "3055569001"},
	} {
		require.NoError(t, w.WriteField(pair[0], pair[1]))
	}
	require.NoError(t, w.Close())
	r := httptest.NewRequest(http.MethodPost, dialersim.APIPath, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r
}
