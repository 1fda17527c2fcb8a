package lead_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	pn "github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"

	"importer/internal/lead"
)

func TestPhoneNumbersAreReadAsVendorsWriteThem(t *testing.T) {
	t.Parallel()
	gb := lead.Rules{Region: "GB", ListID: "101"}
	de := lead.Rules{Region: "DE", ListID: "101"}
	it := lead.Rules{Region: "IT", ListID: "101"}
	for _, c := range []struct {
		rules      lead.Rules
		cell, code string
		want       string // code, number
		alt        string
		noted      bool // beside its being written as digits
	}{
		{us, "3055550123", "", "1 3055550123", "", false},
		{us, " (305) 555-0123 ", "", "1 3055550123", "", false},
		{us, "305.555.0123", "", "1 3055550123", "", false},
		{us, "1-305-555-0123", "", "1 3055550123", "", false},
		{us, "+1 305 555 0123", "", "1 3055550123", "", false},
		{us, "305/555-0123", "", "1 3055550123", "", false},
		{us, "001 305 555 0123", "", "1 3055550123", "", false},
		{us, "'3055550123", "", "1 3055550123", "", false},
		{us, "３０５５５５０１２３", "", "1 3055550123", "", false},
		{us, "305\u2011555\u20110123", "", "1 3055550123", "", false},
		{us, "\u202a+1\u00a0305\u00a0555\u00a00123\u202c", "", "1 3055550123", "", false},
		{us, "3,055,550,123", "", "1 3055550123", "", false},
		{us, "p:+15551234567", "", "1 5551234567", "", true},
		{us, "p:+13055550123", "", "1 3055550123", "", true},
		{us, "tel: 305-555-0123", "", "1 3055550123", "", true},
		{us, "305-555-0123 (cell)", "", "1 3055550123", "", true},
		{us, "305-555-0123 x22", "", "1 3055550123", "", true},
		{us, "305-555-0123x22", "", "1 3055550123", "", true},
		{us, "305-555-0123 ext. 22", "", "1 3055550123", "", true},
		{us, "305-555-0123 #22", "", "1 3055550123", "", true},
		{us, "3055550123.0", "", "1 3055550123", "", true},
		{us, "305-555-0123 / 305-555-0124", "", "1 3055550123", "3055550124", true},
		{us, "305-555-0123; 305-555-0124", "", "1 3055550123", "3055550124", true},
		{us, "305-555-0123 or 305-555-0124", "", "1 3055550123", "3055550124", true},
		{us, "H:305-555-0123 C:305-555-0124", "", "1 3055550123", "3055550124", true},
		{us, "3055550123 3055550124", "", "1 3055550123", "3055550124", true},
		{us, "305-555-0123 x22\n305-555-0124", "", "1 3055550123", "3055550124", true},
		{us, "555-0123 / 305-555-0124", "", "1 3055550124", "", true},
		{us, "305-555-0123/24", "", "1 3055550123", "", true},
		{us, "+44 20 7946 0958", "", "44 2079460958", "", false},
		{us, "011 44 20 7946 0958", "", "44 2079460958", "", false},
		{us, "00442079460958", "", "44 2079460958", "", false},
		{us, "3055550123", "1", "1 3055550123", "", false},
		{us, "13055550123", "+1", "1 3055550123", "", false},
		{us, "07700 900123", "44", "44 7700900123", "", false},
		{us, "7700900123", "44", "44 7700900123", "", false},
		{us, "447700900123", "44", "44 7700900123", "", false},
		{us, "+44 7700 900123", "1", "44 7700900123", "", false},
		{us, "3055550123", "US", "1 3055550123", "", false},
		{gb, "07700 900123", "", "44 7700900123", "", false},
		{de, "030/901820", "", "49 30901820", "", false},
		{de, "+49 (0)30 901820", "", "49 30901820", "", false},
		{it, "06 1234 5678", "", "39 0612345678", "", false},
	} {
		in := lead.Lead{PhoneNumber: c.cell, PhoneCode: c.code}
		out, changes, refusal := c.rules.Clean(in)
		require.Nil(t, refusal, c.cell)
		require.Equal(t, c.want, out.PhoneCode+" "+out.PhoneNumber, c.cell)
		require.Equal(t, c.alt, out.AltPhone, c.cell)
		noted := false
		for _, ch := range changes {
			noted = noted || ch.Field == "phone_number" && !strings.HasPrefix(ch.Why, "written as digits alone")
		}
		require.Equal(t, c.noted, noted, c.cell)
		requireClean(t, c.rules, in)
	}
}

