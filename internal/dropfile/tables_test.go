package dropfile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// tables are quite different tables of about a hundred rows, each with its
// header. Everybody in them is invented.
func tables() map[string][][]string {
	return map[string][][]string{
		"contacts": contacts(), "orders": orders(), "sales": sales(), "crm": crm(), "texts": texts(), "measures": measures(),
		"sparse": sparse(), "signs": signs(), "twins": twins(), "stories": stories(), "unicode": unicodes(),
		"upper": upper(), "constant": constant(), "codes": codes(), "simple": simple(), "names": peopleOnly(), "survey": survey(),
	}
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

func made(seed uint64, header string, n int, row func(r *rand.Rand, i int) []string) [][]string {
	r := rand.New(rand.NewPCG(seed, 4))
	rows := [][]string{strings.Split(header, "|")}
	for i := range n {
		rows = append(rows, row(r, i))
	}
	return rows
}

// sales has texts with line breaks, quotes and commas, and addresses of web
// pages with delimiters in them.
func sales() [][]string {
	return made(1, "DATE|TIME|Qty|PRODUCTID|Price|ProductType|ProductDescription|URL|Comments", 100, func(r *rand.Rand, _ int) []string {
		id := fmt.Sprintf("%c%c-%03d-%d", 'A'+r.IntN(26), 'A'+r.IntN(26), r.IntN(1000), r.IntN(10))
		return []string{
			fmt.Sprintf("2019-%02d-%02d", 1+r.IntN(12), 1+r.IntN(28)), fmt.Sprintf("%02d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60)),
			fmt.Sprint(1 + r.IntN(12)), id, fmt.Sprintf("%d.%02d", r.IntN(900), r.IntN(100)),
			pick(r, "Lamp", "Desk, standing", "Chair", "Rug 5' x 7'", "Monitor 27\"", "Cable"),
			pick(r, "Solid oak.\nShips flat, needs two people.", "Warm light, 2700K", "The \"quiet\" one; with wheels", "As seen on TV", "Line one\nline two\nline three", "12\" wide, 30\" deep"),
			fmt.Sprintf("https://shop.example.com/p?id=%s&tags=a,b;c&sort=price", id),
			pick(r, "", "", "gift wrap, please", "Customer said \"leave at door\"", "call first\nthen deliver", "n/a"),
		}
	})
}

func crm() [][]string {
	return made(2, "ID|Contact Name|Company|Title|Mobile|Email|Owner|Last Activity|Lead Score|Stage", 104, func(r *rand.Rand, i int) []string {
		f, l := pick(r, "Ana", "Ben", "Carla", "Dmitri", "Elena", "Farid"), pick(r, "Ruiz", "Stone", "Tran", "Ueda", "Vance", "d'Arcy")
		return []string{
			fmt.Sprint(10001 + i), f + " " + l, pick(r, "Acme, Inc.", "Globex", "Initech LLC", "Stark & Sons", "Umbrella"), pick(r, "CEO", "VP Sales", "Manager, Ops", "Engineer", ""),
			fmt.Sprintf("(212) 555-01%02d", i%100), strings.ToLower(f) + "." + strings.ReplaceAll(strings.ToLower(l), "'", "") + "@example.com",
			pick(r, "tess", "uma"), fmt.Sprintf("%d/%d/2025 %d:%02d", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60)), fmt.Sprint(r.IntN(100)), pick(r, "New", "Working", "Won", "Lost"),
		}
	})
}

// texts has nothing but words.
func texts() [][]string {
	return made(3, "Question|Answer|Topic|Author|Mood|Place|Source|Remark|Colour|Animal", 95, func(r *rand.Rand, _ int) []string {
		w := func() string {
			return pick(r, "river", "stone", "window", "paper", "garden", "silver", "winter", "letter", "bridge", "candle")
		}
		return []string{
			"Why is the " + w() + " near the " + w() + "?", "Because of the " + w() + ", and the " + w() + ".", w(), pick(r, "Ms Blue", "Mr Green", "Dr Gray"), pick(r, "happy", "sad", "calm"),
			pick(r, "north", "south", "east", "west"), pick(r, "book", "radio", "a friend"), pick(r, "", "see "+w(), "\"so they say\""), pick(r, "red", "green", "blue"), w(),
		}
	})
}

func measures() [][]string {
	return made(4, "Station|Year|Month|Tmin|Tmax|Rain|Wind|Pressure|Humidity|Sunshine", 110, func(r *rand.Rand, i int) []string {
		f := func(from, to float64) string { return fmt.Sprintf("%.1f", from+r.Float64()*(to-from)) }
		return []string{
			fmt.Sprint(100 + r.IntN(5)), fmt.Sprint(1990 + i/12), fmt.Sprint(1 + i%12), f(-15, 10), f(5, 35), f(0, 200), f(0, 30), f(980, 1040), fmt.Sprint(20 + r.IntN(80)), f(0, 300),
		}
	})
}

func sparse() [][]string {
	return made(5, "id|first|middle|last|suffix|phone|phone2|fax|email|notes", 100, func(r *rand.Rand, i int) []string {
		o := func(p float64, s string) string {
			if r.Float64() < p {
				return s
			}
			return ""
		}
		return []string{
			fmt.Sprint(i + 1), pick(r, "Gil", "Hana", "Ivo", "Juno"), o(0.2, pick(r, "A.", "B.", "C.")), pick(r, "Kirk", "Lund", "Moss"), o(0.1, pick(r, "Jr.", "III")),
			o(0.7, fmt.Sprintf("415555%04d", 100+i)), o(0.3, fmt.Sprintf("415555%04d", 5100+i)), "", o(0.4, fmt.Sprintf("u%d@example.org", i)), o(0.1, "ask for Bob, please"),
		}
	})
}

// signs has texts full of what other files have as delimiters and quotes.
func signs() [][]string {
	return made(6, "Ref|Path|Tags|Quote|Formula|Time span|Owner's name|Ratio|Menu|Amount", 98, func(r *rand.Rand, i int) []string {
		return []string{
			fmt.Sprintf("#%04d", i), pick(r, `C:\tmp\new`, `D:\data\in`, "/usr/local"), pick(r, "a;b;c", "x|y", "one", "p; q"), pick(r, "'tis", "it's 'fine'", "rock 'n' roll", "none"),
			pick(r, "a|b|c", "f(x; y)", "x^2", "~3"), fmt.Sprintf("%d:00 - %d:30", 8+r.IntN(3), 12+r.IntN(8)), pick(r, "O'Hara", "D'Angelo", "Smith", "Lee"), pick(r, "1:2", "3:4"),
			pick(r, "soup\tsalad", "tea | coffee", "rice; beans, corn"), fmt.Sprintf("%d,%03d.00", 1+r.IntN(9), r.IntN(1000)),
		}
	})
}

// twins has names of columns twice.
func twins() [][]string {
	return made(7, "Name|Phone|Name|Phone|Address|Address|City|State|Zip|Date", 100, func(r *rand.Rand, i int) []string {
		n := func() string {
			return pick(r, "Pia", "Quin", "Rosa", "Sven", "Tove") + " " + pick(r, "Urban", "Voss", "Wolf")
		}
		return []string{
			n(), fmt.Sprintf("303-555-%04d", 100+i), n(), fmt.Sprintf("303-555-%04d", 900+i), fmt.Sprintf("%d Elm St", 10+i), pick(r, "", "Apt 3", "Unit B, rear"),
			pick(r, "Denver", "Boulder", "Golden"), "CO", fmt.Sprintf("80%03d", r.IntN(1000)), fmt.Sprintf("%02d.%02d.2024", 1+r.IntN(28), 1+r.IntN(12)),
		}
	})
}

// stories has long texts of several lines.
func stories() [][]string {
	return made(8, "Ticket|Opened|Customer|Subject|Body|Priority|Agent|Closed|Minutes|Rating", 90, func(r *rand.Rand, i int) []string {
		var body strings.Builder
		for range 1 + r.IntN(7) {
			body.WriteString(pick(r, "Dear all,\n", "I called, twice, about \"the thing\".\n", "\n", "It is still, after 3 weeks, broken.\n", "Phone: 305-555-0123, ask for Kim\n", "> quoted line, with a comma\n"))
		}
		body.WriteString("Regards")
		return []string{
			fmt.Sprintf("T%05d", 500+i), fmt.Sprintf("2024-05-%02d", 1+i%28), pick(r, "Kim Hale", "Lou Ito", "Max Jung"), pick(r, "Broken", "Late, again", "Question"), body.String(),
			pick(r, "low", "high"), pick(r, "amy", "bob"), fmt.Sprintf("2024-06-%02d", 1+i%28), fmt.Sprint(r.IntN(500)), fmt.Sprint(1 + r.IntN(5)),
		}
	})
}

func unicodes() [][]string {
	return made(9, "Prénom|Nom de famille|Straße|Città|País|Téléphone|Größe|Währung|Übersicht|Año", 100, func(r *rand.Rand, i int) []string {
		return []string{
			pick(r, "Élodie", "Søren", "Zoë", "Łukasz", "Müge", "Иван", "美咲"), pick(r, "Müller", "Nuñez", "Åström", "Öztürk", "García-López"), fmt.Sprintf("Königstraße %d", 1+r.IntN(99)),
			pick(r, "Köln", "São Paulo", "Málaga", "Zürich"), pick(r, "Österreich", "España", "Brasil"), fmt.Sprintf("+49 221 555%04d", i), fmt.Sprintf("1,%02d", 50+r.IntN(50)),
			fmt.Sprintf("€ %d,%02d", r.IntN(1000), r.IntN(100)), pick(r, "", "naïve, résumé", "„Zitat“", "« mot »"), fmt.Sprint(1960 + r.IntN(60)),
		}
	})
}

func upper() [][]string {
	return made(10, "CUST_ID|FIRST_NM|LAST_NM|HOME_PH|WORK_PH|ADDR_LINE_1|CITY_NM|ST_CD|ZIP_CD|BRTH_DT", 100, func(r *rand.Rand, i int) []string {
		return []string{
			fmt.Sprintf("%08d", 4000+i*17), pick(r, "WALT", "XENA", "YURI", "ZELDA"), pick(r, "ABBOTT", "BAKER", "COLE", "DE LA CRUZ"), fmt.Sprintf("702555%04d", 1000+i), pick(r, "", fmt.Sprintf("702555%04d", 3000+i)),
			fmt.Sprintf("%d %s", 100+i*3, pick(r, "N 1ST ST", "PINE AVE APT 2", "HWY 9")), pick(r, "RENO", "LAS VEGAS", "ELKO"), pick(r, "NV", "CA"), fmt.Sprintf("89%03d", r.IntN(1000)), fmt.Sprintf("19%02d%02d%02d", 40+r.IntN(60), 1+r.IntN(12), 1+r.IntN(28)),
		}
	})
}

func constant() [][]string {
	return made(11, "Campaign|Country|Currency|Lead|Phone|Status|Attempts|Agent|Consent|Updated", 100, func(r *rand.Rand, i int) []string {
		return []string{
			"Spring", "US", "USD", pick(r, "Abe Beck", "Cyd Dorn", "Eli Fox"), fmt.Sprintf("1646555%04d", i+100), "NEW", "0", "", "yes", "2025-03-01",
		}
	})
}

func codes() [][]string {
	return made(12, "sku|ean|bin|qty|lot|grade|serial|mac|ver|flag", 100, func(r *rand.Rand, _ int) []string {
		return []string{
			fmt.Sprintf("SK%04d", r.IntN(10000)), fmt.Sprintf("40%011d", r.Int64N(1e11)), fmt.Sprintf("%c%02d", 'A'+r.IntN(6), r.IntN(40)), fmt.Sprint(r.IntN(1000)), fmt.Sprintf("L%d", 20240000+r.IntN(9999)),
			pick(r, "A", "B", "C"), fmt.Sprintf("%08X", r.Uint32()), fmt.Sprintf("00:1A:%02X:%02X", r.IntN(256), r.IntN(256)), fmt.Sprintf("%d.%d.%d", r.IntN(3), r.IntN(10), r.IntN(10)), pick(r, "Y", "N"),
		}
	})
}

// simple has no cell that needs quotes.
func simple() [][]string {
	return made(13, "first_name|last_name|phone|email|city|state|zip|age|income|source", 100, func(r *rand.Rand, i int) []string {
		f := pick(r, "Gus", "Hal", "Ida", "Jan", "Kai")
		return []string{
			f, pick(r, "Lowe", "Mays", "Nash", "Odom"), fmt.Sprintf("214555%04d", 100+i), fmt.Sprintf("%s%d@example.net", strings.ToLower(f), i), pick(r, "Dallas", "Plano", "Fort Worth"), "TX",
			fmt.Sprintf("75%03d", r.IntN(1000)), fmt.Sprint(18 + r.IntN(70)), fmt.Sprint(20000 + r.IntN(90)*1000), pick(r, "web", "fair", "partner"),
		}
	})
}

// peopleOnly has names of people and places only.
func peopleOnly() [][]string {
	return made(14, "Given|Surname|Spouse|Employer|Street|Town|County|Country|Team|Coach", 100, func(r *rand.Rand, _ int) []string {
		g := func() string { return pick(r, "Ola", "Per", "Siv", "Tor", "Una", "Vera", "Will") }
		s := func() string { return pick(r, "Aas", "Berg", "Dahl", "Eide", "Foss", "Lie") }
		return []string{
			g(), s(), g() + " " + s(), s() + " & Co", s() + " Lane", pick(r, "Oslo", "Bergen", "Hamar"), pick(r, "Viken", "Vestland"), "Norway", pick(r, "Reds", "Blues"), g() + " " + s(),
		}
	})
}

func survey() [][]string {
	return made(15, "Response|Started|Q1|Q2|Q3|Q4|Q5|Q6|Q7|Free text", 105, func(r *rand.Rand, i int) []string {
		q := func() string { return fmt.Sprint(1 + r.IntN(5)) }
		return []string{
			fmt.Sprintf("R_%d", 9000+i), fmt.Sprintf("2025-01-%02dT%02d:00:00Z", 1+i%28, r.IntN(24)), q(), q(), q(), q(), q(), pick(r, "Yes", "No"), pick(r, "Yes", "No", ""),
			pick(r, "", "Great!", "Too slow, too dear", "I'd say \"ok\"", "no\ncomment"),
		}
	})
}
