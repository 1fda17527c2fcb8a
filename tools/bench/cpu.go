package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// spent is how long the processors worked for a process, and for those of its
// children that have ended.
func spent(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading what a process costs: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // a name may hold blanks
	fields := strings.Fields(rest)
	const utime, all = 11, 4 // utime, stime, and both of ended children; in hundredths of a second
	if len(fields) < utime+all {
		return 0, fmt.Errorf("process %d is told of in an unknown way", pid)
	}
	var sum time.Duration
	for _, f := range fields[utime : utime+all] {
		ticks, err := strconv.Atoi(f)
		if err != nil {
			return 0, fmt.Errorf("process %d is told of in an unknown way: %w", pid, err)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum, nil
}

// spentByAll adds a process's living children.
func spentByAll(pid int) (time.Duration, error) {
	sum, err := spent(pid)
	if err != nil {
		return 0, err
	}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return 0, err
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			return 0, fmt.Errorf("reading a process's children: %w", err)
		}
		for _, child := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(child)
			if err != nil {
				return 0, err
			}
			if cost, err := spent(n); err == nil { // it may have ended just now
				sum += cost
			}
		}
	}
	return sum, nil
}

// spentHere is what this process has cost.
func spentHere() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // a constant is wrong
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory is what a process has of it, in bytes; 0 when it is gone. what is
// VmHWM: for the most so far, VmRSS: for now.
func memory(pid int, what string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, what); ok {
			kb, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kb << 10
		}
	}
	return 0
}
