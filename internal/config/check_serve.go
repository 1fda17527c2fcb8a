package config

import (
	"net"
	"net/mail"
	"strconv"
)

func (c *checker) serve(path string, s Serve) {
	if s.Listen != "" && !isListener(s.Listen) {
		c.bad(path+".listen", "%s.listen must be HOST:PORT, such as 127.0.0.1:9180, or empty for none", path)
	}
	if s.Runs < 1 || s.Runs > 100 {
		c.bad(path+".runs", "%s.runs must be from 1 to 100", path)
	}
	c.positive(path+".retry_after", s.RetryAfter)
	c.positive(path+".stop_timeout", s.StopTimeout)
}

// isListener tells an address to listen at: without a host it is that of every
// network, and port 0 is any that is free.
func isListener(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil && (host == "" || isServer(host))
}

// target checks somebody who can be told.
func (c *checker) target(path, name string, t Target) {
	c.name(path, "target", name)
	given := 0
	for _, way := range []struct {
		key string
		is  bool
	}{{"webhook", t.Webhook != nil}, {"chat", t.Chat != nil}, {"mail", t.Mail != nil}} {
		if way.is || c.unread[path+"."+way.key] {
			given++
		}
	}
	switch {
	case given == 0:
		c.bad(path, "%s has none of webhook, chat and mail: say with one of them how it is told", path)
	case given > 1:
		c.bad(path, "%s has several of webhook, chat and mail: keep one of them, and make a target of its own for each other", path)
	}
	if t.Webhook != nil {
		c.webhook(path+".webhook", t.Webhook)
	}
	if t.Chat != nil {
		c.chat(path+".chat", t.Chat)
	}
	if t.Mail != nil {
		c.mail(path+".mail", t.Mail)
	}
}

const openToTheNetwork = "which shows what is told to the network"

func (c *checker) webhook(path string, w *Webhook) {
	c.address(path+".url", w.URL, w.AllowHTTP, addressWords{
		write: "write the whole address, such as https://hooks.example.com/importer",
		login: "use token instead",
		http:  openToTheNetwork,
	})
	c.secret(path, "token", "token", &w.Token, &w.TokenFile)
	c.token(path, w.Token)
	c.caFile(path+".ca_file", &w.CAFile)
}

func (c *checker) chat(path string, h *Chat) {
	c.address(path+".url", h.URL, h.AllowHTTP, addressWords{
		write: "write the whole address that the chat gave you for incoming messages",
		login: "write the address as the chat gave it to you",
		http:  openToTheNetwork,
	})
	c.caFile(path+".ca_file", &h.CAFile)
}

func (c *checker) mail(path string, m *Mail) {
	switch {
	case m.Host == "":
		c.bad(path+".host", "%s.host is missing: name the mail server, such as smtp.example.com", path)
	case !isServer(m.Host):
		c.bad(path+".host", "%s.host must be a server's name or address alone, such as smtp.example.com", path)
	}
	c.port(path+".port", m.Port, 587)
	c.oneOf(path+".tls", m.TLS, "starttls", "tls", "none")
	c.mailLogin(path, m)
	if m.From == "" {
		c.bad(path+".from", "%s.from is missing: write the sender's mail address", path)
	} else {
		c.mailAddress(path+".from", m.From)
	}
	if len(m.To) == 0 {
		c.bad(path+".to", "%s.to is missing: write the receiver's mail address, or a list of them", path)
	}
	for i, address := range m.To {
		c.mailAddress(c.item(path+".to", i), address)
	}
	c.caFile(path+".ca_file", &m.CAFile)
}

// mailLogin checks what the importer shows to the mail server.
func (c *checker) mailLogin(path string, m *Mail) {
	password := c.secret(path, "password", "password", &m.Password, &m.PasswordFile)
	user := m.User != "" || c.unread[path+".user"]
	switch {
	case user && !password:
		c.bad(path+".user", "%s has a user, but no password: set password: ${NAME} (and that variable), or password_file", path)
	case password && !user:
		c.bad(path, "%s has a password, but no user: write the login of the mail server", path)
	case user && m.TLS == "none" && !loopback(m.Host):
		c.bad(path+".tls", "%s.tls is none, which shows the password to the network: use starttls or tls, or no user", path)
	}
}

// mailAddress never quotes the address, which is somebody's.
func (c *checker) mailAddress(path, address string) {
	if _, err := mail.ParseAddress(address); err != nil {
		c.bad(path, "%s is no mail address: write one such as importer@example.com", path)
	}
}
