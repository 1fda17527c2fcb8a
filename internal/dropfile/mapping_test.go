package dropfile_test

import (
	"strings"
	"testing"

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
}

func TestMStandsForMujerWhereHStandsForHombre(t *testing.T) {
	t.Parallel()
	rows := readAll(t, "Teléfono,Sexo\n3055550101,M\n3055550102,H\n", dropfile.Options{Region: "US"})
	require.Equal(t, "mujer", rows[0].Lead.Gender)
	require.Equal(t, "H", rows[1].Lead.Gender)
	rows = readAll(t, "Téléphone,Sexe\n3055550101,M\n3055550102,F\n", dropfile.Options{Region: "US"})
	require.Equal(t, "M", rows[0].Lead.Gender)
}

func TestTheFirstRowsShowHowDatesAreWritten(t *testing.T) {
	t.Parallel()
	r := open(t, "Phone,DOB\n1,03/04/1980\n2,25/04/1980\n", dropfile.Options{})
	require.Equal(t, map[string]lead.DateOrder{"date_of_birth": lead.DayFirst}, r.Dates())
}

func TestChangedHeadersAreTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, now, what string
		lost              bool
	}{
		{"First,Phone", "First,Phone", "", false},
		{"First,Phone", "PHONE,first ", "", false},
		{"First,Phone,Company", "First,Phone", `"Company" is gone`, false},
		{"First,Phone", "First,Phone,Shoe Size", `"Shoe Size" is new`, false},
		{"First,Phone,City", "First,Phone", `"City" is gone`, true},
		{"First,Phone", "First,Telephone", `"Phone" is gone, "Telephone" is new`, true},
		{"First,Zip,Zip,Phone", "First,Zip,Phone", `"Zip" is gone`, true},
		{"First,Reach", "First,Phone", `"Reach" is gone, "Phone" is new`, true}, // by its content, one must think
		{"First,Fax,Reach", "First,Phone,Reach", `"Fax" is gone, "Phone" is new`, false},
		{"First,Phone,City", "First,Phone,import_line,import_outcome,import_reason,import_note", "", false},
	} {
		o := dropfile.Options{Region: "US"}
		what, lost := open(t, c.now+"\n", o).Changed(strings.Split(c.before, ","))
		require.Equal(t, c.what, what, c.before)
		require.Equal(t, c.lost, lost, c.before)
	}
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
		what, lost := r.Changed(r.Header())
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
