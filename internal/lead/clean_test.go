package lead_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"importer/internal/lead"
)

var us = lead.Rules{Region: "US", ListID: "101"}

// valid is a lead that nothing has to be done to.
func valid() lead.Lead {
	return lead.Lead{PhoneCode: "1", PhoneNumber: "3055550123", ListID: "101"}
}

// columns are the dialer's lengths, in characters.
var lengths = map[string]int{
	"phone_code": 10, "phone_number": 16, "list_id": 19, "vendor_lead_code": 20, "source_id": 50,
	"title": 4, "first_name": 30, "middle_initial": 1, "last_name": 30, "address1": 100, "address2": 100,
	"address3": 100, "city": 50, "state": 2, "province": 50, "postal_code": 10, "country_code": 3,
	"gender": 1, "date_of_birth": 10, "alt_phone": 12, "email": 70, "security_phrase": 100,
	"comments": 255, "rank": 5, "owner": 20, "entry_list_id": 19,
}

// field returns a pointer to the field that add_lead knows by name.
func field(t require.TestingT, l *lead.Lead, name string) *string {
	v := reflect.ValueOf(l).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("csv") == name {
			return v.Field(i).Addr().Interface().(*string)
		}
	}
	require.Fail(t, "no such field", name)
	return nil
}

func TestFieldsAreTheLeadsOwn(t *testing.T) {
	t.Parallel()
	var want []string
	for i := range reflect.TypeFor[lead.Lead]().NumField() - 1 { // the last one is Extras
		want = append(want, reflect.TypeFor[lead.Lead]().Field(i).Tag.Get("csv"))
	}
	require.Equal(t, want, lead.Fields())
	require.Len(t, lengths, len(want))
	for _, name := range want {
		var l lead.Lead
		require.True(t, l.Set(name, "x"))
		require.Equal(t, "x", *field(t, &l, name))
		require.Equal(t, "x", l.Get(name))
	}
}

