package configs_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/configs"
	"importer/internal/dropfile"
	"importer/internal/lead"
)

// The demo promises its viewers this many of each trouble.
func TestTheSamplesHoldTheTroublesOfRealLife(t *testing.T) {
	t.Parallel()
	list, err := configs.Samples.ReadFile("samples/dnc.txt")
	require.NoError(t, err)
	dnc := map[string]bool{}
	for _, number := range strings.Fields(string(list)) {
		require.Regexp(t, `^[2-9]\d\d55501\d\d$`, number)
		dnc[number] = true
	}
	loaded := map[string]bool{}
	for _, sample := range []struct {
		name string
		want map[string]int
	}{
		{"acme-monday.csv", map[string]int{
			"new": 225, "duplicate": 7, "dnc": 6, "phone_damaged": 3, "phone_invalid": 2,
			"phone_letters": 1, "phone_missing": 3, "phone_too_short": 3,
		}},
		{"bravo-leads.csv", map[string]int{
			"new": 90, "duplicate": 49, "dnc": 4, "phone_damaged": 1, "phone_invalid": 1,
			"phone_letters": 1, "phone_missing": 2, "phone_too_short": 2,
		}},
	} {
		file, err := configs.Samples.Open("samples/" + sample.name)
		require.NoError(t, err)
		r, err := dropfile.Open(file, dropfile.Options{})
		require.NoError(t, err)
		got := map[string]int{}
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			require.Nil(t, row.Refusal)
			out, _, refusal := lead.Rules{Region: "US", ListID: "101"}.Clean(row.Lead)
			switch {
			case refusal != nil:
				got[string(refusal.Reason)]++
			case loaded[out.PhoneNumber]:
				got["duplicate"]++
			default:
				require.Regexp(t, `^[2-9]\d\d55501\d\d$`, out.PhoneNumber, "only numbers that are nobody's")
				loaded[out.PhoneNumber] = true
				if dnc[out.PhoneNumber] {
					got["dnc"]++
				} else {
					got["new"]++
				}
			}
		}
		require.Equal(t, sample.want, got, sample.name)
		require.NoError(t, file.Close())
	}
}
