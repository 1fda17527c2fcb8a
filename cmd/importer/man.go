package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand is what `make dist` makes the man pages with. Their date is
// SOURCE_DATE_EPOCH, where that is set.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the man pages of all commands into a folder", Hidden: true,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if err := os.MkdirAll(a[0], 0o755); err != nil { //nolint:gosec // man pages are for everybody
				return fmt.Errorf("making the folder of the man pages: %w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			keepLines(root)
			if err := doc.GenManTree(root, &doc.GenManHeader{Source: "importer " + version(), Manual: "importer"}, a[0]); err != nil {
				return fmt.Errorf("writing the man pages: %w", err)
			}
			return nil
		},
	}
}

// keepLines indents what is indented by two blanks in a command's description
// by six: it is read as Markdown, to which that is text whose lines stay.
func keepLines(cmd *cobra.Command) {
	cmd.Long = strings.ReplaceAll(cmd.Long, "\n  ", "\n      ")
	for _, c := range cmd.Commands() {
		keepLines(c)
	}
}
