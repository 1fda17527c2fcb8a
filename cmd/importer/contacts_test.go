package main

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"importer/internal/nonagent/dialersim"
)

// contactRows is how many rows writeContacts writes.
const contactRows = 250

// contacts are invented Americans in the columns of a widely used sample:
// a header, then contactRows rows, no two with the same phone number.
func contacts() [][]string {
	first := []string{"Ada", "Bertrand", "Cora", "Dmitri", "Edda", "Fergus", "Greta", "Horace", "Ines", "Jasper"}
	last := []string{"Ashgrove", "Bellwood", "Copperfield", "Dunmore", "Elderton", "Foxley", "Goldwater"}
	company := []string{"Harbor Supply", "Dunn, Hale & Sons", `The "Blue" Door`, "Millstone Bakery"}
	places := [][3]string{{"305", "Miami", "FL"}, {"212", "New York", "NY"}, {"415", "San Francisco", "CA"}}
	rows := [][]string{{"first_name", "last_name", "company_name", "address", "city", "county", "state", "zip", "phone1", "phone2", "email", "web"}}
	for i := range contactRows {
		p := places[i/100]
		f, l := first[i%len(first)], last[i%len(last)]
		rows = append(rows, []string{
			f, l, company[i%len(company)], fmt.Sprintf("%d Invented St #%d", 100+i, i%9), p[1], p[1], p[2], "00501",
			fmt.Sprintf("%s-555-%04d", p[0], 100+i%100), fmt.Sprintf("504-555-%04d", 100+i%100),
			fmt.Sprintf("%s.%s.%d@example.com", f, l, i), "http://www.example.com",
		})
	}
	return rows
}

// manyContacts are more invented Americans, in fewer columns.
func manyContacts(n int) [][]string {
	areas := []string{"305", "212", "415", "504", "617", "718", "213", "312", "404", "512", "602", "702"}
	rows := [][]string{{"first_name", "last_name", "phone"}}
	for i := range n {
		rows = append(rows, []string{"Ada", "Ashgrove", fmt.Sprintf("%s-555-%04d", areas[i/100], 100+i%100)})
	}
	return rows
}

// shuffled is the same contacts in another order, the same in every test run.
func shuffled(rows [][]string) [][]string {
	rows = slices.Clone(rows)
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(rows)-1, func(i, j int) { rows[i+1], rows[j+1] = rows[j+1], rows[i+1] })
	return rows
}

// edited is the same contacts, one of them with another phone number.
func edited(rows [][]string) [][]string {
	rows = slices.Clone(rows)
	rows[42] = slices.Clone(rows[42])
	rows[42][8] = "617-555-0142"
	return rows
}

func writeContacts(file string, rows [][]string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := csv.NewWriter(f).WriteAll(rows); err != nil {
		return err
	}
	return f.Close()
}

// twice lists the phone numbers that the dialer was made to insert more than
// once.
func twice(d *dialersim.Server) []string {
	seen := map[string]int{}
	for _, i := range d.Inserts() {
		seen[i.Phone]++
	}
	var list []string
	for phone, n := range seen {
		if n > 1 {
			list = append(list, phone)
		}
	}
	return list
}
