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

func TestASizeReadsAsItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		value int64
		shown string
	}{
		"0":                   {0, "0"},
		"0MB":                 {0, "0"},
		"1":                   {1, "1"},
		"999":                 {999, "999"},
		"1048576":             {1 << 20, "1MiB"},
		"1048577":             {1<<20 + 1, "1048577"},
		"500MB":               {500_000_000, "500MB"},
		"500 MB":              {500_000_000, "500MB"},
		"10kB":                {10_000, "10kB"},
		"10k":                 {10_000, "10kB"},
		"1.5GB":               {1_500_000_000, "1500MB"},
		"20gb":                {20_000_000_000, "20GB"},
		"64MiB":               {64 << 20, "64MiB"},
		"1.5GiB":              {3 << 29, "1536MiB"},
		"2TB":                 {2_000_000_000_000, "2TB"},
		"9223372036854775807": {1<<63 - 1, "9223372036854775807"},
	} {
		var s config.Size
		require.NoError(t, s.UnmarshalText([]byte(text)), text)
		require.Equal(t, config.Size(want.value), s, text)
		require.Equal(t, want.shown, s.String(), text)

		var again config.Size
		require.NoError(t, again.UnmarshalText([]byte(s.String())))
		require.Equal(t, s, again)
	}
}

func TestWhatIsNoSizeIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "MB", "-1", "-5MB", "5 megabytes", "1,5GB", "1,000", "0.5", "1..5GB", "1GB5MB", "1e3", "0x10", "٣MB",
		"9223372036854775808", "10EB", "99999999999999999999",
	} {
		s := config.Size(7)
		require.EqualError(t, s.UnmarshalText([]byte(text)), "a size such as 500MB, 20GB, 64MiB or 1048576", text)
		require.Equal(t, config.Size(7), s, "a refused text changes nothing")
	}
}