func TestEachFieldIsMadeFitForTheDialer(t *testing.T) {
	t.Parallel()
	latin := us
	unicodeDialer := lead.Rules{Region: "US", ListID: "101", NonLatin: true}
	german := lead.Rules{Region: "DE", ListID: "101"}
	for _, c := range []struct {
		rules     lead.Rules
		field     string
		from, to  string
		unchanged bool // no change is noted
	}{
		{latin, "first_name", "Anna", "Anna", true},
		{latin, "first_name", "  Anna ", "Anna", true},
		{latin, "first_name", "José", "Jose", false},
		{latin, "first_name", "Jose\u0301", "Jose", false},
		{latin, "last_name", "O'Brien-Smith Jr.", "O'Brien-Smith Jr.", true},
		{latin, "last_name", "O’Brien", "O'Brien", false},
		{latin, "last_name", "Nuñez", "Nunez", false},
		{latin, "last_name", "Łukasz Ørsted Æbelø", "Lukasz Orsted AEbelo", false},
		{latin, "last_name", "Straße", "Strasse", false},
		{latin, "last_name", "Ｗｉｄｅ", "Wide", false},
		{latin, "last_name", "Smith & Sons, Inc", "Smith Sons Inc", false},
		{latin, "last_name", "Smith (home)", "Smith home", false},
		{latin, "last_name", `Sm"it"h`, "Smith", false},
		{latin, "last_name", "山田", "", false},
		{latin, "last_name", "Иван", "", false},
		{latin, "first_name", "Ann 😀", "Ann", false},
		{latin, "first_name", "Ann\x00a\u200b", "Anna", false},
		{latin, "first_name", "Jos\xe9", "Jos", false},
		{latin, "first_name", strings.Repeat("a", 31), strings.Repeat("a", 30), false},
		{latin, "first_name", strings.Repeat("a", 29) + " bc", strings.Repeat("a", 29), false},
		{unicodeDialer, "first_name", "José", "José", false},
		{unicodeDialer, "first_name", "Jose\u0301", "José", false},
		{unicodeDialer, "last_name", "山田", "山田", false},
		{unicodeDialer, "last_name", "𠮷野", "野", false},
		{unicodeDialer, "last_name", "Ann 😀", "Ann", false},
		{unicodeDialer, "comments", "10 € – “ok”", "10 € – “ok”", false},
		{unicodeDialer, "first_name", strings.Repeat("é", 31), strings.Repeat("é", 30), false},
		{latin, "address1", "12 Main St #5", "12 Main St 5", false},
		{latin, "address1", "12  Main St", "12 Main St", false},
		{latin, "address1", "c/o A. Smith: 5 Main-St @ 3_b", "c/o A. Smith: 5 Main-St @ 3_b", true},
		{latin, "city", "São Paulo", "Sao Paulo", false},
		{latin, "comments", "call\r\nafter\t5; ask for \"Bo\" at C:\\new C++ #1", "call after 5 ask for Bo at C: new C 1", false},
		{latin, "comments", "<b>50% & more</b>?", "<b>50% & more</b>?", true},
		{latin, "comments", strings.Repeat("é", 300), strings.Repeat("e", 255), false},
		{latin, "vendor_lead_code", "A-17/b", "A-17/b", true},
		{latin, "vendor_lead_code", strings.Repeat("9", 21), strings.Repeat("9", 20), false},
		{latin, "title", "Mrs.", "Mrs.", true},
		{latin, "title", "Professor", "Prof", false},
		{latin, "title", "Colonel", "", false},
		{latin, "middle_initial", "Quentin", "Q", false},
		{latin, "middle_initial", "Q.", "Q", false},
		{latin, "state", "FL", "FL", true},
		{latin, "state", "fl", "FL", false},
		{latin, "state", "N.Y.", "NY", false},
		{latin, "state", "new  york", "NY", false},
		{latin, "state", "Québec", "QC", false},
		{latin, "state", "Bavaria", "", false},
		{latin, "postal_code", "08014", "08014", true},
		{latin, "postal_code", "8014", "08014", false},
		{latin, "postal_code", "8014-1234", "08014-1234", false},
		{latin, "postal_code", "SW1A 1AA", "SW1A 1AA", true},
		{latin, "postal_code", "z:33101", "33101", false},
		{german, "postal_code", "8014", "8014", true}, // of a number in America
		{latin, "postal_code", "601", "00601", false},
		{latin, "postal_code", "8014.0", "08014", false},
		{latin, "postal_code", "33101.00", "33101", false},
		{latin, "postal_code", "33101.5", "33101 5", false},
		{latin, "postal_code", "12", "12", true},
		{latin, "country_code", "us", "US", false},
		{latin, "country_code", "USA", "USA", true},
		{latin, "country_code", "United States", "USA", false},
		{latin, "country_code", "Atlantis", "", false},
		{latin, "country_code", "1", "", false},
		{latin, "gender", "M", "M", true},
		{latin, "gender", "female", "F", false},
		{latin, "gender", "m", "M", false},
		{latin, "gender", "yes", "", false},
		{latin, "date_of_birth", "1980-12-31", "1980-12-31", true},
		{latin, "date_of_birth", "19801231", "1980-12-31", false},
		{latin, "date_of_birth", "12/31/1980", "1980-12-31", false},
		{latin, "date_of_birth", "5/6/1980 0:00", "1980-05-06", false},
		{latin, "date_of_birth", "31/12/1980", "1980-12-31", false},
		{latin, "date_of_birth", "31.12.1980", "1980-12-31", false},
		{latin, "date_of_birth", "1980-12-31T00:00:00Z", "1980-12-31", false},
		{latin, "date_of_birth", "1980-02-30", "", false},
		{latin, "date_of_birth", "12/31/80", "1980-12-31", false},
		{latin, "date_of_birth", "12/31/20", "", false},
		{latin, "date_of_birth", "31-Dec-1980", "1980-12-31", false},
		{latin, "date_of_birth", "December 31st, 1980", "1980-12-31", false},
		{latin, "date_of_birth", "31 de diciembre de 1980", "1980-12-31", false},
		{latin, "date_of_birth", "31 décembre 1980", "1980-12-31", false},
		{latin, "date_of_birth", "31. Dezember 1980 00:00", "1980-12-31", false},
		{latin, "date_of_birth", "1º de março de 1980", "1980-03-01", false},
		{latin, "date_of_birth", "1980 Dec 31", "1980-12-31", false},
		{latin, "date_of_birth", "31 Smith 1980", "", false},
		{latin, "date_of_birth", "0000-00-00", "", false},
		{german, "last_name", "Müller-Öz", "Mueller-Oez", false},
		{latin, "last_name", "Müller", "Muller", false},
		{german, "date_of_birth", "05.06.1980", "1980-06-05", false},
		{german, "date_of_birth", "05/06/1980", "1980-06-05", false},
		{latin, "email", "joe.o'neil_1@mail.example.com", "joe.o'neil_1@mail.example.com", true},
		{latin, "email", "joe+tag@example.com", "", false},
		{latin, "email", "josé@example.com", "", false},
		{latin, "email", "joe at example.com", "", false},
		{latin, "email", "joe@example", "", false},
		{latin, "email", strings.Repeat("a", 70) + "@example.com", "", false},
		{latin, "rank", "7", "7", true},
		{latin, "rank", "007", "7", false},
		{latin, "rank", "-5", "", false},
		{latin, "rank", "123456", "32767", false},
		{latin, "rank", "99999999999999999999", "32767", false},
		{latin, "owner", "team a", "team a", true},
		{latin, "entry_list_id", "205", "205", true},
		{latin, "entry_list_id", "12", "", false},
	} {
		in := valid()
		*field(t, &in, c.field) = c.from
		out, changes, refusal := c.rules.Clean(in)
		require.Nil(t, refusal, c.from)
		require.Equal(t, c.to, *field(t, &out, c.field), "%s %q", c.field, c.from)
		if c.unchanged || c.from == c.to {
			require.Empty(t, changes, "%s %q", c.field, c.from)
			continue
		}
		require.Len(t, changes, 1, "%s %q", c.field, c.from)
		require.Equal(t, c.field, changes[0].Field)
		require.Equal(t, c.to, changes[0].To)
		require.NotEmpty(t, changes[0].Why, "%s %q", c.field, c.from)
	}
}

func TestTheListComesFromTheRowOrTheFeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		row, feed, want string
	}{
		{"", "101", "101"},
		{" 205 ", "101", "205"},
		{"9223372036854775807", "", "9223372036854775807"},
		{"", "", ""},
		{"12", "101", ""},
		{"0101", "101", ""},
		{"Spring", "101", ""},
		{"-101", "101", ""},
		{"+101", "101", ""},
		{"9999999999999999999", "101", ""},
	} {
		in := valid()
		in.ListID = c.row
		out, _, refusal := lead.Rules{Region: "US", ListID: c.feed}.Clean(in)
		if c.want == "" {
			require.NotNil(t, refusal, c.row)
			require.Equal(t, lead.ListIDInvalid, refusal.Reason)
			require.Equal(t, in, out)
			continue
		}
		require.Nil(t, refusal, c.row)
		require.Equal(t, c.want, out.ListID)
	}
}

// requireClean holds what is true of every lead after cleaning.
func requireClean(t require.TestingT, r lead.Rules, in lead.Lead) {
	out, changes, refusal := r.Clean(in)
	if refusal != nil {
		require.NotEmpty(t, refusal.Reason)
		require.NotEmpty(t, refusal.Detail)
		require.Empty(t, changes)
		require.Equal(t, in, out)
		return
	}
	for _, name := range lead.Fields() {
		s := *field(t, &out, name)
		require.True(t, utf8.ValidString(s), name)
		require.LessOrEqual(t, utf8.RuneCountInString(s), lengths[name], name)
		require.NotContains(t, s, "  ", name)
		require.Equal(t, strings.TrimSpace(s), s, name)
		require.False(t, strings.ContainsAny(s, `\";#+`), "%s %q", name, s)
		require.Equal(t, -1, strings.IndexFunc(s, unicode.IsControl), "%s %q", name, s)
		if !r.NonLatin {
			require.Equal(t, -1, strings.IndexFunc(s, func(c rune) bool { return c >= utf8.RuneSelf }), "%s %q", name, s)
		}
	}
	seen := map[string]bool{}
	for _, c := range changes {
		require.False(t, seen[c.Field], "two changes of %s", c.Field)
		seen[c.Field] = true
		require.NotEmpty(t, c.Why, c.Field)
		require.Equal(t, *field(t, &out, c.Field), c.To)
		require.True(t, utf8.ValidString(c.From))
		require.NotContains(t, c.From, "\x00")
	}
	for _, name := range lead.Fields() {
		switch name {
		case "phone_code", "list_id":
			continue // filled in without a note
		}
		changed := strings.TrimSpace(*field(t, &in, name)) != *field(t, &out, name)
		require.Equal(t, changed, seen[name], name)
	}
	again, changes, refusal := r.Clean(out)
	require.Nil(t, refusal)
	require.Empty(t, changes)
	require.Equal(t, out, again)
}

