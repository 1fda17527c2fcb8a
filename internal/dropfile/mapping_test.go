package dropfile_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/lead"
)

func open(t *testing.T, file string, o dropfile.Options) *dropfile.Reader {
	t.Helper()
	r, err := dropfile.Open(strings.NewReader(file), o)
	require.NoError(t, err)
	return r
}

// fields are the fields that the columns of a file get.
func fields(t *testing.T, file string, o dropfile.Options) string {
	t.Helper()
	var got []string
	for _, m := range open(t, file, o).Mapping() {
		if m.Field == "" {
			m.Field = "-"
		}
		got = append(got, m.Field)
	}
	return strings.Join(got, " ")
}

func TestUsualNamesAreKnownInFiveLanguages(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Contact: First,LNAME,E-Mail Address,ZIP/Postal Code,Phone Number,D.O.B.":                               "first_name last_name email postal_code phone_number date_of_birth",
		"Nombre,Apellidos,Teléfono móvil,Correo electrónico,Código postal,Ciudad,Dirección,Fecha de nacimiento": "first_name last_name phone_number email postal_code city address1 date_of_birth",
		"Prénom,Nom,N° de téléphone,Courriel,Code postal,Ville,Adresse,Civilité,Sexe":                           "first_name last_name phone_number email postal_code city address1 title gender",
		"Vorname,Name,Telefon,Handy,E-Mail,PLZ,Ort,Straße,Geburtsdatum,Anrede,Land":                             "first_name last_name phone_number alt_phone email postal_code city address1 date_of_birth title country_code",
		"Nome completo,Telemóvel,E-mail,CEP,Cidade,UF,Endereço,Data de nascimento,Gênero,Observações":           "full_name phone_number email postal_code city state address1 date_of_birth gender comments",
		"Name,Phone":                   "full_name phone_number",
		"Name,Surname,Phone":           "first_name last_name phone_number",
		"Full Name,First,Phone":        "- first_name phone_number",
		"Company,Fax,Website,Phone":    "- - - phone_number",
		"TELEFONO 2,TELÉFONO 1,nombre": "alt_phone phone_number full_name",
		"Zip, zip ,Phone":              "postal_code - phone_number",
	} {
		require.Equal(t, want, fields(t, header+"\n", dropfile.Options{Region: "US"}), header)
	}
}

const people = `%Ann,Lee,(305) 555-0101,ann@example.com,33101,FL,12 Main St,Miami,12/31/1980,F
%John,Brown,305.555.0102,john@example.com,08014,NJ,7 Oak Ave,Trenton,1/2/1975,M
%Maria,Smith,+1 305 555 0103,maria@example.com,10001-1234,NY,99 Elm Rd,Albany,3/14/1990,F
%Peter,Stone,3055550104 x7,peter@example.com,60601,IL,3 Lake Dr,Chicago,11/5/1966,M
`

func TestColumnsUnderStrangeNamesAreKnownByTheirContent(t *testing.T) {
	t.Parallel()
	file := "a1,b1,c1,d1,e1,f1,g1,h1,i1,j1\n" + strings.ReplaceAll(people, "%", "")
	r := open(t, file, dropfile.Options{Region: "US", HeaderLine: 1})
	got := map[string]string{}
	for _, m := range r.Mapping() {
		if m.Field != "" {
			require.Equal(t, dropfile.ByContent, m.By)
			require.GreaterOrEqual(t, m.Confidence, 70, m.Field)
			got[m.Field] = m.Header
		}
	}
	// Last names and towns could be anything: their own names must say so.
	require.Equal(t, map[string]string{
		"first_name": "a1", "phone_number": "c1", "email": "d1", "postal_code": "e1", "state": "f1", "address1": "g1",
		"date_of_birth": "i1", "gender": "j1",
	}, got)
	require.Equal(t, "(30#) ###-####", r.Mapping()[2].Sample)
	require.Equal(t, "axx@exxxxxx.cxx", r.Mapping()[3].Sample)
}

