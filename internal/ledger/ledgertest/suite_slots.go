package ledgertest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
)

// user is one process that shares a dialer.
type user struct {
	t      *testing.T
	l      importer.Ledger
	holder int64
	limit  int
	yields bool
	may    int // its calls in flight, by its last grant
	busy   int
}

func newUser(t *testing.T, l importer.Ledger, limit int) *user {
	t.Helper()
	_, holder, err := l.StartRun(t.Context(), "acme", "import")
	require.NoError(t, err)
	return &user{t: t, l: l, holder: holder, limit: limit}
}

func (u *user) lease(want int, ttl time.Duration) importer.SlotGrant {
	u.t.Helper()
	g, err := u.l.LeaseSlots(u.t.Context(), "dialer", u.holder, importer.SlotWant{Calls: want, InUse: u.busy, Limit: u.limit, Yields: u.yields}, ttl)
	require.NoError(u.t, err)
	u.may = g.Count
	return g
}

var slotPromises = []promise{
	{"who is alone has the whole limit", func(t *testing.T, l importer.Ledger) {
		u := newUser(t, l, 8)
		require.Equal(t, importer.SlotGrant{Count: 8}, u.lease(8, hour))
		require.Equal(t, importer.SlotGrant{Count: 8}, u.lease(20, hour))
		require.Equal(t, importer.SlotGrant{Count: 3}, u.lease(3, hour))
	}},
	{"who comes second waits until the first gives way", func(t *testing.T, l importer.Ledger) {
		a, b := newUser(t, l, 8), newUser(t, l, 8)
		a.lease(8, hour)
		g := b.lease(8, 2*hour)
		require.Zero(t, g.Count)
		require.WithinDuration(t, time.Now().Add(hour), g.Until, 10*time.Minute)
		require.Equal(t, 4, a.lease(8, hour).Count)
		require.Equal(t, importer.SlotGrant{Count: 4}, b.lease(8, hour))
	}},
	{"what is in use is kept from others until it has run out", func(t *testing.T, l importer.Ledger) {
		a, b := newUser(t, l, 8), newUser(t, l, 8)
		a.lease(8, hour)
		a.busy = 7
		b.lease(8, hour)
		require.Equal(t, 4, a.lease(8, hour).Count, "it may begin no more")
		require.Equal(t, 1, b.lease(8, hour).Count)
		a.busy = 4
		a.lease(8, hour)
		require.Equal(t, 4, b.lease(8, hour).Count)
	}},
	{"the lowest limit counts for all", func(t *testing.T, l importer.Ledger) {
		a, b := newUser(t, l, 8), newUser(t, l, 2)
		a.lease(8, hour)
		b.lease(8, hour)
		require.Equal(t, 1, a.lease(8, hour).Count)
		require.Equal(t, 1, b.lease(8, hour).Count)
		b.lease(0, hour)
		require.Equal(t, 8, a.lease(8, hour).Count, "and no longer than it is held")
	}},
	{"who gives up has nothing", func(t *testing.T, l importer.Ledger) {
		a, b := newUser(t, l, 8), newUser(t, l, 8)
		a.lease(8, hour)
		require.Equal(t, importer.SlotGrant{}, a.lease(0, hour))
		require.Equal(t, importer.SlotGrant{}, a.lease(0, hour))
		require.Equal(t, 8, b.lease(8, hour).Count)
	}},
	{"an expired block is free for others", func(t *testing.T, l importer.Ledger) {
		a, b := newUser(t, l, 8), newUser(t, l, 8)
		a.busy = 8
		a.lease(8, expired)
		require.Eventually(t, func() bool { return b.lease(8, hour).Count == 8 }, soon, often)
	}},
	{"dialers do not share", func(t *testing.T, l importer.Ledger) {
		a, b := newUser(t, l, 8), newUser(t, l, 8)
		a.lease(8, hour)
		g, err := l.LeaseSlots(t.Context(), "another", b.holder, importer.SlotWant{Calls: 8, Limit: 8}, hour)
		require.NoError(t, err)
		require.Equal(t, 8, g.Count)
	}},
	{"who wants little gets it, the others share the rest", func(t *testing.T, l importer.Ledger) {
		a, b, c := newUser(t, l, 10), newUser(t, l, 10), newUser(t, l, 10)
		for range 3 {
			a.lease(10, hour)
			b.lease(1, hour)
			c.lease(10, hour)
		}
		require.Equal(t, []int{5, 1, 4}, []int{a.may, b.may, c.may})
	}},
	{"of more holders than calls the first ones have one each", func(t *testing.T, l importer.Ledger) {
		a, b, c := newUser(t, l, 2), newUser(t, l, 2), newUser(t, l, 2)
		for range 3 {
			a.lease(2, hour)
			b.lease(2, hour)
			c.lease(2, hour)
		}
		require.Equal(t, []int{1, 1, 0}, []int{a.may, b.may, c.may})
		a.lease(0, hour)
		require.Equal(t, 1, c.lease(2, hour).Count)
	}},
	{"who yields has one call while another asks, and its share when it does no more", func(t *testing.T, l importer.Ledger) {
		late, first := newUser(t, l, 8), newUser(t, l, 8)
		late.yields = true
		require.Equal(t, 6, late.lease(6, hour).Count)
		require.Equal(t, 2, first.lease(8, hour).Count)
		late.busy = 6
		require.Equal(t, 1, late.lease(6, hour).Count, "it may begin no more")
		require.Equal(t, 2, first.lease(8, hour).Count)
		late.busy = 1
		late.lease(6, hour)
		require.Equal(t, 7, first.lease(8, hour).Count)
		require.Equal(t, 1, late.lease(6, hour).Count)
		second := newUser(t, l, 8)
		for range 3 {
			late.lease(6, hour)
			first.lease(8, hour)
			second.lease(8, hour)
		}
		require.Equal(t, []int{1, 4, 3}, []int{late.may, first.may, second.may})
		second.lease(0, hour)
		first.lease(0, hour)
		require.Equal(t, 6, late.lease(6, hour).Count)
	}},
	{"of too few calls who yields has none", func(t *testing.T, l importer.Ledger) {
		late, first := newUser(t, l, 1), newUser(t, l, 1)
		late.yields = true
		require.Equal(t, 1, late.lease(1, hour).Count)
		require.Zero(t, first.lease(1, hour).Count)
		require.Zero(t, late.lease(1, hour).Count)
		require.Equal(t, 1, first.lease(1, hour).Count)
		first.lease(0, hour)
		require.Equal(t, 1, late.lease(1, hour).Count)
	}},
	{"those who yield share as others do", func(t *testing.T, l importer.Ledger) {
		a, b := newUser(t, l, 8), newUser(t, l, 8)
		a.yields, b.yields = true, true
		for range 2 {
			a.lease(8, hour)
			b.lease(8, hour)
		}
		require.Equal(t, []int{4, 4}, []int{a.may, b.may})
	}},
	{"whatever happens, the calls never exceed the limit and the shares become fair", func(t *testing.T, l importer.Ledger) {
		const limit = 11
		r := rand.New(rand.NewPCG(1, 2))
		users := make([]*user, 4)
		for i := range users {
			users[i] = newUser(t, l, limit)
		}
		within := func() {
			sum := 0
			for _, u := range users {
				sum += max(u.busy, u.may) // what is or may come in flight
			}
			require.LessOrEqual(t, sum, limit)
		}
		for range 200 {
			u := users[r.IntN(len(users))]
			u.yields = r.IntN(2) == 0
			u.busy = min(u.busy, r.IntN(limit+1)) // some calls end
			want := r.IntN(limit + 1)
			if u.busy > 0 { // nobody gives up a block that is in use
				want++
			}
			u.lease(want, hour)
			if u.may > u.busy { // others begin
				u.busy += r.IntN(u.may - u.busy + 1)
			}
			within()
		}
		for range 3 {
			for i, u := range users {
				u.yields = i == 0
				u.busy = min(u.busy, u.may) // what is above the grant runs out
				u.lease(limit, hour)
				u.busy = max(u.busy, u.may) // and everything granted is used
				within()
			}
		}
		shares := []int{}
		for _, u := range users {
			shares = append(shares, u.may)
		}
		require.Equal(t, []int{1, 4, 3, 3}, shares)
	}},
}
