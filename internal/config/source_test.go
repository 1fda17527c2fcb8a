package config_test

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"importer/internal/config"
)

// with is the smallest configuration with more keys of its feed, which begin on
// line 10.
func with(more string) string { return smallest + "    " + more + "\n" }

const (
	folder = "directory: {path: drops}"
	server = "host: sftp.example.com, user: callcentre, path: leads"
	login  = server + ", password: hunter2"
	page   = "url: 'https://files.example.com/leads.csv?key=hunter2'"
)

func TestEachMistakeInASourceIsExplainedWithItsPlace(t *testing.T) {
	source := func(keys string) string { return with("source: {" + keys + "}") }
	sftp := func(keys string) string { return source("sftp: {" + keys + "}") }
	https := func(keys string) string { return source("https: {" + keys + "}") }
	for name, tc := range map[string]struct{ text, want string }{
		"an unknown place":       {source("ftp: {}"), `10:14: feeds.acme.source has no key "ftp": use after, archive, at_most, directory, failed, https, marker, min_age, rejects, settle, sftp`},
		"no place":               {source("after: delete"), "10:5: feeds.acme.source has none of directory, sftp and https: say with one of them where the files are, or remove feeds.acme.source"},
		"two places":             {source(folder + ", https: {" + page + "}"), "10:5: feeds.acme.source has several of directory, sftp and https: keep one of them, and make a feed of its own for each other"},
		"a place that is a text": {source("sftp: sftp.example.com, after: delete"), "10:20: feeds.acme.source.sftp must be a mapping, with lines of the form key: value"},

		"a folder without a path":   {source("directory: {}"), "10:14: feeds.acme.source.directory.path is missing: name the folder that the files are dropped into"},
		"a folder with a tilde":     {source("directory: {path: ~/drops}"), "10:32: feeds.acme.source.directory.path begins with ~, which only a shell knows: write ${HOME} instead"},
		"a broken pattern":          {source("directory: {path: a, pattern: '[a'}"), `10:44: feeds.acme.source.directory.pattern is no pattern of file names: write one such as "*.csv", or a regular expression between two slashes`},
		"no pattern":                {source("directory: {path: a, pattern: ''}"), `10:44: feeds.acme.source.directory.pattern is no pattern of file names: write one such as "*.csv", or a regular expression between two slashes`},
		"a pattern with a folder":   {source("directory: {path: a, pattern: 'b/*'}"), "10:44: feeds.acme.source.directory.pattern has a /, but it is compared with file names alone: move the folder to path, or write a regular expression between two slashes"},
		"a broken expression":       {source("directory: {path: a, pattern: '/(a/'}"), `10:44: feeds.acme.source.directory.pattern is no regular expression between its slashes: correct it, for example '/^leads_\d+\.csv$/'`},
		"a pattern with other days": {sftp(login + ", pattern: '{{.Day}}.csv'"), `10:104: feeds.acme.source.sftp.pattern is no template: in braces nothing but {{.Date "2006-01-02"}} may stand`},
		"a marker with a date":      {source(folder + ", marker: '{{.Date}}.ok'"), "10:48: feeds.acme.source has a marker that is no template: in braces {{.Name}} or {{.Stem}} may stand"},

		"files below none":      {source(folder + ", at_most: -1"), "10:49: feeds.acme.source.at_most must be 0 (no limit) or a number of files"},
		"another end":           {source(folder + ", after: burn"), "10:47: feeds.acme.source.after must be one of leave, archive, rename, delete"},
		"an archive of no name": {source(folder + ", after: archive, archive: ''"), "10:65: feeds.acme.source.archive is empty, but after is archive: name a folder below the source's, such as imported"},
		"an archive elsewhere":  {source(folder + ", archive: /srv/done"), "10:49: feeds.acme.source.archive must be a folder below the source's, such as done or done/acme: no / at its beginning or end, and no . or .. in it"},
		"a failed folder above": {source(folder + ", failed: ../failed"), "10:48: feeds.acme.source.failed must be a folder below the source's, such as done or done/acme: no / at its beginning or end, and no . or .. in it"},
		"rejects in the source": {source(folder + ", rejects: ."), "10:49: feeds.acme.source.rejects must be a folder below the source's, such as done or done/acme: no / at its beginning or end, and no . or .. in it"},
		"an end with a slash":   {source(folder + ", rejects: bad/"), "10:49: feeds.acme.source.rejects must be a folder below the source's, such as done or done/acme: no / at its beginning or end, and no . or .. in it"},
		"an archive on a page":  {source("https: {" + page + "}, after: archive"), "10:86: feeds.acme.source.after must be leave with https: nothing can be moved or deleted at a web address"},
		"a marker on a page":    {source("https: {" + page + "}, marker: '{{.Name}}.ok'"), "10:87: feeds.acme.source.marker needs a folder in which it lies, which a web address is not: remove it"},
		"a failed file's page":  {source("https: {" + page + "}, failed: bad"), "10:87: feeds.acme.source.failed needs a folder, which a web address is not: remove it"},
		"rejects on a page":     {source("https: {" + page + "}, rejects: bad"), "10:88: feeds.acme.source.rejects needs a folder, which a web address is not: remove it"},
		"an age without unit":   {source(folder + ", min_age: 5"), `10:49: feeds.acme.source.min_age must be a duration such as 500ms, 30s, 6m or 90d, not "5"`},
		"rows below none":       {with("expect: {min_rows: -1}"), "10:24: feeds.acme.expect.min_rows must be 0 (no limit) or a number of rows"},
		"rows that cannot be":   {with("expect: {min_rows: 11, max_rows: 10}"), "10:24: feeds.acme.expect.min_rows is more than max_rows, so no file could be imported: correct one of them"},
		"most rows below none":  {with("expect: {max_rows: -1}"), "10:24: feeds.acme.expect.max_rows must be 0 (no limit) or a number of rows"},
		"bytes that cannot be":  {with("expect: {min_bytes: 1MiB, max_bytes: 1MB}"), "10:25: feeds.acme.expect.min_bytes is more than max_bytes, so no file could be imported: correct one of them"},
		"bytes below none":      {with("expect: {max_bytes: -1}"), `10:25: feeds.acme.expect.max_bytes must be a size such as 500MB, 20GB, 64MiB or 1048576, not "-1"`},

		"no host":             {sftp("user: u, path: p, password: hunter2"), "10:14: feeds.acme.source.sftp.host is missing: name the vendor's server, such as sftp.example.com"},
		"a host with a port":  {sftp("host: 'sftp.example.com:2222', user: u, path: p, password: hunter2"), "10:27: feeds.acme.source.sftp.host must be a server's name or address alone, such as sftp.example.com: what stands before and behind it goes into user, port and path"},
		"a host with a login": {sftp("host: 'sftp://u:hunter2@sftp.example.com', user: u, path: p, password: hunter2"), "10:27: feeds.acme.source.sftp.host must be a server's name or address alone, such as sftp.example.com: what stands before and behind it goes into user, port and path"},
		"a port of nothing":   {sftp(login + ", port: 0"), "10:101: feeds.acme.source.sftp.port must be from 1 to 65535, usually 22"},
		"a port too high":     {sftp(login + ", port: 65536"), "10:101: feeds.acme.source.sftp.port must be from 1 to 65535, usually 22"},
		"no user":             {sftp("host: h, path: p, password: hunter2"), "10:14: feeds.acme.source.sftp.user is missing: write the login that the vendor gave you"},
		"no path":             {sftp("host: h, user: u, password: hunter2"), "10:14: feeds.acme.source.sftp.path is missing: name the folder on the server, or . for the one where the login ends"},
		"a path with a tilde": {sftp("host: h, user: u, path: ~/leads, password: hunter2"), "10:45: feeds.acme.source.sftp.path begins with ~, which only a shell knows: leave ~/ away, the path is counted from where the login ends"},
		"no timeout":          {sftp(login + ", timeout: 0"), "10:104: feeds.acme.source.sftp.timeout must be longer than 0"},
		"no login":            {sftp(server), "10:14: feeds.acme.source.sftp has nothing to log in with: set key_file, password: ${NAME} (and that variable), password_file, or agent: true"},
		"two passwords":       {sftp(login + ", password_file: pw"), "10:110: feeds.acme.source.sftp has both password and password_file: keep one of them"},
		"a passphrase alone":  {sftp(login + ", key_passphrase: hunter2"), "10:14: feeds.acme.source.sftp has a key_passphrase, but no key_file that it opens: name the file with the private key"},
		"two passphrases":     {sftp(login + ", key_passphrase: hunter2, key_passphrase_file: pp"), "10:14: feeds.acme.source.sftp has a key_passphrase, but no key_file that it opens: name the file with the private key\nimporter.yaml:10:141: feeds.acme.source.sftp has both key_passphrase and key_passphrase_file: keep one of them"},
		"another fingerprint": {sftp(login + ", fingerprint: 'MD5:aa:bb'"), "10:108: feeds.acme.source.sftp.fingerprint must be SHA256: and 43 characters, as ssh-keygen -l -f shows it: ask the vendor for the fingerprint of the server's host key in this form"},
		"a fingerprint that YAML reads otherwise": {sftp(login + ", fingerprint: [SHA256:abc]"), "10:95: feeds.acme.source.sftp.fingerprint[0] must be a single value; put quotes around a text"},
		"a second fingerprint":                    {sftp(login + ", fingerprint: ['SHA256:" + strings.Repeat("a", 43) + "', 'SHA256:" + strings.Repeat("a", 43) + "=']"), "10:163: feeds.acme.source.sftp.fingerprint[1] must be SHA256: and 43 characters, as ssh-keygen -l -f shows it: ask the vendor for the fingerprint of the server's host key in this form"},

		"no address":             {https("name: leads.csv"), "10:14: feeds.acme.source.https.url is missing: write the file's whole address, such as https://files.example.com/leads.csv"},
		"no whole address":       {https("url: 'files.example.com/hunter2'"), "10:27: feeds.acme.source.https.url is no web address: write the file's whole address, such as https://files.example.com/leads.csv"},
		"an address that breaks": {https("url: 'https://files.example.com:hunter2/'"), "10:27: feeds.acme.source.https.url is no web address: write the file's whole address, such as https://files.example.com/leads.csv"},
		"another protocol":       {https("url: 'ftp://files.example.com/hunter2'"), "10:27: feeds.acme.source.https.url is no web address: write the file's whole address, such as https://files.example.com/leads.csv"},
		"an address and login":   {https("url: 'https://u:hunter2@files.example.com/'"), "10:27: feeds.acme.source.https.url holds a user or password: move them to user and password"},
		"plain http":             {https("url: 'http://files.example.com/hunter2'"), "10:27: feeds.acme.source.https.url is plain http, on which anybody in between can read and change the leads: use https, or set allow_http: true"},
		"a name with a folder":   {https(page + ", name: a/b.csv"), "10:84: feeds.acme.source.https.name must be a file's name without folders, such as leads.csv"},
		"no page's timeout":      {https(page + ", timeout: 0s"), "10:87: feeds.acme.source.https.timeout must be longer than 0"},
		"token and user":         {https(page + ", token: hunter2, user: u, password: hunter2"), "10:14: feeds.acme.source.https has both a token and a user or password: keep what the vendor gave you"},
		"two tokens":             {https(page + ", token: hunter2, token_file: t"), "10:106: feeds.acme.source.https has both token and token_file: keep one of them"},
		"a token of two lines":   {https(page + `, token: "hunter2\nhunter2"`), "10:85: the token of feeds.acme.source.https has a line break or another character that cannot be sent: correct it"},
		"a user alone":           {https(page + ", user: u"), "10:84: feeds.acme.source.https has a user, but no password: set password: ${NAME} (and that variable), or password_file"},
		"a password alone":       {https(page + ", password: hunter2"), "10:14: feeds.acme.source.https has a password, but no user: write the login that the vendor gave you"},
		"a header with a colon":  {https(page + ", headers: {'X-Key:': hunter2}"), `10:98: feeds.acme.source.https.headers names "X-Key:", which can be no header: write its name as the vendor does, such as X-Api-Key`},
		"a header of two lines":  {https(page + `, headers: {X-Key: "hunter2\r\nhunter2"}`), "10:95: feeds.acme.source.https.headers.X-Key has a line break or another character that cannot be sent: correct it"},
		"two logins":             {https(page + ", token: hunter2, headers: {authorization: hunter2}"), "10:119: feeds.acme.source.https.headers.authorization would go in the place of the token or user: keep one of them"},
		"a redirect to a page":   {https(page + ", allow_redirects_to: https://cdn.example.com/"), "10:98: feeds.acme.source.https.allow_redirects_to must be a host such as files.example.com, files.example.com:8443 or *.example.com, without https:// and path"},
		"a redirect anywhere":    {https(page + ", allow_redirects_to: [a.example.com, '*']"), "10:114: feeds.acme.source.https.allow_redirects_to[1] must be a host such as files.example.com, files.example.com:8443 or *.example.com, without https:// and path"},
		"a redirect to no port":  {https(page + ", allow_redirects_to: ['a.example.com:']"), "10:99: feeds.acme.source.https.allow_redirects_to[0] must be a host such as files.example.com, files.example.com:8443 or *.example.com, without https:// and path"},
	} {
		t.Run(name, func(t *testing.T) {
			got := complaint(t, tc.text)
			require.Equal(t, "importer.yaml:"+tc.want, got)
			require.NotContains(t, got, hidden)
		})
	}
}

