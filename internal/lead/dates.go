package lead

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// DateOrder is in which order day, month and year stand in dates that could be
// read in several.
type DateOrder string

// The orders.
const (
	MonthFirst DateOrder = "mdy"
	DayFirst   DateOrder = "dmy"
	YearFirst  DateOrder = "ymd"
	// MixedOrder is what a column shows in which sometimes the day and
	// sometimes the month stands first.
	MixedOrder DateOrder = "mixed"
)

// With returns the order that a column's dates show when value is one of them;
// empty as long as every one of them could be read either way.
func (o DateOrder) With(value string) DateOrder {
	if o == MixedOrder || !mayShowOrder(value) {
		return o
	}
	d, ok := parseDate(value)
	if !ok || d.month > 0 || d.digits[0] > 2 {
		return o
	}
	shown := o
	switch {
	case isDay(d.n[0]) && d.n[1] <= 12:
		shown = DayFirst
	case isDay(d.n[1]) && d.n[0] <= 12:
		shown = MonthFirst
	}
	if o != "" && shown != o {
		return MixedOrder
	}
	return shown
}

// isDay tells a number that can be a day, and no month.
func isDay(n int) bool { return n > 12 && n <= 31 }

// mayShowOrder tells quickly what does not begin with one or two digits and
// another sign.
func mayShowOrder(value string) bool {
	value = strings.TrimSpace(value)
	n := 0
	for n < len(value) && isDigit(rune(value[n])) {
		n++
	}
	return n > 0 && n < 3 && n < len(value)
}

// regionOrders are the orders that are beyond doubt where people live.
var regionOrders = map[string]DateOrder{
	"US": MonthFirst, "PR": MonthFirst, "GU": MonthFirst,
	"GB": DayFirst, "IE": DayFirst, "AU": DayFirst, "NZ": DayFirst, "IN": DayFirst,
	"DE": DayFirst, "AT": DayFirst, "CH": DayFirst, "FR": DayFirst, "BE": DayFirst, "NL": DayFirst, "IT": DayFirst,
	"ES": DayFirst, "PT": DayFirst, "BR": DayFirst, "MX": DayFirst, "AR": DayFirst, "CL": DayFirst, "CO": DayFirst,
	"PE": DayFirst, "VE": DayFirst, "EC": DayFirst, "GT": DayFirst, "DO": DayFirst, "CR": DayFirst, "UY": DayFirst,
}

// monthNames begin the names of the months in English, Spanish, French, German
// and Portuguese, without accents. What begins the names of two months is none.
var monthNames = [12][]string{
	{"jan", "ene", "janv"},
	{"feb", "fev", "fevr"},
	{"mar", "marz", "maer", "mrz"},
	{"apr", "abr", "avr"},
	{"may", "mai", "mayo"},
	{"jun", "juin"},
	{"jul", "juil"},
	{"aug", "ago", "aou"},
	{"sep", "set"},
	{"oct", "okt", "out"},
	{"nov"},
	{"dec", "dic", "dez"},
}

func monthOf(word string) int {
	word = strings.ToLower(unaccented(word))
	for i, names := range monthNames {
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(word, n) }) {
			return i + 1
		}
	}
	return 0
}

// unaccented writes a word in ASCII.
func unaccented(s string) string {
	if nameSigns.fits(s) {
		return s
	}
	var whys reasons
	return Rules{}.rewrite(s, &nameSigns, &whys)
}

// written is a date taken apart: its numbers as they stand, the month apart
// when it is a word.
type written struct {
	n      [3]int
	digits [3]int
	month  int // 0: among the numbers
	dots   bool
}

// parseDate takes apart 1980-12-31, 19801231, 12/31/1980, 31.12.80, 12 Mar 1980
// and March 12th, 1980, with or without a time of day behind it.
func parseDate(s string) (d written, ok bool) {
	if len(s) > 40 {
		return d, false
	}
	s = withoutClock(strings.TrimSpace(s))
	if len(s) == 8 && allDigits(s) {
		s = s[:4] + "-" + s[4:6] + "-" + s[6:]
	}
	d.dots = strings.Contains(s, ".")
	found := 0
	for _, word := range strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune("-/., ", c) }) {
		number := strings.ToLower(word)
		for _, ordinal := range []string{"st", "nd", "rd", "th", "er", "º"} {
			number = strings.TrimSuffix(number, ordinal)
		}
		switch {
		case allDigits(number) && len(number) <= 4 && found < 3:
			d.n[found], _ = strconv.Atoi(number) // at most four digits
			d.digits[found] = len(number)
			found++
		case number == "de" || number == "of" || number == "del":
		case d.month == 0 && monthOf(word) > 0:
			d.month = monthOf(word)
		default:
			return d, false
		}
	}
	return d, d.month == 0 && found == 3 || d.month > 0 && found == 2
}

