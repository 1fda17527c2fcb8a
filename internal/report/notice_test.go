package report_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/importer"
	"importer/internal/report"
)

// ended is a run of feed acme that took 72 seconds.
func ended(drops ...importer.DropSummary) importer.RunInfo {
	started := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	return importer.RunInfo{
		ID: 7, Feed: "acme", Kind: "run", Started: started, Finished: started.Add(72 * time.Second), Seconds: 72, Calls: 236, Drops: drops,
	}
}

func drop(id int64, name string, state importer.DropState, why string, c importer.Counts) importer.DropSummary {
	return importer.DropSummary{Drop: importer.Drop{ID: id, Name: name, State: state, Why: why}, Counts: c}
}

var morning = importer.Counts{
	{State: importer.Succeeded, Reason: importer.ReasonAdded}: 230, {State: importer.Succeeded, Reason: importer.ReasonReconciled}: 1,
	{State: importer.Rejected, Reason: "dialer_dnc"}:                  4,
	{State: importer.Duplicate, Reason: importer.ReasonAlreadyLoaded}: 12,
	{State: importer.Invalid, Reason: "phone_too_short"}:              3,
}

var good = importer.Counts{{State: importer.Succeeded, Reason: importer.ReasonAdded}: 250}

func TestWhatIsToldOfARun(t *testing.T) {
	t.Parallel()
	const first, second = "acme-11-24.csv", "book.xlsx/East"
	with := func(r importer.RunInfo, change func(*importer.RunInfo)) importer.RunInfo {
		change(&r)
		return r
	}
	unreadable := "bad.zip: the archive is damaged: ask the vendor to send it again"
	for name, k := range map[string]struct {
		run     importer.RunInfo
		trouble bool
		says    string // the subject, and below it the text
	}{
		"all is well": {ended(drop(3, first, importer.DropDone, "", good)), false, `
acme: 250 of 250 rows loaded
Run 7 of feed acme: 250 rows, 250 SUCCESS, in 1m12s
Drop 3 (acme-11-24.csv) is done

All of it: importer show 7
`},
		"errors": {ended(drop(3, first, importer.DropDone, "", morning)), true, `
acme: 231 of 250 rows loaded, 4 errors
Run 7 of feed acme: 250 rows, 231 SUCCESS, 4 ERROR, 12 DUPLICATE, 3 INVALID, in 1m12s
Drop 3 (acme-11-24.csv) is done

Rows by reason:
12 DUPLICATE already_loaded
4 ERROR dialer_dnc
3 INVALID phone_too_short

All of it: importer show 7
Rows that were not loaded: importer rejects 7
Another chance for ERROR and REVIEW rows: importer retry 7
`},
		"nothing new": {ended(importer.DropSummary{
			Drop:    importer.Drop{ID: 3, Name: first, State: importer.DropDone, Finished: time.Date(2026, 11, 23, 6, 0, 0, 0, time.Local)},
			Already: true, As: "again.csv", Counts: importer.Counts{{State: importer.Duplicate, Reason: importer.ReasonAlreadyImported}: 250},
		}), false, `
acme: 0 of 250 rows loaded, 250 duplicates
Run 7 of feed acme: 250 rows, 250 DUPLICATE, in 1m12s
Drop 3 (acme-11-24.csv) came again as again.csv; it was imported before, at 2026-11-23 06:00:00: nothing was sent

Rows by reason:
250 DUPLICATE already_imported

All of it: importer show 7
`},
		"no file": {ended(), false, `
acme: no new file
Run 7 of feed acme: no rows, in 1m12s

All of it: importer show 7
`},
		"an empty file": {ended(drop(3, first, importer.DropDone, "", nil)), false, `
acme: no rows
Run 7 of feed acme: no rows, in 1m12s
Drop 3 (acme-11-24.csv) has no rows

All of it: importer show 7
`},
		"nothing but invalid rows": {ended(drop(3, first, importer.DropDone, "", importer.Counts{{State: importer.Invalid, Reason: "phone_missing"}: 1})), true, `
acme: 0 of 1 row loaded, 1 invalid
Run 7 of feed acme: 1 row, 1 INVALID, in 1m12s
Drop 3 (acme-11-24.csv) is done

Rows by reason:
1 INVALID phone_missing

All of it: importer show 7
Rows that were not loaded: importer rejects 7
`},
		"held and failed drops come first": {with(ended(
			drop(3, first, importer.DropDone, "", good),
			drop(4, "bad.zip", importer.DropFailed, unreadable, nil),
			drop(5, second, importer.DropHeld, "it has fewer rows (3) than expect.min_rows, 100: if the vendor means it so, write importer release 5", nil),
		), func(r *importer.RunInfo) { r.Error = unreadable }), true, `
acme: 250 of 250 rows loaded, 1 drop held, 1 drop could not be read
Run 7 of feed acme: 250 rows, 250 SUCCESS, in 1m12s
Drop 5 (book.xlsx/East) is held, nothing was imported: it has fewer rows (3) than expect.min_rows, 100: if the vendor means it so, write importer release 5
Drop 4 (bad.zip) could not be read, nothing was imported: bad.zip: the archive is damaged: ask the vendor to send it again
Drop 3 (acme-11-24.csv) is done

All of it, and what to do about a held drop: importer show 7
`},
		"only a held drop": {ended(drop(5, first, importer.DropHeld, "why", nil)), true, `
acme: 1 drop held
Run 7 of feed acme: no rows, in 1m12s
Drop 5 (acme-11-24.csv) is held, nothing was imported: why

All of it, and what to do about a held drop: importer show 7
`},
		"stopped": {with(ended(
			drop(3, first, importer.DropImporting, "", importer.Counts{{State: importer.Succeeded, Reason: importer.ReasonAdded}: 6, {State: importer.Pending}: 244}),
			drop(4, "bad.zip", importer.DropFailed, unreadable, nil),
		), func(r *importer.RunInfo) {
			r.Error = unreadable + "\nthe dialer refuses the login: check user and password\n"
		}), true, `
acme: the run stopped: the dialer refuses the login: check user and password
Run 7 of feed acme: 250 rows, 6 SUCCESS, 244 PENDING, in 1m12s
It stopped because: the dialer refuses the login: check user and password
Drop 4 (bad.zip) could not be read, nothing was imported: bad.zip: the archive is damaged: ask the vendor to send it again
Drop 3 (acme-11-24.csv) is unfinished: 244 rows pending, the feed's next start goes on

All of it: importer show 7
`},
		"alarms, and rows that wait": {with(ended(drop(3, first, importer.DropImporting, "", importer.Counts{
			{State: importer.Succeeded, Reason: importer.ReasonAdded}: 2, {State: importer.Unknown}: 1, {State: importer.Review, Reason: importer.ReasonUnproven}: 2,
		})), func(r *importer.RunInfo) {
			r.Alarms = []string{"drop 3, record 4: two leads have our token"}
		}), true, `
acme: 2 of 5 rows loaded, 2 to review, 1 pending, 1 alarm
Run 7 of feed acme: 5 rows, 2 SUCCESS, 2 REVIEW, 1 PENDING, in 1m12s
ALARM: drop 3, record 4: two leads have our token
Drop 3 (acme-11-24.csv) is unfinished: 1 row pending, the feed's next start goes on

Rows by reason:
2 REVIEW unproven

All of it: importer show 7
Rows that were not loaded: importer rejects 7
Another chance for ERROR and REVIEW rows: importer retry 7
`},
		"killed": {with(ended(), func(r *importer.RunInfo) { r.Finished, r.Seconds = time.Time{}, 0 }), true, `
acme: the run was interrupted
Run 7 of feed acme: no rows

All of it: importer show 7
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := report.RunNotice(k.run, time.Time{})
			require.Equal(t, k.says, "\n"+n.Subject+"\n"+n.Text)
			require.Equal(t, k.trouble, n.Trouble)
			require.False(t, n.Late)
		})
	}
}

func TestAPhoneIsNotFlooded(t *testing.T) {
	t.Parallel()
	r := ended()
	for i := range int64(60) {
		r.Drops = append(r.Drops, drop(i+1, strings.Repeat("ü", 1000), importer.DropFailed, strings.Repeat("w", 1000), importer.Counts{
			{State: importer.Rejected, Reason: importer.Reason(fmt.Sprint("reason", i))}: 1,
		}))
		r.Alarms = append(r.Alarms, strings.Repeat("a", 1000))
	}
	r.Error = strings.Repeat("e", 1000) + "\x1b[2J"
	n := report.RunNotice(r, time.Time{})
	require.Less(t, len([]rune(n.Subject)), 160)
	require.NotContains(t, n.Subject, "\n")
	require.Less(t, len([]rune(n.Text)), 6000)
	require.Equal(t, 3, strings.Count(n.Text, "\nand 55 more\n"), "alarms, drops and reasons")
	require.NotContains(t, n.Text, "\x1b")
}

// data is what programs get.
func data(t *testing.T, n report.Notice) string {
	t.Helper()
	text, err := json.Marshal(n.Data)
	require.NoError(t, err)
	return string(text)
}

func TestProgramsGetWhatShowSays(t *testing.T) {
	t.Parallel()
	r := ended(drop(3, "acme.csv", importer.DropDone, "", morning))
	object, _ := shown(t, report.Shown{Run: r})
	object["event"], object["subject"], object["trouble"] = "run", "acme: 231 of 250 rows loaded, 4 errors", true
	delete(object, "examples") // each has a person, though masked
	want, err := json.Marshal(object)
	require.NoError(t, err)
	require.JSONEq(t, string(want), data(t, report.RunNotice(r, time.Time{})))
}

// What a drop's sentence shows of its lines, masked, goes nowhere.
func TestANoticeShowsNothingOfAFilesLines(t *testing.T) {
	t.Parallel()
	samples := map[string]string{"Tel": "(71#) ###-####", "Cell": "21#-###-####", "Mxxx": "Oxxxx"}
	for says, hold := range map[string]*dropfile.HoldError{
		"2 columns could be the phone_number":                     {Field: "phone_number", Candidates: []string{"Tel", "Cell"}, Headers: []string{"Tel", "Cell", "Mxxx"}, Samples: samples},
		"columns: {phone_number: HEADER}":                         {Field: "phone_number", Headers: []string{"Mxxx", "Tel"}, Samples: samples},
		"feed's configuration names for phone_number":             {Field: "phone_number", Wanted: "Phone", Headers: []string{"Mxxx", "Tel"}},
		"add a header line to the file":                           {Field: "phone_number"},
		"say which in the feed's configuration: columns: {email:": {Field: "email", Headers: []string{"Mxxx"}},
	} {
		d := drop(3, "acme.csv", importer.DropHeld, hold.Error(), nil)
		d.Drop.Outside = importer.Outside{Count: 1, First: []importer.OutsideLine{{Line: 1, Kind: "note", Text: "Olive, 7185550142"}}}
		d.Drop.Header, d.Drop.Fields = []string{"Oxxxx"}, []string{""}
		r := ended(d)
		r.Error = hold.Error() // so it is told of a drop that was begun already
		n := report.RunNotice(r, time.Time{})
		require.Contains(t, n.Text, says)
		for _, told := range []string{n.Subject, n.Text, data(t, n)} {
			require.NotRegexp(t, `#|xxx|Olive|718`, told, says)
		}
		require.Equal(t, hold.Error(), r.Drops[0].Drop.Why, "the ledger's account is left alone")
	}
}

