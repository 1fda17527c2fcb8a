package lead

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The cleaning of the columns that hold more than free text. Each gets the
// trimmed value and says why it returns another one.

var titles = map[string]string{"mister": "Mr", "missus": "Mrs", "doctor": "Dr", "professor": "Prof", "reverend": "Rev", "madam": "Mdm"}

func title(r Rules, _ *Lead, s string) (to, why string) {
	to, why = r.fit(s, &nameSigns, 255)
	if utf8.RuneCountInString(to) <= 4 {
		return to, why
	}
	if short, ok := titles[strings.ToLower(to)]; ok {
		return short, "shortened to the 4 characters that the dialer stores"
	}
	return "", "dropped: the dialer stores 4 characters"
}

func initial(r Rules, _ *Lead, s string) (to, why string) {
	to, why = r.fit(s, &codeSigns, 255)
	if utf8.RuneCountInString(to) <= 1 {
		return to, why
	}
	_, size := utf8.DecodeRuneInString(to)
	return to[:size], "only the first letter is stored"
}

func state(r Rules, _ *Lead, s string) (to, why string) {
	name, why := r.fit(s, &nameSigns, 255)
	name = strings.ToUpper(lettersAndDigits.Replace(name))
	if code, ok := states[name]; ok {
		return code, "state written as its two letters"
	}
	if utf8.RuneCountInString(name) > 2 {
		return "", "dropped: no state or province that is known, and the dialer stores 2 letters"
	}
	if why == "" {
		why = "written as two capital letters"
	}
	return name, why
}

// lettersAndDigits strips the other signs of nameSigns.
var lettersAndDigits = strings.NewReplacer(" ", "", "-", "", "'", "", "_", "", ".", "")

// fiveDigits are the countries all of whose postal codes have five digits, with
// their calling codes. Some of them begin with zeros.
var fiveDigits = map[string]string{
	"US": "1", "USA": "1", "PR": "1", "PRI": "1", "MX": "52", "MEX": "52", "DE": "49", "DEU": "49",
	"FR": "33", "FRA": "33", "ES": "34", "ESP": "34", "IT": "39", "ITA": "39",
}

// hasFiveDigits tells whether a lead's postal code has five digits: its country
// says so or, where it brings none, the feed's and the number's.
func (r Rules) hasFiveDigits(l *Lead) bool {
	if code, _ := country(r, l, strings.TrimSpace(l.CountryCode)); code != "" {
		return fiveDigits[code] != ""
	}
	return fiveDigits[r.Region] == l.PhoneCode && l.PhoneCode != ""
}

func postalCode(r Rules, l *Lead, s string) (to, why string) {
	if bare, ok := strings.CutPrefix(s, "z:"); ok {
		s, why = bare, "Facebook's z: dropped"
	}
	if whole, ok := withoutDecimals(s); ok {
		s, why = whole, joinWhys(why, whyDecimals)
	}
	to, whyFit := r.fit(s, &postalSigns, 10)
	why = joinWhys(why, whyFit)
	zip, plus4, _ := strings.Cut(to, "-")
	zeros := 5 - len(zip)
	if (zeros == 1 || zeros == 2 && r.Region == "US") && allDigits(zip) && (plus4 == "" || len(plus4) == 4 && allDigits(plus4)) && r.hasFiveDigits(l) {
		return "00"[:zeros] + to, joinWhys(why, "leading zeros restored, which spreadsheets remove")
	}
	return to, why
}

const whyDecimals = "a spreadsheet's decimals dropped"

// withoutDecimals takes off what a spreadsheet puts behind a whole number.
func withoutDecimals(s string) (string, bool) {
	whole, zeros, ok := strings.Cut(s, ".")
	return whole, ok && allDigits(whole) && zeros != "" && strings.Trim(zeros, "0") == ""
}

func joinWhys(a, b string) string {
	return strings.TrimPrefix(strings.TrimSuffix(a+"; "+b, "; "), "; ")
}

var countries = map[string]string{"UNITEDSTATES": "USA", "UNITEDSTATESOFAMERICA": "USA", "CANADA": "CAN", "UNITEDKINGDOM": "GBR", "GREATBRITAIN": "GBR", "MEXICO": "MEX"}

func country(r Rules, _ *Lead, s string) (to, why string) {
	name, why := r.fit(s, &nameSigns, 255)
	name = strings.ToUpper(lettersAndDigits.Replace(name))
	if code, ok := countries[name]; ok {
		return code, "country written as its three letters"
	}
	if utf8.RuneCountInString(name) > 3 || allDigits(name) {
		return "", "dropped: the dialer stores a country's 2 or 3 letters"
	}
	if why == "" {
		why = "written as capital letters"
	}
	return name, why
}

func gender(_ Rules, _ *Lead, s string) (to, why string) {
	const written = "written as the dialer's M, F or U"
	switch strings.ToLower(unaccented(strings.TrimRight(s, "."))) {
	case "m", "male", "man", "mr", "boy", "masculine", "h", "hombre", "masculino", "varon", "homme", "masculin", "monsieur",
		"mann", "maennlich", "mannlich", "herr", "homem", "masc", "senor":
		return "M", written
	case "f", "female", "w", "woman", "mrs", "ms", "miss", "girl", "feminine", "mujer", "femenino", "femme", "feminin", "madame", "mme",
		"frau", "weiblich", "mulher", "feminino", "fem", "senora":
		return "F", written
	case "u", "unknown", "x", "d", "other", "diverse", "divers", "non-binary", "nonbinary", "n a", "na",
		"otro", "autre", "andere", "outro", "desconocido", "inconnu", "unbekannt", "desconhecido":
		return "U", written
	default:
		return "", "dropped: neither M, F nor U"
	}
}

