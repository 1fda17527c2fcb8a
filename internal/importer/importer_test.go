package importer_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/ledger/ledgertest"
)

// fate is what a dialer does with one add_lead call.
type fate int

const (
	answers        fate = iota // inserts and says so
	swallows                   // inserts, the answer is lost
	drops                      // does not insert, no answer
	insertsLate                // the answer is lost, inserts a minute later
	insertsTooLate             // the answer is lost, inserts after the quiescence
	fails                      // says that it could not, provably nothing ran
	unreachable                // no byte gets through
	refuses                    // rejects the lead for good
	refusesLogin               // login error
	babbles                    // a web page
	notFound                   // nothing is at the address
	forbids                    // inserts, something in between keeps the answer and forbids the address
)

// dialer is a small dialer in memory, on the clock of time.Now.
type dialer struct {
	mu       sync.Mutex
	fates    func(c importer.Call, n int) fate // n counts calls for the number, from 1
	leads    map[string][]added                // by number
	calls    map[string]int
	inFlight int
	most     int
	made     int
	blocked  bool // inserts and writes hang, lookups answer
	waiting  []importer.Call
	searches func() error
	fields   func(id int64) error
	spoils   string                      // a number with which no search is answered
	hides    string                      // a number of which searches find nothing
	records  int                         // how many leads a search finds at most, the youngest; 0: all
	custom   func(n int) importer.Answer // what becomes of a lead's nth update of custom fields; nil: they are written
	updates  map[int64]int               // calls that write custom fields, by lead
	values   map[int64]map[string]string
}

type added struct {
	id    int64
	token string
	list  string
}

const timeout = 2 * time.Second

func newDialer(fates func(importer.Call, int) fate) *dialer {
	return &dialer{fates: fates, leads: map[string][]added{}, calls: map[string]int{}, updates: map[int64]int{}, values: map[int64]map[string]string{}}
}

func (d *dialer) AddLead(_ context.Context, c importer.Call) importer.Answer {
	phone := c.Lead.PhoneNumber
	d.mu.Lock()
	d.calls[phone]++
	d.made++
	f := d.fates(c, d.calls[phone])
	if d.blocked { // the insert waits for the table, the client gives up
		f = drops
		d.waiting = append(d.waiting, c)
	}
	d.inFlight++
	d.most = max(d.most, d.inFlight)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.inFlight--
	}()
	lost := importer.Answer{Written: true, Reason: "no_answer", Err: errors.New("no answer")}
	switch f {
	case answers:
		time.Sleep(20 * time.Millisecond)
		return d.insert(c)
	case swallows:
		d.insert(c)
		time.Sleep(timeout)
		return lost
	case drops:
		time.Sleep(timeout)
		return lost
	case insertsLate:
		time.AfterFunc(time.Minute, func() { d.insert(c) })
		time.Sleep(timeout)
		return lost
	case insertsTooLate:
		time.AfterFunc(8*time.Minute, func() { d.insert(c) })
		time.Sleep(timeout)
		return lost
	case fails:
		return importer.Answer{Verdict: importer.VerdictRetry, Written: true, Reason: "busy", Err: errors.New("too many connections")}
	case unreachable:
		return importer.Answer{Verdict: importer.VerdictRetry, Reason: "unreachable", Err: errors.New("connection refused")}
	case refuses:
		return importer.Answer{Verdict: importer.VerdictRejected, Written: true, Reason: "dnc", Err: errors.New("on the DNC list")}
	case refusesLogin:
		return importer.Answer{Verdict: importer.VerdictStop, Written: true, Reason: "login", Err: errors.New("login refused")}
	case notFound:
		return importer.Answer{Verdict: importer.VerdictStop, Written: true, Foreign: true, Reason: "not_the_api", Err: errors.New("HTTP 404")}
	case forbids:
		d.insert(c)
		return importer.Answer{Verdict: importer.VerdictStop, Written: true, Foreign: true, Reason: "forbidden", Err: errors.New("HTTP 403")}
	case babbles:
		return importer.Answer{Written: true, Foreign: true, Reason: "foreign", Err: errors.New("a web page")}
	}
	panic("no fate")
}