func TestWhatIsToldOfSlots(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	at := time.Date(2026, 11, 24, 7, 30, 0, 0, zone)
	for _, k := range []struct {
		n    report.Notice
		late bool
		says string // subject, text and data
	}{
		{report.LateNotice("acme", at, at.AddDate(0, 0, -4)), true, `
acme: no file by 07:30, the feed is paused
Feed acme expects a drop, and by 2026-11-24 07:30 EST none had come: the feed is paused since 2026-11-20 07:30 EST, and its schedule begins no runs.

Let it go on: importer unpause acme
Run the feed now: importer run acme
{"event":"late_drop","subject":"acme: no file by 07:30, the feed is paused","trouble":true,"feed":"acme","expect_by":"2026-11-24T07:30:00-05:00","paused_since":"2026-11-20T07:30:00-05:00"}`},
		{report.LateNotice("acme", at, time.Time{}), true, `
acme: no file by 07:30
Feed acme expects a drop, and by 2026-11-24 07:30 EST none had come.

What lies at its source: importer source check acme
{"event":"late_drop","subject":"acme: no file by 07:30","trouble":true,"feed":"acme","expect_by":"2026-11-24T07:30:00-05:00"}`},
		{report.MissedNotice("acme", at, time.Time{}), false, `
acme: a slot was missed
The slot of 2026-11-24 07:30 EST was missed: no importer was there in time, and it is too late to make up for it, or a later slot does.

Run the feed now: importer run acme
{"event":"slot_missed","subject":"acme: a slot was missed","trouble":true,"feed":"acme","slot":"2026-11-24T07:30:00-05:00"}`},
		{report.MissedNotice("acme", at, at.AddDate(0, 0, 3)), false, `
acme: slots were missed
The slots from 2026-11-24 07:30 EST to 2026-11-27 07:30 EST were missed: no importer was there in time, and it is too late to make up for it, or a later slot does.

Run the feed now: importer run acme
{"event":"slot_missed","subject":"acme: slots were missed","trouble":true,"feed":"acme","slot":"2026-11-24T07:30:00-05:00","until":"2026-11-27T07:30:00-05:00"}`},
		{report.OverlapNotice("acme", at), false, `
acme: a slot was skipped, the run before it was still going
The slot of 2026-11-24 07:30 EST did not run: the run before it was still going. What has come meanwhile is taken by the next. More slots that are skipped until then are not told of.

Which run that is: importer runs --feed acme
{"event":"slot_overlap","subject":"acme: a slot was skipped, the run before it was still going","trouble":true,"feed":"acme","slot":"2026-11-24T07:30:00-05:00"}`},
	} {
		require.Equal(t, k.says, "\n"+k.n.Subject+"\n"+k.n.Text+data(t, k.n))
		require.True(t, k.n.Trouble)
		require.Equal(t, k.late, k.n.Late)
	}
}

