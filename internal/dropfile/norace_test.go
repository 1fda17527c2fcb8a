//go:build !race

package dropfile_test

const everyRow = 1
