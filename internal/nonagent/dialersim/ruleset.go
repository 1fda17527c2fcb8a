package dialersim

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// ruleset is the rules from one SetRules to the next.
type ruleset struct {
	set  time.Time
	over chan struct{} // closed when other rules were set

	mu     sync.Mutex
	active []*activeRule
}

// activeRule is a rule at work. Its dice are its own, so that what it hits
// depends on the seed and the order of its requests alone.
type activeRule struct {
	Rule
	apply func(*hit) Fault
	kind  *kind
	seen  int
	dice  *rand.Rand
}

// hit is one request that a rule hits.
type hit struct {
	d       *Dialer
	request *Request
	chance  float64       // 0 to 1, for what the fault leaves to chance
	left    time.Duration // until the rule's time ends; 0: it has no end
	over    <-chan struct{}
}

// SetRules replaces the rules by which requests meet faults, from the next
// request on; a request that several hit meets all of them. The same seed,
// rules and order of requests make the same faults. What the rules before held
// up (a stall, a blocked table, a frozen database) goes on at once; requests
// that they made late still come late. With an error nothing was changed.
func (d *Dialer) SetRules(seed uint64, rules ...Rule) error {
	next := &ruleset{set: time.Now(), over: make(chan struct{})}
	for i, r := range rules {
		apply, err := r.compile()
		if err != nil {
			return err
		}
		k, _ := kindOf(r.Fault)
		next.active = append(next.active, &activeRule{
			Rule: r, apply: apply, kind: k, dice: rand.New(rand.NewPCG(seed, uint64(i))),
		})
	}
	if len(rules) == 0 {
		next = nil
	}
	if last := d.rules.Swap(next); last != nil {
		close(last.over)
	}
	return nil
}

// Rules is the rules that are set.
func (d *Dialer) Rules() []Rule {
	set := d.rules.Load()
	if set == nil {
		return nil
	}
	rules := make([]Rule, len(set.active))
	for i, r := range set.active {
		rules[i] = r.Rule
	}
	return rules
}

// Heal makes the dialer work: no rules, no SetFault, no Block; the database
// answers and the settings fail nothing any more; failed logins are forgotten.
// Requests that were made late still come late: InFlight tells of them.
func (d *Dialer) Heal() {
	_ = d.SetRules(0) // no rules: no mistake in them
	d.SetFault(nil)
	if release := d.blocked.Load(); release != nil {
		(*release)()
	}
	d.Configure(func(s *Settings) {
		s.ConnectError, s.MaxRecords = "", 0
		s.InsertFails, s.LogFails, s.LookupsFail, s.PasswordChanged, s.AccountLocked = false, false, false, false, false
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.accounts {
		a.failures, a.lastLogin = 0, time.Time{}
	}
}

// Hits counts the requests that each fault of the catalogue has hit since the
// dialer was made.
func (d *Dialer) Hits() map[string]int {
	d.hitsMu.Lock()
	defer d.hitsMu.Unlock()
	return maps.Clone(d.hits)
}

// faultByRules is what the rules do to a request that just arrived.
func (d *Dialer) faultByRules(r *Request) Fault {
	set := d.rules.Load()
	if set == nil {
		return Fault{}
	}
	var all Fault
	for _, h := range set.choose(r) {
		d.hitsMu.Lock()
		d.hits[h.rule.Fault]++
		d.hitsMu.Unlock()
		h.d, h.request, h.over = d, r, set.over
		f := h.rule.apply(&h.hit)
		f.over = set.over
		all = all.and(f)
	}
	return all
}

type chosen struct {
	hit
	rule *activeRule
}

func (s *ruleset) choose(r *Request) []chosen {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := time.Since(s.set)
	var hits []chosen
	for _, rule := range s.active {
		if !rule.about(r.Function) {
			continue
		}
		rule.seen++
		lot, chance := rule.dice.Float64(), rule.dice.Float64()
		if !rule.hits(rule.seen, since) || rule.Probability != 0 && lot >= rule.Probability {
			continue
		}
		h := chosen{rule: rule, hit: hit{chance: chance}}
		if rule.For != 0 {
			h.left = rule.After + rule.For - since
		}
		hits = append(hits, h)
	}
	return hits
}

// about tells whether requests of a function count for the rule.
func (r *activeRule) about(function string) bool {
	if r.Function != "" {
		return r.Function == function
	}
	return r.kind.concerns(function)
}

// concerns tells whether the fault is one of a function.
func (k *kind) concerns(function string) bool {
	return k.functions == nil || slices.Contains(k.functions, function)
}
