package dropfile

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

//go:embed dictionary.txt
var dictionaryText string

// Entries of the dictionary that are no fields of a lead.
const (
	fullName  = "full_name" // both names in one cell
	eitherOne = "name"      // see columns.takeNames
	noField   = "other"
	phoneKind = "phone." // prefix of the kinds of phone columns
)

// usual lists the names that vendors give to each entry, the best first, as
// plain returns them. Where two columns have names for one field the better
// name counts, then the column further left.
var usual = readDictionary(dictionaryText)

// readDictionary reads the blocks of dictionary.txt.
func readDictionary(text string) map[string][]string {
	names := map[string][]string{}
	entry := ""
	for line := range strings.Lines(text) {
		words := strings.TrimSpace(line)
		switch {
		case words == "" || words[0] == '#':
		case line[0] != ' ':
			entry = words
		default:
			_, list, _ := strings.Cut(words, " ") // behind the language
			for name := range strings.SplitSeq(list, ",") {
				if name = plain(name); !slices.Contains(names[entry], name) {
					names[entry] = append(names[entry], name)
				}
			}
		}
	}
	return names
}

// entryOf finds the dictionary's entry for each name.
var entryOf = func() map[string]string {
	of := map[string]string{}
	for entry, names := range usual {
		for _, name := range names {
			of[name] = entry
		}
	}
	return of
}()

// entryFor returns the dictionary's entry for a header, empty for none, and
// the number behind the name: Phone 2 is the phone column number 2.
func entryFor(name string) (entry string, number int) {
	if entry := entryOf[name]; entry != "" {
		return entry, 0
	}
	stem := strings.TrimRight(name, "0123456789")
	number, err := strconv.Atoi(name[len(stem):])
	if entry := entryOf[stem]; err == nil && strings.HasPrefix(entry, phoneKind) {
		return entry, number
	}
	return "", 0
}

// plain returns a header as the dictionary has it: letters without accents and
// digits, in lower case.
func plain(header string) string {
	var b strings.Builder
	for _, c := range norm.NFKD.String(header) {
		switch {
		case c == 'ß' || c == 'ẞ':
			b.WriteString("ss")
		case unicode.IsLetter(c) || unicode.IsDigit(c):
			b.WriteRune(unicode.ToLower(c))
		}
	}
	return b.String()
}
