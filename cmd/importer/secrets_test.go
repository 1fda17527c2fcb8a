package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// What must never be shown.
const (
	secretPassword = "Canary-Word_7"
	secretPhone    = "3055550177"
	secretName     = "Zebulonia"
)

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

func canarySite(t *testing.T, config string) *site {
	t.Helper()
	s := newSite(t, config)
	s.env = append(s.env, "DIALER_PASSWORD="+secretPassword)
	s.dialer.SetUser(dialersim.APIUser("importer", secretPassword))
	s.write(t, "leads.csv", "First Name,Last Name,Phone\n"+secretName+",Quill,305-555-0177\n")
	return s
}

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
			s := canarySite(t, canaryConfig)
			breakIt(t, s)
			p := s.start(t, "import", "leads.csv", "--feed", "acme", "--no-wait")
			require.NotZero(t, p.ends(t))
			shown := p.out.String() + p.err.String()
			for _, secret := range []string{secretPassword, secretPhone, "305-555-0177", secretName} {
				require.NotContains(t, shown, secret)
			}
		})
	}
}

func TestArgumentsShowNoSecrets(t *testing.T) {
	t.Parallel()
	s := canarySite(t, `state_dir: ./state
dialers:
  main: {url: "${DIALER_URL}", user: importer, password: "${DIALER_PASSWORD}"}
feeds:
  acme: {dialer: main, list_id: 101}
`)
	// The private PostgreSQL's user must pass; the test's name is short so that its
	// socket fits into the state directory.
	require.NoError(t, os.Chmod(filepath.Dir(s.dir), 0o711))
	reached, release := s.at(t, 1)
	p := s.start(t, "import", "leads.csv", "--feed", "acme")
	<-reached
	arguments, err := exec.Command("ps", "-A", "-o", "args=").Output()
	require.NoError(t, err)
	release()
	require.Zero(t, p.ends(t), &p.err)
	require.Contains(t, string(arguments), "importer import leads.csv --feed acme")
	require.Contains(t, string(arguments), superviseCommand)
	for _, secret := range []string{secretPassword, secretPhone, "305-555-0177", secretName} {
		require.NotContains(t, string(arguments), secret)
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
