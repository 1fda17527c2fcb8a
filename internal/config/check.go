package config

import (
	"crypto/x509"
	"io/fs"
	"maps"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// checker finds what is wrong with a decoded configuration, and completes it:
// paths become absolute and password files are read.
type checker struct {
	*findings
	cfg    *Config
	known  Knowledge
	folder string // the file's own
}

var (
	// nameText is what dialers and feeds may be called; the names go into
	// paths, metrics and the ledger.
	nameText = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	// loginText is what the API keeps of user and pass before it compares them.
	loginText = regexp.MustCompile(`^[-_0-9A-Za-z]+$`)
	// sourceText is what the API keeps of source, at least two characters, up
	// to the width of its log's column.
	sourceText = regexp.MustCompile(`^[0-9A-Za-z]{2,20}$`)
)

const apiPath = "/vicidial/non_agent_api.php"

func (c *checker) config() {
	if c.cfg.StateDir == "" {
		c.bad("state_dir", "state_dir is empty: name a folder, such as ./state")
	}
	c.resolve(&c.cfg.StateDir, "state_dir")
	c.ledger(&c.cfg.Ledger)
	c.serve("serve", c.cfg.Serve)
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Dialers)) {
		dialer := c.cfg.Dialers[name]
		c.dialer("dialers."+name, name, &dialer)
		c.cfg.Dialers[name] = dialer
	}
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Notify)) {
		c.target("notify."+name, name, c.cfg.Notify[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Feeds)) {
		feed := c.cfg.Feeds[name]
		c.feed("feeds."+name, name, &feed)
		c.cfg.Feeds[name] = feed
	}
	c.sharedScopes()
}

func (c *checker) ledger(l *Ledger) {
	if dsn := l.DSN.Reveal(); dsn != "" && !strings.HasPrefix(dsn, "postgres://") &&
		!strings.HasPrefix(dsn, "postgresql://") && !strings.Contains(dsn, "=") {
		c.bad("ledger.dsn", "ledger.dsn is no PostgreSQL address: write postgres://USER@HOST/DATABASE, or leave it empty for a private PostgreSQL")
	}
	if key := l.HMACKey.Reveal(); key != "" && len(key) < 32 {
		c.bad("ledger.hmac_key", "ledger.hmac_key has fewer than 32 characters: make one with openssl rand -hex 32")
	}
	c.positive("ledger.wait", l.Wait)
	c.positive("ledger.lease", l.Lease)
	c.resolve(&l.PostgresBin, "ledger.postgres_bin")
}

func (c *checker) dialer(path, name string, d *Dialer) {
	c.name(path, "dialer", name)
	c.url(path+".url", d)
	c.login(path, d)
	if d.Concurrency < 1 || d.Concurrency > 1000 {
		c.bad(path+".concurrency", "%s.concurrency must be from 1 to 1000", path)
	}
	if !(d.Rate >= 0) || math.IsInf(d.Rate, 0) {
		c.bad(path+".rate", "%s.rate must be 0 (no limit) or a number of calls per second", path)
	}
	c.positive(path+".timeout", d.Timeout)
	c.positive(path+".send_within", d.SendWithin)
	c.positive(path+".stop_after", d.StopAfter)
	c.caFile(path+".ca_file", &d.CAFile)
	c.oneOf(path+".token_field", d.TokenField, "source_id", "vendor_lead_code", "security_phrase", "none")
	if !sourceText.MatchString(d.Source) {
		c.bad(path+".source", "%s.source must be 2 to 20 letters and digits: the API drops every other character", path)
	}
}

