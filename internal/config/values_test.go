package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/config"
)

func TestADurationReadsAsItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		value time.Duration
		shown string
	}{
		"0":       {0, "0"},
		"0s":      {0, "0"},
		"1ms":     {time.Millisecond, "1ms"},
		"500ms":   {500 * time.Millisecond, "500ms"},
		"30s":     {30 * time.Second, "30s"},
		"1.5s":    {1500 * time.Millisecond, "1.5s"},
		"6m":      {6 * time.Minute, "6m"},
		"10m10s":  {10*time.Minute + 10*time.Second, "10m10s"},
		"90m":     {90 * time.Minute, "1h30m"},
		"10h":     {10 * time.Hour, "10h"},
		"24h":     {24 * time.Hour, "1d"},
		"36h":     {36 * time.Hour, "36h"},
		"1d12h":   {36 * time.Hour, "36h"},
		"90d":     {90 * 24 * time.Hour, "90d"},
		"106751d": {106751 * 24 * time.Hour, "106751d"},
	} {
		var d config.Duration
		require.NoError(t, d.UnmarshalText([]byte(text)), text)
		require.Equal(t, want.value, d.Std(), text)
		require.Equal(t, want.shown, d.String())

		var again config.Duration
		require.NoError(t, again.UnmarshalText([]byte(d.String())))
		require.Equal(t, d, again)
	}
}

func TestWhatIsNoDurationIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "30", "d", "-1s", "-0s", "-1d", "1d-1h", "1.5d", "d5h", "1d5", "1 d", "3 months", "90D",
		"106752d", "106751d24h", "99999999999999999999d", "9999999h",
	} {
		d := config.Duration(7)
		require.EqualError(t, d.UnmarshalText([]byte(text)), "a duration such as 500ms, 30s, 6m or 90d", text)
		require.Equal(t, config.Duration(7), d, "a refused text changes nothing")
	}
}