func (d *dialer) insert(c importer.Call) importer.Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	phone := c.Lead.PhoneNumber
	inList := func(l added) bool { return l.list == c.Lead.ListID }
	if i := slices.IndexFunc(d.leads[phone], inList); c.Duplicate == "DUPLIST" && i >= 0 {
		return importer.Answer{Verdict: importer.VerdictDuplicate, Written: true, Reason: importer.ReasonDialerDuplicate, DuplicateOf: d.leads[phone][i].id, Err: errors.New("duplicate")}
	}
	var id int64 = 1
	for _, l := range d.leads {
		id += int64(len(l))
	}
	d.leads[phone] = append(d.leads[phone], added{id, c.Token, c.Lead.ListID})
	return importer.Answer{Verdict: importer.VerdictAdded, Written: true, LeadID: id}
}

func (d *dialer) block() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.blocked = true
}

// unblock carries out what has waited before any later write.
func (d *dialer) unblock() {
	d.mu.Lock()
	waiting := d.waiting
	d.blocked, d.waiting = false, nil
	d.mu.Unlock()
	for _, c := range waiting {
		d.insert(c)
	}
}

func (d *dialer) Search(_ context.Context, list string, phones []string) (map[string][]int64, error) {
	if d.searches != nil {
		if err := d.searches(); err != nil {
			return nil, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found, all := map[string][]int64{}, []int64{}
	for _, p := range phones {
		found[p] = nil
		if p == d.spoils {
			return nil, inconclusive{}
		}
		for _, l := range d.leads[p] {
			if l.list == list && p != d.hides {
				found[p] = append(found[p], l.id)
				all = append(all, l.id)
			}
		}
	}
	if d.records > 0 && len(all) > d.records {
		slices.Sort(all)
		for p := range found {
			found[p] = slices.DeleteFunc(found[p], func(id int64) bool { return id < all[len(all)-d.records] })
		}
	}
	return found, nil
}

func (d *dialer) Field(_ context.Context, id int64, _ string) (string, error) {
	if d.fields != nil {
		if err := d.fields(id); err != nil {
			return "", err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, leads := range d.leads {
		for _, l := range leads {
			if l.id == id {
				return l.token, nil
			}
		}
	}
	return "", inconclusive{}
}

func (d *dialer) Touch(context.Context, int64, string, string) error {
	d.mu.Lock()
	blocked := d.blocked
	d.mu.Unlock()
	if blocked {
		time.Sleep(timeout)
		return errors.New("no answer")
	}
	return nil
}

// rows is a drop of n invented people; each number is its own.
type rows struct {
	n, at, from int
	extras      *lead.Extras // of each of them
}

func (r *rows) Next() (importer.Row, error) {
	if r.at == r.n {
		return importer.Row{}, io.EOF
	}
	r.at++
	return importer.Row{
		Record: r.at, Line: r.at + 1, Cells: []string{phone(r.from + r.at)},
		Lead: lead.Lead{PhoneNumber: phone(r.from + r.at), Extras: r.extras},
	}, nil
}
func (r *rows) Header() []string { return []string{"phone"} }
func (r *rows) Fields() []string { return []string{"phone_number"} }

func (r *rows) Outside() importer.Outside { return importer.Outside{} }

func (r *rows) Dates() map[string]lead.DateOrder { return nil }

// Changed finds an earlier header lost when this one has not its first column.
func (r *rows) Changed(header, _ []string) (string, bool) {
	if len(header) == 0 || header[0] == "phone" {
		return "", false
	}
	return header[0] + " is gone", header[0] == "number"
}

func (r *rows) Close() error { return nil }

func phone(n int) string { return fmt.Sprintf("305555%04d", 1000+n) }

type quiet struct{}

func (quiet) Recorded(int)                      {}
func (quiet) Settled(importer.StateReason, int) {}
func (quiet) Waiting(string)                    {}

type bench struct {
	importer *importer.Importer
	ledger   *ledgertest.Fake
	dialer   *dialer
	feed     importer.Feed
}

func setup(t *testing.T, fates func(importer.Call, int) fate) *bench {
	t.Helper()
	start := time.Now()
	b := &bench{ledger: ledgertest.NewFake(), dialer: newDialer(fates)}
	b.feed = importer.Feed{Name: "acme", Dialer: "main", By: []string{"phone_number"}, Scope: "dialer", Settings: "1"}
	b.importer = &importer.Importer{
		Ledger: b.ledger, Dialer: b.dialer, DialerKey: "dialer.example.com",
		Keys: importer.NewKeyring([]byte("secret")),
		Limits: importer.Limits{
			Concurrency: 8, Timeout: timeout, SendWithin: 20 * time.Second, Quiescence: 6 * time.Minute,
			GiveUp: 10 * time.Minute, LedgerWait: time.Minute, Lease: 15 * time.Second, TokenField: "source_id",
		},
		Watcher:  quiet{},
		Log:      slog.New(slog.DiscardHandler),
		Clock:    func() time.Duration { return time.Since(start) + 1 },
		DropDone: func(context.Context, importer.Drop) error { return nil },
		Reopen: func(d importer.Drop) (importer.Incoming, error) {
			return drop(d.Name, int(d.Bytes)), nil
		},
	}
	return b
}

func drop(name string, n int) importer.Incoming {
	return importer.Incoming{
		Drop:  importer.Drop{Feed: "acme", Dialer: "main", Name: name, Bytes: int64(n), SHA256: sha256.Sum256([]byte(name)), Settings: "1"},
		Rules: lead.Rules{Region: "US", ListID: "101"},
		Open:  func() (importer.Reader, error) { return &rows{n: n}, nil },
	}
}

func always(f fate) func(importer.Call, int) fate {
	return func(importer.Call, int) fate { return f }
}

// first gives every number's first call one fate and the later ones success,
// but for the first few numbers, which are always well.
func first(f fate) func(importer.Call, int) fate {
	return func(c importer.Call, n int) fate {
		if n == 1 && c.Lead.PhoneNumber > phone(10) {
			return f
		}
		return answers
	}
}

func (b *bench) run(ctx context.Context, drops ...importer.Incoming) (importer.Summary, error) {
	return b.importer.Run(ctx, b.feed, "import", drops)
}

// requireOnce checks that the dialer has each of n leads exactly once.
func (b *bench) requireOnce(t *testing.T, n int) {
	t.Helper()
	b.dialer.mu.Lock()
	defer b.dialer.mu.Unlock()
	for i := 1; i <= n; i++ {
		require.Len(t, b.dialer.leads[phone(i)], 1, "number %d", i)
	}
	require.Len(t, b.dialer.leads, n)
	require.LessOrEqual(t, b.dialer.most, 8)
}

func TestEveryRowIsLoadedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		s, err := b.run(t.Context(), drop("a", 2500))
		require.NoError(t, err)
		require.Equal(t, 2500, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 2500, s.Calls)
		b.requireOnce(t, 2500)

		again, err := b.run(t.Context(), drop("a", 2500))
		require.NoError(t, err)
		require.Zero(t, again.Calls)
		require.Equal(t, importer.Counts{{State: importer.Duplicate, Reason: importer.ReasonAlreadyImported}: 2500}, again.Counts())

		other, err := b.run(t.Context(), drop("b", 2501))
		require.NoError(t, err)
		require.Equal(t, 1, other.Calls)
		require.Equal(t, 2500, other.Counts()[importer.StateReason{State: importer.Duplicate, Reason: importer.ReasonAlreadyLoaded}])
	})
}

func TestLostAnswersAreFoundNotResent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(swallows))
		s, err := b.run(t.Context(), drop("a", 40))
		require.NoError(t, err)
		b.requireOnce(t, 40)
		require.Equal(t, 40, s.Calls)
		require.Equal(t, 30, s.Counts()[importer.StateReason{State: importer.Succeeded, Reason: importer.ReasonReconciled}])
	})
}

