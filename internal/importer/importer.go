// Package importer is the subject of this program: how a run carries a feed's
// drops to the dialer so that every row is accounted for and no lead is added
// twice. It declares the small interfaces that it needs of the other rooms.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"importer/internal/lead"
)

// Feed is what a run must know of a feed.
type Feed struct {
	Name     string
	Dialer   string // the dialer's name in the configuration; part of every claim
	Campaign string
	By       []string // the fields that make a lead's identity
	Scope    string   // list, campaign or dialer
	Window   time.Duration
	// What the dialer is asked to check and to do with each lead, see Call.
	DNC           bool
	DNCAreaCode   bool
	Duplicate     string
	DuplicateDays int
	PhoneChecks   []string
	Hopper        *Hopper
	// OnHeaderChange is stop or warn, see checkHeader.
	OnHeaderChange string
	Expect         Expect
	AtMost         int // files taken in a run, 0: no limit
	// Settings identifies everything that decides how a file becomes leads. A
	// drop none of whose rows has reached the dialer is recorded afresh when
	// it has changed, so that a corrected configuration takes effect.
	Settings string
}

// Limits are a dialer's and the ledger's bounds.
type Limits struct {
	Concurrency int           // calls in flight, across everything that shares the dialer
	Share       int           // of these, the most that this importer asks for; 0: all
	Yields      bool          // it makes way for importers that do not, see SlotWant
	Rate        float64       // calls per second, 0: no limit
	Timeout     time.Duration // of a whole call
	SendWithin  time.Duration // how long an armed row may wait for its call to begin
	Quiescence  time.Duration // how long an abandoned call may still take effect
	GiveUp      time.Duration // a dialer that is not well for this long stops the run
	LedgerWait  time.Duration // how long a lost ledger is waited for
	Lease       time.Duration // after which a vanished importer's drop may be taken over
	TokenField  string        // where leads carry their token; empty: nowhere
}

// Incoming is a spooled drop that a run shall import.
type Incoming struct {
	Drop  Drop                   // Feed, Dialer, Name, SHA256, Bytes
	Rules lead.Rules             // how this drop's rows become leads
	Open  func() (Reader, error) // starts reading from the first row
}

// Reader reads a drop's rows. Open may be called again to start anew.
type Reader interface {
	Rows
	Header() []string // the vendor's names of the columns
	Fields() []string // what each column is read as, empty for one that is not used
	// Dates are the orders in which the drop's columns write dates, by field,
	// as its rows show.
	Dates() map[string]lead.DateOrder
	// Changed compares the drop's columns with those of an earlier one of its
	// feed, whose columns were read as fields: a sentence without its end, empty
	// when they are the same, and whether what was read then is missing now.
	Changed(header, fields []string) (what string, lost bool)
	Outside() Outside // after io.EOF: lines that held no record
	io.Closer
}

// HoldError is returned by Incoming.Open for a drop that a person must decide
// upon: nothing of it is recorded.
type HoldError struct{ Why string }

func (e *HoldError) Error() string { return e.Why }

// Ledger is what a run needs of the ledger.
type Ledger interface {
	Runs
	Drops
	Files
	Claims
	Attempts
	Retries
	Audits
	Slots
}

// Dialer is what a run needs of a dialer.
type Dialer interface {
	Sender
	Lookup
}

// Watcher is told how a run proceeds, from several goroutines at once.
type Watcher interface {
	Recorded(rows int) // rows were read and recorded
	// Settled: rows got their outcome. One that is opened again, since a retry or
	// the claim of a row that came to nothing gives it another chance, is told once
	// more when it has its new one.
	Settled(how StateReason, rows int)
	Waiting(why string) // nothing moves now, and why; empty: it goes on
}

// Begun is a run that was begun elsewhere, or by somebody who has died.
type Begun struct {
	Run, Holder int64
	Continued   bool // somebody else has carried it before
	Deaths      int  // how many of those who carried it have vanished without leaving it
}

// Importer carries feeds' drops to one dialer.
type Importer struct {
	Ledger Ledger
	Dialer Dialer
	// DialerKey names the dialer's address: whoever shares it shares its limit.
	DialerKey string
	Keys      Keyring
	Limits    Limits
	NoWait    bool  // leave rows whose answers were lost to a later reconcile
	Again     bool  // drops that were held are imported, since a person has looked at them
	Begun     Begun // the run that is carried; zero: a new one begins
	Watcher   Watcher
	Log       *slog.Logger
	// Clock runs on while the machine is suspended. Only differences count.
	Clock func() time.Duration
	// DropDone is called when a drop's file is needed no more: every row has its
	// outcome, or it could not be read at all. It is called again if that was
	// not remembered, and must be harmless to repeat.
	DropDone func(ctx context.Context, d Drop) error
	// Reopen finds an unfinished drop's file again. It returns an error that
	// wraps fs.ErrNotExist when there is none any more.
	Reopen func(d Drop) (Incoming, error)
}