func TestCleaningLeavesNothingForTheDialerToChange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rules := lead.Rules{
			Region:   rapid.SampledFrom([]string{"US", "CA", "GB", "DE", "IT", "RU", "BY", "MX", "AR", "HU", "IN", ""}).Draw(t, "region"),
			NonLatin: rapid.Bool().Draw(t, "non latin"),
			ListID:   "101",

			CalmCapitals: rapid.Bool().Draw(t, "calm capitals"),
			DateOrder:    rapid.SampledFrom([]lead.DateOrder{"", lead.DayFirst, lead.MonthFirst, lead.YearFirst}).Draw(t, "date order"),
		}
		words := rapid.OneOf(
			rapid.String(),
			rapid.StringMatching(`[ -~]{0,40}`),
			rapid.StringMatching(`[A-Za-zéñßØ山Ж😀;"\\#+ '.\-\x{0301}\x{1100}-\x{11ff}\n]{0,300}`),
			rapid.StringMatching(`\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}`),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 60), func(b []byte) string { return string(b) }),
		)
		phones := rapid.OneOf(
			rapid.StringMatching(`[+]?[0-9]{5,16}`),
			rapid.StringMatching(`[+]?[0-9]{1,3}[ (./-][0-9]{3,4}[ ).-][0-9]{4,7}( x[0-9]{2}|/[0-9]{7,10}|)`),
			rapid.StringMatching(`(p:|tel |)[2-9][0-9]{9}( or |/|; |)[2-9][0-9]{9}`),
			words,
		)
		in := lead.Lead{}
		for _, name := range lead.Fields() {
			switch name {
			case "phone_number", "alt_phone":
				*field(t, &in, name) = phones.Draw(t, name)
			case "phone_code":
				in.PhoneCode = rapid.SampledFrom([]string{"", "1", "+1", "44", "49", "7", "39", "375", "52", "999", "x"}).Draw(t, name)
			case "list_id":
			default:
				*field(t, &in, name) = words.Draw(t, name)
			}
		}
		requireClean(t, rules, in)
	})
}

func FuzzClean(f *testing.F) {
	f.Add("US", false, "(305) 555-0123 x22", "", "José \"Pepe\"; #1\\", "8014")
	f.Add("US", false, "305-555-0123/305-555-0124", "1", "Ann\x00\xff", "12/31/1980")
	f.Add("DE", true, "030/901820", "49", "Stra\u00dfe \U0001F600", "Bayern")
	f.Add("", true, "p:+13055550123", "", "\u1100\u2003\u1161", "+")
	f.Fuzz(func(t *testing.T, region string, nonLatin bool, phone, code, words, value string) {
		in := lead.Lead{PhoneNumber: phone, PhoneCode: code, AltPhone: value}
		for _, name := range lead.Fields()[3:] {
			switch name {
			case "alt_phone":
			case "first_name", "comments", "email", "title", "vendor_lead_code":
				*field(t, &in, name) = words
			default:
				*field(t, &in, name) = value
			}
		}
		requireClean(t, lead.Rules{Region: region, NonLatin: nonLatin, ListID: "101"}, in)
	})
}

func TestChangesCanBeKeptAsJSON(t *testing.T) {
	t.Parallel()
	in := valid()
	in.Comments = strings.Repeat("\x00é", 5000)
	_, changes, refusal := us.Clean(in)
	require.Nil(t, refusal)
	kept, err := json.Marshal(changes)
	require.NoError(t, err)
	require.Less(t, len(kept), 4096)
	require.NotContains(t, string(kept), `\u0000`)
}

func BenchmarkClean(b *testing.B) {
	plain := lead.Lead{
		PhoneNumber: "305-555-0123", AltPhone: "(305) 555-0124", FirstName: "Anna", LastName: "O'Brien",
		Address1: "12 Main St Apt 4", City: "Miami", State: "FL", PostalCode: "33101", Email: "anna.obrien@example.com",
		VendorLeadCode: "A-1001",
	}
	dirty := lead.Lead{
		PhoneNumber: "p:+1 305-555-0123 x22", AltPhone: "+1 (212) 555-0198", FirstName: "José", LastName: "Nuñez  Ørsted",
		Address1: "12 Main St #4", City: "São Paulo", State: "Florida", PostalCode: "8014", Email: "j+x@example.com",
		DateOfBirth: "12/31/1980", Comments: "call\nafter 5; ask for \"Bo\"",
	}
	for name, in := range map[string]lead.Lead{"plain": plain, "dirty": dirty} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, refusal := us.Clean(in); refusal != nil {
					b.Fatal(refusal.Reason)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