func TestContentNeverOverrulesAName(t *testing.T) {
	t.Parallel()
	require.Equal(t, "phone_number -", fields(t, "Phone,Fax\n3055550101,3055550102\n", dropfile.Options{Region: "US"}))
	require.Equal(t, "vendor_lead_code phone_number", fields(t, "Customer ID,Ring\n3055550101,3055550102\n", dropfile.Options{Region: "US"}))
	require.Equal(t, "phone_number -", fields(t, "Phone,x\n2.17623E+09,3055550102\n", dropfile.Options{Region: "US"}), "a damaged column is the phone number's all the same")
	require.Equal(t, "- phone_number", fields(t, "Home,Mobile\nyes,3055550102\nno,3055550103\n", dropfile.Options{Region: "US"}))
	require.Equal(t, "- phone_number", fields(t, "Contact,Phone\n17,3055550102\n", dropfile.Options{Region: "US"}))
	require.Equal(t, "phone_number alt_phone", fields(t, "Reach 1,Reach 2\n3055550101,3055550102\n", dropfile.Options{Region: "US"}), "numbered siblings")
	require.Equal(t, "alt_phone phone_number", fields(t, "Phone,Telephone\n,3055550102\n", dropfile.Options{Region: "US"}), "nothing stands in the other one")
}

func TestTheOnlyColumnOfPhoneNumbersMayHaveDamagedOnes(t *testing.T) {
	t.Parallel()
	const file = "John,3055550101,%s\nMary,2.17E+09,b\nAnn,305-555-0103,c\n"
	require.Equal(t, "first_name phone_number -", fields(t, fmt.Sprintf(file, "a"), dropfile.Options{Region: "US"}))
	_, err := dropfile.Open(strings.NewReader(fmt.Sprintf(file, "(305) 555-0104")), dropfile.Options{Region: "US"})
	require.ErrorContains(t, err, `no column is known to be the phone_number`)
	require.ErrorContains(t, err, `"column 2" (such as 30########), "column 3" (such as (30#) ###-####)`)
}

func TestTwoLikelyPhoneColumnsAreShownMasked(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Who,Reach,Ask": `2 columns could be the phone_number: "Reach" (such as (71#) ###-####), "Ask" (such as 71#-###-####); say which`,
		"Who,Phone,Tel": `2 columns could be the phone_number: "Phone" (such as (71#) ###-####), "Tel" (such as 71#-###-####); say which`,
	} {
		_, err := dropfile.Open(strings.NewReader(header+"\nOlive,(718) 555-0103,718-555-0104\n"), dropfile.Options{Region: "US"})
		var hold *dropfile.HoldError
		require.ErrorAs(t, err, &hold)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "555")
	}
}

func TestFieldsAreMadeOfColumns(t *testing.T) {
	t.Parallel()
	const file = "First,Last,Mobile,Home,Company Name,Town\n" +
		"Ann,Lee,,3055550102,Acme,Miami\n" +
		"Bo,Ray,3055550103,3055550104,,\n"
	rows := readAll(t, file, dropfile.Options{Region: "US", Made: map[string]dropfile.Made{
		"phone_number":             {FirstOf: []string{"Mobile", "home"}},
		"comments":                 {Template: "{{.company_name}}: {{.first_name}} {{.last_name}}"},
		"security_phrase":          {Template: "at {{.CompanyName}}"},
		"owner":                    {Value: "web"},
		dropfile.CustomField("co"): {Template: "{{.company_name}} in {{.city}}"},
	}})
	require.Equal(t, lead.Lead{
		FirstName: "Ann", LastName: "Lee", PhoneNumber: "3055550102", City: "Miami", Owner: "web",
		Comments: "Acme: Ann Lee", SecurityPhrase: "at Acme", Extras: &lead.Extras{Custom: map[string]string{"co": "Acme in Miami"}},
	}, rows[0].Lead)
	require.Equal(t, lead.Lead{
		FirstName: "Bo", LastName: "Ray", PhoneNumber: "3055550103", AltPhone: "3055550104", Owner: "web",
		Comments: ": Bo Ray",
	}, rows[1].Lead, "a template that names nothing but empty cells is empty")

	_, err := dropfile.Open(strings.NewReader(file), dropfile.Options{Made: map[string]dropfile.Made{"comments": {Template: "{{.Shop}}"}}})
	var hold *dropfile.HoldError
	require.ErrorAs(t, err, &hold)
	require.ErrorContains(t, err, `"Shop"`)
	_, err = dropfile.Open(strings.NewReader(file), dropfile.Options{
		Columns: map[string]string{"phone_number": "Home"}, Made: map[string]dropfile.Made{"alt_phone": {FirstOf: []string{"Mobile", "Home"}}},
	})
	require.ErrorContains(t, err, "two fields")
}

func TestTemplatesHoldNothingButNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"{{.first_name}}", "a {{ .Straße }} b {{- .x}}"} {
		require.NoError(t, dropfile.CheckTemplate(good))
	}
	for _, bad := range []string{"", "plain", "{{", "{{.a.b}}", "{{if .a}}x{{end}}", "{{printf .a}}", "{{.a | len}}", "{{$x := .a}}", "{{define `t`}}x{{end}}", "{{.}}", "{{first_name}}"} {
		require.Error(t, dropfile.CheckTemplate(bad), bad)
	}
}

