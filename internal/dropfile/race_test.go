//go:build race

package dropfile_test

// The race detector makes reading ten times slower.
const everyRow = 37
