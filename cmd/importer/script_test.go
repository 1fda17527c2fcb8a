package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"importer/internal/ledger/ledgertest"
	"importer/internal/nonagent/dialersim"
)

// scriptConfig is the configuration of scripts that bring none of their own.
const scriptConfig = `state_dir: ./state
ledger:
  dsn: ${LEDGER}
dialers:
  main:
    url: ${DIALER_URL}
    user: importer
    password: ${DIALER_PASSWORD}
    concurrency: 4
    stop_after: 2s
feeds:
  acme:
    dialer: main
    list_id: 101
`

// dialerPassword is what the simulated dialers of the tests expect.
const dialerPassword = "Right-Password_1"

// TestScripts tells every command as a story. Beside testscript's own, a
// script has these commands:
//
//	contacts FILE [shuffled|edited]  writes 250 invented contacts
//	dialer start [key=value...]      starts a simulated dialer (latency, list, custom=LIST:LABEL,LABEL, now) and sets DIALER_URL and DIALER_HOST
//	dialer VERB ...                  asks or changes it, see dialerVerbs
//	exits STATUS ARGS...             runs importer and checks its exit status
//	says SENTENCE                    standard error is this line and nothing else
//	json FILE                        standard output is this JSON, where "*" stands for anything
//	pack CONTAINER FILE...           packs files into a .zip, .gz, .xlsx (a sheet each) or .pgp (beside it: its key); .cut behind it cuts its end off
//	ledger TABLE COUNT               the ledger's table has so many rows; one that is not there has none
//	sshd                             starts OpenSSH's server, with a new host key, and sets SFTP_HOST, SFTP_PORT, SFTP_USER, SFTP_DIR and FINGERPRINT; vendor.key gets in, stranger.key does not
//	web start                        starts a web server and sets WEB, WEB_HOST and ELSEWHERE; ca.pem is its authority
//	web VERB ...                     asks or changes it, see webVerbs
//	mode FILE OCTAL                  the file has these rights
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		RequireUniqueNames: true,
		Setup:              setUpScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"contacts": contactsCommand,
			"dialer":   dialerScriptCommand,
			"exits":    exitsCommand,
			"says":     saysCommand,
			"json":     jsonCommand,
			"ledger":   ledgerCommand,
			"pack":     packCommand,
			"sshd":     sshdCommand,
			"web":      webCommand,
			"mode":     modeCommand,
		},
	})
}

func setUpScript(env *testscript.Env) error {
	// Where root runs the tests PostgreSQL runs as another user, and must pass.
	for _, dir := range []string{filepath.Dir(env.WorkDir), env.WorkDir, filepath.Join(env.WorkDir, ".tmp")} {
		if err := os.Chmod(dir, 0o711); err != nil {
			return err
		}
	}
	config := filepath.Join(env.WorkDir, "importer.yaml")
	if _, err := os.Stat(config); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(config, []byte(scriptConfig), 0o600); err != nil {
			return err
		}
	}
	env.Setenv("LEDGER", ledgertest.Database(env.T().(testing.TB)))
	env.Setenv("DIALER_PASSWORD", dialerPassword)
	env.Setenv("DIALER_URL", "http://127.0.0.1:1"+dialersim.APIPath) // nothing listens there
	self, err := os.Executable()
	if err != nil {
		return err
	}
	env.Setenv("BINARY", self)
	zone, _ := atNine() // today does not end before the script
	env.Setenv("TZ", zone)
	env.Values[benchKey{}] = &bench{t: env.T().(testing.TB)}
	return nil
}

// bench is what a script works on beside the importer.
type bench struct {
	t      testing.TB
	dialer *dialersim.Server
	web    *web
}

type benchKey struct{}

func benchOf(ts *testscript.TestScript) *bench { return ts.Value(benchKey{}).(*bench) }

func contactsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: contacts FILE [shuffled|edited]")
	}
	rows := contacts()
	if len(args) == 2 {
		change, ok := map[string]func([][]string) [][]string{"shuffled": shuffled, "edited": edited}[args[1]]
		if !ok {
			ts.Fatalf("contacts cannot be %s", args[1])
		}
		rows = change(rows)
	}
	ts.Check(writeContacts(ts.MkAbs(args[0]), rows))
}

func dialerScriptCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: dialer VERB ...")
	}
	b := benchOf(ts)
	if args[0] == "start" {
		b.start(ts, args[1:])
		return
	}
	verb, ok := dialerVerbs[args[0]]
	if !ok || b.dialer == nil {
		ts.Fatalf("there is no dialer, or it cannot %s", args[0])
	}
	verb(ts, b, args[1:])
}