func TestASourceIsCompleted(t *testing.T) {
	fingerprint := "SHA256:" + strings.Repeat("a", 43)
	cfg, err := load(t, with("source: {directory: {path: drops, recursive: true}, after: archive, archive: done/acme, rejects: bad}")+`    schedule: '@daily'
    expect: {min_rows: 10, max_bytes: 20MB}
  bravo:
    dialer: main
    list_id: 102
    schedule: '@daily'
    source: {sftp: {`+server+`, agent: true, fingerprint: `+fingerprint+`}, marker: '{{.Stem}}.ok'}
  charlie:
    dialer: main
    list_id: 103
    schedule: '@daily'
    source: {https: {url: 'http://[::1]:8080/x', allow_redirects_to: ['*.example.com', 'files.example.com:8443']}, min_age: 0}
state_dir: here
spool: {quota: 20GB}
`)
	require.NoError(t, err)
	require.Empty(t, cfg.Warnings)
	folder := filepath.Dir(cfg.StateDir)
	require.Equal(t, config.Spool{Quota: 20_000_000_000, KeepFree: 500_000_000}, cfg.Spool)

	acme := cfg.Feeds["acme"]
	require.Equal(t, config.Source{
		Directory: &config.Directory{Path: filepath.Join(folder, "drops"), Pattern: "*", Recursive: true},
		MinAge:    config.Duration(time.Minute), Settle: config.Duration(5 * time.Second),
		After: "archive", Archive: "done/acme", Rejects: "bad",
	}, acme.Source)
	require.Equal(t, config.Expect{MinRows: 10, MaxBytes: 20_000_000}, acme.Expect)
	require.Equal(t, &config.SFTP{
		Host: "sftp.example.com", Port: 22, User: "callcentre", Path: "leads", Pattern: "*", Agent: true,
		KnownHosts: filepath.Join(folder, "here", "known_hosts"), Fingerprint: config.Strings{fingerprint},
		Timeout: config.Duration(30 * time.Second),
	}, cfg.Feeds["bravo"].Source.SFTP)
	require.Equal(t, "{{.Stem}}.ok", cfg.Feeds["bravo"].Source.Marker)
	charlie := cfg.Feeds["charlie"].Source
	require.Zero(t, charlie.MinAge)
	require.Equal(t, 30*time.Second, charlie.HTTPS.Timeout.Std())
}

func TestAKnownHostsFileIsCountedFromTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, with("source: {sftp: {"+login+", known_hosts: keys/acme}}"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(filepath.Dir(cfg.StateDir), "keys", "acme"), cfg.Feeds["acme"].Source.SFTP.KnownHosts)
}

func TestASourcesSecretsAreReadFromTheirFiles(t *testing.T) {
	t.Parallel()
	file := func(text string) string { return write(t, "secret", text+"\n", 0o600) }
	cfg, err := load(t, with(fmt.Sprintf("source: {sftp: {%s, password_file: %s, key_file: %s, key_passphrase_file: %s}}",
		server, file("one"), privateKey(t, "two"), file("two")))+fmt.Sprintf(`  charlie:
    dialer: main
    list_id: 102
    source: {https: {%s, user: u, password_file: %s}}
  delta:
    dialer: main
    list_id: 103
    source: {https: {%s, token_file: %s, headers: {X-Key: four}}}
`, page, file("three"), page, file("four")))
	require.NoError(t, err)
	sftp, charlie, delta := cfg.Feeds["acme"].Source.SFTP, cfg.Feeds["charlie"].Source.HTTPS, cfg.Feeds["delta"].Source.HTTPS
	require.Equal(t, "one", sftp.Password.Reveal())
	require.Equal(t, "two", sftp.KeyPassphrase.Reveal())
	require.Equal(t, "three", charlie.Password.Reveal())
	require.Equal(t, "four", delta.Token.Reveal())
	require.Equal(t, "four", delta.Headers["X-Key"].Reveal())
}

