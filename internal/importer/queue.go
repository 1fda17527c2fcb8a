package importer

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/sethvargo/go-retry"
)

// queue holds items until they are due.
type queue struct {
	clock   func() time.Duration
	mu      sync.Mutex
	items   byDue
	changed chan struct{}
}

func newQueue(clock func() time.Duration) *queue {
	return &queue{clock: clock, changed: make(chan struct{})}
}

func (q *queue) push(it *item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	heap.Push(&q.items, it)
	close(q.changed)
	q.changed = make(chan struct{})
}

// pop takes the first item that is due. Otherwise it tells how long to wait,
// and what to watch meanwhile.
func (q *queue) pop() (it *item, wait time.Duration, changed <-chan struct{}) {
	const idle = time.Minute
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return nil, idle, q.changed
	}
	if wait := q.items[0].due - q.clock(); wait > 0 {
		return nil, wait, q.changed
	}
	return heap.Pop(&q.items).(*item), 0, nil
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

type byDue []*item

func (b byDue) Len() int           { return len(b) }
func (b byDue) Less(i, j int) bool { return b[i].due < b[j].due }
func (b byDue) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *byDue) Push(x any)        { *b = append(*b, x.(*item)) }
func (b *byDue) Pop() any {
	old := *b
	x := old[len(old)-1]
	*b = old[:len(old)-1]
	return x
}

// gauge counts what is under way.
type gauge struct {
	mu sync.Mutex
	c  *sync.Cond
	n  int
}

func newGauge() *gauge {
	g := &gauge{}
	g.c = sync.NewCond(&g.mu)
	return g
}

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n += n
	if g.n == 0 {
		g.c.Broadcast()
	}
}

// wait returns when nothing is under way.
func (g *gauge) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.c.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.n > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		g.c.Wait()
	}
	return nil
}

// pause is the next wait of a backoff that is made at its first use, from
// first to a minute, doubling.
func pause(b *retry.Backoff, first time.Duration) time.Duration {
	const longest = time.Minute
	if *b == nil {
		*b = retry.WithCappedDuration(longest, retry.WithJitterPercent(20, retry.NewExponential(max(first, time.Millisecond))))
	}
	wait, _ := (*b).Next()
	return wait
}
