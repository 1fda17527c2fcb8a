package lead

import (
	"regexp"
	"strings"
	"unicode"

	pn "github.com/nyaruka/phonenumbers"
)

// Looks tells whether a value looks like one of a field, so that hardly
// anything else would be written so. Columns without a telling name are known
// by it. A field that no value is telling for looks like nothing.
func (r Rules) Looks(field, value string) bool {
	value = strings.TrimSpace(value)
	if value == "" || len(value) > maxCell {
		return false
	}
	switch field {
	case "phone_number":
		return r.looksPhone(value)
	case "email":
		to, why := email(r, nil, strings.ReplaceAll(value, "+", "-"))
		return to != "" && why == ""
	case "postal_code":
		return r.looksPostal(value)
	case "state":
		isCode := stateCodes[value]
		_, isName := states[strings.ToUpper(lettersAndDigits.Replace(unaccented(value)))]
		return isCode || isName
	case "date_of_birth":
		return r.looksBirth(value)
	case "gender":
		to, _ := gender(r, nil, value)
		return to == "M" || to == "F"
	case "address1":
		return streetText.MatchString(value)
	case "first_name":
		return givenNames[strings.ToLower(value)]
	default:
		return false
	}
}

var (
	streetText = regexp.MustCompile(`^(\d+[A-Za-z]?\s+(\S+\s+)*\p{L}{2,}.*|\p{L}[\p{L} .'-]{3,}\s\d{1,4}[a-zA-Z]?)$`)
	nanpText   = regexp.MustCompile(`^[2-9]\d\d[2-9]\d{6}$`)
)

// looksPhone is stricter than what is taken as a number in a column that is
// known to hold numbers.
func (r Rules) looksPhone(value string) bool {
	found, refused := r.numbers(value, "")
	if refused != "" {
		return false
	}
	n := found.numbers[0]
	if n.code == "1" {
		return nanpText.MatchString(n.national)
	}
	parsed, err := pn.Parse("+"+n.code+n.national, "")
	return err == nil && pn.IsValidNumber(parsed)
}

// postalTexts are the codes of those countries whose codes are told apart from
// other numbers by more than their length, or that are common.
var postalTexts = map[string]*regexp.Regexp{
	"US": regexp.MustCompile(`^\d{5}(-\d{4})?$`),
	"MX": regexp.MustCompile(`^\d{5}$`),
	"DE": regexp.MustCompile(`^\d{5}$`),
	"FR": regexp.MustCompile(`^\d{5}$`),
	"ES": regexp.MustCompile(`^\d{5}$`),
	"IT": regexp.MustCompile(`^\d{5}$`),
	"AU": regexp.MustCompile(`^\d{4}$`),
	"BR": regexp.MustCompile(`^\d{5}-\d{3}$`),
	"PT": regexp.MustCompile(`^\d{4}-\d{3}$`),
	"CA": regexp.MustCompile(`^[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d$`),
	"GB": regexp.MustCompile(`^[A-Za-z]{1,2}\d[A-Za-z0-9]? ?\d[A-Za-z]{2}$`),
}

func (r Rules) looksPostal(value string) bool {
	text, known := postalTexts[r.Region]
	return known && text.MatchString(value)
}

// looksBirth takes a date on which somebody who is called can be born, in
// whichever order it is written.
func (r Rules) looksBirth(value string) bool {
	r.Dates = nil
	for _, region := range []string{"US", "GB"} {
		r.Region = region
		if day, _ := r.date("date_of_birth", value); day >= "1900" && day < "2016" {
			return true
		}
	}
	return false
}

// LooksName tells words as names have them: two to four, or a last name, a
// comma and the others.
func LooksName(value string) bool {
	words := strings.FieldsFunc(value, func(c rune) bool { return c == ' ' || c == ',' })
	if len(words) < 2 || len(words) > 5 || len(value) > 60 {
		return false
	}
	return !strings.ContainsFunc(value, func(c rune) bool { return !isNameSign(c) && c != ',' })
}

// LooksWord tells one or two words of letters, as a name or a town has them.
func LooksWord(value string) bool {
	return value != "" && len(value) <= 40 && strings.Count(value, " ") <= 2 &&
		!strings.ContainsFunc(value, func(c rune) bool { return !isNameSign(c) })
}

func isNameSign(c rune) bool {
	return unicode.IsLetter(c) || unicode.IsMark(c) || strings.ContainsRune(" .'’-", c)
}

// stateCodes are the two letters that states holds.
var stateCodes = func() map[string]bool {
	codes := map[string]bool{}
	for _, code := range states {
		codes[code] = true
	}
	return codes
}()

// givenNames are common first names. A column is known by a share of them.
var givenNames = func() map[string]bool {
	names := map[string]bool{}
	for _, n := range strings.Fields(`
		james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony mark
		donald steven paul andrew joshua kenneth kevin brian george edward ronald timothy jason jeffrey ryan jacob gary
		nicholas eric jonathan stephen larry justin scott brandon benjamin samuel gregory frank alexander raymond patrick
		jack dennis jerry tyler aaron jose adam nathan henry douglas peter zachary kyle walter ethan jeremy harold carl
		mary patricia jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy betty margaret sandra ashley
		kimberly emily donna michelle carol amanda melissa deborah stephanie rebecca sharon laura cynthia dorothy amy
		kathleen angela shirley brenda emma anna pamela nicole helen samantha katherine christine debra rachel carolyn
		janet catherine maria heather diane ruth julie olivia joyce virginia victoria kelly lauren christina joan evelyn
		judith alice ann jean doris kathryn grace rose julia ada ben bo luther lena rosa max oscar leo hugo felix
		josé juan luis carlos jesús miguel pedro francisco manuel antonio javier fernando rafael alejandro ricardo sergio
		jorge alberto eduardo raúl diego pablo andrés carmen ana isabel dolores pilar teresa lucía elena sofía marta
		paula cristina guadalupe juana verónica alejandra gabriela
		jean pierre michel philippe alain nicolas christophe françois laurent julien sébastien antoine claude marie
		nathalie isabelle sylvie catherine martine françoise sophie camille chloé léa manon inès julie céline
		hans peter wolfgang klaus jürgen michael stefan andreas uwe bernd dieter heinz karl günter werner ursula monika
		petra sabine renate helga karin brigitte ingrid andrea gisela claudia katrin lukas jonas
		joão antónio antônio paulo lucas marcos gabriel felipe bruno rodrigo tiago rui nuno inês beatriz mariana
		fernanda juliana márcia adriana aline vanessa larissa`) {
		names[n] = true
	}
	return names
}()
