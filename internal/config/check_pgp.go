package config

// pgp checks the key of a feed's encrypted files. Whether it is one is found
// out when it is used.
func (c *checker) pgp(path string, f *Feed) {
	c.resolve(&f.PGPKeyFile, path+".pgp_key_file")
	c.resolve(&f.PGPPassphraseFile, path+".pgp_passphrase_file")
	inline, inFile := f.PGPPassphrase.Reveal() != "", f.PGPPassphraseFile != ""
	if f.PGPKeyFile == "" {
		if inline || inFile {
			c.bad(path, "%s has a passphrase, but no pgp_key_file that it opens: name the file with the private key", path)
		}
		return
	}
	if !c.unread[path+".pgp_key_file"] {
		c.privateFile(path+".pgp_key_file", f.PGPKeyFile, "private key")
	}
	switch {
	case inline && inFile:
		c.bad(path+".pgp_passphrase_file", "%s has both pgp_passphrase and pgp_passphrase_file: keep one of them", path)
	case inFile && !c.unread[path+".pgp_passphrase_file"]:
		f.PGPPassphrase = c.passwordFile(path+".pgp_passphrase_file", f.PGPPassphraseFile, "passphrase")
	}
}
