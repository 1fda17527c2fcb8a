package config

import (
	"io/fs"
	"net/netip"
	"strings"
)

// source checks where a feed's files are pulled from.
func (c *checker) source(path string, s *Source) {
	if !c.onePlace(path, s) {
		return
	}
	if s.Directory != nil {
		c.directory(path+".directory", s.Directory)
	}
	if s.SFTP != nil {
		c.sftp(path+".sftp", s.SFTP)
	}
	if s.HTTPS != nil {
		c.https(path+".https", s.HTTPS)
		c.readOnly(path, s)
	}
	if s.AtMost < 0 {
		c.bad(path+".at_most", "%s.at_most must be 0 (no limit) or a number of files", path)
	}
	if err := c.known.Pattern("*", s.Marker); err != nil {
		c.bad(path+".marker", "%s %v", path, err)
	}
	c.after(path, s)
}

// onePlace tells whether there is one place to check further.
func (c *checker) onePlace(path string, s *Source) bool {
	given := c.given(path, s)
	switch {
	case given == 0 && !c.noSource(path, s):
		c.bad(path, "%s has none of directory, sftp and https: say with one of them where the files are, or remove %s", path, path)
	case given > 1:
		c.bad(path, "%s has several of directory, sftp and https: keep one of them, and make a feed of its own for each other", path)
	}
	return given > 0
}

// given counts the places.
func (c *checker) given(path string, s *Source) int {
	given := 0
	for _, place := range []struct {
		key string
		is  bool
	}{{"directory", s.Directory != nil}, {"sftp", s.SFTP != nil}, {"https", s.HTTPS != nil}} {
		if place.is || c.unread[path+"."+place.key] {
			given++
		}
	}
	return given
}

// noSource tells whether nothing at all is said of where files are.
func (c *checker) noSource(path string, s *Source) bool {
	var untouched Source
	untouched.setDefaults()
	return c.given(path, s) == 0 && *s == untouched && !c.unread[path]
}

// readOnly refuses what needs a place that can be written to, or more files than
// one in it.
func (c *checker) readOnly(path string, s *Source) {
	if s.After != "leave" {
		c.bad(path+".after", "%s.after must be leave with https: nothing can be moved or deleted at a web address", path)
	}
	for _, k := range []struct{ key, value string }{{"failed", s.Failed}, {"rejects", s.Rejects}} {
		if k.value != "" {
			c.bad(path+"."+k.key, "%s.%s needs a folder, which a web address is not: remove it", path, k.key)
		}
	}
	if s.Marker != "" {
		c.bad(path+".marker", "%s.marker needs a folder in which it lies, which a web address is not: remove it", path)
	}
}

// after checks what becomes of files at their place.
func (c *checker) after(path string, s *Source) {
	c.oneOf(path+".after", s.After, "leave", "archive", "rename", "delete")
	if s.After == "archive" && s.Archive == "" {
		c.bad(path+".archive", "%s.archive is empty, but after is archive: name a folder below the source's, such as imported", path)
	}
	for _, k := range []struct{ key, value string }{{"archive", s.Archive}, {"failed", s.Failed}, {"rejects", s.Rejects}} {
		if k.value != "" && (k.value == "." || !fs.ValidPath(k.value)) {
			c.bad(path+"."+k.key, "%s.%s must be a folder below the source's, such as done or done/acme: no / at its beginning or end, and no . or .. in it", path, k.key)
		}
	}
}

func (c *checker) directory(path string, d *Directory) {
	if d.Path == "" {
		c.bad(path+".path", "%s.path is missing: name the folder that the files are dropped into", path)
	}
	c.resolve(&d.Path, path+".path")
	c.pattern(path+".pattern", d.Pattern)
}

func (c *checker) pattern(path, pattern string) {
	if err := c.known.Pattern(pattern, ""); err != nil {
		c.bad(path, "%s %v", path, err)
	}
}

// expect checks what a file must be like.
func (c *checker) expect(path string, e Expect) {
	for _, k := range []struct {
		key  string
		rows int
	}{{"min_rows", e.MinRows}, {"max_rows", e.MaxRows}} {
		if k.rows < 0 {
			c.bad(path+"."+k.key, "%s.%s must be 0 (no limit) or a number of rows", path, k.key)
		}
	}
	if e.MaxRows > 0 && e.MinRows > e.MaxRows {
		c.bad(path+".min_rows", "%s.min_rows is more than max_rows, so no file could be imported: correct one of them", path)
	}
	if e.MaxBytes > 0 && e.MinBytes > e.MaxBytes {
		c.bad(path+".min_bytes", "%s.min_bytes is more than max_bytes, so no file could be imported: correct one of them", path)
	}
}

// secret reads a secret from its file, if it is in one, and tells whether there
// is a secret. An unreadable one is there, and was complained about.
func (c *checker) secret(path, key, what string, value *Secret, file *string) bool {
	at := path + "." + key + "_file"
	inline := value.Reveal() != "" || c.unread[path+"."+key]
	inFile := *file != "" || c.unread[at]
	c.resolve(file, at)
	switch {
	case inline && inFile:
		c.bad(at, "%s has both %s and %s_file: keep one of them", path, key, key)
	case *file != "":
		*value = c.passwordFile(at, *file, what)
	}
	return inline || inFile
}

// item is the path of a list's item, or of the list that was written as its
// only item.
func (c *checker) item(path string, i int) string {
	if at := path + index(i); c.places[at] != (place{}) || c.unread[at] {
		return at
	}
	return path
}

// isServer tells a server's name, or its address, from more than that.
func isServer(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil || isHost(text)
}

// isHost tells a server's name or address from more than that.
func isHost(host string) bool {
	return host != "" && !strings.ContainsAny(host, "/\\@:*?#% \t\r\n[]")
}
