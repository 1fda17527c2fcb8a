package model_test

// The protocol's times, in ticks of the model's clock.
const (
	sendWithin = 3 // an armed row's call begins before this, or never
	timeout    = 3 // a call without an answer is given up after this
	quiescence = 6 // an abandoned call reaches the lead table by then, or never
	leaseFor   = 4 // a drop's lease without renewal
)

// The protocol's counts, small so that a short schedule reaches them.
const (
	slotsEach   = 2 // calls in flight of one process, the abandoned ones included
	maxAttempts = 3 // attempts that may have reached the dialer
	maxAsks     = 3 // questions after the quiescence before a person is asked
)

// bug is a rule of the protocol that a copy of the model breaks. A model that
// finds nothing proves something only if it finds these.
type bug int

const (
	noBug bug = iota

	sendBeforeCommit     // the call is made while its arming is still being committed
	settleWithoutCompare // a settlement ignores the row's state and attempt
	resendWithoutBarrier // absence is believed without an answered write
	claimNotReleased     // a row that ends without a lead keeps its claim
	twoArmers            // arming ignores who holds the drop and how the row stands

	armNotDurable        // arming does not wait for the disk
	noQuiescence         // absence is believed while the call may still take effect
	anyWriteIsABarrier   // a write that began too early counts as the barrier
	noControlNumber      // a search that found nothing at all is believed
	noPhoneLock          // two calls for one number may be in flight
	noDeadlineCheck      // an armed row is sent however late it is
	lostCallFreesItsSlot // a call without an answer is not counted as in flight
	reviewReleasesClaim  // a row that a person must look at gives its claim away
	noAudit              // nobody looks for doubles afterwards

	firstBug = sendBeforeCommit
	lastBug  = noAudit
)

func (b bug) String() string {
	return map[bug]string{
		noBug:                "no bug",
		sendBeforeCommit:     "send before commit",
		settleWithoutCompare: "settle without compare-and-set",
		resendWithoutBarrier: "resend without the barrier",
		claimNotReleased:     "claim not released",
		twoArmers:            "two armers",
		armNotDurable:        "arming not durable",
		noQuiescence:         "no quiescence",
		anyWriteIsABarrier:   "any write is a barrier",
		noControlNumber:      "no control number",
		noPhoneLock:          "no phone lock",
		noDeadlineCheck:      "no deadline check",
		lostCallFreesItsSlot: "a lost call frees its slot",
		reviewReleasesClaim:  "review releases the claim",
		noAudit:              "no audit",
	}[b]
}
