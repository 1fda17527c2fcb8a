package lead

import (
	"errors"
	"strconv"
	"strings"
	"unicode"

	pn "github.com/nyaruka/phonenumbers"
)

// The dialer's bounds for digits: its API refuses a phone_number outside of
// the first two, and its alt_phone column cuts beyond the third.
const (
	minPhone    = 6
	maxPhone    = 16
	maxAltPhone = 12
)

// maxCell bounds what is taken apart in search of a number.
const maxCell = 200

// number is a phone number as the dialer stores it.
type number struct {
	code     string // country calling code, e.g. "1"
	national string // national significant number, e.g. "3055550123"
}

// cleanPhone settles phone_code, phone_number and alt_phone.
func (r Rules) cleanPhone(l *Lead, c *changes) *Refusal {
	code := strings.TrimSpace(l.PhoneCode)
	found, refused := r.numbers(l.PhoneNumber, callingCode(code))
	switch {
	case refused == PhoneMissing && strings.TrimSpace(l.PhoneNumber) != "":
		return &Refusal{Reason: PhoneMissing, Detail: "there is no digit in the phone number's cell"}
	case refused != "":
		return refuse(refused)
	}
	main := found.numbers[0]
	cell := l.PhoneNumber
	l.PhoneCode, l.PhoneNumber = main.code, main.national
	if code != "" && code != main.code {
		c.add("phone_code", code, main.code, "the country calling code as it is stored")
	}
	c.addNumber("phone_number", strings.TrimSpace(cell), main, found.whys)
	if strings.TrimSpace(l.AltPhone) != "" {
		r.cleanAltPhone(l, c)
		return nil
	}
	l.AltPhone = ""
	if len(found.numbers) > 1 && storable(found.numbers[1], main.code) {
		l.AltPhone = found.numbers[1].national
		c.add("alt_phone", "", l.AltPhone, "second number of phone_number")
	}
	return nil
}

// cleanAltPhone reads alt_phone like phone_number, except that it is dropped
// where phone_number would be refused. The dialer dials it with the lead's
// phone_code.
func (r Rules) cleanAltPhone(l *Lead, c *changes) {
	from := strings.TrimSpace(l.AltPhone)
	l.AltPhone = ""
	found, refused := r.numbers(from, l.PhoneCode)
	switch {
	case refused != "":
		c.add("alt_phone", from, "", "dropped: "+details[refused])
	case !storable(found.numbers[0], l.PhoneCode):
		c.add("alt_phone", from, "", "dropped: another country's number, or longer than 12 digits")
	default:
		l.AltPhone = found.numbers[0].national
		c.addNumber("alt_phone", from, found.numbers[0], found.whys)
	}
}

// addNumber notes how a number was read.
func (c *changes) addNumber(field, from string, n number, whys reasons) {
	switch {
	case from == n.national:
	case len(whys) > 0:
		c.add(field, from, n.national, strings.Join(whys, "; "))
	case countDigits(from) == len(n.national):
		c.add(field, from, n.national, whyDigits)
	default:
		c.add(field, from, n.national, whyDigits+", country code and trunk prefix apart")
	}
}

const whyDigits = "written as digits alone"

func countDigits(s string) int {
	n := 0
	for _, c := range s {
		if unicode.IsDigit(c) {
			n++
		}
	}
	return n
}

func storable(alt number, code string) bool {
	return alt.code == code && len(alt.national) <= maxAltPhone
}

// callingCode reads a row's own phone_code; what holds no digits only is as
// good as none.
func callingCode(s string) string {
	s = strings.TrimLeft(strings.TrimPrefix(s, "+"), "0")
	if !allDigits(s) || len(s) > 3 {
		return ""
	}
	return s
}

// found is what a phone number's cell holds: one or two numbers, and what had
// to be dropped to read them.
type found struct {
	numbers []number
	whys    reasons
}

// numbers reads a cell: the first usable number in it, and a second one where
// there is one. code is the row's own country calling code, empty for none.
func (r Rules) numbers(cell, code string) (found, Reason) {
	if national, ok := r.plainNANP(cell, code); ok {
		return found{numbers: []number{{"1", national}}}, ""
	}
	if len(cell) > maxCell {
		return found{}, PhoneTooLong
	}
	s := scan(cell)
	if s.damaged {
		return found{}, PhoneDamaged
	}
	if len(s.parts) == 0 {
		return found{}, PhoneMissing
	}
	f := found{whys: s.whys}
	var refused Reason
	whole := false
	for i, p := range s.parts {
		n, why := r.read(p, code)
		if why != "" && i == 0 {
			refused = why
			if joined, ok := s.joined(); ok {
				n, why = r.read(joined, code)
				whole = why == ""
			}
		}
		if why == "" {
			f.numbers = append(f.numbers, n)
		}
		if whole || len(f.numbers) == 2 {
			break
		}
	}
	if len(f.numbers) == 0 {
		return found{}, refused
	}
	if len(s.parts) > 1 && !whole {
		f.whys.add("one number of several in the cell")
	}
	return f, ""
}

