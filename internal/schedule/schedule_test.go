package schedule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/schedule"
)

// on lists the slots from one instant until before another, as the zone's clock
// shows them.
func on(t *testing.T, zone, from, before string, expressions ...string) []string {
	t.Helper()
	s, z := parse(t, zone, expressions...), load(t, zone)
	var shown []string
	for _, at := range s.Between(at(t, zone, from).Add(-time.Second), at(t, zone, before).Add(-time.Second), 1000) {
		require.Equal(t, time.UTC, at.Location())
		shown = append(shown, at.In(z).Format("02 15:04 -0700"))
	}
	return shown
}

// at is an instant that the zone's clock shows only once.
func at(t *testing.T, zone, text string) time.Time {
	t.Helper()
	layout := "2006-01-02 15:04"
	moment, err := time.ParseInLocation(layout[:len(text)], text, load(t, zone))
	require.NoError(t, err)
	return moment
}

// Fault 49: robfig's runner skips 02:30 and fires 01:30 twice.
func TestAFixedHourComesOnceWhateverTheClocksDo(t *testing.T) {
	for _, c := range []struct {
		zone, from, before, expression string
		want                           []string
	}{
		{"America/New_York", "2026-03-07", "2026-03-10", "30 2 * * *", []string{"07 02:30 -0500", "08 03:00 -0400", "09 02:30 -0400"}},
		{"America/New_York", "2026-10-31", "2026-11-03", "30 1 * * *", []string{"31 01:30 -0400", "01 01:30 -0400", "02 01:30 -0500"}},
		{"Europe/London", "2026-03-28", "2026-03-31", "30 1 * * *", []string{"28 01:30 +0000", "29 02:00 +0100", "30 01:30 +0100"}},
		{"Europe/London", "2026-10-24", "2026-10-27", "30 1 * * *", []string{"24 01:30 +0100", "25 01:30 +0100", "26 01:30 +0000"}},
		{"Asia/Kolkata", "2026-03-28", "2026-03-30", "30 1 * * *", []string{"28 01:30 +0530", "29 01:30 +0530"}},
		// Half an hour: 02:00 to 02:30 is skipped, 01:30 to 02:00 comes twice.
		{"Australia/Lord_Howe", "2026-10-03", "2026-10-06", "15 2 * * *", []string{"03 02:15 +1030", "04 02:30 +1100", "05 02:15 +1100"}},
		{"Australia/Lord_Howe", "2026-10-04", "2026-10-05", "45 2 * * *", []string{"04 02:45 +1100"}},
		{"Australia/Lord_Howe", "2026-04-05", "2026-04-06", "0,45 1-2 * * *", []string{"05 01:00 +1100", "05 01:45 +1100", "05 02:00 +1030", "05 02:45 +1030"}},
		// Midnight is skipped, and an evening's last hour comes twice.
		{"America/Sao_Paulo", "2018-11-03", "2018-11-06", "0 0 * * *", []string{"03 00:00 -0300", "04 01:00 -0200", "05 00:00 -0200"}},
		{"America/Sao_Paulo", "2018-11-03", "2018-11-06", "@daily", []string{"03 00:00 -0300", "04 01:00 -0200", "05 00:00 -0200"}},
		{"America/Sao_Paulo", "2018-11-03", "2018-11-06", "30 0 4 11 *", []string{"04 01:00 -0200"}},
		{"America/Sao_Paulo", "2018-02-16", "2018-02-19", "30 23 * * *", []string{"16 23:30 -0200", "17 23:30 -0200", "18 23:30 -0300"}},
		{"America/Havana", "2026-11-01", "2026-11-02", "@daily", []string{"01 00:00 -0400"}}, // midnight comes twice
		// Several slots in a gap are one run; a list or a range of hours is fixed too.
		{"America/New_York", "2026-03-08", "2026-03-09", "*/15 2,3 * * *", []string{"08 03:00 -0400", "08 03:15 -0400", "08 03:30 -0400", "08 03:45 -0400"}},
		{"America/New_York", "2026-11-01", "2026-11-02", "0 0-3 * * *", []string{"01 00:00 -0400", "01 01:00 -0400", "01 02:00 -0500", "01 03:00 -0500"}},
		{"America/New_York", "2026-11-01", "2026-11-02", "0 1/12 * * *", []string{"01 01:00 -0400", "01 13:00 -0500"}},
	} {
		require.Equal(t, c.want, on(t, c.zone, c.from, c.before, c.expression), "%s %s", c.zone, c.expression)
	}
}

