// Package config reads, checks, explains and redacts the configuration file.
//
// The types say what may stand in the file; configs/importer.example.yaml
// explains every key with its unit, its default and its reason.
package config

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// Config is a checked configuration: every path in it is absolute, every
// default is filled in, and every password file has been read.
type Config struct {
	StateDir string            `yaml:"state_dir" jsonschema_description:"Folder for what the importer keeps: the embedded ledger, spooled files and the key of the dedupe identities. Back it up."`
	Ledger   Ledger            `yaml:"ledger" jsonschema_description:"The PostgreSQL database that remembers every row's fate."`
	Spool    Spool             `yaml:"spool" jsonschema_description:"The copies of pulled files, from which rows are read, in state_dir."`
	Serve    Serve             `yaml:"serve" jsonschema_description:"How importer serve works."`
	Dialers  map[string]Dialer `yaml:"dialers" jsonschema_description:"The VICIdial installations, by a name of your choice."`
	Notify   map[string]Target `yaml:"notify" jsonschema_description:"Whom importer serve can tell of a run or a late drop, by a name of your choice; each feed says which of them hear what."`
	Feeds    map[string]Feed   `yaml:"feeds" jsonschema_description:"The streams of files, by a name of your choice."`

	// Warnings are what a person should know although the file can be used.
	Warnings []Problem `yaml:"-"`

	// Lacks are the variables and files that are not there, by what cannot be used
	// without them: the source (feeds.NAME.source) or the PGP key (feeds.NAME.pgp)
	// of a feed, a target (notify.NAME), or a dialer (dialers.NAME).
	Lacks map[string]*Problems `yaml:"-"`
}

// Lacking lists what all of Lacks hold, in the order of the file.
func (c *Config) Lacking() []Problem {
	var all []Problem
	for _, lacks := range c.Lacks {
		all = append(all, lacks.List...)
	}
	sortByPlace(all)
	return all
}

// Ledger says where the ledger is and how it is treated.
type Ledger struct {
	DSN         Secret   `yaml:"dsn" jsonschema_description:"PostgreSQL address, such as postgres://importer:${LEDGER_PASSWORD}@db.example.com/importer. Empty: a private PostgreSQL in state_dir."`
	Wait        Duration `yaml:"wait" jsonschema_description:"How long a run waits for a ledger that went away before it stops."`
	Lease       Duration `yaml:"lease" jsonschema_description:"How long after an importer vanished its drop may be taken over by another."`
	PostgresBin string   `yaml:"postgres_bin" jsonschema_description:"Folder with initdb and postgres for the private PostgreSQL. Empty: found on this machine."`
	HMACKey     Secret   `yaml:"hmac_key" jsonschema_description:"Key of the dedupe identities, at least 32 characters, the same for all importers that share a ledger. Empty: a key file in state_dir, made on first use."`
}

// Spool says how much of the disk the copies of pulled files may take.
type Spool struct {
	Quota    Size `yaml:"quota" jsonschema_description:"Most that the spool may hold, such as 20GB; 0: no limit."`
	KeepFree Size `yaml:"keep_free" jsonschema_description:"What is left free on its disk, such as 500MB; 0: nothing."`
}

