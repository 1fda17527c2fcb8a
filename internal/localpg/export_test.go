package localpg

import "testing"

// WithoutUsualFolders makes this machine look as if no PostgreSQL were
// installed. Not for parallel tests.
func WithoutUsualFolders(t *testing.T) {
	was := usualFolders
	usualFolders = nil
	t.Cleanup(func() { usualFolders = was })
}