func TestAWildcardHourFollowsElapsedTime(t *testing.T) {
	for _, c := range []struct {
		zone, from, before, expression string
		want                           []string
	}{
		{"America/New_York", "2026-03-08 00:00", "2026-03-08 05:00", "30 * * * *", []string{"08 00:30 -0500", "08 01:30 -0500", "08 03:30 -0400", "08 04:30 -0400"}},
		{"America/New_York", "2026-11-01 00:00", "2026-11-01 03:00", "30 * * * *", []string{"01 00:30 -0400", "01 01:30 -0400", "01 01:30 -0500", "01 02:30 -0500"}},
		{"America/New_York", "2026-11-01 00:00", "2026-11-01 03:00", "@hourly", []string{"01 00:00 -0400", "01 01:00 -0400", "01 01:00 -0500", "01 02:00 -0500"}},
		// Nothing is lost: 02:30 would have been there.
		{"America/New_York", "2026-03-08 00:00", "2026-03-08 07:00", "30 */2 * * *", []string{"08 00:30 -0500", "08 03:30 -0400", "08 04:30 -0400", "08 06:30 -0400"}},
		{"America/Sao_Paulo", "2018-11-03", "2018-11-06", "0 */24 * * *", []string{"03 00:00 -0300", "04 01:00 -0200", "05 00:00 -0200"}},
		{"Australia/Lord_Howe", "2026-10-04 01:00", "2026-10-04 05:00", "0 * * * *", []string{"04 01:00 +1030", "04 02:30 +1100", "04 03:00 +1100", "04 04:00 +1100"}},
		{"Australia/Lord_Howe", "2026-04-05 01:00", "2026-04-05 04:00", "30 * * * *", []string{"05 01:30 +1100", "05 01:30 +1030", "05 02:30 +1030", "05 03:30 +1030"}},
		{"Europe/London", "2026-10-25 00:00", "2026-10-25 03:00", "45 ? * * *", []string{"25 00:45 +0100", "25 01:45 +0100", "25 01:45 +0000", "25 02:45 +0000"}},
		// Counted from 1970 in UTC, wherever the feed is.
		{"Asia/Kolkata", "2026-03-28 00:00", "2026-03-28 03:00", "@every 1h", []string{"28 00:30 +0530", "28 01:30 +0530", "28 02:30 +0530"}},
		{"America/New_York", "2026-03-08 00:00", "2026-03-08 06:00", "@every 90m", []string{"08 01:00 -0500", "08 03:30 -0400", "08 05:00 -0400"}},
	} {
		require.Equal(t, c.want, on(t, c.zone, c.from, c.before, c.expression), "%s %s", c.zone, c.expression)
	}
}

// A day of 23 hours has 23 slots, one of 25 hours 25.
func TestAnHourLiesBetweenHourlySlots(t *testing.T) {
	s := parse(t, "America/New_York", "0 * * * *")
	first := at(t, "America/New_York", "2026-01-01")
	slots := s.Between(first.Add(-time.Second), first.AddDate(1, 0, 0).Add(-time.Second), 10000)
	require.Len(t, slots, 365*24)
	for i := range slots[1:] {
		require.Equal(t, time.Hour, slots[i+1].Sub(slots[i]))
	}
}

func TestWhatTwoExpressionsNameIsOneSlot(t *testing.T) {
	require.Equal(t, []string{"09 06:00 -0400", "09 12:00 -0400", "09 18:00 -0400"},
		on(t, "America/New_York", "2026-03-09", "2026-03-10", "0 6,12 * * *", "0 12,18 * * 1-5", "0 12 9 * *"))
}