func TestAbsentLeadsAreResentAfterQuiescence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(drops))
		began := time.Now()
		s, err := b.run(t.Context(), drop("a", 14))
		require.NoError(t, err)
		b.requireOnce(t, 14)
		require.Equal(t, 18, s.Calls)
		require.Equal(t, 14, s.Outcomes()[importer.OutcomeSuccess])
		require.Greater(t, time.Since(began), 6*time.Minute)
	})
}

func TestLateInsertsWithinQuiescenceAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(insertsLate))
		s, err := b.run(t.Context(), drop("a", 16))
		require.NoError(t, err)
		b.requireOnce(t, 16)
		require.Equal(t, 16, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 16, s.Calls)
	})
}

func TestAbsentIsNotBelievedWhileWritesAreBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		b.importer.Limits.Quiescence = 5 * time.Second // shorter than the blockade
		_, err := b.run(t.Context(), drop("before", 5))
		require.NoError(t, err)
		b.dialer.block()
		time.AfterFunc(40*time.Second, b.dialer.unblock)
		s, err := b.run(t.Context(), drop("a", 9))
		require.NoError(t, err)
		require.Equal(t, 4, s.Outcomes()[importer.OutcomeSuccess])
		for i := 6; i <= 9; i++ {
			require.Equal(t, 1, b.dialer.calls[phone(i)], "number %d was sent again although its insert only waited", i)
		}
		b.requireOnce(t, 9)
	})
}

