package container_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/stretchr/testify/require"

	"importer/internal/dropfile/container"
)

func newKey(t *testing.T) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("Importer", "", "importer@example.com", nil)
	require.NoError(t, err)
	return e
}

// exported is a private key as gpg exports it.
func exported(t *testing.T, e *openpgp.Entity, armoured bool) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.Writer = &b
	if armoured {
		a, err := armor.Encode(&b, openpgp.PrivateKeyType, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, a.Close()) }()
		require.NoError(t, e.SerializePrivateWithoutSigning(a, nil))
		require.NoError(t, a.Close())
		return b.Bytes()
	}
	require.NoError(t, e.SerializePrivateWithoutSigning(w, nil))
	return b.Bytes()
}

func encrypted(t *testing.T, content []byte, to ...*openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := openpgp.Encrypt(&b, to, nil, nil, nil)
	require.NoError(t, err)
	_, err = w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func armoured(t *testing.T, message []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, "PGP MESSAGE", nil)
	require.NoError(t, err)
	_, err = w.Write(message)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestAPGPMessageIsDecryptedWithTheFeedsKey(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	keys, err := container.ReadKeys(exported(t, key, false), "")
	require.NoError(t, err)
	message := encrypted(t, []byte(leads), newKey(t), key)
	for name, file := range map[string][]byte{
		"leads.csv.pgp": message, "leads.csv.gpg": message, "leads.csv.asc": armoured(t, message), "leads.csv": armoured(t, message),
	} {
		texts, err := unpack(t, name, file, container.Options{Keys: keys})
		require.NoError(t, err)
		require.Equal(t, []text{{"leads.csv", leads}}, texts)
	}

	texts, err := unpack(t, "leads.zip.pgp", encrypted(t, zipped(t, member{"book.xlsx", workbook(t, [][]any{{"phone"}})}), key), container.Options{Keys: keys})
	require.NoError(t, err)
	require.Equal(t, []text{{"leads.zip/book.xlsx/Sheet1", container.SheetMark + "\"phone\"\n"}}, texts)
}

func TestAPassphraseOpensTheKey(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	message := encrypted(t, []byte(leads), key)
	require.NoError(t, key.EncryptPrivateKeys([]byte("correct horse"), nil))
	file := exported(t, key, true)
	keys, err := container.ReadKeys(file, "correct horse")
	require.NoError(t, err)
	texts, err := unpack(t, "leads.csv.pgp", message, container.Options{Keys: keys})
	require.NoError(t, err)
	require.Equal(t, []text{{"leads.csv", leads}}, texts)

	for _, wrong := range []string{"", "battery"} {
		_, err = container.ReadKeys(file, wrong)
		require.EqualError(t, err, "its private key is not opened by the passphrase: set pgp_passphrase or pgp_passphrase_file to the right one")
	}
}

func TestAKeyFileWithoutAPrivateKeyIsRefused(t *testing.T) {
	t.Parallel()
	var public bytes.Buffer
	require.NoError(t, newKey(t).Serialize(&public))
	_, err := container.ReadKeys(public.Bytes(), "")
	require.ErrorContains(t, err, "it holds a public key only")
	for _, file := range []string{"", "phone\n", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n"} {
		_, err = container.ReadKeys([]byte(file), "")
		require.ErrorContains(t, err, "it holds no PGP key")
	}
}

func TestAMessageThatCannotBeTrustedIsRefused(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	keys, err := container.ReadKeys(exported(t, key, false), "")
	require.NoError(t, err)
	message := encrypted(t, bytes.Repeat([]byte(leads), 10_000), key)

	_, err = unpack(t, "leads.csv.pgp", message, container.Options{})
	require.EqualError(t, err, "leads.csv.pgp: the file is encrypted with PGP: set pgp_key_file in the feed's configuration, and name the feed with --feed")

	_, err = unpack(t, "leads.csv.pgp", encrypted(t, []byte(leads), newKey(t)), container.Options{Keys: keys})
	require.EqualError(t, err, "leads.csv.pgp: the file is encrypted for another PGP key than that of pgp_key_file: send the vendor the public key that belongs to it")

	for name, file := range map[string][]byte{"leads.csv.pgp": message, "leads.csv.asc": armoured(t, message)} {
		for cut := 32; cut < len(file)-1; cut += max(1, len(file)/50) {
			_, err = unpack(t, name, file[:cut], container.Options{Keys: keys})
			var bad *container.Error
			require.ErrorAs(t, err, &bad, "cut at %d of %d", cut, len(file))
		}
	}
	for _, at := range []int{len(message) / 2, len(message) - 5} {
		broken := bytes.Clone(message)
		broken[at] ^= 1
		_, err = unpack(t, "leads.csv.pgp", broken, container.Options{Keys: keys})
		require.Error(t, err)
	}
}

func TestAMessageUnderAPassphraseAloneIsRead(t *testing.T) {
	t.Parallel()
	keys, err := container.ReadKeys(exported(t, newKey(t), false), "correct horse")
	require.NoError(t, err)
	var b bytes.Buffer
	w, err := openpgp.SymmetricallyEncrypt(&b, []byte("correct horse"), nil, nil)
	require.NoError(t, err)
	_, err = io.WriteString(w, leads)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	texts, err := unpack(t, "leads.csv.gpg", b.Bytes(), container.Options{Keys: keys})
	require.NoError(t, err)
	require.Equal(t, []text{{"leads.csv", leads}}, texts)
}