func TestFullNamesFillTheNames(t *testing.T) {
	t.Parallel()
	rows := readAll(t, "Name,Phone\n\"Public, Mr. John\",3055550101\nSeñora Ana Ruiz,3055550102\n", dropfile.Options{Region: "US"})
	require.Equal(t, lead.Lead{Title: "Mr.", FirstName: "John", LastName: "Public", PhoneNumber: "3055550101"}, rows[0].Lead)
	require.Equal(t, lead.Lead{Title: "Señora", FirstName: "Ana", LastName: "Ruiz", PhoneNumber: "3055550102"}, rows[1].Lead)
	require.Equal(t, []lead.Change{{Field: "full_name", From: "Public, Mr. John", To: "Mr. | John | Public", Why: "split into title, first_name, last_name"}}, rows[0].Changes)
}

func TestMStandsForMujerWhereHStandsForHombre(t *testing.T) {
	t.Parallel()
	rows := readAll(t, "Teléfono,Sexo\n3055550101,M\n3055550102,H\n", dropfile.Options{Region: "US"})
	require.Equal(t, "F", rows[0].Lead.Gender)
	require.Equal(t, []lead.Change{{Field: "gender", From: "M", To: "F", Why: "M stands for mujer, as H does for hombre"}}, rows[0].Changes)
	require.Equal(t, "H", rows[1].Lead.Gender)
	rows = readAll(t, "Téléphone,Sexe\n3055550101,M\n3055550102,F\n", dropfile.Options{Region: "US"})
	require.Equal(t, "M", rows[0].Lead.Gender)
}

func TestTheWholeFileShowsHowDatesAreWritten(t *testing.T) {
	t.Parallel()
	dates := func(r io.Reader, o dropfile.Options) lead.DateOrder {
		d, err := dropfile.Open(r, o)
		require.NoError(t, err)
		row, err := d.Next()
		require.NoError(t, err, "the file is read from its beginning")
		require.Equal(t, 1, row.Record)
		return d.Dates()["date_of_birth"]
	}
	const head, either, day, month = "Phone,DOB\n", "3055550101,03/04/1980\n", "3055550102,25/04/1980\n", "3055550103,04/25/1980\n"
	far := head + strings.Repeat(either, 50_000) + day
	for file, want := range map[string]lead.DateOrder{
		head + either:                  "",
		head + either + day:            lead.DayFirst,
		head + month + either:          lead.MonthFirst,
		head + month + either + day:    lead.MixedOrder,
		far:                            lead.DayFirst,
		head + month + far[len(head):]: lead.MixedOrder,
	} {
		require.Equal(t, want, dates(strings.NewReader(file), dropfile.Options{}), len(file))
	}
	require.Empty(t, dates(iotest.OneByteReader(strings.NewReader(far)), dropfile.Options{}), "a stream is read once")
	require.Empty(t, dates(strings.NewReader(far), dropfile.Options{DateOrder: lead.MonthFirst}), "the feed says it")
	made := map[string]dropfile.Made{"date_of_birth": {Template: "{{.D}}/{{.M}}/{{.Y}}"}}
	require.Equal(t, lead.DayFirst, dates(strings.NewReader("Phone,D,M,Y\n3055550101,25,4,1980\n"), dropfile.Options{Made: made}))
}

