package dialersim_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"importer/internal/nonagent/dialersim"
)

// step is what the recording did for one of its requests without showing it.
type step struct {
	before  func(*rig)
	set     func(*dialersim.Settings) // beside the PHP that the recording names
	clock   string                    // where the answer does not tell it
	request string                    // where the recording has none, or shortened it
	bare    bool                      // without the good source, user and pass
	http    func(*testing.T) *http.Request
	stored  string // the columns that "stored" shows
}

// anew is the sections that began with an empty lead table.
var anew = map[string]bool{
	"lookups: does a lead exist?":    true,
	"lead_field_info as retry check": true,
}

const contents = "vendor_lead_code source_id title first_name middle_initial last_name address1 city state province postal_code email comments owner"

func customFields(set *dialersim.Settings) { set.CustomFields = true }
func insertFails(set *dialersim.Settings)  { set.InsertFails = true }
func logFails(set *dialersim.Settings)     { set.LogFails = true }
func databaseDown(set *dialersim.Settings) { set.ConnectError = "Connection refused" }
func tooManyUsers(set *dialersim.Settings) { set.ConnectError = "Too many connections" }
func defineColor(g *rig) {
	g.SetList(dialersim.List{ID: 102, Name: "Test list 102", Campaign: "TESTCAMP", CustomFields: []string{"color"}})
}
func badLogin(g *rig) { g.do("POST user=locku&pass=bad&function=add_lead&phone_number=3055573001") }
func loadNANPA(set *dialersim.Settings) {
	set.NANPA = []string{"305555", "312555", "602555", "305556", "305557", "305558", "312556", "312557", "602556", "602557"}
}

const (
	longFields = "POST function=add_lead&phone_code=1&list_id=101&phone_number=3055561016"
	plainAdd   = "POST function=add_lead&phone_code=1&list_id=101&phone_number="
)

// overlong is more than any column takes.
func overlong(letter string) string { return strings.Repeat(letter, 300) }

