package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/schedule"
)

func load(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	require.NoError(t, err)
	return zone
}

func parse(t *testing.T, zone string, expressions ...string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(expressions, load(t, zone))
	require.NoError(t, err)
	return s
}
