package config_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/config"
)

func TestEverythingThatIsWrongIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/all_wrong.yaml")
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/all_wrong.golden")
	require.NoError(t, err)

	got := complaint(t, string(text))

	require.Equal(t, strings.TrimSuffix(string(want), "\n"), got)
	require.NotContains(t, got, "hunter2", "no error may tell a password")
}

func TestEachMistakeIsExplainedWithItsPlace(t *testing.T) {
	t.Parallel()
	url := "https://dialer.example.com/vicidial/non_agent_api.php"
	feed := "    list_id: 101\n"
	pulled := "    source: {directory: {path: drops}}\n"
	dialer := "    password: secret-1\n"
	twoFeeds := func(first, second string) string {
		return edit(t, feed, feed+first) + "  bravo:\n    dialer: main\n" + second
	}
	for name, tc := range map[string]struct{ text, want string }{
		"an empty file":       {"# nothing\n", "importer.yaml: the file is empty: copy configs/importer.example.yaml there and edit it"},
		"a syntax error":      {"dialers: [1\n", "importer.yaml:1:10: no valid YAML from here (sequence end token ']' not found): check this line's indentation, quotes and brackets"},
		"a key given twice":   {"state_dir: a\nstate_dir: b\n", `importer.yaml:2:1: no valid YAML from here (mapping key "state_dir" already defined at [1:1]): check this line's indentation, quotes and brackets`},
		"two documents":       {"state_dir: a\n---\nstate_dir: b\n", "importer.yaml:3:1: a second document begins here: keep everything in one, without a line of ---"},
		"no mapping":          {"- a\n", "importer.yaml: the configuration must be a mapping, with lines of the form key: value"},
		"an unknown key":      {"feed: {}\n", `importer.yaml:1:1: the configuration has no key "feed": use dialers, feeds, ledger, notify, serve, spool, state_dir`},
		"an unknown anchor":   {"state_dir: *x\n", "importer.yaml:1:12: state_dir refers to an anchor that is not defined: define it with &NAME or write the value here"},
		"a merge with itself": {"dialers: &d {<<: *d}\n", "importer.yaml:1:1: dialers merges itself with <<: remove that line"},

		"a list for a text":           {"state_dir: [a]\n", "importer.yaml:1:1: state_dir must be a single value; put quotes around a text"},
		"a mapping for a password":    {edit(t, "secret-1", "{'': hunter2}"), "importer.yaml:5:5: dialers.main.password must be a single value; put quotes around a text"},
		"a text for a mapping":        {"ledger: postgres\n", "importer.yaml:1:9: ledger must be a mapping, with lines of the form key: value"},
		"a mapping for a list":        {edit(t, feed, feed+"    schedule: {a: b}\n"), "importer.yaml:10:5: feeds.acme.schedule must be a text or a list of texts"},
		"a word for a number":         {edit(t, dialer, dialer+"    concurrency: eight\n"), `importer.yaml:6:18: dialers.main.concurrency must be a whole number, not "eight"`},
		"a word for a rate":           {edit(t, dialer, dialer+"    rate: fast\n"), `importer.yaml:6:11: dialers.main.rate must be a number, not "fast"`},
		"a word for a truth":          {edit(t, dialer, dialer+"    allow_http: yes\n"), `importer.yaml:6:17: dialers.main.allow_http must be true or false, not "yes"`},
		"a duration without unit":     {"ledger: {wait: 30}\n", `importer.yaml:1:16: ledger.wait must be a duration such as 500ms, 30s, 6m or 90d, not "30"`},
		"an unset variable":           {"state_dir: a/${IMPORTER_TEST_UNSET}\n", "importer.yaml:1:12: state_dir uses the environment variable IMPORTER_TEST_UNSET, which is not set: set it before you start the importer"},
		"a broken variable":           {"state_dir: a/${b-c}\n", "importer.yaml:1:12: state_dir has a ${ that is no ${NAME}: write $${ for the two characters themselves"},
		"an empty state folder":       {"state_dir: \"\"\n", "importer.yaml:1:12: state_dir is empty: name a folder, such as ./state"},
		"a tilde":                     {"state_dir: ~/importer\n", "importer.yaml:1:12: state_dir begins with ~, which only a shell knows: write ${HOME} instead"},
		"a ledger that is no address": {"ledger: {dsn: db.example.com}\n", "importer.yaml:1:15: ledger.dsn is no PostgreSQL address: write postgres://USER@HOST/DATABASE, or leave it empty for a private PostgreSQL"},
		"a short HMAC key":            {"ledger: {hmac_key: short}\n", "importer.yaml:1:20: ledger.hmac_key has fewer than 32 characters: make one with openssl rand -hex 32"},
		"a size in words":             {"spool: {quota: 20 giga}\n", `importer.yaml:1:16: spool.quota must be a size such as 500MB, 20GB, 64MiB or 1048576, not "20 giga"`},
		"a lease of nothing":          {"ledger: {lease: 0}\n", "importer.yaml:1:17: ledger.lease must be longer than 0"},

		"a dialer's name":              {strings.ReplaceAll(smallest, "main", "ma.in"), `importer.yaml:2:3: the dialer name "ma.in" has characters other than letters, digits, - and _: rename it`},
		"no url":                       {edit(t, "    url: "+url+"\n", ""), "importer.yaml:2:3: dialers.main.url is missing: write https://HOST/vicidial/non_agent_api.php"},
		"a url without scheme":         {edit(t, url, "dialer.example.com/vicidial/non_agent_api.php"), "importer.yaml:3:10: dialers.main.url is no web address: write https://HOST/vicidial/non_agent_api.php"},
		"a url with a password":        {edit(t, "https://", "https://u:hunter2@"), "importer.yaml:3:10: dialers.main.url holds a user or password: move them to user and password"},
		"a url with a query":           {edit(t, url, url+"?source=x"), "importer.yaml:3:10: dialers.main.url has something after the path: remove everything from ? or # on, the importer adds the parameters itself"},
		"plain http":                   {edit(t, "https:", "http:"), "importer.yaml:3:10: dialers.main.url is plain http, which shows passwords and leads to the network: use https, or set allow_http: true"},
		"the Agent API":                {edit(t, "vicidial/non_agent_api.php", "agc/api.php"), "importer.yaml:3:10: dialers.main.url is the Agent API, which drives an agent's screen and cannot add leads: use the Non-Agent API, https://dialer.example.com/vicidial/non_agent_api.php"},
		"another page":                 {edit(t, "vicidial/non_agent_api.php", "vicidial/admin.php"), "importer.yaml:3:10: dialers.main.url does not end in /non_agent_api.php: use the Non-Agent API, usually https://dialer.example.com/vicidial/non_agent_api.php"},
		"no user":                      {edit(t, "    user: importer\n", ""), "importer.yaml:2:3: dialers.main.user is missing: name the dialer's API user"},
		"a user that cannot match":     {edit(t, "user: importer", "user: im.porter"), "importer.yaml:4:11: dialers.main.user has characters other than letters, digits, - and _: the API drops them before it compares, so this user can never match; use one without them"},
		"no password":                  {edit(t, dialer, ""), "importer.yaml:2:3: dialers.main has no password: set password: ${DIALER_PASSWORD} (and that variable), or password_file"},
		"a password that cannot match": {edit(t, "secret-1", "secret!1"), "importer.yaml:5:15: the password of dialers.main has characters other than letters, digits, - and _: the API drops them before it compares, so it can never match; give the API user another one"},
		"two passwords":                {edit(t, dialer, dialer+"    password_file: pw\n"), "importer.yaml:6:20: dialers.main has both password and password_file: keep one of them"},
		"too much concurrency":         {edit(t, dialer, dialer+"    concurrency: 1001\n"), "importer.yaml:6:18: dialers.main.concurrency must be from 1 to 1000"},
		"no concurrency":               {edit(t, dialer, dialer+"    concurrency: 0\n"), "importer.yaml:6:18: dialers.main.concurrency must be from 1 to 1000"},
		"a negative rate":              {edit(t, dialer, dialer+"    rate: -1\n"), "importer.yaml:6:11: dialers.main.rate must be 0 (no limit) or a number of calls per second"},
		"an endless rate":              {edit(t, dialer, dialer+"    rate: inf\n"), "importer.yaml:6:11: dialers.main.rate must be 0 (no limit) or a number of calls per second"},
		"a rate that is none":          {edit(t, dialer, dialer+"    rate: nan\n"), "importer.yaml:6:11: dialers.main.rate must be 0 (no limit) or a number of calls per second"},
		"a negative timeout":           {edit(t, dialer, dialer+"    timeout: -1s\n"), `importer.yaml:6:14: dialers.main.timeout must be a duration such as 500ms, 30s, 6m or 90d, not "-1s"`},
		"an unknown token field":       {edit(t, dialer, dialer+"    token_field: email\n"), "importer.yaml:6:18: dialers.main.token_field must be one of source_id, vendor_lead_code, security_phrase, none"},
		"a source with a dash":         {edit(t, dialer, dialer+"    source: my-importer\n"), "importer.yaml:6:13: dialers.main.source must be 2 to 20 letters and digits: the API drops every other character"},
		"a source of one letter":       {edit(t, dialer, dialer+"    source: i\n"), "importer.yaml:6:13: dialers.main.source must be 2 to 20 letters and digits: the API drops every other character"},

		"a feed's name":               {edit(t, "  acme:", "  ac/me:"), `importer.yaml:7:3: the feed name "ac/me" has characters other than letters, digits, - and _: rename it`},
		"no dialer":                   {edit(t, "    dialer: main\n", ""), "importer.yaml:7:3: feeds.acme.dialer is missing: name one of the dialers"},
		"an unknown dialer":           {edit(t, "dialer: main", "dialer: mian"), "importer.yaml:8:13: feeds.acme.dialer names a dialer that is not under dialers: use one of those (main) or add it"},
		"no list":                     {edit(t, feed, ""), "importer.yaml:7:3: feeds.acme.list_id is missing: write the dialer's list number, {column: HEADER} or {file_name: REGEXP}"},
		"a list of two digits":        {edit(t, "101", "12"), "importer.yaml:9:14: feeds.acme.list_id has fewer than 3 digits, and the dialer would put the leads into list 999 without a word: give the list a number of at least 3 digits"},
		"a list with a zero":          {edit(t, "101", "0101"), "importer.yaml:9:14: feeds.acme.list_id begins with 0, which the dialer drops when it stores the lead: write it without leading zeros"},
		"a list of twenty digits":     {edit(t, "101", "12345678901234567890"), "importer.yaml:9:14: feeds.acme.list_id must be a list number of 3 to 19 digits, {column: HEADER} or {file_name: REGEXP}"},
		"a list with a name":          {edit(t, "101", "new"), "importer.yaml:9:14: feeds.acme.list_id must be a list number of 3 to 19 digits, {column: HEADER} or {file_name: REGEXP}"},
		"two ways to the list":        {edit(t, "101", `{column: List, file_name: '(\d+)'}`), "importer.yaml:9:5: feeds.acme.list_id has both column and file_name: keep one of them"},
		"a broken expression":         {edit(t, "101", `{file_name: '(\d+'}`), `importer.yaml:9:26: feeds.acme.list_id.file_name is no regular expression: correct it, for example '_(\d+)\.csv$' in single quotes`},
		"an expression without group": {edit(t, "101", `{file_name: '\d+'}`), `importer.yaml:9:26: feeds.acme.list_id.file_name must have exactly one group in parentheses, around the list number, such as '_(\d+)\.csv$'`},
		"a long campaign":             {edit(t, feed, feed+"    campaign_id: ACMEAUTUMN\n"), "importer.yaml:10:18: feeds.acme.campaign_id must be 1 to 8 letters, digits, - or _"},
		"a region in words":           {edit(t, feed, feed+"    region: us\n"), "importer.yaml:10:13: feeds.acme.region must be a country in two capital letters, such as US"},
		"no country":                  {edit(t, feed, feed+"    region: XX\n"), "importer.yaml:10:13: feeds.acme.region is XX, which is no country's code: write two capital letters of ISO 3166, such as US"},
		"a country's usual name":      {edit(t, feed, feed+"    region: UK\n"), "importer.yaml:10:13: feeds.acme.region is UK: write GB, the country's code"},
		"a broken schedule":           {edit(t, feed, feed+pulled+"    schedule: 6 o'clock\n"), `importer.yaml:11:15: feeds.acme.schedule is no cron expression: write minute, hour, day of month, month and day of week, such as "0 6 * * 1-5", or @daily`},
		"a broken second schedule":    {edit(t, feed, feed+pulled+"    schedule: ['@daily', '0 25 * * *']\n"), `importer.yaml:11:26: feeds.acme.schedule[1] is no cron expression: write minute, hour, day of month, month and day of week, such as "0 6 * * 1-5", or @daily`},
		"a day that never comes":      {edit(t, feed, feed+pulled+"    schedule: 0 6 30 2 *\n"), "importer.yaml:11:15: feeds.acme.schedule never comes: correct its day or month"},
		"a zone in the schedule":      {edit(t, feed, feed+pulled+"    schedule: TZ=UTC 0 6 * * *\n"), "importer.yaml:11:15: feeds.acme.schedule names a time zone: move it to time_zone"},
		"an unknown zone":             {edit(t, feed, feed+"    time_zone: Mars/Base\n"), "importer.yaml:10:16: feeds.acme.time_zone is not known: write a name such as America/New_York, UTC or Local"},
		"a column that is no field":   {edit(t, feed, feed+"    columns: {function: Fn}\n"), `importer.yaml:10:25: feeds.acme.columns names "function", which is no lead field: write FIELD: HEADER with one of comments, first_name, list_id, phone_code, phone_number, security_phrase, source_id, vendor_lead_code`},
		"a column for the list":       {edit(t, feed, feed+"    columns: {list_id: List}\n"), "importer.yaml:10:24: feeds.acme.columns.list_id belongs elsewhere: write list_id: {column: HEADER} in feeds.acme"},
		"a column for the token":      {edit(t, feed, feed+"    columns: {source_id: Src}\n"), "importer.yaml:10:26: feeds.acme.columns.source_id is the field that carries the importer's token: map another field, or set another token_field in dialers.main"},
		"a template with more in it":  {edit(t, feed, feed+"    columns: {comments: {template: '{{if .a}}x{{end}}'}}\n"), `importer.yaml:10:36: feeds.acme.columns.comments.template must be a text with fields in it, such as "{{.first_name}} {{.last_name}}": nothing but {{.NAME}} may stand in braces, where NAME is a lead's field or a header without its blanks`},
		"two origins of a field":      {edit(t, feed, feed+"    columns: {comments: {value: x, template: '{{.a}}'}}\n"), "importer.yaml:10:15: feeds.acme.columns.comments has several of first_of, template and value: keep one of them"},
		"a bad field that is lost":    {edit(t, feed, feed+"    on_bad: {phone_number: drop}\n"), "importer.yaml:10:28: feeds.acme.on_bad.phone_number cannot be drop: no lead is without its phone number"},
		"another order of dates":      {edit(t, feed, feed+"    date_order: ydm\n"), "importer.yaml:10:17: feeds.acme.date_order must be one of mdy, dmy, ymd"},
		"a column without header":     {edit(t, feed, feed+"    columns: {comments: ''}\n"), "importer.yaml:10:25: feeds.acme.columns.comments is empty: write the column's header in the file, or remove the line"},
		"a quote that is none":        {edit(t, feed, feed+"    file: {quote: '`'}\n"), "importer.yaml:10:19: feeds.acme.file.quote must be one of double, single, none"},
		"an unknown character set":    {edit(t, feed, feed+"    file: {encoding: klingon}\n"), `importer.yaml:10:22: feeds.acme.file.encoding: "klingon" is no character set that is known here; usual ones are utf-8, utf-16le, windows-1252, iso-8859-2, macintosh`},
		"a delimiter that is a line":  {edit(t, feed, feed+"    file: {delimiter: \"\\n\"}\n"), `importer.yaml:10:23: feeds.acme.file.delimiter: "\n" cannot be one: write what stands between the cells, such as comma, semicolon, tab or ||`},
		"a header above the file":     {edit(t, feed, feed+"    file: {header_line: -2}\n"), "importer.yaml:10:25: feeds.acme.file.header_line is no line: count from 1, or write 0 to have it found, or -1 for a file without a header"},
		"an identity of nothing":      {edit(t, feed, feed+"    dedupe: {by: []}\n"), "importer.yaml:10:14: feeds.acme.dedupe.by is empty: name at least one lead field, such as phone_number"},
		"an identity by no field":     {edit(t, feed, feed+"    dedupe: {by: [phone]}\n"), "importer.yaml:10:19: feeds.acme.dedupe.by names something that is no lead field: use one of comments, first_name, list_id, phone_code, phone_number, security_phrase, source_id, vendor_lead_code"},
		"an identity by the token":    {edit(t, feed, feed+"    dedupe: {by: source_id}\n"), "importer.yaml:10:18: feeds.acme.dedupe.by names source_id, which carries the importer's token and so differs for every row: use another field"},
		"an identity by one twice":    {edit(t, feed, feed+"    dedupe: {by: [comments, comments]}\n"), "importer.yaml:10:29: feeds.acme.dedupe.by names comments twice: remove one"},
		"an unknown scope":            {edit(t, feed, feed+"    dedupe: {scope: world}\n"), "importer.yaml:10:21: feeds.acme.dedupe.scope must be one of list, campaign, dialer"},
		"a scope without campaign":    {edit(t, feed, feed+"    dedupe: {scope: campaign}\n"), "importer.yaml:10:21: feeds.acme.dedupe.scope is campaign, but the feed has no campaign_id: add it, or use scope list or dialer"},
		"an unknown check":            {edit(t, feed, feed+"    dialer_checks: {duplicate: all}\n"), "importer.yaml:10:32: feeds.acme.dialer_checks.duplicate must be one of off, list, campaign, system"},

		"a shared dialer": {
			twoFeeds("", "    list_id: 102\n    dedupe: {by: vendor_lead_code}\n"),
			"importer.yaml:13:18: feeds.bravo and feeds.acme share the dedupe scope dialer but differ in dedupe.by, so neither would see the other's leads: give both the same fields",
		},
		"a shared campaign": {
			twoFeeds("    campaign_id: C1\n    dedupe: {scope: campaign}\n", "    list_id: 102\n    campaign_id: C1\n    dedupe: {scope: campaign, by: vendor_lead_code}\n"),
			"importer.yaml:16:35: feeds.bravo and feeds.acme share the dedupe scope campaign but differ in dedupe.by, so neither would see the other's leads: give both the same fields",
		},
		"a shared list": {
			twoFeeds("    dedupe: {scope: list}\n", "    list_id: 101\n    dedupe: {scope: list, by: vendor_lead_code}\n"),
			"importer.yaml:14:31: feeds.bravo and feeds.acme share the dedupe scope list but differ in dedupe.by, so neither would see the other's leads: give both the same fields",
		},
		"a list that may be shared": {
			twoFeeds("    dedupe: {scope: list}\n", "    list_id: {column: List}\n    dedupe: {scope: list, by: vendor_lead_code}\n"),
			"importer.yaml:14:31: feeds.bravo and feeds.acme share the dedupe scope list but differ in dedupe.by, so neither would see the other's leads: give both the same fields",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, complaint(t, tc.text))
		})
	}
}

