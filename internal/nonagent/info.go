package nonagent

import (
	"context"
	"errors"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"
)

// Version is what the dialer says about itself.
type Version struct {
	Version  string
	Build    string        // date and time as YYMMDD-HHMM
	Time     time.Time     // the web server's clock, to the second
	TimeZone string        // its offset from UTC in hours without summer time, such as -5.00
	Offset   string        // its offset now
	Latency  time.Duration // of this call
	// Connect is how long the network took to set up the call's connection: one
	// way there and back. 0: an open one was used again.
	Connect time.Duration
	// Answer is how long the first byte of the answer was waited for once the
	// request was out: one way there and back, and the dialer's own time.
	Answer time.Duration
}

// Version asks for the API's version. The dialer does not look at the login
// for this, so none is sent and nothing about it is proven.
func (c *Client) Version(ctx context.Context) (Version, error) {
	f := &form{}
	f.add("function", "version")
	f.add("source", c.source)
	var w stopwatch
	started := time.Now()
	rows, _, err := c.ask(httptrace.WithClientTrace(ctx, w.trace()), "version", f)
	if err != nil {
		return Version{}, err
	}
	v := Version{Latency: time.Since(started)}
	v.Connect, v.Answer = w.read()
	values := map[string]string{}
	if len(rows) == 1 {
		for cell := range strings.SplitSeq(rows[0], "|") {
			key, value, _ := strings.Cut(cell, ": ")
			values[key] = value
		}
	}
	v.Version, v.Build, v.TimeZone, v.Offset = values["VERSION"], values["BUILD"], values["TZ"], values["TZNOW"]
	epoch, err := strconv.ParseInt(strings.TrimSpace(values["EPOCH"]), 10, 64)
	if v.Version == "" || v.Build == "" || err != nil {
		return Version{}, &Error{Kind: KindStop, Reason: ReasonNotTheAPI, Host: c.host, text: "what answers is not the Non-Agent API: the url is usually .../vicidial/non_agent_api.php"}
	}
	if v.TimeZone == "" {
		return Version{}, &Error{Kind: KindStop, Reason: ReasonNotTheAPI, Host: c.host, text: "what answers is the Agent API (/agc/api.php drives an agent's screen) or a dialer from before 2011: use .../vicidial/non_agent_api.php"}
	}
	v.Time = time.Unix(epoch, 0)
	return v, nil
}

// List is one list of the dialer.
type List struct {
	ID         string
	Name       string
	Campaign   string
	Active     bool
	Changed    string // as the dialer writes it, empty when never
	LastCalled string // as the dialer writes it, empty when never
	Expires    string // YYYY-MM-DD
	Leads      int    // all of them
	NewLeads   int    // with status NEW
}

// ListInfo describes one list and counts its leads. Returns an *Error of
// KindNotFound, reason list_not_defined, when there is no such list. It counts
// through the whole list: a third of a second for a million leads.
func (c *Client) ListInfo(ctx context.Context, listID string) (List, error) {
	if !isList(listID) {
		return List{}, c.badCall("a list id has three digits or more")
	}
	f := c.newForm("list_info")
	f.add("list_id", listID)
	f.add("leads_counts", "Y")
	rows, none, err := c.ask(ctx, "list_info", f, "LIST DOES NOT EXIST")
	if err != nil {
		return List{}, err
	}
	if none != "" {
		return List{}, c.notFound(ReasonListNotDefined, "it has no such list: create the list, or correct the list id")
	}
	if len(rows) != 1 {
		return List{}, c.inconclusive("its list_info is not one line")
	}
	cells := strings.Split(rows[0], "|")
	if len(cells) < 10 || len(cells) > 11 || cells[0] != listID {
		return List{}, c.inconclusive("its list_info does not hold what it should")
	}
	l := List{
		ID: cells[0], Name: cells[1], Campaign: cells[2], Active: cells[3] == "Y",
		Changed: cells[4], LastCalled: cells[5], Expires: cells[6],
	}
	var badAll, badNew error
	l.Leads, badAll = strconv.Atoi(cells[8])
	l.NewLeads, badNew = strconv.Atoi(cells[9])
	if errors.Join(badAll, badNew) != nil {
		return List{}, c.inconclusive("its list_info counts no leads")
	}
	return l, nil
}

// Campaign is one campaign of the dialer.
type Campaign struct {
	ID           string
	Name         string
	Active       bool
	UserGroup    string
	DialMethod   string
	DialStatuses string // separated by blanks
}