// Dialer is one VICIdial installation behind one Non-Agent API address.
type Dialer struct {
	URL          string   `yaml:"url" jsonschema:"required" jsonschema_description:"Address of the Non-Agent API: https://HOST/vicidial/non_agent_api.php"`
	User         string   `yaml:"user" jsonschema:"required" jsonschema_description:"API user: letters, digits, - and _."`
	Password     Secret   `yaml:"password" jsonschema_description:"The API user's password: letters, digits, - and _. Use ${NAME} to take it from the environment."`
	PasswordFile string   `yaml:"password_file" jsonschema_description:"File that holds the password instead; only its owner may read it (mode 0600)."`
	Concurrency  int      `yaml:"concurrency" jsonschema:"minimum=1,maximum=1000" jsonschema_description:"Calls in flight, across everything that shares this dialer."`
	Rate         float64  `yaml:"rate" jsonschema:"minimum=0" jsonschema_description:"Calls per second; 0: no limit."`
	Timeout      Duration `yaml:"timeout" jsonschema_description:"Limit for one whole call."`
	Quiescence   Duration `yaml:"quiescence" jsonschema_description:"How long a call whose answer was lost may still take effect at the dialer."`
	SendWithin   Duration `yaml:"send_within" jsonschema_description:"How long a row that was made ready may wait for its call before it is put back."`
	StopAfter    Duration `yaml:"stop_after" jsonschema_description:"How long a failing dialer is waited for before the run stops."`
	AllowHTTP    bool     `yaml:"allow_http" jsonschema_description:"Accept plain http; loopback addresses need no leave."`
	CAFile       string   `yaml:"ca_file" jsonschema_description:"PEM file with the private certificate authority that signed the dialer's certificate. Empty: the system's authorities."`
	NonLatin     bool     `yaml:"non_latin" jsonschema_description:"The dialer runs with use_non_latin=1: letters of every script are kept."`
	TokenField   string   `yaml:"token_field" jsonschema:"enum=source_id,enum=vendor_lead_code,enum=security_phrase,enum=none" jsonschema_description:"Lead field that carries the importer's token, by which a lead is recognised after a lost answer; none: such rows end in REVIEW."`
	Source       string   `yaml:"source" jsonschema:"pattern=^[0-9A-Za-z]{2\\,20}$" jsonschema_description:"The API's source parameter, shown in the dialer's API log: 2 to 20 letters and digits."`
}

// Feed is one configured stream of files.
type Feed struct {
	Dialer            string            `yaml:"dialer" jsonschema:"required" jsonschema_description:"Name of the dialer that the leads go to."`
	ListID            ListID            `yaml:"list_id" jsonschema:"required" jsonschema_description:"The dialer's list: a number, {column: HEADER} to read it from each row, or {file_name: REGEXP} with one group to read it from the file's name."`
	CampaignID        string            `yaml:"campaign_id" jsonschema:"maxLength=8" jsonschema_description:"Campaign of the list; needed for dedupe scope campaign, and for callbacks, and lets dialer_checks.dnc ask the campaign's DNC list too."`
	Region            string            `yaml:"region" jsonschema:"pattern=^[A-Z]{2}$" jsonschema_description:"Country by whose rules a phone number without a country code is read, as two capital letters."`
	PGPKeyFile        string            `yaml:"pgp_key_file" jsonschema_description:"File with the private PGP key that the vendor encrypts for; only its owner may read it (mode 0600)."`
	PGPPassphrase     Secret            `yaml:"pgp_passphrase" jsonschema_description:"Passphrase of that key. Use ${NAME} to take it from the environment."`
	PGPPassphraseFile string            `yaml:"pgp_passphrase_file" jsonschema_description:"File that holds the passphrase instead; only its owner may read it (mode 0600)."`
	Source            Source            `yaml:"source,omitempty" jsonschema_description:"Where files are pulled from; not needed for importer import."`
	Schedule          Strings           `yaml:"schedule" jsonschema_description:"When importer serve pulls: one cron expression or a list, such as 0 6 * * 1-5."`
	TimeZone          string            `yaml:"time_zone" jsonschema_description:"Zone of the schedule, such as America/New_York; Local: this machine's."`
	CatchUp           Duration          `yaml:"catch_up" jsonschema_description:"How late a slot of the schedule that was missed may still run; 0: never."`
	Overlap           string            `yaml:"overlap" jsonschema:"enum=skip,enum=queue" jsonschema_description:"What becomes of a slot while the feed's run before it is still going: skip (left out) or queue (it runs when that has ended)."`
	Blackouts         Strings           `yaml:"blackouts" jsonschema_description:"Times of day, such as 22:00-06:00, in which no slot runs."`
	Holidays          Strings           `yaml:"holidays" jsonschema_description:"Days, such as 2026-12-25, on which no slot runs."`
	ExpectBy          string            `yaml:"expect_by" jsonschema_description:"Time of day, such as 07:30, by which a drop must have come, or the feed is late; empty: nothing is expected. Needs a schedule."`
	Notify            map[string]string `yaml:"notify" jsonschema_description:"Name under notify: always (told of each run and of a late drop), trouble (of a run that needs a person, and of a late drop) or late (only of a late drop)."`
	Columns           map[string]Column `yaml:"columns" jsonschema_description:"Lead field: header in the file. Usual headers are recognised without it. Without a column of its own: {value: TEXT}, {template: TEXT} or {first_of: [HEADER, HEADER]}."`
	CustomFields      map[string]Column `yaml:"custom_fields" jsonschema_description:"The list's custom fields. Label in the dialer: header in the file, or what columns take."`
	DateOrder         string            `yaml:"date_order" jsonschema:"enum=,enum=mdy,enum=dmy,enum=ymd" jsonschema_description:"How the feed writes dates that could be read in several ways: mdy, dmy or ymd. Empty: what other dates of the column show, or the usage of the region."`
	CalmCapitals      bool              `yaml:"calm_capitals" jsonschema_description:"Write names and addresses that are all in capitals as people write them."`
	OnBad             map[string]string `yaml:"on_bad" jsonschema_description:"Lead field: drop (leave out what cannot be stored, noted on the row; the default) or invalid (refuse the row). A bad phone_number is always refused."`
	OnHeader          string            `yaml:"on_header_change" jsonschema:"enum=stop,enum=warn" jsonschema_description:"What to do with a file that lacks a column which was used in the feed's last file: stop (hold it, a person decides) or warn."`
	AltPhones         Strings           `yaml:"alt_phones" jsonschema_description:"Headers of columns with further phone numbers, in the order in which they are dialled. The header is the number's note."`
	Hopper            Hopper            `yaml:"hopper" jsonschema_description:"Whether new leads are put into the hopper at once."`
	Callback          *Callback         `yaml:"callback,omitempty" jsonschema_description:"Schedules a callback for each row that has a time for it. Needs campaign_id."`
	File              File              `yaml:"file" jsonschema_description:"How a file is read; what is not set is found out from each file."`
	Dedupe            Dedupe            `yaml:"dedupe" jsonschema_description:"When a lead counts as loaded before."`
	Expect            Expect            `yaml:"expect" jsonschema_description:"What a file must be like to be imported without a person having looked."`
	DialerChecks      DialerChecks      `yaml:"dialer_checks" jsonschema_description:"Checks that the dialer is asked to make for each lead."`
}