func TestFeedsThatShareNoScopeMayDifferInTheirIdentity(t *testing.T) {
	t.Parallel()
	const feed = "    list_id: 101\n"
	for name, tc := range map[string]struct{ first, second string }{
		"other lists":     {"    dedupe: {scope: list}\n", "    list_id: 102\n    dedupe: {scope: list, by: vendor_lead_code}\n"},
		"other campaigns": {"    campaign_id: C1\n    dedupe: {scope: campaign}\n", "    list_id: 101\n    campaign_id: C2\n    dedupe: {scope: campaign, by: vendor_lead_code}\n"},
		"other scopes":    {"    dedupe: {scope: list}\n", "    list_id: 101\n    dedupe: {scope: dialer, by: vendor_lead_code}\n"},
		"another order":   {"    dedupe: {by: [phone_number, comments]}\n", "    list_id: 101\n    dedupe: {by: [comments, phone_number]}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, edit(t, feed, feed+tc.first)+"  bravo:\n    dialer: main\n"+tc.second)
			require.NoError(t, err)
		})
	}
}

func TestAMissingFileIsExplained(t *testing.T) {
	t.Parallel()
	_, err := config.Load("nowhere/importer.yaml", knowledge)
	require.EqualError(t, err, "nowhere/importer.yaml: there is no such file: copy configs/importer.example.yaml there and edit it, or name yours with --config")
	_, err = config.Load(".", knowledge)
	require.EqualError(t, err, ".: the file cannot be read (is a directory): name a readable file with --config")
}

