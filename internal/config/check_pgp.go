package config

// pgp checks the key of a feed's encrypted files. Whether it is one is found
// out when it is used.
func (c *checker) pgp(path string, f *Feed) {
	c.resolve(&f.PGPKeyFile, path+".pgp_key_file")
	locked := c.secret(path, "pgp_passphrase", "passphrase", &f.PGPPassphrase, &f.PGPPassphraseFile)
	switch {
	case c.unread[path+".pgp_key_file"]:
	case f.PGPKeyFile != "":
		c.privateFile(path+".pgp_key_file", f.PGPKeyFile, "private key")
	case locked:
		c.bad(path, "%s has a passphrase, but no pgp_key_file that it opens: name the file with the private key", path)
	}
}
