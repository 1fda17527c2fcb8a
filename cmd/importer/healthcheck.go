package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthcheckCommand is for images without a shell or curl.
func healthcheckCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use: "healthcheck", Short: "Ask the importer serve of this configuration whether it is ready", Hidden: true,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := sh.load()
			if err != nil {
				return err
			}
			if a.cfg.Serve.Listen == "" {
				return usagef("serve.listen is empty, so that nobody can ask importer serve: set it, or turn the health check off")
			}
			return askReady(cmd.Context(), a.cfg.Serve.Listen)
		},
	}
}

// askReady fails unless what listens at an address says that it is ready.
func askReady(ctx context.Context, listen string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/readyz", nil)
	if err != nil {
		return err
	}
	direct := &http.Client{Transport: &http.Transport{}} // by no proxy
	resp, err := direct.Do(req)
	if err != nil {
		return fmt.Errorf("importer serve does not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	why, _, err := bufio.NewReader(resp.Body).ReadLine()
	if err != nil {
		return fmt.Errorf("importer serve is not ready (%s)", resp.Status)
	}
	return fmt.Errorf("importer serve is not ready (%s): %s", resp.Status, why)
}
