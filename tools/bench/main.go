// Command bench measures a real importer on a durable ledger against a
// simulated dialer, each a process of its own, and holds the figures against
// their targets. docs/performance.md says what they mean. It needs Linux, whose
// /proc tells what each process costs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
)

// options come from the environment, so that `make bench` can pass them on.
type options struct {
	parts string // which of the parts to run, in one word or several
	rows  int    // of the drop whose leads are all known
	held  int    // claims in the large ledger
}

// parts are what can be measured, in this order.
var parts = []struct {
	name string
	run  func(context.Context, *site, *table) error
}{
	{"read", read},
	{"deliver", deliver},
	{"known", known},
	{"claims", claims},
	{"idle", idle},
}

func main() {
	if len(os.Args) > 1 {
		if err := reader(os.Args[1], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	missed, err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if missed > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d targets were missed\n", missed)
		os.Exit(1)
	}
}

func run(ctx context.Context) (missed int, err error) {
	o, err := optionsFrom(os.Getenv)
	if err != nil {
		return 0, err
	}
	s, err := newSite(ctx, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	t := &table{out: os.Stdout}
	if err := about(ctx, s, t); err != nil {
		return 0, err
	}
	for _, p := range parts {
		if !strings.Contains(o.parts, p.name) {
			continue
		}
		if err := p.run(ctx, s, t); err != nil {
			return 0, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return t.missed, nil
}

func optionsFrom(env func(string) string) (options, error) {
	o := options{parts: "read deliver known claims idle", rows: 1_000_000, held: 10_000_000}
	if only := env("BENCH"); only != "" {
		o.parts = only
	}
	for name, n := range map[string]*int{"BENCH_ROWS": &o.rows, "BENCH_CLAIMS": &o.held} {
		text := env(name)
		if text == "" {
			continue
		}
		var err error
		if *n, err = strconv.Atoi(text); err != nil || *n <= few {
			return o, fmt.Errorf("%s is not a number above %d", name, few)
		}
	}
	return o, nil
}
