//go:build race

package lead_test

// The race detector makes the library fifteen times slower.
const usuallyCompared = 10_000