func TestChangedHeadersAreTold(t *testing.T) {
	t.Parallel()
	const two = "\nAnn,3055550101\nBo,3055550102\nCy,3055550103\n"
	for _, c := range []struct {
		before, now, what string
		lost              bool
	}{
		{"First,Phone\n", "First,Phone\n", "", false},
		{"First,Phone\n", "PHONE,first \n", "", false},
		{"First,Phone,Company\n", "First,Phone\n", `"Company" is gone`, false},
		{"First,Phone\n", "First,Phone,Shoe Size,Email\n", `"Shoe Size", "Email" (email) are new`, false},
		{"First,Phone,City\n", "First,Phone\n", `"City" (city) is gone`, true},
		{
			"First,Phone,a1,b2,c3,d4,e5,f6,City,g7\n", "First,Phone\n",
			`"a1", "b2", "c3", "d4", "e5", "City" (city), 2 more that are not used are gone`, true,
		},
		{"First,Phone\n", "First,Phone,,\n", "", false},
		// Another usual name for the same.
		{"First,Phone\n", "First,Telephone\n", `"Phone" (phone_number) is gone, "Telephone" (phone_number) is new`, false},
		{"First,Last,Phone\n", "Full Name,Phone\n", `"First" (first_name), "Last" (last_name) are gone, "Full Name" (full_name) is new`, false},
		{"Full Name,Phone\n", "First,Last,Phone\n", `"Full Name" (full_name) is gone, "First" (first_name), "Last" (last_name) are new`, false},
		{"Full Name,Phone\n", "First,Phone\n", `"Full Name" (full_name) is gone, "First" (first_name) is new`, true},
		// A column that was something else before, or was not used, takes its place.
		{"Phone,Mobile\n", "Mobile,City\n", `"Phone" (phone_number) is gone, "City" (city) is new`, true},
		{"Zip,Postal Code,Phone\n", "Zip,Phone\n", `"Postal Code" (postal_code) is gone`, true},
		{"First,Zip,Zip,Phone\n", "First,Zip,Phone\n", `"Zip" is gone`, false},
		// Known by its content.
		{"First,Reach" + two, "First,Phone\n", `"Reach" (phone_number) is gone, "Phone" (phone_number) is new`, false},
		{"First,Phone\n", "First,Reach" + two, `"Phone" (phone_number) is gone, "Reach" (phone_number) is new`, true},
		{"First,Reach" + two, "First,Reach" + two, "", false},
		{"who,Reach,Phone" + strings.ReplaceAll(two, ",3", ",a@b.cc,3"), "who,Phone" + two, `"Reach" (email) is gone`, true},
		// No header.
		{two[1:], two[1:], "", false},
		{two[1:], "First,Phone" + two, "there is a header, and was none", false},
		{two[1:], "Phone" + "\n3055550101\n", "there is a header, and was none", true},
		{"First,Phone" + two, two[1:], "there is no header any more", true},
		{two[1:], strings.ReplaceAll(two[1:], ",3", ",x,3"), "there are 3 columns in place of 2", false},
		{strings.ReplaceAll(two[1:], ",3", ",a@b.cc,3"), two[1:], "there are 2 columns in place of 3", true},
		// People's data is not told.
		{"First,Phone,ann@example.com\n", "First,Phone\n", "the columns are others", false},
		// Our rejects.
		{"First,Phone,City\n", "First,Phone,import_line,import_outcome,import_reason,import_note\n", "", false},
	} {
		o := dropfile.Options{Region: "US"}
		before := open(t, c.before, o)
		what, lost := open(t, c.now, o).Changed(before.Header(), before.Fields())
		require.Equal(t, c.what, what, c.before)
		require.Equal(t, c.lost, lost, "%s %s", c.before, c.now)
	}
	// What the feed makes needs no column, and what it names was found.
	what, lost := open(t, "First,Phone\n", dropfile.Options{Made: map[string]dropfile.Made{"city": {Value: "Miami"}}}).
		Changed([]string{"First", "Phone", "City", "Color"}, []string{"first_name", "phone_number", "city", "custom_fields.color"})
	require.Equal(t, `"City" (city), "Color" (custom_fields.color) are gone`, what)
	require.False(t, lost)
}

func FuzzMapping(f *testing.F) {
	f.Add("First Name,Phone", "Ann,3055550101", "{{.first_name}} {{.phone}}")
	f.Add("Teléfono,Nombre", "+34 600 000 000,\"Ruiz, Ana\"", "{{.nombre}}!")
	f.Add("a,b,c", "=1+1,(305) 555-0101 x2,12/31/1980", "{{")
	f.Add(",,", "p:+1555,@,\xff\x00", "x{{.1}}")
	f.Add("phone1,phone1,phone2", "1,2,3", "{{.phone1}}")
	f.Fuzz(func(t *testing.T, header, record, template string) {
		o := dropfile.Options{Region: "US"}
		if dropfile.CheckTemplate(template) == nil {
			o.Made = map[string]dropfile.Made{"comments": {Template: template}}
		}
		r, err := dropfile.Open(strings.NewReader(header+"\n"+record+"\n"), o)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for i, m := range r.Mapping() {
			require.Equal(t, i+1, m.Column)
			if m.Field != "" && m.Field != "comments" { // which a template makes of several
				require.False(t, seen[m.Field], "two columns for %s", m.Field)
				seen[m.Field] = true
			}
		}
		require.True(t, seen["phone_number"])
		what, lost := r.Changed(r.Header(), r.Fields())
		require.Empty(t, what)
		require.False(t, lost)
		for {
			row, err := r.Next()
			if err != nil {
				break
			}
			if row.Refusal == nil {
				_, _, _ = lead.Rules{Region: "US", ListID: "101", Dates: r.Dates()}.Clean(row.Lead)
			}
		}
	})
}
