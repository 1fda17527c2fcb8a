//go:build !race

package lead_test

const comparedNumbers = 200_000