// withoutClock cuts a time of day off.
func withoutClock(s string) string {
	if at := strings.IndexByte(s, ':'); at >= 0 {
		s = s[:at]
		s = strings.TrimRight(s, "0123456789")
		return strings.TrimRight(s, " T,")
	}
	if day, clock, ok := strings.Cut(s, "T"); ok && len(day) >= 8 && allDigits(clock) {
		return day
	}
	return s
}

const (
	asISO     = "written as YYYY-MM-DD"
	noDate    = "dropped: no date of the calendar"
	noOrder   = "dropped: day and month could be exchanged"
	noCentury = "dropped: the year has no four digits, and the century is not clear"
)

// date reads a date of a field as YYYY-MM-DD, empty when it cannot be read, and
// says why it differs. Where day and month could be exchanged, what the feed
// says decides, then what the column's other dates show, then dots, which mean
// day first, then the feed's country: a wrong date is worse than none.
func (r Rules) date(field, s string) (to, why string) {
	d, ok := parseDate(s)
	if !ok {
		return "", noDate
	}
	var year, month, day, digits int
	why = asISO
	switch {
	case d.month > 0:
		year, month, day, digits = d.n[1], d.month, d.n[0], d.digits[1]
		if d.digits[0] == 4 {
			year, day, digits = d.n[0], d.n[1], 4
		}
	case d.digits[0] == 4:
		year, month, day, digits = d.n[0], d.n[1], d.n[2], 4
	case r.DateOrder == YearFirst && d.digits[2] <= 2:
		year, month, day, digits = d.n[0], d.n[1], d.n[2], d.digits[0]
	default:
		var order DateOrder
		if order, why = r.order(field, d); order == "" {
			return "", why
		}
		year, month, day, digits = d.n[2], d.n[0], d.n[1], d.digits[2]
		if order == DayFirst {
			month, day = day, month
		}
	}
	if digits != 4 {
		if year, ok = fullYear(field, year); !ok || digits != 2 {
			return "", noCentury
		}
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if date.Year() != year || int(date.Month()) != month || date.Day() != day || year < 1800 {
		return "", noDate
	}
	return date.Format(time.DateOnly), why
}

// order decides whether the day or the month stands first.
func (r Rules) order(field string, d written) (order DateOrder, why string) {
	whys := map[DateOrder]string{DayFirst: "read as day, month, year", MonthFirst: "read as month, day, year"}
	shown := r.Dates[field]
	switch {
	case d.n[0] > 12:
		order = DayFirst
	case d.n[1] > 12:
		order = MonthFirst
	case d.n[0] == d.n[1]:
		return MonthFirst, asISO // either way it is the same day
	case r.DateOrder == DayFirst || r.DateOrder == MonthFirst:
		order = r.DateOrder
	case shown == DayFirst || shown == MonthFirst:
		return shown, whys[shown] + ", as other dates of the column can only be read"
	case shown == MixedOrder:
		return "", noOrder + ", and the column has dates of both kinds"
	case d.dots:
		order = DayFirst
	default:
		if order = regionOrders[r.Region]; order == "" {
			return "", noOrder + ", and no date of the column shows how it is written"
		}
		return order, whys[order] + ", as is usual in " + r.Region
	}
	return order, whys[order]
}

// fullYear completes a year of birth of two digits, where only one century is
// likely.
func fullYear(field string, year int) (full int, known bool) {
	switch {
	case field != "date_of_birth":
		return 0, false
	case year <= 10:
		return 2000 + year, true
	case year >= 30:
		return 1900 + year, true
	default:
		return 0, false
	}
}

func dateOfBirth(r Rules, _ *Lead, s string) (to, why string) { return r.date("date_of_birth", s) }
