package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"importer/internal/lead"
	"importer/internal/report"
)

func findCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "find PHONE",
		Short: "Show every row that has a phone number, and what became of it (- reads the number from standard input)",
		Long: `Shows every row of the ledger that has, or had, a phone number: in which drop
of which feed, its outcome, the dialer's lead id, how often it was sent, and
for a DUPLICATE which row holds the lead. The number is read as the feeds read
theirs, by the rules of each region that they are configured for. Rows that
became no lead are found by a cell that holds the number and nothing else.

With - the number is read from standard input, so that it stays out of the list
of processes and of the shell's history.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			text := a[0]
			if text == "-" {
				var err error
				if text, err = firstLine(sh.in); err != nil {
					return err
				}
			}
			return sh.withLedger(cmd.Context(), func(a *app) error { return a.find(cmd.Context(), text) })
		},
	}
}

func firstLine(in io.Reader) (string, error) {
	const longest = 1000
	text, err := io.ReadAll(io.LimitReader(in, longest))
	if err != nil {
		return "", fmt.Errorf("reading the number from standard input: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line, nil
}

func (a *app) find(ctx context.Context, text string) error {
	const fewest = 6 // digits of the shortest number that the dialer takes
	digits := strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, text)
	if len(digits) < fewest {
		return usageError{errors.New("that is no phone number: it has fewer than 6 digits")}
	}
	var numbers []lead.Lead
	readAs := []report.Number{}
	for _, region := range a.regions() {
		rules := lead.Rules{Region: region, ListID: "999"} // any list: only the number counts
		l, _, refusal := rules.Clean(lead.Lead{PhoneNumber: text})
		n := report.Number{Code: l.PhoneCode, Number: l.PhoneNumber}
		if refusal == nil && !slices.Contains(readAs, n) {
			numbers, readAs = append(numbers, l), append(readAs, n)
		}
	}
	found, err := a.ledger.Find(ctx, numbers, digits)
	if err != nil {
		return err
	}
	return report.Find(a.out, a.format(), readAs, found)
}

// regions are those whose rules the feeds read numbers by.
func (a *app) regions() []string {
	regions := map[string]bool{}
	for _, f := range a.cfg.Feeds {
		regions[f.Region] = true
	}
	return sortedKeys(regions)
}
