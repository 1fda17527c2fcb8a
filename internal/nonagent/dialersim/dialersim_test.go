package dialersim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

const login = "POST source=test&user=importer&pass=secret&"

// ask sends a request in the notation of the recordings to a dialer of
// Options{Password: "secret"}.
func ask(d http.Handler, params string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, build(login+params+"&zz=1", false))
	return w
}

func add(phone string) string { return "function=add_lead&list_id=101&phone_number=" + phone }

func winter() time.Time { return time.Date(2026, time.January, 15, 12, 0, 0, 0, time.UTC) }
func july() time.Time   { return time.Date(2026, time.July, 15, 12, 0, 0, 0, time.UTC) }

func TestTheZeroOptionsAreAWorkingDialer(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{Password: "secret"})
	w := ask(d, add("3055550123")+"&source_id=RTOKEN&security_phrase=S&vendor_lead_code=V")
	require.Equal(t, http.StatusOK, w.Code)
	require.Regexp(t, `^SUCCESS: add_lead LEAD HAS BEEN ADDED - 3055550123\|101\|1\|-[45]\|importer\n$`, w.Body.String())
	inserts := d.Inserts()
	require.Len(t, inserts, 1)
	require.WithinDuration(t, time.Now(), inserts[0].Time, time.Minute)
	inserts[0].Time = time.Time{}
	require.Equal(t, dialersim.Insert{
		LeadID: 1, ListID: 101, Phone: "3055550123", VendorLeadCode: "V", SourceID: "RTOKEN", SecurityPhrase: "S",
	}, inserts[0])
	require.Equal(t, 1, d.Calls("add_lead"))
}

func TestARefusedLoginIsCountedAndEchoesThePassword(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{Password: "secret"})
	w := httptest.NewRecorder()
	d.ServeHTTP(w, build("POST user=importer&pass=wr.ong&function=add_lead", false))
	require.Equal(t, "ERROR: Login incorrect, please try again: |importer|wrong|BAD|\n", w.Body.String())
	require.Equal(t, 1, d.Calls("add_lead"))
	require.Equal(t, 1, d.Calls(""))
}

func TestSearchLiesBeyondItsCap(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{Password: "secret"})
	for _, phone := range []string{"3055550101", "3055550102", "3055550103"} {
		ask(d, add(phone))
	}
	w := ask(d, "function=lead_search&records=2&phone_number=3055550101,3055550102,3055550103")
	require.Equal(t, "3055550101|0|\n3055550102|1|2\n3055550103|1|3\n", w.Body.String())
}

func TestSearchCreditsNumbersThatAreEqualAsIntegers(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{Password: "secret"})
	ask(d, add("07700900123"))
	ask(d, add("7700900123"))
	require.Equal(t, "7700900123|1|2\n", ask(d, "function=lead_search&phone_number=7700900123").Body.String(), "alone it is right")
	require.Equal(t, "7700900123|2|2-1\n07700900123|2|2-1\n",
		ask(d, "function=lead_search&phone_number=7700900123,07700900123").Body.String())
}

func TestANumberWithACommaIsAcceptedAndBreaksTheSearch(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{Password: "secret"})
	require.Contains(t, ask(d, add("3055550,123")).Body.String(), "SUCCESS")
	w := ask(d, "function=lead_search&phone_number=3055550,123")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Empty(t, w.Body.String())

	d.Configure(func(s *dialersim.Settings) { s.PHP = dialersim.PHP7 })
	w = ask(d, "function=lead_search&phone_number=3055550,123")
	require.Equal(t, "ERROR: lead_search NO MATCHES FOUND IN THE SYSTEM: |importer|||3055550,123\n", w.Body.String(),
		"older PHP takes a failed query for no rows")
}

func TestTheArchiveDoesNotExist(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{Password: "secret"})
	ask(d, add("3055550123"))
	for _, params := range []string{
		"function=lead_search&phone_number=3055550123", "function=lead_field_info&lead_id=1&field_name=status",
		"function=lead_all_info&lead_id=1", "function=update_lead&lead_id=1&no_update=Y",
	} {
		w := ask(d, params+"&archived_lead=Y")
		require.Equal(t, http.StatusInternalServerError, w.Code, params)
		require.Empty(t, w.Body.String(), params)
	}
}