// url checks the address of the API. It never quotes the address, which may
// hold a password.
func (c *checker) url(path string, d *Dialer) {
	if d.URL == "" {
		c.bad(path, "%s is missing: write https://HOST%s", path, apiPath)
		return
	}
	u, err := url.Parse(d.URL)
	if err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
		c.bad(path, "%s is no web address: write https://HOST%s", path, apiPath)
		return
	}
	if u.User != nil {
		c.bad(path, "%s holds a user or password: move them to user and password", path)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		c.bad(path, "%s has something after the path: remove everything from ? or # on, the importer adds the parameters itself", path)
	}
	if u.Scheme == "http" && !d.AllowHTTP && !loopback(u.Hostname()) {
		c.bad(path, "%s is plain http, which shows passwords and leads to the network: use https, or set allow_http: true", path)
	}
	proposal := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: apiPath}).String()
	switch {
	case strings.HasSuffix(u.Path, "/agc/api.php"):
		c.bad(path, "%s is the Agent API, which drives an agent's screen and cannot add leads: use the Non-Agent API, %s", path, proposal)
	case !strings.HasSuffix(u.Path, "/non_agent_api.php"):
		c.bad(path, "%s does not end in /non_agent_api.php: use the Non-Agent API, usually %s", path, proposal)
	}
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func (c *checker) login(path string, d *Dialer) {
	switch {
	case d.User == "":
		c.bad(path+".user", "%s.user is missing: name the dialer's API user", path)
	case !loginText.MatchString(d.User):
		c.bad(path+".user", "%s.user has characters other than letters, digits, - and _: the API drops them before it compares, so this user can never match; use one without them", path)
	}
	if !c.secret(path, "password", "password", &d.Password, &d.PasswordFile) {
		if _, there := c.places[path+".password"]; there {
			c.lacking(path+".password", "%s.password is empty: is the variable that it names set?", path)
		} else {
			c.bad(path+".password", "%s has no password: set password: ${DIALER_PASSWORD} (and that variable), or password_file", path)
		}
	}
	if password := d.Password.Reveal(); password != "" && !loginText.MatchString(password) {
		c.bad(path+".password", "the password of %s has characters other than letters, digits, - and _: the API drops them before it compares, so it can never match; give the API user another one", path)
	}
}

// passwordFile reads a file that holds a secret, such as a password, and
// nothing else.
func (c *checker) passwordFile(path, file, secret string) Secret {
	text, ok := c.privateFile(path, file, secret)
	password := strings.TrimRight(string(text), "\r\n")
	if ok && password == "" {
		c.bad(path, "%s %s is empty: write the %s into it", path, file, secret)
	}
	return NewSecret(password)
}

// privateFile reads a file that only its owner may read. It is not ok when
// something is wrong with it, which has then been said.
func (c *checker) privateFile(path, file, secret string) (text []byte, ok bool) {
	info, err := os.Stat(file)
	if err != nil {
		c.lacking(path, "%s %s cannot be read (%v): put the %s there or correct the path", path, file, cause(err), secret)
		return nil, false
	}
	if !info.Mode().IsRegular() {
		c.bad(path, "%s %s is no regular file: name the file that holds the %s", path, file, secret)
		return nil, false
	}
	if info.Mode()&othersMayRead != 0 && !isCredential(file, info.Mode()) {
		c.bad(path, "%s %s may be read by others (mode %04o): run chmod 600 %s", path, file, info.Mode().Perm(), file)
		return nil, false
	}
	text, err = os.ReadFile(file)
	if err != nil {
		c.lacking(path, "%s %s cannot be read (%v): let the importer's user read it", path, file, cause(err))
		return nil, false
	}
	return text, true
}

// isCredential tells a file that systemd hands to the service (LoadCredential=).
// Whom it lets read it stands in an access list, of which the mode shows the
// group's bits.
func isCredential(file string, mode fs.FileMode) bool {
	folder := os.Getenv("CREDENTIALS_DIRECTORY")
	return folder != "" && filepath.Dir(file) == filepath.Clean(folder) && mode.Perm() == 0o440
}

func (c *checker) caFile(path string, file *string) {
	c.resolve(file, path)
	if *file == "" {
		return
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		c.lacking(path, "%s %s cannot be read (%v): correct the path", path, *file, cause(err))
		return
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		c.bad(path, "%s %s holds no certificate: name a PEM file with BEGIN CERTIFICATE lines", path, *file)
	}
}

func (c *checker) name(path, kind, name string) {
	if !nameText.MatchString(name) {
		c.bad(path, "the %s name %q has characters other than letters, digits, - and _: rename it", kind, name)
	}
}

func (c *checker) positive(path string, d Duration) {
	if d <= 0 {
		c.bad(path, "%s must be longer than 0", path)
	}
}

func (c *checker) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.bad(path, "%s must be one of %s", path, strings.Join(allowed, ", "))
	}
}

func isLoopbackURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && loopback(u.Hostname())
}