// StopError is the run's fault, not a row's: nothing more was sent, the rows
// stay pending, and the feed's next start goes on.
type StopError struct {
	Reason Reason
	Err    error
}

func (e *StopError) Error() string { return e.Err.Error() }
func (e *StopError) Unwrap() error { return e.Err }

// Run imports drops, then whatever earlier runs of the feed left unfinished.
// The summary is right even when an error is returned.
func (im *Importer) Run(ctx context.Context, feed Feed, kind string, drops []Incoming) (Summary, error) {
	return im.carry(ctx, feed, kind, func(ctx context.Context, r *run) error {
		r.released = im.Again
		var faults error
		for _, in := range drops {
			switch err := r.importDrop(ctx, in); {
			case isFileFault(err):
				faults = errors.Join(faults, err)
			case err != nil:
				return errors.Join(faults, err)
			}
		}
		r.released = false
		more, err := r.resume(ctx, isUnfinished)
		return errors.Join(faults, more, r.stillMissing(), err)
	})
}

// Reconcile settles the rows of a feed whose answers were lost: it asks the
// dialer and sends again what is proven absent. Other pending rows stay.
func (im *Importer) Reconcile(ctx context.Context, feed Feed) (Summary, error) {
	return im.carry(ctx, feed, "reconcile", func(ctx context.Context, r *run) error {
		r.onlyLost = true
		faults, err := r.resume(ctx, func(d Drop) bool { return d.State != DropSpooled })
		return errors.Join(faults, r.stillMissing(), err)
	})
}

// run is one pass of one process over a feed's drops.
type run struct {
	*Importer
	feed     Feed
	id       int64
	holder   int64
	line     *line
	onlyLost bool
	released bool // a person has looked at the drops: none is held
	resend   bool // rows that cannot be proven absent are sent again, a person has said so
	summary  Summary
	missing  map[int64]error // of the unfinished drops whose copies are not there
}

func (im *Importer) carry(ctx context.Context, feed Feed, kind string, work func(context.Context, *run) error) (Summary, error) {
	started := time.Now()
	r := &run{Importer: im, feed: feed, missing: map[int64]error{}}
	r.id, r.holder = im.Begun.Run, im.Begun.Holder
	if r.id == 0 {
		err := im.patiently(ctx, func(ctx context.Context) (err error) {
			r.id, r.holder, err = im.Ledger.StartRun(ctx, feed.Name, kind)
			return err
		})
		if err != nil {
			return Summary{Feed: feed.Name}, err
		}
	}
	r.summary = Summary{Run: r.id, Feed: feed.Name}
	r.line = newLine(im, r.holder)
	cause := work(ctx, r)
	if cause != nil {
		r.summary.Why = cause.Error()
		var stop *StopError
		if errors.As(cause, &stop) {
			r.summary.Stopped = stop.Reason
		}
	}
	r.line.close()
	r.summary.Calls = r.line.made()
	r.summary.Alarms = r.line.alarms()
	r.summary.Seconds = time.Since(started).Seconds()
	err := im.briefly(ctx, func(ctx context.Context) error {
		return im.Ledger.FinishRun(ctx, r.id, r.holder, r.summary, cause)
	})
	return r.summary, join(cause, err)
}

// importDrop takes one spooled drop as far as it gets.
func (r *run) importDrop(ctx context.Context, in Incoming) error {
	var d Drop
	err := r.patiently(ctx, func(ctx context.Context) (err error) {
		d, err = r.Ledger.OpenDrop(ctx, in.Drop)
		return err
	})
	if err != nil {
		return err
	}
	id := d.ID
	for {
		var leased *LeasedError
		if d, err = r.lease(ctx, id); !errors.As(err, &leased) {
			break
		}
	}
	if err != nil {
		return err
	}
	return r.work(ctx, d, &in)
}

// isFileFault tells an error that is one file's: it is no reason not to go on
// with the others.
func isFileFault(err error) bool {
	var unreadable *UnreadableError
	var hold *HoldError
	return errors.As(err, &unreadable) || errors.As(err, &hold) || isMissing(err)
}

// isMissing tells that a drop's copy is not there.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrUnavailable)
}

// stillMissing is the error about drops whose copies were not there, but for
// those that have come again since.
func (r *run) stillMissing() (err error) {
	for _, d := range r.summary.Drops {
		if d.Drop.State == DropSpooled || d.Drop.State == DropImporting {
			err = errors.Join(err, r.missing[d.Drop.ID])
		}
	}
	return err
}

