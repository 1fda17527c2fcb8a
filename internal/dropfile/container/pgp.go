package container

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
)

// Keys are the private keys with which a vendor's files are decrypted.
type Keys struct {
	ring       openpgp.EntityList
	passphrase []byte
}

// ReadKeys reads private keys, armoured or not, and opens them.
func ReadKeys(file []byte, passphrase string) (*Keys, error) {
	read := openpgp.ReadKeyRing
	if bytes.Contains(file, []byte("-----BEGIN PGP")) {
		read = openpgp.ReadArmoredKeyRing
	}
	ring, err := read(bytes.NewReader(file))
	if err == nil && len(ring) == 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("it holds no PGP key (%w): export the private key with gpg --export-secret-keys", err)
	}
	private := false
	for _, e := range ring {
		if e.PrivateKey == nil {
			continue
		}
		private = true
		if err := e.DecryptPrivateKeys([]byte(passphrase)); err != nil {
			return nil, errors.New("its private key is not opened by the passphrase: set pgp_passphrase or pgp_passphrase_file to the right one")
		}
	}
	if !private {
		return nil, errors.New("it holds a public key only: export the private key with gpg --export-secret-keys")
	}
	return &Keys{ring: ring, passphrase: []byte(passphrase)}, nil
}

// decrypt unpacks a PGP message.
func (u *unpacker) decrypt(name string, r io.Reader, depth int) error {
	if u.Keys == nil {
		return &Error{Name: name, Why: "the file is encrypted with PGP: set pgp_key_file in the feed's configuration, and name the feed with --feed"}
	}
	body, err := u.Keys.open(r)
	var old pgperrors.UnsupportedError
	switch {
	case errors.Is(err, pgperrors.ErrKeyIncorrect):
		return &Error{Name: name, Why: "the file is encrypted for another PGP key than that of pgp_key_file: send the vendor the public key that belongs to it"}
	case errors.As(err, &old):
		return &Error{Name: name, Why: fmt.Sprintf("the file is encrypted in an old or unsafe way (%v): have it encrypted by a current PGP program", err)}
	case err != nil:
		return damaged(name, err)
	}
	for _, suffix := range []string{".pgp", ".gpg", ".asc"} {
		name = trim(name, suffix)
	}
	return u.stream(name, body, depth)
}

func (k *Keys) open(r io.Reader) (io.Reader, error) {
	b := make([]byte, headBytes)
	n, err := io.ReadFull(r, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	r = io.MultiReader(bytes.NewReader(b[:n]), r)
	if !encrypted(b[:n]) {
		block, err := armor.Decode(r)
		if err != nil {
			return nil, err
		}
		r = block.Body
	}
	asked := false
	m, err := openpgp.ReadMessage(r, k.ring, func([]openpgp.Key, bool) ([]byte, error) {
		if asked || len(k.passphrase) == 0 {
			return nil, pgperrors.ErrKeyIncorrect
		}
		asked = true
		return k.passphrase, nil
	}, nil)
	if err != nil {
		return nil, err
	}
	if !m.IsEncrypted {
		return nil, errors.New("its content is not encrypted")
	}
	return m.UnverifiedBody, nil
}
