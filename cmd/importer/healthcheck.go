package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"importer/internal/daemon/health"
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

// askReady fails unless the importer serve at an address says that it is ready.
func askReady(ctx context.Context, listen string) error {
	answer, why, err := askServe(ctx, listen, http.MethodGet, "/readyz", 5*time.Second)
	if err != nil {
		return err
	}
	if answer != http.StatusOK {
		return fmt.Errorf("importer serve is not ready (%d): %s", answer, why)
	}
	return nil
}

// askServe asks the importer serve at an address, and returns the status that it
// answers with and what it says.
func askServe(ctx context.Context, listen, method, path string, within time.Duration) (status int, said string, err error) {
	const longest = 1 << 20
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+listen+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set(health.ReloadHeader, "1")
	direct := &http.Client{Transport: &http.Transport{}} // by no proxy
	answer, err := direct.Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("no importer serve answers at serve.listen (%s): %w", listen, err)
	}
	defer answer.Body.Close()
	if answer.Header.Get(health.VersionHeader) == "" {
		return 0, "", fmt.Errorf("what answers at serve.listen (%s) is no importer serve: start it, or correct serve.listen", listen)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, longest))
	return answer.StatusCode, strings.TrimSpace(string(text)), err
}
