package dialersim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultInfo is one fault of the catalogue.
type FaultInfo struct {
	Name  string
	Says  string // what it does, in one sentence
	Value string // what its value means and its default; empty where it takes none
}

// kind is a fault of the catalogue.
type kind struct {
	FaultInfo

	functions []string // it is a fault of; nil: of all
	make      func(value string) (func(*hit) Fault, error)
}

// Faults is the catalogue.
func Faults() []FaultInfo {
	all := make([]FaultInfo, len(catalogue))
	for i := range catalogue {
		all[i] = catalogue[i].FaultInfo
	}
	return all
}

func kindOf(name string) (*kind, bool) {
	i := slices.IndexFunc(catalogue, func(k kind) bool { return k.Name == name })
	if i < 0 {
		return nil, false
	}
	return &catalogue[i], true
}

func faultNames() []string {
	names := make([]string, len(catalogue))
	for i := range catalogue {
		names[i] = catalogue[i].Name
	}
	return names
}

var (
	adds    = []string{"add_lead"}
	inserts = []string{"add_lead", "update_lead"}
	reads   = []string{"lead_search", "lead_field_info", "lead_all_info", "update_lead"}
	search  = []string{"lead_search"}
)

var catalogue = slices.Concat(connectionFaults, answerFaults, databaseFaults)

// connectionFaults: the answer never comes, or late.
var connectionFaults = []kind{
	{FaultInfo{"lost-request", "The connection is closed, and nothing is carried out.", ""}, nil, always(before(drop))},
	{FaultInfo{"lost-answer", "The request is carried out, then the connection is closed without an answer.", ""}, nil, always(after(drop))},
	{FaultInfo{"reset-request", "The connection is reset, and nothing is carried out.", ""}, nil, always(before(reset))},
	{FaultInfo{"reset-answer", "The request is carried out, then the connection is reset in the middle of the answer.", ""}, nil, always(after(resetHalfway))},
	{
		FaultInfo{"stall-before", "Nothing is carried out and nothing answered, until the connection is closed after this time.", "a duration, else 5m"},
		nil,
		given("5m", time.ParseDuration, func(_ *hit, d time.Duration) Fault { return Fault{Skip: true, Hold: d, Answer: drop} }),
	},
	{
		FaultInfo{"stall-after", "The request is carried out but not answered, until the connection is closed after this time.", "a duration, else 5m"},
		nil,
		given("5m", time.ParseDuration, func(_ *hit, d time.Duration) Fault { return Fault{Hold: d, Answer: drop} }),
	},
	{
		FaultInfo{"slow", "The request is carried out and answered only after this time, though the client may be gone by then.", "a duration, else 5s"},
		nil,
		given("5s", time.ParseDuration, func(_ *hit, d time.Duration) Fault { return Fault{Delay: d} }),
	},
	{
		FaultInfo{"late", "The connection is closed without an answer, and the request is carried out so much later.", "a duration, else 10s"},
		nil,
		given("10s", positive, func(_ *hit, d time.Duration) Fault { return Fault{Late: d, Answer: drop} }),
	},
	{
		FaultInfo{"trickle", "The answer comes byte by byte, each so long after the one before.", "a duration, else 1s"},
		nil,
		given("1s", time.ParseDuration, func(_ *hit, d time.Duration) Fault { return after(func(r *Response) { r.Pace = d }) }),
	},
	{
		FaultInfo{"truncated", "The request is carried out, and its answer breaks off after so many bytes.", "a number of bytes, else by chance"},
		nil,
		given("-1", strconv.Atoi, func(h *hit, n int) Fault { return after(truncated(n, h.chance)) }),
	},
	{
		FaultInfo{"length-long", "The Content-Length announces so many bytes more than come.", "a number of bytes, else 10"},
		nil,
		given("10", atLeastOne, func(_ *hit, n int) Fault { return after(func(r *Response) { r.Misstate = n }) }),
	},
	{
		FaultInfo{"length-short", "The Content-Length announces so many bytes fewer than come.", "a number of bytes, else 10"},
		nil,
		given("10", atLeastOne, func(_ *hit, n int) Fault { return after(func(r *Response) { r.Misstate = -n }) }),
	},
	{
		FaultInfo{"huge", "The request is carried out and answered by so many blanks.", "a size, else 1GB"},
		nil,
		given("1GB", size, func(_ *hit, n int64) Fault { return after(func(r *Response) { r.Blanks = n }) }),
	},
	{
		FaultInfo{"bomb", "As huge, but zipped to a thousandth, whether that was asked for or not.", "a size, else 1GB"},
		nil,
		given("1GB", size, func(_ *hit, n int64) Fault {
			return after(func(r *Response) { r.Blanks, r.Header["Content-Encoding"] = n, gzipped })
		}),
	},
}

