package dialersim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// ControlPath is where a dialer with Options.Control is told about and changed:
//
//	GET    stats      Stats, as JSON
//	GET    inserts    every Insert, one JSON object a line
//	GET    faults     the rules, one a line
//	PUT    faults     SetRules with the rules sent, one a line; ?seed=N
//	DELETE faults     Heal
const ControlPath = "/simulator/"

// Stats is what happened since the dialer was made.
type Stats struct {
	Calls       map[string]int `json:"calls"` // by function
	InFlight    int            `json:"in_flight"`
	MaxInFlight int            `json:"max_in_flight"`
	Leads       int            `json:"leads"`   // in the table now
	Inserts     int            `json:"inserts"` // executed by requests
	Faults      map[string]int `json:"faults"`  // requests hit, by fault
}

// Stats is the figures of the moment.
func (d *Dialer) Stats() Stats {
	calls, now, most := d.desk.totals()
	return Stats{
		Calls: calls, InFlight: now, MaxInFlight: most,
		Leads: d.table.len(), Inserts: d.table.inserted(), Faults: d.Hits(),
	}
}

// maxRules bounds what is read of rules.
const maxRules = 1 << 20

// serveControl answers on this machine only: whoever reaches it may do anything
// to the dialer.
func (d *Dialer) serveControl(w http.ResponseWriter, r *http.Request) {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
		http.Error(w, "the simulated dialer is controlled from its own machine only", http.StatusForbidden)
		return
	}
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, ControlPath) {
	case "GET stats":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d.Stats())
	case "GET inserts":
		w.Header().Set("Content-Type", "application/jsonl")
		lines := json.NewEncoder(w)
		for _, insert := range d.Inserts() {
			if lines.Encode(insert) != nil {
				return // nobody reads on
			}
		}
	case "GET faults":
		for _, rule := range d.Rules() {
			fmt.Fprintln(w, rule)
		}
	case "PUT faults":
		if err := d.putRules(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case "DELETE faults":
		d.Heal()
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

func (d *Dialer) putRules(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRules))
	if err != nil {
		return err
	}
	var seed uint64
	if text := r.URL.Query().Get("seed"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return fmt.Errorf("the seed %q is no number of 0 or more", text)
		}
	}
	var rules []Rule
	for line := range strings.Lines(string(body)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rule, err := ParseRule(line)
		if err != nil {
			return err
		}
		rules = append(rules, rule)
	}
	return d.SetRules(seed, rules...)
}