// File says how a feed's files are read, where they do not tell it themselves.
type File struct {
	Encoding   string `yaml:"encoding" jsonschema_description:"Character set, such as utf-8, utf-16le, windows-1252, iso-8859-2, macintosh."`
	Delimiter  string `yaml:"delimiter" jsonschema:"maxLength=9" jsonschema_description:"What stands between cells: itself, or comma, semicolon, tab, pipe, space, caret, colon."`
	Quote      string `yaml:"quote" jsonschema:"enum=,enum=double,enum=single,enum=none" jsonschema_description:"What stands around cells."`
	Escape     string `yaml:"escape" jsonschema:"enum=,enum=doubled,enum=backslash,enum=none" jsonschema_description:"How a quote within quotes is written."`
	RecordEnd  string `yaml:"record_end" jsonschema:"enum=,enum=lf,enum=crlf,enum=cr,enum=mixed" jsonschema_description:"What ends a record."`
	HeaderLine int    `yaml:"header_line" jsonschema:"minimum=-1" jsonschema_description:"The header's line; 0: it is found; -1: the file has none."`
}

// Dedupe says when two rows are the same lead.
type Dedupe struct {
	By     Strings  `yaml:"by" jsonschema_description:"Lead fields that make a lead the same lead; a phone_number counts with its phone_code."`
	Scope  string   `yaml:"scope" jsonschema:"enum=list,enum=campaign,enum=dialer" jsonschema_description:"Where it may be only once; feeds that share a scope must share by."`
	Window Duration `yaml:"window" jsonschema_description:"For how long, such as 90d; 0: for ever."`
}

