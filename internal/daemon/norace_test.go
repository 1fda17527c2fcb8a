//go:build !race

package daemon_test

const many = 1000
