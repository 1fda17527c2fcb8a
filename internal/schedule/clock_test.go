package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/schedule"
)

func TestADropIsExpectedByTheClockOnTheWall(t *testing.T) {
	for _, c := range []struct{ zone, day, by, want string }{
		{"America/New_York", "2026-03-07", "07:30", "2026-03-07T12:30:00Z"},
		{"America/New_York", "2026-03-08", "07:30", "2026-03-08T11:30:00Z"},
		{"America/New_York", "2026-03-08", "02:30", "2026-03-08T07:00:00Z"}, // skipped
		{"America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30:00Z"}, // the first of two
		{"Europe/London", "2026-10-25", "01:00", "2026-10-25T00:00:00Z"},
		{"Asia/Kolkata", "2026-11-01", "07:30", "2026-11-01T02:00:00Z"},
		{"Australia/Lord_Howe", "2026-10-04", "02:10", "2026-10-03T15:30:00Z"},
		{"America/Sao_Paulo", "2018-11-04", "00:00", "2018-11-04T03:00:00Z"},
		{"Pacific/Apia", "2011-12-30", "07:30", "2011-12-30T10:00:00Z"}, // a day that was not
	} {
		day, err := schedule.ParseDate(c.day)
		require.NoError(t, err)
		by, err := schedule.ParseClock(c.by)
		require.NoError(t, err)
		require.Equal(t, c.want, schedule.ExpectBy(day, by, load(t, c.zone)).Format(time.RFC3339), "%s %s %s", c.zone, c.day, c.by)
	}
}

func TestADayIsThatOfTheZone(t *testing.T) {
	moment := time.Date(2026, time.December, 25, 3, 0, 0, 0, time.UTC)
	require.Equal(t, schedule.Date{Year: 2026, Month: time.December, Day: 24}, schedule.DateOf(moment.In(load(t, "America/New_York"))))
	require.Equal(t, schedule.Date{Year: 2026, Month: time.December, Day: 25}, schedule.DateOf(moment))
}

func TestTimesAndDaysThatCannotBeAreRefused(t *testing.T) {
	for _, text := range []string{"", "7:30", "24:00", "07:60", "07:30:00", "noon"} {
		_, err := schedule.ParseClock(text)
		require.EqualError(t, err, "is no time of day: write hours and minutes, such as 07:30", text)
	}
	for _, text := range []string{"", "22:00", "22:00-", "22-6", "24:00-06:00", "22:00 - 06:00", "22:00-06:00-07:00"} {
		_, err := schedule.ParseWindow(text)
		require.EqualError(t, err, "is no daily window: write two times of day, such as 22:00-06:00", text)
	}
	_, err := schedule.ParseWindow("06:00-06:00")
	require.EqualError(t, err, "begins when it ends: write 00:00-24:00 for the whole day, or pause the feed")
	for _, text := range []string{"", "2026-02-29", "25.12.2026", "2026-12-25 06:00"} {
		_, err := schedule.ParseDate(text)
		require.EqualError(t, err, "is no date: write year, month and day, such as 2026-12-25", text)
	}
	w, err := schedule.ParseWindow("22:00-24:00")
	require.NoError(t, err)
	require.Equal(t, schedule.Window{From: 22 * 60, To: 24 * 60}, w)
}
