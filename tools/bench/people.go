package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"

	"importer/internal/importer"
	"importer/internal/lead"
)

// columns are those of a widely used sample of contacts. The importer knows
// all of them but company_name, county, phone2 and web.
var columns = []string{"first_name", "last_name", "company_name", "address", "city", "county", "state", "zip", "phone1", "phone2", "email", "web"}

var (
	firstNames = []string{"Ada", "Bertrand", "Cora", "Dmitri", "Edda", "Fergus", "Greta", "Horace", "Ines", "Jasper"}
	lastNames  = []string{"Ashgrove", "Bellwood", "Copperfield", "Dunmore", "Elderton", "Foxley", "Goldwater"}
	companies  = []string{"Harbor Supply", "Dunn, Hale & Sons", `The "Blue" Door`, "Millstone Bakery"}
	places     = [][2]string{{"Miami", "FL"}, {"New York", "NY"}, {"San Francisco", "CA"}}
)

// person is person n as a vendor sends them, under the importer's names for the
// columns. They do not exist, and no phone number can be anybody's: no area
// code of North America begins with 29, which is kept for a longer numbering
// plan. Every tenth address holds a sign that the dialer cannot take.
func person(n int) lead.Lead {
	place := places[n%len(places)]
	l := lead.Lead{
		FirstName: firstNames[n%len(firstNames)], LastName: lastNames[n%len(lastNames)],
		Address1: fmt.Sprintf("%d Invented Street", 100+n%900),
		City:     place[0], State: place[1], PostalCode: "00501",
		PhoneNumber: fmt.Sprintf("29%d-%03d-%04d", n/1e7%10, n/1e4%1e3, n%1e4),
	}
	if n%10 == 0 {
		l.Address1 += fmt.Sprintf(" #%d", n%9)
	}
	l.Email = fmt.Sprintf("%s.%s.%d@example.com", l.FirstName, l.LastName, n)
	return l
}

// cells are person n's row in the vendor's file.
func cells(n int) []string {
	l := person(n)
	return []string{
		l.FirstName, l.LastName, companies[n%len(companies)], l.Address1, l.City, l.City, l.State, l.PostalCode,
		l.PhoneNumber, fmt.Sprintf("504-555-01%02d", n%100), l.Email, "http://www.example.com",
	}
}

// writePeople writes a vendor's file of count people: the numbers from first
// on in steps of stride, which has no factor in common with count.
func writePeople(file string, first, count, stride int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	if err := w.Write(columns); err != nil {
		return err
	}
	for i := range count {
		if err := w.Write(cells(first + i*stride%count)); err != nil {
			return err
		}
	}
	w.Flush()
	return errors.Join(w.Error(), f.Close())
}

// feed and rules are those of the configuration in site.go.
var (
	feed  = importer.Feed{Dialer: "main", By: []string{"phone_number"}, Scope: "dialer"}
	rules = lead.Rules{Region: "US", ListID: "101"}
)

// newRow is person n as the importer records them.
func newRow(keys importer.Keyring, record, n int) importer.NewRow {
	row := importer.NewRow{Record: record, Line: record + 1, Cells: cells(n)}
	row.Lead, row.Changes, row.Refusal = rules.Clean(person(n))
	row.Claim, _ = feed.Identity(keys, row.Lead)
	return row
}
