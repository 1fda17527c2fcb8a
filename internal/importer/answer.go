package importer

import (
	"time"

	"importer/internal/lead"
)

// Reason is a row's reason code; docs/reasons.md lists them all.
type Reason = lead.Reason

// Verdict is what one add_lead call's answer means for its row. The zero
// value is the careful one: nothing is known.
type Verdict int

// The verdicts.
const (
	// VerdictUnknown: the lead may or may not be in, now or later. Only a
	// lookup may decide.
	VerdictUnknown Verdict = iota
	// VerdictAdded: the API's own SUCCESS line, with our phone and our list.
	VerdictAdded
	// VerdictRejected: the dialer refused this lead for good; the row's fault.
	VerdictRejected
	// VerdictDuplicate: the dialer's own duplicate check refused it.
	VerdictDuplicate
	// VerdictRetry: provably not sent, or sent and not run; the same lead may
	// be sent again.
	VerdictRetry
	// VerdictStop: the run's fault (login, permission, address, list): nothing
	// was added and every further call would fail the same way.
	VerdictStop
)

// Answer is what became of one add_lead call.
type Answer struct {
	Verdict     Verdict
	Reason      Reason        // VerdictAdded: what was asked for with the lead and not confirmed, the gravest; empty: nothing
	LeadID      int64         // VerdictAdded: the dialer's id of the new lead
	DuplicateOf int64         // VerdictDuplicate: the lead it collided with, 0 when not told
	Notes       []string      // what else the dialer said, without people's data
	Written     bool          // some byte of the request may have left this process
	Foreign     bool          // a complete answer that is not the Non-Agent API's
	RetryAfter  time.Duration // VerdictRetry: the server asked for this pause, 0 when it did not
	Alarm       bool          // VerdictUnknown: it spoke of somebody else's lead, a person must hear of it
	// Err explains every verdict but VerdictAdded in one sentence without
	// secrets or people's data.
	Err error
}

// Call is one add_lead call.
type Call struct {
	Lead       lead.Lead
	Token      string // goes into the dialer's token field; empty: none
	TokenField string // source_id, vendor_lead_code, security_phrase, or empty
	// Duplicate is the dialer-side duplicate check: "", DUPLIST, DUPCAMP or DUPSYS.
	Duplicate string
	// DuplicateDays narrows it to leads entered within so many days; 0: of any age.
	DuplicateDays int
	DNC           bool     // ask the dialer's DNC lists, the campaign's too where there is one
	DNCAreaCode   bool     // ask them for the number's area code too
	Campaign      string   // of the list; a callback needs it; empty: none
	PhoneChecks   []string // of North American numbers: prefix, area_code, nanpa
	Hopper        *Hopper  // nil: the lead is not put into the hopper
}

// Hopper says how a lead is put into the hopper.
type Hopper struct {
	Priority      int
	LocalCallTime bool // only within the campaign's call times where the lead is
}
