package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/nonagent/dialersim"
)

func simulateCommand(sh *shell) *cobra.Command {
	o := dialersim.Options{Address: "127.0.0.1:8090", Password: "simulated", Control: true}
	var faults []string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a simulated dialer for rehearsals",
		Long: `Serves a simulated dialer until it is interrupted. It answers the Non-Agent
API as a real VICIdial was recorded to, keeps its leads in memory, and knows
the lists 101 and 102. configs/simulate.yaml is a configuration for it.

A --fault goes wrong with the requests that its rule names:

  NAME [FUNCTION] [p=P] [from=N] [to=N] [every=N] [after=D] [for=D] [value=V]

p is the probability; from, to and every go by the number of the request among
those of the function, after and for by the time since the start. While it runs,
this machine can ask and change it (URL is where it listens):

  curl URL/simulator/stats                                  what it was asked and did
  curl URL/simulator/inserts                                each lead it inserted
  curl URL/simulator/faults                                 the rules
  curl -T RULES.txt URL/simulator/faults?seed=7             other rules, one a line
  curl -X DELETE URL/simulator/faults                       none: it is healed

The faults:

` + faultList(),
		Example: `  importer simulate --fault "lost-answer add_lead p=0.02" --fault "busy every=50 value=3"`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			rules := make([]dialersim.Rule, len(faults))
			for i, text := range faults {
				rule, err := dialersim.ParseRule(text)
				if err != nil {
					return usagef("--fault: %w", err)
				}
				rules[i] = rule
			}
			s, err := dialersim.Start(o)
			if err != nil {
				return err
			}
			if err := s.SetRules(seed, rules...); err != nil {
				return err
			}
			fmt.Fprintf(sh.out, "Simulated dialer at %s, user importer, lists 101 and 102. Ctrl-C ends it.\n", s.URL())
			<-cmd.Context().Done()
			fmt.Fprintf(sh.out, "%d leads were added by %d add_lead calls, at most %d calls at once.\n", s.Len(), s.Calls("add_lead"), s.MaxInFlight(""))
			return s.Close()
		},
	}
	cmd.Flags().StringVar(&o.Address, "listen", o.Address, "address to serve at")
	cmd.Flags().StringVar(&o.Password, "password", o.Password, "password of the user importer, which is no secret")
	cmd.Flags().DurationVar(&o.Latency, "latency", 0*time.Second, "how long each call takes at least")
	cmd.Flags().StringArrayVar(&faults, "fault", nil, "what goes wrong, and when (may be repeated)")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "of the faults' dice: the same seed hits the same requests")
	return cmd
}

// faultList is the catalogue for people.
func faultList() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, f := range dialersim.Faults() {
		fmt.Fprintf(w, "  %s\t%s", f.Name, f.Says)
		if f.Value != "" {
			fmt.Fprintf(w, " Value: %s.", f.Value)
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // into memory: it cannot fail
	return strings.TrimRight(b.String(), "\n")
}
