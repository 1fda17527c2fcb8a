package main

import "golang.org/x/sys/unix"

const clockID = unix.CLOCK_MONOTONIC_RAW // counts sleep on macOS
