package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAPHPWithoutAnOpcodeCacheIsRecognisedBehindAnyNetwork(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, k := range map[string]struct {
		s    speed
		slow bool
	}{
		"usual":            {speed{5 * ms, 0}, false},
		"far away":         {speed{185 * ms, 180 * ms}, false},
		"no cache":         {speed{60 * ms, 1 * ms}, true},
		"no cache, far":    {speed{240 * ms, 180 * ms}, true},
		"a bit busy":       {speed{30 * ms, 1 * ms}, false},
		"on one's machine": {speed{1 * ms, 1 * ms}, false},
	} {
		err := k.s.judge()
		require.Equal(t, k.slow, err != nil, name)
		if k.slow {
			require.ErrorContains(t, err, "opcode cache", name)
		}
	}
}

func TestANumberIsMaskedButForItsEnd(t *testing.T) {
	t.Parallel()
	require.Equal(t, "******0123", maskPhone("3055550123"))
	require.Equal(t, "12", maskPhone("12"))
}