func TestEveryFormOfAValueIsTaken(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, "\ufeff"+edit(t, "    list_id: 101\n", `    list_id: {file_name: "_(\\d+)\\.csv$"}
    source: {directory: {path: drops, pattern: "*.csv"}}
    schedule: "@every 1s"
    time_zone: America/New_York
    columns: &columns {phone_number: Phone1, first_name: First}
    dedupe: {by: phone_number, scope: dialer, window: 90d}
    dialer_checks: {dnc: false, duplicate: off}
  bravo: &bravo
    dialer: main
    list_id: {column: List}
    region:
    columns: *columns
    dedupe: {by: phone_number, window: 1d12h}
    dialer_checks: {duplicate: "system"}
  charlie:
    <<: *bravo
    list_id: "103"
`))
	require.NoError(t, err)
	acme, bravo, charlie := cfg.Feeds["acme"], cfg.Feeds["bravo"], cfg.Feeds["charlie"]
	require.Equal(t, config.ListID{FileName: `_(\d+)\.csv$`}, acme.ListID)
	require.Equal(t, &config.Directory{Path: filepath.Join(filepath.Dir(cfg.StateDir), "drops"), Pattern: "*.csv"}, acme.Source.Directory)
	require.Equal(t, config.Strings{"@every 1s"}, acme.Schedule)
	require.Equal(t, 90*24*time.Hour, acme.Dedupe.Window.Std())
	require.Equal(t, config.DialerChecks{DNC: false, Duplicate: "off"}, acme.DialerChecks)
	require.Equal(t, config.ListID{Column: "List"}, bravo.ListID)
	require.Equal(t, "US", bravo.Region, "an empty value leaves the default")
	require.Equal(t, acme.Columns, bravo.Columns)
	require.Equal(t, 36*time.Hour, bravo.Dedupe.Window.Std())
	require.Equal(t, config.DialerChecks{DNC: true, Duplicate: "system"}, bravo.DialerChecks)
	require.Equal(t, config.ListID{Number: "103"}, charlie.ListID)
	require.Equal(t, bravo.Dedupe, charlie.Dedupe)
	require.Empty(t, cfg.Warnings)
}

