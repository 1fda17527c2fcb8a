//go:build race

package lead_test

// The race detector makes the library fifteen times slower.
const comparedNumbers = 20_000