func TestASlotMayBeMoreThanFiveYearsAway(t *testing.T) {
	s := parse(t, "Europe/London", "0 6 29 2 *")
	require.Equal(t, "2104-02-29T06:00:00Z", s.Next(at(t, "Europe/London", "2096-03-01")).Format(time.RFC3339))
	require.Equal(t, "2104-02-29T06:00:00Z", s.Next(at(t, "Europe/London", "2098-03-01")).Format(time.RFC3339))
	s = parse(t, "Europe/London", "0 * 29 2 *")
	require.Equal(t, "2104-02-29T00:00:00Z", s.Next(at(t, "Europe/London", "2096-03-01")).Format(time.RFC3339))
}

// Package time has the clocks' last period of a leap year end a day early.
func TestALeapYearsLastDayIsADayAsOthersAre(t *testing.T) {
	for _, c := range []struct{ expression, want string }{
		{"0 6 * * *", "31 06:00 -0500"}, {"0 */18 * * *", "31 00:00 -0500"}, {"59 23 31 12 *", "31 23:59 -0500"}, {"59 * 31 12 *", "31 00:59 -0500"},
	} {
		require.Equal(t, c.want, on(t, "America/New_York", "2028-12-31", "2029-01-01", c.expression)[0], c.expression)
	}
	require.Equal(t, []string{"31 18:00 +1100", "01 00:00 +1100", "01 18:00 +1100"},
		on(t, "Australia/Lord_Howe", "2040-12-31 01:00", "2041-01-02", "0 */18 * * *"))
}

func TestNoExpressionIsNoSlot(t *testing.T) {
	s := parse(t, "UTC")
	now := at(t, "UTC", "2026-03-09")
	require.Zero(t, s.Next(now))
	require.Empty(t, s.Between(now, now.AddDate(1, 0, 0), 10))
	require.Equal(t, schedule.Decision{Last: now}, s.Plan(schedule.State{Last: now}, now.AddDate(1, 0, 0), schedule.Rules{}))
}

func TestASecondIsEnoughBetweenRepetitions(t *testing.T) {
	s := parse(t, "UTC", "@every 1s")
	now := time.Date(2026, time.March, 9, 6, 0, 0, 500, time.UTC)
	require.Equal(t, now.Add(time.Second).Truncate(time.Second), s.Next(now))
	// Also before 1970.
	s = parse(t, "UTC", "@every 1h")
	require.Equal(t, "1969-12-31T23:00:00Z", s.Next(time.Date(1969, time.December, 31, 22, 59, 59, 0, time.UTC)).Format(time.RFC3339))
}

func TestAnExpressionThatCannotBeIsRefused(t *testing.T) {
	for expression, want := range map[string]string{
		"every day":               "is no cron expression: write minute,",
		"":                        "is no cron expression: write minute,",
		"@reboot":                 "is no cron expression: write minute,",
		"@every soon":             "is no cron expression: write minute,",
		"0 0 6 * * 1-5":           "is no cron expression: write minute,",
		"60 * * * *":              "is no cron expression: write minute,",
		"TZ=":                     "names a time zone: move it to time_zone",
		"TZ=UTC 0 6 * * *":        "names a time zone: move it to time_zone",
		"CRON_TZ=UTC 0 6 * * *":   "names a time zone: move it to time_zone",
		"CRON_TZ=Mars/Base @hour": "names a time zone: move it to time_zone",
		"0 6 31 2 *":              "never comes: correct its day or month",
		", * * * *":               "never comes: correct its day or month",
		"@every 0s":               "repeats in less than a second or between seconds: write whole seconds",
		"@every -1h":              "repeats in less than a second or between seconds: write whole seconds",
		"@every 1500ms":           "repeats in less than a second or between seconds: write whole seconds",
	} {
		err := schedule.Check(expression)
		require.Error(t, err, expression)
		require.True(t, strings.HasPrefix(err.Error(), want), "%q: %v", expression, err)
		_, err = schedule.Parse([]string{"0 6 * * *", expression}, time.UTC)
		require.ErrorContains(t, err, "which "+want, expression)
		require.True(t, strings.HasPrefix(err.Error(), `has "`), err)
	}
	require.NoError(t, schedule.Check("0 6 29 2 *"))
}
