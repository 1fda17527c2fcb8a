package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"importer/configs"
	"importer/internal/config"
	"importer/internal/localpg"
	"importer/internal/nonagent/dialersim"
)

func demoCommand(sh *shell) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "One full morning with nothing configured: private PostgreSQL, simulated dialer, sample drops",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.demo(cmd.Context(), keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the demo's folder for a look around")
	return cmd
}

// demoConfig is a whole configuration: a dialer, a feed, nothing else.
const demoConfig = `state_dir: ./state
dialers:
  simulated:
    url: %s
    user: importer
    password: %s
feeds:
  acme:
    dialer: simulated
    list_id: 101
    region: US
`

func (sh *shell) demo(ctx context.Context, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "importer-demo-")
	if err != nil {
		return fmt.Errorf("making the demo's folder: %w", err)
	}
	if keep {
		defer fmt.Fprintf(sh.out, "The demo's folder is left at %s\n", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	// PostgreSQL runs as an ordinary user even where root runs the demo, and
	// must be able to reach its data.
	//nolint:gosec // passing through shows nothing
	if err := os.Chmod(dir, 0o711); err != nil {
		return fmt.Errorf("making the demo's folder: %w", err)
	}
	dialer, files, err := demoParts(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dialer.Close()) }()
	server, err := sh.demoLedger(ctx, filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, server.Close())
		if !keep {
			err = errors.Join(err, os.RemoveAll(server.Dir()))
		}
	}()

	demo := &shell{in: sh.in, out: sh.out, errOut: sh.errOut, config: filepath.Join(dir, "importer.yaml")}
	say := func(format string, a ...any) { fmt.Fprintf(sh.out, format+"\n", a...) }
	say("A simulated VICIdial answers at %s.\nA private PostgreSQL is the ledger.\n", dialer.URL())
	say("$ importer import %s --feed acme --again", strings.Join(baseNames(files), " "))
	if err := demo.importFiles(ctx, files, "acme", false, true); !needsPerson(err) {
		return err
	}
	say("\nThe vendor sends the first file once more:\n$ importer import %s --feed acme", filepath.Base(files[0]))
	calls := dialer.Calls("add_lead")
	if err := demo.importFiles(ctx, files[:1], "acme", false, false); err != nil {
		return err
	}
	if again := dialer.Calls("add_lead") - calls; again != 0 {
		return fmt.Errorf("the second import made %d calls, it should have made none", again)
	}
	say("\n$ importer report --feed acme")
	if err := demo.demoReport(ctx); err != nil {
		return err
	}
	say("\nThe dialer has %d leads, added by %d calls, at most %d of them at once.", dialer.Len(), dialer.Calls("add_lead"), dialer.MaxInFlight(""))
	say("\nWhat next:")
	program := programName()
	w := tabwriter.NewWriter(sh.out, 0, 0, 3, ' ', 0)
	for _, step := range [][2]string{
		{program + " simulate", "a simulated dialer to try your own files on, in another terminal"},
		{program + " check YOUR.csv --feed acme -c configs/simulate.yaml", "what would happen to each row"},
		{program + " import YOUR.csv --feed acme -c configs/simulate.yaml", ""},
		{program + " rejects 1 -c configs/simulate.yaml", "the rows that could not be loaded, for the vendor"},
		{"cp configs/importer.example.yaml importer.yaml", "then edit it: your dialer, your feeds"},
		{program + " dialer check", "is the address right, are the permissions there"},
	} {
		fmt.Fprintf(w, "  %s\t%s\n", step[0], step[1])
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing what is next: %w", err)
	}
	return nil
}

// programName is what to type to run this program again: what was typed, where
// the shell would not find it otherwise.
func programName() string {
	if name := os.Args[0]; strings.ContainsRune(name, filepath.Separator) && !filepath.IsAbs(name) {
		return name
	}
	return "importer"
}

// demoLedger keeps one private PostgreSQL for all of the demo's commands.
func (sh *shell) demoLedger(ctx context.Context, state string) (*localpg.Server, error) {
	a := &app{shell: sh, cfg: &config.Config{StateDir: state}}
	if err := a.makeState(); err != nil {
		return nil, err
	}
	return a.startPostgres(ctx)
}

// needsPerson tells whether an import did all it could and has rows that a
// person should look at, which the samples have on purpose.
func needsPerson(err error) bool {
	var person *personError
	return errors.As(err, &person)
}

func (sh *shell) demoReport(ctx context.Context) error {
	cmd := reportCommand(sh)
	cmd.SetArgs([]string{"--feed", "acme"})
	cmd.SetOut(sh.out)
	return cmd.ExecuteContext(ctx)
}

// demoParts starts the dialer, writes the configuration and lays out the
// sample drops.
func demoParts(dir string) (*dialersim.Server, []string, error) {
	password := rand.Text()
	dialer, err := dialersim.Start(dialersim.Options{Password: password})
	if err != nil {
		return nil, nil, err
	}
	files, err := func() ([]string, error) {
		if err := addDNC(dialer); err != nil {
			return nil, err
		}
		text := fmt.Sprintf(demoConfig, dialer.URL(), password)
		if err := os.WriteFile(filepath.Join(dir, "importer.yaml"), []byte(text), 0o600); err != nil {
			return nil, err
		}
		names, err := fs.Glob(configs.Samples, "samples/*.csv")
		if err != nil {
			return nil, err
		}
		for i, name := range names {
			text, err := configs.Samples.ReadFile(name)
			if err != nil {
				return nil, err
			}
			names[i] = filepath.Join(dir, filepath.Base(name))
			if err := os.WriteFile(names[i], text, 0o600); err != nil {
				return nil, err
			}
		}
		return names, nil
	}()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("preparing the demo: %w", err), dialer.Close())
	}
	return dialer, files, nil
}

// addDNC puts the samples' do-not-call numbers on the dialer's list.
func addDNC(dialer *dialersim.Server) error {
	f, err := configs.Samples.Open("samples/dnc.txt")
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if n := strings.TrimSpace(lines.Text()); n != "" && !strings.HasPrefix(n, "#") {
			dialer.AddDNC("SYSTEM_INTERNAL", n)
		}
	}
	return lines.Err()
}

func baseNames(paths []string) []string {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = filepath.Base(p)
	}
	return names
}