// answerFaults: an answer comes, but not the dialer's own.
var answerFaults = []kind{
	{
		FaultInfo{"error-before", "A 5xx status with nothing of the API in it, and nothing is carried out.", "a status, else 502"},
		nil,
		given("502", statusOf(500, 502, 503, 504), func(_ *hit, status int) Fault { return before(failure(status)) }),
	},
	{
		FaultInfo{"error-after", "The request is carried out, and then a 5xx status with nothing of the API in it.", "a status, else 502"},
		nil,
		given("502", statusOf(500, 502, 503, 504), func(_ *hit, status int) Fault { return after(failure(status)) }),
	},
	{
		FaultInfo{"busy", "A 429 with this Retry-After, and nothing is carried out.", "seconds, a date, or nonsense, else 1"},
		nil,
		given("1", verbatim, func(_ *hit, wait string) Fault { return before(busy(wait)) }),
	},
	{
		FaultInfo{"redirect", "A redirect to another page of this server, and nothing is carried out.", "a status, else 302"},
		nil,
		given("302", statusOf(301, 302, 303, 307, 308), func(_ *hit, status int) Fault { return before(redirect(status)) }),
	},
	{FaultInfo{"page-before", "An HTML page with status 200, and nothing is carried out.", ""}, nil, always(before(proxyPage))},
	{FaultInfo{"page-after", "The request is carried out and answered by an HTML page with status 200.", ""}, nil, always(after(proxyPage))},
	{FaultInfo{"fatal-before", "PHP's fatal error with status 200, and nothing is carried out.", ""}, nil, always(before(fatal))},
	{FaultInfo{"fatal-after", "The request is carried out and answered by PHP's fatal error with status 200.", ""}, nil, always(after(fatal))},
	{FaultInfo{"empty-before", "An empty 200, and nothing is carried out.", ""}, nil, always(before(empty))},
	{FaultInfo{"empty-after", "The request is carried out and answered by an empty 200; of lead_field_info that is an empty field.", ""}, nil, always(after(empty))},
	{FaultInfo{"warnings", "Warnings of PHP stand before and behind the answer.", ""}, nil, always(after(warned))},
	{FaultInfo{"notices", "NOTICE lines stand before and behind the answer.", ""}, adds, always(after(noticed))},
	{FaultInfo{"alt-phone", "An alternate number stands behind the answer, glued in front of its NOTICE.", ""}, adds, always(after(glued))},
	{FaultInfo{"other-phone", "The lead is added, and SUCCESS names another phone number.", ""}, adds, always(after(misnamed(0)))},
	{FaultInfo{"other-list", "The lead is added, and SUCCESS names another list.", ""}, adds, always(after(misnamed(1)))},
	{FaultInfo{"lookup-error", "An ERROR line that is none of the API's.", ""}, reads, given("", verbatim, func(h *hit, _ string) Fault { return before(unknownError(h.request)) })},
	{FaultInfo{"lookup-mixed", "Each number is credited with the leads of the number asked before it, too.", ""}, search, always(after(mixed))},
}