// read reads the digits of one number.
func (r Rules) read(p part, code string) (number, Reason) {
	if p.letters {
		return number{}, PhoneLetters
	}
	if national, ok := r.plainNANP(p.digits, code); ok {
		return number{"1", national}, ""
	}
	digits := strings.TrimPrefix(p.digits, "+")
	plus := digits != p.digits
	if code != "" && !plus {
		if n, ok := asIs(code, digits); ok {
			return n, ""
		}
	}
	region := r.regionFor(code)
	n, err := pn.Parse(p.digits, region)
	if abroad, ok := after00(digits, region); ok {
		n, err = abroad, nil
	}
	switch {
	case errors.Is(err, pn.ErrNumTooLong):
		return number{}, PhoneTooLong
	case errors.Is(err, pn.ErrInvalidCountryCode):
		return number{}, PhoneInvalid
	case err != nil: // too few digits to be anything
		return number{}, PhoneTooShort
	}
	return accept(n)
}

// after00 reads a number that begins with 00, the international prefix of most
// of the world, in a region of North America, where no number begins with 0.
func after00(digits, region string) (*pn.PhoneNumber, bool) {
	rest, ok := strings.CutPrefix(digits, "00")
	if !ok || pn.GetCountryCodeForRegion(region) != 1 {
		return nil, false
	}
	n, err := pn.Parse("+"+rest, region)
	return n, err == nil && pn.IsValidNumber(n)
}

// accept decides whether a number is taken. It must have the full length of
// its country's numbers and must not be a placeholder. It need not lie in a
// range that the library knows to be assigned: that table ages, and a call to
// nobody costs less than a lost lead.
func accept(n *pn.PhoneNumber) (number, Reason) {
	national := pn.GetNationalSignificantNumber(n)
	switch pn.IsPossibleNumberWithReason(n) {
	case pn.IS_POSSIBLE:
	case pn.TOO_SHORT, pn.IS_POSSIBLE_LOCAL_ONLY:
		return number{}, PhoneTooShort
	case pn.TOO_LONG:
		return number{}, PhoneTooLong
	default:
		return number{}, PhoneInvalid
	}
	switch {
	case len(national) < minPhone:
		return number{}, PhoneTooShort
	case len(national) > maxPhone:
		return number{}, PhoneTooLong
	case placeholder(national), n.GetCountryCode() == 1 && national[0] < '2':
		return number{}, PhoneInvalid
	}
	trunk := pn.GetNddPrefixForRegion(pn.GetRegionCodeForCountryCode(int(n.GetCountryCode())), true)
	if trunk != "" && strings.HasPrefix(national, trunk) && !pn.IsValidNumber(n) {
		return number{}, PhoneInvalid
	}
	return number{code: strconv.Itoa(int(n.GetCountryCode())), national: national}, ""
}

// asIs takes digits for the national number that the row's phone_code says
// they are. Without it a cleaned number could be read otherwise when it is
// cleaned again.
func asIs(code, digits string) (number, bool) {
	cc, err := strconv.ParseInt(code, 10, 32)
	if err != nil || len(digits) > maxPhone {
		return number{}, false
	}
	value, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return number{}, false
	}
	n := &pn.PhoneNumber{CountryCode: new(int32(cc)), NationalNumber: &value}
	if zeros := len(digits) - len(strings.TrimLeft(digits, "0")); zeros > 0 {
		n.ItalianLeadingZero, n.NumberOfLeadingZeros = new(true), new(int32(zeros))
	}
	read, refused := accept(n)
	return read, refused == "" && read.national == digits
}

// IsRegion tells a country by whose rules numbers can be read.
func IsRegion(code string) bool { return pn.GetCountryCodeForRegion(code) != 0 }

// regionFor returns the region in whose way a number is read.
func (r Rules) regionFor(code string) string {
	cc, err := strconv.Atoi(code)
	if err != nil || pn.GetCountryCodeForRegion(r.Region) == cc {
		return r.Region
	}
	return pn.GetRegionCodeForCountryCode(cc)
}

// placeholder tells the numbers that people type into a required field.
func placeholder(national string) bool {
	switch national {
	case "1234567890", "0123456789", "9876543210":
		return true
	}
	return strings.Count(national, national[:1]) == len(national)
}

// plainNANP is the short way for what most cells hold: ten digits of the North
// American plan, perhaps with its 1 and some punctuation. It returns what the
// long way would.
func (r Rules) plainNANP(cell, code string) (string, bool) {
	if code != "1" && (code != "" || pn.GetCountryCodeForRegion(r.Region) != 1) {
		return "", false
	}
	var digits [11]byte
	n, run := 0, 0 // digits, and those since the last punctuation
	plus := false
	for i := range len(cell) {
		switch c := cell[i]; {
		case c >= '0' && c <= '9':
			if n == len(digits) {
				return "", false
			}
			digits[n] = c
			n++
			run++
		case c == '+' && i == 0:
			plus = true
		case c == '.' && run >= 7: // may be a spreadsheet's decimals
			return "", false
		case c == ' ' || c == '-' || c == '.' || c == '(' || c == ')':
			run = 0
		default:
			return "", false
		}
	}
	national := digits[:n]
	if n == 11 && digits[0] == '1' {
		national = digits[1:]
	} else if plus {
		return "", false
	}
	if len(national) != 10 || national[0] < '2' {
		return "", false
	}
	s := string(national)
	return s, !placeholder(s)
}
