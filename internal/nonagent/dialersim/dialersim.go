// Package dialersim simulates a VICIdial dialer: an http.Handler that answers
// the Non-Agent API as revision 3884 (build 241004-1518) was measured to,
// including what it silently does to a lead's text, where it lies, and how it
// fails. testdata/transcripts.txt holds the recordings that it is tested
// against; what is not in them is marked "not recorded".
package dialersim

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// PHP is the dialer's PHP, which decides what a failed SQL statement does.
type PHP int

// The three behaviours met in the field.
const (
	PHP81 PHP = iota // 8.1 and newer: every failed statement ends the script with a 500
	PHP80            // a failed INSERT goes on with its error line, a failed SELECT ends in a 500
	PHP7             // 7 and older: a failed SELECT reads as "no rows"
)

// Settings is what an operator switches or a database does while the dialer runs.
type Settings struct {
	PHP          PHP
	UseNonLatin  bool     // VICIdial's use_non_latin: false deletes accents from names
	CustomFields bool     // custom fields are enabled in the system settings
	TwoFactor    bool     // two-factor login system-wide
	NANPA        []string // loaded area code + prefix, six digits each; under ten, the check is skipped
	ConnectError string   // not empty: the database refuses connections with this text
	InsertFails  bool     // lead INSERTs fail: table missing, read-only server, killed connection
	LogFails     bool     // the API's own log table cannot be written
	LookupsFail  bool     // leads cannot be read: a crashed table, a killed connection
	MaxRecords   int      // not 0: a search reads so many leads at most, whatever it is told
	// PasswordChanged refuses every user's password, and AccountLocked every
	// user, as after ten failures.
	PasswordChanged, AccountLocked bool
}

// Options says what the dialer is made of. The zero value is a working dialer
// whose user "importer" has an empty password, and so cannot log in.
type Options struct {
	Address   string     // where Start listens; default: a free port of 127.0.0.1
	Password  string     // of the user "importer", where Users is empty
	Users     []User     // default: one APIUser named "importer"
	Groups    []Group    // default: ADMIN, which may use every campaign
	Campaigns []Campaign // default: TESTCAMP
	Lists     []List     // default: 101 and 102 of TESTCAMP
	Settings  Settings

	// Workers is the most requests served at once, as Apache's
	// MaxRequestWorkers; further ones queue. Default 150.
	Workers int
	// Latency is the time that every request takes at least. An add_lead waits
	// between its duplicate check and its INSERT, which is where it races.
	Latency time.Duration
	Now     func() time.Time     // the web server's clock; default time.Now
	Fault   func(*Request) Fault // see SetFault
	Control bool                 // serve ControlPath
}

// Campaign is one dialling campaign.
type Campaign struct {
	ID, Name    string
	CallTime    string // a call time id such as 9am-9pm, which is the default
	UseOtherDNC string // the campaign whose DNC list is asked instead of its own
}

// List is one defined list.
type List struct {
	ID           uint64
	Name         string
	Campaign     string
	Inactive     bool
	CustomFields []string // nil: no custom table; empty: a table without fields
}

// Dialer is the simulated dialer. All methods may be called while it serves.
type Dialer struct {
	settings atomic.Pointer[Settings]
	fault    atomic.Pointer[func(*Request) Fault]
	rules    atomic.Pointer[ruleset]
	blocked  atomic.Pointer[func()] // releases Block's lock
	blocking atomic.Bool            // blockFor's lock is on, or queues up
	frozen   atomic.Pointer[chan struct{}]
	latency  time.Duration
	now      func() time.Time
	control  bool
	// campaigns never change.
	campaigns []Campaign

	desk  desk
	table table

	mu        sync.RWMutex // guards what follows
	accounts  map[string]*account
	groups    map[string]Group
	lists     []List
	dnc       map[dncEntry]bool
	hopper    []hopperEntry
	hopperID  int
	callbacks []Callback
	altPhones []AltPhone
	custom    map[int64]map[string]string // by lead

	hitsMu sync.Mutex
	hits   map[string]int // by fault
}