func TestHTTPNeedsLeaveExceptOnLoopback(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1:8080", "localhost", "[::1]:80"} {
		_, err := load(t, edit(t, "https://dialer.example.com", "http://"+host))
		require.NoError(t, err, host)
	}
	_, err := load(t, edit(t, "https://dialer.example.com", "http://10.0.0.5"))
	require.Error(t, err)
	cfg, err := load(t, strings.Replace(edit(t, "https:", "http:"), "    user:", "    allow_http: true\n    user:", 1))
	require.NoError(t, err)
	require.True(t, cfg.Dialers["main"].AllowHTTP)
}

func TestPathsAreCountedFromTheFile(t *testing.T) {
	t.Parallel()
	path := write(t, "importer.yaml", "state_dir: here\nledger: {postgres_bin: /usr/lib/postgresql/17/bin}\n", 0o600)
	cfg, err := config.Load(path, knowledge)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(filepath.Dir(path), "here"), cfg.StateDir)
	require.Equal(t, "/usr/lib/postgresql/17/bin", cfg.Ledger.PostgresBin)
}

func TestAPrivateAuthorityMustBeACertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	withCA := func(content []byte) (*config.Config, error) {
		file := write(t, "ca.pem", string(content), 0o644)
		return load(t, edit(t, "    user: importer\n", "    user: importer\n    ca_file: "+file+"\n"))
	}

	cfg, err := withCA(certificate)
	require.NoError(t, err)
	require.FileExists(t, cfg.Dialers["main"].CAFile)
	_, err = withCA([]byte("nothing"))
	require.ErrorContains(t, err, "holds no certificate: name a PEM file with BEGIN CERTIFICATE lines")
}

