package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Knowledge is what the other rooms know of what may stand in the file.
type Knowledge struct {
	Fields      []string                // that a lead has
	Region      func(code string) bool  // tells a country's code
	CustomField func(label string) bool // tells what the API would take for a custom field's label
	Template    func(text string) error // tells what is wrong with a template; completes "must be"
	Encoding    func(name string) error // tells what is wrong with a character set's name
	Delimiter   func(text string) error // tells what is wrong with what stands between cells

	// Pattern tells what is wrong with a pattern of file names, or with that of
	// their markers' names, which may be empty; follows their name.
	Pattern func(pattern, marker string) error
	// Schedule, Clock, Window and Date tell what is wrong with an expression of a
	// schedule, a time of day, a daily window and a day; they follow the name of
	// the key.
	Schedule, Clock, Window, Date func(text string) error
	// PrivateKey tells what is wrong with the key of an SSH login.
	PrivateKey func(text, passphrase string) error
}

// Load reads the configuration file and checks it.
//
// Relative paths in the file are taken from the file's own folder. The error
// is a *Problems that lists everything that is wrong at once; Config.Warnings
// holds what is only unwise, and Config.Lacks what is not there but has only one
// user.
func Load(path string, known Knowledge) (*Config, error) {
	f := &findings{file: path, places: map[string]place{}, unread: map[string]bool{}, lacks: map[string]*Problems{}}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", path, err)
	}
	body := f.parse()
	if body == nil {
		return nil, f.err()
	}

	d := decoder{findings: f, anchors: map[string]ast.Node{}, merging: map[ast.Node]bool{}}
	ast.Walk(&d, body)
	cfg := &Config{}
	d.value(body, reflect.ValueOf(cfg).Elem(), "")

	c := checker{findings: f, cfg: cfg, known: known, folder: folder}
	c.config()
	c.inlineSecrets(d.inline)
	if err := f.err(); err != nil {
		return nil, err
	}
	sortByPlace(f.warnings)
	cfg.Warnings, cfg.Lacks = f.warnings, f.lacks
	return cfg, nil
}

// parse reads the file's only document. The result is nil when a problem was
// noted.
func (f *findings) parse() ast.Node {
	text, err := os.ReadFile(f.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.bad("", "there is no such file: copy configs/importer.example.yaml there and edit it, or name yours with --config")
		return nil
	case err != nil:
		f.bad("", "the file cannot be read (%v): name a readable file with --config", cause(err))
		return nil
	}
	file, err := parser.ParseBytes(bytes.TrimPrefix(text, []byte("\ufeff")), 0)
	if err != nil {
		var syntax yaml.Error
		if !errors.As(err, &syntax) {
			f.bad("", "the file is no valid YAML: %v", err)
			return nil
		}
		position := syntax.GetToken().Position
		f.places[""] = place{line: position.Line, column: position.Column}
		f.bad("", "no valid YAML from here (%s): check this line's indentation, quotes and brackets", syntax.GetMessage())
		return nil
	}
	var body ast.Node
	for _, document := range file.Docs {
		switch {
		case document.Body == nil:
		case body == nil:
			body = document.Body
		default:
			f.places[""] = place{line: document.Body.GetToken().Position.Line, column: 1}
			f.bad("", "a second document begins here: keep everything in one, without a line of ---")
			return nil
		}
	}
	if body == nil {
		f.bad("", "the file is empty: copy configs/importer.example.yaml there and edit it")
	}
	return body
}

// cause is the reason in a file error, without the operation and the path.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// othersMayRead are the permission bits of group and world.
const othersMayRead fs.FileMode = 0o077

// dsnPassword matches a password in either form of a PostgreSQL address.
var dsnPassword = regexp.MustCompile(`password\s*=|://[^/@:]*:[^/]*@`)

// inlineSecrets warns of secrets that the file holds in clear while others may
// read it. It does not refuse them, since that is how a first try looks.
func (c *checker) inlineSecrets(paths []string) {
	info, err := os.Stat(c.file)
	if err != nil {
		c.bad("", "the file went away while it was read: try again")
		return
	}
	if info.Mode()&othersMayRead == 0 {
		return
	}
	for _, path := range paths {
		if !c.harmless(path) {
			c.warn(path, "%s stands here in clear and others may read this file (mode %04o): run chmod 600 %s, or take it from the environment with ${NAME}",
				path, info.Mode().Perm(), c.file)
		}
	}
}

// harmless tells a secret that is none: one without a password in it, or one of
// a rehearsal on this machine.
func (c *checker) harmless(path string) bool {
	room, rest, _ := strings.Cut(path, ".")
	name, key, _ := strings.Cut(rest, ".")
	switch {
	case path == "ledger.dsn":
		return !dsnPassword.MatchString(c.cfg.Ledger.DSN.Reveal())
	case room == "dialers":
		return key == "password" && isLoopbackURL(c.cfg.Dialers[name].URL)
	case room == "feeds":
		return key == "source.https.url" && !c.signed(name)
	case room == "notify" && key == "webhook.url":
		return isLoopbackURL(c.cfg.Notify[name].Webhook.URL.Reveal())
	case room == "notify" && key == "chat.url":
		return isLoopbackURL(c.cfg.Notify[name].Chat.URL.Reveal())
	}
	return false
}

// resolve makes a path absolute, counted from the configuration's folder.
func (c *checker) resolve(file *string, path string) {
	switch {
	case *file == "":
	case strings.HasPrefix(*file, "~"):
		c.bad(path, "%s begins with ~, which only a shell knows: write ${HOME} instead", path)
	case !filepath.IsAbs(*file):
		*file = filepath.Join(c.folder, *file)
	}
}