// CampaignsList lists the campaigns that the API user may see. It is a cheap
// call that proves the login.
func (c *Client) CampaignsList(ctx context.Context) ([]Campaign, error) {
	rows, err := c.table(ctx, "campaigns_list", c.newForm("campaigns_list"), 8, "THIS USER HAS NO VIEWABLE CAMPAIGNS")
	var campaigns []Campaign
	for _, r := range rows {
		campaigns = append(campaigns, Campaign{
			ID: r[0], Name: r[1], Active: r[2] == "Y", UserGroup: r[3], DialMethod: r[4],
			DialStatuses: strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(r[7]), "-")),
		})
	}
	return campaigns, err
}

// HopperLead is one lead that waits to be dialled.
type HopperLead struct {
	Order       int
	Priority    int
	LeadID      int64
	ListID      string
	PhoneNumber string // a person's: never into a log
	PhoneCode   string
	State       string
	Status      string
	Called      int
	Offset      string // hours from UTC
	Source      string // one letter: what put it there
}

// HopperList lists the leads in a campaign's hopper, in the order of dialling.
// Returns an *Error of KindNotFound when there is no such campaign.
func (c *Client) HopperList(ctx context.Context, campaign string) ([]HopperLead, error) {
	if campaign == "" || !only(campaign, isName) {
		return nil, c.badCall("a campaign id is made of letters, digits, - and _")
	}
	f := c.newForm("hopper_list")
	f.add("campaign_id", campaign)
	rows, err := c.table(ctx, "hopper_list", f, 13, "THERE ARE NO LEADS IN THE HOPPER FOR THIS CAMPAIGN")
	if err != nil {
		return nil, err
	}
	var leads []HopperLead
	for _, r := range rows {
		l := HopperLead{ListID: r[3], PhoneNumber: r[4], PhoneCode: r[5], State: r[6], Status: r[7], Offset: r[9], Source: r[12]}
		var badOrder, badPriority, badCalled error
		l.Order, badOrder = strconv.Atoi(r[0])
		l.Priority, badPriority = strconv.Atoi(r[1])
		l.Called, badCalled = strconv.Atoi(r[8])
		id, ok := leadID(r[2])
		if errors.Join(badOrder, badPriority, badCalled) != nil || !ok {
			return nil, c.inconclusive("a line of its hopper_list does not hold what it should")
		}
		l.LeadID = id
		leads = append(leads, l)
	}
	return leads, nil
}

// Sound is one file of the dialer's audio store.
type Sound struct {
	Name     string
	Size     int64  // bytes
	Modified string // in the dialer's own time, as it writes it
}

// SoundsList lists the audio store by name. Returns an *Error of KindNotFound
// when the dialer has no central store. The dialer takes a second for it.
func (c *Client) SoundsList(ctx context.Context) ([]Sound, error) {
	f := c.newForm("sounds_list")
	f.add("format", "tab")
	f.add("stage", "name")
	rows, none, err := c.ask(ctx, "sounds_list", f, "CENTRAL SOUND CONTROL IS NOT ACTIVE", "audio store web directory does not exist")
	if err != nil {
		return nil, err
	}
	if none != "" {
		return nil, c.notFound(ReasonNotFound, "its central audio store is not active, or its folder is missing: see Sounds in its system settings")
	}
	var sounds []Sound
	for _, row := range rows { // number, name, date, size, and on some dialers more
		cells := strings.Split(row, "\t")
		if len(cells) < 4 {
			return nil, c.inconclusive("a line of its sounds_list does not hold what it should")
		}
		size, err := strconv.ParseInt(cells[3], 10, 64)
		if err != nil {
			return nil, c.inconclusive("a line of its sounds_list does not hold what it should")
		}
		sounds = append(sounds, Sound{Name: cells[1], Size: size, Modified: strings.TrimSuffix(cells[2], ".")})
	}
	return sounds, nil
}

// table asks for lines of at least so many cells; none is an empty table.
func (c *Client) table(ctx context.Context, function string, f *form, cells int, nothing string) ([][]string, error) {
	rows, none, err := c.ask(ctx, function, f, nothing, "THIS CAMPAIGN DOES NOT EXIST")
	if err != nil {
		return nil, err
	}
	if none == "THIS CAMPAIGN DOES NOT EXIST" {
		return nil, c.notFound(ReasonNotFound, "it has no such campaign")
	}
	table := make([][]string, 0, len(rows))
	for _, row := range rows {
		r := strings.Split(row, "|")
		if len(r) < cells {
			return nil, c.inconclusive("a line of its " + function + " does not hold what it should")
		}
		table = append(table, r)
	}
	return table, nil
}
