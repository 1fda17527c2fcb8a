//go:build !race

package model_test

const shortForm = 20_000
