package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// watch knows what nobody may be shown at a site, and all that its importers
// have said.
type watch struct {
	mu        sync.Mutex
	names     map[string]bool
	numbers   map[string]bool // the last ten digits
	secrets   []string        // beside the dialer's password
	processes []*process
	arguments map[string]bool // of the site's processes
}

// beginWatch looks at the site's processes from now on, and at the end of the
// test at all that they wrote.
func (s *site) beginWatch(t *testing.T) {
	t.Helper()
	s.watch.names, s.watch.numbers, s.watch.arguments = map[string]bool{}, map[string]bool{}, map[string]bool{}
	watched.Lock()
	watched.sites[s] = true
	watched.Unlock()
	lookAtProcesses()
	t.Cleanup(func() {
		watched.Lock()
		delete(watched.sites, s)
		watched.Unlock()
		s.requireNothingShown(t)
	})
}

// watched are the sites of the tests that run now.
var watched = struct {
	sync.Mutex
	sites map[*site]bool
}{sites: map[*site]bool{}}

// lookAtProcesses looks twice a second at what runs on this machine, for all
// sites at once and for as long as the tests run.
var lookAtProcesses = sync.OnceFunc(func() {
	go func() {
		for range time.Tick(500 * time.Millisecond) {
			list := processes()
			watched.Lock()
			for s := range watched.sites {
				s.lookAt(list)
			}
			watched.Unlock()
		}
	}()
})

// running is a process as others on the machine see it.
type running struct {
	pid, parent int
	arguments   string
}

// processes lists what runs on this machine.
func processes() (list []running) {
	out, err := exec.Command("ps", "-A", "-ww", "-o", "pid=,ppid=,args=").Output()
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(out)) {
		pid, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		parent, arguments, _ := strings.Cut(strings.TrimSpace(rest), " ")
		var r running
		var errs [2]error
		r.pid, errs[0] = strconv.Atoi(pid)
		r.parent, errs[1] = strconv.Atoi(parent)
		if err := errors.Join(errs[:]...); err != nil {
			panic(err)
		}
		r.arguments = strings.TrimSpace(arguments)
		list = append(list, r)
	}
	return list
}

// below are the processes that belong, and all that they have started.
func below(list []running, belongs func(running) bool) (family []running) {
	byPID := map[int]running{}
	for _, r := range list {
		byPID[r.pid] = r
	}
	for _, r := range list {
		for up, ok := r, true; ok && up.pid > 1; up, ok = byPID[up.parent] {
			if belongs(up) {
				family = append(family, r)
				break
			}
		}
	}
	return family
}

// lookAt keeps the arguments of the site's processes: of those that it started
// itself and those that name its folder, with all below them.
func (s *site) lookAt(list []running) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	for _, r := range below(list, func(r running) bool {
		return strings.Contains(r.arguments, s.dir) || slices.ContainsFunc(s.watch.processes, func(p *process) bool {
			return p.Process.Pid == r.pid && !showsPeople[p.Args[1]]
		})
	}) {
		s.watch.arguments[r.arguments] = true
	}
}

// people makes every number and name of a file's rows one not to be shown.
func (w *watch) people(rows [][]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, row := range rows[min(1, len(rows)):] {
		for i, cell := range row {
			switch number := numberOf(cell); {
			case number != "":
				w.numbers[number] = true
			case strings.Contains(cell, "@"), len(cell) > 2 && i < len(rows[0]) && nameColumn.MatchString(rows[0][i]):
				w.names[cell] = true
			}
		}
	}
}

