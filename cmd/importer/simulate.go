package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/nonagent/dialersim"
)

func simulateCommand(sh *shell) *cobra.Command {
	o := dialersim.Options{Address: "127.0.0.1:8090", Password: "simulated"}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a simulated dialer for rehearsals",
		Long: `Serves a simulated dialer until it is interrupted. It answers the Non-Agent
API as a real VICIdial was recorded to, keeps its leads in memory, and knows
the lists 101 and 102. configs/simulate.yaml is a configuration for it.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := dialersim.Start(o)
			if err != nil {
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
	return cmd
}