// Hopper says whether and how leads are put into the hopper, from which the
// dialer takes the next numbers to call.
type Hopper struct {
	Add           bool `yaml:"add" jsonschema_description:"Put each new lead into the hopper: it is called within minutes. Rows with a callback are not."`
	Priority      int  `yaml:"priority" jsonschema:"minimum=-99,maximum=99" jsonschema_description:"Higher goes first, from -99 to 99."`
	LocalCallTime bool `yaml:"local_call_time" jsonschema_description:"Only within the campaign's call times where the lead is."`
}

// Callback says where the callbacks of a feed's rows come from.
type Callback struct {
	Datetime Value  `yaml:"datetime" jsonschema:"required" jsonschema_description:"When: {column: HEADER} with a date and time in the dialer's own time, NOW, or a number of days such as 3DAYS. A row with an empty cell gets no callback."`
	User     Value  `yaml:"user" jsonschema_description:"The agent who shall call: {column: HEADER} or a user name. Empty: anyone."`
	Comments Value  `yaml:"comments" jsonschema_description:"Told to the agent: {column: HEADER} or a text."`
	Status   string `yaml:"status" jsonschema:"pattern=^[-_0-9A-Za-z]{1\\,6}$" jsonschema_description:"Status that the lead gets when the callback is due."`
}

// DialerChecks are made by the dialer, for each lead.
type DialerChecks struct {
	DNC           bool    `yaml:"dnc" jsonschema_description:"Refuse numbers on the dialer's do-not-call lists."`
	DNCAreaCode   bool    `yaml:"dnc_area_code" jsonschema_description:"Refuse also numbers whose whole area code is on those lists, as 305XXXXXXX."`
	Duplicate     string  `yaml:"duplicate" jsonschema:"enum=off,enum=list,enum=campaign,enum=system" jsonschema_description:"Refuse numbers that the dialer has in this list, in this list's campaign, or anywhere."`
	DuplicateDays int     `yaml:"duplicate_days" jsonschema:"enum=0,enum=1,enum=2,enum=3,enum=7,enum=14,enum=15,enum=21,enum=28,enum=30,enum=60,enum=90,enum=180,enum=360" jsonschema_description:"Only where that lead was entered within so many days; 0: whenever."`
	Phone         Strings `yaml:"phone" jsonschema_description:"Checks of North American numbers: prefix (fourth digit not 0 or 1), area_code (known to the dialer), nanpa (area code and prefix in its NANPA table)."`
}

func (c *Config) setDefaults() {
	c.StateDir = "./state"
	c.Ledger.setDefaults()
	c.Spool.setDefaults()
	c.Serve.setDefaults()
}

func (l *Ledger) setDefaults() {
	l.Wait = 10 * minute
	l.Lease = 15 * second
}

func (s *Spool) setDefaults() { s.KeepFree = 500 * megabyte }

func (d *Dialer) setDefaults() {
	d.Concurrency = 8
	d.Timeout = 30 * second
	d.Quiescence = 6 * minute
	d.SendWithin = 20 * second
	d.StopAfter = 10 * minute
	d.TokenField = "source_id"
	d.Source = "importer"
}

// DefaultRegion is the region of a feed that names none.
const DefaultRegion = "US"

func (f *Feed) setDefaults() {
	f.Region = DefaultRegion
	f.TimeZone = "Local"
	f.CatchUp = 12 * hour
	f.Overlap = "skip"
	f.OnHeader = "stop"
	f.Source.setDefaults()
	f.Hopper.setDefaults()
	f.Dedupe.setDefaults()
	f.DialerChecks.setDefaults()
}

func (h *Hopper) setDefaults() { h.LocalCallTime = true }

func (c *Callback) setDefaults() { c.Status = "CALLBK" }

func (f *File) setDefaults() { f.HeaderLine = 0 }

func (d *Dedupe) setDefaults() {
	d.By = Strings{"phone_number"}
	d.Scope = "dialer"
}

func (c *DialerChecks) setDefaults() {
	c.DNC = true
	c.Duplicate = "off"
}

// Redacted renders the configuration in force as YAML, secrets hidden.
func (c *Config) Redacted() ([]byte, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("render the configuration: %w", err)
	}
	return text, nil
}