func TestRejectedLeadsReleaseTheirClaimToTheOldestDuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(_ importer.Call, n int) fate {
			if n == 1 {
				return refuses
			}
			return answers
		})
		twice := drop("a", 2)
		twice.Open = func() (importer.Reader, error) { return &sameNumber{}, nil }
		s, err := b.run(t.Context(), twice)
		require.NoError(t, err)
		require.Equal(t, map[importer.Outcome]int{"SUCCESS": 1, "ERROR": 1, "DUPLICATE": 1, "INVALID": 0, "REVIEW": 0}, s.Outcomes())
		require.Len(t, b.dialer.leads[phone(1)], 1)
	})
}

func TestADropThatAnotherOneReopensIsFinishedByTheSameRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(_ importer.Call, n int) fate {
			return []fate{fails, refuses, answers}[min(n, 3)-1]
		})
		// The second drop was recorded first: the first one's row rests on its claim.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := b.run(ctx, drop("b", 1))
		require.ErrorIs(t, err, context.DeadlineExceeded)

		s, err := b.run(t.Context(), drop("a", 1), drop("b", 1))
		require.NoError(t, err)
		require.Len(t, s.Drops, 2)
		require.Zero(t, s.Pending())
		require.Equal(t, 1, s.Outcomes()[importer.OutcomeError])
		require.Equal(t, 1, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 1)
	})
}

// sameNumber is a drop of three rows with one number.
type sameNumber struct{ rows }

func (r *sameNumber) Next() (importer.Row, error) {
	if r.at == 3 {
		return importer.Row{}, io.EOF
	}
	r.at++
	return importer.Row{Record: r.at, Line: r.at, Lead: lead.Lead{PhoneNumber: phone(1)}}, nil
}

func TestRefusedLoginStopsTheRunAfterOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(refusesLogin))
		s, err := b.run(t.Context(), drop("a", 100))
		var stop *importer.StopError
		require.ErrorAs(t, err, &stop)
		require.Equal(t, 1, s.Calls)
		require.Equal(t, 100, s.Pending())

		b.dialer.fates = always(answers)
		s, err = b.run(t.Context(), drop("a", 100))
		require.NoError(t, err)
		require.Equal(t, 100, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 100)
	})
}

func TestUnreachableDialerStopsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(unreachable))
		s, err := b.run(t.Context(), drop("a", 100))
		var stop *importer.StopError
		require.ErrorAs(t, err, &stop)
		require.Equal(t, importer.ReasonUnreachable, stop.Reason)
		require.Zero(t, s.Calls)
		require.Equal(t, 100, s.Pending())
	})
}

func TestForeignAnswersStopTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(babbles))
		s, err := b.run(t.Context(), drop("a", 100))
		var stop *importer.StopError
		require.ErrorAs(t, err, &stop)
		require.Equal(t, importer.ReasonNotTheAPI, stop.Reason)
		require.Equal(t, 3, s.Calls)
	})
}

func TestBusyDialerIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(fails))
		s, err := b.run(t.Context(), drop("a", 60))
		require.NoError(t, err)
		require.Equal(t, 60, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 60)
	})
}

