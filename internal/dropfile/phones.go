package dropfile

import (
	"slices"
	"strconv"
	"strings"
)

// The names of phone columns. Of a lower rank one is only taken for
// phone_number where there is none of a better one; a number behind the name
// (Phone 2) tells siblings apart.
var (
	ownPhoneNames = []string{"phonenumber"} // add_lead's own name
	mainPhones    = []string{
		"phone", "telephone", "tel", "phoneno", "phonenum", "telephonenumber", "primaryphone",
		"mainphone", "contactphone", "contactnumber", "customerphone",
	}
	otherPhones = []string{
		"mobile", "mobilephone", "mobilenumber", "cell", "cellphone", "cellnumber", "cellular",
		"homephone", "workphone", "dayphone", "daytimephone", "eveningphone", "officephone", "businessphone",
	}
	altPhones = []string{"altphone", "alternatephone", "alternativephone", "secondaryphone", "secondphone", "otherphone", "phonealt"}
)

// phoneColumn is a column that may hold phone numbers.
type phoneColumn struct {
	at     int
	rank   int // into the lists above
	stem   string
	number int // Phone 2: 2; Phone: 0
}

const altRank = 3

func (c *columns) phoneColumns() []phoneColumn {
	var found []phoneColumn
	for at, name := range c.plain {
		if c.taken[at] {
			continue
		}
		stem := strings.TrimRight(name, "0123456789")
		number, err := strconv.Atoi(name[len(stem):])
		if err != nil {
			number = 0
		}
		for rank, names := range [][]string{ownPhoneNames, mainPhones, otherPhones, altPhones} {
			if slices.Contains(names, stem) {
				found = append(found, phoneColumn{at, rank, stem, number})
				break
			}
		}
	}
	slices.SortStableFunc(found, func(a, b phoneColumn) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		return a.number - b.number
	})
	return found
}

// takePhones finds phone_number's column and, where there is one, alt_phone's.
// A call to the wrong column's numbers is worse than no call: where two are
// equally good, a person decides.
func (c *columns) takePhones() error {
	found := c.phoneColumns()
	if _, said := c.of["phone_number"]; !said {
		at, rest, err := c.mainPhone(found)
		if err != nil {
			return err
		}
		c.take("phone_number", at)
		found = rest
	}
	if _, said := c.of["alt_phone"]; said || len(found) == 0 {
		return nil
	}
	alt := found[0]
	for _, p := range found {
		if p.rank == altRank {
			alt = p
			break
		}
	}
	c.take("alt_phone", alt.at)
	return nil
}

// mainPhone picks phone_number's column from the sorted phone columns and
// returns the others.
func (c *columns) mainPhone(found []phoneColumn) (at int, rest []phoneColumn, err error) {
	if len(found) == 0 || found[0].rank == altRank {
		return 0, nil, &HoldError{Field: "phone_number", Headers: c.shown()}
	}
	best := found[0]
	var equal []string
	for _, p := range found {
		if p.rank == best.rank && (p.stem != best.stem || p.number == best.number) {
			equal = append(equal, c.headers[p.at])
		}
	}
	if len(equal) > 1 {
		return 0, nil, &HoldError{Field: "phone_number", Candidates: equal, Headers: c.headers}
	}
	return best.at, found[1:], nil
}
