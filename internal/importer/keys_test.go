package importer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

func TestATokenFitsTheShortestFieldAndNamesOneRow(t *testing.T) {
	t.Parallel()
	k, sha := importer.NewKeyring([]byte("secret")), [32]byte{1}
	for _, attempt := range []int{1, 9, 99, 100, 30000} {
		token := k.Token("acme", sha, 7, attempt)
		require.LessOrEqual(t, len(token), 20, "vendor_lead_code holds 20 characters")
		require.True(t, k.Owns(token, "acme", sha, 7))
		require.False(t, k.Owns(token, "acme", sha, 8))
		require.False(t, k.Owns(token, "bravo", sha, 7))
		require.False(t, k.Owns(token, "acme", [32]byte{2}, 7))
		require.False(t, importer.NewKeyring([]byte("other")).Owns(token, "acme", sha, 7))
	}
	require.False(t, k.Owns("", "acme", sha, 7))
	require.False(t, k.Owns("VENDOR-7", "acme", sha, 7))
}
