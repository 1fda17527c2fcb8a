//go:build race

package model_test

// The model has no goroutines: the race detector only makes it slow.
const shortForm = 2000