func TestASourcesSecretsThatOthersMayReadAreRefused(t *testing.T) {
	t.Parallel()
	open := write(t, "secret", hidden, 0o640)
	for name, place := range map[string]string{
		"password":   "sftp: {" + server + ", password_file: " + open + "}",
		"passphrase": "sftp: {" + server + ", key_file: " + privateKey(t, hidden) + ", key_passphrase_file: " + open + "}",
		"key":        "sftp: {" + server + ", key_file: " + open + "}",
		"login":      "https: {" + page + ", user: u, password_file: " + open + "}",
		"token":      "https: {" + page + ", token_file: " + open + "}",
	} {
		got := complaint(t, with("source: {"+place+"}"))
		require.Contains(t, got, "may be read by others (mode 0640): run chmod 600 ", name)
		require.NotContains(t, got, hidden, name)
	}
}

func TestAKeyThatCannotBeUsedIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ key, passphrase, want string }{
		"locked":           {privateKey(t, hidden), "''", "the private key is locked: give its passphrase, or use an agent"},
		"wrong passphrase": {privateKey(t, hidden), "another", "the passphrase does not open the private key"},
		"no key":           {write(t, "key", "ssh-ed25519 AAAA", 0o600), "''", "the private key cannot be read: it must be an OpenSSH or PEM private key (not the .pub file, and not a .ppk of PuTTY: puttygen exports those)"},
	} {
		got := complaint(t, with("source: {sftp: {"+server+", key_file: "+tc.key+", key_passphrase: "+tc.passphrase+"}}"))
		require.Equal(t, "importer.yaml:10:86: feeds.acme.source.sftp.key_file "+tc.key+": "+tc.want, got, name)
	}
}

