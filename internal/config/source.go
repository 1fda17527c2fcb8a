package config

// Source is where a feed's files are pulled from: one of directory, sftp and
// https, and how.
type Source struct {
	Directory *Directory `yaml:"directory,omitempty" jsonschema_description:"A folder on this machine or on a network mount."`
	SFTP      *SFTP      `yaml:"sftp,omitempty" jsonschema_description:"A folder on an SFTP server."`
	HTTPS     *HTTPS     `yaml:"https,omitempty" jsonschema_description:"One file at a web address."`
	Marker    string     `yaml:"marker" jsonschema_description:"Name of the file that lies beside a complete one, such as {{.Name}}.done or {{.Stem}}.ok; empty: there is none."`
	MinAge    Duration   `yaml:"min_age" jsonschema_description:"A file is left alone until it was not written to for so long."`
	Settle    Duration   `yaml:"settle" jsonschema_description:"A file is taken when its size and time are the same in two looks that lie so far apart."`
	AtMost    int        `yaml:"at_most" jsonschema:"minimum=0" jsonschema_description:"Files in a run; 0: no limit."`
	After     string     `yaml:"after" jsonschema:"enum=leave,enum=archive,enum=rename,enum=delete" jsonschema_description:"What becomes of a file at its place when all its rows have an outcome: leave, archive (moved to archive), rename (.imported is added to its name) or delete."`
	Archive   string     `yaml:"archive" jsonschema_description:"Folder for after: archive, below the source's folder."`
	Failed    string     `yaml:"failed" jsonschema_description:"Folder, below the source's, that files which cannot be read are moved to; empty: they stay."`
	Rejects   string     `yaml:"rejects" jsonschema_description:"Folder, below the source's, into which each file's rejects are written; empty: nowhere."`
}

// Directory is a folder that files are dropped into.
type Directory struct {
	Path      string `yaml:"path" jsonschema:"required" jsonschema_description:"The folder."`
	Pattern   string `yaml:"pattern" jsonschema_description:"Which file names to take, such as *.csv (quote it: a bare * is YAML's), leads_{{.Date \"2006-01-02\"}}*.csv, or a regular expression between slashes."`
	Recursive bool   `yaml:"recursive" jsonschema_description:"Also from the folders in it."`
}

// SFTP is a folder on a server.
type SFTP struct {
	Host              string   `yaml:"host" jsonschema:"required" jsonschema_description:"The server's name or address."`
	Port              int      `yaml:"port" jsonschema:"minimum=1,maximum=65535" jsonschema_description:"The server's port."`
	User              string   `yaml:"user" jsonschema:"required" jsonschema_description:"The login's name."`
	Password          Secret   `yaml:"password" jsonschema_description:"Use ${NAME} to take it from the environment. Also the answer where the server asks in a dialogue."`
	PasswordFile      string   `yaml:"password_file" jsonschema_description:"File that holds the password instead; only its owner may read it (mode 0600)."`
	KeyFile           string   `yaml:"key_file" jsonschema_description:"Private key; only its owner may read it (mode 0600)."`
	KeyPassphrase     Secret   `yaml:"key_passphrase" jsonschema_description:"Of that key. Use ${NAME} to take it from the environment."`
	KeyPassphraseFile string   `yaml:"key_passphrase_file" jsonschema_description:"File that holds the passphrase instead; only its owner may read it (mode 0600)."`
	Agent             bool     `yaml:"agent" jsonschema_description:"Use the keys of the SSH agent at SSH_AUTH_SOCK."`
	KnownHosts        string   `yaml:"known_hosts" jsonschema_description:"File with the server's key; importer source trust writes it. Empty: known_hosts in state_dir."`
	Fingerprint       Strings  `yaml:"fingerprint" jsonschema_description:"The fingerprint of the server's key, SHA256:…, or a list of them; such a key needs not be in known_hosts."`
	Legacy            bool     `yaml:"legacy" jsonschema_description:"Accept the outdated algorithms of old servers."`
	Timeout           Duration `yaml:"timeout" jsonschema_description:"A server that says nothing for so long is given up."`
	Path              string   `yaml:"path" jsonschema:"required" jsonschema_description:"The folder."`
	Pattern           string   `yaml:"pattern" jsonschema_description:"Which file names to take, such as *.csv (quote it: a bare * is YAML's), leads_{{.Date \"2006-01-02\"}}*.csv, or a regular expression between slashes."`
	Recursive         bool     `yaml:"recursive" jsonschema_description:"Also from the folders in it."`
}

// HTTPS is one file at a web address.
type HTTPS struct {
	URL              Secret            `yaml:"url" jsonschema:"required" jsonschema_description:"The file's address. It may hold a key, so it is never shown."`
	Name             string            `yaml:"name" jsonschema_description:"What the file is called; empty: as the server or the address says."`
	User             string            `yaml:"user" jsonschema_description:"For basic authentication."`
	Password         Secret            `yaml:"password" jsonschema_description:"Use ${NAME} to take it from the environment."`
	PasswordFile     string            `yaml:"password_file" jsonschema_description:"File that holds the password instead; only its owner may read it (mode 0600)."`
	Token            Secret            `yaml:"token" jsonschema_description:"Bearer token. Use ${NAME} to take it from the environment."`
	TokenFile        string            `yaml:"token_file" jsonschema_description:"File that holds the token instead; only its owner may read it (mode 0600)."`
	Headers          map[string]Secret `yaml:"headers" jsonschema_description:"Further headers of the request."`
	CAFile           string            `yaml:"ca_file" jsonschema_description:"PEM file of a private certificate authority."`
	AllowHTTP        bool              `yaml:"allow_http" jsonschema_description:"Accept plain http, which shows everything to the network."`
	AllowRedirectsTo Strings           `yaml:"allow_redirects_to" jsonschema_description:"Hosts that the address may lead on to, such as files.example.com, files.example.com:8443 or *.example.com; they get none of the credentials."`
	Timeout          Duration          `yaml:"timeout" jsonschema_description:"A server that says nothing for so long is given up."`
}

// Expect says what a file must be like to be imported without a person having
// looked. Zero: no limit.
type Expect struct {
	MinRows  int  `yaml:"min_rows" jsonschema:"minimum=0" jsonschema_description:"Fewest rows; 0: no limit."`
	MaxRows  int  `yaml:"max_rows" jsonschema:"minimum=0" jsonschema_description:"Most rows; 0: no limit."`
	MinBytes Size `yaml:"min_bytes" jsonschema_description:"Smallest size, such as 10kB; 0: no limit."`
	MaxBytes Size `yaml:"max_bytes" jsonschema_description:"Largest size, such as 200MB; 0: no limit."`
}

func (s *Source) setDefaults() {
	s.MinAge = minute
	s.Settle = 5 * second
	s.After = "leave"
	s.Archive = "imported"
}

func (d *Directory) setDefaults() { d.Pattern = "*" }

func (s *SFTP) setDefaults() {
	s.Port = 22
	s.Pattern = "*"
	s.Timeout = 30 * second
}

func (h *HTTPS) setDefaults() { h.Timeout = 30 * second }

func (e *Expect) setDefaults() { *e = Expect{} }