func (b *bench) start(ts *testscript.TestScript, args []string) {
	o := dialersim.Options{Password: dialerPassword}
	for _, arg := range args {
		switch key, value, _ := strings.Cut(arg, "="); key {
		case "latency":
			d, err := time.ParseDuration(value)
			ts.Check(err)
			o.Latency = d
		case "list":
			o.Lists = append(o.Lists, dialersim.List{ID: uint64(number(ts, value)), Name: "List", Campaign: "TESTCAMP"})
		case "custom":
			list, labels, _ := strings.Cut(value, ":")
			o.Settings.CustomFields = true
			o.Lists = append(o.Lists, dialersim.List{
				ID: uint64(number(ts, list)), Name: "List", Campaign: "TESTCAMP", CustomFields: strings.Split(labels, ","),
			})
		case "now":
			now, err := time.Parse(time.RFC3339, value)
			ts.Check(err)
			o.Now = func() time.Time { return now }
		default:
			ts.Fatalf("a dialer has no option %s", key)
		}
	}
	d, err := dialersim.Start(o)
	ts.Check(err)
	ts.Defer(func() { ts.Check(d.Close()) })
	b.dialer = d
	u, err := url.Parse(d.URL())
	ts.Check(err)
	ts.Setenv("DIALER_URL", d.URL())
	ts.Setenv("DIALER_HOST", u.Host)
}

// dialerVerbs are what scripts ask of the dialer and do to it.
var dialerVerbs = map[string]func(ts *testscript.TestScript, b *bench, args []string){
	// calls [FUNCTION] N: so many requests have arrived.
	"calls": func(ts *testscript.TestScript, b *bench, args []string) {
		function := strings.Join(args[:len(args)-1], "")
		want, got := number(ts, args[len(args)-1]), b.dialer.Calls(function)
		if got != want {
			ts.Fatalf("the dialer got %d calls of %q, not %d", got, function, want)
		}
	},
	// leads N: it has so many leads, each number once.
	"leads": func(ts *testscript.TestScript, b *bench, args []string) {
		if got := b.dialer.Len(); got != number(ts, args[0]) {
			ts.Fatalf("the dialer has %d leads, not %s", got, args[0])
		}
		if list := twice(b.dialer); len(list) > 0 {
			ts.Fatalf("the dialer got these numbers twice: %v", list)
		}
	},
	// inflight N: never more than so many calls at once.
	"inflight": func(ts *testscript.TestScript, b *bench, args []string) {
		if got := b.dialer.MaxInFlight(""); got > number(ts, args[0]) {
			ts.Fatalf("%d calls were in flight at once, more than %s", got, args[0])
		}
	},
	// lead PHONE FIELD VALUE: what it has for a number.
	"lead": func(ts *testscript.TestScript, b *bench, args []string) {
		if got := b.leadOf(ts, args[0]).Get(args[1]); got != args[2] && args[2] != "*" {
			ts.Fatalf("the lead's %s is %q, not %q", args[1], got, args[2])
		}
	},
	// custom PHONE LABEL VALUE: what its custom field holds for a number.
	"custom": func(ts *testscript.TestScript, b *bench, args []string) {
		if got := b.dialer.CustomValues(b.leadOf(ts, args[0]).ID)[args[1]]; got != args[2] {
			ts.Fatalf("the lead's custom field %s is %q, not %q", args[1], got, args[2])
		}
	},
	// hopper PHONE...: these numbers are in the hopper and no others, in this order.
	"hopper": func(ts *testscript.TestScript, b *bench, args []string) {
		var got []string
		for _, id := range b.dialer.Hopper() {
			l, _ := b.dialer.Lead(id)
			got = append(got, l.Get("phone_number"))
		}
		if !slices.Equal(got, args) {
			ts.Fatalf("in the hopper are %v, not %v", got, args)
		}
	},
	// callback PHONE WHEN USER COMMENTS: so somebody shall call back.
	"callback": func(ts *testscript.TestScript, b *bench, args []string) {
		want := dialersim.Callback{
			LeadID: b.leadOf(ts, args[0]).ID, ListID: 101, Campaign: "TESTCAMP", When: args[1], Type: "ANYONE",
			User: args[2], Status: "CALLBK", Comments: args[3],
		}
		if want.User != "" {
			want.Type = "USERONLY"
		}
		if !slices.Contains(b.dialer.Callbacks(), want) {
			ts.Fatalf("there is no callback %+v among %+v", want, b.dialer.Callbacks())
		}
	},
	// alt PHONE NUMBER CODE NOTE: it has this further number for a lead.
	"alt": func(ts *testscript.TestScript, b *bench, args []string) {
		want := dialersim.AltPhone{LeadID: b.leadOf(ts, args[0]).ID, Phone: args[1], Code: args[2], Note: args[3]}
		if !slices.Contains(b.dialer.AltPhones(), want) {
			ts.Fatalf("there is no further number %+v among %+v", want, b.dialer.AltPhones())
		}
	},
	// list N: it has this list from now on.
	"list": func(ts *testscript.TestScript, b *bench, args []string) {
		b.dialer.SetList(dialersim.List{ID: uint64(number(ts, args[0])), Name: "List", Campaign: "TESTCAMP"})
	},
	// dnc PHONE: the number is on its do-not-call list.
	"dnc": func(_ *testscript.TestScript, b *bench, args []string) { b.dialer.AddDNC("SYSTEM_INTERNAL", args[0]) },
	// user [functions=A,B] [modify_leads=N]: the API user, with all rights but these.
	"user": func(ts *testscript.TestScript, b *bench, args []string) {
		u := dialersim.APIUser("importer", dialerPassword)
		for _, arg := range args {
			switch key, value, _ := strings.Cut(arg, "="); key {
			case "functions":
				u.Functions = strings.Split(value, ",")
			case "modify_leads":
				u.ModifyLeads = number(ts, value)
			default:
				ts.Fatalf("a user has no %s here", key)
			}
		}
		b.dialer.SetUser(u)
	},
	// waiting PHONE: a lead that somebody else has added and put into the hopper.
	"waiting": func(ts *testscript.TestScript, b *bench, args []string) {
		resp, err := http.PostForm(b.dialer.URL(), url.Values{
			"user": {"importer"}, "pass": {dialerPassword}, "source": {"script"}, "function": {"add_lead"},
			"phone_number": {args[0]}, "list_id": {"101"}, "state": {"FL"}, "add_to_hopper": {"Y"}, "hopper_priority": {"5"},
		})
		ts.Check(err)
		ts.Check(resp.Body.Close())
	},
	// level N: the API user's level.
	"level": func(ts *testscript.TestScript, b *bench, args []string) {
		u := dialersim.APIUser("importer", dialerPassword)
		u.Level = number(ts, args[0])
		b.dialer.SetUser(u)
	},
	// shows FILE: it answers every request with this page instead of serving it.
	"shows": func(ts *testscript.TestScript, b *bench, args []string) {
		text := ts.ReadFile(args[0])
		b.dialer.SetFault(func(*dialersim.Request) dialersim.Fault {
			return dialersim.Fault{Skip: true, Answer: func(r *dialersim.Response) { r.Body = []byte(text) }}
		})
	},
	// serves: it is itself again.
	"serves": func(_ *testscript.TestScript, b *bench, _ []string) { b.dialer.SetFault(nil) },
	// loses N: its Nth add_lead is neither carried out nor answered.
	"loses": func(ts *testscript.TestScript, b *bench, args []string) {
		n := number(ts, args[0])
		b.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
			if r.Function != "add_lead" || r.Nth != n {
				return dialersim.Fault{}
			}
			return dialersim.Fault{Skip: true, Answer: func(r *dialersim.Response) { r.Drop = true }}
		})
	},
}