// privateKey writes a key that a passphrase opens, and returns its path.
func privateKey(t *testing.T, passphrase string) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	require.NoError(t, err)
	return write(t, "key", string(pem.EncodeToMemory(block)), 0o600)
}

func TestASourceNeverShowsItsSecrets(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, with("source: {sftp: {"+login+", key_file: "+privateKey(t, hidden)+", key_passphrase: hunter2}}")+`  charlie:
    dialer: main
    list_id: 102
    source: {https: {`+page+`, user: u, password: hunter2, headers: {X-Key: hunter2}}}
  delta:
    dialer: main
    list_id: 103
    source: {https: {url: 'https://files.example.com/hunter2.csv', token: hunter2}}
`)
	require.NoError(t, err)
	redacted, err := cfg.Redacted()
	require.NoError(t, err)
	require.Equal(t, 8, strings.Count(string(redacted), "[redacted]"), "the dialer's password and all of these")
	for how, text := range map[string]string{
		"Redacted": string(redacted), "%+v": fmt.Sprintf("%+v", *cfg.Feeds["charlie"].Source.HTTPS), "%#v": fmt.Sprintf("%#v", *cfg.Feeds["acme"].Source.SFTP),
	} {
		requireHidden(t, how, text)
	}
}

func TestARedactedSourceLoadsAgain(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, with("source: {sftp: {"+login+", fingerprint: ['SHA256:"+strings.Repeat("a", 43)+"']}, after: rename}"))
	require.NoError(t, err)
	redacted, err := cfg.Redacted()
	require.NoError(t, err)
	text := strings.Replace(string(redacted), `"[redacted]"`, "secret-1", 1)
	again, err := load(t, strings.Replace(text, `"[redacted]"`, hidden, 1))
	require.NoError(t, err)
	require.Equal(t, cfg.Feeds["acme"].Source, again.Feeds["acme"].Source)
}

func TestASourcesSecretsInAnOpenConfigurationAreAWarning(t *testing.T) {
	t.Parallel()
	path := write(t, "importer.yaml", strings.Replace(with("source: {sftp: {"+login+"}}"), "https://dialer.example.com", "http://127.0.0.1", 1)+`  charlie:
    dialer: main
    list_id: 102
    source:
      https:
        `+strings.Replace(page, ", ", "\n        ", 1)+`
        headers: {X-Key: hunter2}
  delta:
    dialer: main
    list_id: 103
    source: {https: {url: https://files.example.com/leads.csv}}
`, 0o644)
	cfg, err := config.Load(path, knowledge)
	require.NoError(t, err)
	var paths []string
	for _, w := range cfg.Warnings {
		subject, _, found := strings.Cut(w.Message, " stands here in clear and others may read this file")
		require.True(t, found, w.Message)
		paths = append(paths, subject)
	}
	require.Equal(t, []string{
		"feeds.acme.source.sftp.password", "feeds.charlie.source.https.url", "feeds.charlie.source.https.headers.X-Key",
	}, paths)
}
