package dialersim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rule is a fault of the catalogue with the requests that it hits: those of a
// function, by number, by time and by chance, all of which must agree. The
// zero value of a condition is none.
type Rule struct {
	Fault    string // its name in Faults
	Function string // default: every function that the fault is one of
	// Probability is the part of the requests that it hits; 0: all of them.
	Probability float64
	// From and To are the first and the last request, by their number among
	// those that the rule is about since it was set, from 1; Every 3 hits
	// every third one of them, beginning with From.
	From, To, Every int
	// After is when it begins and For how long it lasts, since it was set.
	After, For time.Duration
	Value      string // what the fault is told, such as "5s" or "503"
}

// ParseRule reads a rule as String writes it: the fault's name, the function,
// and what else is wanted of p=, from=, to=, every=, after=, for= and, as the
// last one since it may hold blanks, value=.
func ParseRule(text string) (Rule, error) {
	bad := func(part string) (Rule, error) {
		return Rule{}, fmt.Errorf("the rule %q cannot be read at %q: write it like \"lost-answer add_lead p=0.02 from=10 to=20 every=3 after=5s for=10s value=5s\"", text, part)
	}
	head, value, _ := strings.Cut(" "+text, " value=")
	words := strings.Fields(head)
	if len(words) == 0 {
		return bad(text)
	}
	r := Rule{Fault: words[0], Value: strings.TrimSpace(value)}
	for i, word := range words[1:] {
		key, value, pair := strings.Cut(word, "=")
		var err error
		switch {
		case !pair && i == 0:
			r.Function = word
		case key == "p":
			if r.Probability, err = strconv.ParseFloat(value, 64); r.Probability == 0 {
				return bad(word) // in a Rule that would be always
			}
		case key == "from":
			r.From, err = strconv.Atoi(value)
		case key == "to":
			r.To, err = strconv.Atoi(value)
		case key == "every":
			r.Every, err = strconv.Atoi(value)
		case key == "after":
			r.After, err = time.ParseDuration(value)
		case key == "for":
			r.For, err = time.ParseDuration(value)
		default:
			return bad(word)
		}
		if err != nil {
			return bad(word)
		}
	}
	_, err := r.compile()
	return r, err
}

// String is the rule in one line.
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(r.Fault)
	if r.Function != "" {
		b.WriteString(" " + r.Function)
	}
	if r.Probability != 0 {
		b.WriteString(" p=" + strconv.FormatFloat(r.Probability, 'g', -1, 64))
	}
	for _, n := range []struct {
		key   string
		value int
	}{{"from", r.From}, {"to", r.To}, {"every", r.Every}} {
		if n.value != 0 {
			b.WriteString(" " + n.key + "=" + strconv.Itoa(n.value))
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"after", r.After}, {"for", r.For}} {
		if d.value != 0 {
			b.WriteString(" " + d.key + "=" + d.value.String())
		}
	}
	if r.Value != "" {
		b.WriteString(" value=" + r.Value)
	}
	return b.String()
}

// compile checks the rule and returns what its fault does to a request.
func (r Rule) compile() (func(*hit) Fault, error) {
	k, ok := kindOf(r.Fault)
	if !ok {
		return nil, fmt.Errorf("the simulated dialer has no fault %q, only %s", r.Fault, strings.Join(faultNames(), ", "))
	}
	if _, known := functions[r.Function]; !known && r.Function != "" && r.Function != "version" {
		return nil, fmt.Errorf("the simulated dialer has no function %q for the fault %s", r.Function, r.Fault)
	}
	if r.Function != "" && !k.concerns(r.Function) {
		return nil, fmt.Errorf("%s is no fault of %s, only of %s", r.Fault, r.Function, strings.Join(k.functions, ", "))
	}
	if !(r.Probability >= 0 && r.Probability <= 1) {
		return nil, fmt.Errorf("the rule %q needs a probability p from 0 to 1", r)
	}
	if r.From < 0 || r.To < 0 || r.Every < 0 || r.After < 0 || r.For < 0 || r.To != 0 && r.To < r.From {
		return nil, fmt.Errorf("the rule %q needs numbers and times of 0 or more, and a from that is not behind its to", r)
	}
	if r.Value != "" && k.Value == "" {
		return nil, fmt.Errorf("the rule %q gives a value to a fault that takes none", r)
	}
	apply, err := k.make(r.Value)
	if err != nil {
		return nil, fmt.Errorf("the rule %q needs another value (%s): %w", r, k.Value, err)
	}
	return apply, nil
}

// hits tells whether the nth request, so long after the rule was set, is one
// of those it names; its dice are thrown by the caller.
func (r Rule) hits(nth int, since time.Duration) bool {
	from := max(r.From, 1)
	return nth >= from && (r.To == 0 || nth <= r.To) && (r.Every == 0 || (nth-from)%r.Every == 0) &&
		since >= r.After && (r.For == 0 || since < r.After+r.For)
}
