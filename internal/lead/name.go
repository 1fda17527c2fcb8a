package lead

import (
	"slices"
	"strings"
)

// Words of full names, in lower case without dots.
var (
	nameTitles = wordSet(`mr mrs ms miss mx dr prof rev fr sir madam hon capt sgt lt col
		señor señora srta sra don doña monsieur madame mademoiselle mme mlle herr frau dipl-ing ing dona senhor senhora`)
	nameSuffixes  = wordSet(`jr sr ii iii iv md phd esq cpa dds dvm rn junior neto filho`)
	nameParticles = wordSet(`de da do dos das del della di du des d la le les van von vom zu zum zur der den ter ten el al bin ibn st san santa y e`)
	nameJoints    = wordSet(`& and und et`)
	// twoLastNames are the countries where people have two.
	twoLastNames = wordSet(`es mx ar co cl pe ve ec gt cu bo do hn py sv ni cr pr pa uy`)
)

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

func (r Rules) hasTwoLastNames() bool { return twoLastNames[strings.ToLower(r.Region)] }

func bare(word string) string { return strings.ToLower(strings.Trim(word, ".,")) }

// SplitName parts a full name (Mr. John Q. Public Jr., or Public, John) among
// the lead's empty fields for it, and says what went where. Where a name ends
// and the next begins cannot always be known: particles (van, de la) go with
// the last name, and in countries with two last names so do the last two of
// three words. Returns false when nothing had to be parted.
func (r Rules) SplitName(full string, l *Lead) (Change, bool) {
	n := r.splitName(full)
	var parts, names []string
	for _, f := range []struct {
		name  string
		field *string
		value string
	}{
		{"title", &l.Title, n.Title},
		{"first_name", &l.FirstName, n.FirstName},
		{"middle_initial", &l.MiddleInitial, n.MiddleInitial},
		{"last_name", &l.LastName, n.LastName},
	} {
		if f.value != "" && strings.TrimSpace(*f.field) == "" {
			*f.field = f.value
			parts, names = append(parts, f.value), append(names, f.name)
		}
	}
	from, to := shown(strings.TrimSpace(full)), shown(strings.Join(parts, " | "))
	return Change{Field: "full_name", From: from, To: to, Why: "split into " + strings.Join(names, ", ")}, to != "" && to != from
}

func (r Rules) splitName(full string) Lead {
	var n Lead
	var groups [][]string // parted by commas
	var suffixes []string
	for group := range strings.SplitSeq(full, ",") {
		words := strings.Fields(group)
		if len(groups) == 0 {
			for len(words) > 1 && nameTitles[bare(words[0])] {
				n.Title = strings.TrimSpace(n.Title + " " + words[0])
				words = words[1:]
			}
		}
		for len(words) > 0 && nameSuffixes[bare(words[len(words)-1])] && len(groups)+len(words) > 1 {
			suffixes = append([]string{words[len(words)-1]}, suffixes...)
			words = words[:len(words)-1]
		}
		if len(words) > 0 {
			groups = append(groups, words)
		}
	}
	switch len(groups) {
	case 0:
		return n
	case 1:
		r.splitWords(groups[0], &n)
	default: // Public, John Q.
		n.LastName = strings.Join(groups[0], " ")
		given := slices.Concat(groups[1:]...)
		for len(given) > 1 && nameTitles[bare(given[0])] {
			n.Title = given[0]
			given = given[1:]
		}
		splitGiven(given, &n)
	}
	if len(suffixes) > 0 && n.LastName != "" {
		n.LastName += " " + strings.Join(suffixes, " ")
	}
	return n
}

// splitWords parts a name whose words stand in the order in which it is spoken.
func (r Rules) splitWords(words []string, n *Lead) {
	joint := slices.IndexFunc(words, func(w string) bool { return nameJoints[bare(w)] })
	particle := slices.IndexFunc(words[1:], func(w string) bool { return nameParticles[bare(w)] }) + 1
	last := len(words) - 1
	switch {
	case len(words) == 1:
		n.FirstName = words[0]
		return
	case joint > 0: // John and Mary Public
		n.FirstName, n.LastName = strings.Join(words[:last], " "), words[last]
		return
	case particle > 0 && particle < last:
		last = particle
		if r.hasTwoLastNames() && particle > 2 && bare(words[particle]) == "y" {
			last = particle - 1 // Ortega y Gasset
		}
	case len(words) > 2 && r.hasTwoLastNames():
		last = len(words) - 2
	}
	n.LastName = strings.Join(words[last:], " ")
	splitGiven(words[:last], n)
}

// splitGiven parts first names: the first one, and the others, of which the
// dialer stores an initial.
func splitGiven(words []string, n *Lead) {
	if len(words) == 0 {
		return
	}
	n.FirstName = words[0]
	n.MiddleInitial = strings.Join(words[1:], " ")
}