var (
	nameColumn = regexp.MustCompile(`(?i)name`)
	notDigits  = regexp.MustCompile(`\D`)
	asNumber   = regexp.MustCompile(`^\+?[\d .()/-]{7,25}$`)
	moment     = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+|"seconds": ?\d+\.\d+`)
	separators = strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "", "/", "", "+", "")
)

// numberOf is the last ten digits of a phone number, however it is written;
// empty for what is none.
func numberOf(cell string) string {
	const shortest, national = 7, 10
	digits := notDigits.ReplaceAllString(cell, "")
	if !asNumber.MatchString(cell) || len(digits) < shortest {
		return ""
	}
	return digits[max(0, len(digits)-national):]
}

func (w *watch) process(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.processes = append(w.processes, p)
}

// seen are the arguments that others on the machine saw.
func (w *watch) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.arguments))
}

// showsPeople are the commands whose result is people's data, or begins with
// an argument that is.
var showsPeople = map[string]bool{"rejects": true, "inspect": true, "check": true, "find": true}

// requireNothingShown searches all that the site's importers wrote, but for
// the spool, the ledger's own files and results that people asked for.
func (s *site) requireNothingShown(t *testing.T) {
	t.Helper()
	for _, p := range s.watch.processes {
		require.Empty(t, s.shown(p.err.String()), "%q shows what it must not on standard error", p.Args[1:])
		if !showsPeople[p.Args[1]] {
			require.Empty(t, s.shown(p.out.String()), "%q shows what it must not", p.Args[1:])
		}
	}
	for _, arguments := range s.watch.seen() {
		require.Empty(t, s.shown(arguments), "the arguments of a process show what they must not")
	}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case path != s.dir && filepath.Dir(path) == s.dir && !strings.HasPrefix(d.Name(), "state"):
			return skip(d) // the test's own
		case err != nil || d.Name() == "spool" || d.Name() == "data":
			return fs.SkipDir // gone meanwhile, or where they belong
		case d.Type().IsRegular():
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Empty(t, s.shown(string(text)), "%s shows what it must not", path)
		}
		return nil
	})
	require.NoError(t, err)
}

// skip leaves out a file, or a folder with all that is in it.
func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// shown lists what of the site's secrets and people is in a text.
func (s *site) shown(text string) (found []string) {
	for _, setting := range s.env {
		password, ok := strings.CutPrefix(setting, "DIALER_PASSWORD=")
		if ok && strings.Contains(text, password) {
			found = append(found, password)
		}
	}
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	for _, secret := range s.watch.secrets {
		if strings.Contains(text, secret) {
			found = append(found, secret)
		}
	}
	for name := range s.watch.names {
		if word := regexp.MustCompile(`\b` + regexp.QuoteMeta(name)); strings.Contains(text, name) && word.MatchString(text) {
			found = append(found, name)
		}
	}
	joined := separators.Replace(moment.ReplaceAllString(text, "T"))
	for number := range s.watch.numbers {
		if strings.Contains(joined, number) {
			found = append(found, number)
		}
	}
	return found
}

// canaryConfig ends every wait within a test's patience.
const canaryConfig = `state_dir: ./state
ledger: {dsn: "${LEDGER}", wait: 1s}
dialers:
  main:
    url: ${DIALER_URL}
    user: importer
    password: ${DIALER_PASSWORD}
    timeout: 1s
    send_within: 1s
    quiescence: 200ms
    stop_after: 1s
feeds:
  acme: {dialer: main, list_id: 101}
`

// canaries is a file with one lead.
const canaries = "First Name,Last Name,Phone\nZebulonia,Quill,305-555-0177\n"

func TestAFailingImportShowsNeitherSecretsNorPeople(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*testing.T, *site){
		"refused login": func(_ *testing.T, s *site) {
			s.dialer.SetUser(dialersim.APIUser("importer", "another"))
		},
		"an answer that repeats the request": func(_ *testing.T, s *site) {
			s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
				echo := []byte("ERROR: WHAT IS " + r.Get("pass") + "|" + r.Get("phone_number") + "|" + r.Get("first_name") + "\n")
				return dialersim.Fault{Skip: true, Answer: func(a *dialersim.Response) { a.Body = echo }}
			})
		},
		"an error page that repeats the request": func(_ *testing.T, s *site) {
			s.dialer.SetFault(func(r *dialersim.Request) dialersim.Fault {
				echo := []byte("<html>" + r.Get("pass") + "|" + r.Get("phone_number") + "|" + r.Get("first_name") + "</html>")
				return dialersim.Fault{Skip: true, Answer: func(a *dialersim.Response) { a.Status, a.Body = 404, echo }}
			})
		},
		"a ledger that refuses the row": func(t *testing.T, s *site) {
			s.exec(t, `ALTER TABLE row_data ADD CHECK (false) NOT VALID`)
		},
		"a ledger that complains with the row": func(t *testing.T, s *site) {
			s.exec(t, `CREATE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no: %', NEW; END $$`)
			s.exec(t, `CREATE TRIGGER complain BEFORE INSERT ON row_data FOR EACH ROW EXECUTE FUNCTION complain()`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, canaryConfig)
			s.write(t, "leads.csv", canaries)
			breakIt(t, s)
			p := s.start(t, "import", "leads.csv", "--feed", "acme", "--no-wait")
			require.NotZero(t, p.ends(t)) // the site looks at what it has said
		})
	}
}

func TestArgumentsShowNoSecrets(t *testing.T) {
	t.Parallel()
	s := newSite(t, privately(with(canaryConfig, "timeout: 10s")))
	// The test's name is short so that the socket fits into the state directory.
	s.letPostgresPass(t)
	s.write(t, "leads.csv", canaries)
	reached, release := s.at(t, 1)
	p := s.start(t, "import", "leads.csv", "--feed", "acme")
	<-reached
	s.lookAt(processes())
	release()
	require.Zero(t, p.ends(t), &p.err)
	seen := strings.Join(s.watch.seen(), "\n") // searched by the site
	require.Contains(t, seen, "importer import leads.csv --feed acme")
	require.Contains(t, seen, superviseCommand)
	require.Contains(t, seen, "postgres -D")
}

// Whoever hides nothing is found out.
func TestASiteFindsWhatIsShown(t *testing.T) {
	t.Parallel()
	s := newSite(t, impatient)
	s.write(t, "leads.csv", canaries)
	for _, text := range []string{
		"refused: " + dialerPassword, `{"err":"no lead Zebulonia"}`,
		"3055550177", "305-555-0177", "+1 (305) 555.0177", "ERROR: add_lead - 13055550177|101",
	} {
		require.NotEmpty(t, s.shown(text), text)
	}
	for _, text := range []string{"2025-11-25T20:11:12.305Z 555 rows", "2025-11-25T20:11:13.055550177Z", "Right", "importer: 177 rows"} {
		require.Empty(t, s.shown(text), text)
	}
}

// exec changes the site's ledger.
func (s *site) exec(t *testing.T, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.ledger)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), statement)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}
