package dialersim

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The dialer's tables of 2014: country code, area code, state, offset from
// GMT, DST rule, zone.
//
//go:embed zones/phone_codes.tsv
var phoneCodes string

// The ZIP codes, each line the first of a run that shares offset and DST rule.
// A ZIP code that does not exist is taken for one of the run around it.
//
//go:embed zones/postal_codes.tsv
var postalCodes string

// zone is one line of either table.
type zone struct{ area, state, offset, rule, name string }

// zones: a country's lines in their order; and the runs of ZIP codes.
type zoneTables struct {
	countries map[string][]zone
	areas     map[string]*zone // by country and area code, the first line of each
	postal    []zone           // area is the first ZIP code
}

var zones = sync.OnceValue(func() zoneTables {
	t := zoneTables{countries: map[string][]zone{}, areas: map[string]*zone{}}
	for line := range strings.Lines(phoneCodes) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		t.countries[f[0]] = append(t.countries[f[0]], zone{f[1], f[2], f[3], f[4], f[5]})
	}
	for country, lines := range t.countries {
		for i := range lines {
			if key := country + " " + lines[i].area; t.areas[key] == nil {
				t.areas[key] = &lines[i]
			}
		}
	}
	for line := range strings.Lines(postalCodes) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		t.postal = append(t.postal, zone{area: f[0], offset: f[1], rule: f[2]})
	}
	return t
})

// country is a phone_code as the zone tables know it: 001 counts as 1.
func country(phoneCode string) string {
	if trimmed := strings.TrimLeft(phoneCode, "0"); trimmed != "" {
		return trimmed
	}
	return phoneCode
}

// areaOf is the line of a number's area code: by its first three digits in
// North America and Mexico, by state in Australia, elsewhere and otherwise the
// country's first line. Nil: an unknown country.
func areaOf(phoneCode, phone, state string) *zone {
	code := country(phoneCode)
	lines := zones().countries[code]
	if len(lines) == 0 {
		return nil
	}
	switch code {
	case "1", "52":
		if len(phone) >= 3 {
			if z := zones().areas[code+" "+phone[:3]]; z != nil {
				return z
			}
		}
	case "61":
		for i := range lines {
			if state != "" && strings.EqualFold(lines[i].state, state) {
				return &lines[i]
			}
		}
	}
	return &lines[0]
}

// knownArea tells whether a number's first three digits are an area code of
// country 1.
func knownArea(phone string) bool { return len(phone) >= 3 && zones().areas["1 "+phone[:3]] != nil }

// gmtOffset computes a lead's offset as the dialer writes it in its answer:
// empty where the country is unknown. tz_method NANPA goes by area code here,
// since the NANPA table with its zones is no part of the simulation.
func gmtOffset(now time.Time, method string, v *values) string {
	z := areaOf(v[colPhoneCode], v[colPhone], v[colState])
	switch {
	case strings.Contains(method, "POSTAL") && country(v[colPhoneCode]) == "1":
		if p := postalZone(v[colPostalCode]); p != nil {
			z = p
		}
	case strings.Contains(method, "TZCODE"):
		lines := zones().countries[country(v[colPhoneCode])]
		for i := range lines {
			if v[colOwner] != "" && strings.EqualFold(lines[i].name, v[colOwner]) {
				z = &lines[i]
				break
			}
		}
	}
	if z == nil {
		return ""
	}
	offset := strings.TrimPrefix(z.offset, "+")
	if !summer(z.rule, now) {
		return offset
	}
	hours, err := strconv.ParseFloat(offset, 64)
	if err != nil {
		return offset
	}
	return strconv.FormatFloat(hours+1, 'f', -1, 64)
}

func postalZone(zip string) *zone {
	if len(zip) != 5 || filter(zip, digits, false) != zip {
		return nil
	}
	var found *zone
	runs := zones().postal
	for i := range runs {
		if runs[i].area > zip {
			break
		}
		found = &runs[i]
	}
	return found
}

// summer tells whether a DST rule such as SSM-FSN (second Sunday of March to
// first Sunday of November) is in force. Half-years that span the new year are
// the southern ones.
func summer(rule string, now time.Time) bool {
	from, to, ok := strings.Cut(rule, "-")
	if !ok || len(from) != 3 || len(to) != 3 {
		return false
	}
	day := now.UTC()
	begins, ends := ruleDay(from, day.Year()), ruleDay(to, day.Year())
	if begins.Before(ends) {
		return !day.Before(begins) && day.Before(ends)
	}
	return !day.Before(begins) || day.Before(ends)
}

// ruleDay is the day of a rule's half: which one (First, Second, Third, Last),
// day of the week (or D, the day of the month), month.
func ruleDay(half string, year int) time.Time {
	month := map[byte]time.Month{
		'F': time.February, 'M': time.March, 'A': time.April, 'S': time.September, 'O': time.October, 'N': time.November,
	}[half[2]]
	weekday, weekly := map[byte]time.Weekday{'S': time.Sunday, 'T': time.Thursday, 'F': time.Friday}[half[1]]
	first := time.Date(year, month, 1, 2, 0, 0, 0, time.UTC)
	if !weekly {
		return first
	}
	if half[0] == 'L' {
		last := first.AddDate(0, 1, -1)
		return last.AddDate(0, 0, -int((last.Weekday()-weekday+7)%7))
	}
	nth := map[byte]int{'F': 0, 'S': 1, 'T': 2}[half[0]]
	return first.AddDate(0, 0, int((weekday-first.Weekday()+7)%7)+7*nth)
}
