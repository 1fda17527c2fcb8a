package storm_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/ledger/ledgertest"
)

// Short, so that a run is over after a few hundred wake-ups.
const (
	timeout     = 2 * time.Second
	sendWithin  = 4 * time.Second
	quiescence  = 12 * time.Second
	lease       = 5 * time.Second
	concurrency = 2
	numbers     = 5
)

// plan is everything that a world has in store.
type plan struct {
	drops   [2][]int // the number of each row
	byCode  bool     // a lead's identity is its vendor code, not its number
	foreign bool     // the first number is somebody else's lead already
	fates   [numbers][]fate
	blocked span
	blind   span
	deaf    span
	lives   [2][]life     // of each importer, one after the other
	second  time.Duration // when the second importer starts
}

func (s plan) String() string {
	return fmt.Sprintf("drops %v, by code %t, foreign lead %t, fates %v, blocked %v, blind %v, deaf %v, lives %v, the second from %v on",
		s.drops, s.byCode, s.foreign, s.fates, s.blocked, s.blind, s.deaf, s.lives, s.second)
}

// bug plants a fault between an importer and what it relies on.
type bug struct {
	name  string
	plant func(*process, *importer.Importer)
}

// world is a ledger, a dialer and importers in one bubble of virtual time.
type world struct {
	plan   plan
	bug    bug
	start  time.Time
	keys   importer.Keyring
	ledger *ledgertest.Fake
	dialer *dialer

	mu     sync.Mutex
	broken string // the first promise that was broken
	story  []string
}

func newWorld(s plan, b bug) *world {
	w := &world{plan: s, bug: b, start: time.Now(), keys: importer.NewKeyring([]byte("secret")), ledger: ledgertest.NewFake()}
	w.dialer = &dialer{w: w, calls: map[string]int{}, fates: map[string][]fate{}, blocked: s.blocked, blind: s.blind, deaf: s.deaf}
	for i, f := range s.fates {
		w.dialer.fates[phone(i)] = f
	}
	if s.foreign {
		w.dialer.insert(phone(0), "somebody else's")
	}
	return w
}

func phone(i int) string { return fmt.Sprintf("305555%04d", 100+i) }

// name is what a story calls a number.
func (w *world) name(phone string) string { return "#" + strings.TrimLeft(phone[6:], "0") }

func (w *world) now() time.Duration { return time.Since(w.start) }

func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf("%8.2fs  %s", w.now().Seconds(), fmt.Sprintf(format, args...)))
}

func (w *world) breaks(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
		w.story = append(w.story, "          "+w.broken)
	}
}

// control is the drop whose only lead lookups may count on from the start.
const control = 9

func (w *world) numbersOf(name string) []int {
	switch name {
	case "a":
		return w.plan.drops[0]
	case "b":
		return w.plan.drops[1]
	default:
		return []int{control}
	}
}

func (w *world) drop(name string) importer.Incoming {
	return importer.Incoming{
		Drop:  importer.Drop{Feed: "acme", Dialer: "main", Name: name, SHA256: sha256.Sum256([]byte(name)), Settings: "1"},
		Rules: lead.Rules{Region: "US", ListID: listID},
		Open:  func() (importer.Reader, error) { return &reader{name: name, numbers: w.numbersOf(name)}, nil },
	}
}

type reader struct {
	name    string
	numbers []int
	at      int
}

func (r *reader) Next() (importer.Row, error) {
	if r.at == len(r.numbers) {
		return importer.Row{}, io.EOF
	}
	r.at++
	return importer.Row{Record: r.at, Line: r.at, Lead: lead.Lead{
		PhoneNumber: phone(r.numbers[r.at-1]), VendorLeadCode: fmt.Sprintf("%s%d", r.name, r.at),
	}}, nil
}
func (r *reader) Header() []string          { return []string{"phone", "code"} }
func (r *reader) Fields() []string          { return []string{"phone_number", "vendor_lead_code"} }
func (r *reader) Outside() importer.Outside { return importer.Outside{} }

func (r *reader) Dates() map[string]lead.DateOrder { return nil }

func (r *reader) Changed(_, _ []string) (string, bool) { return "", false }

func (r *reader) Close() error { return nil }

type quiet struct{}

func (quiet) Recorded(int)                      {}
func (quiet) Settled(importer.StateReason, int) {}
func (quiet) Waiting(string)                    {}

// live lets a new process import drops until it is done, or dead.
func (w *world) live(name string, l life, drops ...importer.Incoming) (importer.Summary, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := &process{w: w, name: name, ledger: w.ledger, dialer: w.dialer, life: l, calls: map[string]int{}, kill: cancel, dead: make(chan struct{}), onWire: map[string]bool{}}
	im := &importer.Importer{
		Ledger: p, Dialer: p, DialerKey: "dialer.example.com", Keys: w.keys,
		Limits: importer.Limits{
			Concurrency: concurrency, Timeout: timeout, SendWithin: sendWithin, Quiescence: quiescence,
			GiveUp: time.Minute, LedgerWait: 10 * time.Second, Lease: lease, TokenField: "source_id",
		},
		Watcher:  quiet{},
		Log:      slog.New(slog.DiscardHandler),
		Clock:    func() time.Duration { return w.now() + 1 },
		DropDone: func(context.Context, importer.Drop) error { return nil },
		Reopen:   func(d importer.Drop) (importer.Incoming, error) { return w.drop(d.Name), nil },
	}
	if w.bug.plant != nil {
		w.bug.plant(p, im)
	}
	w.tell("%s starts", name)
	s, err := im.Run(ctx, w.feed(), "import", drops)
	w.tell("%s ends: %v %v", name, s.Outcomes(), err)
	return s, err
}

