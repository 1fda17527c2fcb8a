package main

import (
	"bufio"
	"context"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// about tells what is measured on, and how long its disk takes for a commit.
func about(ctx context.Context, s *site, t *table) error {
	conn, err := pgx.Connect(ctx, s.server.DSN())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was left to be written
	var version string
	if err := conn.QueryRow(ctx, `SHOW server_version`).Scan(&version); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `CREATE TABLE commits (n int)`); err != nil {
		return err
	}
	const commits = 200
	began := time.Now()
	for range commits {
		if _, err := conn.Exec(ctx, `INSERT INTO commits VALUES (1)`); err != nil {
			return err
		}
	}
	took := time.Since(began) / commits
	if _, err := conn.Exec(ctx, `DROP TABLE commits`); err != nil {
		return err
	}
	t.title("%d processors (%s), PostgreSQL %s, %s, %s", runtime.NumCPU(), processor(), version, runtime.Version(), time.Now().Format(time.DateOnly))
	t.told("a commit that waits for the disk", "%.2f ms", float64(took.Microseconds())/1000)
	return nil
}

func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