func TestFailingDialerStopsTheRunAndKeepsItsRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, _ int) fate {
			if c.Lead.PhoneNumber > phone(20) {
				return fails
			}
			return answers
		})
		began := time.Now()
		s, err := b.run(t.Context(), drop("a", 100))
		var stop *importer.StopError
		require.ErrorAs(t, err, &stop)
		require.Equal(t, importer.ReasonDialerFailing, stop.Reason)
		require.Equal(t, 20, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 80, s.Pending())
		require.WithinRange(t, time.Now(), began.Add(10*time.Minute), began.Add(12*time.Minute))
	})
}

func TestPoisonedRowEndsAsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, _ int) fate {
			if c.Lead.PhoneNumber == phone(5) {
				return drops
			}
			return answers
		})
		s, err := b.run(t.Context(), drop("a", 50))
		require.NoError(t, err)
		require.Equal(t, 49, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 1, s.Counts()[importer.StateReason{State: importer.Failed, Reason: importer.ReasonAttemptsExhausted}])
		require.Equal(t, 5, b.dialer.calls[phone(5)])
	})
}

func TestUnansweredLookupsEndInReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(swallows))
		b.dialer.searches = func() error { return errors.New("not answered") }
		s, err := b.run(t.Context(), drop("a", 12))
		require.NoError(t, err)
		require.Equal(t, 2, s.Counts()[importer.StateReason{State: importer.Review, Reason: importer.ReasonUnproven}])
		require.Equal(t, 12, s.Calls)
	})
}

func TestInterruptedRunIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		s, err := b.run(ctx, drop("a", 500))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Positive(t, s.Pending())
		require.Positive(t, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, s.Calls, s.Outcomes()[importer.OutcomeSuccess])

		s, err = b.run(t.Context())
		require.NoError(t, err)
		require.Equal(t, 500, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 500)
	})
}

// A header that is looked for on another line, say, would number the records
// behind it anew.
func TestAFileThatIsReadOtherwiseIsNotReadOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := b.run(ctx, drop("a", 8000))
		require.ErrorIs(t, err, context.DeadlineExceeded)

		b.feed.Settings = "2"
		changed := drop("a", 8000)
		changed.Open = func() (importer.Reader, error) { return otherHeader{&rows{n: 8000}}, nil }
		s, err := b.run(t.Context(), changed)
		require.ErrorContains(t, err, "its header is read otherwise than when they were recorded")
		require.Zero(t, s.Pending(), "what was recorded is delivered")
		require.Equal(t, importer.DropImporting, s.Drops[0].Drop.State)

		s, err = b.run(t.Context(), drop("a", 8000))
		require.NoError(t, err)
		require.Equal(t, 8000, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 8000)
	})
}

type otherHeader struct{ *rows }

func (otherHeader) Header() []string { return []string{"3055551001"} }

func TestNoWaitLeavesLostAnswersToReconcile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(drops))
		b.importer.NoWait = true
		began := time.Now()
		s, err := b.run(t.Context(), drop("a", 14))
		require.NoError(t, err)
		require.Equal(t, 4, s.Pending())
		require.Less(t, time.Since(began), time.Minute)

		b.importer.NoWait = false
		s, err = b.importer.Reconcile(t.Context(), b.feed)
		require.NoError(t, err)
		require.Equal(t, 14, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 14)
	})
}

func TestTwoImportersShareTheDialersLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		var both sync.WaitGroup
		for name, from := range map[string]int{"a": 0, "b": 1000} {
			in := drop(name, 1000)
			in.Open = func() (importer.Reader, error) { return &rows{n: 1000, from: from}, nil }
			both.Go(func() {
				_, err := b.run(t.Context(), in)
				require.NoError(t, err)
			})
		}
		both.Wait()
		b.requireOnce(t, 2000)
		require.Equal(t, 8, b.dialer.most)
	})
}

