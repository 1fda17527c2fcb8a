//go:build race

package daemon_test

// The race detector makes a thousand runs take half a minute.
const many = 100
