package daemon_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"importer/internal/daemon"
	"importer/internal/importer"
	"importer/internal/ledger"
	"importer/internal/ledger/ledgertest"
	"importer/internal/schedule"
)

func TestMain(m *testing.M) {
	ledgertest.Prepare("the job engine's tables", daemon.Migrate)
	os.Exit(ledgertest.Main(m))
}

// bench is a ledger with the job engine's tables, on which daemons work, and a
// clock that stands until it is moved.
type bench struct {
	dsn  string
	conn *pgx.Conn

	mu    sync.Mutex
	now   time.Time
	looks map[*replica]int // how often each has asked for the time
}

func newBench(t testing.TB, now time.Time) *bench {
	t.Helper()
	b := &bench{dsn: ledgertest.Database(t), now: now, looks: map[*replica]int{}}
	conn, err := pgx.Connect(t.Context(), b.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	b.conn = conn
	return b
}

// ask runs a query for one value.
func ask[T any](t testing.TB, b *bench, query string, args ...any) (answer T) {
	t.Helper()
	require.NoError(t, b.conn.QueryRow(t.Context(), query, args...).Scan(&answer))
	return answer
}

// until asks until the answer is yes.
func (b *bench) until(t testing.TB, query string, args ...any) {
	t.Helper()
	waitFor(t, func() bool { return ask[bool](t, b, query, args...) })
}

func waitFor(t testing.TB, yes func() bool) {
	t.Helper()
	require.Eventually(t, yes, 3*time.Minute, 10*time.Millisecond)
}

// idle waits until no run is going.
func (b *bench) idle(t *testing.T) {
	t.Helper()
	b.until(t, `SELECT count(*) = 0 FROM schedule_slots WHERE verdict = 'run' AND ended IS NULL`)
}

// verdicts are the judged slots since a moment, in order, with what became of them.
func (b *bench) verdicts(t *testing.T, since time.Time) (list []string) {
	t.Helper()
	rows, err := b.conn.Query(t.Context(), `SELECT slot, verdict FROM schedule_slots WHERE slot >= $1 ORDER BY slot`, since)
	require.NoError(t, err)
	var at time.Time
	var verdict string
	_, err = pgx.ForEachRow(rows, []any{&at, &verdict}, func() error {
		list = append(list, at.In(since.Location()).Format("2006-01-02 15:04 ")+verdict)
		return nil
	})
	require.NoError(t, err)
	return list
}

// replica is a daemon that serves until it is stopped.
type replica struct {
	*daemon.Daemon

	bench *bench
	feeds []daemon.Feed
	stop  context.CancelFunc
	ended chan error

	mu      sync.Mutex
	begun   []importer.Begun // the runs that it was to carry
	over    []int64          // those that it has brought to their end
	givenUp []string         // whose messages were given up
	told    []daemon.Event   // of which its feeds' targets were told
	log     map[string]int   // how often it has said what
}

// serve starts a daemon with these feeds, whose runs do nothing unless they are
// made to. with changes its options.
func (b *bench) serve(t testing.TB, with func(*daemon.Options), feeds ...daemon.Feed) *replica {
	t.Helper()
	r := &replica{bench: b, ended: make(chan error, 1), log: map[string]int{}}
	l, err := ledger.Open(t.Context(), b.dsn)
	require.NoError(t, err)
	o := daemon.Options{
		Ledger: l, AtOnce: 4, Lease: 3 * time.Second, StopTimeout: 30 * time.Second, Log: slog.New(r),
		Now:     func() time.Time { return b.asked(r) },
		Looked:  func() {},
		GivenUp: func(target string) { r.note(func() { r.givenUp = append(r.givenUp, target) }) },
		Ended:   func(_ string, run int64) { r.note(func() { r.over = append(r.over, run) }) },
	}
	with(&o)
	for _, f := range feeds {
		r.feeds = append(r.feeds, r.wired(l, f))
	}
	r.Daemon, err = daemon.New(o, r.feeds)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { r.ended <- r.Serve(ctx, func() {}) }()
	t.Cleanup(func() {
		r.stop()
		<-r.ended
		l.Close()
	})
	return r
}

func usual(*daemon.Options) {}

// unhurried keeps others from a run that goes on, however busy the machine is.
func unhurried(o *daemon.Options) { o.Lease = 15 * time.Second }

// errAway is why a run fails that may go through another time.
var errAway = errors.New("the dialer is away")

// wired is a feed whose runs and messages are noted.
func (r *replica) wired(l *ledger.Ledger, f daemon.Feed) daemon.Feed {
	carry := f.Run
	if carry == nil {
		carry = func(ctx context.Context, begun importer.Begun) (importer.Summary, error) {
			return finish(ctx, l, begun)
		}
	}
	f.Run = func(ctx context.Context, begun importer.Begun) (importer.Summary, error) {
		r.note(func() { r.begun = append(r.begun, begun) })
		return carry(ctx, begun)
	}
	f.Passes = func(err error) bool { return errors.Is(err, errAway) }
	f.Notify = map[string]string{"monitor": daemon.TellAlways}
	f.Tell = func(_ context.Context, _, _, _ string, e daemon.Event) (bool, error) {
		r.note(func() { r.told = append(r.told, e) })
		return false, nil
	}
	return f
}

// finish is what a run does that has nothing to do.
func finish(ctx context.Context, l *ledger.Ledger, b importer.Begun) (importer.Summary, error) {
	s := importer.Summary{Run: b.Run}
	cause := context.Cause(ctx)
	if cause != nil {
		s.Why = cause.Error()
	}
	if err := l.FinishRun(context.WithoutCancel(ctx), b.Run, b.Holder, s, cause); err != nil {
		return s, err
	}
	return s, cause
}

func (r *replica) note(what func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what()
}

// runs are those that it was to carry so far.
func (r *replica) runs() []importer.Begun {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.begun)
}

