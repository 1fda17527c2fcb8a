package importer

import "time"

// StateReason is what rows are counted by.
type StateReason struct {
	State  State
	Reason Reason
}

// Counts says how many rows stand where, and why.
type Counts map[StateReason]int

// Rows is the number of rows counted.
func (c Counts) Rows() int {
	n := 0
	for _, k := range c {
		n += k
	}
	return n
}

// Outcome counts the rows with one outcome.
func (c Counts) Outcome(o Outcome) int {
	n := 0
	for sr, k := range c {
		if sr.State.Outcome() == o {
			n += k
		}
	}
	return n
}

// Add adds another count to this one.
func (c Counts) Add(other Counts) {
	for sr, k := range other {
		c[sr] += k
	}
}

// Summary is what a run did.
type Summary struct {
	Run     int64
	Feed    string
	Drops   []DropSummary
	Files   int // that were taken from the feed's source
	Known   int // files that a backfill had not to take, since they are imported
	Calls   int // add_lead calls made by this run
	Seconds float64
	// Alarms are things that a person must hear of: two leads with our token,
	// answers for somebody else's lead.
	Alarms []string
	// Doubtful: answers were lost of rows that have ended. They were looked at
	// again, and should be once more when some time has passed.
	Doubtful bool
	// Why is what ended the run before it had done all it could, in one
	// sentence, and Stopped its reason code if the dialer was the cause.
	Why     string
	Stopped Reason
}

// DropSummary is how a drop stands at the end of a run.
type DropSummary struct {
	Drop    Drop
	Already bool   // the drop was done before this run, at Drop.Finished
	As      string // the name under which it came again; empty: its own
	Counts  Counts
}

// Counts adds up the run's drops.
func (s Summary) Counts() Counts {
	sum := Counts{}
	for _, d := range s.Drops {
		sum.Add(d.Counts)
	}
	return sum
}

// Outcomes counts the run's rows by final outcome, each outcome present.
func (s Summary) Outcomes() map[Outcome]int {
	c, m := s.Counts(), map[Outcome]int{}
	for _, o := range Outcomes() {
		m[o] = c.Outcome(o)
	}
	return m
}

// Pending counts the rows that have no outcome yet.
func (s Summary) Pending() int { return s.Counts().Outcome(OutcomePending) }

// Held tells whether a drop waits for a person.
func (s Summary) Held() bool {
	for _, d := range s.Drops {
		if d.Drop.State == DropHeld {
			return true
		}
	}
	return false
}

// NeedsPerson tells whether somebody should look although the run is over:
// errors, reviews, alarms, held drops, rows that wait for an answer, leads that
// lack what no later run will bring, or a drop of which nothing could be used.
func (s Summary) NeedsPerson() bool {
	c := s.Counts()
	lacking := c[StateReason{Succeeded, ReasonCallbackRefused}] + c[StateReason{Succeeded, ReasonCustomFieldsMissing}]
	return lacking > 0 || c.Outcome(OutcomeError) > 0 || c.Outcome(OutcomeReview) > 0 || c.Outcome(OutcomePending) > 0 ||
		len(s.Alarms) > 0 || s.Held() ||
		(c.Rows() > 0 && c.Outcome(OutcomeInvalid) == c.Rows())
}

// Took is the run's duration.
func (s Summary) Took() time.Duration { return time.Duration(s.Seconds * float64(time.Second)) }

// RunInfo is what the ledger says of a run afterwards.
type RunInfo struct {
	ID       int64
	Feed     string
	Kind     string
	Started  time.Time
	Finished time.Time // zero: it is still going, or it was killed
	Going    bool      // it may still be at work: somebody works on a drop of its feed, or it has not begun one
	Calls    int
	Seconds  float64
	Error    string
	Alarms   []string
	Drops    []DropSummary
}

// Counts adds up the run's drops.
func (r RunInfo) Counts() Counts { return Summary{Drops: r.Drops}.Counts() }

// Reject is a row that a person may want to correct.
type Reject struct {
	Drop    Drop
	Record  int
	Line    int
	Cells   []string // as the vendor sent them
	Text    string   // of the whole record, where it had to be repaired or could not be read
	Outcome Outcome
	Reason  Reason
	Note    string
}

// Changed counts the rows to which one thing was done before they were sent or
// refused.
type Changed struct {
	Field string `json:"field"`
	Why   string `json:"why"`
	Rows  int    `json:"rows"`
}

// DropInfo is what the ledger says of a drop afterwards.
type DropInfo struct {
	Drop   Drop
	Counts Counts
	Files  []FileInfo // that it came in, in the order in which they were taken; none for an imported file
}

// FileInfo is what the ledger says of a file that was taken from a source.
type FileInfo struct {
	ID    int64     `json:"file"` // its number, which may stand in the names of what is put away
	Place string    `json:"place"`
	Path  string    `json:"path"` // at its place
	Taken time.Time `json:"taken"`
	Ended time.Time `json:"ended,omitzero"` // when nothing was left to be done with it at its place
	Gone  bool      `json:"gone"`           // it is not there any more
}