func TestPhoneNumbersThatCannotBeDialledAreRefused(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]lead.Reason{
		"":                    lead.PhoneMissing,
		"  ":                  lead.PhoneMissing,
		"N/A":                 lead.PhoneMissing,
		"-":                   lead.PhoneMissing,
		"2.17623E+09":         lead.PhoneDamaged,
		"2,17623E+09":         lead.PhoneDamaged,
		"3.055550123e9":       lead.PhoneDamaged,
		"#REF!":               lead.PhoneDamaged,
		"########":            lead.PhoneDamaged,
		"30555501.23":         lead.PhoneDamaged,
		"3055550123.5":        lead.PhoneDamaged,
		"12/31/1980":          lead.PhoneDamaged,
		"305555O123":          lead.PhoneLetters,
		"3055550123O":         lead.PhoneLetters,
		"1-800-FLOWERS":       lead.PhoneLetters,
		"5551234":             lead.PhoneTooShort,
		"305-555-012":         lead.PhoneTooShort,
		"7":                   lead.PhoneTooShort,
		"305555012345":        lead.PhoneTooLong,
		"23055550123":         lead.PhoneTooLong,
		"0000000000":          lead.PhoneInvalid,
		"1111111111":          lead.PhoneInvalid,
		"9999999999":          lead.PhoneInvalid,
		"1234567890":          lead.PhoneInvalid,
		"0305555012":          lead.PhoneInvalid,
		"+999 1234567890":     lead.PhoneInvalid,
		"555-0123 / 555-0124": lead.PhoneTooShort,

		strings.Repeat("3055550123 ", 30): lead.PhoneTooLong,
	} {
		in := lead.Lead{PhoneNumber: cell, FirstName: "José"}
		out, changes, refusal := us.Clean(in)
		require.NotNil(t, refusal, cell)
		require.Equal(t, want, refusal.Reason, cell)
		require.NotRegexp(t, `305|555`, refusal.Detail)
		require.Empty(t, changes)
		require.Equal(t, in, out)
	}
	for _, cell := range []string{"3023125101.50", "31.12.1980", "1980-12-31"} { // whose digits could be dialled there
		_, _, refusal := lead.Rules{Region: "DE", ListID: "101"}.Clean(lead.Lead{PhoneNumber: cell})
		require.NotNil(t, refusal, cell)
		require.Equal(t, lead.PhoneDamaged, refusal.Reason, cell)
	}
	_, _, refusal := us.Clean(lead.Lead{PhoneNumber: "3055550123", PhoneCode: "999"})
	require.Equal(t, lead.PhoneInvalid, refusal.Reason)
	_, _, refusal = lead.Rules{ListID: "101"}.Clean(lead.Lead{PhoneNumber: "3055550123"})
	require.Equal(t, lead.PhoneInvalid, refusal.Reason, "no region")
}

func TestAltPhoneIsKeptOrDroppedWithANote(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		phone, alt, want string
		noted            bool // beside its being written as digits
	}{
		{"3055550123", "(305) 555-0124", "3055550124", false},
		{"3055550123", "305-555-0124 x7", "3055550124", true},
		{"3055550123", "555-0124", "", true},
		{"3055550123", "n/a", "", true},
		{"3055550123", "+44 20 7946 0958", "", true},
		{"+44 20 7946 0958", "020 7946 0959", "2079460959", false},
		{"3055550123 / 3055550124", "3055550125", "3055550125", false},
		{"3055550123 / 3055550124", "n/a", "", true},
	} {
		out, changes, refusal := us.Clean(lead.Lead{PhoneNumber: c.phone, AltPhone: c.alt})
		require.Nil(t, refusal)
		require.Equal(t, c.want, out.AltPhone, c.alt)
		noted := false
		for _, ch := range changes {
			noted = noted || ch.Field == "alt_phone" && !strings.HasPrefix(ch.Why, "written as digits alone")
		}
		require.Equal(t, c.noted, noted, c.alt)
	}
}

// The short way for North American numbers must not differ from what the
// library reads. IMPORTER_NUMBERS=1000000 compares a million.
func TestPlainNumbersAreReadAsTheLibraryReadsThem(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	formats := []string{"%s%s%s", "%s-%s-%s", "(%s) %s-%s", "%s.%s.%s", "1%s%s%s", "1 (%s) %s %s", "%s%s.%s", "+1 %s-%s-%s"}
	regions := []string{"US", "CA", "PR", "JM", "BS"}
	accepted, compared := 0, usuallyCompared
	if n, err := strconv.Atoi(os.Getenv("IMPORTER_NUMBERS")); err == nil {
		compared = n
	}
	for i := range compared {
		digits := fmt.Sprintf("%010d", random.Int64N(10_000_000_000))
		if i%10 == 0 { // the borders: placeholders and wrong lengths
			digits = digits[:random.IntN(10)] + digits[:3] + digits[:1+random.IntN(3)]
		}
		if len(digits) < 4 || strings.HasPrefix(digits, "00") || strings.HasPrefix(digits, "011") {
			continue // prefixes for numbers abroad, and no short way
		}
		cell := fmt.Sprintf(formats[i%len(formats)], digits[:3], digits[3:min(6, len(digits))], digits[min(6, len(digits)):])
		region := regions[i%len(regions)]

		n, err := pn.Parse(cell, region)
		want := ""
		if err == nil && n.GetCountryCode() == 1 && pn.IsPossibleNumberWithReason(n) == pn.IS_POSSIBLE {
			want = pn.GetNationalSignificantNumber(n)
			if want[0] < '2' || strings.Count(want, want[:1]) == len(want) || want == "9876543210" {
				want = ""
			}
		}
		out, _, refusal := lead.Rules{Region: region, ListID: "101"}.Clean(lead.Lead{PhoneNumber: cell})
		if refusal != nil {
			require.Empty(t, want, "%s in %s: %s", cell, region, refusal.Reason)
			continue
		}
		accepted++
		require.Equal(t, want, out.PhoneNumber, "%s in %s", cell, region)
	}
	require.Greater(t, accepted, compared/2)
}
