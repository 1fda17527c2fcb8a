package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/report"
)

func findCommand(sh *shell) *cobra.Command {
	var code string
	var id int64
	cmd := &cobra.Command{
		Use:   "find PHONE | --vendor-code X | --lead-id N",
		Short: "Show every row of a lead, and what became of it (- reads the number from standard input)",
		Long: `Shows the whole history of a lead, told by a phone number, by its vendor's code
or by the dialer's id of it: every row of the ledger that is, or was, that lead,
in which drop of which feed, its outcome, the dialer's lead id, how often it was
sent and how earlier attempts went, what was changed on it, for a DUPLICATE which
row held the lead, and which row holds it now. Rows that are the same lead by the
fields of their feed's dedupe are shown too, whatever their number or code is.

A number is read as the feeds read theirs, by the rules of each region that they
are configured for. Rows that became no lead are found by a cell that holds the
number and nothing else, or that holds the code in its column. Dialers count their
leads alike: a lead id may be found at several.

With - the number is read from standard input, so that it stays out of the list
of processes and of the shell's history.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) (err error) {
			byCode, byID := cmd.Flags().Changed("vendor-code"), cmd.Flags().Changed("lead-id")
			if err := oneWay(len(a) == 1, byCode, byID); err != nil {
				return err
			}
			code = strings.TrimSpace(code)
			switch {
			case byCode && code == "":
				return usagef("--vendor-code is empty")
			case byID && id < 1:
				return usagef("%d is no lead id", id)
			}
			text := strings.Join(a, "")
			if text == "-" {
				if text, err = firstLine(sh.in); err != nil {
					return err
				}
			}
			return sh.withLedger(cmd.Context(), func(a *app) error {
				if byCode || byID {
					return a.findLead(cmd.Context(), code, id)
				}
				return a.find(cmd.Context(), text)
			})
		},
	}
	cmd.Flags().StringVar(&code, "vendor-code", "", "find the lead by its vendor_lead_code")
	cmd.Flags().Int64Var(&id, "lead-id", 0, "find the lead by the dialer's id of it")
	return cmd
}

// oneWay refuses to look for a lead in no way, or in several.
func oneWay(ways ...bool) error {
	n := 0
	for _, way := range ways {
		if way {
			n++
		}
	}
	if n != 1 {
		return usagef("say which lead, in one way: a phone number (- reads it from standard input), --vendor-code X, or --lead-id N")
	}
	return nil
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
	found, err := a.ledger.Find(ctx, importer.Sought{Numbers: numbers, Digits: digits})
	if err != nil {
		return err
	}
	return report.Find(a.out, a.format(), report.Asked{ReadAs: readAs}, found)
}

// findLead finds a lead by its vendor's code, as it was written or as it is
// posted, or else by the dialer's id.
func (a *app) findLead(ctx context.Context, code string, id int64) error {
	sought := importer.Sought{LeadID: id}
	if code != "" {
		sought.Codes = []string{code}
		rules := lead.Rules{Region: "US", ListID: "999"} // of any lead: only the code counts
		if l, _, refusal := rules.Clean(lead.Lead{PhoneNumber: "2125550100", VendorLeadCode: code}); refusal == nil && l.VendorLeadCode != "" {
			sought.Codes = append(sought.Codes, l.VendorLeadCode)
		}
	}
	found, err := a.ledger.Find(ctx, sought)
	if err != nil {
		return err
	}
	return report.Find(a.out, a.format(), report.Asked{Code: code, LeadID: id}, found)
}

// regions are those whose rules the feeds read numbers by.
func (a *app) regions() []string {
	regions := map[string]bool{}
	for _, f := range a.cfg.Feeds {
		regions[f.Region] = true
	}
	return sortedKeys(regions)
}