// ends stops it, and returns how it has ended.
func (r *replica) ends() error {
	r.stop()
	err := <-r.ended
	r.ended <- err // for the cleanup
	return err
}

// asked is the time, for a replica that asks.
func (b *bench) asked(r *replica) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks[r]++
	return b.now
}

// moves sets the clock, and has replicas look at it. It returns how often each had
// looked before.
func (b *bench) moves(now time.Time, replicas ...*replica) map[*replica]int {
	b.mu.Lock()
	b.now = now
	before := maps.Clone(b.looks)
	b.mu.Unlock()
	for _, r := range replicas {
		r.Use(r.feeds)
	}
	return before
}

// at sets the clock, and waits until all replicas have looked at it and at what is
// due by then.
func (b *bench) at(t *testing.T, now time.Time, replicas ...*replica) {
	t.Helper()
	before := b.moves(now, replicas...)
	// Now and then: looks in a row would keep the replicas from their runs.
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for _, r := range replicas {
		// It asks when it begins to look and when it has: what was under way is
		// over with the first, and a whole look with two more.
		waitFor(t, func() bool {
			select {
			case <-again.C: // it looks once more, however long its lease is
				r.Use(r.feeds)
			default:
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.looks[r] >= before[r]+4
		})
	}
}

// Enabled implements slog.Handler.
func (r *replica) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (r *replica) Handle(_ context.Context, record slog.Record) error {
	r.note(func() { r.log[record.Message]++ })
	return nil
}

// WithAttrs implements slog.Handler.
func (r *replica) WithAttrs([]slog.Attr) slog.Handler { return r }

// WithGroup implements slog.Handler.
func (r *replica) WithGroup(string) slog.Handler { return r }

func (r *replica) said(message string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log[message]
}

// scheduled is a feed that is pulled at some times in New York.
func scheduled(t testing.TB, expressions ...string) daemon.Feed {
	t.Helper()
	zone := newYork(t)
	s, err := schedule.Parse(expressions, zone)
	require.NoError(t, err)
	return daemon.Feed{Name: "acme", Schedule: s, Rules: schedule.Rules{CatchUp: 12 * time.Hour}, Zone: zone}
}

func newYork(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	return zone
}