// Which unfinished drops are resumed.
func isUnfinished(Drop) bool { return true }
func isRecorded(d Drop) bool { return d.Complete } // its copy is not needed

// resume takes up the feed's unfinished drops, until there are none but those
// that this run could not finish: a drop may reopen another, whose duplicates
// inherit the claims that it releases. The first error is about files, the
// second ends the run.
func (r *run) resume(ctx context.Context, wanted func(Drop) bool) (faults, err error) {
	for {
		var drops []Drop
		err := r.patiently(ctx, func(ctx context.Context) (err error) {
			drops, err = r.Ledger.Unfinished(ctx, r.feed.Name)
			return err
		})
		if err != nil {
			return faults, err
		}
		worked := false
		for _, d := range drops {
			if r.hasLeftOpen(d) || !wanted(d) {
				continue
			}
			did, err := r.resumeDrop(ctx, d)
			worked = worked || did
			switch {
			case isMissing(err):
				r.missing[d.ID] = fmt.Errorf("drop %d (%s) cannot be resumed: %w", d.ID, d.Name, err)
			case isFileFault(err):
				faults = errors.Join(faults, err)
			case err != nil:
				return faults, err
			}
		}
		if !worked {
			return faults, nil
		}
	}
}

// resumeDrop takes up one unfinished drop and tells whether there was
// something to do.
func (r *run) resumeDrop(ctx context.Context, d Drop) (worked bool, err error) {
	d, err = r.lease(ctx, d.ID)
	var leased *LeasedError
	switch {
	case errors.As(err, &leased): // its holder lives, and brings it to its end
		return false, nil
	case err != nil:
		return false, err
	case d.State != DropImporting && d.State != DropSpooled: // somebody has, meanwhile
		return false, r.leaveLease(ctx, d, d.State, d.Why)
	}
	in, err := r.Reopen(d)
	if err != nil {
		return false, errors.Join(err, r.leave(ctx, d, DropImporting, ""))
	}
	return true, r.work(ctx, d, &in)
}

// hasLeftOpen tells whether this run has worked on a drop and could not finish it.
func (r *run) hasLeftOpen(d Drop) bool {
	return slices.ContainsFunc(r.summary.Drops, func(s DropSummary) bool { return s.Drop.ID == d.ID && s.Drop.State != DropDone })
}

// hasEnded tells whether this run has brought a drop to its end.
func (r *run) hasEnded(d Drop) bool {
	return (d.State == DropDone || d.State == DropFailed) &&
		slices.ContainsFunc(r.summary.Drops, func(s DropSummary) bool { return s.Drop.ID == d.ID && s.Drop.State == d.State })
}

// sum notes how a drop stands now.
func (r *run) sum(s DropSummary) {
	again := func(old DropSummary) bool { return old.Drop.ID == s.Drop.ID }
	r.summary.Drops = append(slices.DeleteFunc(r.summary.Drops, again), s)
}

// work carries a leased drop and gives the lease back.
func (r *run) work(ctx context.Context, d Drop, in *Incoming) error {
	if err := r.refresh(ctx, &d, in); err != nil {
		return errors.Join(err, r.leaveLease(ctx, d, d.State, d.Why))
	}
	if r.hasEnded(d) {
		r.Log.Warn("a file has the same content as another one of this run", "file", in.Drop.Name, "drop", d.ID)
		return errors.Join(r.DropDone(ctx, d), r.leaveLease(ctx, d, d.State, d.Why))
	}
	already := d.State == DropDone
	err := r.patiently(ctx, func(ctx context.Context) error {
		return r.Ledger.JoinDrop(ctx, r.id, d, already)
	})
	if err != nil {
		return err
	}
	if already {
		return r.alreadyImported(ctx, d, in.Drop.Name)
	}
	return r.bring(ctx, d, in)
}

// bring takes a leased drop as far as it gets and gives the lease back.
func (r *run) bring(ctx context.Context, d Drop, in *Incoming) error {
	err := r.deliver(ctx, &d, in)
	to, why := DropDone, ""
	var hold *HoldError
	var unreadable *UnreadableError
	switch {
	case errors.As(err, &hold) && d.Recorded == 0:
		to, why, err = DropHeld, hold.Why, nil
	case errors.As(err, &unreadable): // what was recorded of it has its outcome
		to, why = DropFailed, unreadable.Error()
	case isMissing(err) && d.Why != "": // it has failed before, and its copy was needed no more
		to, why, err = DropFailed, d.Why, &UnreadableError{errors.New(d.Why)}
	case err != nil:
		to = DropImporting
	}
	return join(err, r.leave(ctx, d, to, why))
}

