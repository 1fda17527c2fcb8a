package nonagent

import "importer/internal/importer"

// Rejected: the dialer, or this package on the dialer's behalf, refused this
// lead for good.
const (
	// ReasonPhoneLength: fewer than 6 or more than 16 digits.
	ReasonPhoneLength importer.Reason = "dialer_phone_length"
	// ReasonPhonePrefix: the dialer's check of the fourth digit (US, Canada).
	ReasonPhonePrefix importer.Reason = "dialer_phone_prefix"
	// ReasonPhoneAreaCode: the dialer does not know the area code.
	ReasonPhoneAreaCode importer.Reason = "dialer_phone_area_code"
	// ReasonPhoneNANPA: the dialer's NANPA table lacks this area code and prefix.
	ReasonPhoneNANPA importer.Reason = "dialer_phone_nanpa"
	// ReasonDNC: the number is on the dialer's do-not-call list.
	ReasonDNC importer.Reason = "dialer_dnc"
	// ReasonCampaignDNC: the number is on the campaign's do-not-call list.
	ReasonCampaignDNC importer.Reason = "dialer_campaign_dnc"
	// ReasonUnsafeText: a field holds a character that the dialer would paste
	// into its SQL (\ " ; #), a control character, or bytes that are no UTF-8.
	ReasonUnsafeText importer.Reason = "unsafe_text"
	// ReasonUnsafePhone: the phone number is not made of digits alone; the
	// dialer keeps commas, and a comma breaks every later lookup.
	ReasonUnsafePhone importer.Reason = "unsafe_phone"
	// ReasonUnsafeList: the list id is not three digits or more; the dialer
	// would silently use list 999.
	ReasonUnsafeList importer.Reason = "unsafe_list"
)

// Refusals lists the reasons with which a lead is rejected.
func Refusals() []importer.Reason {
	return []importer.Reason{
		ReasonPhoneLength, ReasonPhonePrefix, ReasonPhoneAreaCode, ReasonPhoneNANPA, ReasonDNC, ReasonCampaignDNC,
		ReasonUnsafeText, ReasonUnsafePhone, ReasonUnsafeList,
	}
}

// ReasonDialerDuplicate means that the dialer's own duplicate check found the
// number.
const ReasonDialerDuplicate = importer.ReasonDialerDuplicate

// Stop: every further call would fail the same way, and nothing was added.
const (
	// ReasonLoginRefused: unknown user, wrong password, inactive user, or a
	// user level below 7.
	ReasonLoginRefused importer.Reason = "login_refused"
	// ReasonTwoFactor: two-factor login is on and the API user is not exempt.
	ReasonTwoFactor importer.Reason = "login_two_factor"
	// ReasonLoginLocked: ten failed logins; the right password is refused too.
	ReasonLoginLocked importer.Reason = "login_locked"
	// ReasonIPNotAllowed: the user group's API IP list lacks this machine.
	ReasonIPNotAllowed importer.Reason = "ip_not_allowed"
	// ReasonUserGroupMissing: the API user's group does not exist.
	ReasonUserGroupMissing importer.Reason = "user_group_missing"
	// ReasonSourceRefused: the source parameter has fewer than two letters or digits.
	ReasonSourceRefused importer.Reason = "source_refused"
	// ReasonFunctionNotAllowed: the user's allowed API functions lack this one.
	ReasonFunctionNotAllowed importer.Reason = "function_not_allowed"
	// ReasonNotPermitted: the user's rights (level, modify leads or lists, API
	// access, view reports) do not reach for this function.
	ReasonNotPermitted importer.Reason = "not_permitted"
	// ReasonListNotAllowed: the list belongs to none of the user group's campaigns.
	ReasonListNotAllowed importer.Reason = "list_not_allowed"
	// ReasonListNotDefined: the dialer has no such list.
	ReasonListNotDefined importer.Reason = "list_not_defined"
	// ReasonFunctionUnknown: the server does not know the function: an Agent
	// API, or a dialer too old for it.
	ReasonFunctionUnknown importer.Reason = "function_unknown"
	// ReasonNotTheAPI: something answered that is not the Non-Agent API: a login
	// page, the Agent API, a redirect, a 404.
	ReasonNotTheAPI = importer.ReasonNotTheAPI
	// ReasonAccessDenied: the web server in front wants credentials of its own
	// (401, 407) or forbids the address (403).
	ReasonAccessDenied importer.Reason = "access_denied"
	// ReasonTLSFailed: the server's certificate was not believed, or no TLS
	// connection came about.
	ReasonTLSFailed importer.Reason = "tls_failed"
	// ReasonBadCall: the call itself was malformed (a field, option or
	// campaign that this package does not send).
	ReasonBadCall importer.Reason = "bad_call"
)

// Retry: provably not sent, or sent and not run.
const (
	// ReasonNotSent: no byte of the request left: the name was not found, the
	// connection was refused or never came about, or time ran out before.
	ReasonNotSent importer.Reason = "not_sent"
	// ReasonDatabaseDown: the dialer's web server could not reach its database.
	ReasonDatabaseDown importer.Reason = "dialer_database_down"
	// ReasonDialerBusy: the server asked for fewer calls (429).
	ReasonDialerBusy importer.Reason = "dialer_busy"
	// ReasonInsertFailed: the dialer says that its INSERT failed: a locked,
	// crashed or read-only table, or text that its SQL cannot hold.
	ReasonInsertFailed importer.Reason = "insert_failed"
)

// Unknown: the lead may be in, now or later.
const (
	// ReasonNoAnswer: sent at least in part, and no answer came.
	ReasonNoAnswer importer.Reason = "no_answer"
	// ReasonAnswerIncomplete: the answer broke off before its end.
	ReasonAnswerIncomplete importer.Reason = "answer_incomplete"
	// ReasonAnswerUnrecognised: the answer is none of the known lines.
	ReasonAnswerUnrecognised importer.Reason = "answer_unrecognised"
	// ReasonAnswerMismatch: the answer speaks of another number, list or lead
	// than the one asked about.
	ReasonAnswerMismatch importer.Reason = "answer_mismatch"
	// ReasonServerError: a 5xx without a known line.
	ReasonServerError importer.Reason = "server_error"
)

// Lookups only.
const (
	// ReasonNotFound: the dialer has no such lead, campaign or store.
	ReasonNotFound importer.Reason = "not_found"
	// ReasonInconclusive: an answer that decides nothing: incomplete, at its
	// cap, or contradicting itself.
	ReasonInconclusive importer.Reason = "inconclusive"
)
