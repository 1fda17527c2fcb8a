package config

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

func (c *checker) https(path string, h *HTTPS) {
	c.fileURL(path+".url", h)
	if strings.ContainsAny(h.Name, `/\`) {
		c.bad(path+".name", "%s.name must be a file's name without folders, such as leads.csv", path)
	}
	c.httpsLogin(path, h)
	for i, host := range h.AllowRedirectsTo {
		if !isRedirectHost(host) {
			at := c.item(path+".allow_redirects_to", i)
			c.bad(at, "%s must be a host such as files.example.com, files.example.com:8443 or *.example.com, without https:// and path", at)
		}
	}
	c.caFile(path+".ca_file", &h.CAFile)
	c.positive(path+".timeout", h.Timeout)
}

// fileURL checks the address of a file.
func (c *checker) fileURL(path string, h *HTTPS) {
	c.address(path, h.URL, h.AllowHTTP, addressWords{
		write: "write the file's whole address, such as https://files.example.com/leads.csv",
		login: "move them to user and password",
		http:  "on which anybody in between can read and change the leads",
	})
}

// addressWords complete the sentences about an address.
type addressWords struct{ write, login, http string }

// address checks a web address. It never quotes it, since it may hold a key.
func (c *checker) address(path string, address Secret, allowHTTP bool, words addressWords) {
	if address.Reveal() == "" {
		c.bad(path, "%s is missing: %s", path, words.write)
		return
	}
	u, err := url.Parse(address.Reveal())
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		c.bad(path, "%s is no web address: %s", path, words.write)
	case u.User != nil:
		c.bad(path, "%s holds a user or password: %s", path, words.login)
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		c.bad(path, "%s is plain http, %s: use https, or set allow_http: true", path, words.http)
	}
}

// httpsLogin checks what the importer shows to the server.
func (c *checker) httpsLogin(path string, h *HTTPS) {
	password := c.secret(path, "password", "password", &h.Password, &h.PasswordFile)
	token := c.secret(path, "token", "token", &h.Token, &h.TokenFile)
	user := h.User != "" || c.unread[path+".user"]
	switch {
	case token && (user || password):
		c.bad(path, "%s has both a token and a user or password: keep what the vendor gave you", path)
	case user && !password:
		c.bad(path+".user", "%s has a user, but no password: set password: ${NAME} (and that variable), or password_file", path)
	case password && !user:
		c.bad(path, "%s has a password, but no user: write the login that the vendor gave you", path)
	}
	c.token(path, h.Token)
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		at := path + ".headers." + name
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			c.bad(at, "%s.headers names %s, which can be no header: write its name as the vendor does, such as X-Api-Key", path, strconv.Quote(name))
		case http.CanonicalHeaderKey(name) == "Authorization" && (token || user):
			c.bad(at, "%s would go in the place of the token or user: keep one of them", at)
		case !httpguts.ValidHeaderFieldValue(h.Headers[name].Reveal()):
			c.bad(at, "%s has a line break or another character that cannot be sent: correct it", at)
		}
	}
}

func (c *checker) token(path string, token Secret) {
	if !httpguts.ValidHeaderFieldValue(token.Reveal()) {
		c.bad(path+".token", "the token of %s has a line break or another character that cannot be sent: correct it", path)
	}
}

// isRedirectHost tells hosts, with or without a port, and all those of a domain.
func isRedirectHost(text string) bool {
	text = strings.TrimPrefix(text, "*.")
	host, port, found := strings.Cut(text, ":")
	if n, err := strconv.Atoi(port); found && (err != nil || n < 1 || n > 65535) {
		return false
	}
	return isHost(host)
}

// signed tells whether a feed's address has a query, in which keys stand.
func (c *checker) signed(feed string) bool {
	h := c.cfg.Feeds[feed].Source.HTTPS
	return h != nil && strings.Contains(h.URL.Reveal(), "?")
}
