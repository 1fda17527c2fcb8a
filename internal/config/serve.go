package config

// Serve says how `importer serve` works.
type Serve struct {
	Listen      string   `yaml:"listen" jsonschema_description:"Address, HOST:PORT, of /healthz, /readyz and /metrics; empty: none."`
	Runs        int      `yaml:"runs" jsonschema:"minimum=1,maximum=100" jsonschema_description:"Runs that one process carries at once."`
	RetryAfter  Duration `yaml:"retry_after" jsonschema_description:"How soon a run is tried again that failed for a reason which may pass; each time after twice as long, up to thirty times this."`
	StopTimeout Duration `yaml:"stop_timeout" jsonschema_description:"How long the calls in flight may take to end after the first signal to stop."`
}

// Target is somebody who can be told: one of webhook, chat and mail.
type Target struct {
	Webhook *Webhook `yaml:"webhook,omitempty" jsonschema_description:"JSON is posted to an address of yours."`
	Chat    *Chat    `yaml:"chat,omitempty" jsonschema_description:"A message is posted as Slack, Mattermost, Rocket.Chat and Google Chat take it."`
	Mail    *Mail    `yaml:"mail,omitempty" jsonschema_description:"A mail is sent by SMTP."`
}

// Webhook is an address that JSON is posted to.
type Webhook struct {
	URL       Secret `yaml:"url" jsonschema:"required" jsonschema_description:"The address. It may hold a key, so it is never shown."`
	Token     Secret `yaml:"token" jsonschema_description:"Bearer token. Use ${NAME} to take it from the environment."`
	TokenFile string `yaml:"token_file" jsonschema_description:"File that holds the token instead; only its owner may read it (mode 0600)."`
	AllowHTTP bool   `yaml:"allow_http" jsonschema_description:"Accept plain http, which shows everything to the network; loopback addresses need no leave."`
	CAFile    string `yaml:"ca_file" jsonschema_description:"PEM file of a private certificate authority."`
}

// Chat is the address of an incoming webhook of a chat.
type Chat struct {
	URL       Secret `yaml:"url" jsonschema:"required" jsonschema_description:"The address that the chat gave you for incoming messages. Whoever has it can post, so it is never shown."`
	AllowHTTP bool   `yaml:"allow_http" jsonschema_description:"Accept plain http, which shows everything to the network; loopback addresses need no leave."`
	CAFile    string `yaml:"ca_file" jsonschema_description:"PEM file of a private certificate authority."`
}

// Mail is a mail server and who writes to whom.
type Mail struct {
	Host         string  `yaml:"host" jsonschema:"required" jsonschema_description:"The mail server's name or address."`
	Port         int     `yaml:"port" jsonschema:"minimum=1,maximum=65535" jsonschema_description:"The mail server's port."`
	TLS          string  `yaml:"tls" jsonschema:"enum=starttls,enum=tls,enum=none" jsonschema_description:"starttls (the line is encrypted before anything is told), tls (it is from the beginning, usually on port 465) or none."`
	User         string  `yaml:"user" jsonschema_description:"The login's name; empty: the server wants none."`
	Password     Secret  `yaml:"password" jsonschema_description:"Use ${NAME} to take it from the environment."`
	PasswordFile string  `yaml:"password_file" jsonschema_description:"File that holds the password instead; only its owner may read it (mode 0600)."`
	From         string  `yaml:"from" jsonschema:"required" jsonschema_description:"Mail address of the sender."`
	To           Strings `yaml:"to" jsonschema:"required" jsonschema_description:"Mail address of the receiver, or a list of them."`
	CAFile       string  `yaml:"ca_file" jsonschema_description:"PEM file of a private certificate authority."`
}

func (s *Serve) setDefaults() {
	s.Listen = "127.0.0.1:9180"
	s.Runs = 4
	s.RetryAfter = minute
	s.StopTimeout = 2 * minute
}

func (w *Webhook) setDefaults() { *w = Webhook{} }

func (c *Chat) setDefaults() { *c = Chat{} }

func (m *Mail) setDefaults() {
	m.Port = 587
	m.TLS = "starttls"
}