// databaseFaults: the dialer's own answers to what is wrong with its database
// or its users.
var databaseFaults = []kind{
	{FaultInfo{"wrong-password", "The user's password was changed: the login is refused, and counted.", ""}, nil, always(set(func(s *Settings) { s.PasswordChanged = true }))},
	{FaultInfo{"locked-account", "The user is locked, as after ten failed logins.", ""}, nil, always(set(func(s *Settings) { s.AccountLocked = true }))},
	{
		FaultInfo{"connect-error", "The database refuses connections, and PHP below 8.1 says so with status 200.", "the database's text, else Too many connections"},
		nil,
		given("Too many connections", verbatim, func(_ *hit, why string) Fault {
			return set(func(s *Settings) { s.PHP, s.ConnectError = PHP80, why })
		}),
	},
	{FaultInfo{"early-500", "The database refuses connections, and PHP 8.1 ends in an empty 500 before anything is run.", ""}, nil, always(set(func(s *Settings) { s.PHP, s.ConnectError = PHP81, "Too many connections" }))},
	{
		FaultInfo{"insert-fails", "The INSERT of the lead fails.", phpValue},
		inserts,
		given("", phpOf, func(_ *hit, php *PHP) Fault {
			return set(func(s *Settings) { s.InsertFails = true }).and(running(php))
		}),
	},
	{
		FaultInfo{"log-fails", "The API's log cannot be written: PHP 8.1 answers 500 with the answer line in it, and the lead is in.", phpValue},
		nil,
		given("", phpOf, func(_ *hit, php *PHP) Fault {
			return set(func(s *Settings) { s.LogFails = true }).and(running(php))
		}),
	},
	{FaultInfo{"lookup-fails", "The query of a lookup fails: an empty 500.", ""}, reads, always(set(func(s *Settings) { s.PHP, s.LookupsFail = PHP81, true }))},
	{FaultInfo{"lookup-lies", "The query of a lookup fails, and PHP 7 takes it for no rows: NO MATCHES FOUND, LEAD NOT FOUND.", ""}, reads, always(set(func(s *Settings) { s.PHP, s.LookupsFail = PHP7, true }))},
	{
		FaultInfo{"lookup-short", "A search finds the newest leads only; numbers with older ones count 0.", "a number of leads, else 1"},
		search,
		given("1", atLeastOne, func(_ *hit, n int) Fault { return set(func(s *Settings) { s.MaxRecords = n }) }),
	},
	{
		FaultInfo{"blocked-table", "A long statement locks the lead table for this time: inserts and updates wait, lookups answer.", untilValue},
		nil,
		given("0s", time.ParseDuration, func(h *hit, d time.Duration) Fault {
			h.d.blockFor(h.lasts(d), h.over)
			return Fault{}
		}),
	},
	{
		FaultInfo{"frozen-database", "The database stands still for this time: every request waits, and is then carried out.", untilValue},
		nil,
		given("0s", time.ParseDuration, func(h *hit, d time.Duration) Fault {
			h.d.freezeFor(h.lasts(d), h.over)
			return Fault{}
		}),
	},
}

const (
	phpValue   = "the PHP (8.1, 8.0 or 7), else the dialer's"
	untilValue = "a duration, else until the rule ends or the dialer is healed"
)

// lasts is how long a state lasts that the rule's value, or else its end, bounds.
func (h *hit) lasts(value time.Duration) time.Duration {
	if value > 0 {
		return value
	}
	return h.left
}

func always(f Fault) func(string) (func(*hit) Fault, error) {
	return func(string) (func(*hit) Fault, error) { return func(*hit) Fault { return f }, nil }
}

// given makes a fault of its value, or of the standard one.
func given[T any](standard string, parse func(string) (T, error), use func(*hit, T) Fault) func(string) (func(*hit) Fault, error) {
	return func(value string) (func(*hit) Fault, error) {
		if value == "" {
			value = standard
		}
		v, err := parse(value)
		return func(h *hit) Fault { return use(h, v) }, err
	}
}

func before(answer func(*Response)) Fault { return Fault{Skip: true, Answer: answer} }
func after(answer func(*Response)) Fault  { return Fault{Answer: answer} }
func set(change func(*Settings)) Fault    { return Fault{Settings: change} }

func verbatim(s string) (string, error) { return s, nil }

func positive(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil && d <= 0 {
		err = fmt.Errorf("%s is not more than 0", s)
	}
	return d, err
}

func atLeastOne(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && n < 1 {
		err = fmt.Errorf("%d is less than 1", n)
	}
	return n, err
}

// size reads a number of bytes such as 512MB.
func size(s string) (int64, error) {
	factor := int64(1)
	for suffix, f := range map[string]int64{"kB": 1e3, "MB": 1e6, "GB": 1e9} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, factor = rest, f
		}
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err == nil && n < 1 {
		err = fmt.Errorf("%d is less than 1", n)
	}
	return n * factor, err
}

func statusOf(allowed ...int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err == nil && !slices.Contains(allowed, n) {
			err = fmt.Errorf("%d is none of %v", n, allowed)
		}
		return n, err
	}
}

// phpOf reads a PHP; nil for the dialer's own.
func phpOf(s string) (*PHP, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no PHP of its own is no error
	}
	i := slices.Index([]string{PHP81: "8.1", PHP80: "8.0", PHP7: "7"}, s)
	if i < 0 {
		return nil, fmt.Errorf("there is no PHP %q here", s)
	}
	php := PHP(i)
	return &php, nil
}

func running(php *PHP) Fault {
	if php == nil {
		return Fault{}
	}
	return set(func(s *Settings) { s.PHP = *php })
}