func TestATestMessageIsNoTrouble(t *testing.T) {
	t.Parallel()
	n := report.TestNotice("ops")
	require.Equal(t, "importer: a test message for ops", n.Subject)
	require.NotEmpty(t, n.Text)
	require.False(t, n.Trouble || n.Late)
	require.JSONEq(t, `{"event":"test","subject":"importer: a test message for ops","trouble":false,"target":"ops"}`, data(t, n))
}

func TestRowsThatAreRefusedAsTheyShouldBeAreNoTrouble(t *testing.T) {
	run := func(counts importer.Counts) importer.RunInfo {
		return importer.RunInfo{
			ID: 7, Feed: "acme", Kind: "run", Started: time.Unix(0, 0), Finished: time.Unix(60, 0),
			Drops: []importer.DropSummary{{Drop: importer.Drop{ID: 1, Name: "a.csv", State: importer.DropDone}, Counts: counts}},
		}
	}
	listed, refused := importer.StateReason{State: importer.Rejected, Reason: "dialer_dnc"}, importer.StateReason{State: importer.Rejected, Reason: "other"}
	require.True(t, report.RunNotice(run(importer.Counts{listed: 1}), time.Time{}).Trouble)
	require.False(t, report.RunNotice(run(importer.Counts{listed: 1}), time.Time{}, "dialer_dnc").Trouble)
	require.True(t, report.RunNotice(run(importer.Counts{listed: 1, refused: 1}), time.Time{}, "dialer_dnc").Trouble)
}