// refresh forgets what was recorded of a drop under other settings, if none of
// its rows has reached the dialer.
func (r *run) refresh(ctx context.Context, drop *Drop, in *Incoming) error {
	if r.onlyLost || drop.Settings == r.feed.Settings {
		return nil
	}
	// What is forgotten must be there to be read again.
	file, err := in.Open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		if err := file.Close(); err != nil {
			return err
		}
	}
	return r.patiently(ctx, func(ctx context.Context) error {
		forgotten, err := r.Ledger.ForgetRows(ctx, *drop, r.holder, r.feed.Settings)
		if err != nil {
			return err
		}
		if !forgotten && drop.State == DropDone {
			return nil
		}
		if !forgotten {
			r.Log.Warn("the feed's settings have changed, but rows of this drop have reached the dialer: its recorded rows go on as they were recorded", "drop", drop.ID)
			return nil
		}
		drop.State, drop.Recorded, drop.Complete, drop.Settings = DropSpooled, 0, false, r.feed.Settings
		return nil
	})
}

// UnreadableError is returned by Incoming.Open or its rows for a file that
// cannot be read as contacts.
type UnreadableError struct{ Err error }

func (e *UnreadableError) Error() string { return e.Err.Error() }
func (e *UnreadableError) Unwrap() error { return e.Err }

// alreadyImported accounts for a drop that was done before: nothing is written
// again, its rows count as duplicates of themselves.
func (r *run) alreadyImported(ctx context.Context, d Drop, name string) error {
	s := DropSummary{Drop: d, Already: true, Counts: d.AsDuplicates()}
	if name != d.Name {
		s.As = name
	}
	r.sum(s)
	r.Watcher.Recorded(d.Recorded)
	r.Watcher.Settled(StateReason{Duplicate, ReasonAlreadyImported}, d.Recorded)
	return errors.Join(r.DropDone(ctx, d), r.leaveLease(ctx, d, DropDone, ""))
}

// leave ends the work on a drop, counts its rows and says when it is done.
func (r *run) leave(ctx context.Context, d Drop, to DropState, why string) error {
	sum := DropSummary{Drop: d, Counts: Counts{}}
	err := r.briefly(ctx, func(ctx context.Context) (err error) {
		sum.Counts, err = r.Ledger.Tally(ctx, d)
		if err != nil {
			return err
		}
		sum.Drop.State, err = r.Ledger.CloseDrop(ctx, d.ID, r.holder, to, why)
		return err
	})
	sum.Drop.Why = why
	r.sum(sum)
	if err == nil && (sum.Drop.State == DropDone || sum.Drop.State == DropFailed) {
		err = r.DropDone(ctx, sum.Drop)
	}
	return err
}

func (r *run) leaveLease(ctx context.Context, d Drop, to DropState, why string) error {
	return r.briefly(ctx, func(ctx context.Context) error {
		_, err := r.Ledger.CloseDrop(ctx, d.ID, r.holder, to, why)
		return err
	})
}

// lease waits for the right to work on a drop.
//
// It waits as long as the lease of a holder that has vanished could last, and
// returns *LeasedError when the holder is still there then.
func (r *run) lease(ctx context.Context, id int64) (d Drop, err error) {
	const looks = 6
	for look := 0; ; look++ {
		var leased *LeasedError
		err = r.patiently(ctx, func(ctx context.Context) (err error) {
			d, err = r.Ledger.LeaseDrop(ctx, id, r.holder, r.Limits.Lease)
			return err
		})
		if !errors.As(err, &leased) || look == looks {
			r.Watcher.Waiting("")
			return d, err
		}
		r.Watcher.Waiting(leased.Error())
		if err := sleep(ctx, r.Limits.Lease/(looks-1)); err != nil {
			return d, err
		}
	}
}

// scope says within what a lead is unique.
func (f Feed) scope(l lead.Lead) string {
	switch f.Scope {
	case "list":
		return strings.Join([]string{"list", f.Dialer, l.ListID}, "\x00")
	case "campaign":
		return strings.Join([]string{"campaign", f.Dialer, f.Campaign}, "\x00")
	default:
		return strings.Join([]string{"dialer", f.Dialer}, "\x00")
	}
}

// Identity is the claim key of a cleaned lead, and false when the fields that
// would make it are all empty.
func (f Feed) Identity(k Keyring, l lead.Lead) (ClaimKey, bool) {
	for _, field := range f.By {
		if l.Get(field) != "" {
			return k.Claim(f.By, f.scope(l), l), true
		}
	}
	return ClaimKey{}, false
}
