package main

import (
	"strings"

	"github.com/spf13/cobra"

	"importer/internal/config"
)

// completeWords tells shells what may stand where: names of feeds where a
// command takes FEED or --feed, files where it takes files, else nothing.
func (sh *shell) completeWords(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	mustComplete(root.MarkPersistentFlagFilename("config", "yaml", "yml"))
	sh.completeCommand(root)
}

func (sh *shell) completeCommand(cmd *cobra.Command) {
	switch how := strings.Fields(cmd.Use); {
	case len(how) < 2:
	case how[1] == "FEED":
		cmd.ValidArgsFunction = sh.feedOnce
	case strings.HasPrefix(how[1], "FILE"):
		cmd.ValidArgsFunction = files
	}
	if cmd.Flags().Lookup("feed") != nil {
		mustComplete(cmd.RegisterFlagCompletionFunc("feed", sh.feeds))
	}
	for _, c := range cmd.Commands() {
		sh.completeCommand(c)
	}
}

// feedOnce completes the one feed that a command takes.
func (sh *shell) feedOnce(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sh.feeds(cmd, args, begun)
}

// feeds completes the name of a feed from the configuration file alone: the
// ledger is not opened for it.
func (sh *shell) feeds(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names, err := config.FeedNames(sh.config)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func files(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// mustComplete is for flags that are there.
func mustComplete(err error) {
	if err != nil {
		panic(err)
	}
}
