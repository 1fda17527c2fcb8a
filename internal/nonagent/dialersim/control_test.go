package dialersim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/nonagent/dialersim"
)

// control sends a request to a running dialer's ControlPath.
func control(t *testing.T, s *dialersim.Server, method, path, body string) (status int, answer string) {
	t.Helper()
	url := strings.Replace(s.URL(), dialersim.APIPath, dialersim.ControlPath+path, 1)
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestADialerOfAnotherProcessTellsWhatItDid(t *testing.T) {
	t.Parallel()
	s := start(t, dialersim.Options{Now: winter, Control: true})
	rule(t, s.Dialer, "lost-answer add_lead from=2 to=2")
	for _, params := range []string{add(phone) + "&source_id=RTOKEN", add("3055550124"), "function=lead_search&phone_number=" + phone} {
		_, _, _ = post(t.Context(), t, s.URL(), params)
	}
	status, text := control(t, s, http.MethodGet, "stats", "")
	require.Equal(t, http.StatusOK, status)
	var stats dialersim.Stats
	require.NoError(t, json.Unmarshal([]byte(text), &stats))
	require.Equal(t, dialersim.Stats{
		Calls: map[string]int{"add_lead": 2, "lead_search": 1}, MaxInFlight: 1, Leads: 2, Inserts: 2,
		Faults: map[string]int{"lost-answer": 1},
	}, stats)

	status, text = control(t, s, http.MethodGet, "inserts", "")
	require.Equal(t, http.StatusOK, status)
	lines := strings.Split(text, "\n")
	require.Len(t, lines, 3)
	require.JSONEq(t, `{"lead_id":1,"list_id":101,"phone_number":"3055550123","vendor_lead_code":"","source_id":"RTOKEN",
		"security_phrase":"","time":"2026-01-15T12:00:00Z"}`, lines[0])
	var second dialersim.Insert
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &second))
	require.Equal(t, s.Inserts()[1], second)
}

func TestADialerOfAnotherProcessIsFaultedAndHealed(t *testing.T) {
	t.Parallel()
	s := start(t, dialersim.Options{Control: true})
	status, _ := control(t, s, http.MethodPut, "faults?seed=7", "empty-before add_lead p=0.5\n\n busy lead_search value=5\n")
	require.Equal(t, http.StatusNoContent, status)
	status, text := control(t, s, http.MethodGet, "faults", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "empty-before add_lead p=0.5\nbusy lead_search value=5\n", text)

	same := dialersim.New(dialersim.Options{Password: "secret"})
	require.NoError(t, same.SetRules(7, s.Rules()...))
	require.Equal(t, struck(same, 50), struck(s.Dialer, 50), "the seed is the one given")

	for path, body := range map[string]string{"faults": "no-such-fault", "faults?seed=x": ""} {
		status, _ = control(t, s, http.MethodPut, path, body)
		require.Equal(t, http.StatusBadRequest, status)
		require.Len(t, s.Rules(), 2)
	}
	s.Block()
	status, _ = control(t, s, http.MethodDelete, "faults", "")
	require.Equal(t, http.StatusNoContent, status)
	require.Empty(t, s.Rules())
	require.Equal(t, "---", struck(s.Dialer, 3))
	status, _ = control(t, s, http.MethodPost, "faults", "")
	require.Equal(t, http.StatusNotFound, status)
}

func TestOnlyThisMachineControlsADialerAndOnlyWhenItShall(t *testing.T) {
	t.Parallel()
	heal := func(o dialersim.Options, from string) int {
		d := dialersim.New(o)
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodDelete, dialersim.ControlPath+"faults", http.NoBody)
		r.RemoteAddr = from
		d.ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, http.StatusNoContent, heal(dialersim.Options{Control: true}, "127.0.0.1:4000"))
	require.Equal(t, http.StatusNoContent, heal(dialersim.Options{Control: true}, "[::1]:4000"))
	require.Equal(t, http.StatusForbidden, heal(dialersim.Options{Control: true}, "192.0.2.1:4000"))
	require.Equal(t, http.StatusNotFound, heal(dialersim.Options{}, "127.0.0.1:4000"))
}