func TestAnotherFileDoesNotWaitForTheDropOfALiveImporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		b.importer.Limits.Lease = time.Second
		var long importer.Summary
		ended := false
		var both sync.WaitGroup
		both.Go(func() {
			var err error
			long, err = b.run(t.Context(), drop("long", 8000))
			require.NoError(t, err)
			ended = true
		})
		synctest.Wait()
		s, err := b.run(t.Context(), drop("short", 40))
		require.NoError(t, err)
		require.False(t, ended, "the other importer is at work")
		require.Len(t, s.Drops, 1)
		require.Equal(t, 40, s.Outcomes()[importer.OutcomeDuplicate])
		both.Wait()
		require.Equal(t, 8000, long.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 8000)
	})
}

func TestCorrectedSettingsReachADropThatHasNotReachedTheDialer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(refusesLogin))
		wrong := drop("a", 20)
		wrong.Rules.ListID = "999"
		_, err := b.run(t.Context(), wrong)
		require.Error(t, err)

		b.dialer.fates = always(answers)
		b.feed.Settings = "2"
		b.importer.Reopen = func(d importer.Drop) (importer.Incoming, error) {
			in := drop(d.Name, 20)
			in.Open = func() (importer.Reader, error) { return nil, fs.ErrNotExist }
			return in, nil
		}
		// Without the file nothing can be recorded afresh: nothing is forgotten.
		s, err := b.run(t.Context())
		require.NoError(t, err)
		require.Equal(t, 20, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, "999", b.dialer.leads[phone(1)][0].list)
	})
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(refusesLogin))
		wrong := drop("a", 20)
		wrong.Rules.ListID = "999"
		_, err := b.run(t.Context(), wrong)
		require.Error(t, err)

		b.dialer.fates = always(answers)
		b.feed.Settings = "2"
		s, err := b.run(t.Context(), drop("a", 20))
		require.NoError(t, err)
		require.Equal(t, 20, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, "101", b.dialer.leads[phone(1)][0].list)
	})
}

func TestNoWaitDoesNotWaitForASlotToAskWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(drops))
		b.importer.NoWait = true
		b.importer.Limits.Concurrency = 1
		began := time.Now()
		s, err := b.run(t.Context(), drop("a", 1))
		require.NoError(t, err)
		require.Equal(t, 1, s.Pending())
		require.Less(t, time.Since(began), time.Minute)
	})
}

// away is a ledger that does not answer what is to be settled.
type away struct{ *ledgertest.Fake }

func (away) Settle(context.Context, importer.Drop, int64, int64, int, []importer.Settlement) ([]int, error) {
	return nil, importer.ErrUnavailable
}

func TestAnInterruptDoesNotWaitLongForALedgerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		b.importer.Ledger = away{b.ledger}
		b.importer.Limits.LedgerWait = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		_, err := b.run(ctx, drop("a", 20))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Less(t, time.Since(began), 2*time.Minute)
	})
}

// inconclusive is a lookup's error with which the dialer has answered.
type inconclusive struct{}

func (inconclusive) Error() string                  { return "inconclusive" }
func (inconclusive) Final() (importer.Reason, bool) { return "", false }
func (inconclusive) Over() bool                     { return true }
func (inconclusive) Answered() bool                 { return true }

// refused is a lookup's error that every further one would end with.
type refused struct{}

func (refused) Error() string                  { return "login refused" }
func (refused) Final() (importer.Reason, bool) { return "login_refused", true }
func (refused) Over() bool                     { return true }
func (refused) Answered() bool                 { return true }

func TestARefusedLoginInALookupStopsTheRunAfterOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(swallows))
		asked := 0
		b.dialer.searches = func() error { asked++; return refused{} }
		s, err := b.run(t.Context(), drop("a", 14))
		var stop *importer.StopError
		require.ErrorAs(t, err, &stop)
		require.Equal(t, importer.Reason("login_refused"), stop.Reason)
		require.Equal(t, 1, asked)
		require.Positive(t, s.Pending())
		require.Zero(t, s.Outcomes()[importer.OutcomeReview])

		b.dialer.searches = nil
		s, err = b.run(t.Context())
		require.NoError(t, err)
		require.Equal(t, 14, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 14)
	})
}

func TestALookupWithoutAnAnswerKeepsItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(swallows))
		began := time.Now()
		early := 0
		b.dialer.searches = func() error {
			if time.Since(began) > b.importer.Limits.Quiescence {
				return nil
			}
			early++
			return errors.New("no answer")
		}
		_, err := b.run(t.Context(), drop("a", 12))
		require.NoError(t, err)
		b.requireOnce(t, 12)
		// Two lost add_leads hold two of the eight slots.
		require.Equal(t, 6, early)
	})
}

func TestAForeignRefusalAfterGoodAnswersLeavesItsRowInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, n int) fate {
			if n == 1 && c.Lead.PhoneNumber == phone(11) {
				return forbids
			}
			return answers
		})
		_, err := b.run(t.Context(), drop("a", 20))
		var stop *importer.StopError
		require.ErrorAs(t, err, &stop)

		s, err := b.run(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, s.Counts()[importer.StateReason{State: importer.Succeeded, Reason: importer.ReasonReconciled}])
		b.requireOnce(t, 20)
	})
}

func TestAForeignRefusalOfTheFirstRowIsTakenForAWrongAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(notFound))
		began := time.Now()
		_, err := b.run(t.Context(), drop("a", 20))
		require.Error(t, err)

		b.dialer.fates = always(answers)
		_, err = b.run(t.Context(), drop("a", 20))
		require.NoError(t, err)
		require.Less(t, time.Since(began), time.Minute, "a corrected address is not waited for")
		b.requireOnce(t, 20)
	})
}

func TestASearchThatIsCutShortIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, n int) fate {
			if n == 1 && c.Lead.PhoneNumber == phone(5) {
				return swallows
			}
			return answers
		})
		b.dialer.records = 1 // not enough for the lost lead, nor for the older control
		b.dialer.searches = func() error {
			if b.dialer.made == 40 && time.Now().Minute() >= 10 { // bubbles begin at midnight
				b.dialer.records = 0
			}
			return nil
		}
		s, err := b.run(t.Context(), drop("a", 40))
		require.NoError(t, err)
		require.Equal(t, 40, s.Calls)
		require.Equal(t, 40, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 40)
	})
}

func TestALeadThatSearchesHideIsRecognisedByTheDialersRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, n int) fate {
			if n == 1 && c.Lead.PhoneNumber == phone(5) {
				return swallows
			}
			return answers
		})
		b.dialer.hides = phone(5)
		s, err := b.run(t.Context(), drop("a", 40))
		require.NoError(t, err)
		require.Equal(t, 41, s.Calls)
		require.Equal(t, 1, s.Counts()[importer.StateReason{State: importer.Succeeded, Reason: importer.ReasonReconciled}])
		require.Equal(t, 40, s.Outcomes()[importer.OutcomeSuccess])
		b.requireOnce(t, 40)
	})
}

func TestOneNumberThatSpoilsSearchesKeepsNoOtherInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(swallows))
		b.dialer.spoils = phone(15)
		s, err := b.run(t.Context(), drop("a", 40))
		require.NoError(t, err)
		require.Equal(t, 39, s.Outcomes()[importer.OutcomeSuccess])
		require.Equal(t, 1, s.Counts()[importer.StateReason{State: importer.Review, Reason: importer.ReasonUnproven}])
		b.requireOnce(t, 40)
	})
}

func TestAnAuditThatIsNotAnsweredIsRepeatedAndThenTold(t *testing.T) {
	for name, unheard := range map[string]int{"a while": 3, "for good": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, first(swallows))
				b.dialer.searches = func() error {
					counts, err := b.ledger.Tally(t.Context(), importer.Drop{ID: 1})
					if err == nil && counts.Outcome(importer.OutcomeSuccess) == 12 && unheard > 0 { // it is an audit
						unheard--
						return errors.New("no answer")
					}
					return nil
				}
				s, err := b.run(t.Context(), drop("a", 12))
				require.NoError(t, err)
				require.Equal(t, name == "for good", len(s.Alarms) > 0, "%v", s.Alarms)
			})
		})
	}
}