var steps = map[string]step{
	"version, basics / good add POST":                    {stored: "lead_id status user list_id phone_code phone_number vendor_lead_code source_id gmt_offset_now gender rank entry_date last_local_call_time date_of_birth entry_list_id"},
	"version, basics / good add GET":                     {stored: "lead_id list_id phone_number"},
	"version, basics / GET wins over POST for same name": {stored: "phone_number"},

	"auth / no user/pass": {request: "POST source=test&function=add_lead&phone_number=3055551001&phone_code=1&list_id=101", bare: true},
	"missing / bad request parts / missing source": {
		request: "POST user=apiuser&pass=apipass1234&function=add_lead&phone_number=3055551001&list_id=101", bare: true,
	},
	"missing / bad request parts / unknown list without the check: INSERTED":                                   {stored: "list_id phone_number"},
	"missing / bad request parts / list_id letters -> stripped to empty -> 999":                                {stored: "list_id"},
	"missing / bad request parts / list_id 20 digits":                                                          {stored: "list_id"},
	"phone numbers / phone_number='123456'":                                                                    {stored: "phone_code phone_number gmt_offset_now"},
	"phone numbers / phone_number='(305) 555-1030'":                                                            {stored: "phone_code phone_number gmt_offset_now"},
	"phone numbers / phone_number='13055551030'":                                                               {stored: "phone_code phone_number gmt_offset_now"},
	"phone numbers / phone_number='305555.1030x22'":                                                            {stored: "phone_code phone_number gmt_offset_now"},
	"phone numbers / usacan_areacode_check=Y 11 digits, first 3 ARE an areacode (length test does not reject)": {stored: "phone_number"},
	"phone numbers / nanpa_ac_prefix_check=Y, loaded, prefix unknown":                                          {set: loadNANPA},

	"tz_method, lookup_state / tz default, 312 (CST)":                  {stored: "gmt_offset_now"},
	"tz_method, lookup_state / tz POSTAL ZIP+4 (no match -> areacode)": {stored: "gmt_offset_now postal_code"},
	"tz_method, lookup_state / tz TZCODE owner=MST":                    {stored: "gmt_offset_now owner"},
	"tz_method, lookup_state / tz NANPA":                               {stored: "gmt_offset_now"},
	"tz_method, lookup_state / tz bogus":                               {stored: "gmt_offset_now"},
	"tz_method, lookup_state / UK phone_code 44":                       {stored: "phone_code gmt_offset_now"},
	"tz_method, lookup_state / phone_code unknown 9999":                {stored: "phone_code gmt_offset_now"},
	"tz_method, lookup_state / lookup_state=Y, state given":            {stored: "state"},
	"tz_method, lookup_state / gmt_offset_now param ignored":           {stored: "gmt_offset_now"},

	"duplicate_check / DUPLIST same list": {before: func(g *rig) {
		g.seed(40, 25*24*time.Hour, map[string]string{
			"list_id": "101", "phone_number": "3055552001", "title": "Dr", "alt_phone": "3055552901", "first_name": "Ann", "last_name": "Lee",
		})
	}},
	"duplicate_check / DUPLIST1DAY / DUPSYS30DAY hit": {before: func(g *rig) { // DUPLIST1DAY added one
		g.seed(43, 0, map[string]string{"list_id": "101", "phone_number": "3055552001", "first_name": "Ann", "last_name": "Lee"})
	}},
	"duplicate_check / O'Brien with DUPLIST: fine": {stored: "last_name"},

	"callbacks / callback=Y ANYONE":                                              {stored: "status"},
	"callbacks / callback=Y 3DAYS":                                               {stored: "status", clock: "2026-11-23 15:13:23"},
	"callbacks / callback=Y bad user: lead inserted with CBHOLD and NO callback": {stored: "status"},
	"callbacks / callback=Y bad datetime":                                        {stored: "status"},

	"custom fields / custom_fields=Y enabled, no custom table for the list": {set: customFields},
	"custom fields / custom table + field":                                  {set: customFields, before: defineColor, stored: "entry_list_id"},
	"custom fields / field defined but column missing: custom INSERT fails AFTER the lead row is in": {
		set: customFields,
	},
	"custom fields / everything together: order of lines": {set: customFields, stored: "status entry_list_id"},
	"custom fields, single field, cause of the 500 / custom_fields=Y, one TEXT field, clean value": {
		set: customFields, stored: "entry_list_id",
	},
	"custom fields, single field, cause of the 500 / update_lead insert_if_not_found custom_fields=Y (its code strips the comma)": {
		set: customFields, stored: "entry_list_id",
	},

	"field contents, use_non_latin=0 / apostrophe":                                                      {stored: contents},
	"field contents, use_non_latin=0 / plus sign: urlencoded %2B becomes a space":                       {stored: contents},
	"field contents, use_non_latin=0 / ampersand, pipe, comma, slash, parens, colon, at, percent, star": {stored: contents},
	"field contents, use_non_latin=0 / backslash in first_name/address (stripped)":                      {stored: contents},
	"field contents, use_non_latin=0 / newline / CR / tab": {
		request: plainAdd + "3055560009&first_name=A\nB\tC&comments=line1\r\nline2\ttab&address1=a\nb&vendor_lead_code=v\n1",
		stored:  "first_name hex:comments hex:address1 hex:vendor_lead_code",
	},
	"field contents, use_non_latin=0 / HTML":          {stored: contents},
	"field contents, use_non_latin=0 / UTF-8 accents": {stored: contents + " hex:comments hex:first_name"},
	"field contents, use_non_latin=0 / emoji":         {stored: contents + " hex:comments"},
	"field contents, use_non_latin=0 / invalid UTF-8 (latin-1 bytes)": {
		stored: "first_name last_name city address1 hex:comments",
	},
	"field contents, use_non_latin=0 / rank negative / gender lower-case / dob variants": {stored: "rank gender date_of_birth"},
	"field contents, use_non_latin=0 / dob 19801231":                                     {stored: "date_of_birth"},
	"field contents, use_non_latin=0 / status / user / called_count / entry_date params are ignored by add_lead": {
		stored: "status user called_count entry_date",
	},
	"field contents, use_non_latin=0 / leading/trailing blanks kept": {stored: "[first_name] [vendor_lead_code]"},

	"field contents, use_non_latin=1 / apostrophe":                                                      {stored: contents},
	"field contents, use_non_latin=1 / double quote, semicolon, hash":                                   {stored: contents},
	"field contents, use_non_latin=1 / ampersand, pipe, comma, slash, parens, colon, at, percent, star": {stored: contents},
	"field contents, use_non_latin=1 / backslash in the middle of vendor_lead_code / comments (SQL escapes are interpreted)": {
		stored: "hex:vendor_lead_code comments source_id",
	},
	"field contents, use_non_latin=1 / newline / CR / tab": {
		request: plainAdd + "3055561009&first_name=A\nB\tC&comments=line1\r\nline2\ttab&address1=a\nb&vendor_lead_code=v\n1",
		stored:  "first_name hex:comments hex:address1 hex:vendor_lead_code",
	},
	"field contents, use_non_latin=1 / NUL byte in comments": {
		request: plainAdd + "3055561010&comments=a\x00b&first_name=x\x00y", stored: "hex:comments hex:first_name",
	},
	"field contents, use_non_latin=1 / UTF-8 accents":                 {stored: contents + " hex:comments hex:first_name"},
	"field contents, use_non_latin=1 / CJK / Cyrillic":                {stored: contents + " hex:comments"},
	"field contents, use_non_latin=1 / invalid UTF-8 (latin-1 bytes)": {stored: "first_name last_name city address1 hex:comments"},
	"field contents, use_non_latin=1 / too long fields": { // the recording shortened the request
		request: longFields + "&first_name=" + overlong("F") + "&last_name=" + overlong("L") + "&vendor_lead_code=" + overlong("V") +
			"&source_id=" + overlong("S") + "&title=Professor&middle_initial=XYZ&address1=" + overlong("A") + "&city=" + overlong("C") +
			"&state=Florida&province=" + overlong("P") + "&postal_code=12345-6789-0&country_code=USAX&alt_phone=305-555-1234-5&email=" +
			overlong("e") + "&comments=" + overlong("c") + "&security_phrase=" + overlong("s") + "&owner=" + overlong("o") +
			"&gender=Male&date_of_birth=12/31/1980&rank=123456&entry_list_id=5",
		stored: "len:first_name len:last_name len:vendor_lead_code len:source_id title middle_initial len:address1 len:city state len:province " +
			"postal_code country_code alt_phone len:email len:comments len:security_phrase len:owner gender date_of_birth rank entry_list_id",
	},
	"field contents, use_non_latin=1 / dob 19801231":                 {stored: "date_of_birth"},
	"field contents, use_non_latin=1 / all fields empty":             {stored: contents + " gender rank"},
	"field contents, use_non_latin=1 / leading/trailing blanks kept": {stored: "[first_name] [vendor_lead_code]"},
	"field contents, use_non_latin=1 / SQL-ish in vendor_lead_code (single quotes not filtered, value is double-quoted in SQL)": {
		stored: "vendor_lead_code user",
	},

	"HTTP shapes / JSON content type": {http: func(*testing.T) *http.Request {
		r := httptest.NewRequest(http.MethodPost, dialersim.APIPath, strings.NewReader(`{"user":"apiuser","pass":"apipass1234","function":"add_lead"}`))
		r.Header.Set("Content-Type", "application/json")
		return r
	}},
	"HTTP shapes / multipart/form-data works": {http: multipartLead},
	"HTTP shapes / PUT":                       {request: "PUT function=version"},
	"HTTP shapes / DELETE":                    {request: "DELETE function=version"},
	"HTTP shapes / GET URL of 9000 chars": {
		request: "GET function=add_lead&phone_code=1&list_id=101&phone_number=3055569002&comments=" + strings.Repeat("c", 9000),
	},
	"HTTP shapes / POST 300 kB comment": {request: plainAdd + "3055569003&comments=" + strings.Repeat("c", 300_000), stored: "len:comments"},
	"HTTP shapes / the same with %27":   {stored: "last_name"},
	"POST: which parameter is last matters (api_log.value = last POST value) / apostrophe in the LAST parameter": {stored: "last_name"},
	"POST: which parameter is last matters (api_log.value = last POST value) / same, PHP<8.1 mode: SUCCESS/200, but no vicidial_api_log row": {
		stored: "last_name",
	},

	"lookups: does a lead exist? / seed A": {clock: "2026-11-23 15:16:47"},
	"lookups: does a lead exist? / seed C": {before: func(g *rig) { // seed B is not shown
		g.seed(2, 0, map[string]string{"list_id": "102", "phone_number": "3055572001", "vendor_lead_code": "ROW-2"})
	}},
	"lookups: does a lead exist? / update_lead insert_if_not_found=Y not found: INSERTED, two lines": {
		stored: "lead_id status vendor_lead_code list_id gmt_offset_now gender rank",
	},
	"lookups: does a lead exist? / batch_update_lead none": {before: func(g *rig) { // two leads were updated before
		g.seed(7, 0, map[string]string{"list_id": "101", "phone_number": "3055572012", "status": "SALE"})
		g.do("POST function=batch_update_lead&lead_ids=1,3&status=B")
	}},
	"lookups: does a lead exist? / list_custom_fields": {before: defineColor},

	"failed login lockout / bad password, attempt 4":  {before: badLogin},
	"failed login lockout / bad password, attempt 7":  {before: badLogin},
	"failed login lockout / bad password, attempt 10": {before: badLogin},
	"failed login lockout / RIGHT password, last good login >15 min ago (count still >=10)": {
		before: func(g *rig) { g.clock = g.clock.Add(16 * time.Minute) },
	},

	"database failures / table vicidial_list missing (port 8081)": {request: plainAdd + "3056500001", set: insertFails},
	"database failures / table vicidial_list missing (port 8082)": {request: plainAdd + "3056500001", set: insertFails},
	"database failures / table vicidial_api_log missing (crashed log table): lead is inserted (port 8081)": {
		request: plainAdd + "3056500002", set: logFails,
	},
	"database failures / table vicidial_api_log missing (port 8082)": {request: plainAdd + "3056500003", set: logFails},
	"database failures / max_connections reached (port 8082)":        {request: plainAdd + "3056500004", set: tooManyUsers},
	"database failures / server read_only (replica failover): cron has no SUPER (port 8081)": {
		request: plainAdd + "3056500005", set: insertFails,
	},
	"MariaDB killed while an INSERT is waiting; connection killed / DB connection KILLed while INSERT waits (port 8081)": {
		request: plainAdd + "3056500007", set: insertFails,
	},
	"MariaDB down / MariaDB stopped (port 8082)":                   {request: plainAdd + "3056500008", set: databaseDown},
	"MariaDB down / MariaDB stopped, function=version (port 8081)": {request: "POST function=version", set: databaseDown},

	"IP list, 2FA, gzip, oversize POST / IP not in the group's api_ip_list": {before: func(g *rig) {
		g.SetGroup(dialersim.Group{ID: "LIMITED", Campaigns: []string{"TESTCAMP"}, IPs: []string{"198.51.100.7"}})
	}},
	"IP list, 2FA, gzip, oversize POST / two-factor active for everybody, API user without override": {
		set: func(set *dialersim.Settings) { set.TwoFactor = true },
	},

	"long vendor_lead_code is cut to 20 chars: lookup with the full text fails / lookup full": {before: func(g *rig) {
		g.SetNextLeadID(4)
		g.do("POST function=add_lead&phone_number=3056700011&list_id=101&vendor_lead_code=ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	}},
}