func TestAnApostropheBreaksAllInfoButNotFieldInfo(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{Password: "secret"})
	ask(d, add("3055550123")+"&last_name=O'Brien&source_id=RTOKEN")
	w := ask(d, "function=lead_all_info&lead_id=1")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Empty(t, w.Body.String())
	require.Equal(t, "RTOKEN\n", ask(d, "function=lead_field_info&lead_id=1&field_name=source_id").Body.String())
	w = ask(d, "function=lead_field_info&lead_id=1&field_name=email")
	require.Equal(t, http.StatusOK, w.Code)
	require.Empty(t, w.Body.String(), "an empty field is an empty body")

	d.Configure(func(s *dialersim.Settings) { s.PHP = dialersim.PHP80 })
	require.Contains(t, ask(d, "function=lead_all_info&lead_id=1").Body.String(), "|O'Brien|")
}

func TestTextReadsBackThroughTheSameConnection(t *testing.T) {
	t.Parallel()
	for _, nonLatin := range []bool{false, true} {
		d := dialersim.New(dialersim.Options{Password: "secret", Settings: dialersim.Settings{UseNonLatin: nonLatin}})
		ask(d, add("3055550123")+"&vendor_lead_code=ñ–1")
		require.Equal(t, "ñ–1\n", ask(d, "function=lead_field_info&lead_id=1&field_name=vendor_lead_code").Body.String())
		require.Equal(t, "ñ–1|1|1\n",
			ask(d, "function=lead_search&search_method=VENDOR_LEAD_CODE&vendor_lead_code=ñ–1").Body.String())
	}
}

func TestRightsDifferByCall(t *testing.T) {
	t.Parallel()
	searcher := dialersim.APIUser("importer", "secret")
	searcher.ModifyLeads = 5
	limited := dialersim.APIUser("limited", "secret")
	limited.Group = "LIMITED"
	d := dialersim.New(dialersim.Options{
		Users:  []dialersim.User{searcher, limited},
		Groups: []dialersim.Group{{ID: "ADMIN"}, {ID: "LIMITED", Campaigns: []string{"OTHER"}}},
	})
	id := d.AddLead(winter(), map[string]string{"list_id": "101", "phone_number": "3055550123"})
	require.Equal(t, "3055550123|1|1\n", ask(d, "function=lead_search&phone_number=3055550123").Body.String())
	require.Equal(t, "ERROR: lead_field_info USER DOES NOT HAVE PERMISSION TO GET LEAD INFO: |importer|0|\n",
		ask(d, fmt.Sprintf("function=lead_field_info&lead_id=%d&field_name=status", id)).Body.String())

	require.Equal(t, "3055550123|1|1\n", ask(d, "user=limited&function=lead_search&phone_number=3055550123").Body.String())
	require.Equal(t, "ERROR: lead_field_info LIST NOT FOUND: limited|1\n",
		ask(d, "user=limited&function=lead_field_info&lead_id=1&field_name=status").Body.String())
}

func TestOffsetsFollowTheClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ params, winter, summer string }{
		{add("3055550123"), "-5", "-4"},
		{add("6025550123"), "-7", "-7"},
		{add("2075550123") + "&phone_code=44", "0", "1"},
		{add("5555550123") + "&phone_code=55", "-2", "-3"},
		{add("6125550123") + "&phone_code=61&state=SA", "10.5", "9.5"},
		{add("3125550123") + "&tz_method=POSTAL&postal_code=90210", "-8.0", "-7"},
		{add("3125550123") + "&phone_code=001", "-6", "-5"},
	} {
		for when, want := range map[time.Time]string{winter(): c.winter, july(): c.summer} {
			d := dialersim.New(dialersim.Options{Password: "secret", Now: func() time.Time { return when }})
			fields := strings.Split(ask(d, c.params).Body.String(), "|")
			require.Len(t, fields, 5, c.params)
			require.Equal(t, want, fields[3], "%s at %s", c.params, when)
		}
	}
}

func TestALeadOutsideItsCallTimeMissesTheHopper(t *testing.T) {
	t.Parallel()
	midnight := winter().Truncate(24 * time.Hour)
	d := dialersim.New(dialersim.Options{Password: "secret", Now: func() time.Time { return midnight }})
	const hopper = "&add_to_hopper=Y&hopper_local_call_time_check=Y"
	require.Contains(t, ask(d, add("9075550123")+hopper).Body.String(), "NOTICE: add_lead ADDED TO HOPPER - 9075550123|1|1|importer\n")
	require.Contains(t, ask(d, add("2075550123")+"&phone_code=44"+hopper).Body.String(),
		"NOTICE: add_lead NOT ADDED TO HOPPER, OUTSIDE OF LOCAL TIME - 2075550123|2|0|0|importer\n")
	require.Equal(t, 1, strings.Count(ask(d, "function=hopper_list&campaign_id=TESTCAMP").Body.String(), "\n"))
}

