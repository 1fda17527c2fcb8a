package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"importer/internal/config"
)

// stamp is set by the build to the released version.
var stamp string

func version() string {
	if stamp != "" {
		return stamp
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func versionCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return sh.say(map[string]string{"version": version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "go": runtime.Version()},
				"importer %s %s/%s %s", version(), runtime.GOOS, runtime.GOARCH, runtime.Version())
		},
	}
}

func migrateCommand(sh *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the ledger's schema up to date",
		Long: `Brings the ledger's schema up to date. Every command that opens the ledger
does so as well; this one is for those who want it to happen at a time of
their choice.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := sh.load()
			if err != nil {
				return err
			}
			defer a.close()
			if err := a.connect(cmd.Context()); err != nil {
				return err
			}
			steps, err := a.migrate(cmd.Context())
			if err != nil {
				return err
			}
			current, _, err := a.ledger.Version(cmd.Context())
			if err != nil {
				return err
			}
			return a.say(map[string]int64{"version": current, "steps": int64(steps)},
				"the ledger is at version %d, steps taken: %d", current, steps)
		},
	}
}

func configCommand(sh *shell) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Check or describe the configuration", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "check", Short: "Say all that is wrong with the configuration, or print it as it is in force, without secrets",
			Args: args(cobra.NoArgs),
			RunE: func(*cobra.Command, []string) error {
				a, err := sh.load()
				if err != nil {
					return err
				}
				a.tellLacks()
				if len(a.cfg.Lacks) > 0 {
					return usagef("the warnings name what is not there: dialers, feeds and targets that need it cannot be used")
				}
				text, err := a.cfg.Redacted()
				if err != nil {
					return err
				}
				_, err = sh.out.Write(text)
				return err
			},
		},
		&cobra.Command{
			Use: "schema", Short: "Print the configuration's JSON schema, for editors", Args: args(cobra.NoArgs),
			RunE: func(*cobra.Command, []string) error {
				text, err := config.Schema()
				if err != nil {
					return err
				}
				_, err = sh.out.Write(text)
				return err
			},
		},
	)
	return cmd
}
