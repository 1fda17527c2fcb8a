package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/config"
)

func TestWhatOneDialerSourceOrTargetLacksKeepsNobodyElseBack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, who, want string }{
		"a variable":                {with("source: {sftp: {" + server + ", password: '${IMPORTER_TEST_UNSET}'}}"), "feeds.acme.source", "10:86: feeds.acme.source.sftp.password uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer"},
		"a variable that is all":    {with("source: {sftp: '${IMPORTER_TEST_UNSET}'}"), "feeds.acme.source", "10:20: feeds.acme.source.sftp uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer"},
		"a password file":           {with("source: {sftp: {" + server + ", password_file: pw}}"), "feeds.acme.source", "10:91: feeds.acme.source.sftp.password_file pw cannot be read (no such file or directory): put the password there or correct the path"},
		"a key file":                {with("source: {sftp: {" + server + ", key_file: key, key_passphrase: hunter2}}"), "feeds.acme.source", "10:86: feeds.acme.source.sftp.key_file key cannot be read (no such file or directory): put the private key there or correct the path"},
		"two variables":             {with("source: {https: {url: '${IMPORTER_TEST_UNSET}${IMPORTER_TEST_UNSET_2}'}}"), "feeds.acme.source", "10:27: feeds.acme.source.https.url uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer"},
		"a page's address":          {with("source: {https: {url: '${IMPORTER_TEST_UNSET}'}}"), "feeds.acme.source", "10:27: feeds.acme.source.https.url uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer"},
		"a page's user":             {with("source: {https: {" + page + ", user: '${IMPORTER_TEST_UNSET}', password: hunter2}}"), "feeds.acme.source", "10:84: feeds.acme.source.https.user uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer"},
		"a token file":              {with("source: {https: {" + page + ", token_file: t}}"), "feeds.acme.source", "10:90: feeds.acme.source.https.token_file t cannot be read (no such file or directory): put the token there or correct the path"},
		"a header":                  {with("source: {https: {" + page + ", headers: {X-Key: '${IMPORTER_TEST_UNSET}'}}}"), "feeds.acme.source", "10:95: feeds.acme.source.https.headers.X-Key uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer"},
		"a page's authority":        {with("source: {https: {" + page + ", ca_file: ca.pem}}"), "feeds.acme.source", "10:87: feeds.acme.source.https.ca_file ca.pem cannot be read (no such file or directory): correct the path"},
		"a PGP key":                 {with("pgp_key_file: key"), "feeds.acme.pgp", "10:19: feeds.acme.pgp_key_file key cannot be read (no such file or directory): put the private key there or correct the path"},
		"a dialer's password":       {strings.Replace(smallest, "password: secret-1", "password: '${IMPORTER_TEST_UNSET}'", 1), "dialers.main", "5:15: dialers.main.password uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer"},
		"an empty password":         {strings.Replace(smallest, "password: secret-1", "password: ''", 1), "dialers.main", "5:15: dialers.main.password is empty: is the variable that it names set?"},
		"a dialer's password file":  {strings.Replace(smallest, "password: secret-1", "password_file: pw", 1), "dialers.main", "5:20: dialers.main.password_file pw cannot be read (no such file or directory): put the password there or correct the path"},
		"a dialer's authority":      {strings.Replace(smallest, "password: secret-1", "password: secret-1\n    ca_file: ca.pem", 1), "dialers.main", "6:14: dialers.main.ca_file ca.pem cannot be read (no such file or directory): correct the path"},
		"a chat's address":          {"notify: {my_team: {chat: {url: '${IMPORTER_TEST_UNSET}'}}}\n", "notify.my_team", "1:32: notify.my_team.chat.url uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer"},
		"a webhook's token":         {"notify: {ops: {webhook: {url: 'https://hooks.example.com', token_file: t}}}\n", "notify.ops", "1:72: notify.ops.webhook.token_file t cannot be read (no such file or directory): put the token there or correct the path"},
		"a mail server's user":      {"notify: {ops: {mail: {" + letter + ", user: '${IMPORTER_TEST_UNSET}', password: hunter2}}}\n", "notify.ops", "1:106: notify.ops.mail.user uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer"},
		"a mail server's authority": {"notify: {ops: {mail: {" + letter + ", ca_file: ca.pem}}}\n", "notify.ops", "1:109: notify.ops.mail.ca_file ca.pem cannot be read (no such file or directory): correct the path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := load(t, tc.text)
			require.NoError(t, err)
			require.Empty(t, cfg.Warnings)
			lacks := cfg.Lacking()
			require.Len(t, lacks, 1)
			require.Equal(t, map[string]*config.Problems{tc.who: {List: lacks}}, cfg.Lacks)
			_, got, _ := strings.Cut(lacks[0].String(), "importer.yaml:")
			folder := strings.TrimSuffix(lacks[0].File, "importer.yaml")
			require.Equal(t, tc.want, strings.ReplaceAll(got, folder, ""))
		})
	}
}

func TestWhatIsLackingIsReportedWithWhatIsWrong(t *testing.T) {
	t.Parallel()
	require.Equal(t, `importer.yaml:10:19: feeds.acme.pgp_key_file key cannot be read (no such file or directory): put the private key there or correct the path
importer.yaml:11:13: feeds.acme.region is UK: write GB, the country's code
importer.yaml:14:17: notify.ops_at_night uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer
importer.yaml:15:22: notify.team.chat.url uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer`,
		complaint(t, with("pgp_key_file: key\n    region: UK")+`spool: {quota: 0}
notify:
  ops_at_night: ${IMPORTER_TEST_UNSET}
  team: {chat: {url: '${IMPORTER_TEST_UNSET}'}}
`))
}
