package source

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHostsThatARedirectMayLeadTo(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		allowed, target string
		may             bool
	}{
		{"files.example.com", "https://files.example.com/x", true},
		{"Files.Example.com", "https://FILES.example.com:443/x", true},
		{"files.example.com", "https://files.example.com:8443/x", false},
		{"files.example.com:8443", "https://files.example.com:8443/x", true},
		{"example.com", "https://files.example.com/x", false},
		{"files.example.com", "https://other.example.com/x", false},
		{"*.example.com", "https://a.b.example.com/x", true},
		{"*.example.com", "https://example.com/x", false},
		{"*.example.com", "https://badexample.com/x", false},
		{"*.example.com", "https://example.com.evil.example.net/x", false},
		{"*", "https://files.example.com/x", false},
	} {
		h, err := NewHTTPS(HTTPSOptions{URL: "https://www.example.com/leads", AllowRedirectsTo: []string{k.allowed}, Timeout: time.Second})
		require.NoError(t, err)
		u, err := url.Parse(k.target)
		require.NoError(t, err)
		require.Equal(t, k.may, h.allow(u) == nil, "%v", k)
	}
}
