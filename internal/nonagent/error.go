package nonagent

import (
	"fmt"

	"importer/internal/importer"
)

// Kind says what a failed question to the dialer calls for.
type Kind int

// The kinds. None of them ever means "absent".
const (
	// KindTransient: no usable answer came; the same question may be asked again.
	KindTransient Kind = iota
	// KindInconclusive: an answer came that decides nothing.
	KindInconclusive
	// KindNotFound: the dialer says that what was asked about does not exist,
	// or does not exist for this user.
	KindNotFound
	// KindStop: login, permission or address: every call would fail this way.
	KindStop
)

// Error is why the dialer did not give what was asked of it. Its text is one
// sentence without passwords, phone numbers, names or anything else that came
// out of the answer.
type Error struct {
	Kind   Kind // of a lookup's error; an importer.Answer has its Verdict
	Reason importer.Reason
	Host   string // host:port of the dialer; empty where no dialer was asked

	text  string
	busy  bool  // the dialer may still be at work on the call
	cause error // the caller's own context error, or nil
}

// Error returns the sentence.
func (e *Error) Error() string {
	if e.Host == "" {
		return e.text
	}
	return "dialer " + e.Host + ": " + e.text
}

// Unwrap returns the caller's context error when that ended the call.
func (e *Error) Unwrap() error { return e.cause }

// finding is a verdict with its reason and its sentence, before it becomes an
// importer.Answer or an *Error.
type finding struct {
	verdict importer.Verdict
	reason  importer.Reason
	text    string
	foreign bool  // a complete answer that is not the Non-Agent API's
	busy    bool  // the dialer may still be at work on the call
	cause   error // the caller's context error, or nil
}

func found(v importer.Verdict, r importer.Reason, format string, args ...any) finding {
	return finding{verdict: v, reason: r, text: fmt.Sprintf(format, args...)}
}

// asError turns a finding into the error of a lookup.
func (f finding) asError(host string) *Error {
	kind := KindTransient
	switch {
	case f.verdict == importer.VerdictStop:
		kind = KindStop
	case f.reason == ReasonNotFound:
		kind = KindNotFound
	case f.reason == ReasonInconclusive, f.reason == ReasonAnswerUnrecognised, f.reason == ReasonAnswerIncomplete, f.reason == ReasonAnswerMismatch:
		kind = KindInconclusive
	}
	return &Error{Kind: kind, Reason: f.reason, Host: host, text: f.text, busy: f.busy, cause: f.cause}
}

// asAnswer turns a finding into the answer of an add_lead call.
func (f finding) asAnswer(host string) importer.Answer {
	if f.verdict == importer.VerdictUnknown {
		f.text += ": what became of the lead must be looked up"
	}
	return importer.Answer{
		Verdict: f.verdict,
		Reason:  f.reason,
		Foreign: f.foreign,
		Alarm:   f.reason == ReasonAnswerMismatch,
		Err:     f.asError(host),
	}
}

// Final implements importer.LookupError: nothing that this user asks at this
// address will be answered. A missing right is another matter: it is one
// function's.
func (e *Error) Final() (importer.Reason, bool) {
	switch e.Reason {
	case ReasonLoginRefused, ReasonTwoFactor, ReasonLoginLocked, ReasonIPNotAllowed, ReasonUserGroupMissing,
		ReasonAccessDenied, ReasonTLSFailed, ReasonNotTheAPI:
		return e.Reason, e.Kind == KindStop
	default:
		return "", false
	}
}

// Over implements importer.LookupError. A gateway that gives up (502, 504) says
// nothing about the dialer behind it.
func (e *Error) Over() bool { return !e.busy }

// Answered implements importer.LookupError. A page that somebody puts before a
// dialer is none of its answers.
func (e *Error) Answered() bool {
	return e.Kind == KindNotFound || e.Kind == KindStop || e.Reason == ReasonInconclusive
}

var _ importer.LookupError = (*Error)(nil)