// leadOf is the dialer's lead with a number.
func (b *bench) leadOf(ts *testscript.TestScript, phone string) dialersim.Lead {
	for _, l := range b.dialer.Leads() {
		if l.Get("phone_number") == phone {
			return l
		}
	}
	ts.Fatalf("the dialer has no lead %s", phone)
	return dialersim.Lead{}
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

func exitsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS ARGS...")
	}
	status := 0
	var exit *exec.ExitError
	switch err := ts.Exec("importer", args[1:]...); {
	case errors.As(err, &exit):
		status = exit.ExitCode()
	case err != nil:
		ts.Check(err)
	}
	if status != number(ts, args[0]) {
		ts.Fatalf("importer %s: exit status %d, not %s", args[1], status, args[0])
	}
}

func saysCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: says SENTENCE")
	}
	if got, want := ts.ReadFile("stderr"), os.Expand(args[0], ts.Getenv)+"\n"; got != want {
		ts.Fatalf("standard error says\n%snot\n%s", got, want)
	}
}

func jsonCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json FILE")
	}
	var got, want any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &got))
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &want))
	if err := same("", got, want); err != nil {
		ts.Fatalf("%v", err)
	}
}

// same compares two JSON values; "*" as the wanted one stands for anything.
func same(at string, got, want any) error {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		var errs []error
		for k := range w {
			if _, ok := g[k]; !ok {
				errs = append(errs, fmt.Errorf("%s.%s is missing", at, k))
				continue
			}
			errs = append(errs, same(at+"."+k, g[k], w[k]))
		}
		for k := range g {
			if _, ok := w[k]; !ok {
				errs = append(errs, fmt.Errorf("%s.%s is %v and should not be there", at, k, g[k]))
			}
		}
		return errors.Join(errs...)
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return fmt.Errorf("%s has %d elements, not %d", at, len(g), len(w))
		}
		var errs []error
		for i := range w {
			errs = append(errs, same(fmt.Sprintf("%s[%d]", at, i), g[i], w[i]))
		}
		return errors.Join(errs...)
	}
	if want != "*" && got != want {
		return fmt.Errorf("%s is %v, not %v", at, got, want)
	}
	return nil
}

func ledgerCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ledger TABLE COUNT")
	}
	got, err := countRows(ts.Getenv("LEDGER"), args[0])
	ts.Check(err)
	if got != number(ts, args[1]) {
		ts.Fatalf("the ledger has %d %s, not %s", got, args[0], args[1])
	}
}

func countRows(dsn, table string) (n int, err error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	err = conn.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&n)
	return n, err
}