// New makes a dialer that has no leads.
func New(o Options) *Dialer {
	if len(o.Users) == 0 {
		o.Users = []User{APIUser("importer", o.Password)}
	}
	if len(o.Groups) == 0 {
		o.Groups = []Group{{ID: "ADMIN"}}
	}
	if len(o.Campaigns) == 0 {
		o.Campaigns = []Campaign{{ID: "TESTCAMP", Name: "Test campaign"}}
	}
	if len(o.Lists) == 0 {
		o.Lists = []List{
			{ID: 101, Name: "Test list 101", Campaign: "TESTCAMP"},
			{ID: 102, Name: "Test list 102", Campaign: "TESTCAMP"},
		}
	}
	if o.Workers == 0 {
		o.Workers = 150
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Dialer{
		latency:   o.Latency,
		now:       o.Now,
		control:   o.Control,
		desk:      newDesk(o.Workers),
		table:     newTable(),
		accounts:  map[string]*account{},
		groups:    map[string]Group{},
		campaigns: slices.Clone(o.Campaigns),
		lists:     slices.Clone(o.Lists),
		dnc:       map[dncEntry]bool{},
		custom:    map[int64]map[string]string{},
		hits:      map[string]int{},
	}
	d.settings.Store(&o.Settings)
	d.SetFault(o.Fault)
	for _, u := range o.Users {
		d.SetUser(u)
	}
	for _, g := range o.Groups {
		d.SetGroup(g)
	}
	return d
}

// Configure changes the settings of the running dialer. Requests that are
// being served keep those they started with.
func (d *Dialer) Configure(change func(*Settings)) {
	for {
		old := d.settings.Load()
		changed := *old
		change(&changed)
		if d.settings.CompareAndSwap(old, &changed) {
			return
		}
	}
}

// SetUser adds a user, or replaces the one of that name; failed logins are forgotten.
func (d *Dialer) SetUser(u User) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accounts[strings.ToLower(u.Name)] = &account{User: u}
}

// SetGroup adds a user group, or replaces the one of that id.
func (d *Dialer) SetGroup(g Group) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups[g.ID] = g
}

// SetList defines a list, or replaces the one of that id.
func (d *Dialer) SetList(l List) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.IndexFunc(d.lists, func(have List) bool { return have.ID == l.ID }); i >= 0 {
		d.lists[i] = l
		return
	}
	d.lists = append(d.lists, l)
}

// AddLead puts a lead into the table as if it had always been there: it is no
// entry of Inserts. It waits while the table is blocked. Columns go by their
// names in vicidial_list; list_id and phone_number should be given, status
// defaults to NEW. Returns the lead id.
func (d *Dialer) AddLead(entered time.Time, columns map[string]string) int64 {
	var v values
	v[colStatus] = "NEW"
	v[colEntryList] = "0"
	for name, value := range columns {
		if i, ok := columnIndex[name]; ok {
			v[i] = value
		}
	}
	d.table.enter(d.desk.stopped)
	defer d.table.leave()
	return d.table.insert(number(columns["list_id"]), entered, &v, false)
}

// SetNextLeadID makes the next lead's id at least id.
func (d *Dialer) SetNextLeadID(id int64) { d.table.setNext(id) }

// Len is the number of leads.
func (d *Dialer) Len() int { return d.table.len() }

// Lead is the lead of that id; false when there is none.
func (d *Dialer) Lead(id int64) (Lead, bool) { return d.table.lead(id) }

// Leads is every lead, by ascending id.
func (d *Dialer) Leads() []Lead { return d.table.leads() }

// Inserts is every INSERT that a request executed, in the order of execution,
// whatever became of the lead or of the request's answer.
func (d *Dialer) Inserts() []Insert { return d.table.inserts() }

// CustomValues is what the custom table holds for a lead.
func (d *Dialer) CustomValues(leadID int64) map[string]string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return maps.Clone(d.custom[leadID])
}

// Callbacks is every scheduled callback, in order.
func (d *Dialer) Callbacks() []Callback {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.callbacks)
}

// AltPhones is every alternate number loaded, in order.
func (d *Dialer) AltPhones() []AltPhone {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.altPhones)
}

// Calls counts the requests that arrived for a function, refused logins
// included; "" counts those of all functions.
func (d *Dialer) Calls(function string) int {
	return d.desk.read(function, func(g *gauge) int { return g.calls })
}

// InFlight is the number of requests in service now, abandoned ones included.
func (d *Dialer) InFlight(function string) int {
	return d.desk.read(function, func(g *gauge) int { return g.now })
}

// MaxInFlight is the highest InFlight ever seen.
func (d *Dialer) MaxInFlight(function string) int {
	return d.desk.read(function, func(g *gauge) int { return g.max })
}

func (d *Dialer) list(id uint64) (List, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, l := range d.lists {
		if l.ID == id {
			return l, true
		}
	}
	return List{}, false
}

func (d *Dialer) campaign(id string) (Campaign, bool) {
	for _, c := range d.campaigns {
		if strings.EqualFold(c.ID, id) {
			return c, true
		}
	}
	return Campaign{}, false
}

// listsOf is the set of a campaign's lists.
func (d *Dialer) listsOf(campaign string) map[uint64]bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	set := map[uint64]bool{}
	for _, l := range d.lists {
		if l.Campaign == campaign {
			set[l.ID] = true
		}
	}
	return set
}