func TestALeadThatCameTooLateIsToldWhateverItsRowBecame(t *testing.T) {
	for name, second := range map[string]fate{"loaded again": answers, "refused": refuses} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, func(c importer.Call, n int) fate {
					switch {
					case c.Lead.PhoneNumber == phone(11) && n == 1:
						return insertsTooLate
					case c.Lead.PhoneNumber == phone(11):
						return second
					case c.Lead.PhoneNumber == phone(12) && n <= 2: // keeps the run going
						return drops
					}
					return answers
				})
				s, err := b.run(t.Context(), drop("a", 12))
				require.NoError(t, err)
				require.Len(t, s.Alarms, 1)
				require.Contains(t, s.Alarms[0], "record 11: the dialer has this lead")
				require.True(t, s.NeedsPerson())
			})
		})
	}
}

func TestTheLastSlotIsForAskingWhileAnAnswerIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, _ int) fate {
			switch c.Lead.PhoneNumber {
			case phone(11), phone(12), phone(13), phone(14):
				return drops
			case phone(40):
				return refusesLogin
			}
			return answers
		})
		_, err := b.run(t.Context(), drop("a", 80))
		require.Error(t, err) // four rows are in doubt

		began, last := time.Now(), time.Time{}
		b.dialer.fates = func(c importer.Call, n int) fate {
			switch {
			case c.Lead.PhoneNumber <= phone(14):
				return answers
			case c.Lead.PhoneNumber == phone(50) && n == 1:
				return swallows
			}
			last = time.Now()
			return answers
		}
		_, err = b.run(t.Context(), drop("a", 80))
		require.NoError(t, err)
		b.requireOnce(t, 80)
		require.Less(t, last.Sub(began), time.Minute, "all but the four were held up")
	})
}

func TestNoWaitDoesNotWaitForLostCallsThatHoldEverySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, first(drops))
		b.importer.NoWait = true
		began := time.Now()
		s, err := b.run(t.Context(), drop("a", 100))
		var stop *importer.StopError
		require.ErrorAs(t, err, &stop)
		require.Equal(t, importer.ReasonCallsLost, stop.Reason)
		require.Less(t, time.Since(began), time.Minute)
		require.Equal(t, 100, s.Pending()+s.Outcomes()[importer.OutcomeSuccess])
	})
}

func TestEachAttemptIsAskedAboutAsOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c importer.Call, n int) fate {
			if n <= 2 && c.Lead.PhoneNumber == phone(11) {
				return drops
			}
			return answers
		})
		var sent time.Time
		sends, fails := 0, 0
		b.dialer.searches = func() error {
			b.dialer.mu.Lock()
			defer b.dialer.mu.Unlock()
			if n := b.dialer.calls[phone(11)]; n != sends {
				sends, fails, sent = n, 0, time.Now()
			}
			if time.Since(sent) > 5*time.Minute && fails < 9 {
				fails++
				return inconclusive{}
			}
			return nil
		}
		s, err := b.run(t.Context(), drop("a", 12))
		require.NoError(t, err)
		require.Equal(t, 12, s.Outcomes()[importer.OutcomeSuccess], "%v", s.Counts())
	})
}

// mean is a ledger that leases calls in flight no more, and does all else.
type mean struct {
	*ledgertest.Fake

	since time.Time
}

func (m mean) LeaseSlots(ctx context.Context, dialer string, holder int64, want importer.SlotWant, ttl time.Duration) (importer.SlotGrant, error) {
	if !time.Now().Before(m.since) {
		return importer.SlotGrant{}, importer.ErrUnavailable
	}
	return m.Fake.LeaseSlots(ctx, dialer, holder, want, ttl)
}

func TestNoCallBeginsWhenTheLeaseOfSlotsHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, always(answers))
		lease := b.importer.Limits.SendWithin + timeout
		b.importer.Ledger = mean{b.ledger, time.Now().Add(time.Second)}
		ctx, cancel := context.WithTimeout(t.Context(), 2*lease)
		defer cancel()
		made := 0
		time.AfterFunc(lease+time.Second, func() {
			b.dialer.mu.Lock()
			defer b.dialer.mu.Unlock()
			made = b.dialer.made
		})
		_, err := b.run(ctx, drop("a", 20_000))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Positive(t, made)
		require.Equal(t, made, b.dialer.made)
	})
}