func TestWhatWasLateIsToldToHaveCome(t *testing.T) {
	t.Parallel()
	late := time.Date(2026, 11, 24, 7, 30, 0, 0, time.FixedZone("EST", -5*60*60))
	first, second := drop(3, "again.csv", importer.DropDone, "", good), drop(4, "late.csv", importer.DropHeld, "why", nil)
	first.Drop.FirstSeen, second.Drop.FirstSeen = late.Add(-24*time.Hour), late.Add(102*time.Minute)
	r := ended(first, second)
	r.Started = late.Add(100 * time.Minute)
	r.Finished = late.Add(110 * time.Minute)
	n := report.RunNotice(r, late)
	require.Equal(t, `acme: the file has come, 250 of 250 rows loaded, 1 drop held
Run 7 of feed acme: 250 rows, 250 SUCCESS, in 1m12s
No drop had come by 2026-11-24 07:30 EST: the first one since came at 2026-11-24 09:12 EST
Drop 4 (late.csv) is held, nothing was imported: why
Drop 3 (again.csv) is done

All of it, and what to do about a held drop: importer show 7
`, n.Subject+"\n"+n.Text)
	require.True(t, n.Trouble)
	require.Contains(t, data(t, n), `"expect_by":"2026-11-24T07:30:00-05:00"`)
	r.Drops = r.Drops[:1] // a file with known content
	require.Contains(t, report.RunNotice(r, late).Text, "the first one since came at 2026-11-24 09:10 EST\n")
}
