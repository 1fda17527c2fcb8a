package importer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"importer/internal/lead"
)

// ClaimKey identifies a lead within a scope without telling who it is. The
// zero key claims nothing.
type ClaimKey [16]byte

// Keyring derives what must be the same tomorrow and tell nothing about
// people: claim keys and tokens. The secret lives outside of the ledger.
type Keyring struct {
	secret []byte
}

// NewKeyring makes a keyring from the secret of the state directory.
func NewKeyring(secret []byte) Keyring { return Keyring{secret: secret} }

// Fingerprint tells keyrings apart without telling the secret; the ledger
// remembers it.
func (k Keyring) Fingerprint() string {
	return hex.EncodeToString(k.mac("fingerprint")[:8])
}

// Claim derives the identity of a lead: by names the fields that make it, in
// any order, and scope says within what it is unique.
func (k Keyring) Claim(by []string, scope string, l lead.Lead) ClaimKey {
	parts := []string{"claim", scope}
	for _, field := range by {
		if field == "phone_number" {
			parts = append(parts, "phone_code", l.PhoneCode)
		}
		parts = append(parts, field, strings.ToLower(l.Get(field)))
	}
	return ClaimKey(k.mac(parts...)[:16])
}

// Token is what a lead carries at the dialer so that it can be recognised as
// this row's: at most 20 characters, which is what the shortest token field
// holds. Feed and record say whose it is, attempt which call brought it; from
// the 99th on they look the same, and nothing is decided by it.
func (k Keyring) Token(feed string, sha [32]byte, record, attempt int) string {
	return k.tokenStem(feed, sha, record) + "-" + strconv.Itoa(min(attempt, 99))
}

// Owns tells whether a token read at the dialer is this row's, whichever
// attempt brought it.
func (k Keyring) Owns(token, feed string, sha [32]byte, record int) bool {
	stem, _, ok := strings.Cut(token, "-")
	return ok && stem == k.tokenStem(feed, sha, record)
}

func (k Keyring) tokenStem(feed string, sha [32]byte, record int) string {
	sum := k.mac("token", feed, string(sha[:]), strconv.Itoa(record))
	return "R" + base32.StdEncoding.EncodeToString(sum[:10])
}

// mac is an HMAC-SHA256 of the parts, each preceded by its length so that no
// two lists of parts are the same bytes.
func (k Keyring) mac(parts ...string) []byte {
	h := hmac.New(sha256.New, k.secret)
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}