func TestOtherCampaignsDNCListIsAsked(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{Password: "secret", Campaigns: []dialersim.Campaign{
		{ID: "TESTCAMP", UseOtherDNC: "SHARED"}, {ID: "SHARED"},
	}})
	d.AddDNC("SHARED", "3055550123")
	require.Equal(t, "ERROR: add_lead PHONE NUMBER IN CAMPAIGN DNC - 3055550123|TESTCAMP|importer\n",
		ask(d, add("3055550123")+"&campaign_dnc_check=Y&campaign_id=TESTCAMP").Body.String())
}

func TestUpdateWithCustomFieldsKeepsThem(t *testing.T) {
	t.Parallel()
	d := dialersim.New(dialersim.Options{
		Password: "secret", Settings: dialersim.Settings{CustomFields: true},
		Lists: []dialersim.List{{ID: 101, Campaign: "TESTCAMP", CustomFields: []string{"color"}}},
	})
	require.Equal(t, http.StatusInternalServerError, ask(d, add("3055550123")+"&custom_fields=Y&color=red").Code)
	require.Empty(t, d.CustomValues(1))
	require.Contains(t, ask(d, "function=update_lead&lead_id=1&custom_fields=Y&color=blue").Body.String(),
		"NOTICE: update_lead CUSTOM FIELDS VALUES UPDATED - 3055550123|1|101|1\n")
	require.Equal(t, map[string]string{"color": "blue"}, d.CustomValues(1))
}

func TestDuplicateCheckRaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := dialersim.New(dialersim.Options{Password: "secret", Latency: 10 * time.Millisecond})
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() { ask(d, add("3055550123")+"&duplicate_check=DUPSYS") })
		}
		calls.Wait()
		require.Len(t, d.Inserts(), 8)
		require.Contains(t, ask(d, add("3055550123")+"&duplicate_check=DUPSYS").Body.String(), "ERROR: add_lead DUPLICATE")
	})
}

func TestNeverServesMoreThanItsWorkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := dialersim.New(dialersim.Options{Password: "secret", Workers: 2, Latency: time.Second})
		start := time.Now()
		var calls sync.WaitGroup
		for i := range 6 {
			calls.Go(func() { ask(d, add("305555010"+strconv.Itoa(i))) })
		}
		synctest.Wait()
		require.Equal(t, 6, d.Calls("add_lead"))
		require.Equal(t, 2, d.InFlight("add_lead"))
		calls.Wait()
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Equal(t, 2, d.MaxInFlight("add_lead"))
		require.Equal(t, 2, d.MaxInFlight(""))
		require.Zero(t, d.InFlight(""))
		require.Len(t, d.Inserts(), 6)
	})
}

func TestBlockedWritesWaitInOrderWhileLookupsAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := dialersim.New(dialersim.Options{Password: "secret"})
		d.AddLead(time.Now(), map[string]string{"list_id": "101", "phone_number": "3055550100"})
		release := d.Block()
		var calls sync.WaitGroup
		for i := range 5 {
			calls.Go(func() { ask(d, add("305555010"+strconv.Itoa(i+1))) })
			synctest.Wait()
		}
		touched := make(chan string, 1)
		calls.Go(func() {
			answer := ask(d, "function=update_lead&lead_id=1&rank=7").Body.String()
			touched <- fmt.Sprint(len(d.Inserts()), " ", answer)
		})
		synctest.Wait()
		require.Equal(t, 6, d.InFlight(""))
		require.Contains(t, ask(d, "function=lead_search&phone_number=3055550101").Body.String(), "NO MATCHES FOUND")
		release()
		require.Equal(t, "5 SUCCESS: update_lead LEAD HAS BEEN UPDATED - importer|1|1|||\n", <-touched,
			"a write that is answered proves that those before it are in")
		calls.Wait()
		for i, insert := range d.Inserts() {
			require.Equal(t, "305555010"+strconv.Itoa(i+1), insert.Phone)
		}
	})
}
