//go:build !race

package lead_test

const usuallyCompared = 100_000