// email drops what cannot be stored as it is: a changed address is somebody
// else's.
func email(r Rules, _ *Lead, s string) (to, why string) {
	if !strings.Contains(s, "@") {
		return "", "dropped: no e-mail address"
	}
	if strings.Contains(s, "+") {
		return "", "dropped: the dialer would turn its plus sign into a blank"
	}
	to, why = r.fit(s, &emailSigns, 70)
	if to != s {
		return "", fmt.Sprintf("dropped: the dialer would change the address (%s)", why)
	}
	at := strings.IndexByte(to, '@')
	if at < 1 || strings.Count(to, "@") != 1 || !strings.Contains(strings.Trim(to[at+1:], "."), ".") {
		return "", "dropped: no e-mail address"
	}
	return to, ""
}

// entryList is the list from which the dialer takes a lead's custom fields.
func entryList(_ Rules, l *Lead, s string) (to, why string) {
	switch {
	case !isList(s):
		return "", "dropped: " + details[ListIDInvalid]
	case l.Extras != nil && len(l.Extras.Custom) > 0:
		return "", "dropped: custom fields are written to the lead's own list"
	default:
		return s, ""
	}
}

// rank is a SMALLINT; the dialer would read -5 as 5.
func rank(_ Rules, _ *Lead, s string) (to, why string) {
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case !allDigits(s):
		return "", "dropped: no whole number from 0 to 32767"
	case err != nil || n > 32767:
		return "32767", "the dialer stores at most 32767"
	default:
		return strconv.FormatUint(n, 10), "written without leading zeros"
	}
}

// states maps the names of the states and territories of the US, the provinces
// of Canada, the states of Mexico, and those of Australia that have two letters, in capitals without blanks, to their two letters.
var states = map[string]string{
	"ALABAMA": "AL", "ALASKA": "AK", "ARIZONA": "AZ", "ARKANSAS": "AR", "CALIFORNIA": "CA",
	"COLORADO": "CO", "CONNECTICUT": "CT", "DELAWARE": "DE", "DISTRICTOFCOLUMBIA": "DC",
	"WASHINGTONDC": "DC", "FLORIDA": "FL", "GEORGIA": "GA", "HAWAII": "HI", "IDAHO": "ID",
	"ILLINOIS": "IL", "INDIANA": "IN", "IOWA": "IA", "KANSAS": "KS", "KENTUCKY": "KY",
	"LOUISIANA": "LA", "MAINE": "ME", "MARYLAND": "MD", "MASSACHUSETTS": "MA", "MICHIGAN": "MI",
	"MINNESOTA": "MN", "MISSISSIPPI": "MS", "MISSOURI": "MO", "MONTANA": "MT", "NEBRASKA": "NE",
	"NEVADA": "NV", "NEWHAMPSHIRE": "NH", "NEWJERSEY": "NJ", "NEWMEXICO": "NM", "NEWYORK": "NY",
	"NORTHCAROLINA": "NC", "NORTHDAKOTA": "ND", "OHIO": "OH", "OKLAHOMA": "OK", "OREGON": "OR",
	"PENNSYLVANIA": "PA", "RHODEISLAND": "RI", "SOUTHCAROLINA": "SC", "SOUTHDAKOTA": "SD",
	"TENNESSEE": "TN", "TEXAS": "TX", "UTAH": "UT", "VERMONT": "VT", "VIRGINIA": "VA",
	"WASHINGTON": "WA", "WESTVIRGINIA": "WV", "WISCONSIN": "WI", "WYOMING": "WY",
	"PUERTORICO": "PR", "GUAM": "GU", "AMERICANSAMOA": "AS", "USVIRGINISLANDS": "VI",
	"VIRGINISLANDS": "VI", "NORTHERNMARIANAISLANDS": "MP",
	"ALBERTA": "AB", "BRITISHCOLUMBIA": "BC", "MANITOBA": "MB", "NEWBRUNSWICK": "NB",
	"NEWFOUNDLAND": "NL", "NEWFOUNDLANDANDLABRADOR": "NL", "NOVASCOTIA": "NS", "ONTARIO": "ON",
	"PRINCEEDWARDISLAND": "PE", "QUEBEC": "QC", "SASKATCHEWAN": "SK", "NORTHWESTTERRITORIES": "NT",
	"NUNAVUT": "NU", "YUKON": "YT", "YUKONTERRITORY": "YT",
	"SOUTHAUSTRALIA": "SA", "WESTERNAUSTRALIA": "WA", "NORTHERNTERRITORY": "NT",
	"AGUASCALIENTES": "AG", "BAJACALIFORNIA": "BC", "BAJACALIFORNIASUR": "BS", "CAMPECHE": "CM", "CHIAPAS": "CS",
	"CHIHUAHUA": "CH", "COAHUILA": "CO", "COLIMA": "CL", "CIUDADDEMEXICO": "DF", "DISTRITOFEDERAL": "DF", "DURANGO": "DG",
	"GUANAJUATO": "GT", "GUERRERO": "GR", "HIDALGO": "HG", "JALISCO": "JA", "ESTADODEMEXICO": "EM", "MICHOACAN": "MI",
	"MORELOS": "MO", "NAYARIT": "NA", "NUEVOLEON": "NL", "OAXACA": "OA", "PUEBLA": "PU", "QUERETARO": "QE",
	"QUINTANAROO": "QR", "SANLUISPOTOSI": "SL", "SINALOA": "SI", "SONORA": "SO", "TABASCO": "TB", "TAMAULIPAS": "TM",
	"TLAXCALA": "TL", "VERACRUZ": "VE", "YUCATAN": "YU", "ZACATECAS": "ZA",
}