func (w *world) feed() importer.Feed {
	f := importer.Feed{Name: "acme", Dialer: "main", By: []string{"phone_number"}, Scope: "dialer", Settings: "1"}
	if w.plan.byCode {
		f.By = []string{"vendor_lead_code"}
	}
	return f
}

// play lets two importers live through the plan, then a third one finish in
// peace, and holds the dialer's leads against the ledger.
func (w *world) play() {
	if _, err := w.live("the first", nil, w.drop("control")); err != nil {
		w.breaks("it does not start: %v", err)
		return
	}
	var both sync.WaitGroup
	orders := [2][]importer.Incoming{{w.drop("a"), w.drop("b")}, {w.drop("b"), w.drop("a")}}
	for i, lives := range w.plan.lives {
		both.Go(func() {
			if i == 1 {
				time.Sleep(w.plan.second)
			}
			for _, l := range lives {
				_, _ = w.live(string(rune('A'+i)), l, orders[i]...) // what it could not do the next one does
			}
		})
	}
	both.Wait()
	time.Sleep(max(w.plan.blocked.until, w.plan.blind.until, w.plan.deaf.until) - w.now())
	const tries = 5
	for range tries {
		s, err := w.live("the last", nil, w.drop("a"), w.drop("b"))
		if err == nil && s.Pending() == 0 {
			break
		}
	}
	time.Sleep(timeout + quiescence)
	w.check()
}

// requireArmed holds a call that is about to be made against the ledger.
func (w *world) requireArmed(c importer.Call) {
	for drop, rows := range w.rows() {
		for _, r := range rows {
			if r.State == importer.Armed && w.keys.Token("acme", sha256.Sum256([]byte(drop)), r.Record, r.Attempt) == c.Token {
				return
			}
		}
	}
	w.breaks("%s was sent, and the ledger did not know", w.name(c.Lead.PhoneNumber))
}

// rows are how the drops' rows stand, by the drop's name.
func (w *world) rows() map[string][]ledgertest.RowView {
	views := map[string][]ledgertest.RowView{}
	for _, name := range []string{"control", "a", "b"} {
		d, err := w.ledger.OpenDrop(context.Background(), w.drop(name).Drop)
		if err != nil {
			panic(err)
		}
		views[name] = w.ledger.Rows(d.ID)
	}
	return views
}

// check is the oracle: what the dialer has is what the ledger says.
func (w *world) check() {
	live, waiting := map[importer.ClaimKey]int{}, map[importer.ClaimKey]bool{}
	for drop, rows := range w.rows() {
		if len(rows) != len(w.numbersOf(drop)) {
			w.breaks("drop %s has %d rows, %d are recorded", drop, len(w.numbersOf(drop)), len(rows))
		}
		for _, r := range rows {
			phone := phone(w.numbersOf(drop)[r.Record-1])
			own := w.owned(drop, r.Record)
			row := fmt.Sprintf("row %d of drop %s (%s), which is %s %s,", r.Record, drop, w.name(phone), r.State, r.Reason)
			switch {
			case own > 1:
				w.breaks("%s was loaded %d times", row, own)
			case r.State.Outcome() == importer.OutcomePending:
				w.breaks("%s has no outcome", row)
			case r.State == importer.Succeeded && own == 0:
				w.breaks("the dialer does not have %s", row)
			case r.State != importer.Succeeded && r.State != importer.Review && own > 0:
				w.breaks("the dialer has %s", row)
			case r.Reason == importer.ReasonDialerDuplicate && len(w.dialer.find(phone)) == 0:
				w.breaks("the dialer has no lead that %s collided with", row)
			}
			switch {
			case r.State == importer.Succeeded || r.State == importer.Review || r.Reason == importer.ReasonDialerDuplicate:
				live[r.Claim]++
			case r.Reason == importer.ReasonAlreadyLoaded:
				waiting[r.Claim] = true
			}
		}
	}
	for claim, n := range live {
		if n > 1 {
			w.breaks("%d rows of one claim were sent", n)
		}
		delete(waiting, claim)
	}
	if len(waiting) > 0 {
		w.breaks("a duplicate waits for a lead that is not there")
	}
	if most := w.dialer.peak(); most > concurrency && !w.violent() {
		w.breaks("%d calls were in flight, %d are allowed", most, concurrency)
	}
}

// owned counts the dialer's leads with a row's token.
func (w *world) owned(drop string, record int) int {
	w.dialer.mu.Lock()
	defer w.dialer.mu.Unlock()
	n := 0
	for _, l := range w.dialer.lines {
		if w.keys.Owns(l.token, "acme", sha256.Sum256([]byte(drop)), record) {
			n++
		}
	}
	return n
}

// violent tells whether an importer dies or is frozen: nobody answers for its
// calls then.
func (w *world) violent() bool {
	return slices.ContainsFunc(slices.Concat(w.plan.lives[:]...), func(l life) bool {
		for _, h := range l {
			if h <= freezes {
				return true
			}
		}
		return false
	})
}