func TestTheRedactedConfigurationLoadsAgain(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, strings.Replace(edit(t, "101", `{file_name: '_(\d+)\.csv$'}
    campaign_id: TESTCAMP
    callback: {datetime: {column: When}, user: agent7}`), "password: secret-1", "password: |-\n      secret-1", 1))
	require.NoError(t, err)
	redacted, err := cfg.Redacted()
	require.NoError(t, err)

	again, err := load(t, strings.Replace(string(redacted), `"[redacted]"`, "secret-1", 1))
	require.NoError(t, err)
	// An empty mapping or list is rendered for one that was not given.
	acme := again.Feeds["acme"]
	acme.Columns, acme.Schedule, acme.CustomFields, acme.AltPhones, acme.DialerChecks.Phone, acme.OnBad = nil, nil, nil, nil, nil, nil
	acme.Blackouts, acme.Holidays, acme.Notify, again.Notify = nil, nil, nil, nil
	again.Feeds["acme"] = acme
	require.Equal(t, cfg, again)
}

func TestWhatGoesWithALeadIsCheckedAllAtOnce(t *testing.T) {
	t.Parallel()
	require.Equal(t, `importer.yaml:10:5: feeds.acme.callback needs the feed's campaign_id: without it the dialer puts the lead on hold and schedules no callback
importer.yaml:10:26: feeds.acme.callback.datetime must be {column: HEADER}, NOW or a number of days such as 3DAYS
importer.yaml:10:42: feeds.acme.callback.user must be {column: HEADER} or an agent's user name of 1 to 20 letters, digits, - and _
importer.yaml:10:57: feeds.acme.callback.status must be 1 to 6 letters, digits, - or _
importer.yaml:11:28: feeds.acme.columns.first_name and feeds.acme.custom_fields.color name the same header "Name": remove one
importer.yaml:11:44: feeds.acme.custom_fields names "comments", which is a field of every lead: map it in columns
importer.yaml:11:60: feeds.acme.custom_fields names "function", which can be no custom field: use the label that the dialer has for it, made of letters, digits and _, and none of the API's own parameters
importer.yaml:11:69: feeds.acme.custom_fields.size is empty: write the column's header in the file, or remove the line
importer.yaml:13:24: feeds.acme.custom_fields.comments and feeds.acme.alt_phones[1] name the same header "Note": remove one
importer.yaml:14:24: feeds.acme.hopper.priority must be from -99 to 99
importer.yaml:15:48: feeds.acme.dialer_checks.dnc_area_code widens dnc, which is off: set dnc: true, or remove it
importer.yaml:15:70: feeds.acme.dialer_checks.duplicate_days must be one of 0, 1, 2, 3, 7, 14, 15, 21, 28, 30, 60, 90, 180, 360: the API ignores any other number
importer.yaml:15:88: feeds.acme.dialer_checks.phone[1] must be one of prefix, area_code, nanpa`,
		complaint(t, smallest+`    callback: {datetime: tomorrow, user: "a b", status: "7 days"}
    custom_fields: {color: Name, comments: Note, function: F, size: ""}
    columns: {first_name: Name}
    alt_phones: [Work, Note]
    hopper: {priority: 100}
    dialer_checks: {dnc: false, dnc_area_code: true, duplicate_days: 5, phone: [nanpa, all]}
`))
	require.Equal(t, `importer.yaml:11:5: feeds.acme.callback.datetime is missing: write {column: HEADER}, NOW or a number of days such as 3DAYS
importer.yaml:12:37: feeds.acme.dialer_checks.duplicate_days narrows duplicate, which is off: set duplicate, or remove it`,
		complaint(t, smallest+`    campaign_id: TESTCAMP
    callback: {comments: hello}
    dialer_checks: {duplicate_days: 30}
`))
}

// FuzzLoad: whatever the file holds, there is a configuration or an error.
func FuzzLoad(f *testing.F) {
	f.Add(smallest)
	f.Add("feeds: {a: &a {<<: *a}}")
	f.Add("dialers: &d\n  main: &m {url: x}\n  other:\n    <<: *m\n")
	f.Add("spool: {quota: 1e3GB}\nfeeds: {a: {source: {sftp: {fingerprint: x, port: 0}, https: {headers: {a: {}}}}}}")
	f.Add("feeds:\n  a:\n    schedule: ['@every 1s', *b]\n    dedupe: {by: [!!str x]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := load(t, text)
		require.NotEqual(t, cfg == nil, err == nil)
	})
}
