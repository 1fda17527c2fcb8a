package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"importer/internal/report"
)

// superviseCommand is what localpg starts to keep the private PostgreSQL.
const superviseCommand = "supervise-postgres"

// shell is what every command has: its streams and the common flags.
type shell struct {
	in          io.Reader
	out, errOut io.Writer
	log         *slog.Logger // the daemon's; nil for a command
	config      string
	json        bool
}

func newRoot(in io.Reader, out, errOut io.Writer) *cobra.Command {
	sh := &shell{in: in, out: out, errOut: errOut}
	root := &cobra.Command{
		Use:   "importer",
		Short: "Loads contact files into a VICIdial dialer, each lead once, and accounts for every row",
		Long: `importer reads files of contacts, skips what was loaded before, posts each new
lead once through VICIdial's Non-Agent API, and records every row's outcome.

New here? Run: importer demo

Exit status: 0 done; 1 failed; 2 usage or configuration; 3 done, but a person
is needed (ERROR or REVIEW rows, a held file); 130 interrupted.`,
		Args:          args(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentFlags().StringVarP(&sh.config, "config", "c", "importer.yaml", "configuration file")
	root.PersistentFlags().BoolVar(&sh.json, "json", false, "write JSON for programs")
	root.AddCommand(
		demoCommand(sh), importCommand(sh), runCommand(sh), serveCommand(sh), pauseCommand(sh), unpauseCommand(sh), cancelCommand(sh), reloadCommand(sh), backfillCommand(sh), sourceCommand(sh), releaseCommand(sh), discardCommand(sh), checkCommand(sh), inspectCommand(sh),
		reconcileCommand(sh), retryCommand(sh), statusCommand(sh), reportCommand(sh), runsCommand(sh), dropsCommand(sh), showCommand(sh), rejectsCommand(sh), findCommand(sh),
		dialerCommand(sh), simulateCommand(sh), migrateCommand(sh), notifyCommand(sh), configCommand(sh), versionCommand(sh),
		manCommand(), healthcheckCommand(sh),
	)
	sh.completeWords(root)
	return root
}

// args makes cobra's argument checks usage errors.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		err := check(cmd, a)
		switch {
		case err == nil:
			return nil
		case cmd.HasSubCommands(): // a mistyped command
			return usagef("%w; see %s --help", err, cmd.CommandPath())
		}
		how, _, _ := strings.Cut(cmd.UseLine(), " [flags]")
		return usagef("%s takes other arguments: write %s; see %s --help", cmd.CommandPath(), how, cmd.CommandPath())
	}
}

// format is how results are written.
func (sh *shell) format() report.Format {
	if sh.json {
		return report.JSON
	}
	return report.Table
}

// say writes a command's result: as an object for programs, as a sentence for
// people.
func (sh *shell) say(object any, format string, a ...any) error {
	if sh.json {
		return json.NewEncoder(sh.out).Encode(object)
	}
	_, err := fmt.Fprintf(sh.out, format+"\n", a...)
	return err
}

// isTerminal tells whether a person watches a stream.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
