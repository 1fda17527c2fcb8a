package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// How long an idle importer is watched, and how many feeds are usual, and many.
const (
	idleFor    = time.Minute
	usualFeeds = 10
	manyFeeds  = 1000
)

// idleFeed is a feed whose slots come in the morning.
const idleFeed = `  feed-%d:
    dialer: main
    list_id: 101
    source: {directory: {path: ./drops, pattern: "*.csv"}, after: archive, rejects: rejects}
    schedule: ["0 6 * * 1-5", "*/15 7-9 * * 1-5"]
    time_zone: America/New_York
    expect_by: "07:30"
    columns: {phone_number: Phone, first_name: First}
    dedupe: {by: [phone_number], scope: dialer, window: 90d}
`

// idle measures what importer serve costs while nothing is due.
func idle(ctx context.Context, s *site, t *table) error {
	t.title("importer serve with nothing to do, after %s", idleFor)
	usual, err := s.idle(ctx, usualFeeds)
	if err != nil {
		return err
	}
	many, err := s.idle(ctx, manyFeeds)
	if err != nil {
		return err
	}
	t.atMost(fmt.Sprintf("memory with %d feeds", usualFeeds), "%.1f MiB", mib(usual.memory), 40)
	t.atMost("  of a processor", "%.2f %%", usual.share(), 1)
	t.told(fmt.Sprintf("memory with %d feeds", manyFeeds), "%.1f MiB", mib(many.memory))
	t.atMost("  of a processor", "%.2f %%", many.share(), 1)
	return nil
}

// share is how much of a processor the importer took, in percent.
func (m measured) share() float64 { return 100 * m.own.Seconds() / m.wall.Seconds() }

// idle watches an importer that serves.
func (s *site) idle(ctx context.Context, feeds int) (m measured, err error) {
	var text strings.Builder
	fmt.Fprintf(&text, "serve: {listen: %q}\n", "127.0.0.1:0")
	fmt.Fprintf(&text, config, s.secret, s.dialerURL, s.password, 8)
	for i := range feeds {
		fmt.Fprintf(&text, idleFeed, i)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "importer.yaml"), []byte(text.String()), 0o600); err != nil {
		return m, err
	}
	cmd := exec.CommandContext(ctx, s.importer, "serve")
	cmd.Dir = s.dir
	log, err := cmd.StderrPipe()
	if err != nil {
		return m, err
	}
	if err := cmd.Start(); err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()) }()
	for lines := bufio.NewScanner(log); ; {
		if !lines.Scan() {
			return m, fmt.Errorf("importer serve has not started: %w", errors.Join(lines.Err(), ctx.Err()))
		}
		if strings.Contains(lines.Text(), "importer serve has started") {
			break
		}
	}
	before, err := spent(cmd.Process.Pid)
	if err != nil {
		return m, err
	}
	began := time.Now()
	select {
	case <-time.After(idleFor):
	case <-ctx.Done():
		return m, ctx.Err()
	}
	after, err := spent(cmd.Process.Pid)
	m.wall, m.own, m.memory = time.Since(began), after-before, memory(cmd.Process.Pid, "VmRSS:")
	return m, err
}
